r"""Split delimited text (CSV, TSV and their kin) into records, and read the sound ones as columns of text.

The scanner finds where each record ends and how many fields it has. Only records of the right width go on to Arrow's
parser, with whose rules the scanner agrees: a quote opens a quoted field only at the field's start, a doubled quote in
it is a quote, and text after the closing quote belongs to the field. `\n`, `\r\n` and `\r` end a record; empty lines
are no records.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from tamis.sources.rows import (
    RAW_LIMIT,
    RESERVED_COLUMNS,
    BadRow,
    Chunk,
    broken_chunk,
    check_limits,
    unique_names,
)
from tamis.sources.text import BrokenStream, decode, is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 256 << 10
SAMPLE_RECORDS = 200
# A quote that nothing closes within this distance is taken for a stray one: its line alone is bad, not all that follow.
QUOTED_LIMIT = 8 << 20

UNCLOSED = -1
BLANK = 0

FIGURES = re.compile(r"[+-]?[\d.][\d.,:/TZeE+ -]*")


@numba.njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    delimiter: int,
    final: bool,
    limit: int,
    ends: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int32],
) -> int:
    """Write the end and the width of each whole record in `data`, and return how many there are."""
    quote, newline, carriage = 34, 10, 13
    at_start, in_field, in_quotes = 0, 1, 2
    size = len(data)
    count = begin = position = 0
    width, state, line_end = 1, at_start, -1
    while True:
        unclosed = False
        if position >= size:
            if not final or begin >= size:
                return count
            if state == in_quotes:
                unclosed = True
            else:
                ends[count], widths[count] = size, width
                return count + 1
        if not unclosed:
            byte = data[position]
            if state == in_quotes:
                if byte == quote:
                    if position + 1 == size and not final:
                        return count
                    if position + 1 < size and data[position + 1] == quote:
                        position += 1
                    else:
                        state = in_field
                elif line_end < 0 and byte in (newline, carriage):
                    line_end = position + 1
                    if byte == carriage and line_end < size and data[line_end] == newline:
                        line_end += 1
                position += 1
                unclosed = line_end >= 0 and state == in_quotes and position - begin > limit
            elif byte == delimiter:
                width += 1
                state = at_start
                position += 1
            elif byte in (newline, carriage):
                end = position + 1
                if byte == carriage:
                    if end == size and not final:
                        return count
                    if end < size and data[end] == newline:
                        end += 1
                ends[count], widths[count] = end, (BLANK if position == begin else width)
                count += 1
                begin = position = end
                width, state, line_end = 1, at_start, -1
            else:
                state = in_quotes if byte == quote and state == at_start else in_field
                position += 1
        if unclosed:
            end = line_end if line_end >= 0 else size
            ends[count], widths[count] = end, UNCLOSED
            count += 1
            begin = position = end
            width, state, line_end = 1, at_start, -1


def scan(data: bytes, delimiter: str, *, final: bool, limit: int = QUOTED_LIMIT) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the end offsets and the numbers of fields of the whole records at the start of `data`.

    The number of fields is 0 for an empty line and -1 for a record whose quote is never closed, or not within `limit`
    bytes; such a record ends with its first line.
    """
    most = data.count(b"\n") + data.count(b"\r") + 1
    ends, widths = np.empty(most, np.int64), np.empty(most, np.int32)
    count: int = _scan(np.frombuffer(data, np.uint8), ord(delimiter), final, limit, ends, widths)
    return ends[:count], widths[:count]


def sniff(sample: bytes, *, final: bool, preferred: str = ",") -> str:
    """Return the delimiter under which most records of a sample are as wide as the first."""
    best, best_score = preferred, (0.0, 0, False)
    for delimiter in DELIMITERS:
        _, widths = scan(sample, delimiter, final=final)
        widths = widths[widths != BLANK][:SAMPLE_RECORDS]
        if len(widths) and widths[0] > 1:
            score = (float(np.mean(widths == widths[0])), int(widths[0]), delimiter == preferred)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def read_delimited(blocks: Iterable[tuple[bytes, bool]], *, preferred: str = ",", notes: list[str]) -> Iterator[Chunk]:
    """Yield chunks of rows, all columns text; what is worth knowing about the file is added to `notes`.

    Where the text breaks off, the last chunk holds one bad row for what is left.
    """
    delimiter = ""
    names: list[str] = []
    recoded = 0
    rest = b""
    try:
        for block, last in blocks:
            data = rest + block
            if not delimiter:
                delimiter = sniff(data[:SAMPLE_BYTES], final=last and len(data) <= SAMPLE_BYTES, preferred=preferred)
            ends, widths = scan(data, delimiter, final=last)
            length = int(ends[-1]) if len(ends) else 0
            rest = data[length:]
            records, changed = _as_utf8(_Records(data[:length], ends, widths, delimiter))
            recoded += changed
            records = records.select(np.flatnonzero(widths != BLANK))
            if not names and len(records):
                names, has_header = _names(records, notes)
                records = records.select(np.arange(int(has_header), len(records)))
                yield Chunk(0, {name: pa.array([], pa.string()) for name in names}, [])
            if len(records):
                yield _chunk(records, names)
            check_limits(rest, len(names))
    except BrokenStream as error:
        yield broken_chunk(str(error), rest)
    if recoded:
        notes.append(f"{recoded} records are not UTF-8 and were read as Windows-1252")


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


def _names(records: _Records, notes: list[str]) -> tuple[list[str], bool]:
    """Return the column names, and whether the first record gives them."""
    if records.widths[0] == UNCLOSED:
        cells = records[0].decode().rstrip("\r\n").split(records.delimiter)
    else:
        positions = [str(number) for number in range(records.widths[0])]
        cells = [column[0].as_py() for column in records.select(np.arange(1)).parse(positions).columns]
    filled = [cell.strip() for cell in cells if cell.strip()]
    has_header = not (filled and all(FIGURES.fullmatch(cell) for cell in filled))
    if not has_header:
        notes.append("the file has no header: its first line holds figures only")
        cells = [""] * len(cells)
    below = records.widths[1 : 1 + SAMPLE_RECORDS]
    if len(below) and below[0] > len(cells) and (below == below[0]).all():
        notes.append(f"the header names {len(cells)} columns, the rows have {below[0]}")
        cells += [""] * (int(below[0]) - len(cells))
    names = unique_names(cells, RESERVED_COLUMNS)
    if has_header and names != [cell.strip() for cell in cells]:
        notes.append("some column names are missing or repeated and were made unique")
    return names, has_header


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
    return BadRow(row, "ragged_row", f"{width} fields where the table has {columns}", raw)
