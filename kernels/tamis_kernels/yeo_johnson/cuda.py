"""The Yeo-Johnson transform in CUDA, a value a thread.

NVIDIA's log1p and expm1 round otherwise than the CPU's: results agree to a relative 1e-13, the bound of the tests, and not bit for bit, as
those of two processors with different mathematical libraries do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.compiled import simulated
from tamis_kernels.device import launch, mapped, xp

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats

# Numba has NumPy's for the CPU alone, and Python's raise an error where they overflow.
expm1, log1p = (np.expm1, np.log1p) if simulated() else (math.expm1, math.log1p)


def log_scale(values: Floats, out: Float64s) -> None:
    """Fill out with sign(x)·log(1 + |x|)."""
    _each(take_logs, values, out)


def power(logs: Float64s, lambda_: float, out: Float64s) -> None:
    """Fill out with the transform of what the logs belong to."""
    _each(take_powers, logs, out, float(lambda_))


def inverse(values: Floats, lambda_: float, out: Float64s) -> None:
    """Fill out with what the values are the transform of."""
    _each(invert, values, out, float(lambda_))


def _each(kernel: Any, values: Floats, out: Float64s, *parameters: float) -> None:
    def made(part: Any) -> Any:
        found = xp.empty(part.size, np.float64)
        launch(kernel, part.size, part, *parameters, found)
        return found

    mapped(made, values, out)


@cuda.jit
def take_logs(values: Any, out: Float64s) -> None:
    """Take a log a thread."""
    i = cuda.grid(1)
    if i < out.size:
        value = np.float64(values[i])
        out[i] = math.copysign(log1p(abs(value)), value)


@cuda.jit
def take_powers(logs: Float64s, lambda_: float, out: Float64s) -> None:
    """Take a power a thread."""
    i = cuda.grid(1)
    if i < out.size:
        s = logs[i]
        exponent = 2 - lambda_ if s < 0 else lambda_
        out[i] = s if exponent == 0 else math.copysign(expm1(exponent * abs(s)) / exponent, s)


@cuda.jit
def invert(values: Any, lambda_: float, out: Float64s) -> None:
    """Invert a value a thread."""
    i = cuda.grid(1)
    if i < out.size:
        y = np.float64(values[i])
        exponent = 2 - lambda_ if y < 0 else lambda_
        root = abs(y) if exponent == 0 else log1p(exponent * abs(y)) / exponent
        out[i] = math.copysign(expm1(root), y)
