"""Make every table randomly readable, and learn on the way what its columns hold.

A text table becomes a Parquet file once. Row `n` of that file is data row `n` of the source, so a position is a row id:
a row that could not be read is null in all columns, and three more columns (`__tamis_reason__`, `__tamis_detail__`,
`__tamis_raw__`, null in sound rows) say why and keep its text. Parquet and Arrow IPC are read where they lie.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.errors import DISK_FULL
from tamis.files import UNFINISHED
from tamis.media.sniff import HEAD_BYTES, sniff
from tamis.names import PROCESS, counted
from tamis.sources.delimited import read_delimited
from tamis.sources.exact import may_be_inexact
from tamis.sources.jsonarrays import array_lines
from tamis.sources.listing import ARRAY_SUFFIX, LOGGER_SUFFIX, TEXT_SUFFIXES, Problem, SourceFile, text_suffix
from tamis.sources.ndjson import read_ndjson
from tamis.sources.options import FormatOptions
from tamis.sources.partitions import partitions
from tamis.sources.profile import TEXT_TYPES, ColumnProfile, profile_column, profile_numbers
from tamis.sources.rows import DETAIL, RAW, REASON, RESERVED_COLUMNS, Chunk
from tamis.sources.tables import FAULTS, ReadFailed, TableReader
from tamis.sources.text import blocks
from tamis.sources.units import ALIASES

ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 48 << 20  # and a chunk more, at most: to be a shard as a whole
WORKBOOK = "a workbook of Excel"
RESERVED_FIELDS = [pa.field(name, pa.string()) for name in RESERVED_COLUMNS]


@dataclass(frozen=True, slots=True)
class Staged:
    """A table that can be read by row range, with the profiles of its columns.

    `path` is the staged file, or None if the source file itself is read. `rows` counts all data rows, the `bad` ones
    among them. `bytes` is as many as the columns take that are not compressed. `content` is the hash of the source file.
    """

    record: str
    path: str | None
    rows: int
    row_groups: tuple[int, ...]
    bytes: int
    profiles: tuple[ColumnProfile, ...]
    bad: int
    notes: tuple[str, ...]
    content: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in the file's order."""
        return tuple(profile.name for profile in self.profiles)


def stage(file: SourceFile, target: Path, options: FormatOptions | None = None) -> Staged | Problem:
    """Stage a table at `target` if it needs to be, and profile it; a table that cannot be read at all is a problem."""
    options = options or FormatOptions()
    words = frozenset(word.lower() for word in options.missing_words)
    suffix = text_suffix(file.path)
    try:
        is_text = suffix in TEXT_SUFFIXES or suffix in (LOGGER_SUFFIX, ARRAY_SUFFIX)
        return _with_partitions(_stage_text(file, target, suffix, words, options) if is_text else _profile_native(file, words), words)
    except (*FAULTS, ReadFailed, UnicodeDecodeError) as error:  # the last: of a column's name
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise  # the output has no room; the table is not to blame
        return Problem(file.record, "unreadable_table", str(error))


def _with_partitions(staged: Staged | Problem, words: frozenset[str]) -> Staged | Problem:
    """Add the profiles of columns that the names of folders give."""
    if isinstance(staged, Problem):
        return staged
    found = partitions(staged.record, staged.columns)
    ones = [profile_column(name, pl.Series([value], dtype=pl.String), words) for name, value in found.items()]
    profiles = [replace(one, counts=Counter({key: count * staged.rows for key, count in one.counts.items()})) for one in ones]
    notes = [f"the names of folders give the {'column' if len(found) == 1 else 'columns'} {', '.join(found)}"] if found else []
    return replace(staged, profiles=(*staged.profiles, *profiles), notes=(*staged.notes, *notes))


def _stage_text(file: SourceFile, target: Path, suffix: str, words: frozenset[str], options: FormatOptions) -> Staged | Problem:
    notes: list[str] = []
    text = blocks(file.path)
    head = next(text)
    if found := _foreign(head[0]):
        remedy = "save its sheets as CSV" if found == WORKBOOK else "rename the file to have it read as what it is"
        return Problem(file.record, "not_a_table", f"the content is {found}; {remedy}")
    text = chain([head], text)
    if suffix in {".ndjson", ".jsonl", ARRAY_SUFFIX}:
        chunks = read_ndjson(array_lines(text) if suffix == ARRAY_SUFFIX else text, notes=notes)
    else:
        preferred = "\t" if suffix == ".tsv" else ","
        chunks = read_delimited(text, preferred=preferred, join_times=options.join_times, named=options.header, notes=notes)
    with _Writer(target, words) as writer:
        for chunk in chunks:
            writer.add(chunk)
        if not writer.names:
            reason, detail = writer.first_fault or ("empty_table", "the file holds no record")
            return Problem(file.record, reason, detail)
        writer.finish()
    profiles = tuple(
        replace(writer.profiles.get(name, ColumnProfile(name, pl.String(), Counter())), unit=writer.units.get(name, ""))
        for name in writer.names
    )
    size = TableReader(file, target).bytes
    return Staged(file.record, str(target), writer.rows, tuple(writer.groups), size, profiles, writer.bad, tuple(notes))


def _foreign(head: bytes) -> str:
    """Return what a file is that surely is no text, whatever its name says: an error page, a picture, an archive, nothing but zeros."""
    if head and not head.strip(b"\0"):
        return "zeros"
    if head.startswith((b"PAR1", b"ARROW1")) and b"\0" in head[:HEAD_BYTES]:
        return "parquet" if head.startswith(b"PAR1") else "arrow"
    if head.startswith(b"PK") and (b"[Content_Types].xml" in head or b"xl/" in head[:HEAD_BYTES]):
        return WORKBOOK
    found = sniff(head)
    binary = found.kind not in ("text", "unknown", "empty") and b"\0" in head[:HEAD_BYTES]  # a header may begin like a picture: P1, P2
    return found.name if binary or found.name in ("html", "pdf") else ""


class _Writer:
    """Write chunks as row groups of a fixed size to a temporary file that takes the target's name when it is whole.

    A column that turns up late ends a part; the parts are brought to one schema at the end.
    """

    def __init__(self, target: Path, missing_words: frozenset[str]) -> None:
        self.target = target
        self.missing_words = missing_words
        self.names: dict[str, None] = {}
        self.profiles: dict[str, ColumnProfile] = {}
        self.units: dict[str, str] = {}
        self.groups: list[int] = []
        self.rows = self.bad = 0
        self.first_fault: tuple[str, str] | None = None
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)

    def add(self, chunk: Chunk) -> None:
        """Add the rows of a chunk."""
        if self.first_fault is None and chunk.bad:
            self.first_fault = chunk.bad[0].reason, chunk.bad[0].detail
        self.units.update({name: ALIASES[unit] for name, unit in chunk.units.items() if unit in ALIASES})
        if not chunk.columns.keys() <= self.names.keys():
            self._end_part()
            self.names.update(dict.fromkeys(chunk.columns))
        self.bad += len(chunk.bad)
        faults: dict[str, list[str | None]] = {name: [None] * chunk.rows for name in RESERVED_COLUMNS} if chunk.bad else {}
        for bad in chunk.bad:
            faults[REASON][bad.row], faults[DETAIL][bad.row], faults[RAW][bad.row] = bad.reason, bad.detail, bad.raw
        columns = {**chunk.columns, **{name: pa.array(cells, pa.string()) for name, cells in faults.items()}}
        self._pending.append(_conform(columns, chunk.rows, self._schema()))
        self._flush(ROW_GROUP_ROWS)

    def finish(self) -> None:
        """Write what is pending and give the file its name."""
        self._end_part()
        whole = self._parts[0]
        if len(self._parts) > 1:
            whole = self._part_path()
            self._parts.append(whole)
            with pq.ParquetWriter(whole, self._schema(), compression="lz4", write_statistics=False) as writer:
                for part in self._parts[:-1]:
                    with pq.ParquetFile(part, pre_buffer=False) as source:
                        for group in range(source.num_row_groups):
                            table = source.read_row_group(group)
                            columns = dict(zip(table.column_names, table.columns, strict=True))
                            writer.write_table(_conform(columns, len(table), self._schema()))
        with whole.open("rb+") as handle:
            os.fsync(handle.fileno())
        whole.replace(self.target)

    def _schema(self) -> pa.Schema:
        return pa.schema([*(pa.field(name, pa.string()) for name in self.names), *RESERVED_FIELDS])

    def _part_path(self) -> Path:
        return self.target.with_name(f"{self.target.name}.{len(self._parts)}.{PROCESS}{UNFINISHED}")

    def _end_part(self) -> None:
        if not self.names and not self._pending and self._writer is None:  # nothing has come before the first columns
            return
        self._flush(1)
        if self._writer is None:
            self._open()
        assert self._writer is not None
        self._writer.close()
        self._writer = None

    def _open(self) -> None:
        self._parts.append(self._part_path())
        self._writer = pq.ParquetWriter(self._parts[-1], self._schema(), compression="lz4", write_statistics=False)

    def _flush(self, least: int) -> None:
        """Write row groups as long as `least` rows or too many bytes are pending."""
        while (rows := sum(map(len, self._pending))) and (rows >= least or sum(table.nbytes for table in self._pending) >= ROW_GROUP_BYTES):
            ready = pa.concat_tables(self._pending)
            group, left = ready.slice(0, ROW_GROUP_ROWS), ready.slice(ROW_GROUP_ROWS)
            self._pending = [left] if len(left) else []
            if self._writer is None:
                self._open()
            assert self._writer is not None
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            self.groups.append(len(group))
            self.rows += len(group)
            frame = cast("pl.DataFrame", pl.from_arrow(group, rechunk=False))
            for name in self.names:
                part = profile_column(name, frame[name], self.missing_words)
                self.profiles[name] = self.profiles[name] + part if name in self.profiles else part


def _conform(columns: dict[str, Any], rows: int, schema: pa.Schema) -> pa.Table:
    missing = pa.nulls(rows, pa.string())
    return pa.table([columns.get(name, missing) for name in schema.names], schema=schema)


def _profile_native(file: SourceFile, words: frozenset[str]) -> Staged | Problem:
    reader = TableReader(file)
    if not reader.schema:
        return Problem(file.record, "empty_table", "the file holds no column")
    notes = list(reader.notes)
    profiles = {name: ColumnProfile(name, dtype, Counter(total=reader.rows)) for name, dtype in reader.schema.items()}
    texts = {name for name, dtype in reader.schema.items() if isinstance(dtype, TEXT_TYPES)}
    profiles.update({name: ColumnProfile(name, pl.String(), Counter()) for name in texts})
    wanted = [name for name, dtype in reader.schema.items() if name in texts or (may_be_inexact(dtype) and reader.is_wide(name))]
    for start, stop in pairwise(accumulate(reader.pieces, initial=0)) if wanted else ():
        try:
            frame = reader.read(start, stop, wanted)
        except ReadFailed as error:
            notes.append(str(error))
            continue
        for name in wanted:
            profiles[name] += profile_column(name, frame[name].cast(pl.String), words) if name in texts else profile_numbers(frame[name])
    if reader.recoded:
        notes.append(f"{counted(reader.recoded, 'cells', 'are')} not UTF-8: read as Windows-1252")
    return Staged(file.record, None, reader.rows, reader.row_groups, reader.bytes, tuple(profiles.values()), 0, tuple(notes))
