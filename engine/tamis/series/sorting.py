"""Sorting more records than memory holds: sorted runs in one file, and one merge of all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

RUN = 1 << 17  # records that are sorted at once, and held in a merge
LEAST = 256  # records of a run that are read at once


class SortedFile:
    """Records of fixed width in the order of some of their fields, written in any order.

    Equal keys keep the order in which they were added only where the fields tell them apart: the keys of two records must differ.

    Parameters
    ----------
    dtype
        Of a record; the fields that are sorted by are whole numbers.
    by
        These fields, the first one first.
    path
        Where the sorted records come to lie; the runs lie beside it until then. `close` removes both.
    run
        Records of a run.
    """

    def __init__(self, dtype: np.dtype[Any], by: Sequence[str], path: Path, run: int = RUN) -> None:
        self.dtype, self.path, self.records = dtype, path, 0
        self._by, self._run = list(by), run
        self._waiting: list[NDArray[Any]] = []
        self._held = 0
        self._ends: list[int] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._runs = path.with_name(f"{path.name}.runs")
        self._out = self._runs.open("wb")

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add some records, given by field."""
        first = next(iter(columns.values()))
        for start in range(0, len(first), self._run):
            part = {name: column[start : start + self._run] for name, column in columns.items()}
            records = np.empty(len(part[self._by[0]]), self.dtype)
            for name, column in part.items():
                records[name] = column
            self._waiting.append(records)
            self._held += len(records)
            if self._held >= self._run:
                self._write_run()

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all records in order, some at a time, once: the last part goes straight to the reader where it is the only one."""
        if not self._ends:
            whole = self._sorted(self._take())
            if len(whole):
                yield whole
            return
        self._write_run()
        yield from self._merged()

    def close(self) -> None:
        """Remove the files."""
        self._out.close()
        self._runs.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files."""
        self.close()

    def _take(self) -> NDArray[Any]:
        records = np.concatenate([np.empty(0, self.dtype), *self._waiting])
        self._waiting, self._held = [], 0
        return records

    def _sorted(self, records: NDArray[Any]) -> NDArray[Any]:
        keys = pl.DataFrame({name: np.ascontiguousarray(records[name]) for name in self._by})
        order = keys.select(pl.arg_sort_by(self._by)).to_series().to_numpy()
        return np.asarray(records[order])

    def _write_run(self) -> None:
        records = self._sorted(self._take())
        if len(records):
            records.tofile(self._out)
            self.records += len(records)
            self._ends.append(self.records)

    def _merged(self) -> Iterator[NDArray[Any]]:
        """Yield records in order: all those that are not beyond the first record after which a run has to be read on."""
        self._out.flush()
        starts, ends = [0, *self._ends[:-1]], self._ends
        step = max(LEAST, self._run // len(ends))
        with self._runs.open("rb") as file:
            buffers = [self._read(file.fileno(), start, min(step, end - start)) for start, end in zip(starts, ends, strict=True)]
            read = [start + len(buffer) for start, buffer in zip(starts, buffers, strict=True)]
            firsts = [self._key(buffer, 0) for buffer in buffers]
            lasts = [self._key(buffer, -1) for buffer in buffers]
            left = list(range(len(buffers)))
            while left:
                bound = min(lasts[run] for run in left)
                taken = []
                for run in left:
                    if firsts[run] > bound:
                        continue
                    count = len(buffers[run]) if lasts[run] == bound else self._within(buffers[run], bound)
                    taken.append(buffers[run][:count])
                    buffers[run] = buffers[run][count:]
                    if not len(buffers[run]):
                        more = min(step, ends[run] - read[run])
                        buffers[run] = self._read(file.fileno(), read[run], more)
                        read[run] += more
                        if more:
                            lasts[run] = self._key(buffers[run], -1)
                    if len(buffers[run]):
                        firsts[run] = self._key(buffers[run], 0)
                left = [run for run in left if len(buffers[run])]
                yield taken[0] if len(taken) == 1 else self._sorted(np.concatenate(taken))

    def _read(self, file: int, start: int, count: int) -> NDArray[Any]:
        size = self.dtype.itemsize
        return np.frombuffer(os.pread(file, count * size, start * size), self.dtype)

    def _key(self, records: NDArray[Any], place: int) -> tuple[int, ...]:
        return tuple(records[name][place].item() for name in self._by)

    def _within(self, records: NDArray[Any], bound: tuple[int, ...]) -> int:
        """Return how many of the records, which are sorted, are not beyond a key."""
        low, high = 0, len(records)
        for name, value in zip(self._by, bound, strict=True):
            column = records[name][low:high]
            low, high = low + int(np.searchsorted(column, value, "left")), low + int(np.searchsorted(column, value, "right"))
            if low == high:
                return low
        return high
