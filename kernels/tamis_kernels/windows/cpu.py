"""Figures of windows: two passes over each, the second from the cache.

CUDA shares `tell`, and has passes of its own, which take fewer instructions there and go on from tile to tile.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s

Seen = tuple[int, int, float, float, float]
"""What the first pass finds: finite samples, NaN; sum, least, greatest."""
Followed = tuple[float, int, float, int, int, int]
"""What the second one does: squares; length and value of the run in hand; samples in runs that have ended: least, greatest, others."""
UNSEEN: Seen = (0, 0, 0.0, math.inf, -math.inf)
UNFOLLOWED: Followed = (0.0, 0, math.nan, 0, 0, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def describe(values: Floats, offsets: Int64s, run: int, counts: Int64s, figures: Float64s) -> None:
    """Fill counts (finite, NaN, infinite; in runs at the least, the greatest, elsewhere) and figures (least, greatest, mean, deviation)."""
    for window in range(offsets.shape[0] - 1):
        samples = values[offsets[window] : offsets[window + 1]]
        seen = survey(samples)
        tell(window, samples.size, run, seen, follow(samples, run, seen), counts, figures)


@njit(nogil=True, error_model="numpy", inline="always")
def survey(samples: Floats) -> Seen:
    """Count and add up the samples of a window."""
    finite, nan, total, least, greatest = UNSEEN
    for i in range(samples.size):
        sample = np.float64(samples[i])
        if abs(sample) < math.inf:
            finite += 1
            total += sample
            least, greatest = min(least, sample), max(greatest, sample)
        else:
            nan += int(sample != sample)
    return finite, nan, total, least, greatest


@njit(nogil=True, error_model="numpy", inline="always")
def follow(samples: Floats, run: int, seen: Seen) -> Followed:
    """Add up the squares of a surveyed window's samples, and follow its runs."""
    finite, _, total, least, greatest = seen
    mean = total / max(finite, 1)
    squares, length, before, at_least, at_greatest, elsewhere = UNFOLLOWED
    for i in range(samples.size):
        sample = np.float64(samples[i])
        if sample != before:
            if length >= run:
                at_least += length if before == least else 0
                at_greatest += length if before == greatest and before != least else 0
                elsewhere += length if before != least and before != greatest else 0
            length = 0
        length += int(abs(sample) < math.inf)
        before = sample
        if abs(sample) < math.inf:
            squares += (sample - mean) * (sample - mean)
    return squares, length, before, at_least, at_greatest, elsewhere


@njit(nogil=True, error_model="numpy", inline="always")
def tell(window: int, size: int, run: int, seen: Seen, followed: Followed, counts: Int64s, figures: Float64s) -> None:
    """Fill the column of a window."""
    finite, nan, total, least, greatest = seen
    squares, length, before, at_least, at_greatest, elsewhere = followed
    counts[0, window], counts[1, window], counts[2, window] = finite, nan, size - finite - nan
    if finite > 0:
        counts[3, window], counts[4, window], counts[5, window] = at_least, at_greatest, elsewhere
        if length >= run:
            counts[3 if before == least else 4 if before == greatest else 5, window] += length
        figures[0, window], figures[1, window] = least + 0.0, greatest + 0.0
        figures[2, window], figures[3, window] = total / finite, math.sqrt(squares / finite)
