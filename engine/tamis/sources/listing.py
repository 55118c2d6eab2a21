"""List the files of a source: every name is either a file to read or a problem with a reason.

A record id is the file's path relative to the root, with `/` between its parts. File names are bytes: one that is not
UTF-8, or that begins with `bytes:` itself, becomes `bytes:` and the percent-quoted bytes, so that two files never share
an id and every id can be written as text.

Links to files of the source are followed. Links to folders, which can lead back into the source, and to files outside of it are
not; each is a problem of its own. A link that is named as the source is always followed.
"""

# A Path for each of millions of files would be slow, so paths are strings here.
# ruff: noqa: PTH100, PTH123, PTH112, PTH113, PTH115, PTH116, PTH118, PTH120, PTH122, PTH207, PTH208

from __future__ import annotations

import errno
import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tamis.errors import SourceError, nearest
from tamis.media.sniff import is_media_name
from tamis.names import at_home
from tamis.sources.text import is_array_of_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLE_SUFFIXES = frozenset({".parquet", ".pq", ".arrow", ".feather", ".ipc", ".arrows"})
TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".ndjson", ".jsonl"})
ARRAY_SUFFIX = ".json"  # a table where the text is an array of objects, and nothing beside it is media
LOGGER_SUFFIX, LOGGER_MARKS = ".dat", (b'"TOA5"', b"TOA5,")  # tables of Campbell's loggers; others of that name are not known
COMPRESSED_SUFFIXES = frozenset({".gz", ".zst", ".bz2"})
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")

TYPE_NAMES = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True, slots=True)
class Container:
    """A file whose members are records: an archive, or a table with a column of media.

    Attributes
    ----------
    record, path, size, mtime_ns
        As of the file that was listed.
    format
        How it is read.
    unpacked
        Where a copy lies that can be read at any place; empty where the file itself can.
    column
        The column of media; empty for archives.
    starts
        First rows of the table's row groups, which are read as a whole, and the number of all rows; empty for archives.
    """

    record: str
    path: str
    size: int
    mtime_ns: int
    format: Literal["tar", "zip", "parquet", "arrow"]
    unpacked: str = ""
    column: str = ""
    starts: tuple[int, ...] = ()

    @property
    def readable(self) -> str:
        """The path of what is read."""
        return self.unpacked or self.path


class SourceFile(NamedTuple):
    """A regular file that can be read, or a member of one.

    Of a member, `path` and `mtime_ns` are those of its container, `size` is that of its payload (0 for a row, whose size its table does
    not tell), and `offset` says where it stands: at which byte the payload begins in a tar, at which the member's entry in the directory
    of a zip, or in which row of a table. `companions` are files that ride along with a medium.
    """

    record: str
    path: str
    size: int
    mtime_ns: int
    kind: Literal["table", "media", "archive"]
    container: Container | None = None
    offset: int = 0
    companions: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that cannot be read at all; it counts as one rejected record."""

    record: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds, files and problems each in the order of their record ids."""

    root: Path
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]


def list_source(source: str | Path | Sequence[str | Path], *, exclude: Path | None = None) -> Listing:
    """List a folder (with all folders below it), one file, several of either, or a glob pattern.

    Parameters
    ----------
    source
        A path, a pattern with `*`, `?`, `[` or `**`, or a sequence of these.
    exclude
        A folder to leave out, such as the output when it lies inside the source.

    Raises
    ------
    SourceError
        If a path is not there or no folder that may be listed, a pattern matches nothing, or there is nothing at all to read.
    """
    starts = [source] if isinstance(source, str | Path) else list(source)
    if not starts:
        message = "the source is an empty list; name at least one file or folder"
        raise SourceError(message)
    roots: list[str] = []
    entries: dict[str, None] = {}
    for start in starts:
        root, found = _expand(os.fspath(start))
        roots.append(root)
        entries.update(dict.fromkeys(found))
    root = os.path.commonpath(roots)
    left_out = os.path.realpath(exclude) if exclude is not None else None

    files: list[SourceFile] = []
    problems: list[Problem] = []
    for path in entries:
        for item in _walk(path, root, left_out):
            (files if isinstance(item, SourceFile) else problems).append(item)  # type: ignore[arg-type]
    if not files and not problems:
        message = f"nothing to clean in {', '.join(map(str, starts))}: there is no file in it"
        raise SourceError(message)
    # Items of a source may overlap, such as a folder and a file in it: each record is listed once.
    listed = {item.record: item for item in sorted(files, key=lambda item: item.record)}
    if not any(item.kind == "archive" or (item.kind == "media" and is_media_name(item.record)) for item in files):
        listed = {record: _array_or_not(item) for record, item in listed.items()}
    return Listing(
        Path(root),
        tuple(listed.values()),
        tuple({item.record: item for item in sorted(problems, key=lambda item: item.record)}.values()),
    )


def witnesses(source: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of one file of each part of a source, by which another machine can tell that it sees the same."""
    for start in source:
        try:
            path = _expand(start)[1][0]
        except SourceError:
            continue  # it is told when the source is listed
        for folder, below, names in os.walk(path):
            if ".tamis" in below:
                below.clear()  # the output of a run
            elif names:
                path = os.path.join(folder, min(names))
                break
        status = os.lstat(path)
        yield path, status.st_size, status.st_mtime_ns


def record_id(path: str, root: str) -> str:
    """Return the record id of a path below the root; see the module's description."""
    return as_text(os.path.relpath(os.fsencode(path), os.fsencode(root)))


def as_text(name: bytes) -> str:
    """Return a name of bytes as the text that stands for it in record ids."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    return text if text and not text.startswith("bytes:") else "bytes:" + quote_from_bytes(name, safe="/")


def as_bytes(record: str) -> bytes:
    """Return the name of bytes for which a record id stands."""
    return unquote_to_bytes(record.removeprefix("bytes:")) if record.startswith("bytes:") else record.encode("utf-8")


def is_table(name: str) -> bool:
    """Say whether a file's name is that of a table."""
    return text_suffix(name) in TEXT_SUFFIXES or os.path.splitext(name.lower())[1] in TABLE_SUFFIXES


def _is_logger_table(path: str) -> bool:
    if not path.lower().endswith(LOGGER_SUFFIX):
        return False
    with open(path, "rb") as file:
        return file.read(len(LOGGER_MARKS[0])).startswith(LOGGER_MARKS)


def _array_or_not(file: SourceFile) -> SourceFile:
    """Return a file of JSON as a table where it is an array of objects; all else as it is."""
    is_array = file.kind == "media" and text_suffix(file.path) == ARRAY_SUFFIX and is_array_of_objects(file.path)
    return file._replace(kind="table") if is_array else file


def text_suffix(path: str) -> str:
    """Return a name's suffix in lower case, that before it where it is one of compression."""
    stem, suffix = os.path.splitext(path.lower())
    return os.path.splitext(stem)[1] if suffix in COMPRESSED_SUFFIXES else suffix


def is_archive(name: str) -> bool:
    """Say whether a file's name is that of an archive."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _expand(start: str) -> tuple[str, list[str]]:
    """Return the root of a start and the absolute paths that it stands for."""
    if not start:
        message = "the source is an empty text, such as a variable that was not set; name a file or folder, or . for this one"
        raise SourceError(message)
    path = os.path.abspath(start if os.path.lexists(start) else at_home(start))
    if os.path.lexists(path):
        return (path if os.path.isdir(path) else os.path.dirname(path)), [path]
    if not glob.has_magic(start):
        parent, name = os.path.split(path)
        known = os.listdir(parent) if os.path.isdir(parent) else []
        message = f"there is no file or folder {start!r}.{nearest(name, known)}"
        raise SourceError(message)
    found = sorted(glob.glob(path, recursive=True, include_hidden=True))
    if not found:
        message = f"no file matches the pattern {start!r}; put it in quotes if the shell changed it"
        raise SourceError(message)
    root = path
    while glob.has_magic(root):
        root = os.path.dirname(root)
    return root, found


def _walk(start: str, root: str, exclude: str | None) -> Iterator[SourceFile | Problem]:
    """Yield what a path is, and for a folder what lies in it."""
    pending = [start]
    inside = os.path.join(os.path.realpath(start), "")
    while pending:
        path = pending.pop()
        try:
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode) or (path == root and os.path.isdir(path)):
                if exclude is not None and os.path.realpath(path) == exclude:
                    continue
                if path != start and os.path.isdir(os.path.join(path, ".tamis")):
                    yield Problem(record_id(path, root), "tamis_output", "the output folder of another run is no part of the source")
                else:
                    with os.scandir(path) as children:
                        pending.extend(child.path for child in children)
                continue
            if stat.S_ISLNK(status.st_mode) and path != start and os.path.isfile(path) and not os.path.realpath(path).startswith(inside):
                detail = f"the link leads to {os.readlink(path)!a}, outside the source; name that file as a source to have it read"
                yield Problem(record_id(path, root), "outside_source", detail)
                continue
            yield _inspect(path, root, status)
        except OSError as error:
            if path == root:
                message = f"the source {path} cannot be read: {error.strerror}"
                raise SourceError(message) from error
            yield Problem(record_id(path, root), _reason(error), error.strerror or str(error))


def _inspect(path: str, root: str, status: os.stat_result) -> SourceFile | Problem:
    record = record_id(path, root)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return Problem(record, "broken_link", f"the link leads to {target!a}, which is not there")
        if stat.S_ISDIR(status.st_mode):
            return Problem(record, "directory_link", f"links to folders are not followed; it leads to {target!a}")
    if not stat.S_ISREG(status.st_mode):
        kind = TYPE_NAMES.get(stat.S_IFMT(status.st_mode), "special")
        return Problem(record, kind, f"a {kind} cannot be read as a file")
    if not os.access(path, os.R_OK):
        return Problem(record, "unreadable", "no permission to read the file")
    table = is_table(path) or _is_logger_table(path)
    content: Literal["table", "media", "archive"] = "table" if table else "archive" if is_archive(path) else "media"
    return SourceFile(record, path, status.st_size, status.st_mtime_ns, content)


def _reason(error: OSError) -> str:
    return {errno.ELOOP: "link_loop", errno.ENOENT: "vanished"}.get(error.errno or 0, "unreadable")
