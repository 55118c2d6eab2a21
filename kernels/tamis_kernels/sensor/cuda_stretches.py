"""Rows of series that hang on all rows before them, in CUDA, a stretch of rows a thread.

Runs of like values and the panes of a window carry a state from row to row: `values[2:]` and `counts[3:]` of the carried state. A thread
first follows its stretch as if the series began there. Then a thread a series goes from stretch to stretch and hands the true state on:
where the stretch would have come to the same from that state too, which a few numbers tell, it takes what was found, and else it follows
the stretch itself. In the end each thread follows its stretch from the true state, and tells.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.sensor.layout import ATTENUATED, FLAT, LONG_STUCK, NONE, PANES, RUN, STUCK, WEAK, Rows
from tamis_kernels.sensor.verdicts import flag_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

i64, f64, u8, u32 = np.int64, np.float64, np.uint8, np.uint32


@cuda.jit(device=True)
def is_code(rows: Rows, here: float) -> bool:
    """Return whether a value stands for a missing one."""
    found = False
    for code in rows.sentinels:
        found |= here == code
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
def follow_runs(rows: Rows, first: int, last: int, reals: Any, wholes: Any, values: Any, counts: Any, skip: int, bits: Any) -> int:
    """Follow runs of like values over some rows; tell of them where there are `bits`, and return how many begin."""
    tolerance, suspect, fail = reals[10], min(wholes[0], wholes[1]), wholes[1]
    anchor: Any = values[2]
    start: Any = counts[3]
    active: Any = counts[4] != 0
    begun = 0
    for k in range(first, last):
        here = reading(rows, k)
        if here != here:
            if bits is not None and active:
                bits[k - skip] |= RUN
        elif active and abs(here - anchor) <= tolerance:
            if bits is not None:
                elapsed = rows.time[k] - start
                bits[k - skip] |= RUN | (u32(LONG_STUCK if elapsed >= fail else STUCK) if elapsed >= suspect else NONE)
        else:
            anchor, start, active, begun = here, rows.time[k], True, begun + 1
    values[2], counts[3], counts[4] = anchor, start, active
    return begun


@cuda.jit(device=True)
def move_panes(values: Any, moved: int) -> None:
    """Let the pane in hand, and those before it, go back by some places, and begin a new one."""
    for place in range(PANES - 1, -1, -1):
        source = place - moved
        values[5 + place] = values[5 + source] if source >= 0 else values[3] if source == -1 else math.inf
        values[5 + PANES + place] = values[5 + PANES + source] if source >= 0 else values[4] if source == -1 else -math.inf
    values[3], values[4] = math.inf, -math.inf


@cuda.jit(device=True)
def follow_panes(rows: Rows, first: int, last: int, reals: Any, wholes: Any, values: Any, counts: Any, skip: int, bits: Any) -> None:
    """Follow the panes of a window over some rows, and tell of those in which the signal is weak where there are `bits`."""
    width = max(wholes[2] // PANES, 1)
    pane: Any = counts[6]
    end: Any = i64(-1 << 63)  # of the pane in hand; the first row looks at it
    low: Any = math.inf
    high: Any = -math.inf
    ready = False
    for k in range(first, last):
        now = rows.time[k]
        if now >= end:
            moved = now // width - pane
            if moved > 0:
                move_panes(values, moved)
                pane += moved
            end = (pane + 1) * width
            low, high, filled = math.inf, -math.inf, 0
            for place in range(5, 5 + PANES):
                filled += values[place] <= values[PANES + place]
                low, high = min(low, values[place]), max(high, values[PANES + place])
            ready = counts[5] <= (pane - PANES) * width and 2 * filled >= PANES
        here = reading(rows, k)
        if here == here:
            values[3], values[4] = min(values[3], here), max(values[4], here)
            if bits is not None and ready and max(values[4], high) - min(values[3], low) < reals[11]:
                bits[k - skip] |= WEAK
    counts[6] = pane


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
    s = cuda.grid(1)
    if s >= summary.shape[0]:
        return
    values, counts, first, last = left[s], left_counts[s], cuts[s], cuts[s + 1]
    for place in range(3, 5 + PANES):
        values[place] = -math.inf if place == 4 else math.inf
    for place in range(5 + PANES, 5 + 2 * PANES):
        values[place] = -math.inf
    values[2] = math.nan
    counts[3], counts[4], counts[5] = 0, 0, 0
    counts[6] = rows.time[first] // max(wholes[2] // PANES, 1)
    if wholes[7] & 1 << FLAT:
        counts[0] = follow_runs(rows, first, last, reals, wholes, values, counts, 0, None)
    if wholes[7] & 1 << ATTENUATED:
        follow_panes(rows, first, last, reals, wholes, values, counts, 0, None)
    head: Any = math.nan
    least: Any = math.inf
    largest: Any = -math.inf
    for k in range(first, last):
        here = reading(rows, k)
        head = here if head != head else head
        if here == here:
            least, largest = min(least, here), max(largest, here)
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
                follow_panes(rows, first, last, reals, wholes, values, counts, 0, None)


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
        follow_runs(rows, first, last, reals, wholes, values, counts, 0, None)


@cuda.jit(device=True)
def add_panes(left: Any, left_counts: Any, values: Any, counts: Any) -> None:
    """Bring the panes past a stretch that began none before the one in hand: what it found comes on top of them."""
    moved = left_counts[6] - counts[6]
    if moved > 0:
        move_panes(values, moved)
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
    s = cuda.grid(1)
    if s >= entry.shape[0]:
        return
    first, last = cuts[s], cuts[s + 1]
    if wholes[7] & 1 << FLAT:
        follow_runs(rows, first, last, reals, wholes, entry[s], entry_counts[s], skip, bits)
    if wholes[7] & 1 << ATTENUATED:
        follow_panes(rows, first, last, reals, wholes, entry[s], entry_counts[s], skip, bits)
    for k in range(first - skip, last - skip):
        if bits[k]:
            flags[k] = flag_of(bits[k], u8(1))
