"""Series: tables of readings in any order of rows, split by sensor and column and sorted by time, on disk and so of any size.

>>> with SeriesWriter(roles, folder) as writer:                    # doctest: +SKIP
...     for frame in frames:
...         writer.add(frame)
...     for series in writer.series():
...         for chunk in series.chunks():
...             chunk.time, chunk.value, chunk.valid, chunk.row
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from tamis.series.codes import Sensors
from tamis.series.roles import NANOSECONDS, Roles, assign_roles, is_number, nanoseconds, sensor_names
from tamis.series.sorting import RUN, SortedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NANOSECONDS", "Chunk", "Held", "Roles", "Series", "SeriesWriter", "assign_roles", "is_number", "nanoseconds", "sensor_names"]

CHUNK = 1 << 16  # readings of a chunk
RECORD = np.dtype([("series", np.int32), ("time", np.int64), ("key", np.int64), ("row", np.int64), ("back", np.uint8)])
STORED = ("time", "key", "row", "back")
NULL = np.int64((1 << 63) - 1)  # the key of no value: after all numbers and NaN


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some readings of a series, by time; of equal times, by value.

    Attributes
    ----------
    time
        ndarray of shape (n,), int64: nanoseconds since 1970.
    value
        ndarray of shape (n,), float64; NaN where there is none.
    valid
        ndarray of shape (n,), bool: False where the table has null.
    row
        ndarray of shape (n,), int64: the numbers of the rows, as they were given.
    back
        ndarray of shape (n,), bool: the row stood below one of its sensor with a later time.
    """

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    valid: NDArray[np.bool_]
    row: NDArray[np.int64]
    back: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.time)

    def part(self, first: int, count: int) -> Chunk:
        """Return some of the readings."""
        some = slice(first, first + count)
        return Chunk(self.time[some], self.value[some], self.valid[some], self.row[some], self.back[some])


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one column of one sensor, on disk; they can be read as often as is needed, while the writer is open.

    Attributes
    ----------
    sensor
        The sensor's name; None for rows that name none, and for tables of one sensor.
    column
        The column of the values.
    readings
        How many there are, without those that have no time.
    """

    sensor: str | None
    column: str
    readings: int
    files: tuple[int, ...]
    start: int

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """Yield the readings by time, some at a time."""
        for first in range(0, self.readings, size):
            yield self._chunk(self.start + first, min(size, self.readings - first))

    def read(self) -> Chunk:
        """Return all readings at once."""
        return self._chunk(self.start, self.readings)

    def _chunk(self, first: int, count: int) -> Chunk:
        time, keys, row, back = (
            np.frombuffer(os.pread(file, count * RECORD[name].itemsize, first * RECORD[name].itemsize), RECORD[name])
            for name, file in zip(STORED, self.files, strict=True)
        )
        return Chunk(time, (keys ^ ((keys >> 63) & NULL)).view(np.float64), keys != NULL, row, back != 0)


@dataclass(frozen=True, slots=True)
class Held:
    """The readings of a short series in memory, to be read as those of a `Series` are."""

    whole: Chunk

    @property
    def readings(self) -> int:
        """How many there are."""
        return len(self.whole)

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """Yield the readings by time, some at a time."""
        return (self.whole.part(first, size) for first in range(0, len(self.whole), size))


class SeriesWriter:
    """Splits a table by sensor and column and sorts it by time, in bounded memory.

    What grows with the table: 28 bytes a reading, twice, on disk; the names of the sensors and 16 bytes a series in memory.

    Parameters
    ----------
    roles
        The columns.
    folder
        For temporary files, which are removed in the end.
    run
        Readings that are sorted at once.
    """

    def __init__(self, roles: Roles, folder: Path, run: int = RUN) -> None:
        self.roles = roles
        self.timeless = 0
        self._next = 0
        self._sensors = Sensors()
        self._source: str | None = None
        self._series: list[Series] | None = None
        self._stack = ExitStack()
        self._folder = folder
        self._sorting = SortedFile(RECORD, ("series", "time", "key", "row"), folder / "series", run)

    def add(self, frame: pl.DataFrame, rows: NDArray[np.int64] | None = None, source: str | None = None) -> NDArray[np.int64]:
        """Add some rows of the table, and return the numbers of those that have no time, which are in no series.

        Parameters
        ----------
        frame
            The rows, with the columns of the roles.
        rows
            int64 array: their numbers, all different; None to count on from the last one.
        source
            What file they come from: whether time goes back is told within a file, which may be a sensor of its own.

        Raises
        ------
        ColumnError
            The sensor columns have more than 262,144 values.
        """
        numbers = np.arange(self._next, self._next + len(frame)) if rows is None else rows
        self._next += len(frame)
        if source != self._source:
            self._source = source
            self._sensors.begin()
        time = nanoseconds(frame[self.roles.time])
        codes, keys = self._code(frame, source), [_keys(frame[name]) for name in self.roles.values]
        timeless = numbers[:0]
        if time.null_count():
            there = time.is_not_null().to_numpy()
            timeless, numbers, codes, keys = numbers[~there], numbers[there], codes[there], [one[there] for one in keys]
            time = time.drop_nulls()
            self.timeless += len(timeless)
        moments = time.to_numpy()
        back = self._sensors.goes_back(codes, moments)
        for place, key in enumerate(keys):
            series = codes * len(self.roles.values) + place
            self._sorting.add({"series": series, "time": moments, "key": key, "row": numbers, "back": back})
        return timeless

    def series(self) -> list[Series]:
        """Return all series by sensor and column; nothing may be added afterwards."""
        if self._series is None:
            self._series = self._write_sorted()
        return self._series

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files."""
        self._sorting.close()
        self._stack.close()

    def _write_sorted(self) -> list[Series]:
        """Write what is kept of the sorted readings, a file for each field, without a name: it is gone with the writer."""
        ends: dict[int, int] = {}
        end = 0
        stored = [self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder)) for _ in STORED]  # noqa: SIM115
        for records in self._sorting.chunks():
            for name, file in zip(STORED, stored, strict=True):
                records[name].tofile(file)
            last = np.flatnonzero(np.diff(records["series"], append=-1))
            ends.update(zip(records["series"][last].tolist(), (end + 1 + last).tolist(), strict=True))
            end += len(records["series"])
        for file in stored:
            file.flush()
        self._sorting.close()
        files = tuple(file.fileno() for file in stored)
        found = []
        start = 0
        for code, stop in ends.items():  # the codes rise
            sensor, place = divmod(code, len(self.roles.values))
            found.append(Series(self._sensors.names[sensor], self.roles.values[place], stop - start, files, start))
            start = stop
        order = {name: place for place, name in enumerate(self.roles.values)}
        return sorted(found, key=lambda one: (one.sensor is not None, one.sensor or "", order[one.column]))

    def _code(self, frame: pl.DataFrame, source: str | None) -> NDArray[np.int64]:
        """Return a number for each row's sensor."""
        if self.roles.sensor:
            return self._sensors.numbers(frame, self.roles.sensor)
        return np.full(len(frame), self._sensors.number(source if self.roles.by_file else None))


def _keys(column: pl.Series) -> NDArray[np.int64]:
    """Return whole numbers that sort as the values do, NaN and then null at the end."""
    wide = column.cast(pl.Float64)
    values = wide.fill_null(0.0).to_numpy()
    gone = np.isnan(values)
    bits = (np.where(gone, np.nan, values) if gone.any() else values).view(np.int64)
    keys = bits ^ ((bits >> 63) & NULL)
    return np.where(wide.is_null().to_numpy(), NULL, keys) if wide.null_count() else keys
