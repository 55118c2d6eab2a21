"""Histograms by bisection without branches; four tables for bytes, so that equal neighbours do not wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s

TABLES = 4


@of_views
def bin_of(value: float, below: int, size: int, top: float) -> int:
    """Return where a value is counted that is not less than `below` of `size` edges, the highest of which is `top`."""
    if value != value:
        return size + 1
    return size - 1 if value == top else below


@of_views
def count(values: Floats, edges: Float64s, counts: Int64s) -> None:
    """Add to counts: below the edges, in each bin, above, NaN."""
    size = edges.shape[0]
    top = edges[size - 1]
    for i in range(values.shape[0]):
        value = np.float64(values[i])
        place, left = 0, size
        while left > 1:
            half = left // 2
            place += half if edges[place + half - 1] <= value else 0
            left -= half
        place += edges[place] <= value
        counts[bin_of(value, place, size, top)] += 1


@njit(cache=True, nogil=True)
def count_bytes(pixels: Uint8s, counts: Int64s) -> None:
    """Add the bytes of each column to its row of counts."""
    rows, channels = pixels.shape
    tables = np.zeros((TABLES, channels, 256), np.int64)
    for i in range(rows):
        for j in range(channels):
            tables[i % TABLES, j, pixels[i, j]] += 1
    for table in range(TABLES):
        for j in range(channels):
            for byte in range(256):
                counts[j, byte] += tables[table, j, byte]
