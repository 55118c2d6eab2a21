"""Hamming distances in Numba: LLVM turns the bit-parallel sum into the processor's popcount, and vectors of it where there are any.

A search looks at the first words of the hashes alone, a vector of them at a time, and reads the rest of those that may be near.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.hamming.layout import CROWD, FOLDED, LATER, LENGTH, RADIUS, SELF, SHIFT, WORD, Search, Side, empty_side
from tamis_kernels.types import Int32s, Int64s, Uint64s

Columns = Uint64s

_TILE = 2048  # hashes compared at a time: 32 KiB of two words
_PIECE = 64  # hashes of a tile measured one by one where one of them may be near
_BLOCK = 64  # rows that meet a tile, one after the other
_FOUR = 4  # words probed at most
_FEW = 8  # places that fill no vector
_ENOUGH = 1 << 14  # pairs after which a block of rows is left: crowds are joined before the rest is looked at

u64 = np.uint64


@njit(cache=True, nogil=True, inline="always")
def _ones(word: np.uint64) -> np.uint64:
    word -= (word >> u64(1)) & u64(0x5555555555555555)
    word = (word & u64(0x3333333333333333)) + ((word >> u64(2)) & u64(0x3333333333333333))
    word = (word + (word >> u64(4))) & u64(0x0F0F0F0F0F0F0F0F)
    return (word * u64(0x0101010101010101)) >> u64(56)


@njit(cache=True, nogil=True, inline="always")
def _fewer(word: np.uint64) -> np.uint64:
    """Count the differing or the equal bits of a word that may be turned over, whichever are fewer."""
    ones = _ones(word)
    return min(ones, u64(64) - ones)


@of_views
def distances(left: Uint64s, right: Uint64s, out: Int32s) -> None:
    """Write the number of differing bits of each row."""
    for row in range(left.shape[0]):
        total = u64(0)
        for word in range(left.shape[1]):
            total += _ones(left[row, word] ^ right[row, word])
        out[row] = total


def sort_side(hashes: Uint64s, band: Int64s, probes: int, labelled: bool) -> Side:
    """Return a side with the hashes sorted by the band's bits; where they are `labelled`, `label` has still to be called."""
    side = empty_side(hashes, band, probes, labelled)
    _sort(band, side)
    return side


@njit(cache=True, nogil=True)
def _sort(band: Int64s, side: Side) -> None:
    words, shift, full = side.hashes[:, band[WORD]], u64(band[SHIFT]), (1 << band[LENGTH]) - 1
    side.starts[:] = 0
    for row in range(words.size):
        key = np.int64(words[row] >> shift) & full
        key = min(key, key ^ full) if band[FOLDED] else key
        side.starts[key + 1] += 1
    for key in range(side.starts.size - 1):
        side.starts[key + 1] += side.starts[key]
    following = side.starts[:-1].copy()
    for row in range(words.size):
        key = np.int64(words[row] >> shift) & full
        key = min(key, key ^ full) if band[FOLDED] else key
        place = following[key]
        following[key] += 1
        side.order[place] = row
        side.keys[place] = key
        for word in range(side.columns.shape[0]):
            side.columns[word, place] = side.hashes[row, word]


@of_views
def label(roots: Int64s, side: Side) -> None:
    """Fill what a side knows of components: of each place, where the next begins, and which buckets hold a crowd of one."""
    size = side.labels.size
    for place in range(size):
        side.labels[place] = roots[side.order[place]]
    side.crowded[:] = False
    following = size
    for place in range(size - 1, -1, -1):
        if place + 1 < size and side.labels[place + 1] != side.labels[place]:
            following = place + 1
        side.beyond[place] = following
        key = side.keys[place]
        if min(following, side.starts[key + 1]) - place >= CROWD:
            side.crowded[key] = True


@of_views
def _may_be_near(own: Columns, others: Columns, limit: np.uint64, place: int, start: int, stop: int, turned: bool) -> bool:
    """Say whether one of the places start … stop - 1 is near as far as the first words tell."""
    found, probes, own0 = 0, others.shape[0], own[0, place]
    if stop - start < _FEW:  # too few for a vector, and most often unlike in their first word
        for other in range(start, stop):
            word = own0 ^ others[0, other]
            found += int((_fewer(word) if turned else _ones(word)) <= limit)
        if found == 0:
            return False
    found, first = 0, others[0, start:stop]
    if probes == 1:
        for other in range(stop - start):
            found += int(_ones(own0 ^ first[other]) <= limit)
        return found > 0
    own1, second = own[1, place], others[1, start:stop]
    if probes < _FOUR:
        if turned:
            for other in range(stop - start):
                found += int(_fewer(own0 ^ first[other]) + _fewer(own1 ^ second[other]) <= limit)
        else:
            for other in range(stop - start):
                found += int(_ones(own0 ^ first[other]) + _ones(own1 ^ second[other]) <= limit)
        return found > 0
    own2, own3, third, fourth = own[2, place], own[3, place], others[2, start:stop], others[3, start:stop]
    if turned:
        for other in range(stop - start):
            near = _fewer(own0 ^ first[other]) + _fewer(own1 ^ second[other])
            near += _fewer(own2 ^ third[other]) + _fewer(own3 ^ fourth[other])
            found += int(near <= limit)
    else:
        for other in range(stop - start):
            near = _ones(own0 ^ first[other]) + _ones(own1 ^ second[other])
            near += _ones(own2 ^ third[other]) + _ones(own3 ^ fourth[other])
            found += int(near <= limit)
    return found > 0


@njit(cache=True, nogil=True, inline="always")
def _least(own: Columns, others: Columns, place: int, other: int, turned: bool) -> np.uint64:
    """Return what two places differ by at least, by their first words: cheaper than to measure them."""
    least = u64(0)
    for word in range(own.shape[0]):
        differing = own[word, place] ^ others[word, other]
        least += _fewer(differing) if turned else _ones(differing)
    return least


@of_views
def distance_of(hashes: Uint64s, row: int, others: Uint64s, partner: int, search: Search) -> int:
    """Return the distance of two hashes, -1 where it is beyond the limit or an earlier band brings them together."""
    least = u64(search.limit + 1)
    for form in range(search.forms.shape[0]):
        total = u64(0)
        for word in range(hashes.shape[1]):
            ones = _ones(hashes[row, word] ^ others[partner, word])
            total += u64(64) - ones if search.forms[form, word] else ones
        least = min(least, total)
    if least > u64(search.limit):
        return -1
    for number in range(search.number):
        band = search.bands[number]
        differing = hashes[row, band[WORD]] ^ others[partner, band[WORD]]
        differing = differing >> u64(band[SHIFT]) & (u64(1) << u64(band[LENGTH])) - u64(1)
        turned = np.int64(_ones(differing))
        if turned <= band[RADIUS] or (band[FOLDED] and band[LENGTH] - turned <= band[RADIUS]):
            return -1
    return int(np.int64(least))


@of_views
def measure(queries: Side, index: Side, search: Search, place: int, other: int) -> int:
    """Return the distance of two places that make a pair of this band, else -1."""
    row, partner = queries.order[place], index.order[other]
    if search.which == LATER and partner <= row:
        return -1
    if queries.labels.size and queries.labels[place] == index.labels[other]:
        return -1
    return distance_of(queries.hashes, row, index.hashes, partner, search)


@of_views
def _count_tile(queries: Side, index: Side, search: Search, place: int, start: int, stop: int) -> int:
    """Count the pairs of a place with the places start … stop - 1, and measure only where one may be near."""
    own, others, limit, turned, found = queries.columns, index.columns, u64(search.limit), search.forms.shape[0] > 1, 0
    for piece in range(start, stop, _PIECE):
        end = min(stop, piece + _PIECE)
        if stop - start <= _PIECE or _may_be_near(own, others, limit, place, piece, end, turned):
            for other in range(piece, end):
                if _least(own, others, place, other, turned) <= limit:
                    found += int(measure(queries, index, search, place, other) >= 0)
    return found


@of_views
def neighbour(key: int, mask: int, full: int) -> int:
    """Return a key with bits turned over; `full` are all bits where a form turns over the word, else 0."""
    turned = int(np.int64(key) ^ np.int64(mask))
    return min(turned, turned ^ full) if full else turned


@of_views
def full_of(band: Int64s) -> int:
    """Return all bits of a band where a form turns its word over, else 0."""
    return (1 << band[LENGTH]) - 1 if band[FOLDED] else 0


@of_views
def _count_run(queries: Side, index: Side, search: Search, begin: int, end: int, counts: Int64s) -> None:
    """Count the pairs of places begin … end - 1, which have one key."""
    own, others, starts = queries.columns, index.columns, index.starts
    full, limit, turned, which = full_of(search.bands[search.number]), u64(search.limit), search.forms.shape[0] > 1, search.which
    own_key = queries.keys[begin]
    for mask in search.masks:
        key = neighbour(own_key, mask, full)
        if which == SELF and key < own_key:
            continue
        bucket, stop = starts[key], starts[key + 1]
        crowded = index.crowded.size > 0 and index.crowded[key]
        for tile in range(bucket, stop, _TILE):
            start, last = tile, min(stop, tile + _TILE)
            for place in range(begin, end):
                if which == SELF and key == own_key:
                    start = max(tile, place + 1)
                elif which == LATER and stop - bucket > _FEW:
                    while start < last and index.order[start] <= queries.order[place]:
                        start += 1
                piece = start
                while piece < last:
                    if crowded and index.labels[piece] == queries.labels[place]:
                        piece = index.beyond[piece]
                        continue
                    piece_end = min(last, piece + CROWD) if crowded else last
                    if _may_be_near(own, others, limit, place, piece, piece_end, turned):
                        counts[place - begin] += _count_tile(queries, index, search, place, piece, piece_end)
                    piece = piece_end


@njit(cache=True, nogil=True, parallel=True)
def count(queries: Side, index: Side, search: Search, first: int, counts: Int64s) -> None:
    """Count, for each place of the queries from `first` on, the pairs that it leads; -1 where many before it left no time for it."""
    for block in prange((len(counts) + _BLOCK - 1) // _BLOCK):
        begin = first + block * _BLOCK
        last = min(first + len(counts), begin + _BLOCK)
        counts[begin - first : last - first] = -1
        rows, found = 1, 0
        while begin < last and found < _ENOUGH:
            end = begin + 1
            while end < min(last, begin + rows) and queries.keys[end] == queries.keys[begin]:
                end += 1
            counts[begin - first : end - first] = 0
            _count_run(queries, index, search, begin, end, counts[begin - first : end - first])
            found += int(counts[begin - first : end - first].sum())
            begin, rows = end, 2 * rows


@njit(cache=True, nogil=True, parallel=True)
def fill(queries: Side, index: Side, search: Search, first: int, counts: Int64s, left: Int64s, right: Int64s, distance: Int32s) -> None:
    """Write the pairs that `count` counted, place after place."""
    ends = np.empty_like(counts)
    total = 0
    for step in range(len(counts)):  # for a kernel that calls `cumsum` loads NumPy's linear algebra and SciPy in each process
        total += counts[step]
        ends[step] = total
    own, others, limit, turned = queries.columns, index.columns, u64(search.limit), search.forms.shape[0] > 1
    for step in prange(len(counts)):
        end, place = ends[step], first + step
        written = end - counts[step]
        for mask in search.masks if written < end else search.masks[:0]:
            key = neighbour(queries.keys[place], mask, full_of(search.bands[search.number]))
            other = max(index.starts[key], place + 1) if search.which == SELF else index.starts[key]
            stop = index.starts[key + 1]
            tile_end = piece_end = other
            while written < end and other < stop:
                if queries.labels.size and queries.labels[place] == index.labels[other]:
                    other = index.beyond[other]
                    continue
                if other >= tile_end:
                    tile_end = min(stop, other + _TILE)
                    if not _may_be_near(own, others, limit, place, other, tile_end, turned):
                        other = tile_end
                        continue
                if other >= piece_end:
                    piece_end = min(stop, other + _PIECE)
                    if not _may_be_near(own, others, limit, place, other, piece_end, turned):
                        other = piece_end
                        continue
                near = _least(own, others, place, other, turned) <= limit
                apart = measure(queries, index, search, place, other) if near else -1
                if apart >= 0:
                    one, two = np.int64(queries.order[place]), np.int64(index.order[other])
                    swapped = search.which == SELF and two < one
                    left[written], right[written], distance[written] = two if swapped else one, one if swapped else two, apart
                    written += 1
                other += 1
