"""Quality control of one series, a block at a time: loops without a carried dependency first, which LLVM vectorises, then the runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tamis_kernels.sensor.windows import hampel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hampel", "scan"]

BLOCK = 1024  # rows of scratch: 20 KB, which stay in the first-level cache
PANES = 8

MISSING, SENTINEL, RANGE, SPIKE, RATE, FLAT, ATTENUATED, GAP, DUPLICATE, REVERSED, SATURATED, HAMPEL, JITTER, DRIFT = range(14)
RUN = np.uint32(1 << 15)
FAIL = 16


@njit(cache=True, nogil=True)
def _single(
    xs: NDArray[np.float64],
    ts: NDArray[np.int64],
    reals: NDArray[np.float64],
    bits: NDArray[np.uint32],
    flags: NDArray[np.uint8],
    mask: int,
) -> None:
    """Set the bits of the tests that need a row and its neighbours alone; xs and ts have one row more at either end."""
    n = bits.size
    before, x, after = xs[:n], xs[1 : n + 1], xs[2 : n + 2]
    earlier, now = ts[:n], ts[1 : n + 1]
    fail_low, fail_high, low, high = reals[0], reals[1], reals[2], reals[3]
    average, average_fail, differential, differential_fail = reals[4], reals[5], reals[6], reals[7]
    rate, rate_fail, rail_low, rail_high = reals[8], reals[9], reals[12], reals[13]
    always = (mask & (1 << RANGE | 1 << FLAT | 1 << ATTENUATED | 1 << SATURATED)) != 0
    by_spike = (mask & (1 << SPIKE)) != 0
    by_rate = (mask & (1 << RATE)) != 0
    for k in range(n):
        here, left, right = x[k], before[k], after[k]
        step = float(now[k] - earlier[k])
        forward = now[k] > earlier[k]
        up, down = here - left, right - here
        rise, fall = abs(up), abs(down)
        infinite = abs(here) == math.inf
        failed = np.uint32((here < fail_low) | (here > fail_high) | infinite)
        suspect = np.uint32((here < low) | (here > high)) | failed
        bend = abs(here - (left + right) / 2)
        smaller = rise if rise < fall else fall
        turned = ((up > 0) & (down < 0)) | ((up < 0) & (down > 0))
        spike_fail = np.uint32((bend > average_fail) | (turned & (smaller > differential_fail)))
        spike = np.uint32((bend > average) | (turned & (smaller > differential))) | spike_fail
        fast_fail = np.uint32(forward & (rise * 1e9 > rate_fail * step))
        fast = np.uint32(forward & (rise * 1e9 > rate * step)) | fast_fail
        top = (here >= rail_high) & ((left >= rail_high) | (right >= rail_high))
        bottom = (here <= rail_low) & ((left <= rail_low) | (right <= rail_low))
        gone = np.uint32(here != here)
        bits[k] |= (
            gone
            | (gone << np.uint32(FAIL + MISSING))
            | (suspect << np.uint32(RANGE))
            | (failed << np.uint32(FAIL + RANGE))
            | (spike << np.uint32(SPIKE))
            | (spike_fail << np.uint32(FAIL + SPIKE))
            | (fast << np.uint32(RATE))
            | (fast_fail << np.uint32(FAIL + RATE))
            | (np.uint32(top | bottom) << np.uint32(SATURATED))
        )
        both = (left == left) & (right == right)
        flags[k] = always | (by_spike & both) | (by_rate & forward & (left == left))


@njit(cache=True, nogil=True)
def _clock(ts: NDArray[np.int64], wholes: NDArray[np.int64], first: int, bits: NDArray[np.uint32]) -> None:
    """Set the bits of the tests of time."""
    n = bits.size
    earlier, now = ts[:n], ts[1 : n + 1]
    gap, nominal, jitter, drift = wholes[3], wholes[4], wholes[5], wholes[6]
    for k in range(n):
        step = now[k] - earlier[k]
        late = step > gap
        uneven = (step > 0) & (step <= gap) & (abs(step - nominal) > jitter)
        bits[k] |= (
            (np.uint32(late) << np.uint32(GAP))
            | (np.uint32(step == 0) << np.uint32(DUPLICATE))
            | (np.uint32(step < 0) << np.uint32(REVERSED))
            | (np.uint32(uneven) << np.uint32(JITTER))
        )
    if nominal > 0:
        each = float(nominal)
        for k in range(n):
            since = now[k] - first
            # The whole number of periods may be off by one at a half, where the distance is the same from either side.
            rest = abs(since - np.int64(float(since) / each + 0.5) * nominal)
            distance = rest if rest < nominal - rest else nominal - rest
            bits[k] |= np.uint32((since > 0) & (distance > drift)) << np.uint32(DRIFT)


@njit(cache=True, nogil=True)
def _flat(
    x: NDArray[np.float64],
    ts: NDArray[np.int64],
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    bits: NDArray[np.uint32],
) -> None:
    """Follow runs of values within a tolerance of their first, by elapsed time."""
    tolerance, suspect, fail = reals[10], wholes[0], wholes[1]
    anchor, start, active = values[2], counts[3], counts[4] != 0
    for k in range(bits.size):
        here = x[k]
        if abs(here - anchor) <= tolerance and active:
            elapsed = ts[k] - start
            bits[k] |= RUN
            if elapsed >= suspect:
                bits[k] |= np.uint32(1 << FLAT)
            if elapsed >= fail:
                bits[k] |= np.uint32(1 << FLAT | 1 << (FLAT + FAIL))
        elif here == here:
            anchor, start, active = here, ts[k], True
        elif active:
            bits[k] |= RUN
    values[2], counts[3], counts[4] = anchor, start, active


@njit(cache=True, nogil=True)
def _attenuated(
    x: NDArray[np.float64],
    ts: NDArray[np.int64],
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    bits: NDArray[np.uint32],
) -> None:
    """Compare the range over the panes of a window with a threshold; values[5:] holds the least and largest of earlier panes."""
    threshold, width = reals[11], max(wholes[2] // PANES, 1)
    least, most = values[3], values[4]
    pane = counts[6]
    end = (pane + 1) * width
    low, high, filled = math.inf, -math.inf, 0
    for p in range(PANES):
        filled += values[5 + p] <= values[5 + PANES + p]
        low, high = min(low, values[5 + p]), max(high, values[5 + PANES + p])
    ready = counts[5] <= (pane - PANES) * width and 2 * filled >= PANES
    for k in range(bits.size):
        if ts[k] >= end:
            moved = ts[k] // width - pane
            pane += moved
            for _ in range(min(moved, PANES + 1)):
                for p in range(PANES - 1, 0, -1):
                    values[5 + p] = values[4 + p]
                    values[5 + PANES + p] = values[4 + PANES + p]
                values[5], values[5 + PANES] = least, most
                least, most = math.inf, -math.inf
            end = (pane + 1) * width
            low, high, filled = math.inf, -math.inf, 0
            for p in range(PANES):
                filled += values[5 + p] <= values[5 + PANES + p]
                low, high = min(low, values[5 + p]), max(high, values[5 + PANES + p])
            ready = counts[5] <= (pane - PANES) * width and 2 * filled >= PANES
        here = x[k]
        if here == here:
            least = here if here < least else least
            most = here if here > most else most
            top = most if most > high else high
            bottom = least if least < low else low
            bits[k] |= np.uint32(ready and top - bottom < threshold) << np.uint32(ATTENUATED)
    values[3], values[4], counts[6] = least, most, pane


@njit(cache=True, nogil=True)
def scan(
    time: NDArray[np.int64],
    value: NDArray[np.float64],
    valid: NDArray[np.uint8],
    sentinels: NDArray[np.float64],
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    final: bool,
    bits: NDArray[np.uint32],
    flags: NDArray[np.uint8],
) -> int:
    """Test some rows after those before, fill bits and flags of the settled ones, return their number; -1: a time out of range."""
    xs, ts = np.empty(BLOCK + 3), np.empty(BLOCK + 3, np.int64)
    coded = np.empty(BLOCK + 3, np.uint8)
    mask = wholes[7]
    # Missing, codes and infinities are told whatever is chosen.
    told = np.uint32(mask | mask << FAIL | 1 << MISSING | 1 << SENTINEL | 1 << RANGE) | RUN
    told |= np.uint32(1 << MISSING | 1 << SENTINEL | 1 << RANGE) << np.uint32(FAIL)
    done = at = 0
    last = False
    while not last:
        taken = min(BLOCK, time.size - at)
        last = at + taken == time.size
        if counts[0] == 0 and taken > 0:  # a row of nothing stands before the first
            values[0], counts[1], counts[5] = math.nan, time[at] - 1, time[at]
            counts[6] = time[at] // max(wholes[2] // PANES, 1)
        xs[0], ts[0], xs[1], ts[1] = values[0], counts[1], values[1], counts[2]
        begin = 1 + min(counts[0], 1)
        have = begin + taken
        out_of_range = np.int64(0)
        for k in range(taken):
            ts[begin + k] = time[at + k]
            out_of_range |= time[at + k] ^ (time[at + k] << 1)
        if out_of_range < 0:
            return -1
        for k in range(taken):
            xs[begin + k] = value[at + k]
        if valid.size:
            for k in range(taken):
                xs[begin + k] = xs[begin + k] if valid[at + k] != 0 else math.nan
        at += taken
        xs[have], ts[have] = math.nan, ts[have - 1]
        rows = have - 1 if last and final else have - 2  # the last row waits for its successor
        if have >= 2:
            values[0], counts[1], values[1], counts[2] = xs[have - 2], ts[have - 2], xs[have - 1], ts[have - 1]
        if rows > 0:
            some, verdict = bits[done : done + rows], flags[done : done + rows]
            some[:] = 0
            if sentinels.size:
                coded[: have + 1] = 0
                for code in sentinels:
                    for k in range(have):
                        coded[k] |= xs[k] == code
                for k in range(have):
                    xs[k] = math.nan if coded[k] else xs[k]
                for k in range(rows):
                    some[k] = np.uint32(coded[k + 1]) * np.uint32(1 << SENTINEL | 1 << (SENTINEL + FAIL))
            _single(xs, ts, reals, some, verdict, mask)
            if mask & (1 << GAP | 1 << DUPLICATE | 1 << REVERSED | 1 << JITTER | 1 << DRIFT):
                _clock(ts, wholes, counts[5], some)
                opening = verdict[0]
                verdict[:] = 1
                if counts[0] < 2:
                    verdict[0] = opening
                    some[0] &= ~np.uint32(1 << GAP | 1 << DUPLICATE | 1 << REVERSED | 1 << JITTER)
            if mask & (1 << FLAT):
                _flat(xs[1:], ts[1:], reals, wholes, values, counts, some)
            if mask & (1 << ATTENUATED):
                _attenuated(xs[1:], ts[1:], reals, wholes, values, counts, some)
            for k in range(rows):
                found = some[k] & told
                some[k] = found
                flag = np.uint8(1) if verdict[k] else np.uint8(2)
                flag = np.uint8(3) if found & np.uint32(0x7FFF) else flag
                flag = np.uint8(4) if found >> np.uint32(FAIL) else flag
                verdict[k] = np.uint8(9) if found & np.uint32(1 << MISSING) else flag
            done += rows
            counts[0] = 2
        elif taken:
            counts[0] = max(counts[0], 1)
    return done
