"""Keys of n-grams in Numba. `tamis_kernels.fss.cpu` compiles `next_keys` into its fused kernel.

Windows of bytes take each step for a whole block at once, so that it is a vector loop. Words are keyed once each, where they stand: nothing
is copied or joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.ngrams.cpu import BYTE, CHAR, SPACE, WORD, is_ascii, mark_units, row_work, wide_space
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint64s

HELD = 1 << 14  # keys made at a time
SCANNED = 4096  # bytes looked through for white space at a time
WINDOWS = 1024  # keys of windows that stay in the L1 cache between the steps
u8, u64 = np.uint8, np.uint64
MULTIPLIER = u64(0xD6E8FEB86659FD93)


def keys(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""
    for_rows(_keys, row_work(offsets), data, offsets, validity, unit, ngram, row_offsets, out)


def token_keys(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each text as a whole."""
    for_rows(_token_keys, offsets, data, offsets, out)


@of_views
def _token_keys(first: int, last: int, data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    for row in range(first, last):
        start, stop = offsets[row], offsets[row + 1]
        out[row] = bytes_key(data, start, stop) if start < stop else u64(0)


@njit(cache=True, nogil=True)
def _keys(
    first: int, last: int, data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint64s
) -> None:
    marks, words, white = unit_room(unit, ngram)
    for row in range(first, last):
        at, stop = row_offsets[row], row_offsets[row + 1]
        start = offsets[row] if validity[row] else offsets[row + 1]
        kind = unit_of_row(data, start, offsets[row + 1], unit)
        while at < stop:
            found, start = next_keys(data, start, offsets[row + 1], kind, ngram, marks, words, white, out[at : min(at + HELD, stop)])
            at += found


@njit(cache=True, nogil=True)
def unit_room(unit: int, ngram: int) -> tuple[Int64s, Uint64s, Uint8s]:
    """Return room for the places of units (two for a word), the keys of words, and the white space of a run of bytes."""
    held = 0 if unit == BYTE else HELD + ngram
    words = held if unit == WORD else 0
    return np.empty(held + words + SCANNED, np.int64), np.empty(words, np.uint64), np.empty(SCANNED + 1, np.uint8)


@of_views
def unit_of_row(data: Uint8s, start: int, stop: int, unit: int) -> int:
    """Return the unit that a row is cut by: characters of pure ASCII are bytes."""
    return BYTE if unit == CHAR and is_ascii(data[start:stop]) else unit


@njit(cache=True, nogil=True)
def next_keys(
    text: Uint8s, first: int, stop: int, unit: int, ngram: int, marks: Int64s, words: Uint64s, white: Uint8s, out: Uint64s
) -> tuple[int, int]:
    """Write the keys of the next n-grams of `text[first:stop]`, at most `out.size`; return how many, and where the next starts or -1."""
    if first >= stop:
        return 0, -1
    if unit == BYTE:
        found = min(out.size, stop - first - ngram + 1)
        if found <= 0:
            out[0] = bytes_key(text, first, stop)
            return 1, -1
        for start in range(0, found, WINDOWS):
            end = min(start + WINDOWS, found)
            window_keys(text[first + start : first + end + ngram - 1], ngram, out[start:end])
        return found, (first + found if first + found + ngram <= stop else -1)
    if unit == CHAR:
        held = mark_units(text, first, stop, CHAR, marks[: out.size + ngram])
        found = held - ngram
        if found <= 0:
            out[0] = bytes_key(text, first, stop)
            return 1, -1
        for i in range(found):
            out[i] = bytes_key(text, marks[i], marks[i + ngram])
        return found, (marks[found] if marks[held - 1] < stop else -1)
    return next_word_keys(text, first, stop, ngram, marks, words, white, out)


@of_views
def next_word_keys(
    text: Uint8s, first: int, stop: int, ngram: int, edges: Int64s, words: Uint64s, white: Uint8s, out: Uint64s
) -> tuple[int, int]:
    """Do what `next_keys` does, for words."""
    held = find_words(text, first, stop, out.size + ngram, edges, white)
    if held == 0:
        return 0, -1
    for word in range(held):
        words[word] = bytes_key(text, edges[2 * word], edges[2 * word + 1])
    width = min(ngram, held)
    found = min(out.size, held - width + 1)
    for start in range(0, found, WINDOWS):
        part = out[start : min(start + WINDOWS, found)]
        part[:] = u64(width)
        for word in range(width):
            pieces = words[start + word :]
            for i in range(part.size):
                part[i] = chain(part[i], pieces[i])
    return found, (edges[2 * found] if held == out.size + ngram else -1)


@of_views
def find_words(text: Uint8s, first: int, stop: int, most: int, edges: Int64s, white: Uint8s) -> int:
    """Write where the next words start and end, in turn, at most `most` words, and return how many."""
    held = 0
    white[0] = 1
    for start in range(first, stop, SCANNED):
        size = min(SCANNED, stop - start)
        mark_white(text, first, start, start + size, stop, white[1:])
        for i in range(size):
            edges[u64(held)] = start + i
            held += white[u64(i)] != white[u64(i) + u64(1)]  # a branch here would be mispredicted twice a word
        white[0] = white[size]
        if held >= 2 * most:
            return most
    edges[u64(held)] = stop
    return (held + 1) // 2


@of_views
def mark_white(text: Uint8s, first: int, start: int, end: int, stop: int, white: Uint8s) -> None:
    """Write, for each byte from `start` to `end`, whether it belongs to a White_Space character of `text[first:stop]`."""
    highest = u8(0)
    part = text[start:end]
    for i in range(part.size):
        white[i] = (part[i] == SPACE) | (u8(part[i] - u8(9)) < 5)
        highest = max(highest, part[i])
    if highest < 0x80:  # neither begins such a character here, nor one from before goes on
        return
    for at in range(max(first, start - 2), end):
        width = wide_space(text, at, stop) if text[at] >= 0xC2 else 0
        for place in range(max(at, start), min(at + width, end)):
            white[place - start] = 1


@njit(cache=True, nogil=True)
def window_keys(text: Uint8s, width: int, out: Uint64s) -> None:
    """Write the key of every window of `width` bytes."""
    out[:] = u64(width)
    whole = width // 8 * 8
    for at in range(0, whole, 8):
        rest = text[at:]
        for i in range(out.size):
            out[i] = chain(out[i], eight_bytes(rest, u64(i)))
    if whole == width:
        return
    piece = np.zeros(out.size, np.uint64)
    for byte in range(whole, width):
        rest = text[byte:]
        shift = u64(8 * (byte - whole))
        for i in range(out.size):
            piece[i] |= u64(rest[i]) << shift
    for i in range(out.size):
        out[i] = chain(out[i], piece[i])


@of_views
def bytes_key(text: Uint8s, start: int, stop: int) -> np.uint64:
    """Return the key of `text[start:stop]`, which is not empty."""
    key = u64(stop - start)
    at, end = u64(start), u64(stop)
    while at + u64(8) < end:
        key = chain(key, eight_bytes(text, at))
        at += u64(8)
    if at + u64(8) <= u64(text.size):
        return chain(key, u64(eight_bytes(text, at) & u64(u64(0xFFFFFFFFFFFFFFFF) >> u64(u64(64) - u64(8) * u64(end - at)))))
    piece = u64(0)
    for i in range(end - at):
        piece |= u64(text[at + u64(i)]) << u64(8 * i)
    return chain(key, piece)


@of_views
def chain(key: np.uint64, piece: np.uint64) -> np.uint64:
    """Return the key lengthened by a piece."""
    key = u64(u64(key ^ piece) * MULTIPLIER)
    return u64(key ^ u64(key >> u64(32)))


@of_views
def eight_bytes(text: Uint8s, at: np.uint64) -> np.uint64:
    """Read eight bytes as a little-endian number."""
    low = u64(u64(text[at]) | u64(u64(text[at + u64(1)]) << u64(8)))
    low |= u64(u64(u64(text[at + u64(2)]) << u64(16)) | u64(u64(text[at + u64(3)]) << u64(24)))
    high = u64(u64(text[at + u64(4)]) | u64(u64(text[at + u64(5)]) << u64(8)))
    high |= u64(u64(u64(text[at + u64(6)]) << u64(16)) | u64(u64(text[at + u64(7)]) << u64(24)))
    return u64(low | u64(high << u64(32)))
