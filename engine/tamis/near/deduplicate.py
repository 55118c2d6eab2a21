"""Near-duplicates of a frame in two streaming passes: one for the band keys, one for the sets of the records that share a band.

Between the passes a record costs its band keys on disk and a few bytes in memory; only records that share a band cost more.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from tamis.arguments import checked
from tamis.errors import ArgumentError, ColumnError, nearest
from tamis.frames import TEXTS, Frame, frame_of
from tamis.near.banding import band_shape, chosen_shape, sampled_histogram
from tamis.near.clustering import Clusters, band_components, sharing, stars
from tamis.near.shingles import ShingleSets
from tamis.near.signatures import SignatureSimilarity, short_signatures
from tamis.near.texts import SCHEMES, Scheme, Texts, Tokens, normalised, text_buffers
from tamis.sizes import byte_count
from tamis_kernels import bands as band_keys
from tamis_kernels import jaccard, minhash, ngram_keys
from tamis_kernels.arrays import check_one_of
from tamis_kernels.backend import AnyBackend
from tamis_kernels.ngrams import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.near.clustering import Similarity
    from tamis.near.shingles import Chunk

VERIFICATIONS = ("exact", "signature", "none")
ROWS_AT_A_TIME = 1 << 16
KEY_BYTES = 40  # in memory for each key that is grouped


@checked
def near_duplicates(
    frame: Frame,
    column: str = "text",
    threshold: float = 0.8,
    unit: Unit = "word",
    ngram: int = 5,
    num_perm: int = 128,
    seed: int = 1,
    *,
    normalise: bool = True,
    scheme: Scheme = "fss",
    verify: Literal["exact", "signature", "none"] = "exact",
    measure: Literal["jaccard", "containment"] = "jaccard",
    recall: float | None = None,
    precision: float | None = None,
    bands: tuple[int, int] | None = None,
    memory: float | str = "1GB",
    backend: AnyBackend = "auto",
) -> pl.DataFrame:
    """Find the records that are nearly the same, and say which one of them to keep.

    A record is dropped only for a record that is kept and to which its own similarity was verified. The first row of a cluster is its
    keeper; sort the frame by preference first to keep others. Equal texts always end in one cluster.

    Parameters
    ----------
    frame
        A frame of polars, pandas or pyarrow; a LazyFrame is streamed, twice when pairs are verified exactly, and must give the same rows
        each time.
    column
        Its column: String or Binary, compared by n-grams, or lists of integers or strings, ready tokens, which are compared as sets.
    threshold
        Least Jaccard similarity of two sets, above 0 and at most 1.
    unit, ngram
        What is compared of a text: runs of `ngram` bytes, characters (`char`) or words.
    num_perm, seed, scheme
        The signatures that propose candidates; see `signatures`.
    normalise
        Compare texts in Unicode form NFKC, in lower case, and with each run of white space as one space. Binary columns are compared as
        they are.
    verify
        `exact`: the Jaccard similarity of the sets. `signature`: the share of equal slots, which estimates it. `none`: believe every
        shared band; quick, and wrong about many pairs.
    measure
        What must reach the threshold: the Jaccard similarity, or, with `verify="exact"`, the share of the smaller set that is in the other.
        Candidates are found by Jaccard either way.
    recall
        Share of the pairs at or above the threshold that are to meet in a band, 0 to 1; bands are then chosen from a histogram of
        similarities, sampled from these very records. None for the shape that finds 95 % at the threshold itself.
    precision
        Least share of the pairs that meet in a band that are to be at or above the threshold; only with `recall`.
    bands
        How many bands of how many slots, in place of a choice: (20, 13) are those of NeMo Curator, (14, 8) of datatrove.
    memory
        About what may be held at a time, in bytes or as text (`500MB`, `2GB`), beside the result's 25 bytes a record and some 100 bytes for
        each record that shares a band with another.
    backend
        Where to run.

    Returns
    -------
    One row per row of the frame, in its order:

    row
        Int64, the row's number.
    cluster
        Int64, the row number of the cluster's keeper; null for a row that is alone. Null and blank records are alone.
    keeper
        Boolean, true for the keeper of a cluster and for a row that is alone: `frame.filter(result["keeper"])` is the clean frame.
    similarity
        Float64, verified similarity to the keeper, 1.0 for a keeper; null for a row that is alone, and for a
        record that `verify="none"` believed to be another.

    Raises
    ------
    ColumnError
        There is no such column, or it holds neither texts nor lists of tokens.
    ArgumentError
        The frame is none; a number, unit or way to verify is out of its range; or no bands reach the goal.
    """
    frame = frame_of(frame)
    check_one_of("verify", verify, VERIFICATIONS)
    if measure not in ("jaccard", "containment") or (measure == "containment" and verify != "exact"):
        message = f"measure must be jaccard, or containment with verify='exact'; got {measure!r} with verify={verify!r}"
        raise ArgumentError(message)
    _check_goal(recall, precision, bands)
    check_one_of("scheme", scheme, SCHEMES)
    shape = bands or band_shape(threshold, num_perm)
    budget = byte_count(memory)
    schema = frame.collect_schema()
    if column in schema and schema[column] in TEXTS:
        frame = frame.with_columns(pl.col(column).cast(pl.String))
    source = Source(frame.lazy(), column, unit, ngram, num_perm, seed, scheme, backend, normalise=normalise)
    source.check()
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder:
        spool = Spool(Path(folder))
        there = spool.fill(source, None if recall is not None else shape, sketches=verify == "signature")
        if recall is not None:
            table = spool.table(num_perm)
            histogram = sampled_histogram(table, np.flatnonzero(there), seed=seed, backend=backend)
            shape, _ = chosen_shape(histogram, threshold, num_perm, recall, precision)
            spool.band(table, shape, backend)
        suspects = np.flatnonzero(spool.suspected(shape[0], budget, backend) & there)
        keys = ((np.ascontiguousarray(spool.keys(band)[suspects]), np.arange(suspects.size)) for band in range(shape[0]))
        if verify == "exact":
            with ShingleSets(source.sets(suspects), suspects.size, Path(folder) / "sets", backend) as sets:
                similarity: Similarity = sets.containment if measure == "containment" else sets.jaccard
                clusters = _clusters(suspects.size, keys, similarity, threshold, backend)
        else:
            similarity = spool.estimate(suspects, num_perm) if verify == "signature" else _always
            clusters = _clusters(suspects.size, keys, similarity, threshold, backend)
    if verify == "none":
        clusters.similarity[clusters.keeper != np.arange(suspects.size)] = np.nan
    return _result(there.size, suspects, clusters)


@dataclass(frozen=True, slots=True)
class Source:
    """The compared column, read as often as asked for."""

    frame: pl.LazyFrame
    column: str
    unit: Unit
    ngram: int
    num_perm: int
    seed: int
    scheme: Scheme
    backend: AnyBackend
    normalise: bool = True

    def check(self) -> None:
        """Refuse a column that is not there or holds neither texts nor lists of tokens."""
        schema = self.frame.collect_schema()
        if self.column not in schema:
            message = (
                f"there is no column {self.column!r}.{nearest(self.column, schema.names())} The columns are: {', '.join(schema.names())}"
            )
            raise ColumnError(message)
        dtype = schema[self.column]
        if dtype not in (pl.String, pl.Binary) and not _is_token_list(dtype):
            message = (
                f"column {self.column!r} must be String or Binary, it is {dtype}; cast it first, for example with .cast(pl.String), "
                "or give lists of integers or strings"
            )
            raise ColumnError(message)

    def batches(self) -> Iterator[pl.Series]:
        """Yield the column, some rows at a time."""
        text = pl.col(self.column)
        if self.normalise and self.frame.collect_schema()[self.column] == pl.String:
            text = normalised(text)
        for batch in self.frame.select(text).collect_batches(chunk_size=ROWS_AT_A_TIME, maintain_order=True):
            yield batch.to_series()

    def compared(self, series: pl.Series) -> Texts | Tokens:
        """Return what is compared of some rows."""
        return _tokens(series) if _is_token_list(series.dtype) else Texts.of(series, self.unit, self.ngram)

    def signatures(self, series: pl.Series) -> NDArray[np.uint32]:
        """Return the signatures of some rows; null and blank ones have the empty signature."""
        return self.compared(series).signatures(self.scheme, num_perm=self.num_perm, seed=self.seed, backend=self.backend)

    def sets(self, rows: NDArray[np.int64]) -> Iterator[Chunk]:
        """Yield places in `rows`, which rise, and the sorted sets of the rows there."""
        first = 0
        for series in self.batches():
            start, stop = np.searchsorted(rows, [first, first + len(series)])
            wanted = series.gather(rows[start:stop] - first)
            first += len(series)
            yield np.arange(start, stop), *jaccard.sorted_sets(*self.compared(wanted).shingles(self.backend), backend=self.backend)


class Spool:
    """Band keys and signatures of all records in files of a folder, a file a band."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, source: Source, shape: tuple[int, int] | None, *, sketches: bool) -> NDArray[np.bool_]:
        """Write what the source gives: its band keys, or with no shape its signatures; return which records are not blank."""
        there = []
        for series in source.batches():
            table = source.signatures(series)
            something = (table != minhash.EMPTY_SLOT).any(axis=1)
            there.append(something & ~_blank(series))
            if shape is None:
                self._append("table", table)
            else:
                self._append_bands(table, shape, source.backend)
            if sketches:
                self._append("sketches", short_signatures(table))
        return np.concatenate([np.empty(0, np.bool_), *there])

    def table(self, num_perm: int) -> NDArray[np.uint32]:
        """Return the signatures, which stay on disk."""
        return self._read("table", np.uint32).reshape(-1, num_perm)

    def band(self, table: NDArray[np.uint32], shape: tuple[int, int], backend: AnyBackend) -> None:
        """Write the band keys of signatures."""
        for start in range(0, len(table), ROWS_AT_A_TIME):
            self._append_bands(np.array(table[start : start + ROWS_AT_A_TIME]), shape, backend)

    def keys(self, band: int) -> NDArray[np.uint64]:
        """Return the keys of a band, which stay on disk."""
        return self._read(f"band-{band:04d}", np.uint64)

    def suspected(self, count: int, budget: int, backend: AnyBackend) -> NDArray[np.bool_]:
        """Return which records share a band with another; keys are grouped a range at a time that fits the budget."""
        found = np.zeros(self.keys(0).size, np.bool_)
        bits = max(0, found.size * KEY_BYTES // max(1, budget // 2)).bit_length()
        for band in range(count):
            keys = self.keys(band)
            for part in range(1 << bits):
                places = _in_range(keys, part, bits)
                found[places[sharing(np.ascontiguousarray(keys[places]), backend=backend)]] = True
        return found

    def estimate(self, rows: NDArray[np.int64], num_perm: int) -> Similarity:
        """Return the similarity of places in `rows` as their signatures tell it."""
        estimate = SignatureSimilarity(self._read("sketches", np.uint8).reshape(-1, num_perm))
        return lambda left, right: estimate(rows[left], rows[right])

    def _append_bands(self, table: NDArray[np.uint32], shape: tuple[int, int], backend: AnyBackend) -> None:
        keys = band_keys.keys(table, bands=shape[0], rows=shape[1], backend=backend)
        for band in range(shape[0]):
            self._append(f"band-{band:04d}", keys[:, band])

    def _append(self, name: str, values: NDArray[Any]) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(np.ascontiguousarray(values).tobytes())

    def _read(self, name: str, dtype: Any) -> NDArray[Any]:
        path = self._folder / name
        return np.memmap(path, dtype, "r") if path.exists() and path.stat().st_size else np.empty(0, dtype)


def _clusters(n: int, keys: Iterator[Any], similarity: Similarity, threshold: float, backend: AnyBackend) -> Clusters:
    roots, _ = band_components(n, keys, similarity, threshold, backend=backend)
    return stars(roots, similarity, threshold)


def _always(left: NDArray[np.int64], _right: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.ones(left.size)


def _in_range(keys: NDArray[np.uint64], part: int, bits: int) -> NDArray[np.int64]:
    """Return the places of the keys whose highest bits are `part`."""
    if bits == 0:
        return np.arange(keys.size)
    step = 1 << 20
    found = [np.flatnonzero(keys[start : start + step] >> np.uint64(64 - bits) == part) + start for start in range(0, keys.size, step)]
    return np.concatenate([np.empty(0, np.int64), *found])


def _is_token_list(dtype: pl.DataType) -> bool:
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    return inner is not None and (inner.is_integer() or inner in (pl.String, pl.Null))


def _tokens(series: pl.Series) -> Tokens:
    """Return lists of tokens; a null list is empty, a null in a list is left out."""
    lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    if lists.null_count():
        lists = lists.fill_null([])
    tokens = lists.explode(empty_as_null=False)
    if tokens.null_count():
        lists = lists.list.drop_nulls()
        tokens = lists.explode(empty_as_null=False)
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(lists.list.len().to_numpy(), out=offsets[1:])
    if tokens.dtype == pl.Null:
        return Tokens(np.empty(0, np.uint64), offsets)
    if tokens.dtype == pl.String:
        data, bounds, _ = text_buffers(tokens)
        return Tokens(ngram_keys.token_keys(data, bounds), offsets)
    return Tokens(tokens.to_numpy().astype(np.uint64), offsets)


def _blank(series: pl.Series) -> NDArray[np.bool_]:
    if series.dtype == pl.String:
        return (series.str.strip_chars() == "").fill_null(value=True).to_numpy()
    return series.is_null().to_numpy()


def _check_goal(recall: float | None, precision: float | None, bands: Any) -> None:
    for name, value in (("recall", recall), ("precision", precision)):
        if value is not None and not 0 < value < 1:
            message = f"{name} must lie between 0 and 1, got {value}"
            raise ArgumentError(message)
    if bands is not None and not (isinstance(bands, (tuple, list)) and len(bands) == 2 and all(isinstance(one, int) for one in bands)):
        message = f"bands must be two whole numbers, how many bands and how many slots each, such as (20, 13), got {bands!r}"
        raise ArgumentError(message)
    if bands is not None and recall is not None:
        message = f"give a recall or bands, not both: got {recall} and {bands}"
        raise ArgumentError(message)
    if precision is not None and recall is None:
        message = "precision needs a recall beside it: alone, the most precise bands are those that find nothing"
        raise ArgumentError(message)


def _result(rows: int, suspects: NDArray[np.int64], clusters: Clusters) -> pl.DataFrame:
    """Spread the clusters of the suspects over all rows."""
    keeper = np.arange(rows)
    keeper[suspects] = suspects[clusters.keeper]
    similarity = np.full(rows, np.nan)
    similarity[suspects] = clusters.similarity
    gone = keeper != np.arange(rows)
    together = gone.copy()
    together[keeper[gone]] = True
    similarity[together & ~gone] = 1.0
    frame = pl.DataFrame({"row": np.arange(rows), "cluster": keeper, "keeper": ~gone, "similarity": similarity, "together": together})
    return frame.select(
        "row",
        pl.when("together").then("cluster").alias("cluster"),
        "keeper",
        pl.when("together").then(pl.col("similarity").fill_nan(None)).alias("similarity"),
    )
