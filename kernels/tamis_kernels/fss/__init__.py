"""Fast Similarity Sketching, the scheme `fss`: one slot an element in place of all of them, with less error than MinHash on small sets.

Every element is mixed to 64 bits once a round: the low half chooses one slot, the high 30 bits are its rank there. A slot keeps the least
of `round · 2³⁰ + rank`. Rounds 0, 1 and 2 are taken in turn until no slot is empty. A slot that no round has filled takes the least
affine image of all elements, tagged as round 3. What a slot holds depends on the set alone, so that order and repeats do not matter and
the slot-wise minimum of two signatures is the signature of the union; an empty set has all slots at 0xFFFFFFFF.

The share of equal slots estimates the Jaccard similarity without bias. Signatures of this scheme, of `affine32`, and of other seeds or
numbers of slots cannot be compared with one another.

S. Dahlgaard, M. B. T. Knudsen, M. Thorup, Fast Similarity Sketching, FOCS 2017. Three rounds in place of their 2k, MinHash behind them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_offsets, read_only, spanned
from tamis_kernels.backend import implementation
from tamis_kernels.minhash import EMPTY_SLOT, merge, permutations
from tamis_kernels.ngrams import Unit, text_arguments

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Int32s, Int64s, Uint8s, Uint32s, Uint64s

ROUNDS = 3


def signatures(
    hashes: Uint32s | Uint64s, row_offsets: Int64s, *, num_perm: int = 128, seed: int = 1, backend: AnyBackend = "auto"
) -> Uint32s:
    """Return the signature of each row of ready hashes.

    Parameters
    ----------
    hashes
        uint32[m] or uint64[m], hashes of the elements, or the elements themselves: they are mixed first. Equal numbers count as equal
        elements, whatever their width.
    row_offsets
        int32 or int64 [rows + 1]: row i is `hashes[row_offsets[i]:row_offsets[i + 1]]`.
    num_perm
        Slots per signature, 1 to 2²⁰.
    seed
        Draws the mixes; 0 to 2³² - 1.
    backend
        Where to run.

    Returns
    -------
    uint32[rows, num_perm]

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    check_array("hashes", hashes, (np.uint32, np.uint64), ("m",))
    row_offsets = check_offsets("row_offsets", row_offsets, hashes.size)
    a, b = permutations(num_perm, seed)
    out = np.full((row_offsets.size - 1, num_perm), EMPTY_SLOT, np.uint32)
    module = implementation("fss", backend, hashes.itemsize * spanned(row_offsets))
    module.signatures(read_only(hashes), row_offsets, mixes(seed), a, b, out)
    return out


def text_signatures(
    data: Uint8s,
    offsets: Int32s | Int64s,
    *,
    validity: Bools | None = None,
    unit: Unit = "byte",
    ngram: int = 5,
    num_perm: int = 128,
    seed: int = 1,
    backend: AnyBackend = "auto",
) -> Uint32s:
    """Return the signature of each text's set of n-grams.

    The result is that of `tamis_kernels.ngram_keys.keys`, whose parameters `data`, `offsets`, `validity`, `unit` and `ngram` these are,
    followed by `signatures`.

    Returns
    -------
    uint32[rows, num_perm]
        All slots are 0xFFFFFFFF for a null or empty text.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    data, offsets, valid, code = text_arguments(data, offsets, validity, unit, ngram)
    a, b = permutations(num_perm, seed)
    out = np.full((offsets.size - 1, num_perm), EMPTY_SLOT, np.uint32)
    module = implementation("fss.text_signatures", backend, spanned(offsets))
    module.text_signatures(data, offsets, valid, code, ngram, mixes(seed), a, b, out)
    return out


def token_signatures(
    data: Uint8s,
    offsets: Int32s | Int64s,
    row_offsets: Int32s | Int64s,
    *,
    num_perm: int = 128,
    seed: int = 1,
    backend: AnyBackend = "auto",
) -> Uint32s:
    """Return the signature of each row of ready tokens, as a list of strings has them in Arrow.

    The result is that of `tamis_kernels.ngram_keys.token_keys`, followed by `signatures`; the keys are never all in memory.

    Parameters
    ----------
    data, offsets
        The tokens, as in `tamis_kernels.ngrams.hashes`.
    row_offsets
        int32 or int64 [rows + 1]: row i has the tokens `row_offsets[i]` to `row_offsets[i + 1] - 1`.
    num_perm, seed, backend
        As in `signatures`.

    Returns
    -------
    uint32[rows, num_perm]

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    data, offsets, _, _ = text_arguments(data, offsets, None, "byte", 1)
    row_offsets = check_offsets("row_offsets", row_offsets, offsets.size - 1)
    a, b = permutations(num_perm, seed)
    out = np.full((row_offsets.size - 1, num_perm), EMPTY_SLOT, np.uint32)
    module = implementation("fss.token_signatures", backend, spanned(offsets))
    module.token_signatures(data, offsets, row_offsets, mixes(seed), a, b, out)
    return out


@cache
def mixes(seed: int) -> Uint64s:
    """Return what is added to an element before it is mixed: uint64[4], one for each round and one for the affine images."""
    return read_only(np.random.RandomState(seed).randint(0, 2**64, ROUNDS + 1, dtype=np.uint64))


__all__ = ["EMPTY_SLOT", "ROUNDS", "merge", "mixes", "signatures", "text_signatures", "token_signatures"]
