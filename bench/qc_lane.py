"""One system of `evaluate_qc.py`, run in its own environment: reads series, writes which rows each of its tests flags.

python bench/qc_lane.py SYSTEM FOLDER

Settings are those that the system's manuals recommend where they recommend any: spans of mean ± 3 standard deviations, spikes and rates
above 3 standard deviations (of the series; for rates, in an hour), stuck for 3 hours or 12 steps; else its defaults.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HOUR = 3600.0
Flags = dict[str, np.ndarray]


def figures(time: np.ndarray, value: np.ndarray) -> tuple[float, float, float]:
    """Return mean, standard deviation and median step in seconds."""
    return float(np.nanmean(value)), float(np.nanstd(value)), float(np.median(np.diff(time))) / 1e9


def ioos_qc(time: np.ndarray, value: np.ndarray) -> Flags:
    from ioos_qc import qartod

    mean, deviation, step = figures(time, value)
    stamps = time.astype("datetime64[ns]")
    stuck = int(max(3 * HOUR, 12 * step)) if step < HOUR else int(12 * step)
    found = {
        "range": qartod.gross_range_test(value, (mean - 3 * deviation, mean + 3 * deviation)),
        "spike": qartod.spike_test(value, suspect_threshold=3 * deviation, fail_threshold=6 * deviation),
        "rate": qartod.rate_of_change_test(value, stamps, 3 * deviation / HOUR),
        "flat": qartod.flat_line_test(value, stamps, stuck, 2 * stuck, tolerance=1e-9),
    }
    return {name: np.isin(np.ma.filled(flags, 9), (3, 4)) for name, flags in found.items()}


def saqc(time: np.ndarray, value: np.ndarray) -> Flags:
    import pandas as pd
    from saqc import UNFLAGGED, SaQC

    mean, deviation, step = figures(time, value)
    stamps = pd.DatetimeIndex(time.astype("datetime64[ns]"))
    order = np.argsort(time, kind="stable")
    first = order[np.concatenate([[True], np.diff(time[order]) > 0])]  # it takes no repeated times
    frame = pd.DataFrame({"v": value[first]}, index=stamps[first])
    stuck = f"{int(max(3 * HOUR, 12 * step)) if step < HOUR else int(12 * step)}s"
    runs: dict[str, Callable[[Any], Any]] = {
        "range": lambda qc: qc.flagRange("v", min=mean - 3 * deviation, max=mean + 3 * deviation),
        "constants": lambda qc: qc.flagConstants("v", thresh=0, window=stuck),
        "zscore": lambda qc: qc.flagZScore("v", method="modified", thresh=3.5),
        "unilof": lambda qc: qc.flagUniLOF("v"),
        "jumps": lambda qc: qc.flagOffset("v", thresh=3 * deviation, window=f"{int(4 * step)}s", tolerance=deviation),
    }
    out: Flags = {}
    for name, run in runs.items():
        flags = np.zeros(len(value), bool)
        flags[first] = (run(SaQC(frame)).flags["v"] > UNFLAGGED).to_numpy()
        out[name] = flags
    return out


def pecos(time: np.ndarray, value: np.ndarray) -> Flags:
    import pandas as pd
    import pecos as system

    mean, deviation, step = figures(time, value)
    order = np.argsort(time, kind="stable")
    first = order[np.concatenate([[True], np.diff(time[order]) > 0])]
    frame = pd.DataFrame({"v": value[first]}, index=pd.DatetimeIndex(time[first].astype("datetime64[ns]")))
    checks = system.monitoring
    stuck = max(3 * HOUR, 12 * step) if step < HOUR else 12 * step
    found = {
        "range": checks.check_range(frame, [mean - 3 * deviation, mean + 3 * deviation]),
        "increment": checks.check_increment(frame, [None, 3 * deviation]),
        "delta": checks.check_delta(frame, [1e-9, None], window=stuck),
        "outlier": checks.check_outlier(frame, [-3, 3], window=max(12 * HOUR, 48 * step)),
    }
    out: Flags = {}
    for name, result in found.items():
        flags = np.zeros(len(value), bool)
        flags[first] = ~result["mask"]["v"].to_numpy(dtype=bool) & np.isfinite(value[first])
        out[name] = flags
    return out


def tamis(time: np.ndarray, value: np.ndarray) -> Flags:
    import polars as pl

    import tamis as system
    from tamis_kernels.sensor import TESTS

    frame = pl.DataFrame({"time": pl.Series(time).cast(pl.Datetime("ns")), "value": pl.Series(value, nan_to_null=True)})
    told = [one for _, one in system.discover(frame, time="time", sensor=(), values=["value"]).told]
    codes = [float(one.remedy["value"]) for one in told if one.kind == "sentinel"]
    lines = np.zeros(len(value), bool)
    for first, last in (span for one in told if one.kind == "interpolated" for span in one.remedy["spans"]):
        lines |= (time >= first) & (time <= last)
    frame = frame.with_columns(pl.when(~pl.Series(lines)).then("value").alias("value"))  # as `tamis.correct` leaves what is confirmed
    flags = system.quality_control(frame, time="time", sensor=(), values=["value"], sentinels=codes).flags.collect().sort("row")
    bits = flags["bits"].to_numpy()
    wanted = ("sentinel", "range", "spike", "rate", "flat", "hampel")
    return {**{name: bits >> TESTS.index(name) & 1 != 0 for name in wanted}, "interpolated": lines}


def main() -> None:
    system, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    for path in sorted(folder.glob("series-*.npz")):
        series = np.load(path)
        np.savez(folder / f"{system}-{path.stem}.npz", **globals()[system](series["time"], series["value"]))


if __name__ == "__main__":
    main()
