"""Figures of windows: two passes over each, the second from the cache."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def describe(
    values: NDArray[np.floating[Any]], offsets: NDArray[np.int64], run: int, counts: NDArray[np.int64], figures: NDArray[np.float64]
) -> None:
    """Fill counts (finite, NaN, infinite; in runs at the least, the greatest, elsewhere) and figures (least, greatest, mean, deviation)."""
    for window in range(offsets.shape[0] - 1):
        describe_one(values, offsets[window], offsets[window + 1], run, window, counts, figures)


@njit(nogil=True, error_model="numpy", inline="always")
def describe_one(
    values: NDArray[np.floating[Any]],
    first: int,
    last: int,
    run: int,
    window: int,
    counts: NDArray[np.int64],
    figures: NDArray[np.float64],
) -> None:
    """Fill the column of a window."""
    finite = nan = 0
    total, least, greatest = 0.0, math.inf, -math.inf
    for i in range(first, last):
        sample = np.float64(values[i])
        if abs(sample) < math.inf:
            finite += 1
            total += sample
            least, greatest = min(least, sample), max(greatest, sample)
        else:
            nan += int(sample != sample)
    counts[0, window], counts[1, window], counts[2, window] = finite, nan, last - first - finite - nan
    if finite == 0:
        return
    mean = total / finite
    squares, length, before = 0.0, 0, math.nan
    for i in range(first, last):
        sample = np.float64(values[i])
        if sample != before:
            if length >= run:
                counts[3 if before == least else 4 if before == greatest else 5, window] += length
            length = 0
        length += int(abs(sample) < math.inf)
        before = sample
        if abs(sample) < math.inf:
            squares += (sample - mean) * (sample - mean)
    if length >= run:
        counts[3 if before == least else 4 if before == greatest else 5, window] += length
    figures[0, window], figures[1, window] = least + 0.0, greatest + 0.0
    figures[2, window], figures[3, window] = mean, math.sqrt(squares / finite)
