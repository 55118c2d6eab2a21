"""Exact accumulation, one value at a time: the definition of right.

Layout of the tables: an entry `i` of `sums` weighs 2^(i - 1074), an entry `i` of `squares` 2^(i - 2148). Only the total of a
table has a meaning; how it is spread over the entries is up to the implementation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s

FINITE, NAN, POSITIVE, NEGATIVE, OUTSIDE = range(5)


def _admitted(values: Floats, low: float, high: float, counts: Int64s, extremes: Float64s) -> list[float]:
    """Count every value and return the finite ones within [low, high]."""
    kept = []
    for value in values.tolist():
        if math.isnan(value):
            counts[NAN] += 1
        elif math.isinf(value):
            counts[POSITIVE if value > 0 else NEGATIVE] += 1
        elif not low <= value <= high:
            counts[OUTSIDE] += 1
        else:
            kept.append(value)
    if kept:
        counts[FINITE] += len(kept)
        extremes[0] = min(extremes[0], *kept) + 0.0  # -0.0 + 0.0 is 0.0
        extremes[1] = max(extremes[1], *kept) + 0.0
    return kept


def accumulate(values: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add values to the exact tables, counts and extremes."""
    largest = float(np.finfo(np.float64).max)
    for value in _admitted(values, -largest, largest, counts, extremes):
        numerator, denominator = value.as_integer_ratio()
        units = abs(numerator) * (2**1074 // denominator)
        if units == 0:
            continue
        place = max(0, units.bit_length() - 53)
        high, low = divmod(units >> place, 2**27)
        sign = 1 if numerator > 0 else -1
        sums[place] += sign * low
        sums[place + 27] += sign * high
        for product, weight in ((low * low, 0), (2 * low * high, 27), (high * high, 54)):
            squares[2 * place + weight] += product % 2**32
            squares[2 * place + weight + 32] += product // 2**32


def accumulate_columns(matrix: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add each column of a row-major matrix to its row of the tables, counts and extremes."""
    for column, state in zip(matrix.T, zip(sums, squares, counts, extremes, strict=True), strict=True):
        accumulate(column, *state)


def accumulate_fixed(
    values: Floats, low: float, high: float, offset: float, scale: float, totals: Int64s, counts: Int64s, extremes: Float64s
) -> None:
    """Add q = rint((value - offset) * scale) to totals: sum q, sum of q² mod 2^32, sum of q² div 2^32."""
    for value in _admitted(values, low, high, counts, extremes):
        steps = round((value - offset) * scale)  # half to even, as rint
        totals[0] += steps
        totals[1] += steps * steps % 2**32
        totals[2] += steps * steps // 2**32
