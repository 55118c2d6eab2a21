"""Places among quantiles, one value at a time: the definition of right."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats

NEAR = 1e-7  # this near to an end a normal place is the end: the bound of scikit-learn's QuantileTransformer
CUT = NEAR - 2.0**-52


def _place(value: float, knots: list[float], normal: bool) -> float:
    near = NEAR if normal else 0.0
    if value - near < knots[0] or value <= knots[0]:
        return 0.0
    if value + near > knots[-1] or value >= knots[-1]:
        return 1.0
    first, after = bisect_left(knots, value), bisect_right(knots, value)
    if after > first:
        return (first + after - 1) / 2 / (len(knots) - 1)
    low, high = knots[after - 1], knots[after]
    return (after - 1 + (value - low) / (high - low)) / (len(knots) - 1)


def transform(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the place of each value."""
    for i, value in enumerate(values.tolist()):
        place = math.nan if math.isnan(value) else _place(value, knots.tolist(), normal)
        if normal and not math.isnan(place):
            place = NormalDist().inv_cdf(min(max(place, CUT), 1 - CUT))
        out[i] = place


def inverse(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the quantile at each place."""
    points = knots.tolist()
    for i, value in enumerate(values.tolist()):
        place = math.erfc(-value / math.sqrt(2)) / 2 if normal else value
        if math.isnan(place):
            out[i] = math.nan
            continue
        if normal and place < NEAR:
            place = 0.0
        elif normal and place > 1 - NEAR:
            place = 1.0
        steps = min(max(place, 0.0), 1.0) * (len(points) - 1)
        below = min(math.floor(steps), len(points) - 2)
        out[i] = points[below] + (steps - below) * (points[below + 1] - points[below])
