"""Tests of series in CUDA, a stretch of rows a thread.

Runs of like values and the panes of a window carry a state from row to row: `values[2:]` and `counts[3:]` of the carried state. A thread
first follows its stretch as if the series began there. Then a thread a series goes from stretch to stretch and hands the true state on:
where the stretch would have come to the same from that state too, which a few numbers tell, it takes what was found, and else it follows
the stretch itself. In the end each thread follows its stretch from the true state, and makes all tests.

The stretches of a block pass shared memory, tile by tile: threads that read neighbouring rows bring them. What a thread knows where a tile
ends is a tuple, with which it goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64, int32, int64

from tamis_kernels.cuda_tiles import MATES
from tamis_kernels.device import lesser
from tamis_kernels.sensor.cuda_states import (
    NO_PANES,
    NO_RUNS,
    before_panes,
    keep_earlier,
    keep_pane,
    keep_runs,
    lesser_ones,
    pane_of,
    pane_with,
    panes_at,
    panes_of,
    panes_on,
    run_bits,
    run_on,
    runs_of,
    turned,
    weak,
)
from tamis_kernels.sensor.layout import (
    ATTENUATED,
    CODE,
    DRIFT,
    DUPLICATE,
    FLAT,
    GAP,
    JITTER,
    NONE,
    RANGE,
    RATE,
    REVERSED,
    SATURATED,
    SPIKE,
    WEAK,
    Levels,
    Rows,
)
from tamis_kernels.sensor.verdicts import beside_grid, flag_of, grid_bits, rail_bits, rate_bits, span_bits, spike_bits, step_bits

if TYPE_CHECKING:
    from tamis_kernels.sensor.cuda_states import Panes, Runs
    from tamis_kernels.types import Float64s, Int64s, Uint8s, Uint32s

i32: Any = np.int32
i64: Any = np.int64
f64, u8, u32 = np.float64, np.uint8, np.uint32

THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 16  # rows of a stretch at a time
PITCH = HELD + 1
TILE, BOUNDS = THREADS * PITCH, THREADS + 1
ALWAYS = 1 << RANGE | 1 << FLAT | 1 << ATTENUATED | 1 << SATURATED
OF_TIME = 1 << GAP | 1 << DUPLICATE | 1 << REVERSED | 1 << JITTER | 1 << DRIFT
FEW = 2.0**48  # periods


@cuda.jit(device=True)
def is_code(rows: Rows, levels: Levels, here: float) -> bool:
    """Return whether a value stands for a missing one."""
    found = here == levels.code
    for place in range(1, rows.sentinels.size):  # few series have more than one
        found |= here == rows.sentinels[place]
    return found


@cuda.jit(device=True)
def given(rows: Rows, k: int) -> float:
    """Return the value of a row, NaN where it is not valid."""
    return f64(rows.value[k]) if rows.valid.size == 0 or rows.valid[k] != 0 else math.nan


@cuda.jit(device=True)
def reading(rows: Rows, levels: Levels, here: float) -> float:
    """Return a value, NaN where it stands for a missing one."""
    return math.nan if is_code(rows, levels, here) else here


@cuda.jit(device=True)
def note_bounds(cuts: Int64s, bounds: Any) -> int:
    """Write where the stretches of a block begin and end, as places from the begin of the first, which is returned; there are no more."""
    first, last, thread = cuda.blockIdx.x * THREADS, cuts.size - 1, cuda.threadIdx.x
    base = cuts[first]
    bounds[thread] = i32(cuts[min(first + thread, last)] - base)
    if thread == 0:
        bounds[THREADS] = i32(cuts[min(first + THREADS, last)] - base)
    return int(base)


@cuda.jit(device=True)
def bring_rows(rows: Rows, base: int, bounds: Any, begin: int, times: Any, values: Any) -> None:
    """Copy some rows, from the given one on, of a thread's and its mates' stretches to `PITCH * thread` and theirs.

    The first of the block's stretches begins at `base`. What lies behind the end of a stretch is of no use, but to ask for it takes no
    branch, so that rows of two stretches are waited for together. A barrier must stand before it, and another one behind.
    """
    thread = cuda.threadIdx.x
    mate = i32(thread % MATES)
    last = i32(min(rows.time.size - 1 - base, i64(bounds[THREADS])))
    for other in range(0, MATES, 2):
        owner = thread - mate + other
        begins, middle, ends = bounds[owner], bounds[owner + 1], bounds[owner + 2]
        if begin < max(i32(middle - begins), i32(ends - middle)):
            one, two, place = i32(begins + begin + mate), i32(middle + begin + mate), PITCH * owner + mate
            for i in range(0, HELD, MATES):
                k, j = base + min(i32(one + i), last), base + min(i32(two + i), last)
                times[place + i], times[place + PITCH + i] = rows.time[k], rows.time[j]
                values[place + i], values[place + PITCH + i] = rows.value[k], rows.value[j]
            if rows.valid.size:
                for i in range(0, HELD, MATES):
                    if rows.valid[base + min(i32(one + i), last)] == 0:
                        values[place + i] = math.nan
                    if rows.valid[base + min(i32(two + i), last)] == 0:
                        values[place + PITCH + i] = math.nan


@cuda.jit
def look_ahead(rows: Rows, cuts: Int64s, levels: Levels, left: Float64s, left_counts: Int64s, summary: Float64s) -> None:
    """Follow a stretch a thread as if the series began there; note its state then, and its first, least and largest value."""
    times = cuda.shared.array(TILE, int64)  # a line each: the simulator tells arrays apart by their lines
    values = cuda.shared.array(TILE, float64)
    bounds = cuda.shared.array(BOUNDS, int32)
    s, thread, base = cuda.grid(1), cuda.threadIdx.x, note_bounds(cuts, bounds)
    there = s < summary.shape[0]
    own = s if there else 0
    state, size = left[own], i32(0)
    runs, pane, begin = NO_RUNS, NO_PANES[:4], i32(0)
    if there:  # the others must not even look at what a thread of another block leaves there
        size, left_counts[s, 6], state[3], state[4] = i32(cuts[s + 1] - cuts[s]), rows.time[cuts[s]] // levels.width, math.inf, -math.inf
        keep_earlier(NO_PANES, state)
        pane = pane_of(levels, state, left_counts[s])
    head: Any = math.nan
    least: Any = math.inf
    negative: Any = math.inf
    while cuda.syncthreads_or(i32(begin < size)):
        bring_rows(rows, base, bounds, begin, times, values)
        cuda.syncthreads()
        first = i32(PITCH * thread)
        for place in range(first, i32(first + max(0, min(HELD, size - begin)))):
            here, now = reading(rows, levels, values[place]), times[place]
            head = head if head == head else here
            runs, _near = run_on(levels, here, now, runs)
            if now >= pane[1]:
                least, negative = lesser(least, pane[2]), lesser(negative, pane[3])
                pane = turned(levels, now, pane, state)[:4]
            pane = pane_with(here, pane)
        begin = i32(begin + HELD)
    if there:
        left_counts[s, 0] = runs[2]
        keep_runs(runs, state, left_counts[s])
        keep_pane(pane, state, left_counts[s])
        summary[s, 0], summary[s, 1], summary[s, 2] = head, lesser(least, pane[2]), -lesser(negative, pane[3])


@cuda.jit
def hand_on(
    rows: Rows,
    cuts: Int64s,
    edges: Int64s,
    levels: Levels,
    left: Float64s,
    left_counts: Int64s,
    summary: Float64s,
    entry: Float64s,
    entry_counts: Int64s,
) -> None:
    """Go through the stretches of a series a thread, and write the state in which each of them begins."""
    series = cuda.grid(1)
    if series >= edges.size - 1 or edges[series] == edges[series + 1]:
        return
    opening = edges[series]
    runs, panes = runs_of(entry[opening], entry_counts[opening]), panes_of(levels, entry[opening], entry_counts[opening])
    for s in range(opening, edges[series + 1] - 1):
        if levels.mask & 1 << FLAT:
            runs = runs_behind(rows, cuts[s], cuts[s + 1], levels, left[s], left_counts[s], summary[s], runs)
            keep_runs(runs, entry[s + 1], entry_counts[s + 1])
        if levels.mask & 1 << ATTENUATED:
            panes = panes_behind(rows, cuts[s], cuts[s + 1], levels, left[s], left_counts[s], panes)
            keep_pane(panes, entry[s + 1], entry_counts[s + 1])
            keep_earlier(panes, entry[s + 1])


@cuda.jit(device=True)
def runs_behind(rows: Rows, first: int, last: int, levels: Levels, left: Any, left_counts: Any, summary: Any, runs: Runs) -> Any:
    """Return the runs behind a stretch. Where a run goes on with its first value, only its beginning lies further back."""
    begun, head, tolerance, anchor = left_counts[0], summary[0], levels.tolerance, runs[0]
    if begun == 0:  # no value
        return runs
    goes_on = abs(head - anchor) <= tolerance
    if not goes_on or (head == anchor and begun > 1):
        return runs_of(left, left_counts)
    if head != anchor and not (abs(summary[1] - anchor) <= tolerance and abs(summary[2] - anchor) <= tolerance):
        for k in range(first, last):
            runs, _near = run_on(levels, reading(rows, levels, given(rows, k)), rows.time[k], runs)
    return runs


@cuda.jit(device=True)
def panes_behind(rows: Rows, first: int, last: int, levels: Levels, left: Any, left_counts: Any, panes: Panes) -> Any:
    """Return the panes behind a stretch; of one that began none before that in hand, what it found comes on top of them."""
    if rows.time[first] // levels.width >= panes[0]:
        found = panes_of(levels, left, left_counts)
        if found[0] > panes[0]:
            panes = panes_on(levels, found[0] - panes[0], panes)
        least, negative = lesser(panes[2], found[2]), lesser(panes[3], found[3])
        return panes[0], panes[1], least, negative, lesser_ones(panes[4], found[4]), lesser_ones(panes[5], found[5])
    for k in range(first, last):  # time went back, and its rows count for the pane in hand
        now, here = rows.time[k], reading(rows, levels, given(rows, k))
        if now >= panes[1]:
            panes = panes_at(levels, now, panes)
        panes = panes[0], panes[1], lesser(panes[2], here), lesser(panes[3], -here), panes[4], panes[5]
    return panes


@cuda.jit
def test_rows(
    rows: Rows,
    cuts: Int64s,
    begins: Int64s,
    ends: Int64s,
    skip: int,
    levels: Levels,
    entry: Float64s,
    entry_counts: Int64s,
    bits: Uint32s,
    flags: Uint8s,
) -> None:
    """Test the rows of a stretch a thread, from the state that it begins in; that in which it ends is left.

    `begins` and `ends` are those of its series. A tile has the row after each of those that are tested; the row itself, and the one before,
    a thread knows. Where the tile had the time of a row there is then what was found: its bits, and its flag above them.
    """
    times = cuda.shared.array(TILE, int64)  # a line each: the simulator tells arrays apart by their lines
    values = cuda.shared.array(TILE, float64)
    bounds = cuda.shared.array(BOUNDS, int32)
    s, thread, base = cuda.grid(1), cuda.threadIdx.x, note_bounds(cuts, bounds)
    there = s < entry.shape[0]
    own = s if there else 0
    state, size, opening, closing = entry[own], i32(0), cuts[own] == begins[own], cuts[own + 1] == ends[own]
    before, here, code, earlier, now, start = math.nan, math.nan, NONE, i64(0), i64(0), i64(0)
    runs, panes = NO_RUNS, NO_PANES
    if there:
        k = cuts[own]
        size, start, here, now = i32(cuts[own + 1] - k), entry_counts[own, 5], given(rows, k), rows.time[k]
        before, earlier = math.nan, now - 1
        if not opening:
            before, earlier = reading(rows, levels, given(rows, k - 1)), rows.time[k - 1]
        code, here = CODE if is_code(rows, levels, here) else NONE, reading(rows, levels, here)
        runs, panes = runs_of(state, entry_counts[own]), panes_of(levels, state, entry_counts[own])
    behind, pane, low, begin = periods_behind(levels, earlier - start), panes[:4], before_panes(levels, start, panes), i32(0)
    while cuda.syncthreads_or(i32(begin < size)):
        bring_rows(rows, base + 1, bounds, begin, times, values)
        cuda.syncthreads()
        first = i32(PITCH * thread)
        last = i32(first + max(0, min(HELD, size - begin)))
        if closing and begin < size <= begin + HELD:
            values[last - 1] = math.nan
        for place in range(first, last):
            following, then, step = values[place], times[place], now - earlier
            coming = is_code(rows, levels, following)
            after = math.nan if coming else following
            told = u32(value_bits(levels, before, here, after, step) | code)
            if levels.shortest <= step <= levels.longest and -levels.off < behind + (step - levels.nominal) < levels.off:
                behind += step - levels.nominal
            else:
                behind = periods_behind(levels, now - start)
                told |= grid_bits(now - start, behind, levels.nominal, levels.drift)
                if not (opening and begin == 0 and place == first):
                    told |= step_bits(step, levels.gap, levels.nominal, levels.jitter)
            runs, near = run_on(levels, here, now, runs)
            told |= run_bits(levels, here, now, runs, near)
            if now >= pane[1]:
                panes = turned(levels, now, pane, state)
                pane, low = panes[:4], before_panes(levels, start, panes)
            pane = pane_with(here, pane)
            told = u32(told | (WEAK if weak(levels, here, pane, low) else NONE)) & u32(levels.told)
            made = levels.mask & ALWAYS != 0
            if not made:
                made = made_of(levels, before, after, step, opening and begin == 0 and place == first)
            times[place] = i64(flag_of(told, u8(1) if made else u8(2))) << 32 | i64(told)
            before, here, code, earlier, now = here, after, CODE if coming else NONE, now, then
        cuda.syncthreads()
        tell_rows(base - skip, bounds, begin, times, bits, flags)
        begin = i32(begin + HELD)
    if there:
        keep_runs(runs, state, entry_counts[own])
        keep_pane(pane, state, entry_counts[own])


@cuda.jit(device=True)
def value_bits(levels: Levels, before: float, here: float, after: float, step: int) -> Any:
    """Return the bits of the tests of a reading and its neighbours; limits of tests that are not made tell nothing."""
    found = span_bits(here, levels.fail_low, levels.fail_high, levels.low, levels.high)
    found |= spike_bits(before, here, after, levels.bend, levels.bend_fail, levels.peak, levels.peak_fail)
    found |= rate_bits(before, here, 0, step, levels.rate, levels.rate_fail)
    return u32(found | rail_bits(before, here, after, levels.rail_low, levels.rail_high))


@cuda.jit(device=True)
def periods_behind(levels: Levels, since: int) -> int:
    """Return how far a time since the first row is behind the nearest one of the nominal grid."""
    # Of so few periods a product tells the nearest whole number as well as a quotient does: both are less than a half from it.
    periods = f64(since) * levels.frequency
    return beside_grid(since, periods if periods < FEW else f64(since) / f64(levels.nominal), levels.nominal)


@cuda.jit(device=True)
def made_of(levels: Levels, before: float, after: float, step: int, first: bool) -> bool:
    """Return whether any test that needs a neighbour could be made; a series' first row has none before it."""
    made = levels.mask & OF_TIME != 0 and not first
    made |= levels.mask & 1 << SPIKE != 0 and before == before and after == after
    return bool(made | (levels.mask & 1 << RATE != 0 and before == before and step > 0))


@cuda.jit(device=True)
def tell_rows(base: int, bounds: Any, begin: int, found: Any, bits: Uint32s, flags: Uint8s) -> None:
    """Write the bits and flags of rows that a thread and its mates have tested; the first of the block's stretches begins at `base`."""
    thread = cuda.threadIdx.x
    mate = i32(thread % MATES)
    for other in range(MATES):
        owner = thread - mate + other
        start, place = i32(bounds[owner] + begin + mate), PITCH * owner + mate
        size = min(i32(bounds[owner + 1] - start), i32(HELD - mate))
        for i in range(0, HELD, MATES):
            if i < size:
                told, k = found[place + i], base + start + i
                bits[k], flags[k] = u32(told & 0xFFFFFFFF), u8(told >> 32)
