"""N-gram hashes in CUDA: a byte a thread finds where units begin and end, then an n-gram a thread hashes it.

Whether a unit begins at a byte depends on the few bytes before it alone, so no thread waits for another one. Words are joined by one space
first, so that every n-gram is a plain slice. `tamis_kernels.ngram_keys.cuda` and the signatures go on from `Units` on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int64

from tamis_kernels.cuda_rows import row_in_block
from tamis_kernels.device import launch, streamed, xp
from tamis_kernels.ngrams.cpu import BYTE, SPACE, WORD, next_character, wide_space, xxh32

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s

TEXT_BYTES = 64  # of the device that a byte of text takes at most: marks, places of units, keys of n-grams and what counts them
BATCH_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Units:
    """Where the units of texts begin and end; all arrays are on the device.

    Attributes
    ----------
    text
        uint8[bytes]: the texts, one after the other.
    starts, ends
        int64[units], rising: unit u is `text[starts[u]:ends[u]]`.
    rows
        int64[rows + 1]: row i has the units `rows[i]` to `rows[i + 1] - 1`.
    """

    text: Any
    starts: Any
    ends: Any
    rows: Any

    def grams(self, ngram: int) -> Any:
        """Return how many n-grams each row has."""
        units = self.rows[1:] - self.rows[:-1]
        return xp.minimum(units, xp.maximum(1, units - ngram + 1))

    def gram_rows(self, ngram: int) -> Any:
        """Return where each row's n-grams start, as `tamis_kernels.ngrams.hashes` does."""
        return xp.concatenate((xp.zeros(1, np.int64), xp.cumsum(self.grams(ngram))))


def count(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, out: Int64s) -> None:
    """Write the number of n-grams of each row into `out`."""

    def work(text: Any, bounds: Any, there: Any) -> Any:
        return find_units(text, bounds, there, unit).grams(ngram)

    stream_texts(data, offsets, validity, work, out)


def hashes(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint32s) -> None:
    """Write the hash of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""

    def work(text: Any, bounds: Any, there: Any, gram_rows: Any) -> Any:
        return hashes_of(find_units(text, bounds, there, unit), unit, ngram, gram_rows)

    stream_grams(data, offsets, validity, row_offsets, work, out)


def stream_texts(data: Uint8s, offsets: Int64s, validity: Bools, work: Callable[[Any, Any, Any], Any], out: Any) -> None:
    """Fill out with what `work(text, bounds, validity)` returns of each text, for batches of texts on the device."""
    streamed(
        TEXT_BYTES * offsets + np.arange(offsets.size) * out[:1].nbytes,
        lambda first, last: texts(data, offsets[first : last + 1], validity[first:last]),
        lambda _first, _last, *there: (work(*there),),
        lambda first, last: (out[first:last],),
        most=BATCH_BYTES,
    )


def texts(data: Uint8s, offsets: Int64s, validity: Bools) -> tuple[NDArray[Any], ...]:
    """Return the bytes of some texts, where each begins in these, and which there are."""
    return data[offsets[0] : offsets[-1]], offsets - offsets[0], validity


def stream_grams(
    data: Uint8s, offsets: Int64s, validity: Bools, row_offsets: Int64s, work: Callable[[Any, Any, Any, Any], Any], out: NDArray[Any]
) -> None:
    """Fill out with what `work(text, bounds, validity, gram_rows)` returns of each n-gram, for batches of texts on the device."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        return *texts(data, offsets[first : last + 1], validity[first:last]), row_offsets[first : last + 1] - row_offsets[first]

    def take(first: int, last: int) -> tuple[NDArray[Any]]:
        return (out[row_offsets[first] : row_offsets[last]],)

    sizes = TEXT_BYTES * offsets + 2 * offsets.itemsize * np.arange(offsets.size)
    streamed(sizes, give, lambda _first, _last, *there: (work(*there),), take, most=BATCH_BYTES)


def find_units(text: Any, bounds: Any, validity: Any, unit: int) -> Units:
    """Return the units of texts on the device; null rows have none."""
    begins, ends = xp.zeros(text.size, np.uint8), xp.zeros(text.size, np.uint8)
    launch(mark_units, text.size, text, bounds, validity, unit, begins, ends)
    starts = xp.flatnonzero(begins)
    return Units(text, starts, xp.flatnonzero(ends) + 1, xp.searchsorted(starts, bounds))


def hashes_of(units: Units, unit: int, ngram: int, gram_rows: Any) -> Any:
    """Return the hash of each n-gram, on the device."""
    units = join_words(units) if unit == WORD else units
    out = xp.empty(int(gram_rows[-1]), np.uint32)
    launch(hash_grams, out.size, units.text, units.starts, units.ends, units.rows, gram_rows, ngram, out)
    return out


def join_words(units: Units) -> Units:
    """Return the words with one space behind each."""
    lengths = units.ends - units.starts
    ends = xp.cumsum(lengths + 1) - 1
    text = xp.full(int(ends[-1]) + 1 if ends.size else 0, SPACE, np.uint8)
    launch(copy_words, ends.size, units.text, units.starts, ends - lengths, ends, text)
    return Units(text, ends - lengths, ends, units.rows)


@cuda.jit
def mark_units(text: Uint8s, offsets: Int64s, validity: Bools, unit: int, begins: Uint8s, ends: Uint8s) -> None:
    """Mark the first and the last byte of each unit, a byte a thread."""
    at = cuda.grid(1)
    row = row_in_block(offsets, text.size, cuda.shared.array(2, int64))
    if at < text.size:
        start, stop = offsets[row], offsets[row + 1]
        if validity[row]:
            if unit == WORD:
                inside = not is_white(text, start, at, stop)
                begins[at] = inside and (at == start or is_white(text, start, at - 1, stop))
                ends[at] = inside and (at + 1 == stop or is_white(text, start, at + 1, stop))
            else:
                begins[at] = unit == BYTE or not continues(text, start, at, stop)
                ends[at] = unit == BYTE or at + 1 == stop or not continues(text, start, at + 1, stop)


@cuda.jit(device=True)
def continues(text: Uint8s, start: int, at: int, stop: int) -> bool:
    """Return whether the byte belongs to a character that begins before it."""
    for back in range(1, 4):
        if text[at] & 0xC0 != 0x80 or at - back < start:
            return False
        if text[at - back] & 0xC0 != 0x80:
            return bool(next_character(text, at - back, stop) > at)
    return False


@cuda.jit(device=True)
def is_white(text: Uint8s, start: int, at: int, stop: int) -> bool:
    """Return whether the byte belongs to a White_Space character of `text[start:stop]`."""
    if text[at] < 0x80:
        return bool(text[at] == SPACE or 9 <= text[at] < 14)
    found = False
    for back in range(min(3, at - start + 1)):
        found |= wide_space(text, at - back, stop) > back
    return found


@cuda.jit
def copy_words(text: Uint8s, starts: Int64s, to: Int64s, ends: Int64s, out: Uint8s) -> None:
    """Copy a word a thread."""
    word = cuda.grid(1)
    if word < starts.size:
        for i in range(ends[word] - to[word]):
            out[to[word] + i] = text[starts[word] + i]


@cuda.jit(device=True)
def units_of(rows: Int64s, gram_rows: Int64s, row: int, ngram: int, gram: int) -> tuple[int, int]:
    """Return the first unit of an n-gram of a row, and the one behind its last."""
    first = rows[row] + gram - gram_rows[row]
    return first, min(first + ngram, rows[row + 1])


@cuda.jit
def hash_grams(text: Uint8s, starts: Int64s, ends: Int64s, rows: Int64s, gram_rows: Int64s, ngram: int, out: Uint32s) -> None:
    """Hash an n-gram a thread."""
    gram = cuda.grid(1)
    row = row_in_block(gram_rows, out.size, cuda.shared.array(2, int64))
    if gram < out.size:
        first, stop = units_of(rows, gram_rows, row, ngram, gram)
        out[gram] = xxh32(text, starts[first], ends[stop - 1])
