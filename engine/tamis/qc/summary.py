"""What quality control amounts to: counts by series, by flag and by test."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.qc.control import BITS
from tamis_kernels.sensor import FAIL

if TYPE_CHECKING:
    from tamis.qc.control import Controlled
    from tamis.qc.limits import Thresholds
    from tamis.series import Series

GRADES = {"good": 1, "not_evaluated": 2, "suspect": 3, "fail": 4, "missing": 9}
TOLD = tuple(test for test in BITS if test != "missing")
COUNTS = ("readings", *GRADES, *TOLD)


class Summary:
    """Counts series one after the other."""

    def __init__(self) -> None:
        self._series: list[dict[str, Any]] = []
        self._limits: list[tuple[str | None, str, str, float, bool]] = []
        self._fails: Counter[str] = Counter()

    def begin(self, series: Series, thresholds: Thresholds) -> None:
        """Go on to a series."""
        self._series.append({"sensor": series.sensor, "column": series.column, **dict.fromkeys(COUNTS, 0)})
        known = thresholds.values.items()
        self._limits += [(series.sensor, series.column, name, value, name in thresholds.learnt) for name, value in known]

    def add(self, part: Controlled) -> None:
        """Count readings of the series at hand."""
        row = self._series[-1]
        row["readings"] += len(part.flag)
        each = np.bincount(part.flag, minlength=10)
        for name, number in GRADES.items():
            row[name] += int(each[number])
        told = part.bits[part.bits != 0]
        any_of_them = int(np.bitwise_or.reduce(told))
        for test in (test for test in TOLD if any_of_them & (BITS[test] | BITS[test] << np.uint32(FAIL))):
            row[test] += int(np.count_nonzero(told & BITS[test]))
            self._fails[test] += int(np.count_nonzero(told & (BITS[test] << np.uint32(FAIL))))

    def series(self) -> pl.DataFrame:
        """Return one row a series: sensor, column, readings, how many have each flag, and how many each test told on."""
        schema = {"sensor": pl.String(), "column": pl.String(), **dict.fromkeys(COUNTS, pl.Int64())}
        return pl.DataFrame(self._series, schema=schema)

    def tests(self) -> pl.DataFrame:
        """Return one row a test: how many readings it found suspect, failing ones included, and how many of them fail."""
        rows = [(test, sum(row[test] for row in self._series), self._fails[test]) for test in TOLD]
        return pl.DataFrame(rows, schema={"test": pl.String, "suspect": pl.Int64, "fail": pl.Int64}, orient="row")

    def limits(self) -> pl.DataFrame:
        """Return one row a limit: sensor, column, limit, value, and whether it was learnt."""
        schema = {"sensor": pl.String, "column": pl.String, "limit": pl.String, "value": pl.Float64, "learnt": pl.Boolean}
        return pl.DataFrame(self._limits, schema=schema, orient="row")
