"""MinHash signatures in Numba.

The vector loop runs over the permutations, with eight hashes held in registers: per 16 permutations it loads a, b and the minima once for
eight multiplications, additions and minima, so that arithmetic is the limit, and a row of 16 hashes is as well served as one of 16,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.ngrams.cpu import BLOCK, hash_block, row_text, row_work, word_scratch
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s

u32 = np.uint32
HELD = 8  # hashes held in registers; BLOCK is a multiple of it


def signatures(hashes: Uint32s, row_offsets: Int64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Lower row i of `out` to the least images of the row's hashes."""
    for_rows(_signatures, row_work(row_offsets), hashes, row_offsets, a, b, out)


def text_signatures(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Lower row i of `out` to the least images of the hashes of the row's n-grams."""
    for_rows(_text_signatures, row_work(offsets), data, offsets, validity, unit, ngram, a, b, out)


@njit(cache=True, nogil=True)
def _signatures(first: int, last: int, hashes: Uint32s, row_offsets: Int64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    block = np.empty(BLOCK, np.uint32)
    for row in range(first, last):
        for start in range(row_offsets[row], row_offsets[row + 1], BLOCK):
            part = hashes[start : min(start + BLOCK, row_offsets[row + 1])]
            for i in range(part.size):
                block[i] = part[i]
            lower(block, part.size, a, b, out[row])


@njit(cache=True, nogil=True)
def _text_signatures(
    first: int, last: int, data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    block = np.empty(BLOCK, np.uint32)
    marks = np.empty(BLOCK + ngram, np.int64)
    scratch = word_scratch(offsets[first : last + 1], unit)
    for row in range(first, last):
        if not validity[row]:
            continue
        text, start, stop, kind = row_text(data, offsets[row], offsets[row + 1], unit, scratch)
        while start >= 0:
            found, start = hash_block(text, start, stop, kind, ngram, marks, block)
            lower(block, found, a, b, out[row])


@of_views
def lower(block: Uint32s, found: int, a: Uint32s, b: Uint32s, minima: Uint32s) -> None:
    """Lower the minima to the least images of `block[:found]`; the block is overwritten."""
    if found == 0:
        return
    for i in range(found):
        block[i] = fmix32(block[i])
    lower_mixed(block, found, a, b, minima)


@of_views
def lower_mixed(block: Uint32s, found: int, a: Uint32s, b: Uint32s, minima: Uint32s) -> None:
    """Lower the minima to the least images of `block[:found]`, at least one hash that is mixed already; the block is overwritten."""
    for i in range(found, (found + HELD - 1) // HELD * HELD):
        block[i] = block[0]  # a repeat changes no minimum
    for i in range(0, found, HELD):
        h0, h1, h2, h3 = block[i], block[i + 1], block[i + 2], block[i + 3]
        h4, h5, h6, h7 = block[i + 4], block[i + 5], block[i + 6], block[i + 7]
        for slot in range(minima.size):
            x, y = a[slot], b[slot]
            least = min(
                min(min(image(x, y, h0), image(x, y, h1)), min(image(x, y, h2), image(x, y, h3))),
                min(min(image(x, y, h4), image(x, y, h5)), min(image(x, y, h6), image(x, y, h7))),
            )
            minima[slot] = min(minima[slot], least)


@of_views
def image(a: np.uint32, b: np.uint32, value: np.uint32) -> np.uint32:
    """Return where a permutation sends a mixed hash."""
    return u32(u32(a * value) + b)


@of_views
def fmix32(value: np.uint32) -> np.uint32:
    """Return the finalizer of MurmurHash3."""
    value = u32(u32(value ^ u32(value >> u32(16))) * u32(0x85EBCA6B))
    value = u32(u32(value ^ u32(value >> u32(13))) * u32(0xC2B2AE35))
    return u32(value ^ u32(value >> u32(16)))
