"""Rows that a check amends once it has seen all of them: what it made of each shard is a file, which fitting and `apply` read."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.pipeline import findings
from tamis.pipeline.files import write_table
from tamis.pipeline.rows import RowReader
from tamis.sources.payload import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Amendment, TableBatch
    from tamis.pipeline.plan import Plan, Shard
    from tamis.series.sorting import Columns, Sorted
    from tamis.sources.schema import TableGroup

ROWS_AT_A_TIME = 1 << 16
MOST_PARTS, LEAST_ROWS = 256, 1 << 18  # of a table, and of a part of it


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The living rows of a table group: the `Rows` of a case.

    Attributes
    ----------
    plan
        Of the run, or of some files of the group.
    group
        The schema that they follow.
    alive
        Which records live, of those from number `first` on.
    """

    plan: Plan
    group: TableGroup
    alive: NDArray[np.bool_]
    first: int = 0

    @property
    def shards(self) -> list[Shard]:
        """The shards of the group, in order."""
        return [shard for shard in self.plan.shards if shard.group == self.group.name]

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(shard.files[0].record for shard in self.shards))

    def parts(self) -> list[SourceRows]:
        shards = self.shards
        least = max(LEAST_ROWS, -(-sum(shard.records for shard in shards) // MOST_PARTS))
        parts: list[list[Shard]] = [[]]
        for _, of_file in groupby(shards, key=lambda shard: shard.files[0].record):
            if sum(shard.records for shard in parts[-1]) >= least:
                parts.append([])
            parts[-1].extend(of_file)
        return [self._part(part) for part in parts if part]

    def _part(self, shards: Sequence[Shard]) -> SourceRows:
        first, stop = shards[0].first - self.first, shards[-1].first + shards[-1].records - self.first
        staged = {shard.files[0].record: self.plan.staged[shard.files[0].record] for shard in shards}
        plan = replace(self.plan, shards=tuple(shards), staged=staged, problems=(), notes={})
        return SourceRows(plan, self.group, self.alive[first:stop], shards[0].first)

    def batches(self, columns: Collection[str] | None = None) -> Iterator[tuple[NDArray[np.int64], TableBatch]]:
        reader = RowReader(self.plan)
        for shard in self.shards:
            with contextlib.suppress(Unavailable):  # apply reads the same rows and enters the loss in the ledger
                for batch in reader.batches(shard, self.plan.batch_size or ROWS_AT_A_TIME, columns=columns):
                    numbers = batch.rows - shard.start + shard.first
                    there = self.alive[numbers - self.first]
                    batch.frame = batch.frame.filter(pl.Series(there))
                    batch.rows = batch.rows[there]
                    yield numbers[there], batch


@dataclass(frozen=True, slots=True)
class Order:
    """Shards of a table in a row, what a check was told of their records, and how it makes amendments of it."""

    check: str
    shards: tuple[Shard, ...]
    told: Sorted
    make: Callable[[int, int, Columns], Amendment]


def orders(check: str, shards: Sequence[Shard], told: Sorted, make: Callable[[int, int, Columns], Amendment]) -> Iterator[Order]:
    """Yield the work on all shards of a table, in parts of several shards where there are many: each opens all files."""
    step = -(-len(shards) // MOST_PARTS)
    for start in range(0, len(shards), step):
        part = tuple(shards[start : start + step])
        yield Order(check, part, told.between(part[0].first, part[-1].first + part[-1].records), make)


def amend_shards(plan: Plan, order: Order) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Write what a check makes of some shards; return the numbers of the records that it rejects, and its counters."""
    rejected = [np.empty(0, np.int64)]
    counts: Counter[str] = Counter()
    records = _Records(order.told)
    for shard in order.shards:
        columns: list[pl.DataFrame] = []
        found: list[pl.DataFrame] = [findings.empty()]
        stop = shard.first + shard.records
        for first in range(shard.first, stop, ROWS_AT_A_TIME):
            count = min(ROWS_AT_A_TIME, stop - first)
            made = order.make(first, count, records.until(first + count))
            columns.append(made.columns)
            told = made.findings.with_columns(pl.col("index") - shard.first, pl.lit(order.check).alias("check"))
            found.append(pl.concat([findings.empty(), told], how="diagonal_relaxed").select(list(findings.SCHEMA)))
            counts.update(made.counts)
        if columns and columns[0].width:
            tables = [frame.to_arrow() for frame in columns]
            write_table(_path(plan, shard), tables, tables[0].schema)
        noted = pl.concat(found).sort("index", maintain_order=True)
        findings.write(findings.path(plan, shard, "amended"), noted)
        rejected.append(findings.rejected(noted).unique().to_numpy() + shard.first)
    return np.concatenate(rejected), dict(counts)


class _Records:
    """Records by row that are taken a range of rows at a time."""

    def __init__(self, told: Sorted) -> None:
        self._parts = told.chunks()
        self._none: Columns = {name: np.empty(0, told.dtype[name]) for name in told.dtype.names or ()}
        self._held = next(self._parts, None)

    def until(self, row: int) -> Columns:
        """Return all that is left before a row."""
        taken = [self._none]
        while self._held is not None:
            place = int(np.searchsorted(self._held["row"], row))
            taken.append({name: column[:place] for name, column in self._held.items()})
            if place < len(self._held["row"]):
                self._held = {name: column[place:] for name, column in self._held.items()}
                break
            self._held = next(self._parts, None)
        return {name: np.concatenate([part[name] for part in taken]) for name in self._none}


class Amended:
    """Reads the rows of a shard as the checks have amended them.

    Parameters
    ----------
    measured
        Whether cells that were changed are null, as for what is fitted.
    columns
        The columns that are wanted, which a batch has if its file does.
    """

    def __init__(self, plan: Plan, shard: Shard, *, measured: bool = False, columns: Collection[str] | None = None) -> None:
        path = _path(plan, shard)
        self._columns = _read(path, columns) if path.exists() else None
        self._start, self._measured = shard.start, measured

    def frame(self, batch: TableBatch) -> pl.DataFrame:
        """Return the rows of a batch."""
        if self._columns is None:
            return batch.frame
        columns = self._columns[batch.rows - self._start].get_columns()
        return batch.frame.with_columns(self._changed(batch.frame[one.name], one) if one.dtype == pl.Struct else one for one in columns)

    def _changed(self, cells: pl.Series, change: pl.Series) -> pl.Series:
        changed = change.struct.field("changed")
        value = None if self._measured else change.struct.field("value")
        return cells.to_frame().select(pl.when(changed).then(value).otherwise(cells).cast(cells.dtype).alias(cells.name)).to_series()


def _read(path: Path, columns: Collection[str] | None) -> pl.DataFrame | None:
    """Read what was made of a shard, of those columns that are wanted."""
    there = pl.read_parquet_schema(path)
    wanted = [name for name in there if columns is None or name in columns]
    return pl.read_parquet(path, columns=wanted) if wanted else None


def _path(plan: Plan, shard: Shard) -> Path:
    return plan.state("amended", f"{shard.name}.parquet")
