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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from tamis.errors import ColumnError
from tamis.series.roles import NANOSECONDS, Roles, assign_roles, is_number, nanoseconds, sensor_names
from tamis.series.sorting import RUN, SortedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NANOSECONDS", "Chunk", "Roles", "Series", "SeriesWriter", "assign_roles", "is_number", "nanoseconds", "sensor_names"]

CHUNK = 1 << 16  # readings of a chunk
MOST_NAMES = 1 << 18  # sensors of a table; their names are held in memory
RECORD = np.dtype([("series", np.int32), ("time", np.int64), ("key", np.int64), ("row", np.int64), ("back", np.uint8)])
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
    path: Path
    start: int

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """Yield the readings by time, some at a time."""
        with self.path.open("rb") as file:
            for first in range(0, self.readings, size):
                count = min(size, self.readings - first)
                raw = os.pread(file.fileno(), count * RECORD.itemsize, (self.start + first) * RECORD.itemsize)
                yield _chunk(np.frombuffer(raw, RECORD))

    def read(self) -> Chunk:
        """Return all readings at once."""
        return next(self.chunks(max(1, self.readings)), _chunk(np.empty(0, RECORD)))


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
        self._codes: dict[str | None, int] = {}
        self._latest: dict[int, int] = {}
        self._source: str | None = None
        self._series: list[Series] | None = None
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
            self._source, self._latest = source, {}
        time = nanoseconds(frame[self.roles.time])
        there = time.is_not_null().to_numpy()
        self.timeless += len(frame) - int(there.sum())
        moments, codes = time.fill_null(0).to_numpy()[there], self._code(frame, source)[there]
        back = self._goes_back(codes, moments)
        for place, name in enumerate(self.roles.values):
            self._sorting.add(
                {
                    "series": codes * len(self.roles.values) + place,
                    "time": moments,
                    "key": _keys(frame[name])[there],
                    "row": numbers[there],
                    "back": back,
                }
            )
        return np.asarray(numbers[~there])

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

    def _write_sorted(self) -> list[Series]:
        ends: dict[int, int] = {}
        end = 0
        with self._sorting.path.open("wb") as file:
            for records in self._sorting.chunks():
                records.tofile(file)
                last = np.flatnonzero(np.diff(records["series"], append=-1))
                ends.update(zip(records["series"][last].tolist(), (end + 1 + last).tolist(), strict=True))
                end += len(records)
        found = []
        sensors = list(self._codes)
        start = 0
        for code, stop in ends.items():  # the codes rise
            sensor, place = divmod(code, len(self.roles.values))
            found.append(Series(sensors[sensor], self.roles.values[place], stop - start, self._sorting.path, start))
            start = stop
        order = {name: place for place, name in enumerate(self.roles.values)}
        return sorted(found, key=lambda one: (one.sensor is not None, one.sensor or "", order[one.column]))

    def _code(self, frame: pl.DataFrame, source: str | None) -> NDArray[np.int64]:
        """Return a number for each row's sensor."""
        if not self.roles.sensor:
            name = source if self.roles.by_file else None
            return np.full(len(frame), self._codes.setdefault(name, len(self._codes)))
        names = sensor_names(frame, self.roles.sensor)
        for name in names.unique().to_list():
            self._codes.setdefault(name, len(self._codes))
        if len(self._codes) > MOST_NAMES:
            message = (
                f"the columns {', '.join(self.roles.sensor)} have more than {MOST_NAMES} values, too many to name sensors: name the "
                "columns that do, or none for a table of one sensor"
            )
            raise ColumnError(message)
        known = pl.DataFrame({"name": pl.Series(list(self._codes), dtype=pl.String), "code": pl.int_range(len(self._codes), eager=True)})
        joined = names.alias("name").to_frame().join(known, on="name", how="left", nulls_equal=True, maintain_order="left")
        return joined["code"].to_numpy()

    def _goes_back(self, codes: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each row has an earlier time than a row of its sensor above it, in this file."""
        over = pl.col("time").cum_max().shift(1).over("code")
        frame = pl.DataFrame({"code": codes, "time": time}).with_columns(over.alias("above"))
        if self._latest:
            latest = pl.DataFrame({"code": list(self._latest), "latest": list(self._latest.values())})
            frame = frame.join(latest, on="code", how="left", maintain_order="left").with_columns(pl.max_horizontal("above", "latest"))
        for code, most in frame.group_by("code").agg(pl.max("time")).iter_rows():
            self._latest[code] = max(most, self._latest.get(code, most))
        return (frame["time"] < frame["above"]).fill_null(value=False).to_numpy()


def _keys(column: pl.Series) -> NDArray[np.int64]:
    """Return whole numbers that sort as the values do, NaN and then null at the end."""
    wide = column.cast(pl.Float64)
    values = wide.fill_null(0.0).to_numpy()
    bits = np.where(np.isnan(values), np.nan, values).view(np.int64)
    return np.where(wide.is_null().to_numpy(), NULL, bits ^ ((bits >> 63) & NULL))


def _chunk(records: NDArray[Any]) -> Chunk:
    keys = np.ascontiguousarray(records["key"])
    value = (keys ^ ((keys >> 63) & NULL)).view(np.float64)
    time, row = np.ascontiguousarray(records["time"]), np.ascontiguousarray(records["row"])
    return Chunk(time, value, keys != NULL, row, records["back"] != 0)
