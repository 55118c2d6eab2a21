"""Rows that a check amends once it has seen all of them: what it made of each shard is a file, which fitting and `apply` read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.pipeline import findings
from tamis.pipeline.evidence import findings_path, write_findings
from tamis.pipeline.files import write_table
from tamis.pipeline.rows import read_batches
from tamis.sources.payload import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Amendment, TableBatch
    from tamis.pipeline.plan import Plan, Shard
    from tamis.series.sorting import Columns
    from tamis.sources.schema import TableGroup

ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The living rows of a table group: the `Rows` of a case."""

    plan: Plan
    group: TableGroup
    alive: NDArray[np.bool_]

    @property
    def shards(self) -> list[Shard]:
        """The shards of the group, in order."""
        return [shard for shard in self.plan.shards if shard.group == self.group.name]

    def batches(self, columns: Collection[str] | None = None) -> Iterator[tuple[NDArray[np.int64], TableBatch]]:
        for shard in self.shards:
            with contextlib.suppress(Unavailable):  # apply reads the same rows and enters the loss in the ledger
                for batch in read_batches(self.plan, shard, self.plan.batch_size or ROWS_AT_A_TIME, columns=columns):
                    numbers = batch.rows - shard.start + shard.first
                    there = self.alive[numbers]
                    batch.frame = batch.frame.filter(pl.Series(there))
                    batch.rows = batch.rows[there]
                    yield numbers[there], batch


def write_amendments(
    plan: Plan, shard: Shard, check: str, records: Records, make: Callable[[int, int, Columns], Amendment]
) -> NDArray[np.int64]:
    """Write what a check makes of a shard, and return the numbers of the records that it rejects."""
    columns: list[pl.DataFrame] = []
    found: list[pl.DataFrame] = [findings.empty()]
    stop = shard.first + shard.records
    for first in range(shard.first, stop, ROWS_AT_A_TIME):
        count = min(ROWS_AT_A_TIME, stop - first)
        made = make(first, count, records.until(first + count))
        columns.append(made.columns)
        told = made.findings.with_columns(pl.col("index") - shard.first, pl.lit(check).alias("check"))
        found.append(pl.concat([findings.empty(), told], how="diagonal_relaxed").select(list(findings.SCHEMA)))
    if columns and columns[0].width:
        tables = [frame.to_arrow() for frame in columns]
        write_table(_path(plan, shard), tables, tables[0].schema)
    noted = pl.concat(found).sort("index", maintain_order=True)
    write_findings(findings_path(plan, shard, "amended"), noted)
    return noted.filter(pl.col("severity") == "reject")["index"].unique().to_numpy() + shard.first


class Records:
    """Arrays by name, ordered by the one named `row`, that are taken a range of rows at a time."""

    def __init__(self, parts: Iterator[Columns]) -> None:
        self._parts = parts
        self._held = next(parts, None)
        self._none = {name: column[:0] for name, column in (self._held or {"row": np.empty(0, np.int64)}).items()}

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
    """

    def __init__(self, plan: Plan, shard: Shard, *, measured: bool = False) -> None:
        path = _path(plan, shard)
        self._columns = pl.read_parquet(path) if path.exists() else None
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


def _path(plan: Plan, shard: Shard) -> Path:
    return plan.state("amended", f"{shard.name}.parquet")


__all__ = ["Amended", "Records", "SourceRows", "write_amendments"]
