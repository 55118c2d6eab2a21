"""Figures of windows, one sample at a time: the definition of right."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s


def describe(values: Floats, offsets: Int64s, run: int, counts: Int64s, figures: Float64s) -> None:
    """Fill counts (finite, NaN, infinite; in runs at the least, the greatest, elsewhere) and figures (least, greatest, mean, deviation)."""
    for window in range(offsets.size - 1):
        samples = values[offsets[window] : offsets[window + 1]].tolist()
        finite = [sample for sample in samples if math.isfinite(sample)]
        nan = sum(math.isnan(sample) for sample in samples)
        counts[:3, window] = len(finite), nan, len(samples) - len(finite) - nan
        if not finite:
            continue
        least, greatest = min(finite), max(finite)
        for sample, equal in groupby(samples):
            length = len(list(equal))  # NaN equals nothing, not even itself
            if math.isfinite(sample) and length >= run:
                counts[3 if sample == least else 4 if sample == greatest else 5, window] += length
        mean = _sum(finite) / len(finite)
        deviation = math.sqrt(_sum([(sample - mean) * (sample - mean) for sample in finite]) / len(finite))
        figures[:, window] = least + 0.0, greatest + 0.0, mean, deviation  # -0.0 + 0.0 is 0.0


def _sum(samples: list[float]) -> float:
    """Add in order; Python's own sum compensates from 3.12 on."""
    total = 0.0
    for sample in samples:
        total += sample
    return total
