"""The Yeo-Johnson power transform, its inverse, and the search for the power that makes a column most normal (Yeo, Johnson 2000).

The transform is split in two: s = sign(x)·log(1 + |x|), which a fit needs once, and a power step of s for each lambda tried:
(e^(λs) - 1) / λ for s >= 0 and -(e^((λ-2)s) - 1) / (2 - λ) below. The likelihood of a lambda is drawn from exact moments, so that
it, the search and the lambda found depend on the values alone, not on their order or chunks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array
from tamis_kernels.backend import implementation
from tamis_kernels.moments import Moments, accumulate

if TYPE_CHECKING:
    from collections.abc import Generator

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float64s, Floats

__all__ = ["fit", "inverse", "likelihood", "log_scale", "power", "search", "transform"]

TOLERANCE = 1.5e-8  # about the root of the float64 precision: nearer to a maximum nothing can be told apart
GOLDEN = (3 - math.sqrt(5)) / 2
PIECE = 1 << 16  # values whose powers are held at a time


def log_scale(values: Floats, *, backend: AnyBackend = "auto") -> Float64s:
    """Return sign(x)·log(1 + |x|) of each value: float64 of the shape of values.

    Parameters
    ----------
    values
        ndarray of any shape, float32 or float64. NaN and infinities stay what they are.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        values is not float32 or float64.
    """
    flat = _flat(values)
    out = np.empty(flat.size)
    implementation("yeo_johnson", backend, flat.nbytes).log_scale(flat, out)
    return out.reshape(values.shape)


def power(logs: Float64s, lambda_: float, *, backend: AnyBackend = "auto") -> Float64s:
    """Return the power step of what `log_scale` gave: the transform, float64 of the same shape.

    Arguments and errors are those of `transform`, which begins with the values themselves.
    """
    flat = _flat(logs)
    out = np.empty(flat.size)
    implementation("yeo_johnson", backend, flat.nbytes).power(flat, lambda_, out)
    return out.reshape(logs.shape)


def transform(values: Floats, lambda_: float, *, backend: AnyBackend = "auto") -> Float64s:
    """Return the Yeo-Johnson transform of each value: float64 of the shape of values.

    Parameters
    ----------
    values
        ndarray of any shape, float32 or float64. NaN stays NaN, and what lies beyond float64 becomes infinite.
    lambda_
        The power; 1 leaves values as they are, to rounding.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        values is not float32 or float64.
    """
    return power(log_scale(values, backend=backend), lambda_, backend=backend)


def inverse(values: Floats, lambda_: float, *, backend: AnyBackend = "auto") -> Float64s:
    """Return the values whose transform is given: float64 of the same shape, NaN for what is no transform of anything.

    Arguments and errors are those of `transform`.
    """
    flat = _flat(values)
    out = np.empty(flat.size)
    implementation("yeo_johnson", backend, flat.nbytes).inverse(flat, lambda_, out)
    return out.reshape(values.shape)


def search() -> Generator[float, float, float]:
    """Yield each lambda to try, take its likelihood by `send`, return the best one.

    Brent's method (1973), on a bracket grown from -2 and 2. A likelihood that is not finite counts as worse than any other.
    """
    a, b = -2.0, 2.0
    value_a, value_b = _cost((yield a)), _cost((yield b))
    if value_b > value_a:
        a, b, value_a, value_b = b, a, value_b, value_a
    c = b + (b - a) / 2
    value_c = _cost((yield c))
    while value_c < value_b:  # ends where powers are infinite, if not before
        a, b, value_b = b, c, value_c
        c = b + 1.6 * (b - a)
        value_c = _cost((yield c))
    low, high = min(a, c), max(a, c)
    best = second = third = b
    cost = cost_second = cost_third = value_b
    step = last = 0.0
    while True:
        middle = (low + high) / 2
        tolerance = TOLERANCE * (abs(best) + 1)
        if abs(best - middle) <= 2 * tolerance - (high - low) / 2:
            return best
        parabola = _parabola(best, second, third, cost, cost_second, cost_third)
        if abs(last) > tolerance and abs(parabola) < abs(last) / 2 and low < best + parabola < high:
            last, step = step, parabola
            if min(best + step - low, high - best - step) < 2 * tolerance:
                step = math.copysign(tolerance, middle - best)
        else:
            last = (low if best >= middle else high) - best
            step = GOLDEN * last
        tried = best + (step if abs(step) >= tolerance else math.copysign(tolerance, step))
        found = _cost((yield tried))
        if found <= cost:
            low, high = (best, high) if tried >= best else (low, best)
            third, second, best = second, best, tried
            cost_third, cost_second, cost = cost_second, cost, found
            continue
        low, high = (tried, high) if tried < best else (low, tried)
        if found <= cost_second or second == best:
            third, second, cost_third, cost_second = second, tried, cost_second, found
        elif found <= cost_third or third in (best, second):
            third, cost_third = tried, found


def likelihood(lambda_: float, powers: Moments, logs: Moments) -> float:
    """Return the log-likelihood of a lambda from the moments of the powers and of the logs, but for a constant.

    -inf where a power is infinite or all are equal.
    """
    variance = powers.variance()
    if powers.count != logs.count or not variance > 0 or math.isinf(variance):
        return -math.inf
    return -logs.count / 2 * math.log(variance) + (lambda_ - 1) * float(logs.total)


def fit(values: Floats, *, backend: AnyBackend = "auto") -> float:
    """Return the lambda of greatest likelihood; NaN and infinities take no part.

    A column of one value, or none, gives 1: it stays as it is.

    Raises
    ------
    ArgumentError
        values is not float32 or float64.
    """
    moments = accumulate(values.reshape(-1), backend=backend)
    if moments.minimum == moments.maximum:
        return 1.0
    logs = log_scale(values.reshape(-1)[np.isfinite(values.reshape(-1))], backend=backend)
    total = accumulate(logs, backend=backend)
    steps = search()
    tried = next(steps)
    while True:
        parts = (accumulate(power(logs[i : i + PIECE], tried, backend=backend), backend=backend) for i in range(0, logs.size, PIECE))
        try:
            tried = steps.send(likelihood(tried, sum(parts, Moments()), total))
        except StopIteration as found:
            return float(found.value)


def _parabola(best: float, second: float, third: float, cost: float, cost_second: float, cost_third: float) -> float:
    """Return the step from best to the lowest point of the parabola through three points; inf where there is none."""
    if not math.isfinite(cost_second) or not math.isfinite(cost_third):
        return math.inf
    r = (best - second) * (cost - cost_third)
    q = (best - third) * (cost - cost_second)
    below = 2 * (q - r)
    return -((best - third) * q - (best - second) * r) / below if below else math.inf


def _cost(likelihood: float) -> float:
    return -likelihood if math.isfinite(likelihood) else math.inf


def _flat(values: Floats) -> Floats:
    check_array("values", values, FLOATS, (...,), "convert with values.astype('float64')")
    return np.ascontiguousarray(values).reshape(-1)
