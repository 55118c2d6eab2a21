"""Viterbi's recursion in CUDA: a block has a series, all threads say what steps cost, and one goes from row to row.

Floats are not associative, so that nothing but the CPU's order gives its bits: the chain of sums is one thread's, and its latency is the
limit. What is independent of it, divisions and memory, is done by all threads, a tile at a time. A long series passes the device in pieces,
forward and back again: from piece to piece go three sums, then a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import cuda, float64, uint8

from tamis_kernels.device import in_batches, launch_blocks, room, to_device, to_host, xp
from tamis_kernels.viterbi.cpu import advance, step_cost

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Float64s, Uint8s

THREADS = 128
TILE = 512
ROW_BYTES = 12  # of the device that a row takes
SAME, OUT, INTO, INSIDE, TOLD = range(5)


def converted_spans(
    value: Float64s, joined: Bools, scale: float, offset: float, spread: float, cap: float, log_scale: float, switch: float, states: Uint8s
) -> float:
    """Fill `states`, return what the path saves."""
    if not value.size:
        return 0.0
    most = max(1, room() // ROW_BYTES)
    sums = xp.array(np.array([0.0, switch, 0.0]))  # of the likeliest paths to both states, and of the one that stays in the first

    def go(first: int, last: int) -> None:
        there, came = (to_device(value[first : last + 1]), to_device(joined[first : last + 1])), xp.empty(last - first, np.uint8)
        launch_blocks(find_ways, 1, THREADS, *there, scale, offset, spread, cap, log_scale, switch, sums, came)
        to_host(came, states[first + 1 : last + 1])

    in_batches(go, value.size - 1, most)
    found = np.empty(3)
    to_host(sums, found)
    state = xp.array(np.array([found[1] < found[0]], np.uint8))
    states[0] = 0  # which came from nowhere

    def come_back(first: int, last: int) -> None:
        some = states[states.size - last : states.size - first]
        path = xp.array(some)  # it is changed
        launch_blocks(follow, 1, THREADS, path, state)
        to_host(path, some)

    in_batches(come_back, states.size, most)
    return float(found[2] - min(found[0], found[1]))


@cuda.jit
def find_ways(
    value: Float64s,
    joined: Bools,
    scale: float,
    offset: float,
    spread: float,
    cap: float,
    log_scale: float,
    switch: float,
    sums: Float64s,
    came_from: Uint8s,
) -> None:
    """Find with one block where each state of the rows behind the first comes from, and add up the costs."""
    costs = cuda.shared.array((5, TILE), float64)
    came = cuda.shared.array(TILE, uint8)
    thread, n = cuda.threadIdx.x, value.size
    there, here, alone = sums[0], sums[1], sums[2]
    for first in range(1, n, TILE):
        size = min(TILE, n - first)
        for k in range(thread, size, THREADS):
            fill_costs(value, joined, first + k, scale, offset, spread, cap, log_scale, costs, k)
        cuda.syncthreads()
        if thread == 0:
            for k in range(size):
                same = costs[SAME, k]
                alone += same
                there, here, came[k] = advance(there, here, same, costs[OUT, k], costs[INTO, k], costs[INSIDE, k], costs[TOLD, k], switch)
        cuda.syncthreads()
        for k in range(thread, size, THREADS):
            came_from[first - 1 + k] = came[k]
    if thread == 0:
        sums[0], sums[1], sums[2] = there, here, alone


@cuda.jit
def follow(path: Uint8s, last_state: Uint8s) -> None:
    """Put with one block the state of each row in the place of where it comes from, and the state before the first row in `last_state`."""
    came = cuda.shared.array(TILE, uint8)
    thread, state = cuda.threadIdx.x, last_state[0]
    for last in range(path.size, 0, -TILE):
        first = max(0, last - TILE)
        cuda.syncthreads()
        for k in range(thread, last - first, THREADS):
            came[k] = path[first + k]
        cuda.syncthreads()
        if thread == 0:
            for k in range(last - first - 1, -1, -1):
                before = uint8(came[k] >> state & 1)
                came[k] = state
                state = before
        cuda.syncthreads()
        for k in range(thread, last - first, THREADS):
            path[first + k] = came[k]
    if thread == 0:
        last_state[0] = state


@cuda.jit(device=True)
def fill_costs(
    value: Float64s,
    joined: Bools,
    i: int,
    scale: float,
    offset: float,
    spread: float,
    cap: float,
    log_scale: float,
    costs: Float64s,
    k: int,
) -> None:
    """Write what the step to a row costs from state to state."""
    plain, before = value[i], value[i - 1]
    converted, before_converted = (plain - offset) / scale, (before - offset) / scale
    counts = joined[i]
    costs[SAME, k] = step_cost(plain, before, spread, cap) if counts else 0.0
    costs[OUT, k] = step_cost(plain, before_converted, spread, cap) if counts else 0.0
    costs[INTO, k] = step_cost(converted, before, spread, cap) if counts else 0.0
    costs[INSIDE, k] = step_cost(converted, before_converted, spread, cap) if counts else 0.0
    costs[TOLD, k] = log_scale if counts and plain != before else 0.0
