"""What is compared of records: texts by their n-grams, or sets of ready tokens, as the kernels take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tamis.errors import ColumnError
from tamis_kernels import fss, minhash, ngram_keys
from tamis_kernels.arrays import check_one_of

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.ngrams import Unit

Scheme = Literal["affine32", "fss"]
SCHEMES: dict[str, Callable[..., NDArray[np.uint32]]] = {"fss": fss.text_signatures, "affine32": minhash.text_signatures}


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts in Arrow's layout, and what an n-gram of them is; what is null or empty has no n-grams."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    validity: NDArray[np.bool_] | None
    unit: Unit
    ngram: int

    @classmethod
    def of(cls, series: pl.Series, unit: Unit, ngram: int) -> Self:
        """Take a column of texts.

        Raises
        ------
        ColumnError
            The series is neither String nor Binary.
        """
        return cls(*text_buffers(series), unit, ngram)

    def signatures(self, scheme: Scheme, *, num_perm: int, seed: int, backend: AnyBackend) -> NDArray[np.uint32]:
        """Return the signatures, uint32[n, num_perm]."""
        check_one_of("scheme", scheme, SCHEMES)
        made = {"validity": self.validity, "unit": self.unit, "ngram": self.ngram}
        return SCHEMES[scheme](self.data, self.offsets, **made, num_perm=num_perm, seed=seed, backend=backend)

    def shingles(self, backend: AnyBackend) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the hashes of the n-grams of all records, and the offsets of each record's."""
        keys, offsets = ngram_keys.keys(self.data, self.offsets, validity=self.validity, unit=self.unit, ngram=self.ngram, backend=backend)
        return _folded(keys), offsets


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sets of tokens, one after the other: 64-bit keys, and the offsets of each record's."""

    keys: NDArray[np.uint64]
    offsets: NDArray[np.int64]

    def signatures(self, scheme: Scheme, **arguments: Any) -> NDArray[np.uint32]:
        """Return the signatures, as `Texts.signatures` does."""
        if scheme == "affine32":
            return minhash.signatures(_folded(self.keys), self.offsets, **arguments)
        return fss.signatures(self.keys, self.offsets, **arguments)

    def shingles(self, backend: AnyBackend) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:  # noqa: ARG002 - as texts have it
        """Return the hashes of the tokens of all records, and the offsets of each record's."""
        return _folded(self.keys), self.offsets


def text_buffers(series: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return a text column as (data, offsets, validity) for the kernels; validity is None when nothing is null.

    Raises
    ------
    ColumnError
        The series is neither String nor Binary.
    """
    if series.dtype not in (pl.String, pl.Binary):
        message = f"column {series.name!r} must be String or Binary, it is {series.dtype}; cast it first, for example with .cast(pl.String)"
        raise ColumnError(message)
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


def _folded(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return 32 well-mixed bits of each key, for exact comparison: two sets of n share one by chance with n² / 2³²."""
    return (keys * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)
