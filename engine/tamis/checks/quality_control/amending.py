"""What quality control makes of the rows of a table: their cells, their marks, and what the ledger says of readings that failed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.checks.base import Amendment
from tamis.checks.marks import FLAG, IMPUTED, TESTS, mark_name
from tamis.qc import BITS, CLOCK_TESTS, IMPUTE, NULL, Action, Policy
from tamis_kernels.sensor import FAIL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.qc import Thresholds
    from tamis.series import Roles
    from tamis.series.sorting import Columns

BY_ROW = ("row", "place")
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

NAMES = {"number": pl.Int64(), "sensor": pl.String(), **dict.fromkeys(WORDS, pl.String())}


def names_of(number: int, sensor: str | None, limits: Thresholds) -> dict[str, Any]:
    """Return a row of `NAMES`, by which the ledger speaks of a series: its sensor, and the limits of each test."""
    told = {test: f" ({words})" if (words := limits.described(test)) else "" for test in WORDS}
    return {"number": number, "sensor": f" {sensor}" if sensor else "", **told}


@dataclass(frozen=True)
class Amending:
    """Makes the amendments of a table; it can be sent to another process.

    Attributes
    ----------
    policy
        What is done about readings that fail.
    mark, flags
        Which columns are added, as in the recipe.
    table
        The name of the table.
    schema
        Its columns and their types.
    roles
        What its columns are.
    names
        A Parquet file of `NAMES`, one row a series by number.
    """

    policy: Policy
    mark: bool
    flags: bool
    table: str
    schema: Mapping[str, pl.DataType]
    roles: Roles
    names: Path

    def __call__(self, first: int, count: int, records: Columns) -> Amendment:
        """Make the columns of some rows, and what the ledger says of them."""
        columns: list[pl.Series] = []
        counts: dict[str, int] = {}
        for place, name in enumerate(self.roles.values):
            mine = _some(records, records["place"] == place)
            at = mine["row"] - first
            if self.policy.acts:
                changed, filled = np.zeros(count, bool), np.full(count, math.nan)
                changed[at] = (mine["action"] == NULL) | (mine["action"] == IMPUTE)
                filled[at] = mine["filled"]
                columns.append(_change(name, self.schema[name], changed, filled))
                imputed = ~np.isnan(filled)
                for what, which in (("nulled", changed & ~imputed), ("imputed", imputed)):
                    if which.any():
                        counts[f"{what}|{self.table}|{name}"] = int(np.count_nonzero(which))
                if self.mark and IMPUTE in (number for number, _ in self.policy.acting()):
                    columns.append(pl.Series(mark_name(name, IMPUTED, self.schema), imputed))
            if self.flags:
                for suffix, field, dtype in ((FLAG, "flag", np.uint8), (TESTS, "bits", np.uint32)):
                    told = np.zeros(count, dtype)
                    told[at] = mine[field]
                    columns.append(pl.Series(mark_name(name, suffix, self.schema), told))
        return Amendment(pl.DataFrame(columns), self._findings(records), counts)

    @cached_property
    def _names(self) -> pl.DataFrame:
        return pl.read_parquet(self.names)

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
                "sensor": self._names["sensor"].gather(records["series"]),
                "limits": self._names[test].gather(records["series"]),
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
