"""The plan of a run: which records there are, how they are cut into shards, and which schema each table follows.

It depends on the source and the recipe alone, never on jobs or batch sizes. Files of media come first, then the members of
containers, then tables, then what could not be opened; within each, records are sorted by the ids of their files, and then stand as they
do in the file.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import xxhash

from tamis.sources.listing import Container, SourceFile, as_bytes
from tamis.sources.payload import PayloadReader
from tamis.sources.tables import evenly, most_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tamis.recipe import Recipe, ShardOptions
    from tamis.sources.listing import Problem
    from tamis.sources.options import FormatOptions
    from tamis.sources.schema import TableGroup
    from tamis.sources.staging import Staged
    from tamis_kernels.backend import BackendName

ShardKind = Literal["media", "table", "problem"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of records that is read, and redone, as one.

    Attributes
    ----------
    index
        Its place in the plan.
    first, records
        Number of its first record in the run, and how many it has.
    files
        The media files, or the one table file.
    start, stop
        Rows of the table file.
    group, part
        The table group, and the shard's number within it.
    continues
        Whether it begins within a row group, where the shard before it ends.
    """

    index: int
    kind: ShardKind
    first: int
    records: int
    files: tuple[SourceFile, ...] = ()
    start: int = 0
    stop: int = 0
    group: str = ""
    part: int = 0
    continues: bool = False

    @property
    def container(self) -> Container | None:
        """The container whose members its files are; None for files that lie in folders."""
        return self.files[0].container if self.files else None

    @property
    def name(self) -> str:
        """File name stem of its evidence."""
        return f"shard-{self.index:06d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a worker needs to know; sent to each once."""

    root: str
    out: str
    recipe: Recipe
    backend: BackendName
    batch_size: int | None
    dry_run: bool
    shards: tuple[Shard, ...]
    groups: Mapping[str, TableGroup]
    staged: Mapping[str, Staged]
    problems: tuple[Problem, ...]
    against: tuple[str, ...] = ()
    notes: Mapping[str, Problem] = field(default_factory=dict)  # about the containers of records, by record
    whole_set: tuple[SourceFile, ...] = ()  # files that are no records and go with all media

    def payloads(self) -> PayloadReader:
        """Return a reader of files and members, up to the size that the recipe allows."""
        return PayloadReader(self.recipe.limits.file_megabytes * 1_000_000)

    def for_workers(self) -> Plan:
        """Return the plan without its shards: a worker is sent the one it works on, and need not hold the names of all files."""
        return replace(self, shards=())

    @property
    def formats(self) -> FormatOptions:
        """The rules by which tables are read."""
        return format_options(self.recipe)

    @property
    def records(self) -> int:
        """How many records the run reads."""
        return sum(shard.records for shard in self.shards)

    def state(self, *parts: str) -> Path:
        """Return a path inside the run's state folder."""
        return state_folder(self.out).joinpath(*parts)

    @property
    def room(self) -> Path:
        """The folder in which files of the clean corpus are made before they take their place."""
        return self.state("unfinished")


def format_options(recipe: Recipe) -> FormatOptions:
    """Return the rules by which a recipe reads tables; every source is read through them."""
    options: FormatOptions = getattr(recipe, "formats")  # noqa: B009 - the sections of checks are added at run time
    return options


def state_folder(out: str | Path) -> Path:
    """Return the folder in which a run keeps evidence and progress."""
    return Path(out) / ".tamis"


def cut(
    media: Sequence[SourceFile],
    tables: Sequence[tuple[SourceFile, Staged, str]],
    problems: int,
    options: ShardOptions,
) -> tuple[Shard, ...]:
    """Cut a source into shards; `tables` holds each file with what staging found and its group's name, in order."""
    return tuple(_numbered(_uncounted(media, tables, problems, options)))


def _uncounted(
    media: Sequence[SourceFile],
    tables: Sequence[tuple[SourceFile, Staged, str]],
    problems: int,
    options: ShardOptions,
) -> Iterator[Shard]:
    for container, members in groupby(media, key=lambda file: file.container):
        files = tuple(members)
        start = 0
        while start < len(files):
            stop = start + options.files
            if container and container.starts:  # a row group is decoded from its beginning, and so is read in one shard
                stop = container.starts[bisect_left(container.starts, min(stop, len(files)))]
            yield Shard(0, "media", 0, len(files[start:stop]), files[start:stop])
            start = stop
    parts: dict[str, int] = {}
    for file, staged, group in tables:
        most = most_rows(staged.rows, staged.bytes, options.rows, options.megabytes * 1_000_000)
        for start, stop, continues in _ranges(staged.row_groups, most):
            part = parts[group] = parts.get(group, -1) + 1
            yield Shard(0, "table", 0, stop - start, (file,), start, stop, group, part, continues)
    if problems:
        yield Shard(0, "problem", 0, problems)


def _ranges(row_groups: Sequence[int], most: int) -> Iterator[tuple[int, int, bool]]:
    """Yield ranges of rows: as many whole row groups as fit; a larger one in equal pieces, all but the first of which continue it."""
    start = stop = 0
    for rows in row_groups:
        if start < stop and stop - start + rows > most:
            yield start, stop, False
            start = stop
        if rows <= most:
            stop += rows
            continue
        for place, size in enumerate(evenly(rows, most)):
            stop += size
            yield start, stop, place > 0
            start = stop
    if start < stop:
        yield start, stop, False


def in_a_row(shards: Iterable[Shard], workers: int) -> Iterator[tuple[Shard, ...]]:
    """Yield shards that one worker is to read in a row: those of one row group, so that it is decoded once.

    The last row groups, one a worker, are shared out among all, for these are to end at the same time; what of a row group comes before a
    share is decoded for it too. Nothing but time hangs on it.
    """
    groups: list[list[Shard]] = []
    for shard in shards:
        if shard.continues and groups and groups[-1][-1].index == shard.index - 1:
            groups[-1].append(shard)
        else:
            groups.append([shard])
    for place, group in enumerate(groups):
        size = -(-len(group) // (workers if len(groups) - place <= workers else 1))
        yield from (tuple(group[start : start + size]) for start in range(0, len(group), size))


def _numbered(shards: Iterator[Shard]) -> Iterator[Shard]:
    first = 0
    for index, shard in enumerate(shards):
        yield replace(shard, index=index, first=first)
        first += shard.records


def fingerprint(plan: Plan) -> str:
    """Return a digest of what the run will read and how: equal fingerprints may share evidence, others must not."""
    hasher = xxhash.xxh3_128(plan.recipe.digest().encode())
    hasher.update(b"dry" if plan.dry_run else plan.recipe.output.layout().encode())
    for shard in plan.shards:
        hasher.update(f"{shard.kind}|{shard.records}|{shard.start}|{shard.stop}|{shard.group}".encode())
        for file in chain.from_iterable((file, *file.companions) for file in shard.files):
            hasher.update(_told(file))
    for record, staged in sorted(plan.staged.items()):
        hasher.update(f"{record}|{staged.content}".encode("utf-8", "surrogateescape"))
    for file in plan.whole_set:
        hasher.update(b"set " + _told(file))
    for folder in plan.against:
        hasher.update(f"against {folder}".encode("utf-8", "surrogateescape"))
    for problem in plan.problems:
        hasher.update(f"{problem.record}|{problem.reason}".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def _told(file: SourceFile) -> bytes:
    whole = file.container.size if file.container else file.size
    return f"{file.record}|{file.size}|{file.mtime_ns}|{file.offset}|{whole}".encode("utf-8", "surrogateescape")


def relative_path(plan: Plan, file: SourceFile | Container) -> str:
    """Return a file's path relative to the root, as the operating system names it; a container is a folder for its members."""
    if isinstance(file, SourceFile) and file.container:
        return os.fsdecode(as_bytes(file.record))
    return os.path.relpath(file.path, plan.root)
