"""Tables of readings as users give them: a frame in memory, a lazy one, or files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from polars import selectors

from tamis.errors import ArgumentError, ColumnError
from tamis.frames import Arrow, Frame, frame_of, paths_of
from tamis.names import AnyPath
from tamis.pipeline.readings import SourceTable, source_tables
from tamis.series import Roles, assign_roles, tally

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.series.roles import Tally

ROWS_AT_A_TIME = 1 << 16


@dataclass(slots=True)
class FrameTable:
    """A frame as a table: what `SourceTable` is for files."""

    frame: pl.LazyFrame
    schema: Mapping[str, pl.DataType]
    problems: dict[str, str] = field(default_factory=dict)

    def frames(self, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        chosen = self.frame if columns is None else self.frame.select(columns)
        yield from chosen.collect_batches(chunk_size=ROWS_AT_A_TIME, maintain_order=True)


Table = SourceTable | FrameTable
Readings: TypeAlias = Frame | AnyPath | Iterable[AnyPath]


@contextmanager
def tables_of(data: Readings, settings: Mapping[str, Any] | None) -> Iterator[tuple[Sequence[Table], Path]]:
    """Give the tables of a frame or of files, and a folder for temporary files that is removed in the end."""
    if not isinstance(data, (pl.LazyFrame, Arrow)):
        with source_tables(paths_of(data, "data"), settings=settings) as (tables, folder):
            yield tables, folder
        return
    if settings:
        message = f"settings say how files are read, and data is of type {type(data).__name__}; leave them out"
        raise ArgumentError(message)
    given: Any = data
    if getattr(getattr(getattr(given, "index", None), "dtype", None), "kind", "") == "M":
        given = given.reset_index()  # times that a pandas frame has beside its columns
    frame = frame_of(given, "data").lazy().with_columns(selectors.decimal().cast(pl.Float64))
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder:
        yield [FrameTable(frame, dict(frame.collect_schema()))], Path(folder)


def with_roles(tables: Sequence[Table], named: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, Table, Roles]]:
    """Yield each table that has times and readings, with its name and its columns; note those that are passed over.

    Raises
    ------
    ColumnError
        None has, or a named column is in none.
    """
    several = len(tables) > 1
    problem: ColumnError | None = None
    some = False
    for table in tables:
        name = table.group.name if isinstance(table, SourceTable) else "table"
        try:
            roles = assign_roles(table.schema, partial(_tallies, table), **named)
        except ColumnError as error:
            if not several:
                raise
            problem = error
            notes.append(f"{name}: passed over, {error}")
            continue
        if roles is None:
            notes.append(f"{name}: passed over, {_lacking(table.schema)}")
            continue
        some = True
        yield name, table, roles
    if not some:
        if problem is not None:
            raise problem
        message = f"{_lacking(tables[0].schema)}; name them with time= and values="
        raise ColumnError(message)


def _tallies(table: Table, columns: Collection[str]) -> list[Tally]:
    return [tally(table.frames(columns), columns)]


def _lacking(schema: Mapping[str, pl.DataType]) -> str:
    columns = ", ".join(f"{name} ({dtype})" for name, dtype in schema.items())
    return f"there is no column of times, or none of numbers beside it; the columns are: {columns}"


class Keys:
    """Numbers for the rows of a table, and what they stand for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._firsts: list[int] = []
        self._files: list[str] = []

    def frames(self) -> Iterator[tuple[pl.DataFrame, NDArray[np.int64], str | None]]:
        """Yield the rows with their numbers and their file."""
        if isinstance(self._table, FrameTable):
            first = 0
            for frame in self._table.frames():
                yield frame, np.arange(first, first + len(frame)), None
                first += len(frame)
            return
        ends = {shard.files[0].record: shard.stop for shard in self._table.shards}
        for batch in self._table.batches():
            if not self._files or self._files[-1] != batch.source:
                self._firsts.append(self._firsts[-1] + ends[self._files[-1]] if self._files else 0)
                self._files.append(batch.source)
            yield batch.frame, batch.rows + self._firsts[-1], batch.source

    def columns(self, rows: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Return the key columns of rows; texts are dictionaries of what comes up."""
        if isinstance(self._table, FrameTable):
            return {"row": pa.array(rows)}
        place = np.searchsorted(self._firsts, rows, "right") - 1 if len(self._firsts) > 1 else np.zeros(len(rows), np.int64)
        there = np.zeros(max(1, len(self._files)), bool)
        there[place] = True
        files = pa.array([self._files[one] for one in np.flatnonzero(there)] if len(rows) else [], pa.string())
        numbers = (np.cumsum(there) - 1).astype(np.int32)
        return {
            "table": same(self._table.group.name, len(rows)),
            "file": pa.DictionaryArray.from_arrays(numbers[place], files),
            "row": pa.array(rows - np.array(self._firsts or [0])[place]),
        }

    def frame(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return the key columns of rows."""
        return pl.DataFrame(pa.table(self.columns(rows))).cast({pl.Categorical: pl.String})


def same(text: str | None, count: int) -> pa.DictionaryArray:
    """Return a column that holds one text, or null, in all its rows."""
    if text is None:  # a dictionary that holds null cannot be united with others
        return pa.nulls(count, pa.dictionary(pa.int32(), pa.string()))
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text], pa.string()))
