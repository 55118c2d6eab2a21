"""Tables with a column of media: which column that is, the payload of a row, and a copy of some rows.

A column is one of media when it is `binary`, or a struct with a field `bytes` that is (Hugging Face's layout is
`struct<bytes: binary, path: string>`), and more than half of its first values begin like pictures, sounds or films. The first such
column counts; all others ride along.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.media.sniff import HEAD_BYTES, sniff
from tamis.sources.ipc import IpcTable
from tamis.sources.listing import Container, SourceFile
from tamis.sources.members import Indexed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIRST_VALUES = 16
_ROWS = 64
_BUFFER = 1 << 20
_WRITE_BYTES = 64 << 20


def index_table(container: Container) -> Indexed | None:
    """Return the rows of a table as records of media, or None where no column is one of media."""
    with MediaTable(container) as table:
        column = next((field.name for field in table.schema if _holds_bytes(field.type) and table.looks_like_media(field.name)), None)
        if column is None:
            return None
        container = replace(container, column=column, starts=table.starts)
    files = [
        SourceFile(f"{container.record}#{row}", container.path, 0, container.mtime_ns, "media", container, row)
        for row in range(container.starts[-1])
    ]
    return Indexed(container, tuple(files), (), columns=tuple(table.schema.names))


def read_beside(container: Container, column: str, start: int, stop: int) -> list[str | None]:
    """Return the values, as text, of a column in a range of rows; null where there is none, or none that can be read or is one value."""
    found: list[str | None] = []
    with MediaTable(container) as table:
        if table.schema.names.count(column) != 1 or pa.types.is_nested(table.schema.field(column).type):
            return [None] * (stop - start)
        for group, (first, end) in enumerate(pairwise(table.starts)):
            low, high = max(start, first), min(stop, end)
            if low < high:
                try:
                    values = pa.chunked_array([batch.column(0) for batch in table.batches(group, column, _ROWS)])
                    found += cast("pl.Series", pl.from_arrow(values[low - first : high - first])).cast(pl.String).to_list()
                except (OSError, pa.ArrowException, pl.exceptions.PolarsError):
                    found += [None] * (high - low)
    return found


class MediaTable:
    """A Parquet or Arrow IPC file, read some rows at a time: fast where rows are asked for in their order."""

    def __init__(self, container: Container) -> None:
        self._column = container.column
        self._handle = pa.OSFile(container.readable)
        self._file: Any
        if container.format == "parquet":
            self._file = pq.ParquetFile(self._handle, pre_buffer=False, buffer_size=_BUFFER)
            self.schema: pa.Schema = self._file.schema_arrow
            sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        else:
            self._file = IpcTable(self._handle)
            self.schema = self._file.schema
            sizes = [] if container.starts else list(self._file.sizes)
        self.starts = container.starts or (0, *accumulate(sizes))
        self._is_parquet = container.format == "parquet"
        self.is_stream = not self._is_parquet and self._file.is_stream
        self._group = self._next = -1
        self._values: Any = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._broken: dict[int, str] = {}

    def __enter__(self) -> MediaTable:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def looks_like_media(self, column: str) -> bool:
        """Say whether most of a column's first values begin like media."""
        kinds: list[bool] = []
        for group in range(len(self.starts) - 1):
            for batch in self.batches(group, column, FIRST_VALUES):
                for value in _payloads(batch.column(0)):
                    if value.is_valid and len(kinds) < FIRST_VALUES:
                        payload = value.as_buffer()
                        kinds.append(sniff(payload[:HEAD_BYTES].to_pybytes(), size=payload.size).kind in ("image", "audio", "video"))
                if kinds:
                    return 2 * sum(kinds) > len(kinds)
        return False

    def holds(self, row: int) -> bool:
        """Say whether a row was read before and is in memory still."""
        return self._values is not None and self._next - len(self._values) <= row < self._next

    def payload(self, row: int) -> pa.Buffer | None:
        """Return a row's payload, or None where it is null.

        Raises
        ------
        OSError, pyarrow.ArrowException
            The row group cannot be decoded; it is not tried again.
        """
        if not self.holds(row):
            self._read(row)
        value = self._values[row - self._next + len(self._values)]
        return value.as_buffer() if value.is_valid else None

    def _read(self, row: int) -> None:
        """Read on until a row is in memory."""
        group = bisect_right(self.starts, row) - 1
        if group in self._broken:
            raise OSError(self._broken[group])
        if group != self._group or self._values is None or row < self._next:
            self._group, self._next, self._values = group, self.starts[group], pa.nulls(0)
            self._batches = self.batches(group, self._column, _ROWS)
        try:
            while row >= self._next:
                self._values = _payloads(next(self._batches).column(0))
                self._next += len(self._values)
        except (OSError, pa.ArrowException, StopIteration) as error:
            self._values = None
            self._broken[group] = f"the rows from {self._next} on of row group {group} cannot be read: {error}"
            raise OSError(self._broken[group]) from error

    def batches(self, group: int, column: str | None, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield a column, or all, of the rows of a row group, some at a time, without holding it whole where it is Parquet."""
        if self._is_parquet:
            yield from self._file.iter_batches(rows, row_groups=[group], columns=None if column is None else [column], use_threads=False)
        else:
            yield self._file.batch(group, None if column is None else self.schema.get_all_field_indices(column))


def copy_table(container: Container, kept: NDArray[Any], target: Any, compression: str) -> dict[int, str]:
    """Write a table of the rows with these numbers, which rise: same columns, metadata and order.

    Return the rows that are not in it because they cannot be read, each with the reason.
    """
    lost: dict[int, str] = {}
    with MediaTable(container) as table:
        writer = (
            pq.ParquetWriter(target, table.schema, compression=compression)
            if container.format == "parquet"
            else (pa.ipc.new_stream if table.is_stream else pa.ipc.new_file)(target, table.schema)
        )
        with writer:
            pending: list[pa.RecordBatch] = []
            for group, (row, stop) in enumerate(pairwise(table.starts)):
                wanted = kept[slice(*kept.searchsorted([row, stop]))]
                batches = table.batches(group, None, _ROWS) if len(wanted) else iter(())
                while len(wanted):
                    try:
                        batch = next(batches)
                    except (OSError, pa.ArrowException, StopIteration) as error:  # of the source; those of writing end the run
                        why = f"the rows from {row} on of row group {group} cannot be read: {error}"
                        lost.update(dict.fromkeys(wanted.tolist(), why))
                        break
                    high = wanted.searchsorted(row + len(batch))
                    if high:
                        pending.append(batch.take(pa.array(wanted[:high] - row)))
                    row, wanted = row + len(batch), wanted[high:]
                    if sum(one.nbytes for one in pending) >= _WRITE_BYTES:
                        writer.write_table(pa.Table.from_batches(pending, table.schema).combine_chunks())
                        pending = []
            if pending or not len(kept):
                writer.write_table(pa.Table.from_batches(pending, table.schema).combine_chunks())
    return lost


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _payloads(column: Any) -> Any:
    """Return a column's payloads; of a struct its bytes, null where the struct is."""
    if pa.types.is_struct(column.type):
        return column.flatten()[column.type.get_field_index("bytes")]
    return column
