"""Tables as users give them: a frame in memory, a lazy one, or files, which are listed, staged and typed as in a run."""

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

from tamis.errors import ArgumentError, ColumnError, SourceError
from tamis.executors import LocalExecutor
from tamis.frames import Arrow, Frame, frame_of, paths_of
from tamis.names import AnyPath
from tamis.pipeline.prepare import prepare
from tamis.pipeline.rows import RowReader
from tamis.progress import Silent
from tamis.recipe import Recipe
from tamis.series import Roles, assign_roles, tally
from tamis.sources.payload import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.checks.base import TableBatch
    from tamis.pipeline.plan import Plan, Shard
    from tamis.series.roles import Tally
    from tamis.sources.schema import TableGroup

ROWS_AT_A_TIME = 1 << 16
BATCH_CELLS, LEAST_ROWS = 1 << 19, 1 << 15  # of a batch: each costs some milliseconds, whatever it holds


@dataclass(frozen=True, slots=True)
class SourceTable:
    """The rows of files with the same columns.

    Attributes
    ----------
    group
        Their schema.
    problems
        What could not be read the last time: record and the decoder's words.
    """

    group: TableGroup
    plan: Plan
    shards: tuple[Shard, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Columns and types."""
        return {column.name: column.dtype for column in self.group.columns}

    def batches(self, columns: Collection[str] | None = None) -> Iterator[TableBatch]:
        """Yield the sound rows of all files in order; a file that cannot be read on is left there and told in `problems`."""
        self.problems.clear()
        rows = max(LEAST_ROWS, BATCH_CELLS // len(self.group.columns if columns is None else columns))
        reader = RowReader(self.plan)
        for shard in self.shards:
            try:
                yield from reader.batches(shard, rows, columns=columns)
            except Unavailable as error:
                self.problems[shard.files[0].record] = str(error)

    def frames(self, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield their frames alone."""
        return (batch.frame for batch in self.batches(columns))


@dataclass(slots=True)
class FrameTable:
    """A frame as a table, read as a `SourceTable` is."""

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


@contextmanager
def source_tables(source: list[str], *, settings: Mapping[str, Any] | None = None) -> Iterator[tuple[tuple[SourceTable, ...], Path]]:
    """Give the tables of a source, and a folder for temporary files that is removed in the end.

    Parameters
    ----------
    source
        Folders, files and glob patterns.
    settings
        Overrides of the recipe by dotted key; those of `formats` say how text is read.

    Raises
    ------
    SourceError
        It cannot be listed, or no table is in it.
    """
    with tempfile.TemporaryDirectory(prefix="tamis-") as name, LocalExecutor(1) as executor:
        folder = Path(name)
        ready = prepare(
            source,
            folder,
            Recipe.load(settings=settings),
            settings=settings or {},
            backend="cpu",
            batch_size=None,
            dry_run=True,
            work=executor.map,
            progress=Silent(),
        )
        plan = ready.plan
        tables = tuple(
            SourceTable(group, plan, tuple(shard for shard in plan.shards if shard.group == name)) for name, group in plan.groups.items()
        )
        if not tables:
            told = "".join(f"\n{problem.record}: {problem.reason}, {problem.detail}" for problem in plan.problems[:5])
            message = f"{', '.join(source)}: there is no table in it; give Parquet, Arrow, CSV, TSV or JSON files{told}"
            raise SourceError(message)
        yield tables, folder


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
            "table": constant(self._table.group.name, len(rows)),
            "file": pa.DictionaryArray.from_arrays(numbers[place], files),
            "row": pa.array(rows - np.array(self._firsts or [0])[place]),
        }

    def frame(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return the key columns of rows."""
        return pl.DataFrame(pa.table(self.columns(rows))).cast({pl.Categorical: pl.String})


def constant(text: str | None, count: int) -> pa.DictionaryArray:
    """Return a column that holds one text, or null, in all its rows."""
    if text is None:  # a dictionary that holds null cannot be united with others
        return pa.nulls(count, pa.dictionary(pa.int32(), pa.string()))
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text], pa.string()))
