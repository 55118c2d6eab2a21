"""Hashes of the n-grams (shingles) of many texts, straight from Arrow buffers.

What an n-gram is
-----------------
`byte`
    n consecutive bytes.
`char`
    n consecutive characters. A character is a lead byte `110xxxxx`, `1110xxxx` or `11110xxx` with the one, two or three continuation
    bytes it announces, as far as they are there; every other byte, a stray continuation byte included, is a character by itself. In valid
    UTF-8 that is a code point.
`word`
    n consecutive words, joined by one space. Words are what is left between runs of Unicode White_Space (U+0009-000D, 0020, 0085, 00A0,
    1680, 2000-200A, 2028, 2029, 202F, 205F, 3000). Punctuation does nothing: it is part of its word.

A text with at least one unit but fewer than n is one n-gram, the whole of it. A text without units and a null text have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis_kernels.arrays import check_array, check_offsets, check_one_of, check_whole, read_only, spanned
from tamis_kernels.backend import implementation

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Int32s, Int64s, Uint8s, Uint32s

Unit = Literal["byte", "char", "word"]

UNITS = {"byte": 0, "char": 1, "word": 2}
MOST_UNITS = 2**20


def hashes(
    data: Uint8s,
    offsets: Int32s | Int64s,
    *,
    validity: Bools | None = None,
    unit: Unit = "byte",
    ngram: int = 5,
    backend: AnyBackend = "auto",
) -> tuple[Uint32s, Int64s]:
    """Hash every n-gram of every text with xxHash32, seed 0.

    Parameters
    ----------
    data
        uint8[bytes], the texts one after the other; any bytes are allowed, valid UTF-8 or not.
    offsets
        int32 or int64 [rows + 1], Arrow layout: text i is `data[offsets[i]:offsets[i + 1]]`; the first offset may be above 0.
    validity
        bool[rows], False where the text is null; None when none is.
    unit
        `byte`, `char` or `word`.
    ngram
        Units per n-gram, 1 to 2²⁰.
    backend
        Where to run.

    Returns
    -------
    hashes
        uint32[m], the hashes of row 0's n-grams in text order, repeats included, then row 1's, and so on.
    row_offsets
        int64[rows + 1], where each row's hashes start.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.

    Notes
    -----
    xxHash32: Yann Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
    """
    data, offsets, valid, code = text_arguments(data, offsets, validity, unit, ngram)
    run = implementation("ngrams", backend, spanned(offsets))
    row_offsets = np.zeros(offsets.size, np.int64)
    run.count(data, offsets, valid, code, ngram, row_offsets[1:])
    np.cumsum(row_offsets, out=row_offsets)
    out = np.empty(int(row_offsets[-1]), np.uint32)
    run.hashes(data, offsets, valid, code, ngram, row_offsets, out)
    return out, row_offsets


def text_arguments(
    data: Uint8s, offsets: Int32s | Int64s, validity: Bools | None, unit: Unit, ngram: int
) -> tuple[Uint8s, Int64s, Bools, int]:
    """Check a batch of texts and return it in the one form that the kernels are compiled for."""
    check_one_of("unit", unit, UNITS)
    check_whole("ngram", ngram, 1, MOST_UNITS)
    check_array("data", data, np.uint8, ("n_bytes",), "view the buffer as uint8")
    offsets = check_offsets("offsets", offsets, data.size)
    if validity is None:
        validity = np.ones(offsets.size - 1, np.bool_)
    check_array("validity", validity, np.bool_, (offsets.size - 1,))
    return read_only(data), offsets, read_only(validity), UNITS[unit]
