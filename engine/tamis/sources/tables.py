"""Read any range of rows of a table, decoding no more of it than the row groups it touches."""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.sources.rows import DETAIL, RAW, REASON, RESERVED_COLUMNS, BadRow, free_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tamis.sources.listing import SourceFile


class ReadFailed(Exception):
    """A range of rows cannot be decoded: the record, the first row, the row after the last, and the decoder's words."""

    def __init__(self, record: str, start: int, stop: int, detail: str) -> None:
        super().__init__(record, start, stop, detail)
        self.record, self.start, self.stop, self.detail = record, start, stop, detail

    def __str__(self) -> str:
        return f"rows {self.start} to {self.stop} of {self.record} cannot be read: {self.detail}"


class TableReader:
    """Rows of a Parquet or Arrow IPC file, the staged one if there is one.

    Parameters
    ----------
    file
        The source file.
    staged
        `Staged.path` of that file.

    Notes
    -----
    A row group is decoded anew at each read that touches it, so ranges that lie along `row_groups` cost least. A reader
    holds an open file and is made where it is used; it is not sent between processes.
    """

    def __init__(self, file: SourceFile, staged: str | Path | None = None) -> None:
        self.record = file.record
        path = str(staged or file.path)
        with Path(path).open("rb") as handle:
            is_ipc = handle.read(6) == b"ARROW1"
        self._groups: _Ipc | _Parquet = _Ipc(path) if is_ipc else _Parquet(path)
        self.row_groups: tuple[int, ...] = tuple(self._groups.sizes)
        self._starts = [0, *accumulate(self.row_groups)]
        self.rows: int = self._starts[-1]
        self._tells_bad = set(RESERVED_COLUMNS) <= set(self._groups.schema.names)

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the source and their types."""
        frame = pl.DataFrame(self._groups.schema.empty_table())
        return {name: dtype for name, dtype in frame.schema.items() if not (self._tells_bad and name in RESERVED_COLUMNS)}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in the file's order."""
        return tuple(self.schema)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows from `start` up to `stop`, bad rows among them as nulls.

        Raises
        ------
        ReadFailed
            If a row group in the range is corrupt.
        """
        wanted = list(self.columns if columns is None else columns)
        return self._read(start, stop, wanted)

    def bad_rows(self, start: int, stop: int) -> list[BadRow]:
        """Return the rows of the range that could not be read from the source, numbered within the file."""
        if not self._tells_bad:
            return []
        frame = self._read(start, stop, list(RESERVED_COLUMNS)).with_row_index("row", start)
        frame = frame.filter(pl.col(REASON).is_not_null()).select("row", REASON, DETAIL, RAW)
        return [BadRow(*row) for row in frame.iter_rows()]

    def _read(self, start: int, stop: int, columns: list[str]) -> pl.DataFrame:
        if not 0 <= start <= stop <= self.rows:
            msg = f"rows {start} to {stop} do not lie within the {self.rows} rows of {self.record}"
            raise IndexError(msg)
        try:
            tables = [table.slice(first, length) for table, first, length in self._touched(start, stop, columns)]
            whole = pa.concat_tables(tables) if tables else self._groups.schema.empty_table().select(columns)
            return pl.DataFrame(whole)
        except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise ReadFailed(self.record, start, stop, str(error)) from error

    def _touched(self, start: int, stop: int, columns: list[str]) -> Iterator[tuple[pa.Table, int, int]]:
        for group, first in enumerate(self._starts[:-1]):
            low, high = max(start, first), min(stop, self._starts[group + 1])
            if low < high:
                yield self._groups.read(group, columns), low - first, high - low


class _Parquet:
    def __init__(self, path: str) -> None:
        self._file = pq.ParquetFile(path, pre_buffer=False)
        self.schema = _named(self._file.schema_arrow)
        self._titles = dict(zip(self.schema.names, self._file.schema_arrow.names, strict=True))
        metadata = self._file.metadata
        self.sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]

    def read(self, group: int, columns: list[str]) -> pa.Table:
        titles = [self._titles[name] for name in columns]
        return self._file.read_row_group(group, columns=titles, use_threads=False).select(titles).rename_columns(columns)


class _Ipc:
    def __init__(self, path: str) -> None:
        self._file: Any = pa.ipc.open_file(pa.memory_map(path))
        self.schema = _named(self._file.schema)
        self.sizes = [self._file.get_batch(group).num_rows for group in range(self._file.num_record_batches)]

    def read(self, group: int, columns: list[str]) -> pa.Table:
        return pa.Table.from_batches([self._file.get_batch(group)]).rename_columns(self.schema.names).select(columns)


def _named(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a name for each column that has none, such as the index that a data frame was written with."""
    if "" not in schema.names:
        return schema
    given = [name for name in schema.names if name]
    new = iter(free_names([f"column_{number}" for number, name in enumerate(schema.names, 1) if not name], given, "_"))
    return pa.schema([field if field.name else field.with_name(next(new)) for field in schema])
