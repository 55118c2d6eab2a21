"""Exact quantiles by radix select against numpy and polars; a case that we do badly is in the list: float64 far from zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from bench_moments import read_speed
from harness import Report

from tamis_kernels.quantiles import quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray


def main() -> None:
    report = Report.from_arguments("quantiles: exact quartiles")
    size = 500_000 if report.quick else 8_000_000
    random = np.random.default_rng(1)
    cases: dict[str, NDArray[Any]] = {
        "lognormal float32": random.lognormal(size=size).astype(np.float32),
        "lognormal float64": random.lognormal(size=size),
        "1e9 + N(0,1) float64": 1e9 + random.standard_normal(size),
        "constant float32": np.full(size, 3.0, np.float32),
    }
    wanted = [0.25, 0.5, 0.75]
    for case, values in cases.items():
        expected = np.quantile(values.astype(np.float64), wanted)
        report.check(f"{case}: equal to numpy bit for bit", np.array_equal(quantiles(values, wanted), expected))
        series = pl.Series(values)
        report.time(
            case,
            {
                "tamis quantiles, one thread": lambda values=values: quantiles(values, wanted),
                "numpy quantile": lambda values=values: np.quantile(values, wanted),
                "polars quantile x3": lambda series=series: [series.quantile(q, "linear") for q in wanted],
            },
            work=values.nbytes / 1e9,
            unit="GB",
            runs=5,
            limit=read_speed(values),
            limit_note="one thread, integer minimum of the same bytes: one reading, where a radix select takes several",
        )


if __name__ == "__main__":
    main()
