"""Quality control: the readings of each sensor, by time, against stated or learnt limits, and what is done with those that fail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from tamis.checks.base import Check, Kind
from tamis.checks.quality_control.amending import BY_ROW, NAMES, READING, Amending, names_of
from tamis.checks.quality_control.sorting import sorted_series
from tamis.checks.roles import SeriesOptions
from tamis.qc import Action, Control, Grade, Method, Policy, Season, Summary, Thresholds, checked_rows, read_rows
from tamis.series.sorting import SortedFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Rows
    from tamis.qc import Controlled
    from tamis.series import Roles, Share
    from tamis.series.sorting import Sorted

Test = Literal[
    "missing", "sentinel", "range", "spike", "rate", "flat", "attenuated", "gap", "duplicate", "reversed", "saturated", "hampel",
    "jitter", "drift",
]  # fmt: skip
Learnable = Literal["range", "spike", "rate", "flat", "gap", "jitter", "hampel"]


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


class QualityControl(Check[Options]):
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


@dataclass(frozen=True, slots=True)
class _Table:
    """Quality control of one table."""

    options: Options
    case: Case
    table: Rows
    roles: Roles
    folder: Path

    def control(self) -> pl.DataFrame:
        """Test all series, amend the rows, and return one row a series."""
        options, policy, group = self.options, self.options.policy(), self.table.group
        shares, timeless = sorted_series(self.case, self.table, self.roles, self.folder)
        work = [
            _Work(share, policy, self.roles.values, options.flags, self.folder, self.folder / f"tested-{place}")
            for place, share in enumerate(shares)
        ]
        tested = list(self.case.spread(_test, work))
        names = pl.concat([pl.DataFrame(schema=NAMES), *(one.names for one in tested)])
        counts = pl.concat([one.counts for one in tested] or [Summary().series().with_columns(limits=pl.lit(""))])
        order = names["number"].arg_sort()
        names[order].write_parquet(self.folder / "names")
        schema = {column.name: column.dtype for column in group.columns}
        amending = Amending(policy, options.mark, options.flags, group.name, schema, self.roles, self.folder / "names")
        self.case.amend(self.table, timeless.joined(one.readings for one in tested), amending)
        told = {name: int(counts[name].sum()) for name in ("readings", "suspect", "fail", "missing", "not_evaluated")}
        self.case.count(series=len(counts), **told)
        return counts[order].select(pl.lit(group.name).alias("table"), pl.all())


@dataclass(frozen=True, slots=True)
class _Work:
    """Some series to be tested, and where the readings go that a test told on."""

    share: Share
    policy: Policy
    columns: tuple[str, ...]
    flags: bool
    folder: Path
    path: Path


@dataclass(frozen=True, slots=True)
class _Tested:
    """What was found: counts and `NAMES` of each series, and by row the readings that a test told on, or all where flags are wanted."""

    counts: pl.DataFrame
    names: pl.DataFrame
    readings: Sorted


def _test(work: _Work) -> _Tested:
    summary, names, limits = Summary(), [], []
    by_row = SortedFile(READING, BY_ROW, work.path)
    with work.share.open(work.folder) as several:
        for series in several:
            control = Control(series, work.policy, Thresholds.of(work.policy.rows, series.sensor, series.column), work.folder)
            summary.begin(series, control.thresholds)
            names.append(names_of(series.number, series.sensor, control.thresholds))
            limits.append(control.thresholds.told())
            for part in control.readings():
                summary.add(part)
                by_row.add(_records(part, series.number, work.columns.index(series.column), every=work.flags))
    counts = summary.series().with_columns(pl.Series("limits", limits, dtype=pl.String))
    return _Tested(counts, pl.DataFrame(names, schema=NAMES), by_row.sorted())


def _records(part: Controlled, series: int, place: int, *, every: bool) -> dict[str, NDArray[Any]]:
    which: slice | NDArray[np.int64] = slice(None) if every else np.flatnonzero(part.bits)
    row = part.chunk.row[which]
    return {
        "row": row,
        "place": np.full(len(row), place),
        "series": np.full(len(row), series),
        "time": part.chunk.time[which],
        "value": np.where(part.chunk.valid[which], part.chunk.value[which], np.nan),
        "flag": part.flag[which],
        "bits": part.bits[which],
        "action": part.action[which],
        "filled": part.filled[which],
    }
