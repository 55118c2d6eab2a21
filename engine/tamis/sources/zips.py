"""Zip archives: the records in a directory, a payload by range, and a copy of some members with their bytes as they are.

The format is that of PKWARE's APPNOTE.TXT 6.3, with 64-bit sizes (4.5.3). The directory at the end says what there is; of the headers
before the payloads only their lengths are used. Sizes that the directory declares are checked before anything is inflated, and inflating
stops at them. A zip that has lost its directory is given a new one first (`cutzips`).
"""

from __future__ import annotations

import bz2
import lzma
import os
import stat
import struct
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from isal import isal_zlib

from tamis.sources.listing import Container, Problem
from tamis.sources.members import Indexed, Member, Members, cut_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import BinaryIO

LOCAL = struct.Struct("<4s5HIIIHH")
_ENTRY = struct.Struct("<4s6HIIIHHHHHII")
_END = struct.Struct("<4s4HIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_WINDOW = 1 << 20
_TAIL = _END.size + 0xFFFF
_FULL, _FULL_COUNT = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED, DESCRIPTOR = 0x1, 0x8
_STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_LEAST_DICTIONARY = 4096
_BOMB_BYTES, _BOMB_RATIO = 16_000_000, 200
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)


class DamagedZipError(Exception):
    """Bytes of a zip are not what the directory says: a reason code and a sentence for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class NoDirectoryError(DamagedZipError):
    """No record at the end of a file tells of a directory."""


@dataclass(slots=True)
class Entry:
    """One entry of the directory: where it stands and ends, and what it says of its member."""

    at: int
    end: int
    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int
    mode: int

    @property
    def least_end(self) -> int:
        """The byte after the payload, if the header before it is as short as it can be."""
        return self.header + LOCAL.size + len(self.name) + self.packed


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory: where it begins, how many entries it has, and where the record behind it stands that told so.

    `shift` counts the bytes in front of the archive, which offsets do not count.
    """

    start: int
    entries: int
    shift: int
    end: int


class Lost(NamedTuple):
    """Members that a zip no longer holds: the name of the first, where it stands or would, a reason and a sentence for the ledger."""

    name: bytes
    at: int
    reason: str
    detail: str


def index_zip(container: Container, lost: Lost | None = None) -> Indexed:
    """Return the records of a zip, and one for what it has lost where it was cut."""
    members = Members(container)
    with open(container.readable, "rb", buffering=_WINDOW) as file:  # noqa: PTH123 - the path may hold bytes that are not UTF-8
        try:
            directory = find_directory(file.fileno())
        except DamagedZipError as error:
            return Indexed(container, (), (Problem(container.record, error.reason, str(error)),))
        entries: list[Entry] = []
        try:
            entries.extend(_entries(file, directory))
        except DamagedZipError as error:
            members.refuse(b"", entries[-1].end if entries else directory.start, error.reason, str(error))
        reached, last = 0, b""
        for entry in sorted(entries, key=attrgetter("header")):  # of equal ones, the one that stands first in the directory
            refusal = _refusal(entry, directory.start)
            if not entry.size and entry.name.endswith(b"/"):
                continue
            if entry.header < reached:
                refusal = "overlapping", f"its bytes begin at {entry.header}, within those of {last[:120]!r}, which end at {reached}"
            if (end := entry.least_end) > reached:
                reached, last = end, entry.name
            if refusal:
                members.refuse(entry.name, entry.at, *refusal)
            else:
                members.add(Member(entry.name, entry.at, entry.size, entry.at))
    if lost:
        members.refuse(*lost)
    return members.indexed()


class ZipReader:
    """A zip that is held open, its directory found once: the payload of one member after another."""

    def __init__(self, container: Container) -> None:
        self._file = open(container.readable, "rb")  # noqa: PTH123, SIM115
        try:
            self._shift = find_directory(self._file.fileno()).shift
        except DamagedZipError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def payload(self, at: int) -> bytes:
        """Return the payload of the member whose entry in the directory stands at this byte.

        Raises
        ------
        DamagedZipError
            It cannot be inflated, is longer or shorter than declared, or its CRC is another.
        """
        entry = _entry_at(self._file, at, self._shift)
        start = _payload(self._file.fileno(), entry)
        try:
            payload = _inflate(self._file, entry, start)
        except (_INFLATE_ERROR, OSError, EOFError, lzma.LZMAError, ValueError) as error:
            detail = f"its {entry.packed} bytes from byte {start} on cannot be inflated: {error}"
            raise DamagedZipError("damaged_member", detail) from error
        if len(payload) != entry.size:
            more = "more than" if len(payload) > entry.size else "only"
            amount = entry.size if len(payload) > entry.size else len(payload)
            raise DamagedZipError("wrong_size", f"it inflates to {more} {amount} bytes, where {entry.size} are declared")
        crc = isal_zlib.crc32(payload)
        if crc != entry.crc:
            raise DamagedZipError("wrong_crc", f"the CRC of its {entry.size} bytes is {crc:08x}, {entry.crc:08x} is declared")
        return payload


def copy_zip(container: Container, kept: Collection[int], target: BinaryIO) -> None:
    """Write a zip of the members whose entries stand at these bytes of the directory; what is compressed is copied as it is."""
    with open(container.readable, "rb") as file:  # noqa: PTH123
        descriptor, shift = file.fileno(), find_directory(file.fileno()).shift
        order = sorted(kept, key=lambda at: _entry_at(file, at, shift).header)
        entries = (_entry_at(file, at, shift) for at in order)
        write_zip(file, ((entry, _payload(descriptor, entry), *_directory_bytes(descriptor, entry)) for entry in entries), target)


def write_zip(file: BinaryIO, members: Iterable[tuple[Entry, int, bytes, bytes]], target: BinaryIO) -> None:
    """Write a zip of members of a file: each with the byte at which its payload begins, and the two parts of its entry in the directory."""
    entries: list[bytes] = []
    for entry, payload, fixed, variable in members:
        entries.append(_moved(entry, fixed, variable, target.tell()))
        target.write(_local(entry))
        file.seek(payload)
        for size in cut_blocks(entry.packed):
            target.write(file.read(size))
    start = target.tell()
    for one in entries:
        target.write(one)
    target.write(_ending(len(entries), start, target.tell() - start))


def find_directory(descriptor: int) -> Directory:
    """Find the directory by the record at the end of the file.

    Raises
    ------
    DamagedZipError
        There is none, it cannot be, or it is that of several files.
    """
    length = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL, max(0, length - _TAIL))
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > len(tail):
        detail = f"there is no directory at the end of its {length} bytes: it is no zip, or its end is missing"
        raise NoDirectoryError("unreadable_archive", detail)
    end = length - len(tail) + found
    _, disk, first_disk, _, entries, size, offset, _ = _END.unpack_from(tail, found)
    stop = end
    if _FULL_COUNT in (entries, disk) or _FULL in (size, offset):
        locator = os.pread(descriptor, _LOCATOR.size, max(0, end - _LOCATOR.size))
        if locator[:4] == b"PK\x06\x07":
            record = os.pread(descriptor, _END64.size, stop := end - _LOCATOR.size - _END64.size)
            if record[:4] != b"PK\x06\x06":
                raise DamagedZipError("unreadable_archive", f"the 64-bit end of the directory is not at byte {stop}")
            _, _, _, _, disk, first_disk, _, entries, size, offset = _END64.unpack(record)
    if disk or first_disk:
        raise DamagedZipError("unreadable_archive", "it is one of several parts; join them to have it read")
    if size > stop:
        raise DamagedZipError("unreadable_archive", f"the directory is said to have {size} bytes, but ends at byte {stop}")
    return Directory(stop - size, entries, stop - size - offset, end)


def _entries(file: BinaryIO, directory: Directory) -> Iterator[Entry]:
    at = directory.start
    file.seek(at)
    for number in range(directory.entries):
        try:
            entry = _entry(file.read, at, directory.shift)
        except DamagedZipError as error:
            detail = f"{error}; entries from number {number} on, of {directory.entries}, are not read"
            raise DamagedZipError("damaged_directory", detail) from error
        yield entry
        at = entry.end


def _entry_at(file: BinaryIO, at: int, shift: int) -> Entry:
    file.seek(at)
    return _entry(file.read, at, shift)


def _entry(read: Callable[[int], bytes], at: int, shift: int) -> Entry:
    fixed = read(_ENTRY.size)
    if len(fixed) < _ENTRY.size or fixed[:4] != b"PK\x01\x02":
        raise DamagedZipError("damaged_directory", f"no entry of the directory stands at byte {at}")
    _, _, _, flags, method, _, _, crc, packed, size, names, extras, comments, _, _, attributes, header = _ENTRY.unpack(fixed)
    variable = read(names + extras + comments)
    size, packed, header = widened(variable[names : names + extras], size, packed, header)
    end = at + _ENTRY.size + names + extras + comments
    return Entry(at, end, variable[:names], flags, method, crc, packed, size, header + shift, attributes >> 16)


def widened(extra: bytes, *told: int) -> Iterator[int]:
    """Yield these sizes and places, each that has no room in 32 bits as the extra field tells it."""
    sizes = extra_fields(extra).get(1, b"") if _FULL in told else b""
    values = iter(struct.unpack(f"<{len(sizes) // 8}Q", sizes[: len(sizes) // 8 * 8]))
    return (next(values, one) if one == _FULL else one for one in told)


def extra_fields(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields of a header by their numbers."""
    fields = {}
    while len(extra) >= 4:
        key, size = struct.unpack_from("<HH", extra)
        fields[key] = extra[4 : 4 + size]
        extra = extra[4 + size :]
    return fields


def _refusal(entry: Entry, end: int) -> tuple[str, str] | None:
    """Return why a member cannot be read, as far as the directory tells."""
    if stat.S_ISLNK(entry.mode):
        return "link_in_archive", "a symbolic link; links in archives are not followed"
    if entry.flags & _ENCRYPTED:
        return "encrypted", "it is encrypted; unpack the archive with its password to have it read"
    if entry.method not in (_STORED, _DEFLATED, _BZIP2, _LZMA):
        return "unsupported_method", f"it is compressed by method {entry.method}; unpack the archive to have it read"
    if entry.header < 0 or entry.least_end > end:
        return "truncated", f"its {entry.packed} bytes would lie from byte {entry.header} on, but the payloads end at byte {end}"
    if entry.size > _BOMB_BYTES and entry.size > _BOMB_RATIO * entry.packed:
        return "bomb", f"{entry.packed} bytes are said to inflate to {entry.size}, more than {_BOMB_RATIO} times as many"
    if entry.method == _STORED and entry.size != entry.packed:
        return "wrong_size", f"it is stored in {entry.packed} bytes, where {entry.size} are declared"
    return None


def _payload(descriptor: int, entry: Entry) -> int:
    """Return the byte at which a member's payload begins."""
    fixed = os.pread(descriptor, LOCAL.size, entry.header)
    if len(fixed) < LOCAL.size or fixed[:4] != b"PK\x03\x04":
        raise DamagedZipError("damaged_member", f"no header of a member stands at byte {entry.header}")
    names, extras = struct.unpack_from("<HH", fixed, 26)
    return entry.header + LOCAL.size + int(names) + int(extras)


def _inflate(file: BinaryIO, entry: Entry, start: int) -> bytes:
    """Return the payload, or one byte more than is declared where it would be longer."""
    file.seek(start)
    if entry.method == _STORED:
        return file.read(entry.size)
    blocks = (file.read(size) for size in cut_blocks(entry.packed))
    if entry.method == _DEFLATED:
        inflater = isal_zlib.decompressobj(-15)
        parts, wanted = [], entry.size + 1
        for block in blocks:
            parts.append(inflater.decompress(block, wanted))
            wanted -= len(parts[-1])
            if not wanted or inflater.eof:
                break
        return b"".join(parts)
    unpacker: Any = bz2.BZ2Decompressor()
    if entry.method == _LZMA:
        unpacker = _lzma(file, entry.size)
        blocks = (file.read(size) for size in cut_blocks(start + entry.packed - file.tell()))
    parts, wanted = [], entry.size + 1
    for block in blocks:
        while wanted and not unpacker.eof:
            parts.append(unpacker.decompress(block, wanted))
            wanted -= len(parts[-1])
            block = b""
            if unpacker.needs_input:
                break
    return b"".join(parts)


def _lzma(file: BinaryIO, most: int) -> lzma.LZMADecompressor:
    """Return a decompressor by the properties in front of the data: version, length, three numbers in a byte, size of the dictionary.

    No match reaches further back than what `most` bytes make, so the dictionary, which is allocated at once, need not be larger.
    """
    size = int.from_bytes(file.read(4)[2:], "little")
    properties = file.read(size)
    if size != 5 or len(properties) < size:
        message = f"the LZMA properties have {size} bytes, not 5"
        raise ValueError(message)
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    dictionary = max(_LEAST_DICTIONARY, min(int.from_bytes(properties[1:], "little"), most))
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _directory_bytes(descriptor: int, entry: Entry) -> tuple[bytes, bytes]:
    """Return an entry of the directory as it is: the fixed part, and the rest."""
    return os.pread(descriptor, _ENTRY.size, entry.at), os.pread(descriptor, entry.end - entry.at - _ENTRY.size, entry.at + _ENTRY.size)


def _local(entry: Entry) -> bytes:
    """Return a member's own header; sizes and CRC stand in it, not behind the payload."""
    large = max(entry.size, entry.packed) >= _FULL  # in this header both sizes are given in 64 bits, or none
    extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.packed) if large else b""
    size, packed = (_FULL, _FULL) if large else (entry.size, entry.packed)
    flags = entry.flags & ~DESCRIPTOR
    head = LOCAL.pack(
        b"PK\x03\x04", 45 if extra else 20, flags, entry.method, 0, 0x21, entry.crc, packed, size, len(entry.name), len(extra)
    )
    return head + entry.name + extra


def _moved(entry: Entry, fixed: bytes, variable: bytes, place: int) -> bytes:
    """Return an entry of the directory for a member that now stands elsewhere."""
    fields = list(_ENTRY.unpack(fixed))
    names, extras = fields[10], fields[11]
    others = b"".join(
        struct.pack("<HH", key, len(value)) + value for key, value in extra_fields(variable[names : names + extras]).items() if key != 1
    )
    told = (entry.size, entry.packed, place)
    large = [value for value in told if value >= _FULL]
    wide = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size, packed, header = (min(value, _FULL) for value in told)
    extra = wide + others
    fields[3], fields[7:10], fields[11], fields[16] = entry.flags & ~DESCRIPTOR, (entry.crc, packed, size), len(extra), header
    return _ENTRY.pack(*fields) + variable[:names] + extra + variable[names + extras :]


def _ending(entries: int, start: int, size: int) -> bytes:
    """Return what stands behind the directory."""
    wide = b""
    if entries >= _FULL_COUNT or start >= _FULL or size >= _FULL:
        wide = _END64.pack(b"PK\x06\x06", _END64.size - 12, 45, 45, 0, 0, entries, entries, size, start)
        wide += _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
    count = min(entries, _FULL_COUNT)
    return wide + _END.pack(b"PK\x05\x06", 0, 0, count, count, min(size, _FULL), min(start, _FULL), 0)
