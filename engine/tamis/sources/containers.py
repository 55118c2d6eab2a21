"""Index a container: learn what it holds from its headers, without reading a payload."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, cast

import pyarrow as pa
from isal import isal_zlib

from tamis.errors import DISK_FULL
from tamis.files import whole
from tamis.sources.cutzips import mend_zip
from tamis.sources.listing import Container, Problem, SourceFile
from tamis.sources.mediatables import index_table
from tamis.sources.tars import BLOCK, index_tar
from tamis.sources.zips import index_zip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tamis.sources.members import Indexed

_GZIP = 31  # zlib's word for a stream in gzip's frame
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)
_PACKED_BLOCK, _BLOCK = 1 << 14, 1 << 20
_BOMB_BYTES, _BOMB_RATIO = 64_000_000, 200


class _BombError(Exception):
    """A compressed tar inflates to more than anybody would have packed."""


def index_archive(file: SourceFile, target: Path) -> Indexed | Problem:
    """Return the records of an archive.

    A compressed tar is unpacked at `target` first, since it cannot be read at any other place; a zip whose end is missing gets one there.
    """
    name = file.path.lower()
    try:
        if name.endswith(".zip"):
            lost = mend_zip(file.path, target)
            return index_zip(_container(file, "zip", str(target) if lost else ""), lost)
        unpacked = "" if name.endswith(".tar") else _unpack(file.path, target)
        if unpacked and (inflated := os.stat(unpacked).st_size) < BLOCK:  # noqa: PTH116
            detail = f"its {file.size} bytes inflate to {inflated}: it is no compressed tar, or is damaged at its beginning"
            return Problem(file.record, "unreadable_archive", detail)
        indexed = index_tar(_container(file, "tar", unpacked))
    except _BombError:
        detail = f"its {file.size} bytes inflate to more than {_BOMB_RATIO} times as many; unpack it yourself if you trust it"
        return Problem(file.record, "bomb", detail)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise  # the output has no room; the archive is not to blame
        return Problem(file.record, "unreadable_archive", error.strerror or str(error))
    if not indexed.files and all(problem.reason in ("damaged_header", "truncated") for problem in indexed.problems):
        return Problem(file.record, "unreadable_archive", f"there is no whole member in it; {indexed.problems[0].detail}")
    return indexed


def index_media_table(file: SourceFile) -> Indexed | None:
    """Return the records of a table with a column of media; None for any other table, sound or broken."""
    suffix = os.path.splitext(file.path.lower())[1]  # noqa: PTH122
    try:
        if suffix in (".parquet", ".pq"):
            return index_table(_container(file, "parquet"))
        if suffix in (".arrow", ".feather", ".ipc", ".arrows"):
            return index_table(_container(file, "arrow"))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: a column's name is no UTF-8
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
    return None


def _container(file: SourceFile, how: Literal["tar", "zip", "parquet", "arrow"], unpacked: str = "") -> Container:
    return Container(file.record, file.path, file.size, file.mtime_ns, how, unpacked)


def _unpack(path: str, target: Path) -> str:
    """Inflate a tar as far as it is whole, if it is no bomb, and return where it lies."""
    most = max(_BOMB_BYTES, _BOMB_RATIO * os.stat(path).st_size)  # noqa: PTH116
    with whole(target, flush=False) as unfinished, unfinished.open("wb") as plain, open(path, "rb") as packed:  # noqa: PTH123
        for piece in _inflated(packed):
            plain.write(piece)
            if plain.tell() > most:
                raise _BombError
    return str(target)


def _inflated(packed: BinaryIO) -> Iterator[bytes]:
    """Yield what gzip members inflate to, as far as they are whole: what is missing shows as the truncation of the tar."""
    inflater = isal_zlib.decompressobj(_GZIP)
    while block := packed.read(_PACKED_BLOCK):
        while block:
            try:
                yield inflater.decompress(block, _BLOCK)
            except _INFLATE_ERROR:
                return
            block = inflater.unconsumed_tail or inflater.unused_data
            if inflater.eof:
                inflater = isal_zlib.decompressobj(_GZIP)
