"""N-gram hashes in Numba. `tamis_kernels.minhash.cpu` compiles the block functions of this file into its fused kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s

BYTE, CHAR, WORD = 0, 1, 2
BLOCK = 1024  # n-grams hashed at a time: 4 KiB, an eighth of the L1 cache
SPACE = 0x20
STRIPE = 16  # bytes per round of xxHash32's four lanes; shorter keys have no such round

u8, u32, u64 = np.uint8, np.uint32, np.uint64
PRIME1, PRIME2, PRIME3, PRIME4, PRIME5 = u32(2654435761), u32(2246822519), u32(3266489917), u32(668265263), u32(374761393)
LANE1, LANE4 = u32(606290984), u32(1640531535)  # PRIME1 + PRIME2 and -PRIME1, modulo 2^32


def count(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, out: Int64s) -> None:
    """Write the number of n-grams of each row into `out`."""
    for_rows(_count, row_work(offsets), data, offsets, validity, unit, ngram, out)


def hashes(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint32s) -> None:
    """Write the hash of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""
    for_rows(_hashes, row_work(offsets), data, offsets, validity, unit, ngram, row_offsets, out)


def row_work(offsets: Int64s) -> Int64s:
    """Return what the rows before each one cost: their bytes, and a little for each row, as an empty one is not free."""
    work: Int64s = offsets + 16 * np.arange(offsets.size)
    return work


@of_views
def _count(first: int, last: int, data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, out: Int64s) -> None:
    for row in range(first, last):
        units = count_units(data, offsets[row], offsets[row + 1], unit) if validity[row] else 0
        out[row] = min(units, max(1, units - ngram + 1))


@njit(cache=True, nogil=True)
def _hashes(
    first: int, last: int, data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint32s
) -> None:
    marks = np.empty(BLOCK + ngram, np.int64)
    scratch = word_scratch(offsets[first : last + 1], unit)
    for row in range(first, last):
        if not validity[row]:
            continue
        text, start, stop, kind = row_text(data, offsets[row], offsets[row + 1], unit, scratch)
        at = row_offsets[row]
        while start >= 0:
            block = out[at : min(at + BLOCK, row_offsets[row + 1])]
            found, start = hash_block(text, start, stop, kind, ngram, marks, block)
            at += found


@njit(cache=True, nogil=True)
def word_scratch(offsets: Int64s, unit: int) -> Uint8s:
    """Return room for the words of the longest of these rows; no room for the other units, which need none."""
    longest = 0
    if unit == WORD:
        for row in range(offsets.size - 1):
            longest = max(longest, offsets[row + 1] - offsets[row])
    return np.empty(longest, np.uint8)


@njit(cache=True, nogil=True)
def row_text(data: Uint8s, start: int, stop: int, unit: int, scratch: Uint8s) -> tuple[Uint8s, int, int, int]:
    """Return (buffer, first, stop, unit) such that every n-gram of the row is a plain slice of the buffer."""
    text = data
    if unit == WORD:
        stop = join_words(data, start, stop, scratch)
        text = scratch
        start = 0
    elif unit == CHAR and is_ascii(data[start:stop]):
        unit = BYTE
    return text, start, stop, unit


@njit(cache=True, nogil=True)
def hash_block(text: Uint8s, first: int, stop: int, unit: int, ngram: int, marks: Int64s, out: Uint32s) -> tuple[int, int]:
    """Hash the next n-grams of `text[first:stop]`, at most `out.size`; return how many, and where the next one starts (-1: no more).

    Words must be separated by one space, as `join_words` leaves them; `marks` needs room for `out.size + ngram` unit starts.
    """
    if first >= stop:
        return 0, -1
    if unit == BYTE and stop - first >= ngram:
        found = min(out.size, stop - first - ngram + 1)
        hash_windows(text[first : first + found + ngram - 1], ngram, out[:found])
        return found, (first + found if first + found + ngram <= stop else -1)
    gap = 1 if unit == WORD else 0
    held = mark_units(text, first, stop, unit, marks[: out.size + ngram])
    found = held - ngram
    if found <= 0:
        out[0] = xxh32(text, first, stop)
        return 1, -1
    for i in range(found):
        out[i] = xxh32(text, marks[i], marks[i + ngram] - gap)
    return found, (marks[found] if marks[held - 1] < stop + gap else -1)


@njit(cache=True, nogil=True)
def hash_windows(text: Uint8s, width: int, out: Uint32s) -> None:
    """Write xxHash32 of every window of `width` bytes, each step over the whole block at once, so that each step is a vector loop."""
    done = 0
    if width < STRIPE:
        out[:] = u32(PRIME5 + u32(width))
    else:
        done = width // STRIPE * STRIPE
        stripe_windows(text, done, out)
        for i in range(out.size):
            out[i] = u32(out[i] + u32(width))
    while done + 4 <= width:
        rest = text[done:]
        for i in range(out.size):
            out[i] = u32(rotate(u32(out[i] + u32(word_at(rest, i) * PRIME3)), u32(17)) * PRIME4)
        done += 4
    while done < width:
        rest = text[done:]
        for i in range(out.size):
            out[i] = u32(rotate(u32(out[i] + u32(u32(rest[i]) * PRIME5)), u32(11)) * PRIME1)
        done += 1
    for i in range(out.size):
        out[i] = avalanche(out[i])


@njit(cache=True, nogil=True)
def stripe_windows(text: Uint8s, stop: int, out: Uint32s) -> None:
    """Write the sum of xxHash32's four lanes over the first `stop` bytes, a multiple of 16, of every window."""
    lane = np.empty_like(out)
    out[:] = u32(0)
    for number in range(4):
        lane[:] = LANE1 if number == 0 else PRIME2 if number == 1 else u32(0) if number == 2 else LANE4
        for at in range(4 * number, stop, STRIPE):
            rest = text[at:]
            for i in range(out.size):
                lane[i] = u32(rotate(u32(lane[i] + u32(word_at(rest, i) * PRIME2)), u32(13)) * PRIME1)
        turn = u32(1) if number == 0 else u32(7) if number == 1 else u32(12) if number == 2 else u32(18)
        for i in range(out.size):
            out[i] = u32(out[i] + rotate(lane[i], turn))


@of_views
def xxh32(data: Uint8s, start: int, stop: int) -> np.uint32:
    """Return xxHash32 of `data[start:stop]` with seed 0."""
    at, end = u64(start), u64(stop)  # an unsigned index needs no check for wrap-around, which is three times as fast here
    if stop - start >= STRIPE:
        lane1, lane2, lane3, lane4 = LANE1, PRIME2, u32(0), LANE4
        while at + u64(16) <= end:
            lane1 = u32(rotate(u32(lane1 + u32(word_at(data, at) * PRIME2)), u32(13)) * PRIME1)
            lane2 = u32(rotate(u32(lane2 + u32(word_at(data, at + u64(4)) * PRIME2)), u32(13)) * PRIME1)
            lane3 = u32(rotate(u32(lane3 + u32(word_at(data, at + u64(8)) * PRIME2)), u32(13)) * PRIME1)
            lane4 = u32(rotate(u32(lane4 + u32(word_at(data, at + u64(12)) * PRIME2)), u32(13)) * PRIME1)
            at += u64(16)
        left = u32(rotate(lane1, u32(1)) + rotate(lane2, u32(7)))
        value = u32(left + u32(rotate(lane3, u32(12)) + rotate(lane4, u32(18))))
    else:
        value = PRIME5
    value = u32(value + u32(stop - start))
    while at + u64(4) <= end:
        value = u32(rotate(u32(value + u32(word_at(data, at) * PRIME3)), u32(17)) * PRIME4)
        at += u64(4)
    while at < end:
        value = u32(rotate(u32(value + u32(u32(data[at]) * PRIME5)), u32(11)) * PRIME1)
        at += u64(1)
    return avalanche(value)


@of_views
def rotate(value: np.uint32, turn: np.uint32) -> np.uint32:
    """Rotate 32 bits to the left."""
    return u32(u32(value << turn) | u32(value >> u32(u32(32) - turn)))


@of_views
def avalanche(value: np.uint32) -> np.uint32:
    """Return the final mix of xxHash32."""
    value = u32(u32(value ^ u32(value >> u32(15))) * PRIME2)
    value = u32(u32(value ^ u32(value >> u32(13))) * PRIME3)
    return u32(value ^ u32(value >> u32(16)))


@of_views
def word_at(data: Uint8s, at: int | np.uint64) -> np.uint32:
    """Read four bytes as a little-endian word."""
    i = u64(at)
    low = u32(u32(data[i]) | u32(u32(data[i + u64(1)]) << u32(8)))
    high = u32(u32(data[i + u64(2)]) | u32(u32(data[i + u64(3)]) << u32(8)))
    return u32(low | u32(high << u32(16)))


@of_views
def is_ascii(text: Uint8s) -> bool:
    """Say whether every byte is below 0x80."""
    seen = np.uint8(0)
    for i in range(text.size):
        seen |= text[i]
    return bool(seen < 0x80)


@of_views
def mark_units(text: Uint8s, first: int, stop: int, unit: int, marks: Int64s) -> int:
    """Write where units start, from `first` on, and return how many marks fit or stood there.

    The last unit of the text is closed by a mark of its own, at `stop`, or one after it for words, as if a space stood there.
    """
    marks[0] = first
    held = 1
    if unit != WORD:
        while held < marks.size and marks[held - 1] < stop:
            marks[held] = next_character(text, marks[held - 1], stop) if unit == CHAR else marks[held - 1] + 1
            held += 1
        return held
    at = first
    while held < marks.size and at < stop:
        marks[held] = at + 1
        held += text[u64(at)] == SPACE  # a branch here would be mispredicted once a word
        at += 1
    if held < marks.size:
        marks[held] = stop + 1
        held += 1
    return held


@of_views
def next_character(text: Uint8s, at: int, stop: int) -> int:
    """Return where the character after the one at `at` starts."""
    lead = text[u64(at)]
    at += 1
    if 0xC0 <= lead < 0xF8:
        last = min(stop, at + (1 if lead < 0xE0 else 2 if lead < 0xF0 else 3))
        while at < last and (text[u64(at)] & 0xC0) == 0x80:
            at += 1
    return at


@of_views
def wide_space(data: Uint8s, at: int, stop: int) -> int:
    """Return how many bytes the White_Space character outside ASCII at `at` has; 0 when it is no such character."""
    lead = data[u64(at)]
    if lead == 0xC2 and at + 1 < stop:
        return 2 if data[at + 1] == 0x85 or data[at + 1] == 0xA0 else 0
    if not 0xE1 <= lead <= 0xE3 or at + 2 >= stop:
        return 0
    middle, last = data[at + 1], data[at + 2]
    if lead == 0xE1:
        white = middle == 0x9A and last == 0x80
    elif lead == 0xE3:
        white = middle == 0x80 and last == 0x80
    elif middle == 0x80:
        white = 0x80 <= last <= 0x8A or last == 0xA8 or last == 0xA9 or last == 0xAF
    else:
        white = middle == 0x81 and last == 0x9F
    return 3 if white else 0


@of_views
def join_words(data: Uint8s, start: int, stop: int, out: Uint8s) -> int:
    """Copy the words of `data[start:stop]` with one space between them, and return how many bytes that makes."""
    length = 0
    at = start
    after_space = True
    while at < stop:
        byte = data[u64(at)]
        white = bool(byte == SPACE or u8(byte - u8(9)) < 5)
        wide = wide_space(data, at, stop) if byte >= 0x80 else 0
        if wide:
            white = True
            at += wide - 1
        out[u64(length)] = u8(SPACE) if white else byte
        length += not (white and after_space)
        after_space = white
        at += 1
    return length - 1 if length > 0 and after_space else length


@of_views
def count_units(data: Uint8s, start: int, stop: int, unit: int) -> int:
    """Count the bytes, characters or words of `data[start:stop]`."""
    if unit == BYTE or (unit == CHAR and is_ascii(data[start:stop])):
        return stop - start
    units = 0
    at = start
    if unit == CHAR:
        while at < stop:
            at = next_character(data, at, stop)
            units += 1
        return units
    after_space = True
    while at < stop:
        byte = data[u64(at)]
        white = bool(byte == SPACE or u8(byte - u8(9)) < 5)
        wide = wide_space(data, at, stop) if byte >= 0x80 else 0
        if wide:
            white = True
            at += wide - 1
        units += after_space and not white
        after_space = white
        at += 1
    return units
