"""Windows to words: the operations of the reference, in its order.

What a pass has found is a number or a tuple, with which it goes on where it stopped. CUDA has passes of its own, which have fewer
instructions there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s

EMPTY = 255
FLAT = 2.0**-40
Seen = tuple[float, float, int, float]  # first finite sample, largest magnitude, finite ones, their sum relative to the first
Part = tuple[int, float]  # the finite samples of a segment and their sum
UNSEEN: Seen = (math.nan, 0.0, 0, 0.0)
NO_PART: Part = (0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def survey(samples: Float64s, seen: Seen) -> Seen:
    """Count and add up some more samples of a window, relative to its first finite one."""
    base, largest, count, total = seen
    for i in range(samples.size):
        sample = samples[i]
        if math.isfinite(sample):
            base = sample if count == 0 else base
            largest = max(largest, abs(sample))
            total += sample - base
            count += 1
    return base, largest, count, total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def add_squares(samples: Float64s, seen: Seen, squares: float) -> float:
    """Add the squares of the deviations of some more samples of a surveyed window."""
    base, _, count, total = seen
    mean = total / max(count, 1)
    for i in range(samples.size):
        sample = samples[i]
        if math.isfinite(sample):
            deviation = (sample - base) - mean
            squares += deviation * deviation
    return squares


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def add_part(samples: Float64s, seen: Seen, part: Part) -> Part:
    """Count and add up some more samples of a segment."""
    count, total = part
    for i in range(samples.size):
        sample = samples[i]
        if math.isfinite(sample):
            total += sample - seen[0]
            count += 1
    return count, total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def edges(segment: int, segments: int, size: int) -> tuple[int, int]:
    """Return where a segment of a window begins and ends: it has one sample at least."""
    start = segment * size // segments
    return start, max(start + 1, (segment + 1) * size // segments)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def scale_of(seen: Seen, squares: float) -> tuple[float, float]:
    """Return the mean of a window relative to its first finite sample, and the standard deviation: 0 for flat."""
    _, largest, count, total = seen
    std = math.sqrt(squares / max(count, 1))
    return total / max(count, 1), std if std > FLAT * largest else 0.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def symbol_of(part: Part, scale: tuple[float, float], margin: float, breakpoints: Float64s) -> int:
    """Return the symbol of a segment."""
    count, total = part
    if count == 0:
        return EMPTY
    mean, std = scale
    level = ((total / count - mean) / std if std > 0 else 0.0) + margin
    symbol = 0
    for i in range(breakpoints.size):
        symbol += breakpoints[i] <= level
    return symbol


@njit(cache=True, nogil=True, error_model="numpy")
def words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    for window in range(out.shape[0]):
        samples = values[offsets[window] : offsets[window + 1]]
        seen = survey(samples, UNSEEN)
        scale = scale_of(seen, add_squares(samples, seen, 0.0))
        for segment in range(out.shape[1]):
            start, end = edges(segment, out.shape[1], samples.size)
            out[window, segment] = symbol_of(add_part(samples[start:end], seen, NO_PART), scale, margin, breakpoints)
