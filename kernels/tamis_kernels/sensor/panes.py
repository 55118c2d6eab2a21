"""Extremes: of a block, and of the panes of a window that moves by an eighth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.sensor.layout import NEVER, PANES, WEAK

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint32s


HIGHEST = np.int64(0x7FF0000000000000)  # the bits of infinity; those of its negative, in the order of the floats, are ~HIGHEST


@of_views
def _key(number: np.int64) -> np.int64:
    """Return a whole number in the order of the floats for the bits of one, and the bits for such a number; NaN lie beyond infinities."""
    return number ^ ((number >> 63) & NEVER)


@of_views
def _ends(least: np.int64, most: np.int64) -> tuple[float, float]:
    """Return the floats of two keys, NaN for both if one is NaN."""
    low, high = np.int64(_key(least)).view(np.float64), np.int64(_key(most)).view(np.float64)
    return (low, high) if low == low and high == high else (math.nan, math.nan)


@of_views
def survey(xs: Float64s, ts: Int64s) -> tuple[int, int, float, float, float]:
    """Return the shortest and the longest step to the rows of a block, its least and largest value, and its largest rise.

    xs and ts have one row more at either end; rises are those to and from the rows. What a NaN takes part in is NaN. Floats are compared
    as whole numbers, for LLVM makes no vector loop of the extremes of floats.
    """
    n = xs.size - 2
    earlier, now, here, after = ts[:n], ts[1 : n + 1], xs[1 : n + 1], xs[2 : n + 2]
    numbers = here.view(np.int64)
    shortest, longest, least, most = NEVER, -NEVER, NEVER, -NEVER
    steepest = np.float64(abs(xs[1] - xs[0])).view(np.int64)
    for k in range(n):
        step, key = now[k] - earlier[k], _key(numbers[k])
        shortest, longest = min(shortest, step), max(longest, step)
        least, most = min(least, key), max(most, key)
        steepest = max(steepest, np.float64(abs(after[k] - here[k])).view(np.int64))
    low, high = _ends(least, most)
    return int(shortest), int(longest), low, high, float(np.int64(steepest).view(np.float64))


@of_views
def extent(values: Float64s) -> tuple[float, float]:
    """Return the least and the largest value, NaN for both if one is NaN."""
    numbers = values.view(np.int64)
    least, most = NEVER, -NEVER
    for k in range(numbers.size):
        key = _key(numbers[k])
        least, most = min(least, key), max(most, key)
    return _ends(least, most)


@of_views
def extent_of_present(values: Float64s) -> tuple[float, float]:
    """Return the least and the largest value that is there, inf and -inf where all are NaN."""
    numbers = values.view(np.int64)
    least, most = HIGHEST, ~HIGHEST
    for k in range(numbers.size):
        key = _key(numbers[k])
        there = (key <= HIGHEST) & (key >= ~HIGHEST)
        least, most = min(least, key if there else HIGHEST), max(most, key if there else ~HIGHEST)
    return _ends(least, most)


@of_views
def _earlier_panes(values: Float64s, covered: bool) -> tuple[float, float, bool]:
    """Return the least and the largest value of the earlier panes, and whether they tell: half of them have values."""
    low, high, filled = math.inf, -math.inf, 0
    for p in range(PANES):
        filled += values[5 + p] <= values[5 + PANES + p]
        low, high = min(low, values[5 + p]), max(high, values[5 + PANES + p])
    return low, high, covered and 2 * filled >= PANES


@of_views
def _until(now: Int64s, first: int, end: int, n: int) -> int:
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


@of_views
def attenuated(
    x: Float64s,
    now: Int64s,
    all_of_it: tuple[float, float],
    ordered: bool,
    threshold: float,
    width: int,
    values: Float64s,
    counts: Int64s,
    bits: Uint32s,
) -> bool:
    """Compare the range over the panes of a window with a threshold; values[5:] holds the least and largest of earlier panes.

    Within a pane the range only grows: where its rows begin or end on one side of the threshold, all are on that side. `all_of_it` is the
    extent of x, NaN where a value is missing, and `ordered` whether no time goes back.
    """
    weak, whole = False, all_of_it[0] == all_of_it[0]
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
        k = bits.size if ordered and now[bits.size - 1] < end else _until(now, first, end, bits.size)
        low, high, ready = math.inf, -math.inf, False
        if not values[4] - values[3] >= threshold:  # else this pane alone tells
            low, high, ready = _earlier_panes(values, counts[5] <= (counts[6] - PANES) * width)
        if not (ready and max(values[4], high) - min(values[3], low) < threshold):
            if not whole:
                least, most = extent_of_present(x[first:k])
            elif k - first < bits.size:
                least, most = extent(x[first:k])
            else:
                least, most = all_of_it
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
