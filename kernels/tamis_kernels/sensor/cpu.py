"""Quality control of one series, a block at a time: what no value within the block's extremes can fail is not tested row by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.sensor.ahead import ask_for
from tamis_kernels.sensor.identifier import hampel
from tamis_kernels.sensor.layout import (
    ATTENUATED,
    CODE,
    DRIFT,
    DUPLICATE,
    FLAT,
    GAP,
    JITTER,
    NONE,
    OFF_GRID,
    PANES,
    RANGE,
    RATE,
    REVERSED,
    SATURATED,
    SPIKE,
    Rows,
    State,
)
from tamis_kernels.sensor.panes import attenuated, survey
from tamis_kernels.sensor.runs import flat
from tamis_kernels.sensor.verdicts import drift_bits, flag_of, rail_bits, rate_bits, span_bits, spike_bits, step_bits

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s, Uint32s

__all__ = ["hampel", "scan", "scan_groups"]

HALF = 2.0**1023  # the sum of two numbers below it is finite
BLOCK = 1024  # rows of scratch, which stay in the first-level cache


@of_views
def _range(x: Float64s, reals: Float64s, bits: Uint32s) -> None:
    fail_low, fail_high, low, high = reals[0], reals[1], reals[2], reals[3]
    for k in range(bits.size):
        bits[k] |= span_bits(x[k], fail_low, fail_high, low, high)


@of_views
def _spike(xs: Float64s, reals: Float64s, bits: Uint32s) -> None:
    n = bits.size
    before, x, after = xs[:n], xs[1 : n + 1], xs[2 : n + 2]
    average, average_fail, differential, differential_fail = reals[4], reals[5], reals[6], reals[7]
    for k in range(n):
        bits[k] |= spike_bits(before[k], x[k], after[k], average, average_fail, differential, differential_fail)


@of_views
def _rate(xs: Float64s, ts: Int64s, reals: Float64s, bits: Uint32s) -> None:
    n = bits.size
    before, x, earlier, now = xs[:n], xs[1 : n + 1], ts[:n], ts[1 : n + 1]
    rate, rate_fail = reals[8], reals[9]
    for k in range(n):
        bits[k] |= rate_bits(before[k], x[k], earlier[k], now[k], rate, rate_fail)


@of_views
def _saturated(xs: Float64s, reals: Float64s, bits: Uint32s) -> None:
    n = bits.size
    before, x, after = xs[:n], xs[1 : n + 1], xs[2 : n + 2]
    low, high = reals[12], reals[13]
    for k in range(n):
        bits[k] |= rail_bits(before[k], x[k], after[k], low, high)


@of_views
def _clock(ts: Int64s, wholes: Int64s, told: np.uint32, bits: Uint32s) -> None:
    """Set the bits of the tests of steps."""
    n = bits.size
    earlier, now = ts[:n], ts[1 : n + 1]
    gap, nominal, jitter = wholes[3], wholes[4], wholes[5]
    for k in range(n):
        bits[k] |= step_bits(now[k] - earlier[k], gap, nominal, jitter) & told


@of_views
def _drift(now: Int64s, wholes: Int64s, first: int, bits: Uint32s) -> None:
    """Set the bits of times that are off the grid."""
    nominal, drift = wholes[4], wholes[6]
    for k in range(bits.size):
        bits[k] |= drift_bits(now[k] - first, nominal, drift)


@of_views
def _roll_up(bits: Uint32s, flags: Uint8s) -> None:
    """Turn bits into flags, which say whether a row was evaluated."""
    for k in range(bits.size):
        flags[k] = flag_of(bits[k], flags[k])


@of_views
def _evaluate(xs: Float64s, ts: Int64s, mask: int, opening: bool, flags: Uint8s) -> None:
    """Write 1 where one of the chosen tests could judge the row, else 2."""
    always = mask & (1 << RANGE | 1 << FLAT | 1 << ATTENUATED | 1 << SATURATED) != 0
    of_time = mask & (1 << GAP | 1 << DUPLICATE | 1 << REVERSED | 1 << JITTER | 1 << DRIFT) != 0
    flags[:] = 1
    if always or (of_time and not opening):
        return
    spike, rate = mask & 1 << SPIKE != 0, mask & 1 << RATE != 0
    for k in range(1 if of_time else flags.size):
        left, right = xs[k] == xs[k], xs[k + 2] == xs[k + 2]
        flags[k] = 1 if (spike & left & right) | (rate & left & (ts[k + 1] > ts[k])) else 2


@of_views
def _block(
    xs: Float64s,
    ts: Int64s,
    coming: tuple[Int64s, Floats],
    marks: Uint8s,
    sentinels: Float64s,
    reals: Float64s,
    wholes: Int64s,
    values: Float64s,
    counts: Int64s,
    bits: Uint32s,
    flags: Uint8s,
) -> None:
    """Test the rows of a block; xs and ts have one row more at either end, and `coming` the times and values of the next block.

    A block is first asked for its extremes: a test that no value within them can fail is passed over. The extremes of a block with values
    missing are NaN, which fail every comparison, so that all of its tests are made.
    """
    n, mask = bits.size, wholes[7]
    opening = counts[0] < 2
    bits[:] = 0
    found = False
    shortest, longest, low, high, largest = survey(xs, ts)
    ask_for(coming, 0)
    for code in sentinels:
        if not ((code < low or code > high) and xs[0] != code and xs[n + 1] != code):
            for k in range(n):
                bits[k] |= CODE if xs[k + 1] == code else NONE
            for k in range(n + 2):
                xs[k] = math.nan if xs[k] == code else xs[k]
            low, high, largest = math.nan, math.nan, math.nan
    whole = low > -math.inf and high < math.inf
    if not (whole and low >= max(reals[0], reals[2]) and high <= min(reals[1], reals[3])):
        _range(xs[1:], reals, bits)
        found = True
    # A mean of two neighbours lies between them, rounded as it may be, so that no row is farther from it than from one of the two.
    bend = largest if max(abs(low), abs(high), abs(xs[0]), abs(xs[n + 1])) < HALF else math.inf
    if mask & 1 << SPIKE and not (bend < min(reals[4], reals[5]) and largest <= min(reals[6], reals[7])):
        _spike(xs, reals, bits)
        found = True
    ask_for(coming, 1)
    if mask & 1 << RATE and not (shortest > 0 and largest * 1e9 <= min(reals[8], reals[9]) * float(shortest)):
        _rate(xs, ts, reals, bits)
        found = True
    if mask & 1 << SATURATED and not (low > reals[12] and high < reals[13]):
        _saturated(xs, reals, bits)
        found = True
    steady = 0 < shortest == longest <= wholes[3] and (wholes[4] == 0 or abs(shortest - wholes[4]) <= wholes[5])
    if not steady:
        first = bits[0]
        _clock(ts, wholes, np.uint32(mask), bits)
        found = True
        if opening:
            bits[0] = first
    if mask & 1 << DRIFT and wholes[4] > 0:
        now = ts[1 : n + 1]
        same = shortest == longest == wholes[4] and now[0] > counts[5]  # then all rows are as far from the grid as the first
        _drift(now[: 1 if same else n], wholes, counts[5], bits[: 1 if same else n])
        if same and bits[0] & OFF_GRID:
            bits |= OFF_GRID
        found |= not same or bits[0] & OFF_GRID != 0
    ask_for(coming, 2)
    if mask & 1 << FLAT:
        found |= flat(xs, ts, longest, (reals[10], min(wholes[0], wholes[1]), wholes[1]), marks, values, counts, bits)
    ask_for(coming, 3)
    if mask & 1 << ATTENUATED:
        found |= attenuated(xs[1:], ts[1:], (low, high), shortest >= 0, reals[11], max(wholes[2] // PANES, 1), values, counts, bits)
    ask_for(coming, 4)
    _evaluate(xs, ts, mask, opening, flags)
    if found:
        _roll_up(bits, flags)
    ask_for(coming, 5)


@of_views
def _scan(rows: Rows, state: State, final: bool, bits: Uint32s, flags: Uint8s, room: tuple[Float64s, Int64s, Uint8s]) -> int:
    """Do what `scan` does; `room` is for the values, the times and the marks of a block."""
    time, value, valid, sentinels = rows
    reals, wholes, values, counts = state
    xs, ts, marks = room
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
        # Slices, for Numba wraps an index around that may be negative, which keeps a loop from being one over vectors.
        out_of_range = np.int64(0)
        times, new_ts = time[at : at + taken], ts[begin:have]
        for k in range(times.size):
            new_ts[k] = times[k]
            out_of_range |= times[k] ^ (times[k] << 1)
        if out_of_range < 0:
            return -1
        readings, new_xs = value[at : at + taken], xs[begin:have]
        for k in range(readings.size):
            new_xs[k] = readings[k]
        if valid.size:
            there = valid[at : at + taken]
            for k in range(there.size):
                new_xs[k] = new_xs[k] if there[k] != 0 else math.nan
        at += taken
        xs[have], ts[have] = math.nan, ts[have - 1]
        settled = have - 1 if last and final else have - 2  # the last row waits for its successor
        if have >= 2:
            values[0], counts[1], values[1], counts[2] = xs[have - 2], ts[have - 2], xs[have - 1], ts[have - 1]
        if settled > 0:
            stop = done + settled
            _block(
                xs[: settled + 2],
                ts[: settled + 2],
                (time[at : at + BLOCK], value[at : at + BLOCK]),
                marks,
                sentinels,
                reals,
                wholes,
                values,
                counts,
                bits[done:stop],
                flags[done:stop],
            )
            done = stop
            counts[0] = 2
        elif taken:
            counts[0] = max(counts[0], 1)
    return done


@njit(cache=True, nogil=True)
def _room() -> tuple[Float64s, Int64s, Uint8s]:
    return np.empty(BLOCK + 3), np.empty(BLOCK + 3, np.int64), np.zeros((2, BLOCK + 8), np.uint8)


@njit(cache=True, nogil=True)
def scan(rows: Rows, state: State, final: bool, bits: Uint32s, flags: Uint8s) -> int:
    """Test some rows after those before, fill bits and flags of the settled ones, return their number; -1: a time out of range."""
    return _scan(rows, state, final, bits, flags, _room())


@njit(cache=True, nogil=True)
def scan_groups(rows: Rows, state: State, offsets: Int64s, bits: Uint32s, flags: Uint8s) -> int:
    """Test many series, each from the state that values and counts hold; return the first with a time out of range, or -1."""
    time, value, valid, sentinels = rows
    own, room = State(state.reals, state.wholes, np.empty_like(state.values), np.empty_like(state.counts)), _room()
    for group in range(offsets.size - 1):
        a, b = offsets[group], offsets[group + 1]
        own.values[:], own.counts[:] = state.values, state.counts
        part = Rows(time[a:b], value[a:b], valid[a:b] if valid.size else valid, sentinels)
        if _scan(part, own, True, bits[a:b], flags[a:b], room) < 0:
            return group
    return -1
