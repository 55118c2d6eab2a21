"""What the report shows of a run's Parquet files: counts, and a few rows of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXAMPLES = 5
TREATMENTS = ("missing", "imputed")  # further counts that a column may carry
CLUSTERS_PER_CHECK = 4
MEMBERS_SHOWN = 4
SERIES_SHOWN = 20
# how a value came to be null, in the order a reader meets it; other names follow these
NULL_CAUSES = ("blank", "word", "code", "nan", "unparsed")


class Reason(NamedTuple):
    """A reason, how many records have it, and the first few of them."""

    check: str
    reason: str
    records: int
    examples: list[dict[str, Any]]


class Cluster(NamedTuple):
    """A cluster of duplicates: its keeper and some of the records that the keeper stands for."""

    check: str
    keeper: str
    size: int
    members: list[dict[str, Any]]

    @property
    def hidden(self) -> int:
        """Return how many members are not shown."""
        return self.size - 1 - len(self.members)


class NullTable(NamedTuple):
    """A table group with, for each column, how many values are null and by which cause."""

    table: dict[str, Any]
    causes: list[str]
    treatments: list[str]
    columns: list[dict[str, Any]]


def examples(path: Path, by_reason: Sequence[dict[str, Any]]) -> list[Reason]:
    """Return the reasons, the most frequent first, each with its first few records."""
    ordered = sorted(by_reason, key=lambda row: (-row["records"], row["check"], row["reason"]))
    return [Reason(row["check"], row["reason"], row["records"], _first_of(path, row["check"], row["reason"])) for row in ordered]


def _first_of(path: Path, check: str, reason: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    matching = pl.scan_parquet(path).filter(pl.col("check") == check, pl.col("reason") == reason)
    return matching.head(EXAMPLES).collect(engine="streaming").to_dicts()


def clusters(path: Path) -> list[Cluster]:
    """Return the largest few clusters of each check, each with its keeper and a few of its other members."""
    if not path.exists():
        return []
    rows = pl.scan_parquet(path)
    return [
        Cluster(check, keeper, size, _members(rows, check, keeper))
        for check, keeper, size in _largest(path).select("check", "cluster", "len").iter_rows()
    ]


def _largest(path: Path) -> pl.DataFrame:
    """Count the members of clusters, which stand together in the file, and keep the largest: there may be millions."""
    largest = last = pl.DataFrame(schema={"check": pl.String, "cluster": pl.String, "len": pl.UInt32})
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["check", "cluster"]):
            sizes = pl.DataFrame(pl.from_arrow(batch)).group_by("check", "cluster", maintain_order=True).len()
            counted = pl.concat([last, sizes]).group_by("check", "cluster", maintain_order=True).agg(pl.col("len").sum())
            largest, last = _first_of_each(pl.concat([largest, counted[:-1]])), counted[-1:]
    return _first_of_each(pl.concat([largest, last]))


def _first_of_each(sizes: pl.DataFrame) -> pl.DataFrame:
    ordered = sizes.sort(["check", "len", "cluster"], descending=[False, True, False])
    return ordered.group_by("check", maintain_order=True).head(CLUSTERS_PER_CHECK)


def _members(rows: pl.LazyFrame, check: str, keeper: str) -> list[dict[str, Any]]:
    members = rows.filter(pl.col("check") == check, pl.col("cluster") == keeper, ~pl.col("keeper"))
    nearest_first = members.sort(["similarity", "record"], descending=[True, False])
    return nearest_first.head(MEMBERS_SHOWN).collect(engine="streaming").to_dicts()


class SeriesTable(NamedTuple):
    """The series with the most suspect and failing readings, how many there are in all, and the tests that told on any."""

    total: int
    tests: list[str]
    rows: list[dict[str, Any]]


def series_table(path: Path) -> SeriesTable | None:
    """Return the series of a run whose readings were tested; None where none were."""
    if not path.exists():
        return None
    frame = pl.read_parquet(path)
    tests = [name for name in frame.columns[frame.columns.index("missing") + 1 :] if name != "limits" and frame[name].sum()]
    told = (pl.col("suspect") + pl.col("fail")).alias("told")
    worst = frame.with_columns(told).sort("told", "table", "sensor", "column", descending=[True, False, False, False])
    return SeriesTable(len(frame), tests, worst.head(SERIES_SHOWN).to_dicts())


def null_table(table: dict[str, Any]) -> NullTable:
    """Return the columns of a table group with their nulls by cause; causes that no column has are left out."""
    columns = table.get("columns", [])
    found = {cause for column in columns for cause, count in column.get("nulls", {}).items() if count}
    causes = [cause for cause in NULL_CAUSES if cause in found] + sorted(found - set(NULL_CAUSES))
    treatments = [name for name in TREATMENTS if any(name in column for column in columns)]
    return NullTable(table, causes, treatments, columns)
