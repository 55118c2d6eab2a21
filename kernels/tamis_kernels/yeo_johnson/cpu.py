"""The Yeo-Johnson transform; bound by one logarithm and one exponential a value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats


@njit(cache=True, nogil=True, error_model="numpy")
def log_scale(values: Floats, out: Float64s) -> None:
    """Fill out with sign(x)·log(1 + |x|)."""
    for i in range(values.shape[0]):
        value = np.float64(values[i])
        out[i] = math.copysign(np.log1p(abs(value)), value)


@njit(cache=True, nogil=True, error_model="numpy")
def power(logs: Float64s, lambda_: float, out: Float64s) -> None:
    """Fill out with the transform of what the logs belong to."""
    for i in range(logs.shape[0]):
        s = logs[i]
        exponent = 2 - lambda_ if s < 0 else lambda_
        out[i] = s if exponent == 0 else math.copysign(np.expm1(exponent * abs(s)) / exponent, s)


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(values: Floats, lambda_: float, out: Float64s) -> None:
    """Fill out with what the values are the transform of."""
    for i in range(values.shape[0]):
        y = np.float64(values[i])
        exponent = 2 - lambda_ if y < 0 else lambda_
        root = abs(y) if exponent == 0 else np.log1p(exponent * abs(y)) / exponent
        out[i] = math.copysign(np.expm1(root), y)
