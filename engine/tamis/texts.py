"""Near-duplicate texts in memory: MinHash signatures of a column, and the clusters of a frame.

The pieces are those the pipeline uses: `text_buffers`, `normalised`, `signature_table`, `bands_of` and the two similarities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.clustering import Clusters, band_components, stars
from tamis.errors import ColumnError, nearest
from tamis_kernels import ArgumentError, bands, fss, jaccard, minhash, ngrams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.clustering import Band, Indices, Similarity
    from tamis_kernels.backend import Backend, BackendName
    from tamis_kernels.ngrams import Unit

Scheme = Literal["affine32", "fss"]
SCHEMES = {"affine32": minhash.text_signatures, "fss": fss.text_signatures}
VERIFICATIONS = ("exact", "signature", "none")
TEXT_AT_A_TIME = 1 << 26  # bytes of text whose n-gram hashes are held at once while pairs are verified

# Candidates are verified, so one too many costs a comparison and one too few a duplicate: the bands lean far towards recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.05, 0.95


def signatures(
    series: pl.Series,
    scheme: Scheme = "affine32",
    num_perm: int = 128,
    seed: int = 1,
    unit: Unit = "byte",
    ngram: int = 5,
    backend: BackendName | Backend = "auto",
) -> pl.Series:
    """Return the MinHash signature of each text.

    Parameters
    ----------
    series
        String or Binary.
    scheme
        `affine32`, the default scheme of datasketch 2.0: with `hashfunc=xxhash.xxh32_intdigest` its signatures of the same n-grams are
        equal to these, and `datasketch.MinHash(scheme="affine32", seed=seed, hashvalues=row)` takes them. `fss`, Fast Similarity Sketching:
        less error on small sets, faster on large ones. Signatures of different schemes cannot be compared.
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
        A number, unit or scheme is out of its range.
    """
    table = signature_table(series, scheme=scheme, num_perm=num_perm, seed=seed, unit=unit, ngram=ngram, backend=backend)
    array = pa.FixedSizeListArray.from_arrays(
        pa.array(table.ravel()),
        num_perm,
        mask=pa.array(series.is_null().to_numpy()) if series.null_count() else None,
    )
    return pl.Series(series.name, array, dtype=pl.Array(pl.UInt32, num_perm))


def near_duplicates(
    frame: pl.DataFrame | pl.LazyFrame,
    column: str = "text",
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    num_perm: int = 128,
    seed: int = 1,
    *,
    normalise: bool = True,
    scheme: Scheme = "affine32",
    verify: Literal["exact", "signature", "none"] = "exact",
    backend: BackendName | Backend = "auto",
) -> pl.DataFrame:
    """Find the texts that are nearly the same, and say which one of them to keep.

    A record is dropped only for a record that is kept and to which its own similarity was verified. The first row of a cluster is its
    keeper; sort the frame by preference first to keep others. Equal texts always end in one cluster.

    Parameters
    ----------
    frame
        A frame with a String or Binary column.
    column
        Its name.
    threshold
        Least Jaccard similarity of two texts' sets of n-grams, above 0 and at most 1.
    unit, ngram
        What is compared: runs of `ngram` bytes, characters (`char`) or words.
    num_perm, seed, scheme
        The signatures that propose candidates; see `signatures`.
    normalise
        Compare texts in Unicode form NFKC, in lower case, and with each run of white space as one space. Binary columns are compared as
        they are.
    verify
        `exact`: the Jaccard similarity of the n-gram sets. `signature`: the share of equal slots, which estimates it. `none`: believe
        every shared band; quick, and wrong about many pairs.
    backend
        Where to run.

    Returns
    -------
    One row per row of the frame, in its order:

    row
        Int64, the row's number.
    cluster
        Int64, the row number of the cluster's keeper; null for a row that is alone. Null and blank texts are alone.
    keeper
        Boolean, true for the keeper of a cluster and for a row that is alone: `frame.filter(result["keeper"])` is the clean frame.
    similarity
        Float64, verified similarity to the keeper, 1.0 for a keeper and for texts equal to it; null for a row that is alone, and for a
        candidate that `verify="none"` believed.

    Raises
    ------
    ColumnError
        There is no such column, or it is neither String nor Binary.
    ArgumentError
        A number, unit or way to verify is out of its range.
    """
    _one_of("verify", verify, VERIFICATIONS)
    shape = band_shape(threshold, num_perm)
    text = _texts(frame, column, normalise=normalise)
    first, distinct = _distinct(text)
    table = signature_table(distinct, scheme=scheme, num_perm=num_perm, seed=seed, unit=unit, ngram=ngram, backend=backend)
    similarity: Similarity = _always
    if verify == "exact":
        similarity = TextSimilarity(distinct, unit, ngram, backend)
    elif verify == "signature":
        similarity = SignatureSimilarity(table)
    roots, _ = band_components(len(distinct), bands_of(table, *shape, backend=backend), similarity, threshold, backend=backend)
    clusters = stars(roots, similarity, threshold)
    if verify == "none":
        clusters.similarity[clusters.keeper != np.arange(len(distinct))] = np.nan
    return _result(first, clusters)


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
    composed = pl.coalesce(wide.str.normalize("NFKC"), text)
    return composed.str.to_lowercase().str.replace_all(r"\s{2,}|[\s&&[^ ]]", " ").str.strip_chars(" ")


def signature_table(
    series: pl.Series,
    *,
    scheme: Scheme = "affine32",
    num_perm: int,
    seed: int,
    unit: Unit,
    ngram: int,
    backend: BackendName | Backend = "auto",
) -> NDArray[np.uint32]:
    """Return the signatures of a text column as uint32[n, num_perm]; null and empty texts have the empty signature."""
    _one_of("scheme", scheme, tuple(SCHEMES))
    data, offsets, validity = text_buffers(series)
    return SCHEMES[scheme](data, offsets, validity=validity, unit=unit, ngram=ngram, num_perm=num_perm, seed=seed, backend=backend)


def band_shape(threshold: float, num_perm: int) -> tuple[int, int]:
    """Return how many bands of how many slots propose the pairs that are then verified: at 0.8 and 128 slots, 95 % of those at 0.8."""
    return bands.optimal(threshold, num_perm, FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT)


def bands_of(table: NDArray[np.uint32], band_count: int, rows: int, *, backend: BackendName | Backend = "auto") -> Iterator[Band]:
    """Yield the (keys, records) of each band of a signature table; empty signatures are in no band."""
    records = np.flatnonzero((table != minhash.EMPTY_SLOT).any(axis=1))
    keys = bands.keys(table if records.size == len(table) else table[records], bands=band_count, rows=rows, backend=backend)
    for band in range(band_count):
        yield np.ascontiguousarray(keys[:, band]), records


@dataclass(frozen=True, slots=True)
class TextSimilarity:
    """Exact Jaccard similarity of the n-gram sets of two texts; hashes only the texts it is asked about, a bounded amount at a time."""

    series: pl.Series
    unit: Unit
    ngram: int
    backend: BackendName | Backend = "auto"

    def __call__(self, left: Indices, right: Indices) -> NDArray[np.float64]:
        """Return the similarity of each pair of rows."""
        sizes = self.series.gather(np.concatenate((left, right))).cast(pl.Binary).bin.size().fill_null(0).to_numpy().astype(np.int64)
        portion = np.cumsum(sizes[: left.size] + sizes[left.size :]) // TEXT_AT_A_TIME
        cuts = np.flatnonzero(np.diff(portion)) + 1
        parts = zip(np.split(left, cuts), np.split(right, cuts), strict=True)
        return np.concatenate([self._similarity(*part) for part in parts])

    def _similarity(self, left: Indices, right: Indices) -> NDArray[np.float64]:
        rows, places = np.unique(np.concatenate((left, right)), return_inverse=True)
        data, offsets, validity = text_buffers(self.series.gather(rows))
        hashed = ngrams.hashes(data, offsets, validity=validity, unit=self.unit, ngram=self.ngram, backend=self.backend)
        sets = jaccard.sorted_sets(*hashed, backend=self.backend)
        return jaccard.pairs(*sets, places[: left.size], places[left.size :], backend=self.backend)


@dataclass(frozen=True, slots=True)
class SignatureSimilarity:
    """The share of equal slots of two signatures: an unbiased estimate of Jaccard similarity, with variance J(1 - J) / num_perm."""

    table: NDArray[np.uint32]

    def __call__(self, left: Indices, right: Indices) -> NDArray[np.float64]:
        """Return the estimate for each pair of rows."""
        equal: NDArray[np.float64] = (self.table[left] == self.table[right]).mean(axis=1, dtype=np.float64)
        return equal


def _always(left: Indices, _right: Indices) -> NDArray[np.float64]:
    return np.ones(left.size)


def _texts(frame: pl.DataFrame | pl.LazyFrame, column: str, *, normalise: bool) -> pl.Series:
    lazy = frame.lazy()
    schema = lazy.collect_schema()
    if column not in schema:
        message = f"there is no column {column!r}.{nearest(column, schema.names())} The columns are: {', '.join(schema.names())}"
        raise ColumnError(message)
    _check_text(column, schema[column])
    text = pl.col(column)
    return lazy.select(normalised(text) if normalise and schema[column] == pl.String else text).collect().to_series()


def _distinct(text: pl.Series) -> tuple[Indices, pl.Series]:
    """Return, per row, the first row with the same text, and the distinct texts in order of first appearance.

    Null and blank texts are distinct from every other, and empty among the distinct ones.
    """
    blank = text.is_null() | ((text.str.strip_chars() == "") if text.dtype == pl.String else (text.bin.size() == 0)).fill_null(value=True)
    rows = pl.DataFrame({"row": pl.Series(np.arange(len(text))), "text": text, "blank": blank})
    first = rows.select(pl.when("blank").then("row").otherwise(pl.first("row").over("text"))).to_series().to_numpy()
    is_first = pl.Series(first == np.arange(len(text)))
    empty = pl.lit(None, text.dtype)
    return first, rows.filter(is_first).select(pl.when("blank").then(empty).otherwise("text").alias(text.name)).to_series()


def _result(first: Indices, clusters: Clusters) -> pl.DataFrame:
    """Spread the clusters of the distinct texts over all rows."""
    rows = np.arange(first.size)
    distinct_rows = np.flatnonzero(first == rows)
    place = np.searchsorted(distinct_rows, first)
    keeper = distinct_rows[clusters.keeper[place]]
    alone = np.bincount(keeper, minlength=first.size)[keeper] == 1
    similarity = np.where(keeper == first, 1.0, clusters.similarity[place])
    return pl.DataFrame({"row": rows, "cluster": keeper, "keeper": keeper == rows, "similarity": similarity, "alone": alone}).select(
        "row",
        pl.when(~pl.col("alone")).then("cluster").alias("cluster"),
        "keeper",
        pl.when(~pl.col("alone")).then(pl.col("similarity").fill_nan(None)).alias("similarity"),
    )


def _check_text(name: str, dtype: pl.DataType) -> None:
    if dtype not in (pl.String, pl.Binary):
        message = f"column {name!r} must be String or Binary, it is {dtype}; cast it first, for example with .cast(pl.String)"
        raise ColumnError(message)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{name} must be one of {', '.join(known)}, got {value!r}"
        raise ArgumentError(message)
