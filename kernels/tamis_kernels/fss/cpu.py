"""Fast Similarity Sketching in Numba.

A block of elements is mixed in one vector loop, then dealt out to the slots one by one. Once all slots are filled, ranks above the highest
that any of them holds are squeezed out first, without a branch that could be mispredicted: on long rows that leaves a few in a hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.minhash.cpu import lower_mixed
from tamis_kernels.ngram_keys.cpu import HELD, bytes_key, next_keys, unit_of_row, unit_room
from tamis_kernels.ngrams.cpu import BLOCK, row_work
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s, Uint64s

u32, u64 = np.uint32, np.uint64
EMPTY = u32(0xFFFFFFFF)
LAST_TAG = u32(3 << 30)


def signatures(hashes: Uint32s | Uint64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row into `out`, which comes filled with 0xFFFFFFFF."""
    for_rows(_signatures, row_work(row_offsets), hashes, row_offsets, mixes, a, b, out)


def text_signatures(
    data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    """Write the signature of each row's set of n-grams into `out`, which comes filled with 0xFFFFFFFF."""
    for_rows(_text_signatures, row_work(offsets), data, offsets, validity, unit, ngram, mixes, a, b, out)


def token_signatures(data: Uint8s, offsets: Int64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row of tokens into `out`, which comes filled with 0xFFFFFFFF."""
    for_rows(_token_signatures, row_work(row_offsets), data, offsets, row_offsets, mixes, a, b, out)


@njit(cache=True, nogil=True)
def _token_signatures(
    first: int, last: int, data: Uint8s, offsets: Int64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    places, values = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    room = np.empty((4, out.shape[1]), np.uint32)
    keys = np.empty(0, np.uint64)
    for row in range(first, last):
        start, size = row_offsets[row], row_offsets[row + 1] - row_offsets[row]
        if size > keys.size:
            keys = np.empty(2 * size, np.uint64)
        for i in range(size):
            begin, end = offsets[start + i], offsets[start + i + 1]
            keys[u64(i)] = bytes_key(data, begin, end) if begin < end else u64(0)
        sketch(keys[:size], mixes, a, b, places, values, room, out[row])


@njit(cache=True, nogil=True)
def _signatures(
    first: int, last: int, hashes: Uint32s | Uint64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    places, values = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    room = np.empty((4, out.shape[1]), np.uint32)
    for row in range(first, last):
        sketch(hashes[row_offsets[row] : row_offsets[row + 1]], mixes, a, b, places, values, room, out[row])


@njit(cache=True, nogil=True)
def _text_signatures(
    first: int,
    last: int,
    data: Uint8s,
    offsets: Int64s,
    validity: Bools,
    unit: int,
    ngram: int,
    mixes: Uint64s,
    a: Uint32s,
    b: Uint32s,
    out: Uint32s,
) -> None:
    places, values = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    room = np.empty((4, out.shape[1]), np.uint32)
    marks, words, white = unit_room(unit, ngram)
    keys = np.empty(HELD, np.uint64)
    for row in range(first, last):
        if not validity[row]:
            continue
        start, stop = offsets[row], offsets[row + 1]
        kind = unit_of_row(data, start, stop, unit)
        found, rest = next_keys(data, start, stop, kind, ngram, marks, words, white, keys)
        if rest < 0:
            sketch(keys[:found], mixes, a, b, places, values, room, out[row])
            continue
        for number in range(4):  # too long to be held whole: each round reads the text again, but round 0 alone fills nearly all slots
            at, highest = start, EMPTY
            if number == 3:
                begin_missing(a, b, room, out[row])
            while at >= 0:
                found, at = next_keys(data, at, stop, kind, ngram, marks, words, white, keys)
                if number == 3:
                    lower_missing(keys[:found], mixes[3], values, room, out[row])
                else:
                    highest = deal(keys[:found], mixes[number], number, highest, places, values, out[row])
            if number == 3:
                end_missing(room, out[row])
            elif highest < EMPTY:
                break


@of_views
def sketch(
    elements: Uint32s | Uint64s, mixes: Uint64s, a: Uint32s, b: Uint32s, places: Uint32s, values: Uint32s, room: Uint32s, slots: Uint32s
) -> None:
    """Fill the slots from one set; the rest is room to work in."""
    if elements.size == 0:
        return
    if 3 * elements.size < slots.size:
        deal_few(elements, mixes, slots)
    else:
        for number in range(3):
            if deal(elements, mixes[number], number, EMPTY, places, values, slots) < EMPTY:
                return
    begin_missing(a, b, room, slots)
    lower_missing(elements, mixes[3], values, room, slots)
    end_missing(room, slots)


@of_views
def deal(
    elements: Uint32s | Uint64s, mix: np.uint64, number: int, highest: np.uint32, places: Uint32s, values: Uint32s, slots: Uint32s
) -> np.uint32:
    """Deal elements out in round `number`; take and return what no slot exceeds, 0xFFFFFFFF while one may be empty."""
    can_fill = (number + 1) * elements.size >= slots.size
    for start in range(0, elements.size, BLOCK):
        part = elements[start : min(start + BLOCK, elements.size)]
        spread(part, mix, u32(number << 30), u64(slots.size), places, values)
        kept = part.size if highest == EMPTY else keep_below(highest, part.size, places, values)
        for i in range(kept):
            place = u64(places[u64(i)])
            slots[place] = min(slots[place], values[u64(i)])
        if can_fill:
            highest = u32(0)
            for slot in range(slots.size):
                highest = max(highest, slots[slot])
    return highest


@of_views
def deal_few(elements: Uint32s | Uint64s, mixes: Uint64s, slots: Uint32s) -> None:
    """Deal elements out in all three rounds, which cannot fill the slots: there is nothing to look for in between."""
    size = u64(slots.size)
    for i in range(elements.size):
        for number in range(3):
            mixed = splitmix64(u64(u64(elements[i]) + mixes[number]))
            place = u64(u64(mixed & u64(0xFFFFFFFF)) * size) >> u64(32)
            slots[place] = min(slots[place], u32(u32(mixed >> u64(34)) | u32(number << 30)))


@of_views
def spread(elements: Uint32s | Uint64s, mix: np.uint64, tag: np.uint32, size: np.uint64, places: Uint32s, values: Uint32s) -> None:
    """Write the slot and the tagged rank of each element."""
    for i in range(elements.size):
        mixed = splitmix64(u64(u64(elements[i]) + mix))
        places[i] = u32(u64(u64(mixed & u64(0xFFFFFFFF)) * size) >> u64(32))
        values[i] = u32(u32(mixed >> u64(34)) | tag)


@of_views
def keep_below(highest: np.uint32, size: int, places: Uint32s, values: Uint32s) -> int:
    """Move the pairs whose value is below `highest` to the front and return how many there are."""
    kept = 0
    for i in range(size):
        places[u64(kept)], values[u64(kept)] = places[i], values[i]
        kept += values[i] < highest
    return kept


# The three that follow give every empty slot the least affine image of all elements. `room` holds, slot by slot, a, b, the least image
# and, in the last row, which slot that is; where more than a quarter is empty all slots take part, as picking some out costs more.


@of_views
def count_empty(slots: Uint32s) -> int:
    """Return how many slots are empty."""
    count = 0
    for slot in range(slots.size):
        count += slots[slot] == EMPTY
    return count


@of_views
def begin_missing(a: Uint32s, b: Uint32s, room: Uint32s, slots: Uint32s) -> None:
    """Write down which images are wanted."""
    count = count_empty(slots)
    for slot in range(slots.size):
        room[0, slot], room[1, slot], room[2, slot] = a[slot], b[slot], EMPTY
    if 4 * count > slots.size:
        return
    list_empty(slots, room[3])
    for i in range(count):
        room[0, i], room[1, i] = a[room[3, i]], b[room[3, i]]


@of_views
def lower_missing(elements: Uint32s | Uint64s, mix: np.uint64, images: Uint32s, room: Uint32s, slots: Uint32s) -> None:
    """Lower the wanted images by those of the elements."""
    count = count_empty(slots)
    width = slots.size if 4 * count > slots.size else count
    for start in range(0, elements.size, BLOCK):
        part = elements[start : min(start + BLOCK, elements.size)]
        for i in range(part.size):
            images[i] = u32(splitmix64(u64(u64(part[i]) + mix)))
        lower_mixed(images, part.size, room[0, :width], room[1, :width], room[2, :width])


@of_views
def end_missing(room: Uint32s, slots: Uint32s) -> None:
    """Fill the empty slots."""
    count = count_empty(slots)
    if 4 * count > slots.size:
        for slot in range(slots.size):
            slots[slot] = tagged(room[2, slot]) if slots[slot] == EMPTY else slots[slot]
    else:
        for i in range(count):
            slots[room[3, i]] = tagged(room[2, i])


@of_views
def list_empty(slots: Uint32s, out: Uint32s) -> None:
    """Write the numbers of the empty slots to the front of `out`."""
    count = 0
    for slot in range(slots.size):
        out[u64(count)] = u32(slot)
        count += slots[slot] == EMPTY


@of_views
def tagged(least: np.uint32) -> np.uint32:
    """Return what a slot holds for its least affine image; never the mark of an empty slot."""
    return min(u32(LAST_TAG | u32(least >> u32(2))), u32(EMPTY - u32(1)))


@of_views
def splitmix64(value: np.uint64) -> np.uint64:
    """Return the output function of SplitMix64."""
    value = u64(u64(value ^ u64(value >> u64(30))) * u64(0xBF58476D1CE4E5B9))
    value = u64(u64(value ^ u64(value >> u64(27))) * u64(0x94D049BB133111EB))
    return u64(value ^ u64(value >> u64(31)))
