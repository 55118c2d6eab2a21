"""Zips whose end is missing, such as downloads that were cut: their whole members, found by the headers in front of them.

The walk goes from header to header, by the sizes that they tell. A header written before its payload (bit 3 of the flags) tells none: the
payload then ends at a descriptor with PKWARE's signature that gives just as many bytes as stand before it, which by chance does not happen.
So nothing is inflated here; the CRC of every member is checked where it is read. At bytes that are no header the walk ends, for behind them
might lie the members of a zip within the zip.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from tamis.files import whole
from tamis.names import counted
from tamis.sources.zips import (
    DESCRIPTOR,
    LOCAL,
    DamagedZipError,
    Entry,
    Lost,
    NoDirectoryError,
    extra_fields,
    find_directory,
    widened,
    write_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

_MEMBER, _BEHIND, _DIRECTORY = b"PK\x03\x04", b"PK\x07\x08", (b"PK\x01\x02", b"PK\x06\x08")
_NARROW, _WIDE = struct.Struct("<4sIII"), struct.Struct("<4sIQQ")
_FIRST_WINDOW, _WINDOW = 1 << 12, 1 << 20
_ENTRY_BEGIN = b"PK\x01\x02\x14\0"
_Whole = tuple[Entry, int, bytes, bytes]  # as `write_zip` takes it


class _Stop(NamedTuple):
    """Why the walk goes no further, and the name of the member that is not whole; no byte before `reached` is that of a directory."""

    reached: int
    reason: str
    detail: str
    name: bytes = b""


def mend_zip(path: str, target: Path) -> Lost | None:
    """Write a zip of the whole members of one that is cut, and return what is lost; None for any other, and if no member is whole."""
    with open(path, "rb") as file:  # noqa: PTH123 - the path may hold bytes that are not UTF-8
        descriptor = file.fileno()
        if os.pread(descriptor, 4, 0) != _MEMBER:
            return None
        try:
            directory = find_directory(descriptor)
        except NoDirectoryError:
            directory = None
        except DamagedZipError:
            return None
        if directory and directory.shift <= 0:
            return None
        members, reached, lost = _walk(descriptor)
        if directory.end >= reached if directory else not members:
            return None  # where a directory stands behind all members, another archive is in front of this one
        with whole(target, flush=False) as unfinished, unfinished.open("wb") as mended:
            write_zip(file, members, mended)
    return lost


def _walk(descriptor: int) -> tuple[list[_Whole], int, Lost]:
    """Return the whole members from the beginning of a file on, the byte up to which no directory can be, and what is lost."""
    length = os.fstat(descriptor).st_size
    members: list[_Whole] = []
    at = 0
    while not isinstance(found := _member(descriptor, at, length), _Stop):
        members.append(found)
        at = found[0].end
    ends = f"the archive ends at byte {length} without the end of its directory"
    detail = f"{found.detail}; {ends}. Members before byte {at}, which are read: {len(members)}"
    return members, found.reached, Lost(found.name, at, found.reason, detail)


def _member(descriptor: int, at: int, length: int) -> _Whole | _Stop:
    """Return the member whose header stands at this byte; where there is none, or it is not whole, what is lost."""
    fixed = os.pread(descriptor, LOCAL.size, at)
    if fixed[:4] in _DIRECTORY:
        return _Stop(at, "truncated", "here the directory begins")
    if len(fixed) < LOCAL.size:
        return _Stop(
            at, "truncated", f"the file ends {counted(len(fixed), 'bytes')} from where the next header or the directory would begin"
        )
    if fixed[:4] != _MEMBER:
        return _Stop(at, "damaged_header", "no header of a member stands here; the rest of the file is not read")
    _, _, flags, method, _, _, crc, packed, size, names, extras = LOCAL.unpack(fixed)
    start = at + LOCAL.size + names + extras
    variable = os.pread(descriptor, names + extras, at + LOCAL.size)
    name, extra = variable[:names], variable[names:]
    size, packed = widened(extra, size, packed)
    if start > length:
        return _Stop(at, "truncated", "the file ends within this header")
    if start + packed > length:
        return _Stop(length, "truncated", f"its {packed} bytes begin at byte {start}", name)
    end = start + packed
    if flags & DESCRIPTOR:
        form = _WIDE if 1 in extra_fields(extra) else _NARROW
        behind = _find_descriptor(descriptor, start, end, form)
        if behind is None:
            return _Stop(length, "truncated", f"its bytes begin at byte {start}, and nothing tells where they end", name)
        crc, packed, size = behind
        end = start + packed + form.size
    entry = _ENTRY_BEGIN + fixed[4:28] + bytes(16)  # sizes and place are set where it is written; attributes no header tells
    return Entry(at, end, name, flags, method, crc, packed, size, at, 0), start, entry, name


def _find_descriptor(descriptor: int, start: int, at: int, form: struct.Struct) -> tuple[int, int, int] | None:
    """Return CRC, packed and plain size of the payload that begins at `start`, from the first descriptor at or after `at` that fits it."""
    size = _FIRST_WINDOW  # most members are small
    while len(window := os.pread(descriptor, size, at)) >= form.size:
        found = window.find(_BEHIND)
        while 0 <= found <= len(window) - form.size:
            _, crc, packed, plain = form.unpack_from(window, found)
            if packed == at + found - start:
                return crc, packed, plain
            found = window.find(_BEHIND, found + 1)
        at += len(window) - form.size + 1
        size = min(4 * size, _WINDOW)
    return None
