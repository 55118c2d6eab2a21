"""Evidence on its way to a check: living records only, a bounded number at a time, and equal keys together.

Keys are hashes, so their high bits spread records evenly over parts. Up to `PART_RECORDS` records make one part that never touches the
disk; more are spread over files, each of which is read back once.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from tamis.pipeline.repeats import Repeats

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Chunk = tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]

PART_RECORDS = 1 << 18
MOST_PARTS = 512  # open files at a time; beyond 134 million records the parts grow instead


@dataclass(frozen=True, slots=True)
class Held:
    """A run of records whose evidence lies in one file, and the names of its columns."""

    first: int
    records: int
    path: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, first: int, records: int, path: Path) -> Held:
        """Read the names from the file; they are interned, for most files have the same."""
        return cls(first, records, path, tuple(map(sys.intern, pq.read_schema(path).names)))


def holders(shelf: Sequence[Held], name: str) -> list[Held]:
    """Return the runs whose evidence has a column."""
    return [held for held in shelf if name in held.names]


def scan(shelf: Sequence[Held], alive: NDArray[np.bool_], names: Sequence[str]) -> Iterator[Chunk]:
    """Yield the numbers of living records that have all of these columns, rising, with their values; a row group at a time.

    Row groups without a living record are not read.
    """
    for held in holders(shelf, names[0]):
        with pq.ParquetFile(held.path) as file:
            first, nothing = held.first, file.schema_arrow.empty_table().select(list(names))
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                there = alive[first : first + rows]
                if there.any():
                    table = file.read_row_group(group, columns=list(names))
                else:
                    there, table = there[:0], nothing  # which tells the types of the columns
                frame = pl.DataFrame(pl.from_arrow(table))
                for column in frame:
                    if column.null_count():
                        there = there & column.is_not_null().to_numpy()
                places = np.flatnonzero(there)
                chosen = frame[places] if len(places) < len(frame) else frame
                yield first + places, tuple(chosen[name].to_numpy() for name in names)
                first += rows


def gather(shelf: Sequence[Held], alive: NDArray[np.bool_], names: Sequence[str]) -> Chunk:
    """Return all that `scan` yields, at once."""
    return _joined(scan(shelf, alive, names), len(names))


def _joined(some: Iterable[Chunk], columns: int) -> Chunk:
    chunks = list(some)
    if not chunks:
        return np.empty(0, np.int64), tuple(np.empty(0, np.uint64) for _ in range(columns))
    return np.concatenate([index for index, _ in chunks]), tuple(map(np.concatenate, zip(*(values for _, values in chunks), strict=True)))


def parts(
    shelf: Sequence[Held], alive: NDArray[np.bool_], names: Sequence[str], folder: Path, *, repeated: bool = False
) -> Iterator[Chunk]:
    """Yield what `scan` yields, regrouped: records of equal key, the first column, are in one part; numbers rise within each.

    Where `repeated`, records whose key no other one has may be left out, and most are when there are more than make one part.
    """
    chunks = scan(shelf, alive, names)
    records = sum(held.records for held in holders(shelf, names[0]))
    if repeated and records > PART_RECORDS:
        repeats = Repeats(records)
        for _, (keys,) in scan(shelf, alive, names[:1]):
            repeats.add(keys)
        chunks = _repeated(chunks, repeats)
        records = min(records, 2 * repeats.found)  # about: those that came before are left as well
    bits = min(max(0, (records - 1) // PART_RECORDS).bit_length(), MOST_PARTS.bit_length() - 1)
    if not bits:
        yield _joined(chunks, len(names))
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield from _read_back(_spread(chunks, bits, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _repeated(chunks: Iterable[Chunk], repeats: Repeats) -> Iterator[Chunk]:
    for index, values in chunks:
        chosen = np.flatnonzero(repeats.among(values[0]))
        yield index[chosen], tuple(column[chosen] for column in values)


def _spread(chunks: Iterable[Chunk], bits: int, folder: Path) -> list[tuple[Path, np.dtype[Any]]]:
    paths = [folder / f"{part:03d}" for part in range(1 << bits)]
    dtype = np.dtype([("index", np.int64)])
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for index, values in chunks:
            dtype = np.dtype([("index", np.int64), *((str(i), column.dtype) for i, column in enumerate(values))])
            part = (values[0] >> np.uint64(64 - bits)).astype(np.uint16)
            order = np.argsort(part, kind="stable")
            rows = np.empty(len(index), dtype)
            for name, column in zip(dtype.names or (), (index, *values), strict=True):
                rows[name] = column[order]
            ends = np.cumsum(np.bincount(part, minlength=len(paths))).tolist()
            for file, start, stop in zip(files, [0, *ends], ends, strict=False):
                file.write(rows[start:stop].tobytes())
    return [(path, dtype) for path in paths]


def _read_back(files: list[tuple[Path, np.dtype[Any]]]) -> Iterator[Chunk]:
    for path, dtype in files:
        rows = np.fromfile(path, dtype)
        path.unlink()
        if len(rows):
            yield rows["index"].copy(), tuple(rows[name].copy() for name in (dtype.names or ())[1:])
