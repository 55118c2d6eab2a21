"""Windows to words: the operations of the reference, in its order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMPTY = 255
FLAT = 2.0**-40


@njit(cache=True, nogil=True, error_model="numpy")
def _statistics(samples: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the first finite sample, the mean relative to it, and the standard deviation; NaN for none, 0 for flat."""
    first = math.nan
    largest = 0.0
    count = 0
    total = 0.0
    for sample in samples:
        if math.isfinite(sample):
            if count == 0:
                first = sample
            largest = max(largest, abs(sample))
            total += sample - first
            count += 1
    if count == 0:
        return math.nan, math.nan, 0.0
    mean = total / count
    total = 0.0
    for sample in samples:
        if math.isfinite(sample):
            deviation = (sample - first) - mean
            total += deviation * deviation
    std = math.sqrt(total / count)
    return first, mean, std if std > FLAT * largest else 0.0


# CUDA shares it for a window a thread. It takes all windows, for arrays handed over one window after another are counted up and down.
@njit(cache=True, nogil=True, error_model="numpy")
def write(
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    breakpoints: NDArray[np.float64],
    margin: float,
    out: NDArray[np.uint8],
    windows: tuple[int, int],
) -> None:
    """Fill out with the symbols of the windows from one to another, which is left out."""
    segments = out.shape[1]
    for window in range(windows[0], windows[1]):
        samples = values[offsets[window] : offsets[window + 1]]
        first, mean, std = _statistics(samples)
        for segment in range(segments):
            start = segment * samples.size // segments
            end = max(start + 1, (segment + 1) * samples.size // segments)
            count = 0
            total = 0.0
            for sample in samples[start:end]:
                if math.isfinite(sample):
                    total += sample - first
                    count += 1
            out[window, segment] = EMPTY
            if count > 0:
                level = ((total / count - mean) / std if std > 0 else 0.0) + margin
                symbol = 0
                for breakpoint_ in breakpoints:
                    symbol += breakpoint_ <= level
                out[window, segment] = symbol


def words(
    values: NDArray[np.float64], offsets: NDArray[np.int64], breakpoints: NDArray[np.float64], margin: float, out: NDArray[np.uint8]
) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    write(values, offsets, breakpoints, margin, out, (0, len(out)))
