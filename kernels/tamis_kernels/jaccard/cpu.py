"""Exact Jaccard similarity in Numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import offsets_of
from tamis_kernels.compiled import njit, of_views
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint32s


def sort_rows(hashes: Uint32s, starts: Int64s, sizes: Int64s) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are."""
    for_rows(_sort_rows, starts, hashes, starts, sizes)


@njit(cache=True, nogil=True)
def pack_rows(hashes: Uint32s, starts: Int64s, packed: Int64s, out: Uint32s) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together."""
    for row in range(packed.size - 1):
        for i in range(packed[row + 1] - packed[row]):
            out[packed[row] + i] = hashes[starts[row] + i]


def pairs(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, out: Float64s) -> None:
    """Write the similarity of each pair."""
    sizes = np.diff(row_offsets)
    work = offsets_of(sizes[left] + sizes[right] + 1)
    for_rows(_pairs, work, hashes, row_offsets, left, right, out)


@njit(cache=True, nogil=True)
def _sort_rows(first: int, last: int, hashes: Uint32s, starts: Int64s, sizes: Int64s) -> None:
    for row in range(first, last):
        members = hashes[starts[row] : starts[row + 1]]
        members.sort()
        size = min(1, members.size)
        for i in range(1, members.size):
            members[size] = members[i]
            size += members[i] != members[size - 1]
        sizes[row] = size


@of_views
def _pairs(first: int, last: int, hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, out: Float64s) -> None:
    for i in range(first, last):
        one = hashes[row_offsets[left[i]] : row_offsets[left[i] + 1]]
        other = hashes[row_offsets[right[i]] : row_offsets[right[i] + 1]]
        shared = common(one, other)
        union = one.size + other.size - shared
        out[i] = shared / union if union else 0.0


@of_views
def common(one: Uint32s, other: Uint32s) -> int:
    """Count what two rising sets share, by a merge without branches on the comparison."""
    i = j = shared = 0
    while i < one.size and j < other.size:
        x, y = one[i], other[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared
