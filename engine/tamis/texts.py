"""Texts as the kernels take them, and their signatures; what both the pipeline and `near_duplicates` are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tamis.arguments import checked
from tamis.errors import ColumnError
from tamis.frames import Column, series_of
from tamis_kernels import bands, fss, minhash
from tamis_kernels.arrays import check_one_of
from tamis_kernels.backend import AnyBackend
from tamis_kernels.ngrams import Unit

if TYPE_CHECKING:
    from tamis.clustering import Indices

Scheme = Literal["affine32", "fss"]
SCHEMES: dict[str, Callable[..., NDArray[np.uint32]]] = {"fss": fss.text_signatures, "affine32": minhash.text_signatures}

# Candidates are verified, so one too many costs a comparison and one too few a duplicate: the bands lean far towards recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.05, 0.95


@checked
def signatures(
    series: Column,
    scheme: Scheme = "fss",
    num_perm: int = 128,
    seed: int = 1,
    unit: Unit = "byte",
    ngram: int = 5,
    backend: AnyBackend = "auto",
) -> pl.Series:
    """Return the MinHash signature of each text.

    Parameters
    ----------
    series
        String or Binary; of polars, pyarrow or NumPy, or a list.
    scheme
        `fss`, Fast Similarity Sketching: less error on small sets, several times as fast on large ones. `affine32`, the default scheme of
        datasketch 2.0: with `hashfunc=xxhash.xxh32_intdigest` its signatures of the same n-grams are equal to these, and
        `datasketch.MinHash(scheme="affine32", seed=seed, hashvalues=row)` takes them. Signatures of different schemes cannot be compared.
    num_perm
        Slots per signature.
    seed
        Draws the permutations; signatures of different seeds cannot be compared.
    unit, ngram
        What a signature is made of: runs of `ngram` bytes, characters (`char`) or words; see `tamis_kernels.ngrams`.
    backend
        Where to run.

    Returns
    -------
    Series of Array(UInt32, num_perm), null where the text is null; an empty text has the empty signature, all slots 2³² - 1.

    Raises
    ------
    ColumnError
        The series is neither String nor Binary.
    ArgumentError
        It is none; a number, unit or scheme is out of its range.
    """
    series = series_of(series)
    table = signature_table(series, scheme=scheme, num_perm=num_perm, seed=seed, unit=unit, ngram=ngram, backend=backend)
    array = pa.FixedSizeListArray.from_arrays(
        pa.array(table.ravel()),
        num_perm,
        mask=pa.array(series.is_null().to_numpy()) if series.null_count() else None,
    )
    return pl.Series(series.name, array, dtype=pl.Array(pl.UInt32, num_perm))


def _affine32_tokens(tokens: NDArray[np.uint64], offsets: NDArray[np.int64], **arguments: Any) -> NDArray[np.uint32]:
    return minhash.signatures(folded(tokens), offsets, **arguments)


TOKEN_SCHEMES: dict[str, Callable[..., NDArray[np.uint32]]] = {"fss": fss.signatures, "affine32": _affine32_tokens}


def text_buffers(series: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return a text column as (data, offsets, validity) for the kernels; validity is None when nothing is null.

    Raises
    ------
    ColumnError
        The series is neither String nor Binary.
    """
    _check_text(series.name, series.dtype)
    array: Any = series.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if len(array) else np.zeros(1, np.int64)
    raw = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    return raw, bounds, series.is_not_null().to_numpy() if series.null_count() else None


def normalised(text: pl.Expr) -> pl.Expr:
    """Return the text in form NFKC, in lower case, trimmed, and with each run of white space as one space."""
    wide = pl.when(text.str.len_bytes() != text.str.len_chars()).then(text)  # NFKC is costly and leaves ASCII as it is
    composed = pl.coalesce(wide.str.normalize("NFKC").str.replace_all(r"[\s&&[^ ]]", " "), text)
    # Two patterns of bytes are found twenty times as fast as one of all that Unicode calls white space.
    return composed.str.to_lowercase().str.replace_all(r"[\t-\r]", " ").str.replace_all(" {2,}", " ").str.strip_chars(" ")


def signature_table(
    series: pl.Series,
    *,
    scheme: Scheme = "fss",
    num_perm: int,
    seed: int,
    unit: Unit,
    ngram: int,
    backend: AnyBackend = "auto",
) -> NDArray[np.uint32]:
    """Return the signatures of a text column as uint32[n, num_perm]; null and empty texts have the empty signature."""
    check_one_of("scheme", scheme, SCHEMES)
    data, offsets, validity = text_buffers(series)
    return SCHEMES[scheme](data, offsets, validity=validity, unit=unit, ngram=ngram, num_perm=num_perm, seed=seed, backend=backend)


def band_shape(threshold: float, num_perm: int) -> tuple[int, int]:
    """Return how many bands of how many slots propose the pairs that are then verified: at 0.8 and 128 slots, 95 % of those at 0.8."""
    return bands.optimal(threshold, num_perm, FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT)


@dataclass(frozen=True, slots=True)
class SignatureSimilarity:
    """The share of equal slots of two signatures: an unbiased estimate of Jaccard similarity, with variance J(1 - J) / num_perm at most.

    Of short signatures, one slot in 256 is equal by chance, which is taken off (b-bit minwise hashing; P. Li, C. König, 2010).
    """

    table: NDArray[np.uint32] | NDArray[np.uint8]

    def __call__(self, left: Indices, right: Indices) -> NDArray[np.float64]:
        """Return the estimate for each pair of rows."""
        equal: NDArray[np.float64] = (self.table[left] == self.table[right]).mean(axis=1, dtype=np.float64)
        chance = 1 / 256 if self.table.dtype == np.uint8 else 0.0
        return np.maximum(0.0, (equal - chance) / (1 - chance))


def short_signatures(table: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the lowest byte of every slot: a quarter of the room, for a standard error 0.3 % larger at 0.8."""
    return table.astype(np.uint8)


def folded(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return 32 well-mixed bits of each n-gram key, for exact comparison: two sets of n share one by chance with n² / 2³²."""
    return (keys * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)


def _check_text(name: str, dtype: pl.DataType) -> None:
    if dtype not in (pl.String, pl.Binary):
        message = f"column {name!r} must be String or Binary, it is {dtype}; cast it first, for example with .cast(pl.String)"
        raise ColumnError(message)
