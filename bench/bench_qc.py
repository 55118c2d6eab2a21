"""Quality control: all tests in one pass and Hampel, against the copy of the same bytes, and ioos_qc where a Python that has it is given.

IOOS_QC=/path/to/python names that Python: it runs four tests of ioos_qc (gross range, spike, rate of change, flat line) on the same series.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import numpy as np
from harness import Report
from numpy.typing import NDArray

from tamis_kernels.sensor import Limits, hampel, quality

SECOND = 10**9
PEER = """
import sys, time, numpy as np
from ioos_qc import qartod
n = int(sys.argv[1])
x = np.random.default_rng(1).normal(20, 1, n)
t = (np.arange(n, dtype=np.int64) * 10**9).view("datetime64[ns]")
start = time.perf_counter()
qartod.gross_range_test(x, fail_span=[0, 40], suspect_span=[10, 30])
qartod.spike_test(x, suspect_threshold=5, fail_threshold=9)
qartod.rate_of_change_test(x, t, threshold=5.0)
qartod.flat_line_test(x, t, suspect_threshold=60, fail_threshold=600, tolerance=0.01)
print(n / (time.perf_counter() - start) / 1e6)
"""


def copy_limit(bytes_a_row: int) -> float:
    """Return rows per second of copying as many bytes as a row has read and written, best of 5."""
    source = np.ones(64 << 20, np.uint8)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.size / best / bytes_a_row


def every(resolution: float) -> Limits:
    return Limits(
        sentinels=(-9999.0,),
        suspect_span=(10.0, 30.0),
        fail_span=(0.0, 40.0),
        spike=(5.0, 9.0),
        spike_differential=(5.0, 9.0),
        rate=(5.0, 9.0),
        flat_tolerance=resolution / 2,
        flat=(60 * SECOND, 600 * SECOND),
        attenuated=0.1,
        attenuated_window=3600 * SECOND,
        gap=10 * SECOND,
        ordered=True,
        rails=(0.0, 40.0),
        period=SECOND,
        jitter=SECOND // 10,
        drift=SECOND // 4,
    )


def main() -> None:
    report = Report.from_arguments("qc: tests of one series, one core")
    rows = 200_000 if report.quick else 4_000_000
    random = np.random.default_rng(1)
    times = np.arange(rows, dtype=np.int64) * SECOND
    noise = random.normal(20, 1, rows)
    coarse = np.round(np.cumsum(random.normal(0, 0.02, rows)) % 10 + 15, 1)  # every value some rows long
    for name, values in (("noise", noise), ("runs of equal values", coarse)):
        short = quality(times[:20_000], values[:20_000], every(0.1), backend="reference")
        got = quality(times[:20_000], values[:20_000], every(0.1))
        report.check(f"{name}: bits and flags equal the reference", np.array_equal(got[0], short[0]) and np.array_equal(got[1], short[1]))
        four = Limits(suspect_span=(10.0, 30.0), fail_span=(0.0, 40.0), spike=(5.0, 9.0), rate=(5.0, 9.0), flat=(60 * SECOND, 600 * SECOND))
        lanes: dict[str, Callable[..., object]] = {
            "13 tests": lambda values=values: quality(times, values, every(0.1)),
            "range, spike, rate, flat": lambda values=values, four=four: quality(times, values, four),
            "without flat and attenuated": lambda values=values: quality(
                times, values, Limits(suspect_span=(10.0, 30.0), spike=(5.0, 9.0), rate=(5.0, 9.0), gap=10 * SECOND, ordered=True)
            ),
        }
        report.time(
            name,
            lanes,
            work=rows / 1e6,
            unit="Mrow",
            limit=copy_limit(21) / 1e6,
            limit_note="a copy of the 21 bytes read and written",
            runs=5,
        )
    report.check("Hampel: equal to the reference", hampel_equal(noise[:3000]))
    report.time(
        "Hampel",
        {f"window {window}": lambda window=window: hampel(noise, window=window) for window in (7, 21)},
        work=rows / 1e6,
        unit="Mrow",
        limit=copy_limit(9) / 1e6,
        limit_note="a copy of the 9 bytes read and written",
        runs=5,
    )
    peer = os.environ.get("IOOS_QC")
    if peer:
        done = subprocess.run([peer, "-W", "ignore", "-c", PEER, str(rows // 4)], capture_output=True, text=True, check=True)
        print(f"ioos_qc, range, spike, rate and flat line: {float(done.stdout):.3g} Mrow/s")


def hampel_equal(values: NDArray[np.float64]) -> bool:
    return np.array_equal(hampel(values), hampel(values, backend="reference"))


if __name__ == "__main__":
    main()
