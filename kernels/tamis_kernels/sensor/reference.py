"""Quality control of one series, a row at a time in plain Python: the definition of right."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from tamis_kernels.sensor.layout import Rows, State

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s, Uint32s

PANES = 8

MISSING, SENTINEL, RANGE, SPIKE, RATE, FLAT, ATTENUATED, GAP, DUPLICATE, REVERSED, SATURATED, HAMPEL, JITTER, DRIFT = range(14)
RUN = 1 << 15
FAIL = 16
ALWAYS = {RANGE, FLAT, ATTENUATED, SATURATED}
OF_TIME = {GAP, DUPLICATE, REVERSED, JITTER, DRIFT}


def scan(rows: Rows, state: State, final: bool, bits: Uint32s, flags: Uint8s) -> int:
    """Test some rows after those before, fill bits and flags of the settled ones, return their number; -1: a time out of range."""
    time, value, valid, sentinels = rows
    reals, wholes, values, counts = state
    times = [int(one) for one in time]
    if any(not -(2**62) <= one < 2**62 for one in times):
        return -1
    readings = [float(one) for one in value]
    if valid.size:
        readings = [one if there else math.nan for one, there in zip(readings, valid, strict=True)]
    if counts[0] == 0 and times:  # a row of nothing stands before the first
        values[0], counts[1], counts[5] = math.nan, times[0] - 1, times[0]
        counts[6] = times[0] // max(int(wholes[2]) // PANES, 1)
    told = [(int(counts[1]), float(values[0]))]
    if counts[0]:
        told.append((int(counts[2]), float(values[1])))
    told += zip(times, readings, strict=True)
    if len(told) >= 2:
        (counts[1], values[0]), (counts[2], values[1]) = told[-2:]
    settled = len(told) - 1 if final else max(len(told) - 2, 0)  # the last row waits for its successor
    codes = set(sentinels.tolist())
    told.append((told[-1][0], math.nan))
    clean = [(at, math.nan if one in codes else one) for at, one in told]
    for k in range(settled):
        first = counts[0] < 2
        bits[k], flags[k] = _row(clean[k : k + 3], told[k + 1][1] in codes, first, reals, wholes, values, counts)
        counts[0] = 2
    if times:
        counts[0] = max(counts[0], 1)
    return settled


def scan_groups(rows: Rows, state: State, offsets: Int64s, bits: Uint32s, flags: Uint8s) -> int:
    """Test many series, each from the state that values and counts hold; return the first with a time out of range, or -1."""
    for group, (a, b) in enumerate(pairwise(offsets.tolist())):
        part = Rows(rows.time[a:b], rows.value[a:b], rows.valid[a:b], rows.sentinels)
        own = state._replace(values=state.values.copy(), counts=state.counts.copy())
        if scan(part, own, True, bits[a:b], flags[a:b]) < 0:
            return group
    return -1


def _row(
    three: list[tuple[int, float]], code: bool, first: bool, reals: Float64s, wholes: Int64s, values: Float64s, counts: Int64s
) -> tuple[int, int]:
    """Return bits and flag of the row in the middle of three."""
    (earlier, left), (now, here), (_, right) = three
    fail_low, fail_high, low, high, average, average_fail, differential, differential_fail, rate, rate_fail = reals[:10].tolist()
    rail_low, rail_high = reals[12:14].tolist()
    gap, nominal, jitter, drift, mask = wholes[3:8].tolist()
    chosen = {test for test in range(14) if mask >> test & 1}
    suspect: set[int] = set()
    failed: set[int] = set()
    step = now - earlier
    if code:
        failed |= {SENTINEL, MISSING}
    if math.isnan(here):
        failed.add(MISSING)
    if math.isinf(here) or here < fail_low or here > fail_high:
        failed.add(RANGE)
    if here < low or here > high:
        suspect.add(RANGE)
    bend = abs(here - (left + right) / 2)
    turned = (here - left > 0 and right - here < 0) or (here - left < 0 and right - here > 0)
    smaller = min(abs(here - left), abs(right - here)) if turned else 0.0
    if bend > average or (turned and smaller > differential):
        suspect.add(SPIKE)
    if bend > average_fail or (turned and smaller > differential_fail):
        failed.add(SPIKE)
    if step > 0 and abs(here - left) * 1e9 > rate * step:
        suspect.add(RATE)
    if step > 0 and abs(here - left) * 1e9 > rate_fail * step:
        failed.add(RATE)
    if (here >= rail_high and max(left, right, key=_number) >= rail_high) or (
        here <= rail_low and min(left, right, key=_least) <= rail_low
    ):
        suspect.add(SATURATED)
    if not first:
        suspect |= {GAP} if step > gap else set()
        suspect |= {DUPLICATE} if step == 0 else set()
        suspect |= {REVERSED} if step < 0 else set()
        suspect |= {JITTER} if 0 < step <= gap and abs(step - nominal) > jitter else set()
    if nominal > 0 and now > counts[5]:
        rest = (now - int(counts[5])) % nominal
        suspect |= {DRIFT} if min(rest, nominal - rest) > drift else set()
    run = False
    if FLAT in chosen:
        run, elapsed = _follow(now, here, float(reals[10]), values, counts)
        suspect |= {FLAT} if run and elapsed >= wholes[0] and not math.isnan(here) else set()
        failed |= {FLAT} if run and elapsed >= wholes[1] and not math.isnan(here) else set()
    if ATTENUATED in chosen and _span(now, here, int(wholes[2]), values, counts) < reals[11]:
        suspect.add(ATTENUATED)
    told = chosen | {MISSING, SENTINEL, RANGE}
    suspect, failed = (suspect | failed) & told, failed & told
    bits = sum(1 << test for test in suspect) + sum(1 << (test + FAIL) for test in failed) + (RUN if run else 0)
    evaluated = bool(
        chosen & ALWAYS
        or (chosen & OF_TIME and not first)
        or (SPIKE in chosen and not math.isnan(left) and not math.isnan(right))
        or (RATE in chosen and step > 0 and not math.isnan(left))
    )
    flag = 9 if MISSING in failed else 4 if failed else 3 if suspect else 1 if evaluated else 2
    return bits, flag


def _number(one: float) -> float:
    return -math.inf if math.isnan(one) else one


def _least(one: float) -> float:
    return math.inf if math.isnan(one) else one


def _follow(now: int, here: float, tolerance: float, values: Float64s, counts: Int64s) -> tuple[bool, int]:
    """Return whether the run of like values goes on, and how long it has lasted; a missing value neither ends nor begins one."""
    if math.isnan(here):
        return bool(counts[4]), 0
    if counts[4] and abs(here - float(values[2])) <= tolerance:
        return True, now - int(counts[3])
    values[2], counts[3], counts[4] = here, now, 1
    return False, 0


def _span(now: int, here: float, window: int, values: Float64s, counts: Int64s) -> float:
    """Return the range of the values in the pane of this row and the eight before, infinite where they do not tell."""
    width = max(window // PANES, 1)
    least, most = values[5 : 5 + PANES], values[5 + PANES : 5 + 2 * PANES]
    while now // width > counts[6]:
        if now // width - counts[6] > PANES + 1:
            counts[6] = now // width - PANES - 1
            values[3], values[4] = math.inf, -math.inf
        least[:] = [values[3], *least[:-1]]
        most[:] = [values[4], *most[:-1]]
        values[3], values[4] = math.inf, -math.inf
        counts[6] += 1
    if math.isnan(here):
        return math.inf
    values[3], values[4] = min(values[3], here), max(values[4], here)
    covered = counts[5] <= (counts[6] - PANES) * width and 2 * (least <= most).sum() >= PANES
    return float(max(values[4], *most)) - float(min(values[3], *least)) if covered else math.inf


def hampel(value: Float64s, window: int, sigmas: float, floor: float, flags: Uint8s) -> None:
    """Fill flags with 1 near the median of the window, 3 away from it, 2 where more than half of the window is missing."""
    half = window // 2
    readings = value.tolist()
    for row, here in enumerate(readings):
        around = [one for one in readings[max(row - half, 0) : row + half + 1] if math.isfinite(one)]
        if not math.isfinite(here) or len(around) <= half:
            flags[row] = 2
            continue
        middle = median(around)
        spread = median([abs(one - middle) for one in around])
        flags[row] = 3 if abs(here - middle) > max(sigmas * spread, floor) else 1
