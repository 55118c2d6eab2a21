"""Hamming searches in CUDA: all pairs by tiles in shared memory, or the buckets of an index by a warp a place.

A thread of the comparison of all holds the first words of four places in registers and compares them with a tile that its whole block
reads; only what may be near is measured, by the function of the CPU. Hits go to a buffer of bounded size through one counter. Where they
fit, they are sorted into the CPU's order and are the answer; where they do not, a second search has a buffer of the size that was counted.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint64

from tamis_kernels.device import launch, to_device, to_host, xp
from tamis_kernels.hamming.cpu import full_of, measure, neighbour
from tamis_kernels.hamming.layout import CROWD, FOLDED, LENGTH, SELF, SHIFT, WORD, Search, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 128
OWN = 4  # places a thread
TILE = 256
STRIP = 4096  # places of the index that a block compares with
WARP = 32
WARPS = 4
HELD = 1 << 21  # hits that a count keeps
MASK_SHIFT, STEP_SHIFT = 31, 40  # a hit: step, number of the mask, place of the index
i32, i64, u64 = np.int32, np.int64, np.uint64


@dataclass(slots=True)
class Resident:
    """A side on the device, and the hits of the last count, unless they were too many to keep."""

    side: Side
    first: int = 0
    hits: Any = None


_resident: dict[int, Resident] = {}  # by the side's `order`, as long as that lives


def distances(left: NDArray[np.uint64], right: NDArray[np.uint64], out: NDArray[np.int32]) -> None:
    """Write the number of differing bits of each row."""
    found = xp.empty(out.size, np.int32)
    launch(measure_rows, out.size, to_device(left), to_device(right), found)
    to_host(found, out)


def sort_side(band: NDArray[np.int64], side: Side) -> None:
    """Fill a side's columns, order, keys and starts: the rows sorted by the band's bits. The side stays on the device, too."""
    full = (1 << int(band[LENGTH])) - 1
    hashes = to_device(side.hashes)
    keys = (hashes[:, int(band[WORD])] >> u64(band[SHIFT]) & u64(full)).astype(np.int32)
    if band[FOLDED]:
        keys = xp.minimum(keys, keys ^ np.int32(full))
    order = xp.argsort(keys, kind="stable")
    keys = keys[order]
    starts = xp.searchsorted(keys, xp.arange(side.starts.size)).astype(np.int32)
    columns = xp.ascontiguousarray(hashes[order, : len(side.columns)].T)
    held = Side(hashes, columns, order.astype(np.int32), keys, starts, *(to_device(known) for known in side[5:]))
    for name in ("columns", "order", "keys", "starts"):
        to_host(getattr(held, name), getattr(side, name))
    _resident[id(side.order)] = Resident(held)
    weakref.finalize(side.order, _resident.pop, id(side.order), None)


def label(roots: NDArray[np.int64], side: Side) -> None:
    """Fill what a side knows of components: of each place, where the next begins, and which buckets hold a crowd of one."""
    held = _resident[id(side.order)]
    labels = to_device(roots)[held.side.order].astype(np.int32)
    size = labels.size
    changes = xp.append(xp.flatnonzero(labels[1:] != labels[:-1]) + 1, size)
    beyond = changes[xp.searchsorted(changes, xp.arange(size), side="right")]
    ends = held.side.starts[1:][held.side.keys]
    crowded = xp.zeros(side.crowded.size, np.bool_)
    crowded[held.side.keys[xp.minimum(beyond, ends) - xp.arange(size) >= CROWD]] = True
    held.side = held.side._replace(labels=labels, beyond=beyond.astype(np.int32), crowded=crowded)
    for name in ("labels", "beyond", "crowded"):
        to_host(getattr(held.side, name), getattr(side, name))


def count(queries: Side, index: Side, search: Search, first: int, counts: NDArray[np.int64]) -> None:
    """Count, for each place of the queries from `first` on, the pairs that it leads."""
    held = _resident[id(queries.order)]
    totals, hits, found = _compare(held.side, _resident[id(index.order)].side, search, first, counts.size, HELD)
    held.first, held.hits = first, hits[:found] if found <= HELD else None
    to_host(totals, counts)


def fill(
    queries: Side,
    index: Side,
    search: Search,
    first: int,
    counts: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: NDArray[np.int32],
) -> None:
    """Write the pairs that `count` counted, place after place."""
    held, others = _resident[id(queries.order)], _resident[id(index.order)].side
    hits = held.hits if held.first == first else None
    if hits is None:
        _, hits, _ = _compare(held.side, others, search, first, counts.size, left.size)
    hits = xp.sort(hits)[: left.size]
    pairs = xp.empty(left.size, np.int64), xp.empty(left.size, np.int64), xp.empty(left.size, np.int32)
    launch(describe, left.size, held.side, others, _on_device(search), first, hits, *pairs)
    to_host(pairs[0], left)
    to_host(pairs[1], right)
    to_host(pairs[2], distance)


def _compare(queries: Side, index: Side, search: Search, first: int, rows: int, most: int) -> tuple[Any, Any, int]:
    """Return how many pairs each place leads, `most` hits or fewer in any order, and how many there are."""
    totals, hits, found = xp.zeros(rows, np.int64), xp.empty(most, u64), xp.zeros(1, np.int64)
    arguments = (queries, index, _on_device(search), first, totals, hits, found)
    size = index.order.size
    if search.bands[search.number, LENGTH]:
        compare_buckets[-(-rows // WARPS), (WARP, WARPS)](*arguments)
    elif size:
        kernel = compare_one_word if len(queries.columns) == 1 else compare_two_words
        kernel[(-(-size // STRIP), -(-rows // (OWN * THREADS))), THREADS](*arguments)  # along y go 65,535 blocks at most
    return totals, hits, int(found[0])


def _on_device(search: Search) -> Search:
    return search._replace(forms=to_device(search.forms), bands=to_device(search.bands), masks=to_device(search.masks))


@cuda.jit
def measure_rows(left: NDArray[np.uint64], right: NDArray[np.uint64], out: NDArray[np.int32]) -> None:
    """Count the differing bits of a row a thread."""
    row = cuda.grid(1)
    if row < out.size:
        total: Any = i32(0)
        for word in range(left.shape[1]):
            total += i32(cuda.popc(left[row, word] ^ right[row, word]))
        out[row] = total


@cuda.jit(device=True)
def consider(
    queries: Side, index: Side, search: Search, first: int, place: int, other: int, mask: int, totals: Any, hits: Any, found: Any
) -> None:
    """Note two places if they make a pair."""
    if measure(queries, index, search, place, other) >= 0:
        cuda.atomic.add(totals, place - first, 1)
        slot = cuda.atomic.add(found, 0, 1)
        if slot < hits.size:
            hits[slot] = u64(place - first) << u64(STEP_SHIFT) | u64(mask) << u64(MASK_SHIFT) | u64(other)


@cuda.jit(device=True)
def take(
    queries: Side,
    index: Side,
    search: Search,
    first: int,
    place: int,
    other: int,
    least: tuple[int, ...],
    totals: Any,
    hits: Any,
    found: Any,
) -> None:
    """Consider those of a thread's places that may be near, if there are such places, and not both ways round."""
    for number in range(OWN):
        own = place + number * THREADS
        if least[number] <= search.limit and own < first + totals.size and (search.which != SELF or other > own):
            consider(queries, index, search, first, own, other, 0, totals, hits, found)


@cuda.jit(device=True)
def apart(one: np.uint64, other: np.uint64, turned: bool) -> Any:
    """Return the number of differing bits; of equal ones, where they are fewer and a form may turn over the word."""
    ones = i32(cuda.popc(one ^ other))
    return min(ones, i32(i32(64) - ones)) if turned else ones


@cuda.jit
def compare_one_word(queries: Side, index: Side, search: Search, first: int, totals: Any, hits: Any, found: Any) -> None:
    """Compare OWN places a thread with a strip of the index, by their first word."""
    tile = cuda.shared.array(TILE, uint64)
    thread = cuda.threadIdx.x
    last = first + totals.size - 1
    place = first + cuda.blockIdx.y * OWN * THREADS + thread
    p0, p1, p2, p3 = min(place, last), min(place + THREADS, last), min(place + 2 * THREADS, last), min(place + 3 * THREADS, last)
    own = queries.columns[0]
    o0, o1, o2, o3 = own[p0], own[p1], own[p2], own[p3]
    limit, turned = i32(search.limit), search.forms.shape[0] > 1
    stop = min(index.order.size, (cuda.blockIdx.x + 1) * STRIP)
    for begin in range(cuda.blockIdx.x * STRIP, stop, TILE):
        size = min(TILE, stop - begin)
        cuda.syncthreads()
        for i in range(thread, size, THREADS):
            tile[i] = index.columns[0, begin + i]
        cuda.syncthreads()
        for i in range(size):
            word = tile[i]
            d0, d1, d2, d3 = apart(o0, word, turned), apart(o1, word, turned), apart(o2, word, turned), apart(o3, word, turned)
            if min(min(d0, d1), min(d2, d3)) <= limit:
                take(queries, index, search, first, place, begin + i, (d0, d1, d2, d3), totals, hits, found)


@cuda.jit
def compare_two_words(queries: Side, index: Side, search: Search, first: int, totals: Any, hits: Any, found: Any) -> None:
    """Compare OWN places a thread with a strip of the index, by their first two words."""
    tile = cuda.shared.array((2, TILE), uint64)
    thread = cuda.threadIdx.x
    last = first + totals.size - 1
    place = first + cuda.blockIdx.y * OWN * THREADS + thread
    p0, p1, p2, p3 = min(place, last), min(place + THREADS, last), min(place + 2 * THREADS, last), min(place + 3 * THREADS, last)
    own, more = queries.columns[0], queries.columns[1]
    o0, o1, o2, o3 = own[p0], own[p1], own[p2], own[p3]
    m0, m1, m2, m3 = more[p0], more[p1], more[p2], more[p3]
    limit, turned = i32(search.limit), search.forms.shape[0] > 1
    stop = min(index.order.size, (cuda.blockIdx.x + 1) * STRIP)
    for begin in range(cuda.blockIdx.x * STRIP, stop, TILE):
        size = min(TILE, stop - begin)
        cuda.syncthreads()
        for i in range(thread, size, THREADS):
            tile[0, i] = index.columns[0, begin + i]
            tile[1, i] = index.columns[1, begin + i]
        cuda.syncthreads()
        for i in range(size):
            one, two = tile[0, i], tile[1, i]
            d0, d1 = apart(o0, one, turned) + apart(m0, two, turned), apart(o1, one, turned) + apart(m1, two, turned)
            d2, d3 = apart(o2, one, turned) + apart(m2, two, turned), apart(o3, one, turned) + apart(m3, two, turned)
            if min(min(d0, d1), min(d2, d3)) <= limit:
                take(queries, index, search, first, place, begin + i, (d0, d1, d2, d3), totals, hits, found)


@cuda.jit
def compare_buckets(queries: Side, index: Side, search: Search, first: int, totals: Any, hits: Any, found: Any) -> None:
    """Compare a place a warp with the buckets in its reach; the warps of a block are its rows of threads."""
    lane, step = cuda.threadIdx.x, cuda.blockIdx.x * WARPS + cuda.threadIdx.y
    if step >= totals.size:
        return
    place, limit, turned = first + step, i32(search.limit), search.forms.shape[0] > 1
    full, joined = full_of(search.bands[search.number]), queries.labels.size > 0
    for mask in range(search.masks.size):
        key = neighbour(queries.keys[place], search.masks[mask], full)
        at = max(index.starts[key], place + 1) if search.which == SELF else index.starts[key]
        while at < index.starts[key + 1]:
            if joined and index.labels[at] == queries.labels[place]:
                at = index.beyond[at]
                continue
            other = at + lane
            if other < index.starts[key + 1]:
                least = i32(0)
                for word in range(queries.columns.shape[0]):
                    least += apart(queries.columns[word, place], index.columns[word, other], turned)
                if least <= limit:
                    consider(queries, index, search, first, place, other, mask, totals, hits, found)
            at += WARP


@cuda.jit
def describe(
    queries: Side,
    index: Side,
    search: Search,
    first: int,
    hits: NDArray[np.uint64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: NDArray[np.int32],
) -> None:
    """Write a pair a thread."""
    item = cuda.grid(1)
    if item < left.size:
        place: Any = first + i64(hits[item] >> u64(STEP_SHIFT))
        other: Any = i64(hits[item] & u64((1 << MASK_SHIFT) - 1))
        one, two = queries.order[place], index.order[other]
        swapped = search.which == SELF and two < one
        left[item], right[item] = two if swapped else one, one if swapped else two
        distance[item] = measure(queries, index, search, place, other)
