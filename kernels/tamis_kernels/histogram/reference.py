"""Histograms, one value at a time: the definition of right."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s


def count(values: Floats, edges: Float64s, counts: Int64s) -> None:
    """Add to counts: below the edges, in each bin, above, NaN."""
    bounds = edges.tolist()
    for value in values.tolist():
        if math.isnan(value):
            counts[-1] += 1
        elif value == bounds[-1]:
            counts[-3] += 1
        else:
            counts[bisect_right(bounds, value)] += 1


def count_bytes(pixels: Uint8s, counts: Int64s) -> None:
    """Add the bytes of each column to its row of counts."""
    for row in pixels.tolist():
        for channel, byte in enumerate(row):
            counts[channel, byte] += 1
