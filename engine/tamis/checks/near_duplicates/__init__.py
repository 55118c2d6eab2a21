"""Near-duplicates: texts, sensor windows and pictures that are almost the same.

Texts and windows: n-gram hashes, MinHash `affine32`, LSH bands, exact Jaccard similarity of the hashes re-read from the source, of windows
the concordance of their samples too.
Pictures: PDQ-256 or a 64-bit pHash of the upright picture, all pairs within a Hamming distance by multi-index search, which misses none,
then the correlation of small grey pictures.
In both, a record is rejected only if its verified similarity to a record that stays reaches the threshold.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from tamis.checks.base import Batch, Check, CheckOptions, Kind, MediaBatch, Observation, TableBatch
from tamis.checks.named import ColumnNames, Named
from tamis.checks.near_duplicates.keep import check_rules, columns_of, rank_names, ranks
from tamis.checks.near_duplicates.pictures import (
    HASHES,
    RESEMBLES,
    PictureRule,
    enter,
    hash_columns,
    judge_pictures,
    observe_pictures,
    standing,
)
from tamis.checks.near_duplicates.windows import Windows, level_accuracy, packed, windows_of
from tamis.near.banding import band_shape, certain_shape, estimated_recall, meeting
from tamis.near.clustering import Clusters, band_components, sharing, stars
from tamis.near.shingles import WindowSamples
from tamis.near.signatures import SignatureSimilarity, short_signatures
from tamis.near.texts import Scheme, Texts, normalised
from tamis.sources.schema import PROSE_LENGTH
from tamis_kernels import bands, minhash
from tamis_kernels.arrays import offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Sets
    from tamis.near.clustering import Similarity
    from tamis.near.shingles import Chunk
    from tamis.sources.schema import TableGroup


SEEMS_TO = "resembles the record that is kept, as far as their signatures tell"
SHARES_A_BAND = "shares a band, not verified, with the record that is kept"


class Options(CheckOptions):
    """Options of `near_duplicates`."""

    threshold: float = Field(default=0.8, gt=0, le=1, description="Least Jaccard similarity of texts and windows that are duplicates.")
    columns: ColumnNames = Field(
        default=(),
        description="Text columns that are compared, joined by a space; none given: the one with the longest texts, "
        f"where these have {PROSE_LENGTH} characters or more on average.",
    )
    tagged: bool = Field(
        default=False,
        description="Whether a row is the set of the words of its columns, each told apart by its column, as fits records of many short "
        "fields; unit and ngram are not used then. With no columns given, all.",
    )
    unit: Literal["byte", "char", "word"] = Field(default="word", description="What an n-gram of a text is made of.")
    ngram: int = Field(default=5, ge=1, description="Units per n-gram.")
    normalise: bool = Field(default=True, description="Whether texts are compared in NFKC, lower case and with single spaces.")
    scheme: Scheme = Field(
        default="fss", description="How signatures are made: fss (Fast Similarity Sketching) or affine32 (MinHash, as datasketch makes it)."
    )
    num_perm: int = Field(default=128, ge=16, le=1024, description="Permutations, that is slots, of a MinHash signature.")
    recall: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the pairs at the threshold that must meet in a band; those above it meet more surely. 0: what suits the "
        "threshold, 95 % at 0.8.",
    )
    bands: int = Field(default=0, ge=0, description="Bands, in place of those that the threshold or the recall asks for; 0: as they ask.")
    rows: int = Field(default=0, ge=0, description="Slots a band, with `bands`.")
    verify: Literal["exact", "signature", "none"] = Field(
        default="exact",
        description="exact: a pair counts only after its n-grams were compared, read from the source again; signature: after their "
        "signatures were; none: an equal band suffices. Records of earlier runs are compared by signature, windows by their samples too.",
    )
    measure: Literal["jaccard", "containment"] = Field(
        default="jaccard",
        description="What must reach the threshold: the Jaccard similarity, or the share of the smaller set that is in the other, which "
        "needs verify = exact. Candidates are found by Jaccard either way: more and shorter bands find more of what is contained.",
    )
    windows: bool = Field(default=True, description="Whether numeric list columns are compared as sensor windows.")
    segments: int = Field(default=32, ge=4, description="Segments a window is averaged into.")
    alphabet: Literal[8, 16] = Field(default=8, description="Symbols a segment's mean is quantised to.")
    verify_windows: float = Field(
        default=0.9993,
        ge=0,
        le=1,
        description="Least concordance of the samples, one on the other or one apart, of windows whose symbols are near, with "
        "verify = exact: noise of 3 % of the deviation, or a level or spread that is as much apart, is allowed. Costs two bytes of "
        "evidence a sample. 0: symbols alone decide.",
    )
    rescaled: bool = Field(
        default=True,
        description="Whether a window of another level or spread is a copy where its detail proves it: the samples correlate as "
        "verify_windows asks, and their second differences, which must be random as those of no smooth curve are, at 0.95.",
    )
    hash: Literal["pdq", "phash64"] = Field(
        default="pdq", description="What pictures are hashed by: pdq (256 bits) or phash64 (64 bits, as imagehash.phash)."
    )
    distance: int = Field(
        default=-1,
        ge=-1,
        le=127,
        description="Most differing bits between the hashes of duplicate pictures: up to 127 of pdq, 16 of phash64. "
        "-1: 31 of pdq, 10 of phash64.",
    )
    orientations: Literal["dihedral", "as_is"] = Field(
        default="dihedral",
        description="Whether a picture is also found turned by quarters and mirrored (its eight dihedral forms), or only as it is.",
    )
    verify_pictures: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="Least likeness (correlation, see formats) of grey pictures of 16 x 16 whose hashes are near: costs 256 bytes of "
        "evidence a picture. 0: hashes alone decide, and no small pictures are noted.",
    )
    min_quality: int = Field(default=50, ge=0, le=100, description="PDQ quality below which a picture is too plain to be compared.")
    keep: tuple[str, ...] = Field(
        default=("largest", "first"),
        description="Which record stays, by rules in order: largest or smallest (pixels, then bytes; or the length of the text), "
        "fullest (fewest nulls), source:PATTERN (a file, a folder or a glob), earliest:COLUMN, latest:COLUMN, lowest:COLUMN, "
        "highest:COLUMN, at last the first by id. Nulls come last.",
    )
    remember: bool = Field(
        default=True, description="Whether a later run can compare with this one: costs a byte of evidence per slot of a row's signature."
    )
    bucket_cap: int = Field(
        default=10_000,
        ge=2,
        description="Records of equal band, or pictures that near hashes join, above which a bucket is cut; cuts are counted.",
    )

    def shape(self) -> tuple[int, int]:
        """Return how many bands of how many slots there are."""
        if self.bands:
            return self.bands, self.rows
        return certain_shape(self.threshold, self.num_perm, self.recall) if self.recall else band_shape(self.threshold, self.num_perm)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if bool(self.bands) != bool(self.rows) or self.bands * self.rows > self.num_perm:
            message = f"{self.bands} bands of {self.rows} slots do not fit {self.num_perm}; give both bands and rows, or neither"
            raise ValueError(message)
        if self.measure == "containment" and self.verify != "exact":
            message = f"measure = containment needs verify = exact: {self.verify} cannot tell it"
            raise ValueError(message)
        if self.distance > HASHES[self.hash][2]:
            message = (
                f"distance must be at most {HASHES[self.hash][2]} bits with hash = {self.hash}, got {self.distance}; -1 takes what suits"
            )
            raise ValueError(message)
        self.shape()
        return self

    @field_validator("keep")
    @classmethod
    def _rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        check_rules(rules)
        return rules

    def named_columns(self) -> dict[str, Named]:
        """Return the columns that the options name, those of the rules among them."""
        return super().named_columns() | {"keep": Named(columns_of(self.keep), ("number", "datetime", "boolean", "other"))}


class NearDuplicates(Check[Options]):
    """Keeps one of each cluster of almost equal records."""

    name = "near_duplicates"
    order = 40
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media", "table"})
    summary = "Pictures, texts and sensor windows that are almost the same: one stays, each removal is verified."
    Options = Options
    verdict_keys: ClassVar[frozenset[str]] = frozenset(
        {"verify", "verify_windows", "rescaled", "measure", "keep", "remember", "bucket_cap", "orientations"}
    )

    @property
    def pixels(self) -> bool:
        """Whether a hash is wanted that comes from pictures shrunk on the CPU."""
        return self.options.hash == "phash64"

    @property
    def remembers(self) -> bool:
        """Whether evidence holds signatures."""
        return self.options.remember or self.options.verify == "signature"

    def observe(self, batch: Batch) -> Observation:
        """Note the perceptual hash of pictures, the band keys of rows."""
        options = self.options
        if isinstance(batch, MediaBatch):
            return observe_pictures(batch, options.hash, options.keep, self.backend, small=options.verify_pictures > 0)
        return self._observe_rows(batch)

    def judge(self, case: Case) -> None:
        """Cluster the living records and reject all but the keepers."""
        options = self.options
        if case.has(hash_columns(options.hash)[0]):
            rule = PictureRule(
                options.hash,
                HASHES[options.hash][1] if options.distance < 0 else options.distance,
                options.min_quality,
                rank_names(options.keep),
                dihedral=options.orientations == "dihedral",
                likeness=options.verify_pictures,
                cap=options.bucket_cap,
            )
            judge_pictures(case, rule, self.backend)
        for kind in ("text", "window"):
            if case.has(f"{kind}_band_000"):
                self._judge_rows(case, kind)

    def shingles(self, batch: TableBatch) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the n-gram hashes of the compared column."""
        return self._compared(batch).shingles(self.backend)

    # --- rows

    def _observe_rows(self, batch: TableBatch) -> Observation:
        options = self.options
        if self._subject(batch.group) is None:
            return Observation()
        rows = self._compared(batch)
        signatures = rows.signatures(options.scheme, num_perm=options.num_perm, seed=self.seed, backend=self.backend)
        count, slots = options.shape()
        keys = bands.keys(signatures, bands=count, rows=slots, backend=self.backend)
        empty = (signatures == np.uint32(minhash.EMPTY_SLOT)).all(axis=1)
        kind, something = "text" if isinstance(rows, Texts) else "window", pl.Series(~empty)
        told = pl.DataFrame({f"{kind}_band_{band:03d}": keys[:, band] for band in range(count)})
        told = told.with_columns(**ranks(options.keep, batch, np.diff(rows.offsets).astype(np.int64)))
        if self.remembers:
            told = told.with_columns(packed(short_signatures(signatures)).alias("sketch"))
        if isinstance(rows, Windows) and (self.remembers or options.verify_windows > 0):
            told = told.with_columns(**rows.evidence())
        return Observation({name: told.select(pl.when(something).then(pl.col(name)).alias(name)).to_series() for name in told.columns})

    def _judge_rows(self, case: Case, kind: str) -> None:
        options = self.options
        count, _ = options.shape()
        names = [f"{kind}_band_{band:03d}" for band in range(count)]
        suspected = np.zeros(case.records, bool)
        compared = sum(len(index) for index, _ in case.scan(names[0]))
        for name in names:
            for index, (keys,) in case.parts(name, repeated=True):
                suspected[index[sharing(keys, backend=self.backend)]] = True
        suspects = np.flatnonzero(suspected)
        del suspected
        case.count(rows_compared=compared, rows_suspected=len(suspects))
        own = suspects[suspects < case.own]
        exact = options.verify == "exact"
        sampled = exact and kind == "window" and options.verify_windows > 0
        with case.sets(own) if exact else nullcontext() as sets, _samples(case, suspects) if sampled else nullcontext() as copies:
            self._judge_suspects(case, suspects, kind, names, self._similarity(case, suspects, sets, copies))

    def _judge_suspects(self, case: Case, suspects: NDArray[np.int64], kind: str, names: list[str], similarity: Similarity) -> None:
        options = self.options
        order = standing(case, suspects, [case.values(name, suspects) for name in rank_names(options.keep)])
        everyone = np.arange(len(suspects))
        keys = ((case.values(name, suspects)[order], everyone) for name in names)

        def compare(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
            return similarity(order[left], order[right])

        roots, counters = band_components(len(suspects), keys, compare, options.threshold, hot=options.bucket_cap, backend=self.backend)
        clusters = stars(roots, compare, options.threshold, settled=int(np.count_nonzero(suspects >= case.own)))
        index = suspects[order]
        if options.verify == "none":
            clusters.similarity[:] = np.nan
        detail = {"exact": RESEMBLES, "signature": SEEMS_TO, "none": SHARES_A_BAND}[options.verify]
        enter(case, index, clusters, f"near_duplicate_{kind}", detail, earlier=detail if options.verify == "none" else SEEMS_TO)
        self._tell_recall(case, kind, clusters)
        case.count(pairs_verified=counters["pairs"] + clusters.counters["pairs"])
        case.count(hot_buckets=counters["hot_buckets"], unsettled=counters["unsettled"])

    def _tell_recall(self, case: Case, kind: str, clusters: Clusters) -> None:
        """Count what the bands were to find at the threshold, and what share of the pairs there are they found, as far as can be told."""
        options = self.options
        if options.measure == "containment":
            return  # how surely a pair meets hangs on its Jaccard similarity
        shape = options.shape()
        case.count(**{f"{kind}_recall_at_threshold": float(meeting(np.array([options.threshold]), *shape)[0])})
        found = clusters.similarity[clusters.keeper != np.arange(len(clusters.keeper))]
        estimate = estimated_recall(found, *shape)
        if estimate is not None:
            told = {"recall": estimate.share, "recall_low": estimate.low, "recall_high": estimate.high}
            case.count(**{f"{kind}_{name}": round(value, 6) for name, value in told.items()})

    def _similarity(self, case: Case, suspects: NDArray[np.int64], sets: Sets | None, samples: WindowSamples | None) -> Similarity:
        """Return the similarity of pairs of suspects, exact where both are of this run and there are sets to tell it.

        Where there are samples, pairs of which these are no copies are not similar.
        """
        options = self.options
        if options.verify == "none":
            return lambda left, _: np.ones(len(left))
        own = int(np.searchsorted(suspects, case.own))
        everyone = sets is None or own < len(suspects)
        estimate = SignatureSimilarity(_unpacked(case.values("sketch", suspects))) if everyone else None
        levels = np.empty(0, object) if samples is None else case.values("levels", suspects)

        def similarity(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
            known = np.zeros(len(left), bool) if sets is None else (left < own) & (right < own)
            found = np.empty(len(left))
            if sets is not None:
                measure = sets.containment if options.measure == "containment" else sets.jaccard
                found[known] = measure(left[known], right[known])
            if estimate is not None:
                found[~known] = estimate(left[~known], right[~known])
            if samples is not None:
                near = np.flatnonzero(found >= options.threshold)
                one, other = left[near], right[near]
                alike = level_accuracy(levels[one].tolist(), levels[other].tolist())
                found[near[~samples.copies(one, other, alike, options.verify_windows, rescaled=options.rescaled)]] = 0
            return found

        return similarity

    def _subject(self, group: TableGroup) -> tuple[str, ...] | None:
        """Return the columns of a group that are compared, or None when it has none."""
        options = self.options
        everything = options.tagged and not options.columns
        named = tuple(column.name for column in group.columns if everything or column.name in options.columns)
        if options.columns or options.tagged:
            return named or None
        texts = [column for column in group.columns if column.is_prose]  # rows that share a name are not the same row
        if texts:
            return (max(texts, key=lambda column: column.mean_length).name,)
        windows = [column.name for column in group.columns if column.kind == "window"] if options.windows else []
        return tuple(windows) or None

    def _compared(self, batch: TableBatch) -> Texts | Windows:
        """Return what is compared of each row."""
        options = self.options
        names = self._subject(batch.group) or ()
        kinds = {column.kind for column in batch.group.columns if column.name in names}
        if kinds == {"window"}:
            return windows_of(batch.frame.select(names), options.segments, options.alphabet, self.backend)
        if options.tagged:
            return Texts.of(_tagged(batch.frame.select(names), normalise=options.normalise), "word", 1)
        joined = batch.frame.select(pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator=" ", ignore_nulls=True))
        if options.normalise:
            joined = joined.select(normalised(pl.col(joined.columns[0])))
        return Texts.of(joined.to_series(), options.unit, options.ngram)


@contextmanager
def _samples(case: Case, records: NDArray[np.int64]) -> Iterator[WindowSamples]:
    """Give the samples of windows of records, whose numbers rise, from the evidence."""

    def chunks() -> Iterator[Chunk]:
        for index, (values,) in case.scan("samples", among=records):
            offsets = offsets_of(np.fromiter(map(len, values), np.int64, len(values)) // 2)
            yield np.searchsorted(records, index), np.frombuffer(b"".join(values), np.float16), offsets

    with case.scratch() as folder, WindowSamples(chunks(), len(records), folder / "samples") as samples:
        yield samples


def _unpacked(sketches: NDArray[np.object_]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(sketches), np.uint8).reshape(len(sketches), -1 if len(sketches) else 1)


def _tagged(frame: pl.DataFrame, *, normalise: bool) -> pl.Series:
    """Return each row as words `number of the column=word`, null where all columns are."""
    parts = []
    for number, (name, dtype) in enumerate(frame.schema.items()):
        text = (
            pl.col(name).cast(pl.String)
            if not isinstance(dtype, pl.List | pl.Array)
            else pl.col(name).cast(pl.List(pl.String)).list.join(" ")
        )
        text = normalised(text) if normalise else text
        parts.append(text.str.replace_all(r"(\S+)", f"{number}=${{1}}"))
    return frame.select(pl.concat_str(parts, separator=" ", ignore_nulls=True).alias("record")).to_series()
