"""Sorting more records than memory holds: sorted runs in one file, of which ranges of keys are read together and sorted again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tamis_kernels.groups import sort_by_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
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
        Where the runs lie; `close` removes them.
    run
        Records of a run.
    """

    def __init__(self, dtype: np.dtype[Any], by: Sequence[str], path: Path, run: int = RUN) -> None:
        self.dtype, self.path = dtype, path
        self._by, self._run = list(by), run
        self._waiting: list[Columns] = []
        self._held = 0
        self._runs: list[tuple[int, int]] = []  # first block, records
        self._firsts: list[NDArray[np.int64]] = []  # of each run: the keys of the first records of its blocks
        self._block = np.dtype([(name, self.dtype[name], BLOCK) for name in self._names])
        self._size = 0  # blocks
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w+b")

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add some records, given by field."""
        size = len(columns[self._by[0]])
        for start in range(0, size, self._run):
            part = {name: columns[name][start : start + self._run].astype(self.dtype[name], copy=False) for name in self._names}
            self._waiting.append(part)
            self._held += len(part[self._by[0]])
            if self._held >= self._run:
                self._write_run()

    def chunks(self) -> Iterator[Columns]:
        """Yield all records in order by field, some at a time, once: the last part goes straight to the reader where it is the only one."""
        if not self._runs:
            whole = self._sorted(self._take())
            if len(whole[self._by[0]]):
                yield whole
            return
        self._write_run()
        self._file.flush()
        yield from self._merged()

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

    @property
    def _names(self) -> tuple[str, ...]:
        return self.dtype.names or ()

    def _take(self) -> Columns:
        parts = self._waiting or [{name: np.empty(0, self.dtype[name]) for name in self._names}]
        self._waiting, self._held = [], 0
        return _joined(parts)

    def _sorted(self, columns: Columns) -> Columns:
        order = lexical_order(self._keys(columns))
        return {name: column[order] for name, column in columns.items()}

    def _keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        return [columns[name] for name in self._by]

    def _write_run(self) -> None:
        columns = self._sorted(self._take())
        count = len(columns[self._by[0]])
        if not count:
            return
        blocks = np.zeros(-(-count // BLOCK), self._block)
        whole = count // BLOCK
        for name, column in columns.items():
            blocks[name][:whole] = column[: whole * BLOCK].reshape(whole, BLOCK)
            blocks[name][whole:, : count - whole * BLOCK] = column[whole * BLOCK :]
        blocks.tofile(self._file)
        self._firsts.append(np.stack([key[::BLOCK].astype(np.int64) for key in self._keys(columns)], axis=1))
        self._runs.append((self._size, count))
        self._size += len(blocks)

    def _merged(self) -> Iterator[Columns]:
        """Yield ranges of keys: all blocks that begin below a bound are read, and what is not below it waits for the next one."""
        runs = np.repeat(np.arange(len(self._runs), dtype=np.int32), [len(firsts) for firsts in self._firsts])
        firsts = np.concatenate(self._firsts)
        self._firsts.clear()
        order = lexical_order(list(np.ascontiguousarray(firsts.T)))
        step = max(1, 2 * self._run // BLOCK)
        read = np.zeros(len(self._runs), np.int64)  # blocks
        left: list[Columns] = []
        for start in range(0, len(order), step):
            more = np.bincount(runs[order[start : start + step]], minlength=len(self._runs))
            some = np.flatnonzero(more)
            parts = [self._read(run, int(read[run]), int(more[run])) for run in some.tolist()]
            read += more
            columns = self._sorted(_joined([*left, *parts]))
            if start + step >= len(order):
                yield columns
                return
            count = _below(self._keys(columns), firsts[order[start + step]].tolist())
            left = [{name: column[count:] for name, column in columns.items()}]
            yield {name: column[:count] for name, column in columns.items()}

    def _read(self, run: int, block: int, blocks: int) -> Columns:
        start, records = self._runs[run]
        raw = os.pread(self._file.fileno(), blocks * self._block.itemsize, (start + block) * self._block.itemsize)
        found = np.frombuffer(raw, self._block)
        return {name: found[name].reshape(-1)[: records - block * BLOCK] for name in self._names}


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
