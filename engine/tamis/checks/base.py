"""The contract of a check: observe, judge, apply, each optional; `needs` says which statistics of the kept rows `apply` wants.

A check sees batches, evidence and the books (`Case`); it never opens a file of the source itself and never talks to another check.
The pipeline knows this contract and no check's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import Field

from tamis.checks.named import Named
from tamis.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from tamis.media import Inspection
    from tamis.series.sorting import Columns, Sorted
    from tamis.sources.schema import TableGroup
    from tamis_kernels.backend import BackendName
    from tamis_kernels.moments import Moments
    from tamis_kernels.types import Float64s, Int64s, Uint32s

Work = TypeVar("Work")
Answer = TypeVar("Answer")
Kind = Literal["media", "table"]
Severity = Literal["note", "reject"]
Detail = str | Sequence[str]


class CheckOptions(Section):
    """What every section of a check has."""

    enabled: bool = Field(default=True, description="Whether the check runs.")

    def named_columns(self) -> dict[str, Named]:
        """Return the columns that the options name, by option; each must be in a table of the source, and of a kind that fits."""
        fields = type(self).model_fields.items()
        return {key: one._replace(names=getattr(self, key)) for key, field in fields for one in field.metadata if isinstance(one, Named)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about one record of a batch.

    Attributes
    ----------
    index
        The record's position in the batch.
    reason
        Stable code in snake_case, counted in the manifest.
    severity, detail
        `reject` holds the record back, `note` keeps it; what was found, for people.
    column, value
        The cell, where it is about one.
    """

    index: int
    reason: str
    severity: Severity
    detail: str
    column: str | None = None
    value: str | None = None


@dataclass(slots=True)
class MediaBatch:
    """Files read once: their bytes' hash, what one strict decode found, and, of rows, values as text of columns that checks want beside."""

    kind: ClassVar[Kind] = "media"
    records: Sequence[str]
    sizes: Int64s
    digests: Sequence[bytes]
    inspections: Sequence[Inspection]
    beside: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)


@dataclass(slots=True)
class TableBatch:
    """Rows of one table group, with the types its schema gives them.

    Attributes
    ----------
    group
        The schema that the rows follow.
    source
        Record id of the file that the rows come from.
    rows
        int64 array: each row's number in its file.
    frame
        The typed values, one column per column of the group.
    unparsed, rounded
        Cells that held something their column's type cannot hold, or not exactly: index, column, value in the source.
    nulls
        Why cells are null: (column, reason) to how many.
    """

    kind: ClassVar[Kind] = "table"
    group: TableGroup
    source: str
    rows: Int64s
    frame: pl.DataFrame
    unparsed: pl.DataFrame
    rounded: pl.DataFrame
    nulls: Mapping[tuple[str, str], int]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.rows)


Batch = MediaBatch | TableBatch


@dataclass(slots=True)
class Observation:
    """What a check noted of a batch: evidence columns (one value a record), findings, and named integer counters, which add up."""

    columns: Mapping[str, pl.Series] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    totals: Mapping[str, int] = field(default_factory=dict)


class Sets(Protocol):
    """Shingle sets of some records, on disk."""

    def jaccard(self, left: Int64s, right: Int64s) -> Float64s:
        """Exact Jaccard similarity of pairs of places."""

    def containment(self, left: Int64s, right: Int64s) -> Float64s:
        """Share of the smaller set that is in the other, of pairs of places."""


class Rows(Protocol):
    """The living rows of one kind of table, read from the source again as often as is needed."""

    @property
    def group(self) -> TableGroup:
        """The schema that they follow."""

    def batches(self, columns: Collection[str] | None = None) -> Iterator[tuple[Int64s, TableBatch]]:
        """Yield living records in rising order, some at a time: their numbers and rows; a row that can no longer be read is left out."""

    def parts(self) -> Sequence[Rows]:
        """Return the same rows in parts of whole files, which can be sent to the workers."""

    @property
    def sources(self) -> Sequence[str]:
        """Record ids of the files that they come from."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What a check makes of the rows of some records, which follow on each other.

    Attributes
    ----------
    columns
        One row a record. Structs `changed` and `value` change cells of the column of that name; what is fitted sees null there, for
        such a value was not measured. All other columns are new.
    findings
        `index` numbers the record in the run; reason, severity, detail, column and value are those of `Finding`.
    counts
        Counters for the manifest, which add up.
    """

    columns: pl.DataFrame
    findings: pl.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)


class Case(Protocol):
    """What `judge` sees: the evidence of the run, and the books in which it writes its verdicts.

    Records are numbered 0 … n-1 in source order, whatever the shards, jobs and batches were. A check that wants its memory bounded takes
    evidence by `scan` or `parts`, and holds arrays of the records alone that it suspects.
    """

    @property
    def records(self) -> int:
        """How many records there are; from `own` on they are those that earlier runs have kept, which are never rejected."""

    @property
    def own(self) -> int:
        """How many records the run itself has."""

    def has(self, name: str) -> bool:
        """Whether any record has this evidence."""

    def scan(self, *names: str, among: Int64s | None = None) -> Iterator[tuple[Int64s, tuple[NDArray[Any], ...]]]:
        """Yield the living records, or those `among` them, that have these columns of evidence, rising, some at a time, with values."""

    def parts(self, *names: str, repeated: bool = False) -> Iterator[tuple[Int64s, tuple[NDArray[Any], ...]]]:
        """As `scan`, but records of equal key, a 64-bit hash in the first column, share a part; if `repeated`, others may be left out."""

    def values(self, name: str, indices: Int64s) -> NDArray[Any]:
        """Return a column of evidence of these records, whose numbers rise; a record that lacks it counts as 0 or as an empty text."""

    def sets(self, indices: Int64s) -> AbstractContextManager[Sets]:
        """Shingle sets of these records, whose numbers rise, read from the source again."""

    def reject(
        self, indices: Int64s, reason: str, detail: Detail, *, kept: Int64s | None = None, similarity: Float64s | None = None
    ) -> None:
        """Reject records; one detail for all or one for each; `kept` names the record that stands for each."""

    def note(self, indices: Int64s, reason: str, detail: Detail, *, kept: Int64s | None = None, similarity: Float64s | None = None) -> None:
        """Say something of records of this run, rejected ones too, without a verdict; the arguments are those of `reject`."""

    def clusters(self, members: Int64s, keepers: Int64s, similarity: Float64s) -> None:
        """Enter clusters: each member, the record that is kept for it (itself for the keeper), and how similar the two are."""

    def clustered(self) -> tuple[Int64s, Int64s, Float64s]:
        """Members, keepers and similarities of all clusters that checks before this one have entered, in the order of entry."""

    def companions(self, indices: Int64s) -> Iterator[tuple[int, str, bytes]]:
        """Yield number, name and content of the files that ride along with these records of this run; what cannot be read is left out."""

    def reinstate(self, indices: Int64s) -> None:
        """Take back the rejection of records that an earlier check removed as duplicates, where one of them is to stay for another."""

    def count(self, **counters: float) -> None:
        """Add counters to the manifest."""

    def tables(self) -> Iterator[Rows]:
        """Yield the tables of this run."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Give a folder for temporary files."""

    def spread(self, work: Callable[[Work], Answer], arguments: Iterable[Work]) -> Iterator[Answer]:
        """Yield what a function of a module makes of each argument, in their order, from the workers.

        A call whose worker dies is made again: what it leaves in a file must not hang on what is there.
        """

    def amend(self, table: Rows, records: Sorted, make: Callable[[int, int, Columns], Amendment]) -> None:
        """Amend the rows of a table: `make` is called with a number, how many records there are from it on, and what is told of these.

        The first key of `records` is `row`, a number of a record; one record may be told of several times. `make` is sent to the workers.
        """

    def publish(self, frame: pl.DataFrame) -> None:
        """Write what was found of each series to series.parquet; called once."""

    def leave(self, name: str, text: str) -> None:
        """Write a text file beside the manifest."""

    def decide(self, group: TableGroup, decision: str) -> None:
        """Say in the manifest what was decided about a table."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Statistics over the kept rows that a check wants for one column before it is applied.

    Attributes
    ----------
    moments
        Count, mean, variance, minimum and maximum.
    quantiles
        Probabilities of the exact quantiles wanted.
    power
        The lambda of the Yeo-Johnson transform that makes the values most normal; costs some fifteen passes.
    mad
        The median and the median absolute deviation from it.
    by
        Column in each of whose values the statistics are wanted too; none where empty.
    most_groups
        How many values `by` may have: what is known of each is held in memory.
    where
        A column and the text in it that a row must have to take part; none where empty.
    place
        Of a column of windows: the sample of each that takes part; all where None.
    """

    moments: bool = False
    quantiles: tuple[float, ...] = ()
    power: bool = False
    mad: bool = False
    by: str = ""
    most_groups: int = 10_000
    where: tuple[str, str] | None = None
    place: int | None = None

    def __or__(self, other: Needs) -> Needs:
        """Return what both need of the same rows."""
        quantiles = tuple(sorted({*self.quantiles, *other.quantiles}))
        asked = {name: getattr(self, name) or getattr(other, name) for name in ("moments", "power", "mad")}
        return replace(self, quantiles=quantiles, most_groups=min(self.most_groups, other.most_groups), **asked)

    def key(self, column: str) -> str:
        """Return where the answer stands among the statistics: at the column's name, where all rows are asked as one."""
        place = () if self.place is None else (f"[{self.place}]",)
        return "\0".join([column, self.by, *(self.where or ()), *place]) if self.by or self.where or place else column


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Exact statistics of one column over the kept rows; what was not asked for is None or empty.

    `power` is a lambda and the moments of the transformed values, `mad` the median and the median absolute deviation from it; `groups` has
    the statistics of each group, by its name as text.
    """

    moments: Moments | None = None
    quantiles: Mapping[float, float] = field(default_factory=dict)
    power: tuple[float, Moments] | None = None
    mad: tuple[float, float] | None = None
    groups: Mapping[str, ColumnStatistics] = field(default_factory=dict)


Statistics = Mapping[str, ColumnStatistics]
Chosen = TypeVar("Chosen", bound=CheckOptions)


class Check(Generic[Chosen]):
    """Base of all checks: a name, its options, and hooks that do nothing. A check of its own options is a `Check[Options]`.

    Attributes
    ----------
    name
        Section of the recipe, prefix of evidence columns, and `check` in the ledger.
    order
        Place in the sequence of verdicts: the first check that rejects a record owns the rejection.
    kinds
        What it looks at.
    summary
        One sentence for `tamis recipe schema` and the report.
    verdict_keys
        Options that change verdicts but not what evidence means: runs that differ in them alone can be judged against each other.
    """

    name: ClassVar[str]
    order: ClassVar[int]
    kinds: ClassVar[frozenset[Kind]]
    summary: ClassVar[str]
    Options: ClassVar[type[CheckOptions]] = CheckOptions
    verdict_keys: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: Chosen, *, seed: int = 1, backend: BackendName = "auto") -> None:
        self.options = options
        self.seed = seed
        self.backend = backend

    def correct(self, batch: TableBatch) -> TableBatch:
        """Return rows as they are to be read, by this check and all others. Each row is judged by itself; rows may not come or go."""
        raise NotImplementedError

    def observe(self, batch: Batch) -> Observation:
        """Turn a batch into evidence and findings."""
        raise NotImplementedError

    def judge(self, case: Case) -> None:
        """Set verdicts from the evidence of the whole run."""
        raise NotImplementedError

    def shingles(self, batch: TableBatch) -> tuple[Uint32s, Int64s]:
        """Return the shingle hashes and offsets that verification compares."""
        raise NotImplementedError

    def needs(self, group: TableGroup) -> Mapping[str, Sequence[Needs]]:
        """Return which statistics over the kept rows `apply` wants, per column; of windows, all samples are asked or one place each."""
        raise NotImplementedError

    def apply(self, frame: pl.DataFrame, group: TableGroup, statistics: Statistics) -> pl.DataFrame:
        """Return kept rows as they are to be written. Columns may change their values and types, rows may not come or go."""
        raise NotImplementedError

    def fitted(self, group: TableGroup, statistics: Statistics) -> dict[str, Any] | None:
        """Return what `apply` used, JSON-safe, for `scaler.json`; None when there is nothing to keep."""
        raise NotImplementedError

    @property
    def deep(self) -> bool:
        """Whether it wants sound and film decoded to the last frame."""
        return False

    @property
    def pixels(self) -> bool:
        """Whether it wants pictures themselves, where PDQ's hash, the small picture and the figures of quality would not do."""
        return False

    @property
    def remembers(self) -> bool:
        """Whether its evidence holds all that a later run needs to be judged against this one."""
        return True

    @classmethod
    def has(cls, hook: str) -> bool:
        """Whether this check has a hook of its own."""
        return getattr(cls, hook) is not getattr(Check, hook)
