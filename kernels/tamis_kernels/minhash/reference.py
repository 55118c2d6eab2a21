"""MinHash signatures in plain NumPy: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.ngrams.reference import row_ngrams, xxh32

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s


def signatures(hashes: Uint32s, row_offsets: Int64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Lower row i of `out` to the least images of the row's hashes."""
    for row in range(out.shape[0]):
        _lower(hashes[row_offsets[row] : row_offsets[row + 1]], a, b, out[row])


def text_signatures(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Lower row i of `out` to the least images of the hashes of the row's n-grams."""
    for row in range(out.shape[0]):
        grams = row_ngrams(data, offsets, validity, unit, ngram, row)
        _lower(np.array([xxh32(gram) for gram in grams], np.uint32), a, b, out[row])


def fmix32(value: Uint32s) -> Uint32s:
    """Return the finalizer of MurmurHash3."""
    value = (value ^ value >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    value = (value ^ value >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return value ^ value >> np.uint32(16)


def _lower(hashes: Uint32s, a: Uint32s, b: Uint32s, minima: Uint32s) -> None:
    mixed = fmix32(hashes)
    for slot in range(minima.size):
        minima[slot] = np.min(a[slot] * mixed + b[slot], initial=minima[slot])
