"""Extremes: of a block, and of the panes of a window that moves by an eighth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tamis_kernels.sensor.layout import NEVER, PANES, WEAK

if TYPE_CHECKING:
    from numpy.typing import NDArray


HIGHEST = np.int64(0x7FF0000000000000)  # the bits of infinity; those of its negative, in the order of the floats, are ~HIGHEST


@njit(cache=True, nogil=True)
def extent(values: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, float]:
    """Return the least and the largest value, NaN for both if one is NaN; `ends` is room for two.

    As whole numbers in the order of the floats they are found by vector loops; those of NaN lie beyond the infinities.
    """
    keys, both = values.view(np.int64), ends.view(np.int64)
    least, largest = NEVER, -NEVER
    for k in range(keys.size):
        key = keys[k] ^ ((keys[k] >> 63) & NEVER)
        least, largest = min(least, key), max(largest, key)
    both[0], both[1] = least ^ ((least >> 63) & NEVER), largest ^ ((largest >> 63) & NEVER)
    return (ends[0], ends[1]) if ends[0] == ends[0] and ends[1] == ends[1] else (math.nan, math.nan)


@njit(cache=True, nogil=True)
def extent_of_present(values: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, float]:
    """Return the least and the largest value that is there, inf and -inf where all are NaN."""
    keys, both = values.view(np.int64), ends.view(np.int64)
    least, largest = HIGHEST, ~HIGHEST
    for k in range(keys.size):
        key = keys[k] ^ ((keys[k] >> 63) & NEVER)
        there = (key <= HIGHEST) & (key >= ~HIGHEST)
        least, largest = min(least, key if there else HIGHEST), max(largest, key if there else ~HIGHEST)
    both[0], both[1] = least ^ ((least >> 63) & NEVER), largest ^ ((largest >> 63) & NEVER)
    return ends[0], ends[1]


@njit(cache=True, nogil=True)
def _earlier_panes(values: NDArray[np.float64], covered: bool) -> tuple[float, float, bool]:
    """Return the least and the largest value of the earlier panes, and whether they tell: half of them have values."""
    low, high, filled = math.inf, -math.inf, 0
    for p in range(PANES):
        filled += values[5 + p] <= values[5 + PANES + p]
        low, high = min(low, values[5 + p]), max(high, values[5 + PANES + p])
    return low, high, covered and 2 * filled >= PANES


@njit(cache=True, nogil=True)
def _until(now: NDArray[np.int64], first: int, end: int, n: int) -> int:
    """Return the first row from `first` on whose time is not before the end, or n."""
    k = first
    while k + 64 <= n:
        some = now[k : k + 64]
        inside = 0
        for row in range(64):
            inside += some[row] < end
        if inside < 64:
            break
        k += 64
    while k < n and now[k] < end:
        k += 1
    return k


@njit(cache=True, nogil=True)
def attenuated(
    x: NDArray[np.float64],
    ends: NDArray[np.float64],
    now: NDArray[np.int64],
    threshold: float,
    width: int,
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    bits: NDArray[np.uint32],
) -> bool:
    """Compare the range over the panes of a window with a threshold; values[5:] holds the least and largest of earlier panes.

    Within a pane the range only grows: where its rows begin or end on one side of the threshold, all are on that side.
    """
    weak = False
    k = 0
    while k < bits.size:
        pane = now[k] // width
        moved = max(pane - counts[6], 0)
        counts[6] += moved
        for _ in range(min(moved, PANES + 1)):
            for p in range(PANES - 1, 0, -1):
                values[5 + p] = values[4 + p]
                values[5 + PANES + p] = values[4 + PANES + p]
            values[5], values[5 + PANES] = values[3], values[4]
            values[3], values[4] = math.inf, -math.inf
        end = (counts[6] + 1) * width
        first = k
        k = _until(now, first, end, bits.size)
        low, high, ready = _earlier_panes(values, counts[5] <= (counts[6] - PANES) * width)
        if not (ready and max(values[4], high) - min(values[3], low) < threshold):
            least, most = extent(x[first:k], ends)
            if least != least:
                least, most = extent_of_present(x[first:k], ends)
            values[3], values[4] = min(values[3], least), max(values[4], most)
            continue
        for row in range(first, k):
            here = x[row]
            if here == here:
                values[3], values[4] = min(values[3], here), max(values[4], here)
                if max(values[4], high) - min(values[3], low) < threshold:
                    bits[row] |= WEAK
                    weak = True
    return weak
