"""Read any range of rows of a table, decoding no more of it than the row groups it touches, and these once where ranges rise."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from functools import cached_property
from itertools import accumulate, chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.names import counted
from tamis.sources.columns import brought, readable
from tamis.sources.ipc import MAGIC, IpcTable
from tamis.sources.partitions import partitions
from tamis.sources.rows import DETAIL, RAW, REASON, RESERVED_COLUMNS, BadRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tamis.sources.listing import SourceFile

EXACT = 1 << 53  # floats up to here are equal to every whole number
PIECE_ROWS, PIECE_BYTES = 1 << 18, 64_000_000  # of a row group, decoded at once; by default a shard has as many
BUFFER = 1 << 16  # bytes of a column chunk that are read ahead, or all of it would be held
FAULTS = (OSError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Arrow and polars raise where a table is damaged."""


class ReadFailed(Exception):
    """A range of rows cannot be decoded: the record, the first row, the row after the last, and the decoder's words."""

    def __init__(self, record: str, start: int, stop: int, detail: str) -> None:
        super().__init__(record, start, stop, detail)
        self.record, self.start, self.stop, self.detail = record, start, stop, detail

    def __str__(self) -> str:
        return f"rows {self.start} to {self.stop} of {self.record} cannot be read: {self.detail}"


def most_rows(rows: int, size: int, most: int, most_bytes: int) -> int:
    """Return how many rows of a table, which has so many rows and bytes, are at most `most` and about `most_bytes`."""
    return max(1, min(most, most_bytes // max(1, size // max(1, rows))))


def evenly(rows: int, most: int) -> list[int]:
    """Cut rows into equal pieces of at most so many; the last one may be smaller."""
    size = -(-rows // max(1, -(-rows // most))) or 1
    return [min(size, rows - start) for start in range(0, rows, size)]


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
    rows, row_groups, pieces
        How many rows there are, in each group, and in each part that is decoded at once: a group, or one of the equal parts of a large one.
    bytes
        As many as the columns take that are not compressed; those of the file where it does not say.
    notes
        What is worth knowing of the file.
    partitions
        Columns that the names of folders give, and their value.
    recoded
        Cells that were read up to now, were not UTF-8 and were taken for Windows-1252.

    Notes
    -----
    A row group is decoded on from where the last read of the same columns ended, or else from its beginning, so ranges that rise cost
    least. How a file is cut into pieces hangs on the file alone, and with it which rows a damaged place costs: those of its piece and of
    the pieces behind it in the row group. A reader holds an open file and is made where it is used; it is not sent between processes.
    """

    def __init__(self, file: SourceFile, staged: str | Path | None = None) -> None:
        self.record = file.record
        path = str(staged or file.path)
        self._is_ours = staged is not None
        with Path(path).open("rb") as handle:
            magic = handle.read(len(MAGIC))
        is_ipc = magic == MAGIC or (magic[:4] != b"PAR1" and not file.path.lower().endswith((".parquet", ".pq")))
        self._file: _Parquet | _Ipc = _Ipc(path) if is_ipc else _Parquet(path)
        self._fields, notes = readable(self._file.schema)
        self.row_groups: tuple[int, ...] = self._file.row_groups
        self.pieces: tuple[int, ...] = self._file.pieces
        self.bytes: int = self._file.bytes
        self.notes: tuple[str, ...] = (*self._file.notes, *notes)
        self.recoded = 0
        self.partitions = partitions(file.record, self._fields.names)
        self._starts = [0, *accumulate(self.pieces)]
        self.rows: int = self._starts[-1]
        self._tells_bad = set(RESERVED_COLUMNS) <= set(self._fields.names)
        self._held: tuple[int, list[str], pa.Table] | None = None  # the piece, and which columns of it, that were not read to their end

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
        return self._file.is_wide(self._fields.get_field_index(name))

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows from `start` up to `stop`, bad rows among them as nulls.

        Raises
        ------
        ReadFailed
            If a row group in the range is corrupt.
        """
        wanted = [*self.columns, *self.partitions] if columns is None else list(columns)
        stored = [name for name in wanted if name not in self.partitions]
        frame = self._read(start, stop, stored) if stored else pl.DataFrame(height=stop - start)
        told = {name: pl.repeat(value, stop - start, dtype=pl.String) for name, value in self.partitions.items() if name in wanted}
        return frame.with_columns(**told).select(wanted) if told else frame

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
        for piece in range(max(0, bisect_right(self._starts, start) - 1), len(self.pieces)):
            first, end = self._starts[piece : piece + 2]
            low, high = max(start, first), min(stop, end)
            if first >= stop:
                break
            if low < high:
                table = self._decoded(piece, columns)
                self._held = (piece, columns, table) if high < end else None
                yield table, low - first, high - low

    def _decoded(self, piece: int, columns: list[str]) -> pa.Table:
        if self._held and self._held[:2] == (piece, columns):
            return self._held[2]
        self._held = None  # before the next one is made
        places = [self._fields.get_field_index(name) for name in columns]
        cells, fields = self._file.read(piece, places), [self._fields.field(place) for place in places]
        if self._is_ours:  # nothing but texts, which are UTF-8: to look at each again costs 6 ns
            return pa.table(cells, schema=pa.schema(fields))
        table, recoded = brought(cells, fields)
        self.recoded += recoded
        return table


class _Stream:
    """The pieces of a row group on their way past; `next` is the number of the one that comes."""

    def __init__(self, batches: Iterator[pa.RecordBatch], sizes: list[int]) -> None:
        self._batches, self._sizes, self._fault = batches, sizes, ""
        self.next = 0

    def piece(self, number: int) -> pa.Table:
        """Return a piece that has not come by yet; from a fault on each has the same."""
        while True:
            table = self._take()
            self.next += 1
            if self.next > number:
                return table

    def _take(self) -> pa.Table:
        batches: list[pa.RecordBatch] = []
        rows = self._sizes[self.next]
        try:
            while rows > 0 and not self._fault:  # where texts are more than 2 GB there is more than one
                batches.append(next(self._batches))
                rows -= len(batches[-1])
        except StopIteration:
            self._fault = f"{counted(rows, 'rows', 'are')} lacking"
        except FAULTS as error:
            self._fault = str(error)
        if self._fault:
            raise pa.ArrowInvalid(self._fault)
        return pa.Table.from_batches(batches)


class _Parquet:
    notes = ()

    def __init__(self, path: str) -> None:
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        self.schema = self._file.schema_arrow
        seen: dict[str, count[int]] = defaultdict(count)
        self._nth = [next(seen[name]) for name in self.schema.names]
        metadata = self._file.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        self.row_groups = tuple(group.num_rows for group in groups)
        self.bytes: int = sum(group.total_byte_size for group in groups)
        most = most_rows(metadata.num_rows, self.bytes, PIECE_ROWS, PIECE_BYTES)
        self._sizes = [evenly(rows, most) for rows in self.row_groups]
        self._places = [(group, piece) for group, sizes in enumerate(self._sizes) for piece in range(len(sizes))]
        self.pieces = tuple(chain.from_iterable(self._sizes))
        self._stream: tuple[int, list[int], _Stream] | None = None

    def read(self, number: int, places: list[int]) -> list[pa.ChunkedArray]:
        """Return columns of a piece by their places in the schema; more than one may have the same name, by which they are asked for."""
        names = self.schema.names
        group, piece = self._places[number]
        if not self._stream or self._stream[:2] != (group, places) or self._stream[2].next > piece:
            sizes, wanted = self._sizes[group], [names[place] for place in places]
            self._stream = None  # before the next one is made
            batches = self._file.iter_batches(sizes[0], row_groups=[group], columns=wanted, use_threads=False)
            self._stream = group, places, _Stream(batches, sizes)
        table = self._stream[2].piece(piece)
        if piece + 1 == len(self._sizes[group]):
            self._stream = None
        return [table.column(table.schema.get_all_field_indices(names[place])[self._nth[place]]) for place in places]

    def is_wide(self, place: int) -> bool:
        """Whether the statistics leave room for a number beyond 2^53; those of unsigned numbers and decimals are not looked at."""
        name, kind = self.schema.names[place], self.schema.field(place).type
        leaves = [leaf for leaf, path in enumerate(self._paths) if path == name or path.startswith(f"{name}.")]
        while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            kind = kind.value_type
        if not pa.types.is_int64(kind) or len(leaves) != 1:
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
        self.row_groups = self.pieces = self._file.sizes
        self.bytes = Path(path).stat().st_size
        self.notes = tuple(self._file.notes)

    def read(self, group: int, places: list[int]) -> list[pa.ChunkedArray]:
        """Return the columns at these places of the schema."""
        return [pa.chunked_array([column]) for column in self._file.batch(group, places).columns]

    def is_wide(self, place: int) -> bool:  # noqa: ARG002 - there are no statistics
        """Say that it may."""
        return True
