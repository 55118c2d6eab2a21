"""Exact Jaccard similarity in CUDA: a warp has a pair, each thread looks up every 32nd hash of the smaller set in the larger.

Rows are sorted, and pairs compared, as many at a time as the device has room for; where it has none for all sets, those of the pairs at
work are gathered. A row or a pair that is a batch of its own need not fit: it is cut further, a row as keys are that are sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.arrays import offsets_of
from tamis_kernels.device import in_batches, in_sized_batches, room, to_device, to_host, xp
from tamis_kernels.groups.cuda import run_starts, sort_by_key
from tamis_kernels.jaccard import cpu

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint32s

WARP = 32
WARPS = 4  # pairs a block
HASH_BYTES = 96  # of the device that a hash takes which is sorted: keys of row and hash, twice, and places
ROW_BYTES = 32  # that its row takes
PAIR_BYTES = 64  # that a pair takes beside its sets
COMMON_BYTES = 32  # that a hash takes of two sets in pieces


def sort_rows(hashes: Uint32s, starts: Int64s, sizes: Int64s) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are."""

    def sort(first: int, last: int) -> None:
        some = hashes[starts[first] : starts[last]]
        if last - first == 1:
            sizes[first] = _sort_row(some)
        elif some.size:
            _sort_some(some, starts[first : last + 1] - starts[first], sizes[first:last])
        else:
            sizes[first:last] = 0

    in_sized_batches(sort, HASH_BYTES * starts + ROW_BYTES * np.arange(starts.size))


def _sort_some(hashes: Uint32s, starts: Int64s, sizes: Int64s) -> None:
    """Sort rows that fit: row and hash make one key, so that one sort does all of them."""
    first = to_device(starts)
    rows = xp.searchsorted(first, xp.arange(hashes.size), side="right") - 1
    keys = xp.sort(rows.astype(np.uint64) << np.uint64(32) | to_device(hashes).astype(np.uint64))
    fresh = xp.ones(keys.size, bool)
    fresh[1:] = keys[1:] != keys[:-1]
    counts = xp.bincount(rows[fresh], minlength=sizes.size)
    before = (xp.cumsum(fresh) - 1 - (xp.cumsum(counts) - counts)[rows])[fresh]  # distinct hashes of its row before it
    sets = xp.empty(hashes.size, np.uint32)
    sets[first[rows[fresh]] + before] = keys[fresh].astype(np.uint32)
    to_host(sets, hashes)
    to_host(counts, sizes)


def _sort_row(row: Uint32s) -> int:
    """Sort a row of any size, its distinct hashes first, and return how many those are."""
    ordered = np.empty(row.size, np.uint64)
    starts = np.empty(sort_by_key(row.astype(np.uint64), np.empty(row.size, np.uint32), ordered), np.int64)
    run_starts(ordered, starts)
    row[: starts.size] = ordered[starts]
    return starts.size


def pack_rows(hashes: Uint32s, starts: Int64s, packed: Int64s, out: Uint32s) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together, on the host: over the link they would go twice."""
    cpu.pack_rows(hashes, starts, packed, out)


def pairs(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, out: Float64s) -> None:
    """Write the similarity of each pair."""
    sets = _all_sets(hashes, row_offsets)

    def compare(first: int, last: int) -> None:
        rows = left[first:last], right[first:last]
        if sets:
            _compare(*sets, *rows, out[first:last])
        elif last - first > 1:
            _compare(*_gathered(hashes, row_offsets, *rows), out[first:last])
        else:
            one, other = (hashes[row_offsets[row] : row_offsets[row + 1]] for row in (left[first], right[first]))
            shared = _common(one, other)
            union = one.size + other.size - shared
            out[first] = shared / union if union else 0.0

    sizes = np.diff(row_offsets)
    bytes_each = PAIR_BYTES + (0 if sets else 4 * (sizes[left] + sizes[right]))
    in_sized_batches(compare, offsets_of(np.broadcast_to(bytes_each, left.shape)))


def _all_sets(hashes: Uint32s, row_offsets: Int64s) -> tuple[Any, Any] | None:
    """Move all sets to the device, if they take half of it at most."""
    try:
        return (to_device(hashes), to_device(row_offsets)) if hashes.nbytes + row_offsets.nbytes <= room() // 2 else None
    except MemoryError:
        return None


def _gathered(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s) -> tuple[Any, Any, Int64s, Int64s]:
    """Return the sets of some pairs on the device, and which of them each pair has."""
    rows, places = np.unique(np.concatenate((left, right)), return_inverse=True)
    bounds = offsets_of(row_offsets[rows + 1] - row_offsets[rows])
    some = np.empty(bounds[-1], np.uint32)
    cpu.pack_rows(hashes, row_offsets[rows], bounds, some)
    return to_device(some), to_device(bounds), places[: left.size], places[left.size :]


def _compare(hashes: Any, row_offsets: Any, left: Int64s, right: Int64s, out: Float64s) -> None:
    """Write the similarity of pairs of sets on the device."""
    found = xp.empty(out.size, np.float64)
    similarities[-(-out.size // WARPS), (WARP, WARPS)](hashes, row_offsets, to_device(left), to_device(right), found)
    to_host(found, out)


def _common(one: Uint32s, other: Uint32s) -> int:
    """Count what two rising sets share, of which neither need fit: piece by piece with what lies in the reach of each."""
    most, total = max(1, room() // (2 * COMMON_BYTES)), 0

    def look_up(first: int, last: int) -> None:
        nonlocal total
        some, shared = one[first:last], 0
        reach = other[other.searchsorted(some[0]) : other.searchsorted(some[-1], "right")]

        def meet(begin: int, end: int) -> None:
            nonlocal shared
            wanted, known = to_device(some), to_device(reach[begin:end])
            places = xp.minimum(xp.searchsorted(known, wanted), end - begin - 1)
            shared += int(xp.count_nonzero(known[places] == wanted))

        in_batches(meet, reach.size, most)
        total += shared

    in_batches(look_up, one.size, most)
    return total


@cuda.jit
def similarities(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, out: Float64s) -> None:
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
def holds(hashes: Uint32s, low: int, high: int, wanted: np.uint32) -> bool:
    """Return whether a hash is in the rising set `hashes[low:high]`."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < end and hashes[low] == wanted
