"""Rows of series that hang on all rows before them, in CUDA, a stretch of rows a thread.

Runs of like values and the panes of a window carry a state from row to row: `values[2:]` and `counts[3:]` of the carried state. A thread
first follows its stretch as if the series began there. Then a thread a series goes from stretch to stretch and hands the true state on:
where the stretch would have come to the same from that state too, which a few numbers tell, it takes what was found, and else it follows
the stretch itself. In the end each thread follows its stretch from the true state, and tells.

The stretches of a block pass shared memory, tile by tile: threads that read neighbouring rows bring them. What a thread knows where a tile
ends is a tuple, with which it goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64, int32, int64, uint32

from tamis_kernels.cuda_tiles import MATES
from tamis_kernels.sensor.layout import ATTENUATED, FLAT, LONG_STUCK, NONE, PANES, RUN, STUCK, WEAK, Rows
from tamis_kernels.sensor.verdicts import flag_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

i32, i64, f64, u8, u32 = np.int32, np.int64, np.float64, np.uint8, np.uint32

THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 16  # rows of a stretch at a time
PITCH = HELD + 1
TILE, BOUNDS = THREADS * PITCH, THREADS + 1
Runs = tuple[float, int, bool, int]  # value and time of the first row of the run in hand, whether there is one; how many have begun
Panes = tuple[int, int, float, float, bool, float, float]
"""The pane in hand and its end; the least and largest value of those before it, and whether they tell; those of the pane in hand."""
NO_RUNS: Runs = (math.nan, 0, False, 0)
NEVER_YET = i64(-1 << 63)  # the end of a pane that the next row looks at, and those before it


@cuda.jit(device=True)
def is_code(rows: Rows, here: float) -> bool:
    """Return whether a value stands for a missing one."""
    found = False
    for place in range(rows.sentinels.size):
        found |= here == rows.sentinels[place]
    return found


@cuda.jit(device=True)
def given(rows: Rows, k: int) -> float:
    """Return the value of a row, NaN where it is not valid."""
    return f64(rows.value[k]) if rows.valid.size == 0 or rows.valid[k] != 0 else math.nan


@cuda.jit(device=True)
def reading(rows: Rows, k: int) -> float:
    """Return the value of a row, NaN where there is none."""
    here = given(rows, k)
    return math.nan if is_code(rows, here) else here


@cuda.jit(device=True)
def note_bounds(cuts: NDArray[np.int64], bounds: Any) -> int:
    """Write where the stretches of a block begin and end, as places from the begin of the first, which is returned; there are no more."""
    first, last, thread = cuda.blockIdx.x * THREADS, cuts.size - 1, cuda.threadIdx.x
    base = cuts[first]
    bounds[thread] = i32(cuts[min(first + thread, last)] - base)
    if thread == 0:
        bounds[THREADS] = i32(cuts[min(first + THREADS, last)] - base)
    return int(base)


@cuda.jit(device=True)
def bring_rows(rows: Rows, base: int, bounds: Any, begin: int, times: Any, readings: Any) -> None:
    """Copy some rows, from the given one on, of a thread's and its mates' stretches to `PITCH * thread` and theirs.

    A barrier must stand before it, and another one behind.
    """
    thread = cuda.threadIdx.x
    mate = thread % MATES
    for other in range(MATES):
        owner = thread - mate + other
        start, place = i32(bounds[owner] + begin + mate), PITCH * owner + mate
        size = min(i32(bounds[owner + 1] - start), i32(HELD - mate))
        for i in range(0, HELD, MATES):
            if i < size:
                times[place + i] = rows.time[base + start + i]
                readings[place + i] = reading(rows, base + start + i)


@cuda.jit(device=True)
def follow_runs(rows: Rows, first: int, last: int, reals: Any, wholes: Any, runs: Runs, bits: Any) -> Any:
    """Follow runs of like values over some rows; tell of them where there are `bits`."""
    tolerance, suspect, fail = reals[10], min(wholes[0], wholes[1]), wholes[1]
    anchor, start, active, begun = runs
    for k in range(first, last):
        here = reading(rows, k)
        if here != here:
            if bits is not None and active:
                bits[k] |= RUN
        elif active and abs(here - anchor) <= tolerance:
            if bits is not None:
                elapsed = rows.time[k] - start
                bits[k] |= RUN | (u32(LONG_STUCK if elapsed >= fail else STUCK) if elapsed >= suspect else NONE)
        else:
            anchor, start, active, begun = here, rows.time[k], True, begun + 1
    return anchor, start, active, begun


@cuda.jit(device=True)
def runs_of(values: Any, counts: Any) -> Any:
    """Return the runs of a carried state."""
    return values[2], counts[3], counts[4] != 0, 0


@cuda.jit(device=True)
def keep_runs(runs: Runs, values: Any, counts: Any) -> None:
    """Write the runs into a carried state."""
    values[2], counts[3], counts[4] = runs[0], runs[1], runs[2]


@cuda.jit(device=True)
def move_panes(values: Any, moved: int, least: float, largest: float) -> None:
    """Let the pane in hand, and those before it, go back by some places."""
    for place in range(PANES - 1, -1, -1):
        source = place - moved
        values[5 + place] = values[5 + source] if source >= 0 else least if source == -1 else math.inf
        values[5 + PANES + place] = values[5 + PANES + source] if source >= 0 else largest if source == -1 else -math.inf


@cuda.jit(device=True)
def follow_panes(rows: Rows, first: int, last: int, reals: Any, wholes: Any, values: Any, opening: int, panes: Panes, bits: Any) -> Any:
    """Follow the panes of a window over some rows, and tell of those in which the signal is weak where there are `bits`."""
    width = max(wholes[2] // PANES, 1)
    pane, end, low, high, ready, least, largest = panes
    for k in range(first, last):
        now = rows.time[k]
        if now >= end:
            moved = now // width - pane
            if moved > 0:
                move_panes(values, moved, least, largest)
                pane, least, largest = pane + moved, math.inf, -math.inf
            end = (pane + 1) * width
            low, high, filled = math.inf, -math.inf, 0
            for place in range(5, 5 + PANES):
                filled += values[place] <= values[PANES + place]
                low, high = min(low, values[place]), max(high, values[PANES + place])
            ready = opening <= (pane - PANES) * width and 2 * filled >= PANES
        here = reading(rows, k)
        if here == here:
            least, largest = min(least, here), max(largest, here)
            if bits is not None and ready and max(largest, high) - min(least, low) < reals[11]:
                bits[k] |= WEAK
    return pane, end, low, high, ready, least, largest


@cuda.jit(device=True)
def panes_of(values: Any, counts: Any) -> Any:
    """Return the panes of a carried state, whose first row looks at those before the one in hand."""
    return counts[6], NEVER_YET, math.inf, -math.inf, False, values[3], values[4]


@cuda.jit(device=True)
def keep_panes(panes: Panes, values: Any, counts: Any) -> None:
    """Write the pane in hand into a carried state; those before it are there."""
    counts[6], values[3], values[4] = panes[0], panes[5], panes[6]


@cuda.jit
def look_ahead(
    rows: Rows,
    cuts: NDArray[np.int64],
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    left: NDArray[np.float64],
    left_counts: NDArray[np.int64],
    summary: NDArray[np.float64],
) -> None:
    """Follow a stretch a thread as if the series began there; note its state then, and its first, least and largest value."""
    times = cuda.shared.array(TILE, int64)  # a line each: the simulator tells arrays apart by their lines
    readings = cuda.shared.array(TILE, float64)
    bounds = cuda.shared.array(BOUNDS, int32)
    s, thread, base = cuda.grid(1), cuda.threadIdx.x, note_bounds(cuts, bounds)
    there = s < summary.shape[0]
    own = s if there else 0
    values, counts, size, before = left[own], left_counts[own], 0, i64(0)
    if there:
        for place in range(5, 5 + PANES):
            values[place], values[PANES + place] = math.inf, -math.inf
        size, before = cuts[own + 1] - cuts[own], rows.time[cuts[own]] // max(wholes[2] // PANES, 1)
    runs, panes, begin = NO_RUNS, (before, NEVER_YET, math.inf, -math.inf, False, math.inf, -math.inf), 0
    head: Any = math.nan
    least: Any = math.inf
    largest: Any = -math.inf
    tile = Rows(times, readings, rows.valid[:0], rows.sentinels[:0])
    while cuda.syncthreads_or(i32(begin < size)):
        bring_rows(rows, base, bounds, begin, times, readings)
        cuda.syncthreads()
        first, last = PITCH * thread, PITCH * thread + max(0, min(HELD, size - begin))
        for k in range(first, last):
            here = readings[k]
            head = here if head != head else head
            if here == here:
                least, largest = min(least, here), max(largest, here)
        if wholes[7] & 1 << FLAT:
            runs = follow_runs(tile, first, last, reals, wholes, runs, None)
        if wholes[7] & 1 << ATTENUATED:
            panes = follow_panes(tile, first, last, reals, wholes, values, 0, panes, None)
        begin += HELD
    if there:
        counts[0] = runs[3]
        keep_runs(runs, values, counts)
        keep_panes(panes, values, counts)
        summary[s, 0], summary[s, 1], summary[s, 2] = head, least, largest


@cuda.jit
def hand_on(
    rows: Rows,
    cuts: NDArray[np.int64],
    edges: NDArray[np.int64],
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    left: NDArray[np.float64],
    left_counts: NDArray[np.int64],
    summary: NDArray[np.float64],
    entry: NDArray[np.float64],
    entry_counts: NDArray[np.int64],
) -> None:
    """Go through the stretches of a series a thread, and write the state in which each of them begins."""
    series = cuda.grid(1)
    if series >= edges.size - 1:
        return
    for s in range(edges[series], edges[series + 1] - 1):
        values, counts, first, last = entry[s + 1], entry_counts[s + 1], cuts[s], cuts[s + 1]
        for place in range(values.size):
            values[place] = entry[s, place]
        for place in range(3, counts.size):
            counts[place] = entry_counts[s, place]
        if wholes[7] & 1 << FLAT:
            pass_runs(rows, first, last, reals, wholes, left[s], left_counts[s], summary[s], values, counts)
        if wholes[7] & 1 << ATTENUATED:
            if rows.time[first] // max(wholes[2] // PANES, 1) >= counts[6]:
                add_panes(left[s], left_counts[s], values, counts)
            else:  # time went back, and its rows count for the pane in hand
                panes = follow_panes(rows, first, last, reals, wholes, values, counts[5], panes_of(values, counts), None)
                keep_panes(panes, values, counts)


@cuda.jit(device=True)
def pass_runs(
    rows: Rows, first: int, last: int, reals: Any, wholes: Any, left: Any, left_counts: Any, summary: Any, values: Any, counts: Any
) -> None:
    """Bring the state of runs past a stretch. Where a run goes on with its first value, only its beginning lies further back."""
    begun, head, tolerance = left_counts[0], summary[0], reals[10]
    if begun == 0:  # no value
        return
    anchor = values[2]
    goes_on = counts[4] != 0 and abs(head - anchor) <= tolerance
    if not goes_on or (head == anchor and begun > 1):
        values[2], counts[3], counts[4] = left[2], left_counts[3], 1
    elif head != anchor and not (abs(summary[1] - anchor) <= tolerance and abs(summary[2] - anchor) <= tolerance):
        keep_runs(follow_runs(rows, first, last, reals, wholes, runs_of(values, counts), None), values, counts)


@cuda.jit(device=True)
def add_panes(left: Any, left_counts: Any, values: Any, counts: Any) -> None:
    """Bring the panes past a stretch that began none before the one in hand: what it found comes on top of them."""
    moved = left_counts[6] - counts[6]
    if moved > 0:
        move_panes(values, moved, values[3], values[4])
        values[3], values[4] = math.inf, -math.inf
    counts[6] = left_counts[6]
    values[3], values[4] = min(values[3], left[3]), max(values[4], left[4])
    for place in range(5, 5 + PANES):
        values[place], values[PANES + place] = min(values[place], left[place]), max(values[PANES + place], left[PANES + place])


@cuda.jit
def tell_stretches(
    rows: Rows,
    cuts: NDArray[np.int64],
    skip: int,
    reals: NDArray[np.float64],
    wholes: NDArray[np.int64],
    entry: NDArray[np.float64],
    entry_counts: NDArray[np.int64],
    bits: NDArray[np.uint32],
    flags: NDArray[np.uint8],
) -> None:
    """Follow a stretch a thread from its true state, and tell what is found; the state in which it ends is left."""
    times = cuda.shared.array(TILE, int64)  # a line each: the simulator tells arrays apart by their lines
    readings = cuda.shared.array(TILE, float64)
    bounds = cuda.shared.array(BOUNDS, int32)
    found = cuda.shared.array(TILE, uint32)
    s, thread, base = cuda.grid(1), cuda.threadIdx.x, note_bounds(cuts, bounds)
    there = s < entry.shape[0]
    own = s if there else 0
    values, counts, size, opening = entry[own], entry_counts[own], 0, i64(0)
    runs, panes, begin = NO_RUNS, (i64(0), NEVER_YET, math.inf, -math.inf, False, math.inf, -math.inf), 0
    if there:  # the others must not even look at what a thread of another block leaves there
        size, opening = cuts[own + 1] - cuts[own], counts[5]
        runs, panes = runs_of(values, counts), panes_of(values, counts)
    tile = Rows(times, readings, rows.valid[:0], rows.sentinels[:0])
    while cuda.syncthreads_or(i32(begin < size)):
        bring_rows(rows, base, bounds, begin, times, readings)
        cuda.syncthreads()
        first, last = PITCH * thread, PITCH * thread + max(0, min(HELD, size - begin))
        for k in range(first, last):
            found[k] = NONE
        if wholes[7] & 1 << FLAT:
            runs = follow_runs(tile, first, last, reals, wholes, runs, found)
        if wholes[7] & 1 << ATTENUATED:
            panes = follow_panes(tile, first, last, reals, wholes, values, opening, panes, found)
        cuda.syncthreads()
        tell_rows(base - skip, bounds, begin, found, bits, flags)
        begin += HELD
    if there:
        keep_runs(runs, values, counts)
        keep_panes(panes, values, counts)


@cuda.jit(device=True)
def tell_rows(base: int, bounds: Any, begin: int, found: Any, bits: NDArray[np.uint32], flags: NDArray[np.uint8]) -> None:
    """Add what was found to the bits of rows that `bring_rows` brought, and flag them."""
    thread = cuda.threadIdx.x
    mate = thread % MATES
    for other in range(MATES):
        owner = thread - mate + other
        start, place = i32(bounds[owner] + begin + mate), PITCH * owner + mate
        size = min(i32(bounds[owner + 1] - start), i32(HELD - mate))
        for i in range(0, HELD, MATES):
            if i < size and found[place + i]:
                told = u32(bits[base + start + i] | found[place + i])
                bits[base + start + i], flags[base + start + i] = told, flag_of(told, u8(1))
