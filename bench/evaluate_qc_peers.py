"""Quality control beside ioos_qc 3.0.0, row by row: how often the flags agree, and the reason of every difference.

    python bench/evaluate_qc_peers.py [--data DATA]

Series are drawn from a seed, regular and odd; `--data` names the folder of corpora whose `sensors` are taken too. ioos_qc runs in an
environment of its own, made under TAMIS_BENCH_PEERS. A reason is told by the input and the limits alone; a difference without one ends the
script with an error. Limits come from quantiles of each series, so that every flag occurs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from bench_peers import HERE, environment
from evaluate_common import Table
from harness import described, machine
from numpy.typing import NDArray

from tamis_kernels.sensor import Limits, quality

SECOND = 10**9
TINY = math.ulp(0.0)
Mask = NDArray[np.bool_]
Flags = NDArray[np.uint8]
Reasons = list[tuple[str, Mask]]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series: nanoseconds and values, NaN where missing."""

    name: str
    time: NDArray[np.int64]
    value: NDArray[np.float64]

    @property
    def step(self) -> NDArray[np.int64]:
        """Time since the row before; 0 for the first."""
        step: NDArray[np.int64] = np.diff(self.time, prepend=self.time[:1])
        return step

    @property
    def usual(self) -> int:
        """The median step."""
        return int(np.median(np.diff(self.time)))

    @property
    def first(self) -> Mask:
        """Where no row is before."""
        mask: Mask = np.arange(self.time.size) == 0
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One test of a series in both libraries: our limits, their function and arguments, and what explains a difference."""

    series: Series
    test: str
    limits: Limits
    function: str
    arguments: dict[str, Any]
    reasons: Reasons
    graded: bool = True  # False: only whether a row is told is compared
    value: NDArray[np.float64] | None = None


def near(mask: Mask, before: int, after: int) -> Mask:
    """Return where one of the rows from `before` rows back to `after` rows ahead is set."""
    total = np.concatenate([[0], np.cumsum(mask)])
    at = np.arange(mask.size)
    return np.asarray(total[np.minimum(at + after + 1, mask.size)] > total[np.maximum(at - before, 0)])


def cases(series: Series) -> Iterator[Case]:
    """Yield the tests of one series."""
    value, first, step, usual = series.value, series.first, series.step, series.usual
    finite = value[np.isfinite(value)]
    missing, infinite = np.isnan(value), np.isinf(value)
    seconds = np.where(step > 0, step, 1) / SECOND
    with np.errstate(invalid="ignore"):
        change = np.abs(np.diff(value, prepend=value[:1]))
        rate = change / seconds

    def some(numbers: NDArray[np.float64], *shares: float) -> list[float]:
        return [float(one) for one in np.quantile(numbers[np.isfinite(numbers)], shares)]

    low, suspect_low, suspect_high, high = some(finite, 0.01, 0.05, 0.95, 0.99)
    limits = Limits(fail_span=(low, high), suspect_span=(suspect_low, suspect_high))
    spans = {"fail_span": [low, high], "suspect_span": [suspect_low, suspect_high]}
    yield Case(series, "gross_range", limits, "gross_range_test", spans, [])

    suspect, fail = (max(one, 1e-9) for one in some(change, 0.9, 0.97))
    thresholds = {"suspect_threshold": suspect, "fail_threshold": fail}
    beside: Reasons = [("infinite, or beside an infinite value", near(infinite, 1, 1))]
    yield Case(series, "spike, average", Limits(spike=(suspect, fail)), "spike_test", thresholds, beside)
    yield Case(
        series,
        "spike, differential",
        Limits(spike_differential=(suspect, fail)),
        "spike_test",
        {**thresholds, "method": "differential"},
        beside,
    )

    grades = [max(one, 1e-12) for one in some(rate[step > 0], 0.9, 0.97)]
    told: Reasons = [
        ("nothing before it to compare with: 2, not good", (first | np.roll(missing, 1)) & ~missing),
        ("infinite, or after an infinite value", near(infinite, 1, 0)),
        ("time stands still or goes back: not evaluated", step <= 0),
        ("step with a part of a second: they leave it out", step % SECOND != 0),
        (
            "at the limit to the last digits: a product rounds otherwise than a quotient",
            np.min([abs(rate / one - 1) for one in grades], axis=0) < 1e-12,
        ),
    ]
    yield Case(
        series,
        "rate_of_change",
        Limits(rate=(grades[0], grades[1])),
        "rate_of_change_test",
        {"threshold": grades[0], "fail_threshold": grades[1]},
        told,
    )
    if usual >= SECOND:
        yield from _flat(series, missing)
    gap = max(5 * usual // 2 // SECOND, 1)
    yield Case(
        series,
        "time_gap",
        Limits(gap=gap * SECOND),
        "time_gap_test",
        {"fail_span": gap / 3600},
        [("the first row inherits the flag of the second", first)],
        graded=False,
        value=np.ones(value.size),
    )
    window = max(16 * usual // SECOND, 1)
    ranges = [float(np.ptp(finite[at : at + 16])) for at in range(0, finite.size, 16)]
    least = max(float(np.quantile(ranges, 0.3)), 1e-9)
    longer = {"suspect_threshold": least, "fail_threshold": 0.0, "check_type": "range"}
    yield Case(
        series,
        "attenuated, range",
        Limits(attenuated=least, attenuated_window=window * SECOND),
        "attenuated_signal_test",
        {**longer, "test_period": window},
        [],
        graded=False,
    )


def _flat(series: Series, missing: Mask) -> Iterator[Case]:
    """Yield the flat line test with the least tolerance and with the default one."""
    usual = series.usual
    suspect, fail = (times * usual // SECOND for times in (3, 6))
    odd = series.first | (series.step != usual)
    windows: Reasons = [
        ("infinite in the window: a value, not missing", near(np.isinf(series.value), 6, 0)),
        ("missing in the window: elapsed time, not rows that are there", near(missing, 6, 0)),
        ("a median step with a part of a second: they leave it out", np.full(missing.size, usual % SECOND != 0)),
        ("uneven steps in the window: elapsed time, not rows by the median step", near(odd, 6, 0)),
    ]
    strict: Reasons = [("a range of 0 is not below a tolerance of 0", np.ones(missing.size, np.bool_))]
    both = {"suspect_threshold": suspect, "fail_threshold": fail}
    limits = Limits(flat=(suspect * SECOND, fail * SECOND))
    yield Case(series, f"flat_line, tolerance {TINY:.0e}", limits, "flat_line_test", {**both, "tolerance": TINY}, windows)
    yield Case(series, "flat_line, tolerance 0 (default)", limits, "flat_line_test", both, windows + strict)


def drawn(rows: int = 20_000) -> Iterator[Series]:
    """Yield series from a seed, regular ones and odd ones."""
    random = np.random.default_rng(1)
    regular = np.arange(rows) * 60 * SECOND
    noise = random.normal(20, 1, rows)
    coarse = np.round(np.cumsum(random.normal(0, 0.05, rows)), 1).astype(np.float64)
    holes = coarse.copy()
    holes[random.random(rows) < 0.03] = np.nan
    spiked = np.where(random.random(rows) < 0.01, noise + random.choice([-30.0, 30.0], rows), noise)
    infinite = np.where(random.random(rows) < 0.005, random.choice([-math.inf, math.inf], rows), noise)
    uneven = np.cumsum(random.choice([60, 60, 60, 60, 61, 59, 300, 7200], rows, p=[0.2, 0.2, 0.2, 0.2, 0.08, 0.08, 0.03, 0.01])) * SECOND
    disorder = np.cumsum(random.choice([60, 0, -60], rows, p=[0.94, 0.03, 0.03])) * SECOND
    yield Series("drawn: noise", regular, noise)
    yield Series("drawn: runs of equal values", regular, coarse)
    yield Series("drawn: holes", regular, holes)
    yield Series("drawn: spikes", regular, spiked)
    yield Series("drawn: infinities", regular, infinite)
    yield Series("drawn: uneven steps and gaps", uneven, coarse)
    yield Series("drawn: duplicate and reversed times", disorder, coarse)
    yield Series("drawn: 10 Hz", np.arange(rows) * (SECOND // 10), coarse)
    yield Series("drawn: a step of 1.5 s", np.arange(rows) * (3 * SECOND // 2), coarse)
    yield Series("drawn: steps of milliseconds more or less", regular + random.integers(-5, 6, rows) * 1_000_000, coarse)


def stored(root: Path) -> Iterator[Series]:
    """Yield the series of the corpora, sorted by time where one file holds several sensors."""
    for path in sorted((root / "nab").glob("*/*.csv")):
        yield from _columns(path, "timestamp", ["value"])
    for path in sorted((root / "logan_river").glob("*[0-9].csv")):
        yield from _columns(path, "datetime", ["temp", "cond", "ph", "do", "turb", "stage"])
    for path in sorted((root / "pvanalytics").glob("*.csv")):
        yield from _columns(path, "timestamp", ["value_normalized"])
    yield from _columns(root / "la_haute_borne" / "scada_2014.csv.gz", "Date_time", ["P_avg", "Ws_avg", "Ot_avg"], "Wind_turbine_name")


def _columns(path: Path, clock: str, names: list[str], sensor: str = "") -> Iterator[Series]:
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(clock)]
    groups = defaultdict(list)
    for row in rows:
        groups[row[sensor] if sensor else ""].append(row)
    for key, group in groups.items():
        time = np.array([_instant(row[clock]) for row in group])
        order = np.argsort(time, kind="stable") if sensor else np.arange(time.size)
        for name in names:
            value = np.array([_number(row[name]) for row in group])
            yield Series(f"{path.parent.name}/{path.name} {key} {name}", time[order], value[order])


def _instant(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000) * 1_000_000


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def theirs(given: list[Case]) -> dict[str, Flags | str]:
    """Return their flags of each case, or the message of the error that they raise."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = []
        for number, case in enumerate(given):
            np.savez(folder / f"{number}.npz", time=case.series.time, value=case.series.value if case.value is None else case.value)
            plan.append([case.function, case.arguments])
        (folder / "cases.json").write_text(json.dumps(plan))
        subprocess.run(
            [environment("ioos"), "-W", "ignore", str(HERE / "peer_lane.py"), "ioos_flags", name, "0"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        errors = json.loads((folder / "errors.json").read_text())
        found = np.load(folder / "flags.npz")
        return {str(number): errors.get(str(number)) or found[str(number)] for number in range(len(given))}


def within(case: Case, odd: Mask) -> Mask:
    """Return where a row of the window that is longer by an eighth is set; only where time never goes back."""
    time, span = case.series.time, case.limits.attenuated_window
    total = np.concatenate([[0], np.cumsum(odd)])
    return np.asarray(total[1:] > total[np.searchsorted(time, time - 9 * span // 8, "left")])


def attenuated(case: Case, got: Mask, short: Mask, long: Mask) -> Reasons:
    """Return why our test, whose window is eight to nine eighths of the period, differs from theirs over eight (short) and nine (long)."""
    series, value = case.series, case.series.value
    span = case.limits.attenuated_window
    rows = [np.searchsorted(series.time, series.time - k * span // 8, "right") for k in range(11)]
    sparse = np.any([rows[k] <= rows[k + 2] for k in range(9)], axis=0)  # two eighths in a row without a reading
    return [
        ("infinite in the window: a value, not missing", within(case, np.isinf(value))),
        ("missing in the window: they do not tell", within(case, np.isnan(value))),
        ("the window is not full yet: not told", (series.time - series.time[0] < 9 * span // 8) & ~got),
        ("the window has up to an eighth more, in which the value moved", short & ~got & ~long),
        ("few readings in the window: not told", short & ~got & sparse),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the corpora, with `sensors` in it")
    arguments = parser.parse_args()
    print(described(machine()), end="\n\n")
    series = [*drawn(), *(stored(arguments.data / "sensors") if arguments.data else [])]
    series = [one for one in series if np.isfinite(one.value).sum() > 100]
    given = [case for one in series for case in cases(one)]
    widened = [case for case in given if case.test.startswith("attenuated")]
    for case in widened:
        longer = {**case.arguments, "test_period": math.ceil(case.arguments["test_period"] * 9 / 8)}
        given.append(Case(case.series, "", case.limits, case.function, longer, []))
    found = theirs(given)
    rows, equal = Counter[str](), Counter[str]()
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    unexplained = 0
    for number, case in enumerate(given[: len(given) - len(widened)]):
        other = found[str(number)]
        if isinstance(other, str):
            reasons[case.test][f"ioos_qc raises {other}"] += case.series.time.size
            continue
        value = case.series.value if case.value is None else case.value
        ours = quality(case.series.time, value, case.limits)[1]
        told, their = np.isin(ours, (3, 4)), np.isin(other, (3, 4))
        differ = ours != other if case.graded else told != their
        rows[case.test] += ours.size
        equal[case.test] += int((~differ).sum())
        known = case.reasons
        if case in widened:
            known = attenuated(case, told, their, np.isin(found[str(len(given) - len(widened) + widened.index(case))], (3, 4)))
        for reason, mask in known:
            reasons[case.test][reason] += int((differ & mask).sum())
            differ &= ~mask
        if differ.any():
            unexplained += int(differ.sum())
            at = int(np.flatnonzero(differ)[0])
            around = slice(max(at - 2, 0), at + 3)
            print(f"NO REASON: {case.test}, {case.series.name}, {differ.sum()} rows, the first is {at}: {ours[at]}, theirs {other[at]}")
            print(f"    values {value[around].tolist()}, steps {case.series.step[around].tolist()}, {case.arguments}")
    table = Table(f"Quality control beside ioos_qc 3.0.0: {len(series)} series", ["test", "rows", "equal", "rows that differ, by reason"])
    for test in rows:
        why = "; ".join(f"{count:,}: {reason}" for reason, count in reasons[test].items() if count)
        table.rows.append([test, rows[test], f"{100 * equal[test] / rows[test]:.3f} %", why])
    print(table.markdown())
    if unexplained:
        sys.exit(f"{unexplained} differences have no reason")


if __name__ == "__main__":
    main()
