"""Clocks: steps that tremble, rates that are off, clocks that begin anew, wall clocks with summer time, epochs in the wrong unit."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from tamis.discovery.base import DAY, MAD, SECOND, duration, moment, number_of, period, suspicion
from tamis.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

    Times = NDArray[np.int64]

HOUR = 3600 * SECOND
EPOCHS = {"1970": 0, "1980 (GPS)": 315_964_800 * SECOND, "2000": 946_684_800 * SECOND, "1904": -2_082_844_800 * SECOND}
NEAR_EPOCH = 400 * DAY
FACTORS = (10**3, 10**6, 10**9)
RESETS = 64  # falls of time beyond which rows stand in no order
TREMBLE = 0.02  # of the period: 90th percentile of the steps' distance from it
NICE = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
ROUND = 3000  # ppm within which a period is taken for a round one
SURE = 3.0  # half-widths of the 95 % interval
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "Australia/Sydney", "Pacific/Auckland")
"""One zone for each wall clock in wide use: those of the European Union, of North America, of Australia, of New Zealand."""


def find_jitter(series: Signal) -> list[Suspicion]:
    """Return whether the steps tremble about the period.

    The figure is the 90th percentile of the steps' distance from the period, by the period, and must reach 0.02, and the resolution of the
    times; four of five steps must lie within half a period.
    """
    steps = np.diff(series.time)
    nominal = period(series.time)
    if not nominal or len(steps) < 30:
        return []
    off = np.abs(steps - nominal)
    near = off * 2 < nominal
    if near.mean() < 0.8:
        return []
    size = float(np.quantile(off[near], 0.9))
    if size <= 1.01 * _resolution(series.time) or size < TREMBLE * nominal:
        return []
    says = (
        f"steps differ from {duration(nominal)} by {duration(size)} in one of ten rows, {size / nominal:.1%} of it; "
        f"{np.mean(off[near] > 0.01 * nominal):.0%} by more than a hundredth"
    )
    return [suspicion("jitter", series, np.flatnonzero(near) + 1, size / nominal, TREMBLE, says, of_times=True, size_ns=size)]


def find_clock_drift(series: Signal) -> list[Suspicion]:
    """Return by how many ppm the clock is off, with a 95 % interval.

    The times are fitted by a line over the number of periods since the first row, rows far from it left out. The period must lie within
    3000 ppm of a round one. The figure is the rate by the half-width of its interval, and must reach 3; the whole drift must be a
    hundredth of the period and ten times the resolution of the times.
    """
    time = series.time[np.concatenate([[True], np.diff(series.time) > 0])] if len(series) else series.time
    if len(time) < 50 or (np.diff(time) <= 0).any() or not (steady := period(time)):
        return []
    steps = np.diff(time)
    near = steps[np.abs(steps - steady) * 2 < steady]
    typical = float(near.mean()) if len(near) else float(steady)
    nominal = _round_period(typical)
    if not nominal:
        return []
    periods = steps / typical
    if np.mean(np.abs(periods - np.round(periods)) > 0.35) > 0.001:
        return []  # it trembles too much to tell how many periods have passed
    count = np.concatenate([[0], np.cumsum(np.round(periods))])
    late = (time - time[0]).astype(np.float64) - count * nominal  # exact: times are whole nanoseconds well below 2^53 a span
    keep = np.ones(len(time), bool)
    for _ in range(4):
        slope, start = np.polyfit(count[keep], late[keep], 1)
        residual = late - slope * count - start
        scale = MAD * float(np.median(np.abs(residual[keep])))
        keep = np.abs(residual) <= max(4 * scale, 1.0)
    kept = residual[keep]
    spread = float(np.sqrt(np.sum((count[keep] - count[keep].mean()) ** 2)))
    alike = float(np.clip(np.corrcoef(kept[1:], kept[:-1])[0, 1], 0, 0.99)) if len(kept) > 2 and kept.std() else 0.0
    error = max(float(kept.std()), _resolution(time) / np.sqrt(12)) / spread * np.sqrt((1 + alike) / (1 - alike))
    half, ppm = 1.96 * error / nominal * 1e6, slope / nominal * 1e6
    whole = abs(slope) * float(count[-1])
    if abs(ppm) < SURE * half or whole < max(0.01 * nominal, 10 * _resolution(time)) or keep.mean() < 0.8:
        return []
    says = (
        f"the clock runs {abs(ppm):.4g} ± {half:.2g} ppm {'slow' if slope < 0 else 'fast'} against a period of {duration(nominal)}: "
        f"{duration(whole)} over {duration(float(time[-1] - time[0]))}"
    )
    remedy = {"action": "clock_rate", "origin": int(time[0]), "ppm": float(ppm)}
    figure = abs(ppm) / half
    return [suspicion("clock_drift", series, np.arange(len(series)), figure, SURE, says, of_times=True, remedy=remedy, ppm=ppm, half=half)]


def _resolution(time: Times) -> int:
    """Return the largest unit that all times are whole numbers of: a decimal one of a second, at most one."""
    return next(unit for unit in (SECOND, 10**6, 10**3, 1) if not (time[: 1 << 16] % unit).any())


def _round_period(typical: float) -> int:
    """Return the round period next to this one: some seconds, minutes or hours, or a whole rate in a second; 0 where none is near."""
    units = [SECOND * 10**power // 1000 for power in range(4)] + [60 * SECOND, HOUR, DAY]
    rounds = [unit * nice for unit in units for nice in NICE] + [SECOND // rate for rate in (8, 16, 24, 25, 32, 40, 64, 100, 128, 256)]
    nearest = min(rounds, key=lambda one: abs(one - typical))
    return nearest if abs(typical / nearest - 1) * 1e6 <= ROUND else 0


def find_clock_resets(series: Signal) -> list[Suspicion]:
    """Return the spans whose times fall back, as recorded: a clock that began anew, was set back, or was read in the wrong unit.

    A span begins where time goes back by more than two periods (or the series begins near an epoch and leaps by a year) and ends where it
    leaps forward again by half of that. Hours doubled by summer time, and rows whose times were there before, are told elsewhere. Where
    time goes back more than 64 times, the rows stand in no order, and no clock is to blame. The figure is the size of the fall by two
    periods, and must reach 1.
    """
    time = series.time
    nominal = period(time)
    if len(time) < 10 or not nominal:
        return []
    steps = np.diff(time)
    found: list[Suspicion] = []
    first = _epoch(int(time[0]))
    ahead = np.flatnonzero(steps > 365 * DAY)
    if first and len(ahead):
        found += _reset(series, 0, int(ahead[0]) + 1, int(time[ahead[0] + 1] - time[ahead[0]]) - nominal, nominal)
    stop = int(ahead[0]) + 1 if found else 0
    falls = np.flatnonzero(steps < -2 * nominal).tolist()
    for fall in falls if len(falls) <= RESETS else ():
        size = int(-steps[fall])
        if fall < stop or abs(size + nominal - HOUR) <= nominal // 100:
            continue
        forward = np.flatnonzero(steps[fall + 1 :] > size / 2)
        stop = fall + 2 + int(forward[0]) if len(forward) else len(time)
        found += _reset(series, fall + 1, stop, size + nominal, nominal)
    return found


def _reset(series: Signal, first: int, stop: int, shift: int, nominal: int) -> list[Suspicion]:
    time = series.time
    inside, outside = time[first:stop], np.concatenate([time[:first], time[stop:]])
    if max(np.isin(inside, outside).mean(), np.isin(outside, inside).mean()) > 0.5:
        return []  # rows exported again, before the others or after them
    beside = int(time[first - 1]) + nominal if first else int(time[stop]) - nominal
    edge = int(inside[0]) if first else int(inside[-1])
    places = np.arange(first, stop)
    factor = next((one for one in FACTORS if abs(edge * one - beside) <= max(10 * nominal, 2 * one)), 0)
    said = f"{number_of(stop - first, 'row')} told from {moment(int(inside[0]))} on, {duration(shift)} before their neighbours"
    spans = [[int(inside.min()), int(inside.max())]]
    if factor:
        says = f"{said}: read as {factor:,} times finer a unit than they were written in, for times that factor they go on as before"
        return [
            suspicion(
                "epoch_unit",
                series,
                places,
                shift / (2 * nominal),
                1,
                says,
                of_times=True,
                remedy={"action": "epoch", "factor": factor, "spans": spans},
            )
        ]
    near = _epoch(int(inside[0]))
    says = f"{said}" + (f": the clock began anew at the epoch of {near}" if near else ": the clock was set back")
    remedy = {"action": "clock", "shift": int(beside - edge), "spans": spans}
    return [suspicion("clock_reset", series, places, shift / (2 * nominal), 1, says, of_times=True, remedy=remedy, epoch=near)]


def _epoch(time: int) -> str:
    """Return the epoch that a time follows by less than 400 days."""
    return next((name for name, at in EPOCHS.items() if 0 <= time - at < NEAR_EPOCH), "")


def find_wall_clock(series: Signal, zone: str = "") -> list[Suspicion]:
    """Return the zone whose summer time the series follows: an hour told twice in autumn and never in spring, on the dates of its rules.

    The figure is the number of changes that the series follows, of those that it covers; it must follow all, and 1 at the least.
    """
    time = series.time
    nominal = period(time)
    if len(time) < 10 or not 0 < nominal <= 2 * HOUR:
        return []
    steps = np.diff(time)
    odd = np.flatnonzero((np.abs(steps - nominal - HOUR) <= nominal // 100) | (np.abs(steps - nominal + HOUR) <= nominal // 100))
    if not len(odd):
        return []
    before, leap = time[odd], steps[odd]
    span = (int(time.min()), int(time.max()))
    for name in (zone,) if zone else ZONES:
        changes = [
            (at, by)
            for at, by in _changes(name, span[0] // (366 * DAY) + 1970 - 1, span[1] // (365 * DAY) + 1971)
            if span[0] + HOUR < at < span[1] - HOUR
        ]
        # A change belongs to the series where rows stand on both sides of it.
        covered = [(at, by) for at, by in changes if (np.abs(time - at) <= 3 * HOUR + 2 * nominal).any()]
        kept = [
            int(odd[places[0]]) + 1
            for at, by in covered
            if len(places := np.flatnonzero((before < at) & (before >= at - max(nominal, 1)) & (np.sign(leap - nominal) == by)))
        ]
        if kept and len(kept) == len(covered):
            twice = sum(by < 0 for _, by in covered)
            says = (
                f"times follow the wall clock of {name}: {number_of(twice, 'hour')} told twice and {len(covered) - twice} never, "
                "on the dates of its rules; set formats.timezone to the zone, or write UTC"
            )
            return [suspicion("wall_clock", series, np.array(sorted(kept)), len(kept), 1, says, of_times=True, zone=name)]
    return []


def known_zone(name: str) -> str:
    """Return the name of a time zone, or nothing, as it is; ArgumentError where there is no such zone."""
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        message = f"there is no time zone {name!r}; name one like 'Europe/Paris'"
        raise ArgumentError(message) from None


@cache
def _changes(zone: str, first: int, last: int) -> list[tuple[int, int]]:
    """Return the wall times, before the change, at which a zone's clocks go forward (1) or back (-1), of some years."""
    try:
        rules = ZoneInfo(zone)
    except ZoneInfoNotFoundError:  # this machine has no database of zones, or not this one; one that was named has been looked up
        return []
    start, stop = (int(datetime(min(max(year, 1971), 2100), 1, 1, tzinfo=UTC).timestamp()) for year in (first, last + 1))
    found = []

    def offset(at: int) -> int:
        moved = datetime.fromtimestamp(at, UTC).astimezone(rules).utcoffset()
        return int(moved.total_seconds()) if moved is not None else 0

    for day in range(start, stop, 86_400):
        if offset(day) != offset(day + 86_400):
            hour = next(at for at in range(day, day + 86_400, 1800) if offset(at) != offset(at + 1800)) + 1800
            by = 1 if offset(hour) > offset(hour - 1) else -1
            found.append(((hour + offset(hour - 1)) * SECOND, by))
    return found
