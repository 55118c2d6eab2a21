"""The bits of the tests, alone and with that of a failure, and what the passes agree on."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s

PANES = 8

MISSING, SENTINEL, RANGE, SPIKE, RATE, FLAT, ATTENUATED, GAP, DUPLICATE, REVERSED, SATURATED, HAMPEL, JITTER, DRIFT = range(14)
RUN = np.uint32(1 << 15)
FAIL = 16
NEVER = np.int64(2**63 - 1)
NONE = np.uint32(0)
GONE = np.uint32(1 << MISSING | 1 << (MISSING + FAIL))
CODE = np.uint32(1 << SENTINEL | 1 << (SENTINEL + FAIL))
BEYOND, FAR_BEYOND = np.uint32(1 << RANGE), np.uint32(1 << RANGE | 1 << (RANGE + FAIL))
BENT, SHARPLY_BENT = np.uint32(1 << SPIKE), np.uint32(1 << SPIKE | 1 << (SPIKE + FAIL))
FAST, TOO_FAST = np.uint32(1 << RATE), np.uint32(1 << RATE | 1 << (RATE + FAIL))
STUCK, LONG_STUCK = np.uint32(1 << FLAT), np.uint32(1 << FLAT | 1 << (FLAT + FAIL))
WEAK, RAIL = np.uint32(1 << ATTENUATED), np.uint32(1 << SATURATED)
LATE, TWICE, BACK = np.uint32(1 << GAP), np.uint32(1 << DUPLICATE), np.uint32(1 << REVERSED)
UNEVEN, OFF_GRID = np.uint32(1 << JITTER), np.uint32(1 << DRIFT)
SUSPECT = np.uint32(0x7FFF)
FULL = np.uint64(0x0101010101010101)


class Rows(NamedTuple):
    """Rows of series, one after the other.

    Attributes
    ----------
    time
        int64[rows].
    value
        float32 or float64[rows].
    valid
        uint8[rows], or empty where all are.
    sentinels
        float64: what stands for a missing value.
    """

    time: Int64s
    value: Floats
    valid: Uint8s
    sentinels: Float64s


class State(NamedTuple):
    """The limits, and what is carried from row to row.

    Attributes
    ----------
    reals, wholes
        Those of `Limits`.
    values, counts
        float64 and int64: the last rows, and what the tests of runs and panes hold.
    """

    reals: Float64s
    wholes: Int64s
    values: Float64s
    counts: Int64s


class Levels(NamedTuple):
    """The limits of the tests, as CUDA kernels are given them: beside the code, where an instruction has them without a load.

    Attributes
    ----------
    fail_low, fail_high, low, high
        Of `range`.
    bend, bend_fail, peak, peak_fail
        Of `spike`, by the mean of both neighbours and by the nearer one.
    rate, rate_fail, tolerance, weak, rail_low, rail_high
        Of `rate`, `flat`, `attenuated` and `saturated`.
    frequency
        Nominal steps a nanosecond.
    code
        The first of the sentinels, NaN where there is none.
    suspect, fail
        Of `flat`: how long a run lasts, where the first is the shorter one.
    width
        Of a pane.
    gap, nominal, jitter, drift, mask
        As in `Limits.wholes`.
    shortest, longest
        Steps between these are told by no test, and are no more than 2^62.
    off
        Times that are less than this from the grid are not told.
    told
        Bits that may be set.
    """

    fail_low: float
    fail_high: float
    low: float
    high: float
    bend: float
    bend_fail: float
    peak: float
    peak_fail: float
    rate: float
    rate_fail: float
    tolerance: float
    weak: float
    rail_low: float
    rail_high: float
    frequency: float
    code: float
    suspect: int
    fail: int
    width: int
    gap: int
    nominal: int
    jitter: int
    drift: int
    mask: int
    shortest: int
    longest: int
    off: int
    told: int


def levels_of(reals: Float64s, wholes: Int64s, sentinels: Float64s) -> Levels:
    """Return the limits of `Limits.reals` and `Limits.wholes` for kernels."""
    suspect, fail, window, gap, nominal, jitter, drift, mask = wholes.tolist()
    shortest, longest = max(1, nominal - jitter), min(gap, nominal + jitter, 1 << 62)
    if nominal > 1 << 61:  # distances from its grid do not add up in 64 bits
        shortest, longest = 1, 0
    off = min(drift, nominal) + 1 if nominal and mask & 1 << DRIFT else int(NEVER)
    code = float(sentinels[0]) if sentinels.size else math.nan
    told = mask | 1 << MISSING | 1 << SENTINEL | 1 << RANGE
    told |= told << FAIL | (int(RUN) if mask & 1 << FLAT else 0)
    numbers: list[Any] = [
        *reals.tolist(), 1.0 / max(nominal, 1), code, min(suspect, fail), fail, max(window // PANES, 1), gap, max(nominal, 1), jitter,
        drift, mask, shortest, longest, off, told,
    ]  # fmt: skip
    return Levels(*numbers)
