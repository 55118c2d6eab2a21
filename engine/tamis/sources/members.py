"""The members of an archive become records: an id for each that no other has, and a reason for each that cannot be one.

A member's id is the container's, a `/`, and its name. A second member of the same name carries the byte at which it stands:
`a.tar/cat@10240.jpg`. What has no name is called by the container and that byte: `a.tar@10240`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tamis.media.sniff import is_media_name
from tamis.sources.companions import is_label_table, part
from tamis.sources.listing import Container, Problem, SourceFile, as_bytes, as_text, is_archive, is_table

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PART, LONGEST_PATH = 255, 2048  # what file systems take; the second leaves room for the output folder in front
SHOWN_BYTES = 120
TABLE_IN_ARCHIVE = "table_in_archive", "tables inside archives are not read; unpack it beside the source to have it read"
_PLAIN = re.compile(rb"(?:[\w-][\w .-]*/)*[\w-][\w .-]*").fullmatch  # names of which nothing needs to be said, told at a glance


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a container holds: records in the order of their places, problems, and notes, each about a record of that name."""

    container: Container
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()
    columns: tuple[str, ...] = ()  # of a table, those of media and those beside them
    whole_set: tuple[SourceFile, ...] = ()  # members that are no records and go with all media


@dataclass(slots=True)
class Member:
    """A member that is a plain file: its name, the place that finds its payload, the payload's size, and the byte that marks it."""

    name: bytes
    offset: int
    size: int
    place: int


class Members:
    """Collects the members of one container and gives them their ids."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._root = as_bytes(container.record)
        self._taken: set[bytes] = set()
        self._files: dict[bytes, Member] = {}
        self._problems: list[Problem] = []

    def add(self, member: Member) -> None:
        """Add a plain file."""
        name = tidy(member.name)
        fault = unfit(name)
        if fault:
            self.refuse(name, member.place, *fault)
        else:
            self._files[self._unique(name, member.place)] = member

    def refuse(self, name: bytes, place: int, reason: str, detail: str) -> None:
        """Add a member that cannot be a record."""
        name = tidy(name)
        shown = name if len(name) <= LONGEST_PATH else name[:SHOWN_BYTES]
        raw = self._root + (b"/" + self._unique(shown, place) if shown else self._unique(b"@%d" % place, place))
        self._problems.append(Problem(as_text(raw), reason, detail))

    def indexed(self, note: tuple[str, str] | None = None, *, samples: bool = False) -> Indexed:
        """Return what was collected; a note about the container goes to its last record.

        With `samples`, members whose extension is none of media ride along with the media of their sample, as companions.
        """
        container = self._container
        keys = {sample_key(member.name) for member in self._files.values() if is_media(member.name)} if samples else set()
        inside: dict[bytes, bool] = {}
        files: list[tuple[SourceFile, bytes]] = []
        along: dict[bytes, tuple[SourceFile, ...]] = {}
        for name, member in self._files.items():
            record = as_text(self._root + b"/" + name)
            if self._lies_in_a_file(name, inside):
                detail = "a folder of its path is the name of another member, so that both cannot be written"
                self._problems.append(Problem(record, "unsafe_path", detail))
                continue
            file = SourceFile(record, container.path, member.size, container.mtime_ns, "media", container, member.offset)
            key = sample_key(member.name)
            if key in keys and not is_media(member.name):
                along[key] = (*along.get(key, ()), file)
            else:
                files.append((file, key))
        found = [file._replace(companions=along.get(key, ())) for file, key in files]
        records, whole_set = part(found, of_media=any(is_media_name(file.record) for file in found))
        tables = {file.record for file in records if is_table(file.record)}
        self._problems += [Problem(record, *TABLE_IN_ARCHIVE) for record in sorted(tables)]
        records = [file for file in records if file.record not in tables]
        if not records and not self._problems:
            self._problems.append(Problem(container.record, "empty_archive", "the archive holds no file"))
        notes = (Problem(records[-1].record, *note),) if note and records else ()
        return Indexed(container, tuple(records), tuple(self._problems), notes, whole_set=tuple(whole_set))

    def _unique(self, name: bytes, place: int) -> bytes:
        while name in self._taken:
            folder, slash, base = name.rpartition(b"/")
            stem, dot, extension = base.partition(b".")
            name = folder + slash + stem + b"@%d" % place + dot + extension
        self._taken.add(name)
        return name

    def _lies_in_a_file(self, name: bytes, known: dict[bytes, bool]) -> bool:
        """Whether a folder of this path is itself a member; every folder is looked at once."""
        folders = []
        while (name := name.rpartition(b"/")[0]) and name not in known:
            folders.append(name)
        inside = known.get(name, False)
        for folder in reversed(folders):
            inside = known[folder] = inside or folder in self._files
        return inside


def tidy(name: bytes) -> bytes:
    """Return a member's name without the `./` that archivers put in front."""
    while name.startswith(b"./"):
        name = name[2:].lstrip(b"/")
    return name


def unfit(name: bytes) -> tuple[str, str] | None:
    """Return why a member of this tidy name is no record of media: reason and detail; None where it may be one."""
    if len(name) > LONGEST_PART or not _PLAIN(name):
        parts = name.split(b"/")
        if name.startswith(b"/") or b".." in parts:
            return "unsafe_path", f"the name {_shown(name)} leads out of the archive; it is never written"
        if not name or b"\0" in name or b"" in parts or b"." in parts:
            return "unsafe_path", f"the name {_shown(name)} cannot be that of a file"
        if len(name) > LONGEST_PATH or max(map(len, parts)) > LONGEST_PART:
            return "unsafe_path", f"the name {_shown(name)} has {len(name)} bytes, more than file systems take"
    text = name.decode("utf-8", "replace")
    if is_media_name(text):
        return None
    if is_archive(text):
        return "nested_archive", "an archive inside an archive is not opened; unpack it beside the source to have it read"
    return TABLE_IN_ARCHIVE if is_table(text) and not is_label_table(text) else None


def sample_key(name: bytes) -> bytes:
    """Return what the members of one WebDataset sample share: the path up to the first dot of the base name."""
    folder, slash, base = tidy(name).rpartition(b"/")
    return folder + slash + base.partition(b".")[0]


def is_media(name: bytes) -> bool:
    """Say whether a member's extension promises media."""
    return is_media_name(name.decode("utf-8", "replace"))


def _shown(name: bytes) -> str:
    return repr(name if len(name) <= SHOWN_BYTES else name[:SHOWN_BYTES] + b"...")


def cut_blocks(size: int, block: int = 1 << 20) -> Iterator[int]:
    """Yield the sizes of the blocks in which so many bytes are read."""
    while size > 0:
        yield min(size, block)
        size -= block
