"""Tar archives: a walk over the headers that survives damage, and a copy of some members, byte for byte.

Only headers are read. ustar, the older form without a magic word, GNU long names and pax headers (path and size) are understood; the
format is that of POSIX.1-1988 and -2001 and of GNU tar's manual, chapter "Basic Tar Format".

Where a header is broken, the walk goes on at the next block that is one: its checksum is right, it has the magic word, and what follows
its payload is again a header, a block of zeros, or the end of the file. By chance that does not happen; only where the payload of the
member whose header is broken is itself a tar, its members are taken for those of the archive.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tamis.names import counted
from tamis.sources.listing import Container
from tamis.sources.members import Indexed, Member, Members, cut_blocks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO, Protocol

    class Writer(Protocol):
        """What takes bytes."""

        def write(self, data: bytes, /) -> object:
            """Take bytes."""


BLOCK = 512
RECORD = 20 * BLOCK  # what a tar is padded to
_ZEROS = bytes(BLOCK)
_WINDOW = 1 << 20
_MOST_ZEROS = 1 << 24  # after so many zeros the archive has ended
_LONGEST_EXTENSION = 1 << 20
_PLAIN = b"0\0" + b"7"
_LINKS = {b"1": "hard", b"2": "symbolic"}
_SPECIAL = {b"3": "device", b"4": "device", b"6": "FIFO", b"M": "continued part of a file", b"V": "volume label", b"D": "GNU folder"}
_CHECKSUM = struct.Struct("148s8x356s")
_SIGNED = struct.Struct("148b8x356b")


@dataclass(slots=True)
class Entry:
    """A member: where its headers begin, where its payload lies, and what it is.

    `kind` is the type flag; `end` is the byte after the padding, and may lie beyond the end of a truncated file.
    """

    start: int
    offset: int
    size: int
    kind: bytes
    name: bytes = b""
    link: bytes = b""
    sparse: bool = False

    @property
    def end(self) -> int:
        """The byte at which the next header stands."""
        return self.offset + -(-self.size // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no member, with a reason."""

    start: int
    stop: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class End:
    """Where the archive ends, and what is to be said of it."""

    note: tuple[str, str] | None


class _BrokenError(Exception):
    """A header that cannot be understood, or that the file does not hold whole."""

    def __init__(self, detail: str, reason: str = "damaged_header") -> None:
        super().__init__(detail)
        self.reason = reason


def index_tar(container: Container) -> Indexed:
    """Return the records of a tar."""
    members = Members(container)
    note = None
    with open(container.readable, "rb") as file:  # noqa: PTH123 - the path may hold bytes that are not UTF-8
        length = os.fstat(file.fileno()).st_size
        for found in walk(file):
            if isinstance(found, End):
                note = found.note
            elif isinstance(found, Fault):
                members.refuse(b"", found.start, found.reason, found.detail)
            elif refusal := _refusal(found, length):
                members.refuse(found.name, found.start, *refusal)
            elif found.kind in _PLAIN:
                members.add(Member(found.name, found.offset, found.size, found.start))
    return members.indexed(note, samples=True)


def copy_tar(container: Container, kept: Collection[int], target: Writer) -> None:
    """Write a tar of the members whose payloads begin at these bytes: unchanged, headers and all."""
    with open(container.readable, "rb") as file:  # noqa: PTH123
        written = 0
        for found in walk(file):
            if isinstance(found, Entry) and (found.kind == b"g" or (found.kind in _PLAIN and found.offset in kept)):
                _copy(file, found.start, found.end, target)
                written += found.end - found.start
        target.write(bytes(-(-(written + 2 * BLOCK) // RECORD) * RECORD - written))


def walk(file: BinaryIO) -> Iterator[Entry | Fault | End]:
    """Yield the members of a tar and the bytes that are none, in order, then the end."""
    descriptor, length = file.fileno(), os.fstat(file.fileno()).st_size
    at = 0
    while True:
        at, zeros = _skip_zeros(descriptor, at, length)
        if at >= length or zeros > _MOST_ZEROS:
            yield End(
                None if zeros else ("no_end_blocks", f"the archive ends at byte {length} without the two blocks of zeros that end a tar")
            )
            return
        try:
            entry = _entry(descriptor, at, length)
        except _BrokenError as error:
            stop = _next_header(descriptor, at + BLOCK, length)
            if zeros >= 2 * BLOCK and stop == length:
                yield End(
                    ("trailing_data", f"{counted(length - at, 'bytes')} from byte {at} on, behind the end of the archive: no members of it")
                )
                return
            rest = (
                f"bytes {at} to {stop} are not read"
                if stop < length
                else f"the rest of the file, {counted(length - at, 'bytes')}, is not read"
            )
            yield Fault(at, stop, error.reason, f"byte {at}: {error}; {rest}")
            at = stop
            if at == length:
                yield End(None)
                return
            continue
        yield entry
        if entry.offset + entry.size > length:
            yield End(None)
            return
        at = min(entry.end, length)


def _refusal(entry: Entry, length: int) -> tuple[str, str] | None:
    """Return why a member is no plain file that is whole; None where it is one, or a folder, or a header for all members."""
    if entry.kind in _LINKS:
        return "link_in_archive", f"a {_LINKS[entry.kind]} link to {entry.link[:120]!r}; links in archives are not followed"
    if entry.kind in _SPECIAL:
        return "special_in_archive", f"a {_SPECIAL[entry.kind]} cannot be read as a file"
    if entry.sparse or entry.kind == b"S":
        return "sparse", "a sparse file, of which the archive holds only parts; unpack it beside the source to have it read"
    if entry.offset + entry.size > length:
        return "truncated", f"its {entry.size} bytes begin at byte {entry.offset}; the archive ends at byte {length}"
    return None


def _skip_zeros(descriptor: int, at: int, length: int) -> tuple[int, int]:
    """Return the first block at or after a byte that is not all zeros, and how many bytes of zeros were passed."""
    start = at
    while at < length:
        if at - start > _MOST_ZEROS:
            break
        block = os.pread(descriptor, BLOCK if at == start else _WINDOW, at)
        if not block:  # the file became shorter
            return length, at - start
        if block.strip(b"\0"):
            lead = len(block) - len(block.lstrip(b"\0"))
            at += lead // BLOCK * BLOCK
            return at, at - start
        at += len(block)
    return min(at, length), at - start


def _entry(descriptor: int, start: int, length: int) -> Entry:
    """Return the member whose first header stands at this byte, with what its extension headers say of it."""
    said: dict[bytes, bytes] = {}
    at = start
    while True:
        block = os.pread(descriptor, BLOCK, at)
        entry = _header(block, at)
        if entry.kind not in b"xLK":
            break
        if entry.size > _LONGEST_EXTENSION:
            message = f"an extension header of {entry.size} bytes"
            raise _BrokenError(message)
        if entry.offset + entry.size > length:
            message = f"the file ends at byte {length}, within an extension header"
            raise _BrokenError(message, "truncated")
        body = os.pread(descriptor, entry.size, entry.offset)
        if entry.kind == b"x":
            said.update(_pax(body))
        else:
            said[b"path" if entry.kind == b"L" else b"linkpath"] = body.rstrip(b"\0")
        at = entry.end
    entry.start = start
    entry.name, entry.link = said.get(b"path", entry.name), said.get(b"linkpath", entry.link)
    entry.sparse = any(key.startswith(b"GNU.sparse") for key in said)
    if b"size" in said:
        if not said[b"size"].isdigit() or len(said[b"size"]) > 20:
            message = f"a pax header says that the size is {said[b'size'][:40]!r}"
            raise _BrokenError(message)
        entry.size = int(said[b"size"])
    if entry.kind in _PLAIN and entry.name.endswith(b"/"):
        entry.kind = b"5"  # how folders were written before there was a flag for them
    if entry.kind in b"123456":
        entry.size = 0  # whatever the header says, nothing follows it
    more = entry.kind == b"S" and block[482]
    while more:  # blocks that continue the list of a sparse file's parts
        more = (os.pread(descriptor, BLOCK, entry.offset) or _ZEROS)[-8]
        entry.offset += BLOCK
    if entry.kind not in b"01234567gSMVD\0":
        entry.kind = b"0"  # POSIX: what is not known is treated as a plain file
    return entry


def _header(block: bytes, at: int) -> Entry:
    if len(block) < BLOCK:
        message = f"the file ends within a header, after {counted(len(block), 'bytes')} of it"
        raise _BrokenError(message, "truncated")
    told = _number(block[148:156])
    if told != 256 + sum(map(sum, _CHECKSUM.unpack(block))) and told != 256 + sum(_SIGNED.unpack(block)):
        message = "a header whose checksum is wrong"
        raise _BrokenError(message)
    size = _number(block[124:136])
    if size is None or size < 0:
        message = f"a header that says that the size is {block[124:136]!r}"
        raise _BrokenError(message)
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0]
    if prefix and block[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return Entry(at, at + BLOCK, size, block[156:157], name, block[157:257].partition(b"\0")[0])


def _number(field: bytes) -> int | None:
    """Return a number in octal digits, or in GNU's form for large ones, base 256; None where it is neither."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits, 8) if digits.isdigit() else None if digits else 0
    except ValueError:  # an 8 or a 9
        return None


def _pax(body: bytes) -> dict[bytes, bytes]:
    """Return the records of a pax header, each `LENGTH KEY=VALUE` and a line feed."""
    said = {}
    while body.strip(b"\0"):
        digits, _, rest = body.partition(b" ")
        size = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        line = body[len(digits) + 1 : size]
        key, equals, value = line.partition(b"=")
        if not rest or size > len(body) or not equals or not line.endswith(b"\n"):
            message = "a pax header that cannot be understood"
            raise _BrokenError(message)
        said[key] = value[:-1]
        body = body[size:]
    return said


def _next_header(descriptor: int, at: int, length: int) -> int:
    """Return the first block from this byte on that is surely a header, or the end of the file."""
    while at + BLOCK <= length:
        window = os.pread(descriptor, _WINDOW, at)
        found = window.find(b"ustar", 257)
        while found >= 0:
            if found % BLOCK == 257 and _is_sure(descriptor, at + found - 257, length):
                return at + found - 257
            found = window.find(b"ustar", found + 1)
        if not window:
            break
        at += len(window) // BLOCK * BLOCK or BLOCK
    return length


def _is_sure(descriptor: int, at: int, length: int) -> bool:
    try:
        end = _header(os.pread(descriptor, BLOCK, at), at).end
        following = os.pread(descriptor, BLOCK, end)
        if end < length and following != _ZEROS:
            _header(following, end)
    except (_BrokenError, OverflowError, OSError):  # no such place
        return False
    return end <= length


def _copy(file: BinaryIO, start: int, stop: int, target: Writer) -> None:
    """Copy bytes; where a truncated file lacks padding, zeros."""
    file.seek(start)
    for size in cut_blocks(stop - start):
        target.write(file.read(size).ljust(size, b"\0"))
