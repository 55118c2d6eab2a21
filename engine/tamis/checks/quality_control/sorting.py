"""The readings of a table, sorted by series in the workers: each sorts those of some files, with the same numbers for the sensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.checks.quality_control.amending import BY_ROW, NO_SERIES, READING
from tamis.qc import BITS
from tamis.series import SeriesWriter, shares
from tamis.series.codes import Sensors
from tamis.series.sorting import Sorted, SortedFile
from tamis_kernels.sensor import FAIL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Rows
    from tamis.series import Roles, Share, Written

MOST_SHARES, LEAST_READINGS = 256, 1 << 19  # of a table, and of a share of it


@dataclass(frozen=True, slots=True)
class _Work:
    """Rows to be sorted, and the folder where they go."""

    rows: Rows
    roles: Roles
    names: tuple[str | None, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class _Part:
    """The sorted readings of some files; the numbers of their rows without a time, and the readings of these by row."""

    written: Written
    timeless: NDArray[np.int64]
    by_row: Sorted


def sorted_series(case: Case, table: Rows, roles: Roles, folder: Path) -> tuple[Iterator[Share], Sorted]:
    """Sort a table; return the series in shares that can be tested apart, and the readings of rows without a time, which are noted."""
    rows = table.parts()
    names = _names(case, rows, roles)
    work = [_Work(part, roles, names, folder / f"sorted-{place}") for place, part in enumerate(rows)]
    parts = list(case.spread(_sort, work))
    for part in parts:
        if len(part.timeless):
            case.note(part.timeless, "no_time", "without a time, its readings were not evaluated")
    by_row = Sorted(READING, BY_ROW).joined(part.by_row for part in parts)
    return shares(roles.values, names, [part.written for part in parts], MOST_SHARES, LEAST_READINGS), by_row


def _names(case: Case, rows: Sequence[Rows], roles: Roles) -> tuple[str | None, ...]:
    """Return all sensors in the order in which they come up."""
    if not roles.sensor:
        return tuple(source for part in rows for source in part.sources) if roles.by_file else (None,)
    sensors = Sensors()
    for names in case.spread(_names_of, [(part, roles.sensor) for part in rows]):
        sensors.add(names, roles.sensor)
    return tuple(sensors.names)


def _names_of(argument: tuple[Rows, tuple[str, ...]]) -> list[str | None]:
    rows, columns = argument
    sensors = Sensors()
    for _, batch in rows.batches(columns):
        sensors.numbers(batch.frame, columns)
    return sensors.names


def _sort(work: _Work) -> _Part:
    """Sort some rows. The readings stay in files when this is done."""
    writer, by_row = SeriesWriter(work.roles, work.folder, names=work.names), SortedFile(READING, BY_ROW, work.folder / "timeless")
    found = [np.empty(0, np.int64)]
    for numbers, batch in work.rows.batches(work.roles.columns):
        timeless = writer.add(batch.frame, numbers, batch.source)
        if len(timeless):
            found.append(timeless)
            frame = batch.frame[np.searchsorted(numbers, timeless)]
            for place, name in enumerate(work.roles.values):
                by_row.add(_not_evaluated(frame[name], place, timeless))
    return _Part(writer.written(), np.concatenate(found), by_row.sorted())


def _not_evaluated(column: pl.Series, place: int, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the readings of rows without a time, which no test has seen."""
    value = column.cast(pl.Float64).fill_null(math.nan).to_numpy()
    gone = np.isnan(value)
    missing = BITS["missing"] | BITS["missing"] << np.uint32(FAIL)
    none = np.zeros(len(value), np.int64)
    return {
        "row": rows,
        "place": none + place,
        "series": none + NO_SERIES,
        "time": none,
        "value": value,
        "flag": np.where(gone, 9, 2),
        "bits": np.where(gone, missing, 0),
        "action": none,
        "filled": np.full(len(value), math.nan),
    }
