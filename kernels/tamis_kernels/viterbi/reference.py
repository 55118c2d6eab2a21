"""The definition of right: the best of all paths, by the cheapest way to each row in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Float64s, Uint8s


def converted_spans(
    value: Float64s, joined: Bools, scale: float, offset: float, spread: float, cap: float, log_scale: float, switch: float, states: Uint8s
) -> float:
    """Fill `states`, return what the path saves."""
    n = len(value)
    if n == 0:
        return 0.0
    level = [value.tolist(), ((value - offset) / scale).tolist()]  # of Python, where a step may overflow without a word
    cost = [0.0, switch]
    came = np.zeros((n, 2), np.uint8)
    alone = 0.0
    for i in range(1, n):
        step = [[0.0, 0.0], [0.0, 0.0]]
        if joined[i]:
            step = [[min(abs(level[to][i] - level[of][i - 1]) / spread, cap) for of in range(2)] for to in range(2)]
        alone += step[0][0]
        stay, leave = cost[0] + step[0][0], cost[1] + step[0][1] + switch
        enter, remain = cost[0] + step[1][0] + switch, cost[1] + step[1][1]
        came[i] = leave < stay, remain <= enter
        told = log_scale if joined[i] and level[0][i] != level[0][i - 1] else 0.0
        cost = [min(stay, leave), min(enter, remain) + told]
    state = int(cost[1] < cost[0])
    best = min(cost)
    for i in range(n - 1, -1, -1):
        states[i] = state
        state = int(came[i, state])
    return alone - best
