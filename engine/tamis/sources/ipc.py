"""Record batches of Arrow IPC files and streams, each read by itself: a damaged one costs its own rows.

Arrow reads a file by the footer, which says where its batches are. A stream has none, and a file that was cut short lost it; their messages
are followed from the begin as far as they are whole. How many rows a batch has is learnt from the head of its message, so that nothing is
decoded to count them.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"ARROW1"
_BLOCK = struct.Struct("<qi4xq")  # of a message in a file: where it is, the length of its head, and that of its body
_CONTINUED = b"\xff\xff\xff\xff"  # begins a message, since version 0.15
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_MOST_RATIO = 200  # of compression; where it is more, Arrow is asked
_FAULTS = (struct.error, ValueError, OverflowError, IndexError)


class _Message(NamedTuple):
    """A message: where it is, the length of its head, and that of its body."""

    offset: int
    head: int
    body: int


class IpcTable:
    """The batches of an Arrow IPC file or stream.

    Attributes
    ----------
    schema
        As in the file.
    is_stream
        Whether it is a stream by its first bytes.
    sizes
        The rows of each batch. One whose head cannot be read counts as one row, and so does all that lies behind a break.
    notes
        What is worth knowing.

    Raises
    ------
    OSError, pyarrow.ArrowException
        There is no schema, or no whole batch before a break.
    """

    def __init__(self, handle: pa.NativeFile) -> None:
        self._handle = handle
        self._size: int = handle.size()
        self.is_stream = handle.read_at(min(len(MAGIC), self._size), 0) != MAGIC
        self.notes: list[str] = []
        self._file: Any = None
        if not self.is_stream:
            try:
                self._file = pa.ipc.open_file(handle)
            except (OSError, pa.ArrowException) as error:
                self.notes.append(f"the footer cannot be read ({error}): batches are taken in the order in which they lie")
        self._batches: list[tuple[_Message, ...]] = []  # each with the messages that it needs before it
        self._broken = ""
        if self._file is None:
            self._follow(8 if not self.is_stream else 0)
        else:
            self.schema: pa.Schema = self._file.schema

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The rows of each batch."""
        messages = [messages[-1] for messages in self._batches] if self._file is None else self._by_footer()
        rows = [self._rows(number, message) for number, message in enumerate(messages)]
        return tuple(rows + [1] * bool(self._broken))

    def batch(self, number: int, columns: Sequence[int] | None = None) -> pa.RecordBatch:
        """Return some columns of a batch, all by default.

        Raises
        ------
        OSError, pyarrow.ArrowException
            It is damaged: Arrow cannot read it, or its values would lie outside of it.
        """
        if self._file is not None:
            batch = self._file.get_batch(number)
        elif number < len(self._batches):
            content = b"".join(self._handle.read_at(one.head + one.body, one.offset) for one in self._batches[number])
            with pa.ipc.open_stream(content) as stream:
                batch = stream.read_next_batch()
        else:
            raise pa.ArrowInvalid(self._broken)
        batch = batch if columns is None else batch.select(columns)
        for column in batch.columns:
            as_bytes = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(column.type)
            (column.view(as_bytes) if as_bytes else column).validate(full=True)
        return batch

    def _follow(self, place: int) -> None:
        """Note the batches from a place on, until the end or a message that cannot be."""
        first: _Message | None = None
        dictionaries: dict[int, tuple[_Message, ...]] = {}
        while place < self._size:
            try:
                message, kind, table, head = self._message(place)
                if not message.head:
                    break
                if kind == _DICTIONARY:
                    told = struct.unpack_from("<q", head, at)[0] if (at := _field(head, table, 0)) else 0
                    is_delta = bool((at := _field(head, table, 2)) and head[at])
                    dictionaries[told] = (*(dictionaries.get(told, ()) if is_delta else ()), message)
                elif kind == _BATCH and first is not None:
                    self._batches.append((first, *(one for of_one in dictionaries.values() for one in of_one), message))
                elif kind == _SCHEMA and first is None:
                    first = message
                    self.schema = pa.ipc.read_schema(pa.py_buffer(self._handle.read_at(message.head, place)))
                else:
                    raise ValueError(f"a message of kind {kind} at byte {place}")
            except _FAULTS as error:
                why = "no message is there" if isinstance(error, struct.error) else error
                self._broken = f"it breaks off at byte {place}: {why}"
                break
            place += message.head + message.body
        if first is None or (self._broken and not self._batches):
            raise pa.ArrowInvalid("; ".join([*self.notes, self._broken or "there is no schema"]))

    def _message(self, place: int) -> tuple[_Message, int, int, bytes]:
        """Return the message at a place, its kind, and where in its head the table is that tells of it; no head ends a stream."""
        begin = self._handle.read_at(8, place)
        prefix, at = (8, 4) if begin[:4] == _CONTINUED else (4, 0)
        (size,) = struct.unpack_from("<i", begin, at)
        if not size:
            return _Message(place, 0, 0), 0, 0, b""
        head = self._handle.read_at(prefix + size, place) if 0 < size <= self._size - place else b""
        message, table, kind = _told(head)
        body = struct.unpack_from("<q", head, at)[0] if (at := _field(head, message, 3)) else 0
        if not 0 <= body <= self._size - place - len(head):
            raise ValueError(f"a message of {body} bytes where {self._size - place - len(head)} are left")
        return _Message(place, len(head), body), kind, table, head

    def _by_footer(self) -> list[_Message | None]:
        """Return where the footer says that the batches are."""
        length = int.from_bytes(self._handle.read_at(4, self._size - 10), "little")  # behind it stands only the mark of six bytes
        footer = self._handle.read_at(length, self._size - 10 - length)
        count = self._file.num_record_batches
        try:
            blocks = _followed(footer, _field(footer, _followed(footer, 0), 3)) + 4
            told = [_Message(*_BLOCK.unpack_from(footer, blocks + _BLOCK.size * number)) for number in range(count)]
            return [one if one.offset >= 0 and 0 <= one.head <= self._size - one.offset else None for one in told]
        except _FAULTS:
            return [None] * count

    def _rows(self, number: int, message: _Message | None) -> int:
        """Return how many rows a batch has by its head; Arrow judges where that tells of more than its body has room for."""
        try:
            if message is not None:
                head = self._handle.read_at(message.head, message.offset)
                _, table, _ = _told(head)
                told: int = struct.unpack_from("<q", head, at)[0] if (at := _field(head, table, 0)) else 0
                nodes = _followed(head, _field(head, table, 1))
                of_first = struct.unpack_from("<q", head, nodes + 4)[0] if struct.unpack_from("<I", head, nodes)[0] else told
                room = 8 * message.body * (_MOST_RATIO if _field(head, table, 3) else 1)
                if told == of_first and 0 <= told * self._bits <= room and self._bits:
                    return told
            return int(self.batch(number, []).num_rows)
        except (*_FAULTS, OSError, pa.ArrowException):
            return 1

    @cached_property
    def _bits(self) -> int:
        """Bits that a row takes at least, where nothing is compressed."""
        return sum(_bits(field.type) for field in self.schema)


def _bits(kind: pa.DataType) -> int:
    if pa.types.is_binary(kind) or pa.types.is_string(kind) or pa.types.is_list(kind):
        return 32
    try:
        return int(kind.bit_width)
    except ValueError:
        return 0


def _told(head: bytes) -> tuple[int, int, int]:
    """Return where in the head of a message its table lies, and that of what it tells of, and the kind of the latter."""
    message = _followed(head, 8 if head[:4] == _CONTINUED else 4)
    kind = _field(head, message, 1)
    return message, _followed(head, _field(head, message, 2)), head[kind] if kind else 0


def _followed(data: bytes, place: int) -> int:
    """Return where an offset of FlatBuffers leads."""
    return place + int(struct.unpack_from("<I", data, place)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a field of a FlatBuffers table lies; 0 where it has the default."""
    entries = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, entries)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", data, entries + 4 + 2 * number)
    return table + int(offset) if offset else 0
