"""Hampel's identifier in Numba: the windows of many rows are sorted side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANES = 64


@njit(cache=True, nogil=True)
def _middle(sorted_: NDArray[np.float64], n: int) -> float:
    """Return the median of the first n, at least one, sorted numbers."""
    half = n // 2
    return float(sorted_[half]) if n % 2 else float((sorted_[half - 1] + sorted_[half]) / 2)


@njit(cache=True, nogil=True)
def _one(value: NDArray[np.float64], row: int, window: int, sigmas: float, floor: float, held: NDArray[np.float64]) -> int:
    """Judge one row whose window is cut or has values missing."""
    half = window // 2
    if not math.isfinite(value[row]):
        return 2
    n = 0
    for k in range(max(row - half, 0), min(row + half + 1, value.size)):
        if math.isfinite(value[k]):
            held[n] = value[k]
            n += 1
    if n <= half:
        return 2
    held[:n].sort()
    median = _middle(held, n)
    for k in range(n):
        held[k] = abs(held[k] - median)
    held[:n].sort()
    return 3 if abs(value[row] - median) > max(sigmas * _middle(held, n), floor) else 1


@njit(cache=True, nogil=True)
def hampel(
    value: NDArray[np.float64], window: int, sigmas: float, floor: float, pairs: NDArray[np.int64], flags: NDArray[np.uint8]
) -> None:
    """Fill flags: windows of LANES rows are sorted side by side by one network of comparisons."""
    half = window // 2
    lanes = np.empty((window, LANES))
    held = np.empty(window)
    best, worst = np.empty(LANES), np.empty(LANES)
    row = 0
    while row < value.size:
        whole = row >= half and row + LANES + half <= value.size
        if whole:
            total = 0.0
            for k in range(row - half, row + LANES + half):
                total += value[k] * 0.0  # NaN if one is missing or infinite
            whole = total == 0.0
        if not whole:
            for k in range(row, min(row + LANES, value.size)):
                flags[k] = _one(value, k, window, sigmas, floor, held)
            row += LANES
            continue
        for w in range(window):
            for k in range(LANES):
                lanes[w, k] = value[row - half + w + k]
        for p in range(len(pairs)):
            upper, lower = lanes[pairs[p, 0]], lanes[pairs[p, 1]]
            for k in range(LANES):
                a, b = upper[k], lower[k]
                upper[k] = a if a < b else b
                lower[k] = b if a < b else a
        # The deviations below and above the median are sorted too: their middle is the least of the larger ends of all splits.
        median = lanes[half]
        for k in range(LANES):
            best[k] = median[k] - lanes[0, k]
        for j in range(half):
            below, above = lanes[half - j], lanes[window - 1 - j]
            for k in range(LANES):
                a, b = median[k] - below[k], above[k] - median[k]
                worst[k] = a if a > b else b
                best[k] = worst[k] if worst[k] < best[k] else best[k]
        for k in range(LANES):
            limit = sigmas * best[k]
            limit = limit if limit > floor else floor
            flags[row + k] = 3 if abs(value[row + k] - median[k]) > limit else 1
        row += LANES
