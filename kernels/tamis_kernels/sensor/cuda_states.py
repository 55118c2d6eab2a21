"""What a series carries from row to row, in CUDA: a run of like values, and the panes of a window. A state is a tuple.

Largest values are held as the least of the values with the other sign, so that one set of functions does for both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import lesser
from tamis_kernels.sensor.layout import ATTENUATED, LONG_STUCK, NEVER, NONE, PANES, RUN, STUCK

if TYPE_CHECKING:
    from tamis_kernels.sensor.layout import Levels

i32: Any = np.int32
i64: Any = np.int64
u32 = np.uint32

Runs = tuple[float, int, int]  # value and time of the first row of the run in hand, NaN where there is none; how many have begun
Eight = tuple[float, float, float, float, float, float, float, float]
Pane = tuple[int, int, float, float]  # its number and end, its least value and that with the other sign
Panes = tuple[int, int, float, float, Eight, Eight]
"""The pane in hand, and least values of the eight before it, the last one first: what no row needs where no pane ends."""
NO_RUNS: Runs = (math.nan, 0, i32(0))
EMPTY: Eight = (math.inf, math.inf, math.inf, math.inf, math.inf, math.inf, math.inf, math.inf)
NO_PANES: Panes = (i64(0), i64(NEVER), math.inf, math.inf, EMPTY, EMPTY)


@cuda.jit(device=True)
def run_on(levels: Levels, here: float, now: int, runs: Runs) -> Any:
    """Return the runs after a row, and whether its value goes on with the run before."""
    anchor, start, begun = runs
    near = abs(here - anchor) <= levels.tolerance
    begins = (here == here) & (not near)
    return (here if begins else anchor, now if begins else start, i32(begun + begins)), near


@cuda.jit(device=True)
def run_bits(levels: Levels, here: float, now: int, runs: Runs, near: bool) -> Any:
    """Return the bits of `flat` of a row; a missing value neither ends nor begins a run."""
    anchor, start, _ = runs
    bit = RUN if near | ((here != here) & (anchor == anchor)) else NONE
    if near and now - start >= levels.suspect:
        bit |= LONG_STUCK if now - start >= levels.fail else STUCK
    return u32(bit)


@cuda.jit(device=True)
def runs_of(values: Any, counts: Any) -> Any:
    """Return the runs of a carried state."""
    return values[2], counts[3], i32(0)


@cuda.jit(device=True)
def keep_runs(runs: Runs, values: Any, counts: Any) -> None:
    """Write the runs into a carried state."""
    values[2], counts[3], counts[4] = runs[0], runs[1], runs[0] == runs[0]


@cuda.jit(device=True)
def least_of(eight: Eight) -> Any:
    """Return the least of eight values."""
    one = lesser(lesser(eight[0], eight[1]), lesser(eight[2], eight[3]))
    return lesser(one, lesser(lesser(eight[4], eight[5]), lesser(eight[6], eight[7])))


@cuda.jit(device=True)
def lesser_ones(one: Eight, other: Eight) -> Any:
    """Return the lesser of each two values."""
    return (
        lesser(one[0], other[0]), lesser(one[1], other[1]), lesser(one[2], other[2]), lesser(one[3], other[3]),
        lesser(one[4], other[4]), lesser(one[5], other[5]), lesser(one[6], other[6]), lesser(one[7], other[7]),
    )  # fmt: skip


@cuda.jit(device=True)
def pushed(one: float, eight: Eight) -> Any:
    """Return eight values with one in front of them and without the last."""
    return one, eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6]


@cuda.jit(device=True)
def eight_of(values: Any, first: int, sign: float) -> Any:
    """Return eight values that lie side by side, each with the sign."""
    return (
        sign * values[first], sign * values[first + 1], sign * values[first + 2], sign * values[first + 3],
        sign * values[first + 4], sign * values[first + 5], sign * values[first + 6], sign * values[first + 7],
    )  # fmt: skip


@cuda.jit(device=True)
def keep_eight(eight: Eight, values: Any, first: int, sign: float) -> None:
    """Write eight values side by side, each with the sign."""
    values[first], values[first + 1], values[first + 2] = sign * eight[0], sign * eight[1], sign * eight[2]
    values[first + 3], values[first + 4], values[first + 5] = sign * eight[3], sign * eight[4], sign * eight[5]
    values[first + 6], values[first + 7] = sign * eight[6], sign * eight[7]


@cuda.jit(device=True)
def pane_of(levels: Levels, values: Any, counts: Any) -> Any:
    """Return the pane in hand of a carried state; it does not end where no panes are asked for."""
    end = (counts[6] + 1) * levels.width if levels.mask & 1 << ATTENUATED else NEVER
    return counts[6], end, values[3], -values[4]


@cuda.jit(device=True)
def panes_of(levels: Levels, values: Any, counts: Any) -> Any:
    """Return the panes of a carried state."""
    return with_earlier(pane_of(levels, values, counts), values)


@cuda.jit(device=True)
def with_earlier(pane: Pane, values: Any) -> Any:
    """Return a pane with those before it."""
    return pane[0], pane[1], pane[2], pane[3], eight_of(values, 5, 1.0), eight_of(values, 5 + PANES, -1.0)


@cuda.jit(device=True)
def keep_pane(pane: Any, values: Any, counts: Any) -> None:
    """Write the pane in hand into a carried state."""
    counts[6], values[3], values[4] = pane[0], pane[2], -pane[3]


@cuda.jit(device=True)
def keep_earlier(panes: Panes, values: Any) -> None:
    """Write the panes before the one in hand into a carried state."""
    keep_eight(panes[4], values, 5, 1.0)
    keep_eight(panes[5], values, 5 + PANES, -1.0)


@cuda.jit(device=True)
def panes_on(levels: Levels, moved: int, panes: Panes) -> Any:
    """Return the panes after the one in hand and some more have ended."""
    pane, _, least, negative, lows, negatives = panes
    for _step in range(min(moved, PANES + 1)):
        lows, negatives = pushed(least, lows), pushed(negative, negatives)
        least = negative = math.inf
    return pane + moved, (pane + moved + 1) * levels.width, least, negative, lows, negatives


@cuda.jit(device=True)
def panes_at(levels: Levels, now: int, panes: Panes) -> Any:
    """Return the panes at a time at or behind the end of the one in hand."""
    return panes_on(levels, 1 if now - panes[1] < levels.width else now // levels.width - panes[0], panes)


@cuda.jit(device=True)
def turned(levels: Levels, now: int, pane: Pane, values: Any) -> Any:
    """Return the panes at a time at or behind the end of the one in hand; those before it are, and stay, in a carried state."""
    panes = panes_at(levels, now, with_earlier(pane, values))
    keep_earlier(panes, values)
    return panes


@cuda.jit(device=True)
def pane_with(here: float, pane: Pane) -> Any:
    """Return a pane with one more value, if it is none."""
    return pane[0], pane[1], lesser(pane[2], here), lesser(pane[3], -here)


@cuda.jit(device=True)
def one_if(true: bool) -> Any:
    """Return 1 or 0: NumPy's truths, which the simulator has, do not add up."""
    return i32(true)


@cuda.jit(device=True)
def before_panes(levels: Levels, opening: int, panes: Panes) -> Any:
    """Return the least value of the panes before the one in hand, and that with the other sign; no value is less where they do not tell."""
    pane, _, _, _, low, negative = panes
    filled = one_if(low[0] <= -negative[0]) + one_if(low[1] <= -negative[1]) + one_if(low[2] <= -negative[2])
    filled += one_if(low[3] <= -negative[3]) + one_if(low[4] <= -negative[4]) + one_if(low[5] <= -negative[5])
    filled += one_if(low[6] <= -negative[6]) + one_if(low[7] <= -negative[7])
    tell = opening <= (pane - PANES) * levels.width and 2 * filled >= PANES
    return (least_of(low), least_of(negative)) if tell else (-math.inf, -math.inf)


@cuda.jit(device=True)
def weak(levels: Levels, here: float, pane: Pane, before: Any) -> Any:
    """Return whether the values of the panes up to a row, which has one, lie too near to each other."""
    return (here == here) & (-lesser(before[1], pane[3]) - lesser(before[0], pane[2]) < levels.weak)
