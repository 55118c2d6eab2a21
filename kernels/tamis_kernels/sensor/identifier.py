"""Hampel's identifier by sorted windows that slide: each lane is a stretch of the series, and all lanes step side by side.

A step takes the oldest value out of each window and puts the next one in, where it belongs, which is a comparison, a choice, a minimum and
a maximum for each place of the window, and no branch: LLVM makes vectors of lanes. A missing value is an infinity at the far end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Uint8s

LANES = 64
STEPS = 250  # rows of a lane in a block; no power of two, whose strides would share a few sets of the cache
PLACES = 4  # places of the window that are visited at once, so that what passes from one to the next stays in registers


@njit(cache=True, nogil=True)
def _load(value: Float64s, first: int, near: Float64s) -> int:
    """Fill near with the values from row first on, infinite where there is none or it is not finite; return how many are infinite."""
    low, high = max(-first, 0), min(value.size - first, near.size)
    near[:low] = math.inf
    near[high:] = math.inf
    holes = near.size - (high - low)
    part, target = value[first + low : first + high], near[low:high]
    for k in range(target.size):
        there = abs(part[k]) < math.inf
        target[k] = part[k] if there else math.inf
        holes += not there
    return holes


@njit(cache=True, nogil=True)
def _slide(ordered: Float64s, passed: Float64s, old: Float64s, new: Float64s) -> None:
    """Replace old by new in each lane's sorted window, in which it stands; ordered has one place more than is sorted."""
    passed[:] = -math.inf
    for at in range(0, ordered.size - LANES, PLACES * LANES):
        window = ordered[at : at + (PLACES + 1) * LANES]
        for k in range(LANES):
            gone, come = old[k], new[k]
            a, b, c, d, e = window[k], window[LANES + k], window[2 * LANES + k], window[3 * LANES + k], window[4 * LANES + k]
            # Without the old value: what follows it moves down by a place. With the new one: what is larger moves up.
            a = a if a < gone else b
            b = b if b < gone else c
            c = c if c < gone else d
            d = d if d < gone else e
            p = a if a < come else come
            q = b if b < come else come
            r = c if c < come else come
            s = d if d < come else come
            before = passed[k]
            window[k] = p if p > before else before
            window[LANES + k] = q if q > a else a
            window[2 * LANES + k] = r if r > b else b
            window[3 * LANES + k] = s if s > c else c
            passed[k] = d


@njit(cache=True, nogil=True)
def _deviations(ordered: Float64s, window: int, best: Float64s) -> None:
    """Fill best with the median deviation of each lane: the least of the larger ends of all halves that hold the median."""
    half = window // 2
    median, lowest = ordered[half * LANES : (half + 1) * LANES], ordered[:LANES]
    for k in range(LANES):
        best[k] = median[k] - lowest[k]
    for j in range(1, half + 1):
        below, above = ordered[j * LANES : (j + 1) * LANES], ordered[(half + j) * LANES : (half + j + 1) * LANES]
        for k in range(LANES):
            a, b = median[k] - below[k], above[k] - median[k]
            worst = a if a > b else b
            best[k] = worst if worst < best[k] else best[k]


@njit(cache=True, nogil=True)
def _reach(ordered: Float64s, there: int, median: float, count: int) -> float:
    """Return how far from the median the farthest is of the `count` nearest of the values that are there.

    They lie side by side. Of all stretches of as many, the search finds the first that reaches as far up as down, or farther.
    """
    low, high = 0, there - count
    while low < high:
        first = (low + high) // 2
        if ordered[first + count - 1] - median < median - ordered[first]:
            low = first + 1
        else:
            high = first
    reach = float(max(ordered[low + count - 1] - median, median - ordered[low]))
    return min(reach, float(median - ordered[low - 1])) if low > 0 else reach


@njit(cache=True, nogil=True)
def _partial(here: float, ordered: Float64s, there: int, sigmas: float, floor: float) -> int:
    """Judge a row of whose window only the first places of ordered, at least two, are there."""
    half = there // 2
    if there % 2:
        median = ordered[half]
        limit = sigmas * _reach(ordered, there, median, half + 1)
    else:
        median = (ordered[half - 1] + ordered[half]) / 2
        limit = sigmas * ((_reach(ordered, there, median, half) + _reach(ordered, there, median, half + 1)) / 2)
    return 3 if abs(here - median) > (floor if floor > limit else limit) else 1


@njit(cache=True, nogil=True)
def hampel(value: Float64s, window: int, sigmas: float, floor: float, flags: Uint8s) -> None:
    """Fill flags with 1 near the median of the window, 3 away from it, 2 where more than half of the window is missing."""
    half = window // 2
    places = (window + PLACES - 1) // PLACES * PLACES + 1
    near = np.empty(LANES * STEPS + window - 1)
    ordered = np.empty(places * LANES)
    old, new, passed, best = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    missing, verdict = np.empty(LANES, np.int64), np.empty(LANES, np.uint8)
    for row in range(0, value.size, LANES * STEPS):
        steps = min(STEPS, (value.size - row + LANES - 1) // LANES)
        holes = _load(value, row - half, near[: LANES * steps + window - 1])
        ordered[:], old[:], missing[:] = math.inf, math.inf, window
        for step in range(steps + window - 1):
            for k in range(LANES):
                new[k] = near[k * steps + step]
            if step >= window:
                for k in range(LANES):
                    old[k] = near[k * steps + step - window]
            _slide(ordered, passed, old, new)
            if holes:
                for k in range(LANES):
                    missing[k] += int(new[k] == math.inf) - int(old[k] == math.inf)
            if step < window - 1:
                continue
            _deviations(ordered, window, best)
            for k in range(LANES):
                new[k] = near[k * steps + step - half]
            median = ordered[half * LANES : (half + 1) * LANES]
            for k in range(LANES):
                limit = sigmas * best[k]
                verdict[k] = 3 if abs(new[k] - median[k]) > (floor if floor > limit else limit) else 1
            first = row + step - (window - 1)
            if holes:
                for k in range(LANES):
                    there = window - missing[k]
                    if new[k] == math.inf or there <= half:
                        verdict[k] = 2
                    elif there < window:
                        verdict[k] = _partial(new[k], ordered[k::LANES], there, sigmas, floor)
            for k in range(min(LANES, (value.size - first + steps - 1) // steps)):
                flags[first + k * steps] = verdict[k]
