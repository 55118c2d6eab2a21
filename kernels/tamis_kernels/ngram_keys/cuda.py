"""Keys of n-grams in CUDA: a word a thread is keyed once, then an n-gram a thread chains the keys of its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int64

from tamis_kernels.cuda_rows import row_in_block
from tamis_kernels.device import launch, streamed, xp
from tamis_kernels.ngram_keys.cpu import bytes_key, chain
from tamis_kernels.ngrams.cpu import WORD
from tamis_kernels.ngrams.cuda import find_units, stream_grams, units_of

if TYPE_CHECKING:
    from tamis_kernels.ngrams.cuda import Units
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint64s

u64 = np.uint64


def keys(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""

    def work(text: Any, bounds: Any, there: Any, gram_rows: Any) -> Any:
        return keys_of(find_units(text, bounds, there, unit), unit, ngram, gram_rows)

    stream_grams(data, offsets, validity, row_offsets, work, out)


def token_keys(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each text as a whole."""
    streamed(
        offsets + 16 * np.arange(offsets.size),
        lambda first, last: (data[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first]),
        lambda _first, _last, text, bounds: (token_keys_of(text, bounds),),
        lambda first, last: (out[first:last],),
    )


def keys_of(units: Units, unit: int, ngram: int, gram_rows: Any) -> Any:
    """Return the key of each n-gram, on the device."""
    out = xp.empty(int(gram_rows[-1]), u64)
    if unit == WORD:
        words = xp.empty(units.starts.size, u64)
        launch(key_spans, words.size, units.text, units.starts, units.ends, words)
        launch(chain_words, out.size, words, units.rows, gram_rows, ngram, out)
    else:
        launch(key_grams, out.size, units.text, units.starts, units.ends, units.rows, gram_rows, ngram, out)
    return out


def token_keys_of(text: Any, bounds: Any) -> Any:
    """Return the key of each text as a whole, of texts on the device."""
    out = xp.empty(bounds.size - 1, u64)
    launch(key_spans, out.size, text, bounds[:-1], bounds[1:], out)
    return out


@cuda.jit
def key_spans(text: Uint8s, starts: Int64s, ends: Int64s, out: Uint64s) -> None:
    """Key a span of bytes a thread; an empty one has the key 0."""
    span = cuda.grid(1)
    if span < out.size:
        out[span] = bytes_key(text, starts[span], ends[span]) if starts[span] < ends[span] else u64(0)


@cuda.jit
def chain_words(words: Uint64s, rows: Int64s, gram_rows: Int64s, ngram: int, out: Uint64s) -> None:
    """Key an n-gram of words a thread."""
    gram = cuda.grid(1)
    row = row_in_block(gram_rows, out.size, cuda.shared.array(2, int64))
    if gram < out.size:
        first, stop = units_of(rows, gram_rows, row, ngram, gram)
        key = u64(stop - first)
        for word in range(first, stop):
            key = chain(key, words[word])
        out[gram] = key


@cuda.jit
def key_grams(text: Uint8s, starts: Int64s, ends: Int64s, rows: Int64s, gram_rows: Int64s, ngram: int, out: Uint64s) -> None:
    """Key an n-gram of bytes or characters a thread."""
    gram = cuda.grid(1)
    row = row_in_block(gram_rows, out.size, cuda.shared.array(2, int64))
    if gram < out.size:
        first, stop = units_of(rows, gram_rows, row, ngram, gram)
        out[gram] = bytes_key(text, starts[first], ends[stop - 1])
