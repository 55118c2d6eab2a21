"""Which row a place of a flat buffer belongs to. Only modules named `cuda…` import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba import cuda

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s


@cuda.jit(device=True)
def row_of(offsets: Int64s, place: int) -> int:
    """Return the row that a place belongs to: the last one that starts there or before, so that empty rows have none."""
    return int(row_between(offsets, place, 0, offsets.size - 1))


@cuda.jit(device=True)
def row_between(offsets: Int64s, place: int, low: int, high: int) -> int:
    """Return the row that a place belongs to, one of those from `low` to `high`."""
    while low < high:
        middle = (low + high + 1) >> 1
        if offsets[middle] <= place:
            low = middle
        else:
            high = middle - 1
    return low


@cuda.jit(device=True)
def row_in_block(offsets: Int64s, items: int, ends: Int64s) -> int:
    """Return the row that this thread's item belongs to, of as many as there are; for a thread beyond them the last one's.

    Two threads look for the rows that the block begins and ends in, and the others among these. So all threads of the block ask;
    `ends` is int64[2] of shared memory.
    """
    thread, first = cuda.threadIdx.x, cuda.blockIdx.x * cuda.blockDim.x
    if thread < 2:
        ends[thread] = row_of(offsets, min(first + thread * (cuda.blockDim.x - 1), items - 1))
    cuda.syncthreads()
    return int(row_between(offsets, first + thread, ends[0], ends[1]))


@cuda.jit(device=True)
def first_row(offsets: Int64s, place: int, more: int) -> int:
    """Return the first row that begins at a place or behind it, where each row takes `more` places than it has elements."""
    low, high = 0, offsets.size - 1
    while low < high:
        middle = (low + high) >> 1
        if offsets[middle] + more * middle < place:
            low = middle + 1
        else:
            high = middle
    return low
