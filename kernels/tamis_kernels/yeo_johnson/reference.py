"""The Yeo-Johnson transform, one value at a time: the definition of right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats


def _power(s: float, exponent: float) -> float:
    """Return (e^(exponent·s) - 1) / exponent for s >= 0."""
    if exponent == 0:
        return s
    try:
        return math.expm1(exponent * s) / exponent
    except OverflowError:
        return math.inf


def _root(y: float, exponent: float) -> float:
    """Return the x >= 0 whose power is y >= 0; NaN when there is none."""
    if exponent * y < -1:
        return math.nan
    try:
        return math.expm1(y if exponent == 0 else math.log1p(exponent * y) / exponent)
    except (OverflowError, ValueError):  # beyond float64, and the logarithm of 0
        return math.inf


def log_scale(values: Floats, out: Float64s) -> None:
    """Fill out with sign(x)·log(1 + |x|)."""
    for i, value in enumerate(values.tolist()):
        out[i] = math.copysign(math.log1p(abs(value)), value)


def power(logs: Float64s, lambda_: float, out: Float64s) -> None:
    """Fill out with the transform of what the logs belong to."""
    for i, s in enumerate(logs.tolist()):
        out[i] = -_power(-s, 2 - lambda_) if s < 0 else _power(s, lambda_)


def inverse(values: Floats, lambda_: float, out: Float64s) -> None:
    """Fill out with what the values are the transform of."""
    for i, y in enumerate(values.tolist()):
        out[i] = -_root(-y, 2 - lambda_) if y < 0 else _root(y, lambda_)
