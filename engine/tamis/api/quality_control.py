"""`tamis.quality_control`: a flag and a bit per test for every reading of a table, in memory or on disk."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.api.tables import ROWS_AT_A_TIME, Keys, Readings, SourceTable, Table, constant, tables_of, with_roles
from tamis.arguments import checked
from tamis.errors import ArgumentError
from tamis.frames import Frame, frame_of
from tamis.names import AnyPath, counted, written
from tamis.pipeline.files import write_table
from tamis.pipeline.memory import give_back
from tamis.qc import GRADES, LEARNABLE, Control, Policy, Summary, Thresholds, bit_names, checked_rows, read_rows
from tamis.series import Roles, Series, SeriesWriter, sensor_names
from tamis_kernels.sensor import FAIL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FLAGS = {
    "time": pl.Datetime("ns", "UTC"),
    "sensor": pl.String(),
    "column": pl.String(),
    "value": pl.Float64(),
    "flag": pl.UInt8(),
    "bits": pl.UInt32(),
}
FRAME_KEY = {"row": pl.Int64()}
TIME = pa.timestamp("ns", "UTC")
ARROW = {
    pl.String(): pa.dictionary(pa.int32(), pa.string()),
    pl.Int64(): pa.int64(),
    FLAGS["time"]: TIME,
    pl.Float64(): pa.float64(),
    pl.UInt8(): pa.uint8(),
    pl.UInt32(): pa.uint32(),
}
SOURCE_KEY = {"table": pl.String(), "file": pl.String(), "row": pl.Int64()}


@dataclass(frozen=True, eq=False)
class QualityControl:
    """What quality control found.

    Attributes
    ----------
    flags
        One row a reading, by sensor, column and time: `row` (for a source also `table` and `file`), `time` in UTC, `sensor`, `column`,
        `value`, `flag` (1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing) and `bits`.
    summary
        One row a series: sensor, column, readings, how many have each flag, and how many each test told on.
    tests
        One row a test: how many readings it found suspect, failing ones included, and how many of them fail.
    limits
        One row a limit: sensor, column, limit, value, and whether it was learnt.
    roles
        Which columns were taken for time, sensor and values, by table.
    notes
        What was passed over.
    """

    flags: pl.LazyFrame
    summary: pl.DataFrame
    tests: pl.DataFrame
    limits: pl.DataFrame
    roles: dict[str, Roles]
    notes: tuple[str, ...] = ()

    def named(self) -> pl.LazyFrame:
        """Return `flags` with a column `tests`: the names of the tests in `bits`, `range:fail` where one fails."""
        return self.flags.with_columns(pl.col("bits").map_batches(bit_names, return_dtype=pl.List(pl.String)).alias("tests"))

    def __repr__(self) -> str:
        """Return the totals."""
        told = ", ".join(f"{self.summary[name].sum()} {name.replace('_', ' ')}" for name in GRADES)
        return f"QualityControl({len(self.summary)} series, {counted(int(self.summary['readings'].sum()), 'readings')}: {told})"


@checked
def quality_control(
    data: Readings,
    *,
    time: str | None = None,
    sensor: str | Sequence[str] | None = None,
    values: str | Sequence[str] | None = None,
    limits: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    thresholds: Frame | AnyPath | None = None,
    learn: bool | str | Sequence[str] = True,
    sigmas: float = 6.0,
    sentinels: float | Sequence[float] = (),
    out: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
) -> QualityControl:
    """Test the readings of sensors: ranges, spikes, rates, stuck and saturated values, gaps, duplicate times and more.

    Rows may stand in any order; the readings of each sensor and column are tested by time. One test goes by the order of the rows itself:
    a reading behind one of a later time is suspect (`reversed`), so sort rows whose order tells nothing. Nothing is changed.

    Parameters
    ----------
    data
        A polars frame, eager or lazy, a table of pandas (whose index may hold the times) or pyarrow, or anything that exports Arrow; or a
        path, pattern or list of paths of Parquet, Arrow, CSV or JSON files. Lazy frames and files may be larger than the memory.
    time, sensor, values
        The column of times, those that name the sensor, and those of readings. What is not named is told by types and names; see
        `QualityControl.roles`. An empty `sensor`: all rows are of one.
        Where no column names the sensor, each file is one.
    limits
        Limits by name for all series, such as `{"fail_low": -40, "gap": 600}`; or several such rows, each with `sensor` or `column`
        for those that it holds for. Durations are in seconds. docs/recipes.md has all names.
    thresholds
        A table of such rows: a CSV, Parquet or TOML file, or a frame.
    learn
        The tests whose limits are learnt from each series where none is given: range, spike, rate, flat, gap, jitter, hampel. True for
        all of them. What is learnt makes a reading suspect, never fail.
    sigmas
        How many robust standard deviations what is learnt leaves.
    sentinels
        Codes for a missing value, such as -9999.
    out
        A Parquet file to which the flags are written; None keeps them in memory.
    settings
        For files: overrides of the recipe's `formats`, by dotted key, such as `{"formats.decimal": ","}`.

    Returns
    -------
    QualityControl

    Raises
    ------
    ColumnError
        A column is missing, or there is no column of times or of readings.
    ArgumentError
        A limit or a test is not known, or limits contradict each other.
    SourceError
        The files cannot be read, or hold no table.
    OutputError
        `out` cannot be written.
    """
    if not sigmas > 0:
        message = f"sigmas must be above 0, got {sigmas}"
        raise ArgumentError(message)
    codes = sentinels if isinstance(sentinels, Collection) else [sentinels]
    policy = Policy(_rows(limits, thresholds), tuple(map(float, codes)), _learnt(learn), float(sigmas))
    with tables_of(data, settings) as (tables, folder):
        run = _Run(policy, folder)
        parts = run.go(tables, {"time": time, "sensor": sensor, "values": values})
        schema = {**(SOURCE_KEY if isinstance(tables[0], SourceTable) else FRAME_KEY), **FLAGS}
        flags = _kept(parts, schema, out)
    return QualityControl(flags, run.summary.series(), run.summary.tests(), run.summary.limits(), run.roles, tuple(run.notes))


def _rows(limits: Mapping[str, Any] | Sequence[Mapping[str, Any]], thresholds: Frame | AnyPath | None) -> tuple[dict[str, Any], ...]:
    stated = [limits] if isinstance(limits, Mapping) else list(limits)
    if thresholds is None:
        more = []
    elif isinstance(thresholds, (str, os.PathLike)):
        more = read_rows(thresholds)
    else:
        rows = frame_of(thresholds, "thresholds").lazy().collect()
        more = [{name: value for name, value in row.items() if value is not None} for row in rows.to_dicts()]
    return checked_rows([*stated, *more])


def _learnt(learn: bool | str | Sequence[str]) -> frozenset[str]:
    if isinstance(learn, bool):
        return frozenset(LEARNABLE) if learn else frozenset()
    learn = [learn] if isinstance(learn, str) else learn
    unknown = [test for test in learn if test not in LEARNABLE]
    if unknown:
        message = f"learn names {unknown[0]!r}, whose limits cannot be learnt; those of {', '.join(LEARNABLE)} can"
        raise ArgumentError(message)
    return frozenset(learn)


class _Run:
    """One pass through tables, with the books of what was found."""

    def __init__(self, policy: Policy, folder: Path) -> None:
        self.roles: dict[str, Roles] = {}
        self.notes: list[str] = []
        self._policy, self._folder = policy, folder
        self.summary = Summary()

    def go(self, tables: Sequence[Table], named: Mapping[str, Any]) -> Iterator[pa.Table]:
        """Yield the flags of all series, and note what they amount to."""
        for name, table, roles in with_roles(tables, named, self.notes):
            self.roles[name] = roles
            give_back()
            yield from self._table(table, roles)

    def _table(self, table: Table, roles: Roles) -> Iterator[pa.Table]:
        keys = Keys(table)
        with SeriesWriter(roles, self._folder) as writer:
            for frame, rows, source in keys.frames():
                timeless = writer.add(frame.select(roles.columns), rows, source)
                if len(timeless):
                    yield from self._timeless(frame[np.searchsorted(rows, timeless)], timeless, roles, keys)
            if writer.timeless:
                self.notes.append(f"{counted(writer.timeless, 'rows', 'have')} no time: the readings there were not evaluated")
            self.notes += [f"{record}: {told}" for record, told in table.problems.items()]
            found = writer.series()
            give_back()
            for series in found:
                yield from self._one(series, keys)

    def _one(self, series: Series, keys: Keys) -> Iterator[pa.Table]:
        control = Control(series, self._policy, Thresholds.of(self._policy.rows, series.sensor, series.column), self._folder)
        self.summary.begin(series, control.thresholds)
        for part in control.readings():
            chunk = part.chunk
            count = len(chunk)
            yield pa.table(
                {
                    **keys.columns(chunk.row),
                    "time": pa.array(chunk.time).view(TIME),
                    "sensor": constant(series.sensor, count),
                    "column": constant(series.column, count),
                    "value": pa.array(chunk.value, mask=None if chunk.valid.all() else ~chunk.valid),
                    "flag": pa.array(part.flag),
                    "bits": pa.array(part.bits),
                }
            )
            self.summary.add(part)
        if series.readings > ROWS_AT_A_TIME:
            give_back()

    def _timeless(self, frame: pl.DataFrame, rows: NDArray[np.int64], roles: Roles, keys: Keys) -> Iterator[pa.Table]:
        """Yield the readings of rows that have no time: what is missing is 9, all else was not evaluated."""
        sensor = sensor_names(frame, roles.sensor) if roles.sensor else pl.Series([None] * len(frame), dtype=pl.String)
        for column in roles.values:
            value = frame[column].cast(pl.Float64)
            gone = (value.is_null() | value.is_nan().fill_null(value=True)).to_numpy()
            yield pa.table(
                {
                    **keys.columns(rows),
                    "time": pa.nulls(len(rows), TIME),
                    "sensor": sensor.to_arrow().cast(pa.string()).dictionary_encode(),
                    "column": constant(column, len(rows)),
                    "value": value.to_arrow(),
                    "flag": pa.array(np.where(gone, 9, 2).astype(np.uint8)),
                    "bits": pa.array(np.where(gone, 1 | 1 << FAIL, 0).astype(np.uint32)),
                }
            )


def _kept(parts: Iterator[pa.Table], schema: Mapping[str, pl.DataType], out: AnyPath | None) -> pl.LazyFrame:
    """Write the flags, or keep them."""
    if out is None:
        return pl.concat([pl.DataFrame(schema=schema), *(pl.DataFrame(part).cast(pl.Schema(schema)) for part in parts)]).lazy()
    target = pa.schema({name: ARROW[dtype] for name, dtype in schema.items()})
    with written("the flags", out) as file:
        write_table(file, parts, target, rising=("row", "time"))
    return pl.scan_parquet(file)
