"""Hamming searches in CUDA: all pairs by tiles in shared memory, or the buckets of an index by a warp a place.

A thread of the comparison of all holds the first words of four places in registers and compares them with a tile that its whole block
reads; only what may be near is measured, by the function of the CPU. Hits go to a buffer of bounded size through one counter, and are
sorted into the CPU's order. Where there are more, fewer places are searched for at a time, down to one.

Of a side that is not whole on the device, pieces go there as they are needed: the places at work, and mask by mask what lies between the
first and the last bucket in their reach.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint64

from tamis_kernels.device import in_batches, launch, room, streamed, to_device, uniform, xp
from tamis_kernels.groups.cuda import sort_by_key as sort_hits
from tamis_kernels.hamming.cpu import distance_of, full_of, neighbour
from tamis_kernels.hamming.cuda_sides import HeldSide, on_host
from tamis_kernels.hamming.layout import LATER, LENGTH, SELF, Piece, Search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tamis_kernels.types import Int32s, Int64s, Uint64s

THREADS = 128
OWN = 4  # places a thread
TILE = 256
STRIP = 4096  # places of the index that a block compares with
WARP = 32
WARPS = 4
HELD = 1 << 20  # hits of more than one place
MASK_SHIFT, STEP_SHIFT = 31, 40  # a hit: step, number of the mask, place of the index
i32, i64, u64 = np.int32, np.int64, np.uint64


def distances(left: Uint64s, right: Uint64s, out: Int32s) -> None:
    """Write the number of differing bits of each row."""

    def measured(first: int, last: int, one: Any, other: Any) -> tuple[Any]:
        found = xp.empty(last - first, i32)
        launch(measure_rows, last - first, one, other, found)
        return (found,)

    sizes = uniform(len(left), 2 * left[:1].nbytes + 4)
    streamed(sizes, lambda a, b: (left[a:b], right[a:b]), measured, lambda a, b: (out[a:b],))


def sort_side(hashes: Uint64s, band: Int64s, probes: int, labelled: bool) -> HeldSide:
    """Return a side with the hashes sorted by the band's bits; where they are `labelled`, `label` has still to be called."""
    return HeldSide.of(hashes, band, probes, labelled)


def label(roots: Int64s, side: HeldSide) -> None:
    """Let a side know of components: of each place, and where the next begins."""
    side.label(roots)


def count(queries: HeldSide, index: HeldSide, search: Search, first: int, counts: Int64s) -> None:
    """Count, for each place of the queries from `first` on, the pairs that it leads; -1 where those before it are many."""
    rows, queries.found = counts.size, None
    while not queries.found:
        try:
            queries.found = _find(queries, index, search, first, rows)
        except MemoryError:
            left = queries.leave() | index.leave()
            if rows == 1 and not left:
                raise
        rows = rows if queries.found else -(-rows // 2)
    counts[:rows] = np.bincount((queries.found[0] >> u64(STEP_SHIFT)).astype(i64), minlength=rows)
    counts[rows:] = -1


def fill(
    queries: HeldSide, index: HeldSide, search: Search, first: int, counts: Int64s, left: Int64s, right: Int64s, distance: Int32s
) -> None:
    """Write the pairs that `count` counted, place after place, as many as are asked for."""
    assert queries.found
    hits, apart = queries.found
    order, ordered = np.empty(hits.size, np.uint32), np.empty(hits.size, u64)
    sort_hits(hits, order, ordered)
    one = queries.order[first + np.repeat(np.arange(counts.size), counts)]
    two = index.order[(ordered[: left.size] & u64((1 << MASK_SHIFT) - 1)).astype(i64)]
    left[:], right[:] = (np.minimum(one, two), np.maximum(one, two)) if search.which == SELF else (one, two)
    distance[:] = apart[order[: left.size]]


def _find(queries: HeldSide, index: HeldSide, search: Search, first: int, rows: int) -> tuple[Uint64s, Int32s] | None:
    """Return the hits of some places, in any order, and their distances; None where they are more than `HELD` of more than one place."""
    own, there = queries.piece(first, first + rows), _on_device(search)
    found, many = [(np.empty(0, u64), np.empty(0, i32))], 0

    def compare(number: int, masks: Any, origin: int, begin: int, end: int) -> None:
        nonlocal many
        if many <= HELD or rows == 1:
            hits, apart, size = _compare(own, index.piece(origin + begin, origin + end), there._replace(masks=masks), first, rows)
            found.append((hits | u64(number << MASK_SHIFT), apart))
            many += size

    if index.whole:
        compare(0, there.masks, 0, 0, index.order.size)
    else:
        assert index.host
        places = max(1, index.order.size)
        each = index.hashes[:1].nbytes + 8 * len(index.host.columns) + 16 + 4 * index.host.starts.size // places + 1
        for number, (begin, end) in enumerate(_reaches(queries.keys[first : first + rows], index.host.starts, search, first)):
            some = partial(compare, number, there.masks[number : number + 1], begin)
            in_batches(some, max(0, end - begin), max(1, room() // (2 * each)))
    hits, apart = (np.concatenate(column) for column in zip(*found, strict=True))
    return None if many > HELD and rows > 1 else (hits, apart)


def _reaches(keys: Int32s, starts: Int32s, search: Search, first: int) -> Iterator[tuple[int, int]]:
    """Tell of each mask between which places of the index lie the buckets that it brings the keys to."""
    full = full_of(search.bands[search.number])
    for mask in search.masks:
        turned = keys ^ mask
        if full:
            turned = np.minimum(turned, turned ^ full)
        begin, end = int(starts[turned.min()]), int(starts[turned.max() + 1])
        yield max(begin, first) if search.which == SELF else begin, end


def _compare(own: Piece, others: Piece, search: Search, first: int, rows: int) -> tuple[Uint64s, Int32s, int]:
    """Return the hits of places on the device among others there, their distances, and how many there are, if not all are returned."""
    places = others.order.size
    most = min(HELD, rows * places)
    since = max(0, first - others.begin) if search.which == SELF else 0
    while True:
        hits, apart, many = xp.empty(most, u64), xp.empty(most, i32), xp.zeros(1, i64)
        arguments = (own, others, search, first - own.begin, rows, since, hits, apart, many)
        if search.bands[search.number, LENGTH]:
            compare_buckets[-(-rows // WARPS), (WARP, WARPS)](*arguments)
        elif since < places:
            kernel = compare_one_word if len(own.columns) == 1 else compare_two_words
            kernel[(-(-(places - since) // STRIP), -(-rows // (OWN * THREADS))), THREADS](*arguments)  # along y go 65,535 blocks at most
        found = int(many[0])
        if found <= most or rows > 1:
            return on_host(hits[:found]), on_host(apart[:found]), found
        most = found


def _on_device(search: Search) -> Search:
    return search._replace(forms=to_device(search.forms), bands=to_device(search.bands), masks=to_device(search.masks))


@cuda.jit
def measure_rows(left: Uint64s, right: Uint64s, out: Int32s) -> None:
    """Count the differing bits of a row a thread."""
    row = cuda.grid(1)
    if row < out.size:
        total: Any = i32(0)
        for word in range(left.shape[1]):
            total += i32(cuda.popc(left[row, word] ^ right[row, word]))
        out[row] = total


@cuda.jit(device=True)
def consider(
    queries: Piece, index: Piece, search: Search, first: int, place: int, other: int, mask: int, hits: Any, apart: Any, found: Any
) -> None:
    """Note two places if they make a pair."""
    if search.which == LATER and index.order[other] <= queries.order[place]:
        return
    if queries.labels.size and queries.labels[place] == index.labels[other]:
        return
    distance = distance_of(queries.hashes, place, index.hashes, other, search)
    if distance >= 0:
        slot = cuda.atomic.add(found, 0, 1)
        if slot < hits.size:
            hits[slot] = u64(place - first) << u64(STEP_SHIFT) | u64(mask) << u64(MASK_SHIFT) | u64(index.begin + other)
            apart[slot] = distance


@cuda.jit(device=True)
def take(
    queries: Piece,
    index: Piece,
    search: Search,
    first: int,
    rows: int,
    place: int,
    other: int,
    least: tuple[int, ...],
    hits: Any,
    apart: Any,
    found: Any,
) -> None:
    """Consider those of a thread's places that may be near, if there are such places, and not both ways round."""
    for number in range(OWN):
        own = place + number * THREADS
        twice = search.which == SELF and index.begin + other <= queries.begin + own
        if least[number] <= search.limit and own < first + rows and not twice:
            consider(queries, index, search, first, own, other, 0, hits, apart, found)


@cuda.jit(device=True)
def differing(one: np.uint64, other: np.uint64, turned: bool) -> Any:
    """Return the number of differing bits; of equal ones, where they are fewer and a form may turn over the word."""
    ones = i32(cuda.popc(one ^ other))
    return min(ones, i32(i32(64) - ones)) if turned else ones


@cuda.jit
def compare_one_word(
    queries: Piece, index: Piece, search: Search, first: int, rows: int, since: int, hits: Any, apart: Any, found: Any
) -> None:
    """Compare OWN places a thread with a strip of the index, by their first word."""
    tile = cuda.shared.array(TILE, uint64)
    thread = cuda.threadIdx.x
    last = first + rows - 1
    place = first + cuda.blockIdx.y * OWN * THREADS + thread
    p0, p1, p2, p3 = min(place, last), min(place + THREADS, last), min(place + 2 * THREADS, last), min(place + 3 * THREADS, last)
    own = queries.columns[0]
    o0, o1, o2, o3 = own[p0], own[p1], own[p2], own[p3]
    limit, turned = i32(search.limit), search.forms.shape[0] > 1
    stop = min(index.order.size, since + (cuda.blockIdx.x + 1) * STRIP)
    for begin in range(since + cuda.blockIdx.x * STRIP, stop, TILE):
        size = min(TILE, stop - begin)
        cuda.syncthreads()
        for i in range(thread, size, THREADS):
            tile[i] = index.columns[0, begin + i]
        cuda.syncthreads()
        for i in range(size):
            word = tile[i]
            d0, d1, d2, d3 = (
                differing(o0, word, turned),
                differing(o1, word, turned),
                differing(o2, word, turned),
                differing(o3, word, turned),
            )
            if min(min(d0, d1), min(d2, d3)) <= limit:
                take(queries, index, search, first, rows, place, begin + i, (d0, d1, d2, d3), hits, apart, found)


@cuda.jit
def compare_two_words(
    queries: Piece, index: Piece, search: Search, first: int, rows: int, since: int, hits: Any, apart: Any, found: Any
) -> None:
    """Compare OWN places a thread with a strip of the index, by their first two words."""
    tile = cuda.shared.array((2, TILE), uint64)
    thread = cuda.threadIdx.x
    last = first + rows - 1
    place = first + cuda.blockIdx.y * OWN * THREADS + thread
    p0, p1, p2, p3 = min(place, last), min(place + THREADS, last), min(place + 2 * THREADS, last), min(place + 3 * THREADS, last)
    own, more = queries.columns[0], queries.columns[1]
    o0, o1, o2, o3 = own[p0], own[p1], own[p2], own[p3]
    m0, m1, m2, m3 = more[p0], more[p1], more[p2], more[p3]
    limit, turned = i32(search.limit), search.forms.shape[0] > 1
    stop = min(index.order.size, since + (cuda.blockIdx.x + 1) * STRIP)
    for begin in range(since + cuda.blockIdx.x * STRIP, stop, TILE):
        size = min(TILE, stop - begin)
        cuda.syncthreads()
        for i in range(thread, size, THREADS):
            tile[0, i] = index.columns[0, begin + i]
            tile[1, i] = index.columns[1, begin + i]
        cuda.syncthreads()
        for i in range(size):
            one, two = tile[0, i], tile[1, i]
            d0, d1 = differing(o0, one, turned) + differing(m0, two, turned), differing(o1, one, turned) + differing(m1, two, turned)
            d2, d3 = differing(o2, one, turned) + differing(m2, two, turned), differing(o3, one, turned) + differing(m3, two, turned)
            if min(min(d0, d1), min(d2, d3)) <= limit:
                take(queries, index, search, first, rows, place, begin + i, (d0, d1, d2, d3), hits, apart, found)


@cuda.jit
def compare_buckets(
    queries: Piece, index: Piece, search: Search, first: int, rows: int, since: int, hits: Any, apart: Any, found: Any
) -> None:
    """Compare a place a warp with the buckets in its reach; the warps of a block are its rows of threads."""
    lane, step = cuda.threadIdx.x, cuda.blockIdx.x * WARPS + cuda.threadIdx.y
    if step >= rows:
        return
    place, limit, turned = first + step, i32(search.limit), search.forms.shape[0] > 1
    full, joined = full_of(search.bands[search.number]), queries.labels.size > 0
    following = queries.begin + place + 1 - index.begin if search.which == SELF else since
    for mask in range(search.masks.size):
        key = neighbour(queries.keys[place], search.masks[mask], full) - index.low
        at, stop = 0, 0
        if 0 <= key < index.starts.size - 1:
            at, stop = max(following, index.starts[key]), index.starts[key + 1]
        while at < stop:
            if joined and index.labels[at] == queries.labels[place]:
                at = index.beyond[at]
                continue
            other = at + lane
            if other < stop:
                least = i32(0)
                for word in range(queries.columns.shape[0]):
                    least += differing(queries.columns[word, place], index.columns[word, other], turned)
                if least <= limit:
                    consider(queries, index, search, first, place, other, mask, hits, apart, found)
            at += WARP
