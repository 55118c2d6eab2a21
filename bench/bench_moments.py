"""Exact mean and standard deviation of a column, against the usual inexact ones; the limit is the speed of reading memory."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from harness import Report, seconds_of
from sklearn.preprocessing import StandardScaler

from tamis_kernels.moments import Moments, accumulate, accumulate_fixed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def main() -> None:
    np.seterr(over="ignore")  # peers square float32 in float32
    report = Report.from_arguments("moments: exact mean and standard deviation")
    size = 1_000_000 if report.quick else 20_000_000
    random = np.random.default_rng(1)
    base = random.standard_normal(size)
    sample = base[:20_000]
    numbers = [Fraction(value) for value in sample.tolist()]
    moments = accumulate(sample)
    squares = sum(number * number for number in numbers)
    report.check("sums equal rational arithmetic", (moments.total, moments.squares) == (sum(numbers), squares))
    holes = base.astype(np.float32)
    holes[::50] = math.nan
    cases: dict[str, NDArray[Any]] = {
        "N(0,1) float32": base.astype(np.float32),
        "N(0,1) float64": base,
        "1e9 + N(0,1) float64": 1e9 + base,
        "2 % NaN float32": holes,
        "60 decades float32": (base * 10.0 ** random.integers(-30, 30, size)).astype(np.float32),
    }
    for case, values in cases.items():
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        series = pl.Series(values)
        halves = np.array_split(values, 2)
        with ThreadPoolExecutor(2) as pool:
            report.check(f"{case}: two threads give the bits of one", sum(pool.map(accumulate, halves), Moments()) == accumulate(values))
            report.time(
                case,
                {
                    "accumulate": lambda values=values: accumulate(values),
                    "accumulate, 2 threads": lambda halves=halves, pool=pool: list(pool.map(accumulate, halves)),
                    "accumulate_fixed": lambda values=values, low=low, high=high: accumulate_fixed(values, low=low, high=high),
                    "numpy nanmean + nanstd": lambda values=values: (np.nanmean(values), np.nanstd(values)),
                    "numpy mean + std": lambda values=values: (values.mean(), values.std()),
                    "polars mean + std, all threads": lambda series=series: (series.mean(), series.std()),
                    "StandardScaler.fit": lambda values=values: StandardScaler().fit(values[:, None]),
                },
                work=values.nbytes / 1e9,
                unit="GB",
                limit=read_speed(values),
                limit_note="one thread, integer minimum of the same bytes",
            )


def read_speed(values: NDArray[Any]) -> float:
    """Return GB/s of the cheapest vectorised pass over the bytes."""
    words = values.view(np.int32)
    return values.nbytes / 1e9 / median(seconds_of(words.min) for _ in range(7))


if __name__ == "__main__":
    main()
