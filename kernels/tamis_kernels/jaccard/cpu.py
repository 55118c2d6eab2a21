"""Exact Jaccard similarity in Numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sort_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are."""
    for_rows(_sort_rows, starts, hashes, starts, sizes)


@njit(cache=True, nogil=True)
def pack_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], packed: NDArray[np.int64], out: NDArray[np.uint32]) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together."""
    for row in range(packed.size - 1):
        for i in range(packed[row + 1] - packed[row]):
            out[packed[row] + i] = hashes[starts[row] + i]


def pairs(
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the similarity of each pair."""
    sizes = np.diff(row_offsets)
    work = np.concatenate(([0], np.cumsum(sizes[left] + sizes[right] + 1)))
    for_rows(_pairs, work, hashes, row_offsets, left, right, out)


@njit(cache=True, nogil=True)
def _sort_rows(first: int, last: int, hashes: NDArray[np.uint32], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    for row in range(first, last):
        members = hashes[starts[row] : starts[row + 1]]
        members.sort()
        size = min(1, members.size)
        for i in range(1, members.size):
            members[size] = members[i]
            size += members[i] != members[size - 1]
        sizes[row] = size


@of_views
def _pairs(
    first: int,
    last: int,
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    for i in range(first, last):
        one = hashes[row_offsets[left[i]] : row_offsets[left[i] + 1]]
        other = hashes[row_offsets[right[i]] : row_offsets[right[i] + 1]]
        shared = common(one, other)
        union = one.size + other.size - shared
        out[i] = shared / union if union else 0.0


@of_views
def common(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> int:
    """Count what two rising sets share, by a merge without branches on the comparison."""
    i = j = shared = 0
    while i < one.size and j < other.size:
        x, y = one[i], other[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared
