"""Tables split by sensor and column and sorted by time: the writer, and the series, which are read a chunk at a time."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from tamis.series.codes import Sensors
from tamis.series.roles import Roles, nanoseconds
from tamis.series.sorting import RUN, Sorted, SortedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.series.sorting import Columns

CHUNK = 1 << 16  # readings of a chunk
RECORD = np.dtype([("series", np.int32), ("time", np.int64), ("key", np.int64), ("row", np.int64), ("back", np.uint8)])
BY_SERIES = ("series", "time", "key", "row")
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
    number
        Its place among all series of the table, by sensor and column.
    readings
        How many there are, without those that have no time.
    """

    sensor: str | None
    column: str
    number: int
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
class Written:
    """What a writer was given.

    Attributes
    ----------
    counts
        int64[sensors]: how many rows have a time, by the number of the sensor.
    readings
        All readings, sorted.
    """

    counts: NDArray[np.int64]
    readings: Sorted


Listed = tuple[str | None, str, int, int]  # of a series: sensor, column, number and readings


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the series of a table; it can be sent to another process, and read there while the files of their writers are there.

    Attributes
    ----------
    series
        What they are, as they are sorted.
    readings
        Those of all of them, sorted.
    """

    series: tuple[Listed, ...]
    readings: Sorted

    @contextmanager
    def open(self, folder: Path) -> Iterator[list[Series]]:
        """Give the series, by number, from temporary files in a folder."""
        with ExitStack() as stack:
            yield _laid_out(self.readings.chunks(), self.series, folder, stack)


def shares(columns: Sequence[str], names: Sequence[str | None], parts: Sequence[Written], most: int, least: int) -> Iterator[Share]:
    """Yield all series of a table in shares of about as many readings, at most so many shares, and of at least so many readings each.

    Parameters
    ----------
    columns, names
        The columns of values, and the sensors by number.
    parts
        The table, by writers with the same roles and `names`; no file may be given to two of them.
    """
    listed = _listed(columns, names, sum((part.counts for part in parts), np.zeros(len(names), np.int64)))
    size = max(least, -(-sum(one[3] for _, one in listed) // most))
    readings = Sorted(RECORD, BY_SERIES).joined(part.readings for part in parts)
    start = taken = 0
    for place, (code, one) in enumerate(listed, 1):
        taken += one[3]
        if taken >= size or place == len(listed):
            yield Share(tuple(told for _, told in listed[start:place]), readings.between(listed[start][0], code + 1))
            start, taken = place, 0


def _listed(columns: Sequence[str], names: Sequence[str | None], counts: NDArray[np.int64]) -> list[tuple[int, Listed]]:
    """Return the series that have readings by their numbers as they are sorted, which come first."""
    there = np.flatnonzero(counts).tolist()
    by_name = sorted(there, key=lambda sensor: (names[sensor] is not None, names[sensor] or ""))
    first = {sensor: place * len(columns) for place, sensor in enumerate(by_name)}
    return [
        (sensor * len(columns) + place, (names[sensor], column, first[sensor] + place, int(counts[sensor])))
        for sensor in there
        for place, column in enumerate(columns)
    ]


def _laid_out(parts: Iterable[Columns], listed: Iterable[Listed], folder: Path, stack: ExitStack) -> list[Series]:
    """Write what is kept of sorted readings, a file for each field, without a name: it is gone with the stack."""
    stored = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in STORED]  # noqa: SIM115
    for records in parts:
        for name, file in zip(STORED, stored, strict=True):
            records[name].tofile(file)
    for file in stored:
        file.flush()
    files = tuple(file.fileno() for file in stored)
    found = []
    start = 0
    for sensor, column, number, readings in listed:
        found.append(Series(sensor, column, number, readings, files, start))
        start += readings
    return sorted(found, key=lambda one: one.number)


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

    What grows with the table: 28 bytes a reading, twice, on disk; the names of the sensors and 24 bytes a series in memory.

    Parameters
    ----------
    roles
        The columns.
    folder
        For temporary files, which are removed in the end.
    run
        Readings that are sorted at once.
    names
        Sensors that have numbers already, where several writers share a table.
    """

    def __init__(self, roles: Roles, folder: Path, run: int = RUN, names: Sequence[str | None] = ()) -> None:
        self.roles = roles
        self.timeless = 0
        self._next = 0
        self._sensors = Sensors(names)
        self._source: str | None = None
        self._series: list[Series] | None = None
        self._counts = np.zeros(len(names), np.int64)  # rows with a time of each sensor
        self._stack = ExitStack()
        self._folder = folder
        self._sorting = SortedFile(RECORD, BY_SERIES, folder / "series", run)

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
        each = np.bincount(codes, minlength=len(self._counts))
        each[: len(self._counts)] += self._counts
        self._counts = each
        for place, key in enumerate(keys):
            series = codes * len(self.roles.values) + place
            self._sorting.add({"series": series, "time": moments, "key": key, "row": numbers, "back": back})
        return timeless

    def series(self) -> list[Series]:
        """Return all series by sensor and column; nothing may be added afterwards."""
        if self._series is None:
            listed = [one for _, one in _listed(self.roles.values, self._sensors.names, self._counts)]
            self._series = _laid_out(self._sorting.chunks(), listed, self._folder, self._stack)
            self._sorting.close()
        return self._series

    def written(self) -> Written:
        """Return what `shares` makes shares of; nothing may be added afterwards, and the files stay until the writer is closed."""
        return Written(self._counts, self._sorting.sorted())

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files."""
        self._sorting.close()
        self._stack.close()

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
