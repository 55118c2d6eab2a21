"""What each test says of one row, as numbers alone: the loops of the processor and the threads of CUDA call the same functions."""

from __future__ import annotations

import math

import numpy as np

from tamis_kernels.compiled import njit
from tamis_kernels.sensor.layout import (
    BACK,
    BENT,
    BEYOND,
    FAIL,
    FAR_BEYOND,
    FAST,
    GONE,
    LATE,
    MISSING,
    NONE,
    OFF_GRID,
    RAIL,
    SHARPLY_BENT,
    SUSPECT,
    TOO_FAST,
    TWICE,
    UNEVEN,
)


@njit(cache=True, nogil=True)
def span_bits(here: float, fail_low: float, fail_high: float, low: float, high: float) -> np.uint32:
    """Return the bits of `range` and `missing`."""
    bit = BEYOND if (here < low) | (here > high) else NONE
    bit = FAR_BEYOND if (here < fail_low) | (here > fail_high) | (abs(here) == math.inf) else bit
    return bit if here == here else GONE


@njit(cache=True, nogil=True)
def spike_bits(
    before: float, here: float, after: float, average: float, average_fail: float, differential: float, differential_fail: float
) -> np.uint32:
    """Return the bits of `spike`."""
    up, down = here - before, after - here
    rise, fall = abs(up), abs(down)
    bend = abs(here - 0.5 * (before + after))  # a division by two would be fused on a GPU
    turned = (up < 0) != (down < 0)  # or one of them is 0, which is above no limit
    bit = BENT if (bend > average) | (turned & (rise > differential) & (fall > differential)) else NONE
    return SHARPLY_BENT if (bend > average_fail) | (turned & (rise > differential_fail) & (fall > differential_fail)) else bit


@njit(cache=True, nogil=True)
def rate_bits(before: float, here: float, earlier: int, now: int, rate: float, rate_fail: float) -> np.uint32:
    """Return the bits of `rate`."""
    step = float(now - earlier)
    rise = abs(here - before) * 1e9
    bit = FAST if (step > 0) & (rise > rate * step) else NONE
    return TOO_FAST if (step > 0) & (rise > rate_fail * step) else bit


@njit(cache=True, nogil=True)
def rail_bits(before: float, here: float, after: float, low: float, high: float) -> np.uint32:
    """Return the bit of `saturated`."""
    top = (here >= high) & ((before >= high) | (after >= high))
    bottom = (here <= low) & ((before <= low) | (after <= low))
    return RAIL if top | bottom else NONE


@njit(cache=True, nogil=True)
def step_bits(step: int, gap: int, nominal: int, jitter: int) -> np.uint32:
    """Return the bits of `gap`, `duplicate`, `reversed` and `jitter`."""
    bit = UNEVEN if abs(step - nominal) > jitter else NONE
    bit = LATE if step > gap else bit  # a gap is not negative
    bit = TWICE if step == 0 else bit
    return np.uint32(BACK if step < 0 else bit)


@njit(cache=True, nogil=True)
def drift_bits(since: int, nominal: int, drift: int) -> np.uint32:
    """Return the bit of `drift`; `since` is the time since the first row."""
    return grid_bits(since, beside_grid(since, float(since) / float(nominal), nominal), nominal, drift)


@njit(cache=True, nogil=True)
def beside_grid(since: int, periods: float, nominal: int) -> int:
    """Return how far a time since the first row, of so many periods, is behind the nearest time of the grid."""
    # The whole number of periods may be off by one at a half, where the distance is the same from either side.
    return int(since - np.int64(periods + 0.5) * nominal)


@njit(cache=True, nogil=True)
def grid_bits(since: int, behind: int, nominal: int, drift: int) -> np.uint32:
    """Return the bit of `drift` for a time since the first row that is so far behind one of the grid."""
    rest = abs(behind)
    distance = rest if rest < nominal - rest else nominal - rest
    return OFF_GRID if (since > 0) & (distance > drift) else NONE


@njit(cache=True, nogil=True)
def flag_of(found: np.uint32, evaluated: np.uint8) -> np.uint8:
    """Return the flag of a row's bits; `evaluated` is the one of a row without any."""
    flag = np.uint8(3) if np.uint32(found & SUSPECT) else evaluated
    flag = np.uint8(4) if found >> np.uint32(FAIL) else flag
    return np.uint8(9) if np.uint32(found & np.uint32(1 << MISSING)) else flag


@njit(cache=True, nogil=True)
def hampel_flag(here: float, middle: float, spread: float, sigmas: float, floor: float) -> np.uint8:
    """Return 3 where a value is far from the median of its window, else 1; `spread` is the median distance from it."""
    limit = sigmas * spread
    return np.uint8(3) if abs(here - middle) > (floor if floor > limit else limit) else np.uint8(1)
