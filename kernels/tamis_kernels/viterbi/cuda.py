"""Viterbi's recursion in CUDA: a block has a series, all threads say what steps cost, and one goes from row to row.

Floats are not associative, so that nothing but the CPU's order gives its bits: the chain of sums is one thread's, and its latency is the
limit. What is independent of it, divisions and memory, is done by all threads, a tile at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import cuda, float64, uint8

from tamis_kernels.device import launch_blocks, to_device, to_host, xp
from tamis_kernels.viterbi.cpu import advance, step_cost

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 128
TILE = 512
SAME, OUT, INTO, INSIDE, TOLD = range(5)


def converted_spans(
    value: NDArray[np.float64],
    joined: NDArray[np.bool_],
    scale: float,
    offset: float,
    spread: float,
    cap: float,
    log_scale: float,
    switch: float,
    states: NDArray[np.uint8],
) -> float:
    """Fill `states`, return what the path saves."""
    if not value.size:
        return 0.0
    found, saved = xp.empty(states.size, np.uint8), xp.zeros(1, np.float64)
    launch_blocks(find_path, 1, THREADS, to_device(value), to_device(joined), scale, offset, spread, cap, log_scale, switch, found, saved)
    to_host(found, states)
    return float(saved[0])


@cuda.jit
def find_path(
    value: NDArray[np.float64],
    joined: NDArray[np.bool_],
    scale: float,
    offset: float,
    spread: float,
    cap: float,
    log_scale: float,
    switch: float,
    states: NDArray[np.uint8],
    saved: NDArray[np.float64],
) -> None:
    """Find the path of a series with one block."""
    costs = cuda.shared.array((5, TILE), float64)
    came = cuda.shared.array(TILE, uint8)
    thread, n = cuda.threadIdx.x, value.size
    there, here, alone = 0.0, switch, 0.0
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
            states[first + k] = came[k]
    state = uint8(here < there)
    if thread == 0:
        saved[0] = alone - min(there, here)
    for last in range(n, 0, -TILE):  # back again; the first row came from nowhere
        first = max(0, last - TILE)
        cuda.syncthreads()
        for k in range(thread, last - first, THREADS):
            came[k] = states[first + k] if first + k else 0
        cuda.syncthreads()
        if thread == 0:
            for k in range(last - first - 1, -1, -1):
                before = came[k] >> state & 1
                came[k] = state
                state = before
        cuda.syncthreads()
        for k in range(thread, last - first, THREADS):
            states[first + k] = came[k]


@cuda.jit(device=True)
def fill_costs(
    value: NDArray[np.float64],
    joined: NDArray[np.bool_],
    i: int,
    scale: float,
    offset: float,
    spread: float,
    cap: float,
    log_scale: float,
    costs: NDArray[np.float64],
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
