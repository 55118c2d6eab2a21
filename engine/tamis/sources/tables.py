"""Read any range of rows of a table, decoding no more of it than the row groups it touches."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from itertools import accumulate, count
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.sources.columns import brought, readable
from tamis.sources.ipc import MAGIC, IpcTable
from tamis.sources.rows import DETAIL, RAW, REASON, RESERVED_COLUMNS, BadRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tamis.sources.listing import SourceFile

EXACT = 1 << 53  # floats up to here are equal to every whole number
FAULTS = (OSError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Arrow and polars raise where a table is damaged."""


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

    Attributes
    ----------
    rows, row_groups
        How many rows there are, and in each group.
    notes
        What is worth knowing of the file.
    recoded
        Cells that were read up to now, were not UTF-8 and were taken for Windows-1252.

    Notes
    -----
    A row group is decoded anew at each read that touches it, so ranges that lie along `row_groups` cost least. A reader
    holds an open file and is made where it is used; it is not sent between processes.
    """

    def __init__(self, file: SourceFile, staged: str | Path | None = None) -> None:
        self.record = file.record
        path = str(staged or file.path)
        self._is_ours = staged is not None
        with Path(path).open("rb") as handle:
            magic = handle.read(len(MAGIC))
        is_ipc = magic == MAGIC or (magic[:4] != b"PAR1" and not file.path.lower().endswith((".parquet", ".pq")))
        self._groups: _Parquet | _Ipc = _Ipc(path) if is_ipc else _Parquet(path)
        self._fields, notes = readable(self._groups.schema)
        self.row_groups: tuple[int, ...] = self._groups.sizes
        self.notes: tuple[str, ...] = (*self._groups.notes, *notes)
        self.recoded = 0
        self._starts = [0, *accumulate(self.row_groups)]
        self.rows: int = self._starts[-1]
        self._tells_bad = set(RESERVED_COLUMNS) <= set(self._fields.names)

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the source and their types."""
        frame = pl.DataFrame(self._fields.empty_table())
        return {name: dtype for name, dtype in frame.schema.items() if not (self._tells_bad and name in RESERVED_COLUMNS)}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in the file's order."""
        return tuple(self.schema)

    def is_wide(self, name: str) -> bool:
        """Whether a column of whole numbers may hold some beyond 2^53, by what the file says of its extremes."""
        return self._groups.is_wide(self._fields.get_field_index(name))

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
            return pl.DataFrame(pa.concat_tables(tables) if tables else self._fields.empty_table().select(columns))
        except FAULTS as error:
            raise ReadFailed(self.record, start, stop, str(error)) from error

    def _touched(self, start: int, stop: int, columns: list[str]) -> Iterator[tuple[pa.Table, int, int]]:
        places = [self._fields.get_field_index(name) for name in columns]
        for group, first in enumerate(self._starts[:-1]):
            low, high = max(start, first), min(stop, self._starts[group + 1])
            if low < high:
                cells, fields = self._groups.read(group, places), [self._fields.field(place) for place in places]
                if self._is_ours:  # nothing but texts, which are UTF-8: to look at each again costs 6 ns
                    table = pa.table(cells, schema=pa.schema(fields))
                else:
                    table, recoded = brought(cells, fields)
                    self.recoded += recoded
                yield table, low - first, high - low


class _Parquet:
    notes = ()

    def __init__(self, path: str) -> None:
        self._file = pq.ParquetFile(path, pre_buffer=False)
        self.schema = self._file.schema_arrow
        seen: dict[str, count[int]] = defaultdict(count)
        self._nth = [next(seen[name]) for name in self.schema.names]
        metadata = self._file.metadata
        self.sizes = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))

    def read(self, group: int, places: list[int]) -> list[pa.ChunkedArray]:
        """Return the columns at these places of the schema; more than one may have the same name, by which they are asked for."""
        names = self.schema.names
        table = self._file.read_row_group(group, columns=[names[place] for place in places], use_threads=False)
        return [table.column(table.schema.get_all_field_indices(names[place])[self._nth[place]]) for place in places]

    def is_wide(self, place: int) -> bool:
        """Whether the statistics leave room for a number beyond 2^53; those of unsigned numbers and decimals are not looked at."""
        leaves = [leaf for leaf, path in enumerate(self._paths) if path == self.schema.names[place]]
        if not pa.types.is_int64(self.schema.field(place).type) or len(leaves) != 1:
            return True
        metadata = self._file.metadata
        told = [metadata.row_group(group).column(leaves[0]).statistics for group in range(metadata.num_row_groups)]
        return not all(one is not None and one.has_min_max and -EXACT <= one.min <= one.max <= EXACT for one in told)

    @cached_property
    def _paths(self) -> list[str]:
        return [self._file.metadata.schema.column(leaf).path for leaf in range(self._file.metadata.num_columns)]


class _Ipc:
    def __init__(self, path: str) -> None:
        self._file = IpcTable(pa.memory_map(path))
        self.schema = self._file.schema
        self.sizes = self._file.sizes
        self.notes = tuple(self._file.notes)

    def read(self, group: int, places: list[int]) -> list[pa.ChunkedArray]:
        """Return the columns at these places of the schema."""
        return [pa.chunked_array([column]) for column in self._file.batch(group, places).columns]

    def is_wide(self, place: int) -> bool:  # noqa: ARG002 - there are no statistics
        """Say that it may."""
        return True
