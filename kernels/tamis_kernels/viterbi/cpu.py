"""The same recursion with two costs in registers and a byte of history a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Float64s, Uint8s


@njit(cache=True, nogil=True, inline="always")
def step_cost(one: float, other: float, spread: float, cap: float) -> float:
    """Return what a step between two true values costs."""
    return min(abs(one - other) / spread, cap)


@njit(cache=True, nogil=True, inline="always")
def advance(
    there: float, here: float, same: float, out: float, into: float, inside: float, told: float, switch: float
) -> tuple[float, float, int]:
    """Return the least cost of both states after a step, and where each came from: a bit each."""
    stay, leave = there + same, here + out + switch
    enter, remain = there + into + switch, here + inside
    return min(stay, leave), min(enter, remain) + told, (leave < stay) + 2 * (remain <= enter)


@of_views
def converted_spans(
    value: Float64s, joined: Bools, scale: float, offset: float, spread: float, cap: float, log_scale: float, switch: float, states: Uint8s
) -> float:
    """Fill `states`, return what the path saves."""
    n = value.shape[0]
    if n == 0:
        return 0.0
    there, here = 0.0, switch
    alone = 0.0
    before, before_converted = value[0], (value[0] - offset) / scale
    for i in range(1, n):
        plain = value[i]
        converted = (plain - offset) / scale
        same, out, into, inside, told = 0.0, 0.0, 0.0, 0.0, 0.0
        if joined[i]:
            same = step_cost(plain, before, spread, cap)
            out = step_cost(plain, before_converted, spread, cap)
            into = step_cost(converted, before, spread, cap)
            inside = step_cost(converted, before_converted, spread, cap)
            told = log_scale if plain != before else 0.0
        alone += same
        there, here, states[i] = advance(there, here, same, out, into, inside, told, switch)  # where from, until the way back
        before, before_converted = plain, converted
    state = np.uint8(here < there)
    best = min(there, here)
    for i in range(n - 1, 0, -1):
        came = states[i] >> state & 1
        states[i] = state
        state = came
    states[0] = state
    return alone - best
