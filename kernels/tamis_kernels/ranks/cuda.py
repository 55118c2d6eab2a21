"""Places among quantiles in CUDA, a value a thread. Without `normal` the bits are those of the CPU; logarithm and erfc are NVIDIA's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, mapped, to_device, xp
from tamis_kernels.ranks.cpu import place_of, share_of

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats


def transform(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the place of each value."""
    _each(place, values, knots, normal, out)


def inverse(values: Floats, knots: Float64s, normal: bool, out: Floats) -> None:
    """Fill out with the quantile at each place."""
    _each(find_quantile, values, knots, normal, out)


def _each(kernel: Any, values: Any, knots: Any, normal: bool, out: Any) -> None:
    known = to_device(knots)

    def placed(part: Any) -> Any:
        found = xp.empty(part.size, out.dtype)
        launch(kernel, part.size, part, known, normal, found)
        return found

    mapped(placed, values, out)


@cuda.jit
def place(values: Any, knots: Float64s, normal: bool, out: Any) -> None:
    """Place a value a thread."""
    i = cuda.grid(1)
    if i < out.size:
        last = knots.size - 1
        value: Any = np.float64(values[i])
        below: Any = 0
        left = last
        while left > 1:
            half = left >> 1
            below += half if knots[below + half] <= value else 0
            left -= half
        low = knots[below]
        step = knots[below + 1] - low
        steps = below + ((value - low) / step if step > 0 else 0.0)
        if low == value and value > knots[0]:
            first: Any = below
            while knots[first - 1] == value:
                first -= 1
            steps = (first + below) / 2
        out[i] = place_of(value, steps, knots[0], knots[last], last, normal)


@cuda.jit
def find_quantile(values: Any, knots: Float64s, normal: bool, out: Any) -> None:
    """Find the quantile at a place a thread."""
    i = cuda.grid(1)
    if i < out.size:
        last = knots.size - 1
        share = share_of(np.float64(values[i]), normal)
        if share == share:
            steps = share * last
            below: Any = min(np.int64(steps), last - 1)
            out[i] = knots[below] + (steps - below) * (knots[below + 1] - knots[below])
        else:
            out[i] = math.nan
