"""Quality control of series, one core: all tests in one pass, each test alone, many short series, Hampel; and the peers on the same work.

ioos_qc 3.0.0, hampel 1.0.2, pandas and bottleneck run in environments of their own, made under TAMIS_BENCH_PEERS and used again. How often
the flags of ioos_qc and ours agree, and why not, is told by evaluate_qc_peers.py.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from bench_minhash import clock
from bench_peers import environment, measure
from harness import Lane, Report, fastest
from numpy.typing import NDArray

from tamis_kernels.cases import LIMITS as EVERY
from tamis_kernels.cases import SECOND
from tamis_kernels.sensor import Limits, hampel, quality, quality_of_groups

NONE = Limits()
FOUR = Limits(
    suspect_span=(10.0, 30.0),
    fail_span=(0.0, 40.0),
    spike=(5.0, 9.0),
    rate=(5.0, 9.0),
    flat=(60 * SECOND, 600 * SECOND),
    flat_tolerance=0.01,
)
ALONE = {
    "missing": NONE,
    "sentinel": replace(NONE, sentinels=(-9999.0,)),
    "range": replace(NONE, suspect_span=(10.0, 30.0), fail_span=(0.0, 40.0)),
    "spike": replace(NONE, spike=(5.0, 9.0)),
    "rate": replace(NONE, rate=(5.0, 9.0)),
    "flat": replace(NONE, flat=(60 * SECOND, 600 * SECOND), flat_tolerance=0.05),
    "attenuated": replace(NONE, attenuated=0.1, attenuated_window=3600 * SECOND),
    "gap, duplicate, reversed": replace(NONE, gap=10 * SECOND, ordered=True),
    "saturated": replace(NONE, rails=(0.0, 40.0)),
    "jitter": replace(NONE, period=SECOND, jitter=SECOND // 10),
    "drift": replace(NONE, period=SECOND, drift=SECOND // 4),
}


def copy_limit(bytes_a_row: int) -> float:
    """Return million rows per second of copying as many bytes as a row has read and written, best of 5."""
    source = np.ones(64 << 20, np.uint8)
    target = np.empty_like(source)
    return 2 * source.size / fastest(lambda: np.copyto(target, source)) / bytes_a_row / 1e6


def every_series(rows: int) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return times and values: a good series, one of few digits, one with every fault in one row of a hundred, and one in disorder."""
    random = np.random.default_rng(1)
    times = np.arange(rows, dtype=np.int64) * SECOND
    noise = random.normal(20, 1, rows)
    coarse = np.round(np.cumsum(random.normal(0, 0.02, rows)) % 10 + 15, 1)  # every value some rows long
    faulty, steps = noise.copy(), np.full(rows, SECOND)
    for odd in (np.nan, -9999.0, 35.0, 90.0):
        faulty[random.random(rows) < 0.0025] = odd
    for odd_step in (0, -SECOND, 20 * SECOND, SECOND + SECOND // 5):
        steps[random.random(rows) < 0.0025] = odd_step
    return {
        "noise": (times, noise),
        "runs of equal values": (times, coarse),
        "2 % of rows faulty": (np.cumsum(steps), faulty),
        "times in random order": (random.permutation(times), noise),
    }


def bench_scan(report: Report, rows: int) -> None:
    cycles = clock()
    for name, (times, values) in every_series(rows).items():
        got, expected = (quality(times[:20_000], values[:20_000], EVERY, backend=backend) for backend in ("cpu", "reference"))
        equal = np.array_equal(got[0], expected[0]) and np.array_equal(got[1], expected[1])
        report.check(f"{name}: bits and flags equal the reference", equal)
        narrow = values.astype(np.float32)
        lanes: dict[str, Lane] = {
            "13 tests": lambda t=times, v=values: quality(t, v, EVERY),
            "13 tests, float32": lambda t=times, v=narrow: quality(t, v, EVERY),
            "range, spike, rate, flat": lambda t=times, v=values: quality(t, v, FOUR),
        }
        report.time(
            name, lanes, work=rows / 1e6, unit="Mrow", limit=copy_limit(21), limit_note="a copy of the 21 bytes read and written", runs=5
        )
        alone: dict[str, Lane] = {test: lambda t=times, v=values, chosen=limits: quality(t, v, chosen) for test, limits in ALONE.items()}
        timed = report.time(f"{name}, one test", alone, work=rows / 1e6, unit="Mrow", runs=5)
        told = ", ".join(f"{test} {cycles / 1e6 / row.rate:.1f}" for test, row in timed.items())
        print(f"cycles a row at {cycles / 1e9:.2f} GHz, of which those of `missing` are in all: {told}")


def bench_groups(report: Report, series: int) -> None:
    for size in (10, 100, 1000):
        rows = series * size
        times, values = every_series(rows)["noise"]
        offsets = np.arange(0, rows + 1, size)
        few = offsets[: 1000 // size + 1]
        got = quality_of_groups(times[:1000], values[:1000], few, EVERY)
        expected = quality_of_groups(times[:1000], values[:1000], few, EVERY, backend="reference")
        equal = np.array_equal(got[0], expected[0]) and np.array_equal(got[1], expected[1])
        report.check(f"series of {size} rows: bits and flags equal the reference", equal)

        def one_by_one(t: NDArray[np.int64] = times, v: NDArray[np.float64] = values, bounds: NDArray[np.int64] = offsets) -> None:
            for a, b in pairwise(bounds):
                quality(t[a:b], v[a:b], EVERY)

        lanes: dict[str, Lane] = {
            "in one call": lambda t=times, v=values, bounds=offsets: quality_of_groups(t, v, bounds, EVERY),
            "a call each": one_by_one,
        }
        report.time(f"{series} series of {size} rows", lanes, work=rows / 1e6, unit="Mrow", runs=5)


def bench_hampel(report: Report, rows: int) -> None:
    series = {name: every_series(rows)[name][1] for name in ("noise", "runs of equal values")}
    series["2 % missing"] = np.where(np.random.default_rng(2).random(rows) < 0.02, np.nan, series["noise"])
    cycles = clock()
    for window in (3, 7, 21, 51, 99):
        for name, values in series.items():
            equal = np.array_equal(hampel(values[:3000], window=window), hampel(values[:3000], window=window, backend="reference"))
            report.check(f"Hampel, window {window}, {name}: equal to the reference", equal)
        lanes: dict[str, Lane] = {name: lambda v=values, w=window: hampel(v, window=w) for name, values in series.items()}
        operations = 4 * window + 4 * (window // 2)
        note = f"{operations} operations a row on 8 lanes, 2 a cycle, {cycles / 1e9:.2f} GHz measured"
        report.time(
            f"Hampel, window {window}", lanes, work=rows / 1e6, unit="Mrow", limit=16 * cycles / operations / 1e6, limit_note=note, runs=5
        )


def bench_peers(report: Report, rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write(count: int) -> float:
            times, values = every_series(count)["noise"]
            np.save(folder / "time.npy", times)
            np.save(folder / "value.npy", np.round(values * 64) / 64)  # exact as float32, in which the package `hampel` computes
            return count / 1e6

        for peer in ("ioos", "hampel"):
            environment(peer)
        measure(report, "range, spike, rate, flat", ["tamis_four", "ioos_four"], write(rows), "Mrow", folder)
        measure(report, "Hampel, window 21", ["tamis_hampel", "hampel_bottleneck", "hampel_pandas"], write(rows), "Mrow", folder)
        work = write(rows // 50)
        measure(report, "Hampel, window 21", ["tamis_hampel", "hampel_package"], work, "Mrow", folder)
        ours = np.flatnonzero(hampel(np.load(folder / "value.npy"))[10:-10] == 3) + 10
        report.check("Hampel: the outliers of the package `hampel` are ours", np.array_equal(ours, np.load(folder / "outliers.npy")))


def main() -> None:
    report = Report.from_arguments("qc: tests of series, one core")
    rows = 200_000 if report.quick else 4_000_000
    bench_scan(report, rows)
    bench_groups(report, 200 if report.quick else 2000)
    bench_hampel(report, rows)
    bench_peers(report, rows // 4)


if __name__ == "__main__":
    main()
