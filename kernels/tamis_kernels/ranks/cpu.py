"""Places among quantiles, by bisection of all values of a block at once."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats

NEAR = 1e-7
CUT = NEAR - 2.0**-52
LEAST, GREATEST = NormalDist().inv_cdf(CUT), NormalDist().inv_cdf(1 - CUT)
BLOCK = 512
ROOT_2 = math.sqrt(2.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _normal(place: float) -> float:
    """Return the quantile of the standard normal distribution: AS 241, PPND16."""
    q = place - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = 2.5090809287301226727e3
        for factor in (
            3.3430575583588128105e4,
            6.7265770927008700853e4,
            4.5921953931549871457e4,
            1.3731693765509461125e4,
            1.9715909503065514427e3,
            1.3314166789178437745e2,
            3.3871328727963666080e0,
        ):
            top = top * r + factor
        below = 5.2264952788528545610e3
        for factor in (
            2.8729085735721942674e4,
            3.9307895800092710610e4,
            2.1213794301586595867e4,
            5.3941960214247511077e3,
            6.8718700749205790830e2,
            4.2313330701600911252e1,
            1.0,
        ):
            below = below * r + factor
        return q * top / below
    r = math.sqrt(-math.log(place if q < 0 else 1 - place)) - 1.6
    # Places are cut at CUT, so that the third of Wichura's formulas, for r > 5, is never needed.
    top = 7.74545014278341407640e-4
    for factor in (
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ):
        top = top * r + factor
    below = 1.05075007164441684324e-9
    for factor in (
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ):
        below = below * r + factor
    return math.copysign(top / below, q)


# What CUDA shares is of numbers alone: an array handed to a function a value is counted up and down, which took three times as long.
@njit(cache=True, nogil=True, error_model="numpy")
def place_of(value: float, steps: float, lowest: float, highest: float, last: int, normal: bool) -> float:
    """Return the place of a value that lies so many steps, of `last`, behind the first knot, if it lies between the knots at all."""
    near = NEAR if normal else 0.0
    if value != value:
        return math.nan
    if value - near < lowest or value <= lowest:
        return LEAST if normal else 0.0
    if value + near > highest or value >= highest:
        return GREATEST if normal else 1.0
    return _normal(min(max(steps / last, CUT), 1 - CUT)) if normal else steps / last


@njit(cache=True, nogil=True, error_model="numpy")
def share_of(place: float, normal: bool) -> float:
    """Return the share of the values that lies below a place, 0 to 1; NaN for NaN."""
    if normal:
        place = math.erfc(-place / ROOT_2) / 2
        place = 0.0 if place < NEAR else 1.0 if place > 1 - NEAR else place
    return min(max(place, 0.0), 1.0) if place == place else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def transform(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the place of each value."""
    last = knots.shape[0] - 1
    lowest, highest = knots[0], knots[last]
    block = np.empty(BLOCK)
    below = np.empty(BLOCK, np.int64)
    for start in range(0, values.shape[0], BLOCK):
        size = min(BLOCK, values.shape[0] - start)
        for i in range(size):
            block[i] = np.float64(values[start + i])
            below[i] = 0
        left = last
        while left > 1:  # towards the last knot that is not above the value, all values of a block at once
            half = left >> 1
            for i in range(size):
                below[i] += half if knots[np.uintp(below[i] + half)] <= block[i] else 0
            left -= half
        for i in range(size):
            value, place = block[i], below[i]
            low = knots[place]
            steps = place + (value - low) / (knots[place + 1] - low)
            if low == value and value > lowest:
                while knots[place - 1] == value:
                    place -= 1
                steps = (place + below[i]) / 2
            out[start + i] = place_of(value, steps, lowest, highest, last, normal)


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the quantile at each place."""
    last = knots.shape[0] - 1
    for i in range(values.shape[0]):
        share = share_of(np.float64(values[i]), normal)
        if share != share:
            out[i] = math.nan
            continue
        steps = share * last
        below = min(np.int64(steps), last - 1)
        out[i] = knots[below] + (steps - below) * (knots[below + 1] - knots[below])
