"""Exact Jaccard similarity in CUDA: a warp has a pair, each thread looks up every 32nd hash of the smaller set in the larger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import cuda

from tamis_kernels.device import to_device, to_host, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARP = 32
WARPS = 4  # pairs a block


def sort_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are.

    Row and hash make one key, so that one sort does all rows.
    """
    if not hashes.size:
        sizes[:] = 0
        return
    first = to_device(starts)
    rows = xp.searchsorted(first, xp.arange(hashes.size), side="right") - 1
    keys = xp.sort(rows.astype(np.uint64) << np.uint64(32) | to_device(hashes).astype(np.uint64))
    fresh = xp.ones(keys.size, bool)
    fresh[1:] = keys[1:] != keys[:-1]
    counts = xp.bincount(rows[fresh], minlength=sizes.size)
    before = (xp.cumsum(fresh) - 1 - (xp.cumsum(counts) - counts)[rows])[fresh]  # distinct hashes of its row before it
    sets = to_device(hashes)
    sets[first[rows[fresh]] + before] = keys[fresh].astype(np.uint32)
    to_host(sets, hashes)
    to_host(counts, sizes)


def pack_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], packed: NDArray[np.int64], out: NDArray[np.uint32]) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together."""
    sizes = np.diff(packed)
    shift = to_device(np.repeat(starts[: sizes.size] - packed[:-1], sizes))
    to_host(to_device(hashes)[xp.arange(out.size) + shift], out)


def pairs(
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the similarity of each pair."""
    found = xp.empty(out.size, np.float64)
    if out.size:
        blocks = -(-out.size // WARPS)
        similarities[blocks, (WARP, WARPS)](to_device(hashes), to_device(row_offsets), to_device(left), to_device(right), found)
    to_host(found, out)


@cuda.jit
def similarities(
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the similarity of one pair a warp; the warps of a block are its rows of threads."""
    shared = cuda.shared.array(WARPS, np.int32)
    lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
    if lane == 0:
        shared[warp] = 0
    cuda.syncthreads()
    pair = cuda.blockIdx.x * WARPS + warp
    union = 0
    if pair < out.size:
        start, stop = row_offsets[left[pair]], row_offsets[left[pair] + 1]
        other, end = row_offsets[right[pair]], row_offsets[right[pair] + 1]
        union = stop - start + end - other
        if stop - start > end - other:
            start, stop, other, end = other, end, start, stop
        for i in range(start + lane, stop, WARP):
            if holds(hashes, other, end, hashes[i]):
                cuda.atomic.add(shared, warp, 1)
    cuda.syncthreads()
    if pair < out.size and lane == 0:
        union -= shared[warp]
        out[pair] = shared[warp] / union if union else 0.0


@cuda.jit(device=True)
def holds(hashes: NDArray[np.uint32], low: int, high: int, wanted: np.uint32) -> bool:
    """Return whether a hash is in the rising set `hashes[low:high]`."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < end and hashes[low] == wanted
