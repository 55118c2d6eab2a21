"""MinHash signatures in the scheme `affine32`, which is that of datasketch 2.0, bit for bit.

A set's signature holds, per permutation p, the least `a[p]·fmix32(h) + b[p] mod 2³²` over its hashes h. The maps are drawn by
`numpy.random.RandomState(seed)`: first all a (31 random bits, doubled, plus 1, hence odd), then all b. `fmix32` is the finalizer of
MurmurHash3. Order and repeats do not matter; an empty set has all slots at 0xFFFFFFFF.

So `datasketch.MinHash(num_perm, seed, hashfunc=xxhash.xxh32_intdigest)` fed with a text's n-grams has the same `hashvalues` as
`text_signatures`, and accepts these rows as its own.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_offsets, check_whole, read_only, spanned
from tamis_kernels.backend import implementation
from tamis_kernels.ngrams import Unit, text_arguments

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Int32s, Int64s, Uint8s, Uint32s

EMPTY_SLOT = 0xFFFFFFFF
MOST_SLOTS = 2**20


def signatures(hashes: Uint32s, row_offsets: Int64s, *, num_perm: int = 128, seed: int = 1, backend: AnyBackend = "auto") -> Uint32s:
    """Return the signature of each row of ready hashes.

    Parameters
    ----------
    hashes
        uint32[m], any 32-bit hashes of the elements, or the elements themselves: they are mixed first.
    row_offsets
        int32 or int64 [rows + 1]: row i is `hashes[row_offsets[i]:row_offsets[i + 1]]`.
    num_perm
        Slots per signature.
    seed
        Draws the permutations; signatures of different seeds cannot be compared.
    backend
        Where to run.

    Returns
    -------
    uint32[rows, num_perm]

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.

    Notes
    -----
    A. Broder, On the resemblance and containment of documents, 1997; https://github.com/ekzhu/datasketch for the scheme.
    """
    check_array("hashes", hashes, np.uint32, ("m",), "fold wider hashes to 32 bits first")
    row_offsets = check_offsets("row_offsets", row_offsets, hashes.size)
    a, b = permutations(num_perm, seed)
    out = np.full((row_offsets.size - 1, num_perm), EMPTY_SLOT, np.uint32)
    implementation("minhash", backend, hashes.itemsize * spanned(row_offsets)).signatures(read_only(hashes), row_offsets, a, b, out)
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
    """Return the signature of each text's set of n-grams, without writing the n-gram hashes to memory.

    The result is that of `tamis_kernels.ngrams.hashes`, whose parameters `data`, `offsets`, `validity`, `unit` and `ngram` these are,
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
    module = implementation("minhash.text_signatures", backend, spanned(offsets))
    module.text_signatures(data, offsets, valid, code, ngram, a, b, out)
    return out


def merge(left: Uint32s, right: Uint32s) -> Uint32s:
    """Return the signatures of the unions, row by row; both must come from the same seed.

    Raises
    ------
    ArgumentError
        The two do not have the same shape, or are not uint32.
    """
    check_array("left", left, np.uint32, (...,))
    check_array("right", right, np.uint32, left.shape, "signatures can be merged only with equals in shape")
    return np.minimum(left, right)


def permutations(num_perm: int, seed: int) -> tuple[Uint32s, Uint32s]:
    """Return the multipliers a (odd) and the increments b, each uint32[num_perm], read-only.

    Raises
    ------
    ArgumentError
        `num_perm` is outside 1 … 2²⁰ or `seed` outside 0 … 2³² - 1.
    """
    check_whole("num_perm", num_perm, 1, MOST_SLOTS)
    check_whole("seed", seed, 0, 2**32 - 1)
    return _permutations(int(num_perm), int(seed))


@cache
def _permutations(num_perm: int, seed: int) -> tuple[Uint32s, Uint32s]:
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = generator.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    return read_only(a), read_only(b)
