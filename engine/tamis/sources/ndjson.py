"""Read newline-delimited JSON as columns of text, numbers exactly as they are written.

A compiled scanner takes the lines that hold a flat object: keys that are known, and strings without escapes, numbers, `true`, `false` and
`null`, whose text in the file is their text in the table. It stops at every other line. That line goes through Python's `json`, which also
says what is wrong with it, and the scanner goes on behind it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tamis.names import counted
from tamis.sources.rows import (
    COLUMN_LIMIT,
    RAW_LIMIT,
    RESERVED_COLUMNS,
    BadRow,
    Begun,
    Chunk,
    broken_chunk,
    free_names,
    unique_names,
)
from tamis.sources.text import BrokenStream, decode, is_utf8
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCANNED_BYTES = 64 << 10  # less than this is read sooner than the scanner is loaded
CELLS = 1 << 24  # that a chunk has at most, where it has more than one row
UNKNOWN = -1
NULL = -1


class _Number(str):
    """The text of a JSON number, told apart from a JSON string."""

    __slots__ = ()


class _Decoder(json.JSONDecoder):
    """Read JSON with its numbers as they are written; a key that an object repeats has a new name the second time. These are counted."""

    def __init__(self) -> None:
        super().__init__(parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=self._named)
        self.repeating = 0

    def _named(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        self.repeating += 1
        return dict(zip(free_names([key for key, _ in pairs], (), "_"), (value for _, value in pairs), strict=True))


def read_ndjson(blocks: Iterable[tuple[bytes, bool]], *, notes: list[str]) -> Iterator[Chunk]:
    """Yield chunks of rows; each has the columns seen so far, in the order in which they came up.

    A scalar becomes its text, `true` and `false` stay words, a list or an object becomes JSON text, and both `null` and
    an absent key become null.
    """
    columns: dict[str, str] = {}
    decoder = _Decoder()
    recoded = 0
    begun = Begun(b"\n")
    try:
        for block, last in blocks:
            data = begun.joined(block)
            length = len(data) if last else data.rfind(b"\n") + 1
            data, begun.rest = data[:length], data[length:]
            if not is_utf8(data):
                lines = data.split(b"\n")
                recoded += sum(not is_utf8(line) for line in lines)
                data = b"\n".join(decode(line).encode() for line in lines)
            data += b"" if data.endswith(b"\n") else b"\n"
            position = 0
            while position < len(data):
                chunk, position = _chunk(data, position, columns, decoder)
                if chunk.rows:
                    yield chunk
            yield from begun.too_long()
    except BrokenStream as error:
        yield broken_chunk(str(error), begun.rest)
    if recoded:
        notes.append(f"{counted(recoded, 'records', 'are')} not UTF-8: read as Windows-1252")
    if decoder.repeating:
        notes.append(f"{counted(decoder.repeating, 'objects', 'repeat')} a key: the second is NAME_2")
    if any(key != name for key, name in columns.items()):
        notes.append("some keys are empty or alike but for spaces and were made unique")


def _chunk(data: bytes, position: int, columns: dict[str, str], decoder: _Decoder) -> tuple[Chunk, int]:
    """Read lines from a position on, as many as there is room for, and return the rows and where they end."""
    cells = _Cells(data, position, list(columns))
    bad: list[BadRow] = []
    row = 0
    while row < cells.room:
        if len(data) >= SCANNED_BYTES:
            position, row = cells.scan(position, row)
        if position == len(data) or row == cells.room:
            break
        end = data.index(b"\n", position)
        line, position = data[position:end], end + 1
        if not line.strip():
            continue
        text = decode(line)
        try:
            cells.put(row, _object(decoder.decode(text), text))
        except (ValueError, RecursionError, TooManyColumns) as error:
            cells.put(row, {})
            reason = "too_many_columns" if isinstance(error, TooManyColumns) else "bad_json"
            bad.append(BadRow(row, reason, str(error), text[:RAW_LIMIT].strip()))
        row += 1
    new = [key for key in cells.columns if key not in columns]
    names = unique_names(new, [*RESERVED_COLUMNS, *columns.values()], first=len(columns) + 1)
    columns.update(zip(new, names, strict=True))
    return Chunk(row, dict(zip(columns.values(), cells.arrays(row), strict=True)), bad), position


class TooManyColumns(Exception):
    """A row has keys of its own, and there are as many columns as a table may have."""


class _Cells:
    """Where the text of each cell lies: in the lines, or behind them if it had to be made. There is room for so many rows."""

    def __init__(self, data: bytes, position: int, keys: list[str]) -> None:
        self.columns = {key: column for column, key in enumerate(keys)}
        self._lines = np.frombuffer(data, np.uint8)
        self._made = bytearray()
        shape = max(8, len(keys)), min(data.count(b"\n", position), max(1, CELLS // max(8, len(keys))))
        self._starts, self._sizes = np.zeros(shape, np.int32), np.full(shape, NULL, np.int32)
        self._learn(0)

    @property
    def room(self) -> int:
        return self._starts.shape[1]

    def scan(self, position: int, row: int) -> tuple[int, int]:
        """Take flat lines from a position on, and return the position and the row of the first line that is anything else."""
        reached: tuple[int, int] = _scan(self._lines, position, row, self._keys, self._key_ends, self._starts, self._sizes)
        return reached

    def put(self, row: int, cells: dict[str, Any]) -> None:
        """Set the cells of a row, whatever the scanner has left there."""
        new = [key for key in cells if key not in self.columns]
        if len(self.columns) + len(new) > COLUMN_LIMIT:
            message = f"with its {counted(len(new), 'new keys')} the table would have more than {COLUMN_LIMIT} columns"
            raise TooManyColumns(message)
        for key in new:
            self.columns[key] = len(self.columns)
        if new:
            self._learn(row)
        self._sizes[:, row] = NULL
        for key, value in cells.items():
            text = _text(value)
            if text is not None:
                piece, column = text.encode(), self.columns[key]
                self._starts[column, row] = len(self._lines) + len(self._made)
                self._sizes[column, row] = len(piece)
                self._made += piece

    def arrays(self, rows: int) -> Iterator[pa.Array]:
        """Yield the columns as Arrow arrays."""
        texts = np.concatenate((self._lines, np.frombuffer(self._made, np.uint8))) if self._made else self._lines
        for column in range(len(self.columns)):
            starts, sizes = self._starts[column, :rows], self._sizes[column, :rows]
            offsets = np.zeros(rows + 1, np.int32)
            np.cumsum(np.maximum(sizes, 0), out=offsets[1:])
            joined = np.empty(offsets[-1], np.uint8)
            _gather(texts, starts, offsets, joined)
            validity = np.packbits(sizes != NULL, bitorder="little")
            yield pa.Array.from_buffers(pa.string(), rows, [pa.py_buffer(validity), pa.py_buffer(offsets), pa.py_buffer(joined)])

    def _learn(self, row: int) -> None:
        """Make room for all columns, for fewer rows if there are many, but for a row; and tell the scanner their keys."""
        keys = [key.encode() for key in self.columns]
        self._keys = np.frombuffer(b"".join(keys), np.uint8)
        self._key_ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
        lacking = len(keys) - len(self._starts)
        if lacking > 0:
            room = min(self.room, max(row + 1, CELLS // (2 * len(keys))))
            shape = (lacking + len(keys), room)
            self._starts = np.concatenate((self._starts[:, :room], np.zeros(shape, np.int32)))
            self._sizes = np.concatenate((self._sizes[:, :room], np.full(shape, NULL, np.int32)))


def _object(value: Any, text: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        kinds = {list: "an array", _Number: "a number", str: "a string", bool: "a truth value", type(None): "null"}
        message = f"a line must hold an object, not {kinds[type(value)]}: write one object a line, as to_json(lines=True) of pandas does"
        raise ValueError(message)  # noqa: TRY004 - every fault of the line is one kind of error
    if "\\u" in text:
        _json(value).encode()  # a lone surrogate cannot be written as UTF-8
    return value


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    """Write a value as compact JSON, with its numbers as they were."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@njit(cache=True, nogil=True)
def _gather(
    texts: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32], joined: npt.NDArray[np.uint8]
) -> None:
    """Write the texts that begin at `starts` one after the other."""
    for row in range(len(starts)):
        shift = starts[row] - offsets[row]
        for place in range(offsets[row], offsets[row + 1]):
            joined[place] = texts[place + shift]


# In what follows every loop ends at the line's end at the latest, for no byte below 32 but white space may stand in JSON.


@njit(cache=True, nogil=True)
def _skip_space(data: npt.NDArray[np.uint8], position: int) -> int:
    while data[position] == 32 or data[position] == 9 or data[position] == 13:
        position += 1
    return position


@njit(cache=True, nogil=True)
def _end_of_string(data: npt.NDArray[np.uint8], position: int) -> int:
    """Return where the quote is that ends a string without escapes, or UNKNOWN."""
    while data[position] != 34:
        if data[position] == 92 or data[position] < 32:
            return UNKNOWN
        position += 1
    return position


@njit(cache=True, nogil=True)
def _skip_digits(data: npt.NDArray[np.uint8], position: int) -> int:
    while 48 <= data[position] <= 57:
        position += 1
    return position


@njit(cache=True, nogil=True)
def _end_of_word(data: npt.NDArray[np.uint8], position: int) -> int:
    """Return the end of the number, `true`, `false` or `null` that begins here, or UNKNOWN."""
    if data[position] == 116 and position + 4 < len(data):
        is_true = data[position + 1] == 114 and data[position + 2] == 117 and data[position + 3] == 101
        return position + 4 if is_true else UNKNOWN
    if data[position] == 110 and position + 4 < len(data):
        is_null = data[position + 1] == 117 and data[position + 2] == 108 and data[position + 3] == 108
        return position + 4 if is_null else UNKNOWN
    if data[position] == 102 and position + 5 < len(data):
        is_fals = data[position + 1] == 97 and data[position + 2] == 108 and data[position + 3] == 115
        return position + 5 if is_fals and data[position + 4] == 101 else UNKNOWN
    if data[position] == 45:
        position += 1
    begin = position
    position = _skip_digits(data, position)
    if position == begin or (data[begin] == 48 and position > begin + 1):
        return UNKNOWN
    if data[position] == 46:
        begin = position + 1
        position = _skip_digits(data, begin)
        if position == begin:
            return UNKNOWN
    if data[position] == 101 or data[position] == 69:
        position += 1
        if data[position] == 43 or data[position] == 45:
            position += 1
        begin = position
        position = _skip_digits(data, begin)
        if position == begin:
            return UNKNOWN
    return position


@njit(cache=True, nogil=True)
def _find_key(
    data: npt.NDArray[np.uint8], begin: int, end: int, keys: npt.NDArray[np.uint8], key_ends: npt.NDArray[np.int64], guess: int
) -> int:
    """Return the column of a key, looked for from a guess on, or UNKNOWN."""
    for step in range(len(key_ends)):
        column = guess + step
        if column >= len(key_ends):
            column -= len(key_ends)
        first = key_ends[column - 1] if column else 0
        if key_ends[column] - first == end - begin:
            same = 0
            while same < end - begin and data[begin + same] == keys[first + same]:
                same += 1
            if same == end - begin:
                return column
    return UNKNOWN


@njit(cache=True, nogil=True)
def _scan_object(
    data: npt.NDArray[np.uint8],
    position: int,
    row: int,
    keys: npt.NDArray[np.uint8],
    key_ends: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int32],
) -> int:
    """Note the cells of the flat object that begins here, and return the end of its line, or UNKNOWN."""
    if data[position] != 123:
        return UNKNOWN
    position = _skip_space(data, position + 1)
    column = -1
    more = data[position] != 125
    while more:
        if data[position] != 34:
            return UNKNOWN
        begin = position + 1
        end = _end_of_string(data, begin)
        if end == UNKNOWN:
            return UNKNOWN
        column = _find_key(data, begin, end, keys, key_ends, column + 1 if column + 1 < len(key_ends) else 0)
        position = _skip_space(data, end + 1)
        if column == UNKNOWN or starts[column, row] or data[position] != 58:  # unknown, or repeated: no cell starts at 0
            return UNKNOWN
        begin = _skip_space(data, position + 1)
        if data[begin] == 34:
            begin += 1
            end = _end_of_string(data, begin)
            position = end + 1
            sizes[column, row] = end - begin
        else:
            end = position = _end_of_word(data, begin)
            sizes[column, row] = NULL if data[begin] == 110 else end - begin
        if end == UNKNOWN:
            return UNKNOWN
        starts[column, row] = begin
        position = _skip_space(data, position)
        more = data[position] == 44
        if more:
            position = _skip_space(data, position + 1)
    if data[position] != 125:
        return UNKNOWN
    position = _skip_space(data, position + 1)
    return position if data[position] == 10 else UNKNOWN


@njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    position: int,
    row: int,
    keys: npt.NDArray[np.uint8],
    key_ends: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Read whole lines from `position` on, as many as there is room for, and return where and at which row it stopped.

    That is where the first one begins that is no flat object of known keys.
    """
    while position < len(data) and row < starts.shape[1]:
        first = _skip_space(data, position)
        if data[first] == 10:
            position = first + 1
            continue
        end = _scan_object(data, first, row, keys, key_ends, starts, sizes)
        if end == UNKNOWN:
            return position, row
        position = end + 1
        row += 1
    return position, row
