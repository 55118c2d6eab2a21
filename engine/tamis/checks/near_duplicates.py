"""Near-duplicates: texts, sensor windows and pictures that are almost the same.

Texts and windows: n-gram hashes, MinHash `affine32`, LSH bands, exact Jaccard similarity of the hashes re-read from the source.
Pictures: PDQ-256 of the upright picture, all pairs within a Hamming distance by multi-index search, which misses none.
In both, a record is rejected only if its verified similarity to a record that stays reaches the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, ColumnNames, Kind, MediaBatch, Observation, TableBatch
from tamis.clustering import Clusters, band_components, sharing, stars
from tamis.texts import SCHEMES, Scheme, band_shape, normalised, text_buffers
from tamis_kernels import bands, components, hamming, jaccard, minhash, ngrams, perceptual, symbols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Sets
    from tamis.clustering import Similarity
    from tamis.sources.schema import TableGroup


SHORTEST_TEXT = 100  # mean characters of a column below which it holds names or titles: rows that share one are not the same row
WINDOW_NGRAM = 4
HASHES_AT_A_TIME = 4 << 20  # shingle hashes in memory while pairs are verified: 16 MB


class Options(CheckOptions):
    """Options of `near_duplicates`."""

    threshold: float = Field(default=0.8, gt=0, le=1, description="Least Jaccard similarity of texts and windows that are duplicates.")
    columns: ColumnNames = Field(
        default=(),
        description="Text columns that are compared, joined by a space; none given: the one with the longest texts, "
        f"where these have {SHORTEST_TEXT} characters or more on average.",
    )
    unit: Literal["byte", "char", "word"] = Field(default="word", description="What an n-gram of a text is made of.")
    ngram: int = Field(default=5, ge=1, description="Units per n-gram.")
    normalise: bool = Field(default=True, description="Whether texts are compared in NFKC, lower case and with single spaces.")
    scheme: Scheme = Field(
        default="affine32", description="How signatures are made: affine32 (MinHash, as datasketch) or fss (faster on long texts)."
    )
    num_perm: int = Field(default=128, ge=16, le=1024, description="Permutations, that is slots, of a MinHash signature.")
    verify: Literal["exact", "none"] = Field(
        default="exact", description="exact: every pair is compared on the source before it counts; none: equal bands suffice."
    )
    windows: bool = Field(default=True, description="Whether numeric list columns are compared as sensor windows.")
    segments: int = Field(default=32, ge=4, description="Segments a window is averaged into.")
    alphabet: Literal[8, 16] = Field(default=8, description="Symbols a segment's mean is quantised to.")
    distance: int = Field(default=31, ge=0, le=31, description="Most differing bits, of 256, between the hashes of duplicate pictures.")
    min_quality: int = Field(default=50, ge=0, le=100, description="PDQ quality below which a picture is too plain to be compared.")
    keep: tuple[Literal["largest", "first"], ...] = Field(
        default=("largest", "first"), description="Which record stays: the largest (pixels, characters, then bytes), the first by id."
    )
    bucket_cap: int = Field(default=10_000, ge=2, description="Records of equal band above which a bucket is cut; cuts are counted.")


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared of a batch of rows: bytes in Arrow layout, and what an n-gram of them is."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    validity: NDArray[np.bool_] | None
    unit: Literal["byte", "char", "word"]
    ngram: int
    window: bool


class NearDuplicates(Check):
    """Keeps one of each cluster of almost equal records."""

    name = "near_duplicates"
    order = 40
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media", "table"})
    summary = "Pictures, texts and sensor windows that are almost the same: one stays, each removal is verified."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Note the perceptual hash of pictures, the band keys of rows."""
        return self._observe_pictures(batch) if isinstance(batch, MediaBatch) else self._observe_rows(batch)

    def judge(self, case: Case) -> None:
        """Cluster the living records and reject all but the keepers."""
        if case.has("pdq_0"):
            self._judge_pictures(case)
        for kind in ("text", "window"):
            if case.has(f"{kind}_band_000"):
                self._judge_rows(case, kind)

    def shingles(self, batch: TableBatch) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the n-gram hashes of the compared column."""
        compared = self._compared(batch)
        return ngrams.hashes(
            compared.data, compared.offsets, validity=compared.validity, unit=compared.unit, ngram=compared.ngram, backend=self.backend
        )

    # --- pictures

    def _observe_pictures(self, batch: MediaBatch) -> Observation:
        seen = [(i, one) for i, one in enumerate(batch.inspections) if one.gray is not None and one.grade in {"ok", "benign", "misnamed"}]
        hashes = np.zeros((len(batch), 4), np.uint64)
        quality = np.zeros(len(batch), np.uint8)
        if seen:
            pixels, shapes = perceptual.pack([one.gray for _, one in seen if one.gray is not None])
            places = [i for i, _ in seen]
            hashes[places], quality[places] = perceptual.pdq_batch(pixels, shapes, backend=self.backend)
        columns = {f"pdq_{word}": pl.Series(hashes[:, word]) for word in range(4)}
        columns["quality"] = pl.Series(quality)
        columns["pixels"] = pl.Series([one.width * one.height for one in batch.inspections], dtype=pl.Int64)
        columns["bytes"] = pl.Series(batch.sizes)
        return Observation(columns)

    def _judge_pictures(self, case: Case) -> None:
        options: Options = self.options
        pictures = [*zip(*case.scan("quality", "pixels", "bytes", *(f"pdq_{word}" for word in range(4))), strict=True)]
        index = np.concatenate(pictures[0])
        quality, pixels, size, *words = (np.concatenate(column) for column in zip(*pictures[1], strict=True))
        plain = quality < max(1, options.min_quality)
        chosen = np.flatnonzero(~plain)
        chosen = chosen[self._order(index[chosen], pixels[chosen], size[chosen])]
        index, hashes = index[chosen], np.stack(words, axis=1)[chosen]

        def similarity(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
            return 1.0 - hamming.distances(hashes[left], hashes[right], backend=self.backend) / 256.0

        chunks = ((left, right) for left, right, _ in hamming.pair_chunks(hashes, options.distance, backend=self.backend))
        clusters = stars(_components(len(index), chunks), similarity, 1.0 - options.distance / 256.0)
        self._enter(case, index, clusters, "near_duplicate_picture")
        case.count(pictures_compared=len(index), pictures_too_plain=int(np.count_nonzero(plain & (quality > 0))))

    # --- rows

    def _observe_rows(self, batch: TableBatch) -> Observation:
        options: Options = self.options
        if self._subject(batch.group) is None:
            return Observation()
        texts = self._compared(batch)
        signatures = SCHEMES[options.scheme](
            texts.data,
            texts.offsets,
            validity=texts.validity,
            unit=texts.unit,
            ngram=texts.ngram,
            num_perm=options.num_perm,
            seed=self.seed,
            backend=self.backend,
        )
        count, rows = band_shape(options.threshold, options.num_perm)
        keys = bands.keys(signatures, bands=count, rows=rows, backend=self.backend)
        empty = (signatures == np.uint32(minhash.EMPTY_SLOT)).all(axis=1)
        kind, something = "window" if texts.window else "text", pl.Series(~empty)
        bare = pl.DataFrame({f"{kind}_band_{band:03d}": keys[:, band] for band in range(count)})
        told = bare.with_columns(pl.Series("length", np.diff(texts.offsets).astype(np.int64)))
        return Observation({name: told.select(pl.when(something).then(pl.col(name)).alias(name)).to_series() for name in told.columns})

    def _judge_rows(self, case: Case, kind: str) -> None:
        options: Options = self.options
        count, _ = band_shape(options.threshold, options.num_perm)
        names = [f"{kind}_band_{band:03d}" for band in range(count)]
        suspected = np.zeros(case.records, bool)
        compared = 0
        for number, name in enumerate(names):
            for index, (keys,) in case.parts(name):
                suspected[index[sharing(keys, backend=self.backend)]] = True
                compared += len(index) if number == 0 else 0
        suspects = np.flatnonzero(suspected)
        del suspected
        case.count(rows_compared=compared, rows_suspected=len(suspects))
        if options.verify == "exact":
            with case.sets(suspects) as sets:
                self._judge_suspects(case, suspects, kind, names, self._similarity(sets))
        else:
            self._judge_suspects(case, suspects, kind, names, lambda left, _: np.ones(len(left)))

    def _judge_suspects(self, case: Case, suspects: NDArray[np.int64], kind: str, names: list[str], similarity: Similarity) -> None:
        options: Options = self.options
        order = self._order(suspects, case.values("length", suspects))
        everyone = np.arange(len(suspects))
        keys = ((case.values(name, suspects)[order], everyone) for name in names)

        def compare(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
            return similarity(order[left], order[right])

        roots, counters = band_components(len(suspects), keys, compare, options.threshold, hot=options.bucket_cap, backend=self.backend)
        clusters = stars(roots, compare, options.threshold)
        self._enter(case, suspects[order], clusters, f"near_duplicate_{kind}", verified=options.verify == "exact")
        case.count(pairs_verified=counters["pairs"] + clusters.counters["pairs"])
        case.count(hot_buckets=counters["hot_buckets"], unsettled=counters["unsettled"])

    def _similarity(self, sets: Sets) -> Similarity:
        """Return the exact Jaccard similarity of pairs of places, computed on a bounded number of hashes at a time."""

        def similarity(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
            found = np.empty(len(left))
            load = np.cumsum(sets.sizes[left] + sets.sizes[right]) // HASHES_AT_A_TIME
            cuts = [0, *(np.flatnonzero(np.diff(load)) + 1).tolist(), len(left)]
            for start, stop in pairwise(cuts):
                members, places = np.unique(np.concatenate([left[start:stop], right[start:stop]]), return_inverse=True)
                first, second = places[: stop - start], places[stop - start :]
                found[start:stop] = jaccard.pairs(*sets.fetch(members), first, second, backend=self.backend)
            return found

        return similarity

    def _subject(self, group: TableGroup) -> tuple[str, ...] | None:
        """Return the columns of a group that are compared, or None when it has none."""
        options: Options = self.options
        named = tuple(column.name for column in group.columns if column.name in options.columns)
        if options.columns:
            return named or None
        texts = [column for column in group.columns if column.kind == "text" and column.mean_length >= SHORTEST_TEXT]
        if texts:
            return (max(texts, key=lambda column: column.mean_length).name,)
        windows = [column.name for column in group.columns if column.kind == "window"] if options.windows else []
        return tuple(windows) or None

    def _compared(self, batch: TableBatch) -> Compared:
        """Return what is compared of each row, as bytes."""
        options: Options = self.options
        names = self._subject(batch.group) or ()
        kinds = {column.kind for column in batch.group.columns if column.name in names}
        if kinds == {"window"}:
            return self._windows(batch.frame.select(names))
        joined = batch.frame.select(pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator=" ", ignore_nulls=True))
        series = joined.to_series()
        if options.normalise:
            series = joined.select(normalised(pl.col(series.name))).to_series()
        data, offsets, validity = text_buffers(series)
        return Compared(data, offsets, validity, options.unit, options.ngram, window=False)

    def _windows(self, frame: pl.DataFrame) -> Compared:
        """Return windows as words of one symbol a segment, the columns' words end to end."""
        options: Options = self.options
        words = []
        for series in frame:
            lists = series.cast(pl.List(pl.Float64)).fill_null([])
            values = lists.explode(empty_as_null=False).to_numpy().astype(np.float64)
            offsets = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())]).astype(np.int64)
            words.append(symbols.words(values, offsets=offsets, segments=options.segments, alphabet=options.alphabet, backend=self.backend))
        joined = np.concatenate(words, axis=1)
        offsets = np.arange(len(frame) + 1, dtype=np.int64) * joined.shape[1]
        validity = (joined != joined[:, :1]).any(axis=1)  # a constant window says nothing, and resembles every other
        return Compared(joined.ravel(), offsets, validity, "byte", WINDOW_NGRAM, window=True)

    # --- both

    def _order(self, index: NDArray[np.int64], *sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the order in which records have the right to stay."""
        if "largest" not in self.options.keep:
            return np.argsort(index)
        return np.lexsort((index, *(-size for size in reversed(sizes))))

    def _enter(self, case: Case, index: NDArray[np.int64], clusters: Clusters, reason: str, *, verified: bool = True) -> None:
        keeper = index[clusters.keeper]
        gone = clusters.keeper != np.arange(len(index))
        members = np.isin(clusters.keeper, clusters.keeper[gone])
        told = clusters.similarity if verified else np.full(len(index), np.nan)
        case.clusters(index[members], keeper[members], told[members])
        order = np.argsort(index[gone])
        rejected, kept, similarity = index[gone][order], keeper[gone][order], told[gone][order]
        case.reject(
            rejected,
            reason,
            "resembles the record that is kept" if verified else "shares a band with the record that is kept; not verified",
            kept=kept,
            similarity=similarity,
        )


def _components(records: int, pairs: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> NDArray[np.int64]:
    parent = np.arange(records, dtype=np.int64)
    for left, right in pairs:
        components.union(parent, left, right)
    return components.roots(parent)
