"""What the readers of text tables hand on: rows of text, and the rows that could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tamis.sources.text import BrokenStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

RAW_LIMIT = 1 << 20
RECORD_LIMIT = 64 << 20
COLUMN_LIMIT = 10_000
# The columns that a staged file adds to those of its source.
REASON, DETAIL, RAW = RESERVED_COLUMNS = ("__tamis_reason__", "__tamis_detail__", "__tamis_raw__")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read: its number in the file (or chunk), why, and its text, at most 1 MiB of it."""

    row: int
    reason: str
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a text table.

    Every column holds `rows` texts, and the rows named in `bad` are null throughout. `BadRow.row` counts from the
    chunk's first row. `units` are those that the file's head gives to whole columns.
    """

    rows: int
    columns: dict[str, pa.Array | pa.ChunkedArray]
    bad: list[BadRow]
    units: dict[str, str] = field(default_factory=dict)


def unique_names(names: Sequence[str], taken: Sequence[str] = (), *, first: int = 1) -> list[str]:
    """Strip the names, name the empty ones `column_<n>`, counted from `first`, and number those that are there already."""
    return free_names([name.strip() or f"column_{number}" for number, name in enumerate(names, first)], taken, "_")


def free_names(names: Sequence[str], taken: Sequence[str], mark: str = " ") -> list[str]:
    """Return names that differ from one another and from those taken; where they do not, the mark and a number are appended."""
    seen = set(taken)
    numbers: dict[str, int] = {}
    free: list[str] = []
    for name in names:
        candidate = name
        while candidate in seen:
            numbers[name] = numbers.get(name, 1) + 1
            candidate = f"{name}{mark}{numbers[name]}"
        seen.add(candidate)
        free.append(candidate)
    return free


def check_columns(columns: int) -> None:
    """Break the stream off when there are too many columns.

    Raises
    ------
    BrokenStream
        If so.
    """
    if columns > COLUMN_LIMIT:
        message = f"the table has more than {COLUMN_LIMIT} columns"
        raise BrokenStream(message)


class Begun:
    """The record at the end of a block, which goes on in the next one; what is left of one that is too long is passed over.

    Parameters
    ----------
    marks
        What lines end with.

    Attributes
    ----------
    rest
        What has begun, without what was passed over.
    """

    def __init__(self, *marks: bytes) -> None:
        self.rest = b""
        self._marks = marks
        self._passes = False

    def joined(self, block: bytes) -> bytes:
        """Return what has begun with the block behind it."""
        if self._passes:
            ends = [place for place in map(block.find, self._marks) if place >= 0]
            self._passes = not ends
            block = block[min(ends) + 1 :] if ends else b""
        return self.rest + block

    def too_long(self, *, is_first: bool = False) -> Iterator[Chunk]:
        """Pass over what has begun if it is too long already, and yield the bad row for it.

        Raises
        ------
        BrokenStream
            It is the first record, which would say how the others are to be read.
        """
        if len(self.rest) > RECORD_LIMIT:
            told = f"the record is longer than {RECORD_LIMIT >> 20} MiB"
            if is_first:
                raise BrokenStream(told)
            yield Chunk(1, {}, [BadRow(0, "too_long", told, self.rest[:RAW_LIMIT].decode("utf-8", "replace"))])
            self.rest, self._passes = b"", True


def broken_chunk(detail: str, rest: bytes) -> Chunk:
    """Return the one row that stands for all that lies behind a break."""
    raw = rest[:RAW_LIMIT].decode("utf-8", "replace").rstrip("\r\n")
    return Chunk(1, {}, [BadRow(0, "truncated", detail, raw)])
