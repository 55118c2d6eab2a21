"""Fast Similarity Sketching in plain NumPy: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.ngram_keys.reference import row_keys, token_keys

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s, Uint64s

EMPTY = np.uint32(0xFFFFFFFF)


def signatures(hashes: Uint32s | Uint64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row into `out`, which comes filled with 0xFFFFFFFF."""
    for row in range(out.shape[0]):
        sketch(hashes[row_offsets[row] : row_offsets[row + 1]].astype(np.uint64), mixes, a, b, out[row])


def text_signatures(
    data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    """Write the signature of each row's set of n-grams into `out`, which comes filled with 0xFFFFFFFF."""
    for row in range(out.shape[0]):
        sketch(np.array(row_keys(data, offsets, validity, unit, ngram, row), np.uint64), mixes, a, b, out[row])


def token_signatures(data: Uint8s, offsets: Int64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row of tokens into `out`, which comes filled with 0xFFFFFFFF."""
    keys = np.empty(offsets.size - 1, np.uint64)
    token_keys(data, offsets, keys)
    signatures(keys, row_offsets, mixes, a, b, out)


def sketch(elements: Uint64s, mixes: Uint64s, a: Uint32s, b: Uint32s, slots: Uint32s) -> None:
    """Fill the slots from one set."""
    for number in range(3):
        mixed = splitmix64(elements + mixes[number])
        chosen = (mixed & np.uint64(0xFFFFFFFF)) * np.uint64(slots.size) >> np.uint64(32)
        ranks = (mixed >> np.uint64(34)).astype(np.uint32)
        np.minimum.at(slots, chosen.astype(np.int64), ranks | np.uint32(number << 30))
    images = splitmix64(elements + mixes[3]).astype(np.uint32)
    for slot in np.flatnonzero(slots == EMPTY):
        if elements.size:
            least = (a[slot] * images + b[slot]).min() >> np.uint32(2)
            slots[slot] = min(np.uint32(3 << 30) | least, EMPTY - np.uint32(1))


def splitmix64(value: Uint64s) -> Uint64s:
    """Return the output function of SplitMix64 (Steele, Lea, Flood 2014)."""
    value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return value ^ value >> np.uint64(31)
