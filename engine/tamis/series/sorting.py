"""Sorting more records than memory holds: sorted runs in one file, of which ranges of keys are read together and sorted again."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tamis.names import PROCESS
from tamis_kernels.groups import sort_by_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Columns = dict[str, "NDArray[Any]"]

RUN = 1 << 17  # records that are sorted at once; twice as many are read together
BLOCK = 256  # records of a run that are read at once, of which the first one's key stays in memory
WORD = (1 << 64) - 1


def lexical_order(keys: Sequence[NDArray[np.signedinteger[Any]]]) -> NDArray[np.int64]:
    """Return the order of records by several whole numbers, the first one first; equal records keep their order.

    As many bits of the keys as fit into 64 are sorted as one number. Records that are alike in these are compared by all.
    """
    packed = np.zeros(len(keys[0]), np.uint64)
    room = 64
    for key in keys if len(packed) else ():
        least = int(key.min())
        bits = (int(key.max()) - least).bit_length()
        above = key.astype(np.int64, copy=False).view(np.uint64) - np.uint64(least & WORD)
        if bits > room:
            packed |= above >> np.uint64(bits - room)
            break
        room -= bits
        if bits:
            packed |= above << np.uint64(room)
        if not room:
            break
    found, starts = sort_by_key(packed)
    order = found.astype(np.int64)
    lengths = np.diff(starts)
    several = lengths > 1
    if several.any():
        alike, group = np.repeat(several, lengths), np.repeat(np.arange(len(lengths)), lengths)
        members = order[alike]
        order[alike] = members[np.lexsort((*(key[members] for key in reversed(keys)), group[alike]))]
    return order


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted records in a file, by blocks.

    Attributes
    ----------
    path
        The file, which may hold several runs.
    block, records
        Its first block in the file, and how many records it has.
    firsts
        int64[blocks, keys]: the keys of the first record of each block.
    """

    path: Path
    block: int
    records: int
    firsts: NDArray[np.int64]

    def between(self, low: int, high: int) -> Run:
        """Return the blocks that may hold records whose first key is `low` or more and less than `high`."""
        leading = self.firsts[:, 0]
        start = max(0, int(np.searchsorted(leading, low)) - 1)
        stop = max(start, int(np.searchsorted(leading, high)))
        return Run(self.path, self.block + start, min(self.records, stop * BLOCK) - start * BLOCK, self.firsts[start:stop])


@dataclass(frozen=True, slots=True)
class Sorted:
    """Records of fixed width in the order of some of their fields: sorted runs in files. It can be sent to another process.

    Attributes
    ----------
    dtype, by
        The fields of a record, and those that are sorted by, of which no two records have the same.
    runs
        Where they lie.
    step
        Records that are read together.
    bounds
        The least first key and the one after the last, where not all that the runs hold is meant.
    """

    dtype: np.dtype[Any]
    by: tuple[str, ...]
    runs: tuple[Run, ...] = ()
    step: int = 2 * RUN
    bounds: tuple[int, int] | None = None

    def between(self, low: int, high: int) -> Sorted:
        """Return the records whose first key is `low` or more and less than `high`, which lie within the bounds that hold already."""
        runs = (run.between(low, high) for run in self.runs)
        return replace(self, runs=tuple(run for run in runs if run.records > 0), bounds=(low, high))

    def joined(self, others: Iterable[Sorted]) -> Sorted:
        """Return these records and others of the same kind as one."""
        return replace(self, runs=(*self.runs, *(run for other in others for run in other.runs)))

    def chunks(self) -> Iterator[Columns]:
        """Yield all records in order by field, some at a time."""
        if not self.runs:
            return
        with ExitStack() as stack:
            paths = dict.fromkeys(run.path for run in self.runs)
            files = {path: stack.enter_context(path.open("rb")).fileno() for path in paths}
            for columns in self._merged([files[run.path] for run in self.runs]):
                if self.bounds is None:
                    yield columns
                    continue
                start, stop = np.searchsorted(columns[self.by[0]], self.bounds).tolist()
                if start < stop:
                    yield {name: column[start:stop] for name, column in columns.items()}

    def _merged(self, files: Sequence[int]) -> Iterator[Columns]:
        """Yield ranges of keys: all blocks that begin below a bound are read, and what is not below it waits for the next one."""
        runs = np.repeat(np.arange(len(self.runs), dtype=np.int32), [len(run.firsts) for run in self.runs])
        firsts = np.concatenate([run.firsts for run in self.runs])
        order = lexical_order(list(np.ascontiguousarray(firsts.T)))
        step = max(1, self.step // BLOCK)
        block = _blocks(self.dtype)
        read = np.zeros(len(self.runs), np.int64)  # blocks
        left: list[Columns] = []
        for start in range(0, len(order), step):
            more = np.bincount(runs[order[start : start + step]], minlength=len(self.runs))
            some = np.flatnonzero(more)
            parts = [_read(files[run], block, self.runs[run], int(read[run]), int(more[run])) for run in some.tolist()]
            read += more
            columns = in_order(_joined([*left, *parts]), self.by)
            if start + step >= len(order):
                yield columns
                return
            count = _below([columns[name] for name in self.by], firsts[order[start + step]].tolist())
            left = [{name: column[count:] for name, column in columns.items()}]
            yield {name: column[:count] for name, column in columns.items()}


class SortedFile:
    """Records of fixed width in the order of some of their fields, written in any order.

    The keys of two records must differ. In memory stay one key of each 256 records, and the records of a run some six times.

    Parameters
    ----------
    dtype
        The fields of a record; those that are sorted by are whole numbers.
    by
        These fields, the first one first.
    path
        Where the runs lie, in a file whose name has that of the process behind this: a worker that was given up may still write elsewhere.
        `close` removes them.
    run
        Records of a run.
    """

    def __init__(self, dtype: np.dtype[Any], by: Sequence[str], path: Path, run: int = RUN) -> None:
        self.dtype, self.path = dtype, path.with_name(f"{path.name}.{PROCESS}")
        self._by, self._run = tuple(by), run
        self._waiting: list[Columns] = []
        self._held = 0
        self._runs: list[Run] = []
        self._size = 0  # blocks
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w+b")

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add some records, given by field."""
        names = self.dtype.names or ()
        size = len(columns[self._by[0]])
        for start in range(0, size, self._run):
            part = {name: columns[name][start : start + self._run].astype(self.dtype[name], copy=False) for name in names}
            self._waiting.append(part)
            self._held += len(part[self._by[0]])
            if self._held >= self._run:
                self._write_run()

    def chunks(self) -> Iterator[Columns]:
        """Yield all records in order by field, some at a time, once: the last part goes straight to the reader where it is the only one."""
        if self._runs:
            yield from self.sorted().chunks()
            return
        whole = in_order(self._take(), self._by)
        if len(whole[self._by[0]]):
            yield whole

    def sorted(self) -> Sorted:
        """Return where the records lie, for others to read them until the file is removed; nothing may be added afterwards."""
        self._write_run()
        self._file.close()
        return Sorted(self.dtype, self._by, tuple(self._runs), 2 * self._run)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file."""
        self.close()

    def _take(self) -> Columns:
        parts = self._waiting or [{name: np.empty(0, self.dtype[name]) for name in self.dtype.names or ()}]
        self._waiting, self._held = [], 0
        return _joined(parts)

    def _write_run(self) -> None:
        columns = in_order(self._take(), self._by)
        count = len(columns[self._by[0]])
        if not count:
            return
        blocks = np.zeros(-(-count // BLOCK), _blocks(self.dtype))
        whole = count // BLOCK
        for name, column in columns.items():
            blocks[name][:whole] = column[: whole * BLOCK].reshape(whole, BLOCK)
            blocks[name][whole:, : count - whole * BLOCK] = column[whole * BLOCK :]
        blocks.tofile(self._file)
        firsts = np.stack([columns[name][::BLOCK].astype(np.int64) for name in self._by], axis=1)
        self._runs.append(Run(self.path, self._size, count, firsts))
        self._size += len(blocks)


def in_order(columns: Columns, by: Sequence[str]) -> Columns:
    """Return records in the order of some of their fields."""
    order = lexical_order([columns[name] for name in by])
    return {name: column[order] for name, column in columns.items()}


def _blocks(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype([(name, dtype[name], BLOCK) for name in dtype.names or ()])


def _read(file: int, dtype: np.dtype[Any], run: Run, block: int, blocks: int) -> Columns:
    found = np.frombuffer(os.pread(file, blocks * dtype.itemsize, (run.block + block) * dtype.itemsize), dtype)
    return {name: found[name].reshape(-1)[: run.records - block * BLOCK] for name in dtype.names or ()}


def _joined(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _below(keys: Sequence[NDArray[np.int64]], bound: Sequence[int]) -> int:
    """Return how many of the records, which are sorted, are below a key."""
    low, high = 0, len(keys[0])
    for key, value in zip(keys, bound, strict=True):
        part = key[low:high]
        low, high = low + int(np.searchsorted(part, value, "left")), low + int(np.searchsorted(part, value, "right"))
        if low == high:
            break
    return low
