"""Windows to words, one window at a time in plain Python: the definition of right.

The order of the floating-point operations is part of the definition: all sums run from left to right, and all values are
taken relative to the first finite one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s

EMPTY = 255
FLAT = 2.0**-40


def words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    for window in range(len(out)):
        samples = values[offsets[window] : offsets[window + 1]].tolist()
        _word(samples, breakpoints.tolist(), margin, out[window])


def _word(samples: list[float], breakpoints: list[float], margin: float, word: Uint8s) -> None:
    finite = [sample for sample in samples if math.isfinite(sample)]
    word[:] = EMPTY
    if not finite:
        return
    first = finite[0]
    largest = max(abs(sample) for sample in finite)
    mean = _sum([sample - first for sample in finite]) / len(finite)
    deviations = [(sample - first) - mean for sample in finite]
    std = math.sqrt(_sum([deviation * deviation for deviation in deviations]) / len(finite))
    for segment in range(len(word)):
        start = segment * len(samples) // len(word)
        end = max(start + 1, (segment + 1) * len(samples) // len(word))
        part = [sample - first for sample in samples[start:end] if math.isfinite(sample)]
        if part:
            level = (0.0 if not std > FLAT * largest else (_sum(part) / len(part) - mean) / std) + margin
            word[segment] = sum(limit <= level for limit in breakpoints)


def _sum(numbers: list[float]) -> float:
    total = 0.0
    for number in numbers:  # the built-in sum compensates since Python 3.12
        total += number
    return total
