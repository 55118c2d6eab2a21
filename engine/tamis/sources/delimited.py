"""Split delimited text (CSV, TSV and their kin) into records, and read the sound ones as columns of text.

The scanner finds where each record ends and how many fields it has. Only records of the right width go on to Arrow's
parser, with whose rules the scanner agrees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from tamis.names import counted
from tamis.sources.layout import SAMPLE_BYTES, SAMPLE_RECORDS, Layout, find_layout
from tamis.sources.rows import (
    RAW_LIMIT,
    RESERVED_COLUMNS,
    BadRow,
    Begun,
    Chunk,
    broken_chunk,
    check_columns,
    unique_names,
)
from tamis.sources.scanner import BLANK, UNCLOSED, scan
from tamis.sources.text import BrokenStream, decode, is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

NO_DATE, NO_TIME = "(no date)", "(no time)"


def read_delimited(
    blocks: Iterable[tuple[bytes, bool]],
    *,
    preferred: str = ",",
    join_times: bool = True,
    named: Literal["auto"] | bool = "auto",
    notes: list[str],
) -> Iterator[Chunk]:
    """Yield chunks of rows, all columns text; what is worth knowing about the file is added to `notes`.

    Where the text breaks off, the last chunk holds one bad row for what is left. With `join_times` a column of dates and one of times of
    day beside it become one, its cells joined by a space. `named` says whether the first line names the columns.
    """
    layout: Layout | None = None
    names: list[str] = []
    recoded = 0
    begun = Begun(b"\n", b"\r")
    try:
        for block, last in blocks:
            data = begun.joined(block)
            if layout is None:
                layout = find_layout(data[:SAMPLE_BYTES], final=last and len(data) <= SAMPLE_BYTES, preferred=preferred, named=named)
                notes.extend(layout.notes)
                layout = layout if join_times else replace(layout, stamps=())
            ends, widths = scan(data, layout.delimiter, final=last)
            length = int(ends[-1]) if len(ends) else 0
            begun.rest = data[length:]
            records, changed = _as_utf8(_Records(data[:length], ends, widths, layout.delimiter))
            recoded += changed
            records = records.select(np.flatnonzero(widths != BLANK))
            if not names and len(records):
                check_columns(int(records.widths[: layout.first + 1].max()))
                names = _names(records, layout, notes)
                records = records.select(np.arange(layout.first, len(records)))
                units = {name: unit.strip("[]() ") for name, unit in zip(names, layout.units, strict=False) if unit}
                yield _joined(Chunk(0, {name: pa.array([], pa.string()) for name in names}, [], units), layout)
            if len(records):
                yield _joined(_chunk(records, names), layout)
            yield from begun.too_long(is_first=not names)
    except BrokenStream as error:
        yield broken_chunk(str(error), begun.rest)
    if recoded:
        notes.append(f"{counted(recoded, 'records', 'are')} not UTF-8: read as Windows-1252")


def _joined(chunk: Chunk, layout: Layout) -> Chunk:
    """Join columns of dates with those of the times of day; a cell that lacks one of the two says so, and can be read as neither."""
    if not layout.stamps or not chunk.columns:
        return chunk
    names = list(chunk.columns)
    joined = {date: time for date, time in layout.stamps if max(date, time) < len(names)}
    columns = {}
    for place, name in enumerate(names):
        if place in joined:
            time = names[joined[place]]
            columns[unique_names([f"{name} {time}"], names)[0]] = _stamps(chunk.columns[name], chunk.columns[time])
        elif place not in joined.values():
            columns[name] = chunk.columns[name]
    return replace(chunk, columns=columns)


def _stamps(dates: pa.Array | pa.ChunkedArray, times: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    import pyarrow.compute as pc  # which defines its functions when it is imported, 30 ms: few files have dates beside times

    dates, times = pc.utf8_trim_whitespace(dates), pc.utf8_trim_whitespace(times)
    no_date, no_time = pc.equal(dates, ""), pc.equal(times, "")
    filled = pc.binary_join_element_wise(pc.if_else(no_date, NO_DATE, dates), pc.if_else(no_time, NO_TIME, times), " ")
    return pc.if_else(pc.and_(no_date, no_time), "", filled)


class _Records:
    """Records that lie one after the other, not always without gaps, in one byte string."""

    __slots__ = ("data", "delimiter", "ends", "starts", "widths")

    def __init__(
        self,
        data: bytes,
        ends: npt.NDArray[np.int64],
        widths: npt.NDArray[np.int32],
        delimiter: str,
        starts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.data = data
        self.ends = ends
        self.starts = np.concatenate(([0], ends[:-1])) if starts is None else starts
        self.widths = widths
        self.delimiter = delimiter

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]]

    def select(self, rows: npt.NDArray[np.intp]) -> _Records:
        return _Records(self.data, self.ends[rows], self.widths[rows], self.delimiter, self.starts[rows])

    def joined(self) -> bytes:
        """Return the records without what lies between them."""
        if not len(self):
            return b""
        breaks = np.flatnonzero(self.starts[1:] != self.ends[:-1])
        firsts, lasts = self.starts[np.append(0, breaks + 1)], self.ends[np.append(breaks, len(self) - 1)]
        return b"".join(self.data[first:last] for first, last in zip(firsts, lasts, strict=True))

    def parse(self, names: Sequence[str]) -> pa.Table:
        """Read the records as columns of text; all must have as many fields as there are names."""
        data = self.joined()
        return pa_csv.read_csv(
            pa.py_buffer(data),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=list(names)),
            parse_options=pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )


def _as_utf8(records: _Records) -> tuple[_Records, int]:
    """Recode the records that are not UTF-8, and return how many there were."""
    if not is_utf8(records.data):
        pieces = [records[index] for index in range(len(records))]
        recoded = [decode(piece).encode() for piece in pieces]
        changed = sum(old != new for old, new in zip(pieces, recoded, strict=True))
        ends = np.cumsum([len(piece) for piece in recoded])
        return _Records(b"".join(recoded), ends, records.widths, records.delimiter), changed
    return records, 0


def _names(records: _Records, layout: Layout, notes: list[str]) -> list[str]:
    """Return the column names."""
    header = layout.header
    if header is None or header >= len(records):
        cells = [""] * int(records.widths[0])
    elif records.widths[header] == UNCLOSED:
        cells = records[header].decode().rstrip("\r\n").split(records.delimiter)
    else:
        positions = [str(number) for number in range(records.widths[header])]
        cells = [column[0].as_py() for column in records.select(np.array([header])).parse(positions).columns]
    if cells[0].startswith("# "):
        cells[0] = cells[0][2:]  # the header is a comment
    below = records.widths[layout.first : layout.first + SAMPLE_RECORDS]
    if len(below) and below[0] > len(cells) and (below == below[0]).all():
        notes.append(f"the header names {counted(len(cells), 'columns')}, the rows have {below[0]}")
        cells += [""] * (int(below[0]) - len(cells))
    names = unique_names(cells, RESERVED_COLUMNS)
    if header is not None and names != [cell.strip() for cell in cells]:
        notes.append("some column names are missing or repeated and were made unique")
    return names


def _chunk(records: _Records, names: Sequence[str]) -> Chunk:
    good = records.widths == len(names)
    bad = [_bad_row(records, int(row), len(names)) for row in np.flatnonzero(~good)]
    if not good.any():
        return Chunk(len(records), {}, bad)
    table = records.select(np.flatnonzero(good)).parse(names)
    if bad:
        table = table.take(pa.array(np.cumsum(good) - 1, mask=~good))
    return Chunk(len(records), dict(zip(names, table.columns, strict=True)), bad)


def _bad_row(records: _Records, row: int, columns: int) -> BadRow:
    width = int(records.widths[row])
    raw = records[row][:RAW_LIMIT].decode("utf-8", "replace").rstrip("\r\n")
    if width == UNCLOSED:
        return BadRow(row, "unclosed_quote", "a quoted field is never closed", raw)
    return BadRow(row, "ragged_row", f"{counted(width, 'fields')} where the table has {columns}", raw)
