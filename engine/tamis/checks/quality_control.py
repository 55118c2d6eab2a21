"""Quality control: the readings of each sensor, by time, against stated or learnt limits, and what is done with those that fail."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from tamis.checks.base import Amendment, Check, Kind
from tamis.checks.marks import FLAG, IMPUTED, TESTS, mark_name
from tamis.checks.roles import SeriesOptions
from tamis.qc import (
    BITS,
    CLOCK_TESTS,
    IMPUTE,
    NULL,
    Action,
    Control,
    Grade,
    Method,
    Policy,
    Season,
    Summary,
    Thresholds,
    checked_rows,
    read_rows,
)
from tamis.series import SeriesWriter
from tamis.series.sorting import SortedFile
from tamis_kernels.sensor import FAIL

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Rows
    from tamis.series import Roles, Series
    from tamis.series.sorting import Columns

Test = Literal[
    "missing", "sentinel", "range", "spike", "rate", "flat", "attenuated", "gap", "duplicate", "reversed", "saturated", "hampel",
    "jitter", "drift",
]  # fmt: skip
Learnable = Literal["range", "spike", "rate", "flat", "gap", "jitter", "hampel"]

READING = np.dtype(
    [
        ("row", np.int64),
        ("place", np.int32),
        ("series", np.int32),
        ("time", np.int64),
        ("value", np.float64),
        ("flag", np.uint8),
        ("bits", np.uint32),
        ("action", np.uint8),
        ("filled", np.float64),
    ]
)
NO_SERIES = -1
WORDS = {
    "missing": "has no value",
    "sentinel": "a code for a missing value",
    "range": "outside of its range",
    "spike": "far from both neighbours",
    "rate": "changed too fast",
    "flat": "has not changed for too long",
    "attenuated": "varies too little",
    "gap": "comes too long after the reading before it",
    "duplicate": "has the time of the reading before it",
    "reversed": "stands below a reading of a later time",
    "saturated": "at the end of what the instrument can give",
    "hampel": "far from the median of the readings around it",
    "jitter": "comes off its step",
    "drift": "is off the grid of its steps",
}


class Options(SeriesOptions):
    """Options of `quality_control`."""

    sentinels: tuple[float, ...] = Field(default=(), description="Numbers that mean that there is no value.")
    limits: tuple[dict[str, float | str], ...] = Field(
        default=(), description="Rows of limits by name, each for all series, or for those of its `sensor` and `column`; see below."
    )
    thresholds: str = Field(
        default="", description="A CSV, Parquet or TOML file of such rows; they are taken into `limits` when the recipe is read."
    )
    learn: tuple[Learnable, ...] = Field(default=(), description="Tests whose limits are learnt from each series where none is stated.")
    sigmas: float = Field(default=6.0, gt=0, description="Robust standard deviations that what is learnt leaves.")
    on_flag: dict[Test, Action] = Field(
        default={},
        description="What is done with a reading that a test tells on: keep (it is noted), impute, null, or reject (its row); of several "
        "the last of these.",
    )
    act_on: Grade = Field(
        default="suspect", description="From which grade on it is done: suspect, or fail, which learnt limits never give."
    )
    impute: Method = Field(
        default="none",
        description="What impute writes: forward, the last good reading; linear, by time between the good readings around it; median, of "
        "the sensor's good readings; seasonal, of those in the same hour of the day or week.",
    )
    largest_gap: float = Field(
        default=0.0, ge=0, description="Seconds that forward and linear bridge at most, beyond which the cell is null; 0: any."
    )
    season: Season = Field(default="day", description="What seasonal goes by: the hours of a day or of a week, in UTC.")
    mark: bool = Field(default=True, description="Whether a column NAME__imputed says which cells were imputed.")
    flags: bool = Field(default=False, description="Whether columns NAME__flag and NAME__qc say what was found of each cell.")

    @model_validator(mode="before")
    @classmethod
    def _with_thresholds(cls, given: Any) -> Any:
        """Take the rows of the file in, so that the recipe holds all that a verdict hangs on."""
        if isinstance(given, dict) and isinstance(given.get("thresholds"), str) and given["thresholds"]:
            return {**given, "limits": [*given.get("limits", ()), *read_rows(given["thresholds"])], "thresholds": ""}
        return given

    @field_validator("limits")
    @classmethod
    def _sound_limits(cls, rows: tuple[dict[str, float | str], ...]) -> tuple[dict[str, float | str], ...]:
        return checked_rows(rows)

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if "impute" in self.on_flag.values() and self.impute == "none":
            message = f'on_flag imputes, but impute is "none": set quality_control.impute to one of {", ".join(METHODS)}'
            raise ValueError(message)
        return self

    def policy(self) -> Policy:
        """Return what is to be done with a series."""
        return Policy(
            rows=self.limits,
            sentinels=self.sentinels,
            learn=frozenset(self.learn),
            sigmas=self.sigmas,
            on_flag={str(test): action for test, action in self.on_flag.items()},
            act_on=self.act_on,
            fill=self.impute,
            largest_gap=self.largest_gap or math.inf,
            season=self.season,
        )


METHODS = ("forward", "linear", "median", "seasonal")


class QualityControl(Check):
    """Tests the readings of each sensor, and acts on what it finds as the recipe says."""

    name = "quality_control"
    order = 60
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Readings of sensors are tested by time, against limits that are stated or learnt; the recipe says what becomes of them."
    Options = Options

    def judge(self, case: Case) -> None:
        """Test all tables that have times."""
        found: list[pl.DataFrame] = []
        for table, roles in self.options.tables(case, "quality control"):
            with case.scratch() as folder:
                found.append(_Table(self.options, case, table, roles, folder).control())
        if found:
            case.publish(pl.concat(found))


@dataclass(slots=True)
class _Table:
    """Quality control of one table."""

    options: Options
    case: Case
    table: Rows
    roles: Roles
    folder: Path
    policy: Policy = field(init=False)
    sensors: list[str] = field(default_factory=list)
    limits: list[Thresholds] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.policy = self.options.policy()

    def control(self) -> pl.DataFrame:
        """Test all series, amend the rows, and return one row a series."""
        summary = Summary()
        with SeriesWriter(self.roles, self.folder) as writer, SortedFile(READING, ("row", "place"), self.folder / "by_row") as by_row:
            for numbers, batch in self.table.batches():
                timeless = writer.add(batch.frame, numbers, batch.source)
                if len(timeless):
                    self._timeless(batch.frame[np.searchsorted(numbers, timeless)], timeless, by_row)
            for series in writer.series():
                self._test(series, summary, by_row)
            self.case.amend(self.table, by_row.chunks(), self._amendment)
        found = summary.series()
        told = {name: int(found[name].sum()) for name in ("readings", "suspect", "fail", "missing", "not_evaluated")}
        self.case.count(series=len(found), **told, **self.counts)
        limits = pl.Series("limits", [one.told() for one in self.limits], dtype=pl.String)
        return found.select(pl.lit(self.table.group.name).alias("table"), pl.all(), limits)

    def _test(self, series: Series, summary: Summary, by_row: SortedFile) -> None:
        control = Control(series, self.policy, Thresholds.of(self.policy.rows, series.sensor, series.column), self.folder)
        number, place = len(self.limits), self.roles.values.index(series.column)
        self.limits.append(control.thresholds)
        self.sensors.append(series.sensor or "")
        summary.begin(series, control.thresholds)
        for part in control.readings():
            summary.add(part)
            which: slice | NDArray[np.int64] = slice(None) if self.options.flags else np.flatnonzero(part.bits)
            row = part.chunk.row[which]
            by_row.add(
                {
                    "row": row,
                    "place": np.full(len(row), place),
                    "series": np.full(len(row), number),
                    "time": part.chunk.time[which],
                    "value": np.where(part.chunk.valid[which], part.chunk.value[which], np.nan),
                    "flag": part.flag[which],
                    "bits": part.bits[which],
                    "action": part.action[which],
                    "filled": part.filled[which],
                }
            )

    def _timeless(self, frame: pl.DataFrame, numbers: NDArray[np.int64], by_row: SortedFile) -> None:
        """Enter readings of rows without a time: they were not evaluated."""
        self.case.note(numbers, "no_time", "without a time, its readings were not evaluated")
        for place, name in enumerate(self.roles.values):
            value = frame[name].cast(pl.Float64).fill_null(math.nan).to_numpy()
            gone = np.isnan(value)
            missing = BITS["missing"] | BITS["missing"] << np.uint32(FAIL)
            none = np.zeros(len(value), np.int64)
            by_row.add(
                {
                    "row": numbers,
                    "place": none + place,
                    "series": none + NO_SERIES,
                    "time": none,
                    "value": value,
                    "flag": np.where(gone, 9, 2),
                    "bits": np.where(gone, missing, 0),
                    "action": none,
                    "filled": np.full(len(value), math.nan),
                }
            )

    def _amendment(self, first: int, count: int, records: Columns) -> Amendment:
        """Make the columns of some rows, and what the ledger says of them."""
        schema = {column.name: column.dtype for column in self.table.group.columns}
        columns: list[pl.Series] = []
        if not len(records["row"]):
            records = {name: np.empty(0, READING[name]) for name in READING.names or ()}
        for place, name in enumerate(self.roles.values):
            mine = _some(records, records["place"] == place)
            at = mine["row"] - first
            if self.policy.acts:
                changed, filled = np.zeros(count, bool), np.full(count, math.nan)
                changed[at] = (mine["action"] == NULL) | (mine["action"] == IMPUTE)
                filled[at] = mine["filled"]
                columns.append(_change(name, schema[name], changed, filled))
                imputed = ~np.isnan(filled)
                self._count("nulled", name, int(np.count_nonzero(changed & ~imputed)))
                self._count("imputed", name, int(np.count_nonzero(imputed)))
                if self.options.mark and IMPUTE in (number for number, _ in self.policy.acting()):
                    columns.append(pl.Series(mark_name(name, IMPUTED, schema), imputed))
            if self.options.flags:
                for suffix, which, dtype in ((FLAG, "flag", np.uint8), (TESTS, "bits", np.uint32)):
                    told = np.zeros(count, dtype)
                    told[at] = mine[which]
                    columns.append(pl.Series(mark_name(name, suffix, schema), told))
        return Amendment(pl.DataFrame(columns), self._findings(records))

    def _count(self, what: str, name: str, number: int) -> None:
        if number:
            self.counts[f"{what}|{self.table.group.name}|{name}"] += number

    def _findings(self, records: Columns) -> pl.DataFrame:
        """Return a finding for each reading and test that told on it; of tests of the time, for the first column alone."""
        found: list[pl.DataFrame] = []
        for test, words in WORDS.items():
            action = self.policy.on_flag.get(test, "keep")
            if test == "missing" and action == "keep":
                continue
            which = ((records["bits"] & BITS[test]) != 0) & (records["series"] != NO_SERIES)
            if test in CLOCK_TESTS and action == "keep":
                which &= records["place"] == 0
            if which.any():
                found.append(self._told(test, words, action, _some(records, which)))
        return pl.concat(found) if found else pl.DataFrame(schema={"index": pl.Int64, "severity": pl.String})

    def _told(self, test: str, words: str, action: Action, records: Columns) -> pl.DataFrame:
        fails = (records["bits"] & (BITS[test] << np.uint32(FAIL))) != 0
        acts = fails if self.policy.act_on == "fail" and test != "sentinel" else np.ones(len(fails), bool)
        limits = pl.Series([f" ({told})" if (told := one.described(test)) else "" for one in self.limits], dtype=pl.String)
        sensors = pl.Series([f" {name}" if name else "" for name in self.sensors], dtype=pl.String)
        names = pl.Series(self.roles.values)
        filled = pl.Series(records["filled"])
        done = np.array(["", "; imputed", "; set to null", ""])[records["action"]]
        done = np.where((records["action"] == IMPUTE) & np.isnan(records["filled"]), "; set to null", done)
        clock = test in CLOCK_TESTS
        return pl.DataFrame(
            {
                "index": records["row"],
                "severity": np.where(acts & (action == "reject"), "reject", "note"),
                "time": pl.Series(records["time"]).cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%d %H:%M:%S%.f"),
                "sensor": sensors.gather(records["series"]),
                "limits": limits.gather(records["series"]),
                "grade": np.where(fails, "fails", "suspect"),
                "done": done,
                "filled": filled.fill_nan(None).cast(pl.String),
                "value": pl.Series(records["value"]).fill_nan(None).cast(pl.String),
                "column": names.gather(records["place"]),
            }
        ).select(
            "index",
            pl.lit(test).alias("reason"),
            "severity",
            pl.concat_str(
                "time",
                "sensor",
                pl.lit(f": {words}"),
                "limits",
                pl.lit(", "),
                "grade",
                "done",
                pl.when(pl.col("done") == "; imputed").then(pl.concat_str(pl.lit(" as "), "filled")).otherwise(pl.lit("")),
            ).alias("detail"),
            pl.lit(self.roles.time).alias("column") if clock and action == "keep" else pl.col("column"),
            pl.col("time").alias("value") if clock and action == "keep" else pl.col("value"),
        )


def _some(records: Columns, which: NDArray[np.bool_]) -> Columns:
    return {name: column[which] for name, column in records.items()}


def _change(name: str, dtype: pl.DataType, changed: NDArray[np.bool_], filled: NDArray[np.float64]) -> pl.Series:
    """Return the cells of a column that change, and their values in its type."""
    value = pl.Series(filled).fill_nan(None)
    value = (value.round() if dtype.is_integer() else value).cast(dtype, strict=False)
    return pl.DataFrame({"changed": changed, "value": value}).to_struct(name)
