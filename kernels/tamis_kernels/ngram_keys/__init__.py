"""64-bit keys of the n-grams of many texts, straight from Arrow buffers: what `fss` signatures and verified sets are made of.

N-grams are those of `tamis_kernels.ngrams`, keyed for speed and few collisions rather than for interchange: two of the n different
n-grams of a text share a key with probability n² / 2⁶⁵, where 32 bits give n² / 2³³. A byte n-gram of at most 8 bytes never shares one.

    chain(pieces, size):  h = size;  for each piece:  h = (h ^ piece) · 0xD6E8FEB86659FD93 mod 2⁶⁴;  h = h ^ (h >> 32)

The key of bytes is the chain of their 8-byte little-endian pieces, the last one filled up with zeros, and `size` their number. The key of a
word n-gram is the chain of its words' keys, and `size` the number of words: each word is read once, whatever n is. Keys are not yet spread
evenly; mix them before taking bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import spanned
from tamis_kernels.backend import implementation
from tamis_kernels.ngrams import text_arguments

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.ngrams import Unit
    from tamis_kernels.types import Bools, Int32s, Int64s, Uint8s, Uint64s

__all__ = ["keys", "token_keys"]


def keys(
    data: Uint8s,
    offsets: Int32s | Int64s,
    *,
    validity: Bools | None = None,
    unit: Unit = "byte",
    ngram: int = 5,
    backend: AnyBackend = "auto",
) -> tuple[Uint64s, Int64s]:
    """Return the key of every n-gram of every text.

    Parameters
    ----------
    data, offsets, validity, unit, ngram
        As in `tamis_kernels.ngrams.hashes`.
    backend
        Where to run.

    Returns
    -------
    keys
        uint64[m], the keys of row 0's n-grams in text order, repeats included, then row 1's, and so on.
    row_offsets
        int64[rows + 1], where each row's keys start.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    data, offsets, valid, code = text_arguments(data, offsets, validity, unit, ngram)
    row_offsets = np.zeros(offsets.size, np.int64)
    implementation("ngrams", backend, spanned(offsets)).count(data, offsets, valid, code, ngram, row_offsets[1:])
    np.cumsum(row_offsets, out=row_offsets)
    out = np.empty(int(row_offsets[-1]), np.uint64)
    implementation("ngram_keys", backend, spanned(offsets)).keys(data, offsets, valid, code, ngram, row_offsets, out)
    return out, row_offsets


def token_keys(data: Uint8s, offsets: Int32s | Int64s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Return the key of each text as a whole, for texts that are ready tokens.

    Parameters
    ----------
    data, offsets
        As in `tamis_kernels.ngrams.hashes`.
    backend
        Where to run.

    Returns
    -------
    uint64[rows]
        The chain of each text's bytes; that of an empty text is 0.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    data, offsets, _, _ = text_arguments(data, offsets, None, "byte", 1)
    out = np.empty(offsets.size - 1, np.uint64)
    implementation("ngram_keys.token_keys", backend, spanned(offsets)).token_keys(data, offsets, out)
    return out
