"""Quality control of series in CUDA, a stretch of rows a thread, by the kernels of `cuda_stretches`; and Hampel's, a row a thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64

from tamis_kernels.arrays import offsets_of
from tamis_kernels.device import FLIGHTS, in_batches, launch, launch_blocks, room, streamed, to_device, to_host, uniform, xp
from tamis_kernels.sensor import cuda_stretches
from tamis_kernels.sensor.cuda_stretches import hand_on, look_ahead, test_rows
from tamis_kernels.sensor.layout import ATTENUATED, FLAT, PANES, Levels, Rows, State, levels_of
from tamis_kernels.sensor.verdicts import hampel_flag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Float64s, Int64s, Uint8s, Uint32s

STRETCH = 256  # rows of a thread
ROW_BYTES = 28  # of the device that a row takes: 17 come in, 5 go back, and its share of the states of a stretch
SERIES_BYTES = 1024  # that a series takes beside its rows
LATEST = 1 << 62
THREADS = 128  # of a block that shares its values
i32, i64, f64, u8, u32 = np.int32, np.int64, np.float64, np.uint8, np.uint32
CARRYING = 1 << FLAT | 1 << ATTENUATED


def scan(rows: Rows, state: State, final: bool, bits: Uint32s, flags: Uint8s) -> int:
    """Test some rows after those before, fill bits and flags of the settled ones, return their number; -1: a time out of range."""
    if _out_of_range(rows.time):
        return -1
    done = 0

    def test(first: int, last: int) -> None:
        nonlocal done
        part, ends = _part(rows, slice(first, last)), final and last == rows.time.size
        done += _feed(part, state, ends, bits[done:], flags[done:])

    if rows.time.size:
        in_batches(test, rows.time.size, max(1, room() // (2 * ROW_BYTES)))  # rows behind others are copied
    else:
        test(0, 0)
    return done


def _part(rows: Rows, part: slice) -> Rows:
    """Return some of the rows."""
    return Rows(rows.time[part], rows.value[part], rows.valid[part] if rows.valid.size else rows.valid, rows.sentinels)


def _feed(part: Rows, state: State, final: bool, bits: Uint32s, flags: Uint8s) -> int:
    """Do what `scan` does, for as many rows as the device has room for. Rows before that later ones need stand in front of them."""
    time, value, valid, sentinels = part
    reals, wholes, values, counts = state
    ahead = int(counts[0])  # rows in front: none, the one that waits, or also the one before it
    rows = ahead + time.size
    if rows == 0:
        return 0
    begun = counts.copy()
    if ahead == 0:
        begun[5], begun[6] = time[0], time[0] // max(wholes[2] // PANES, 1)
    lead = slice(2 - ahead, 2)
    on_device = Rows(
        _behind(counts[1:3][lead], time),
        _behind(values[:2][lead], value),
        _behind(np.ones(ahead, u8), valid) if valid.size else to_device(valid),
        to_device(sentinels),
    )
    skip, settled = int(ahead == 2), max(rows - int(ahead == 2) - int(not final), 0)
    found = xp.empty(settled, u32), xp.empty(settled, u8)
    bounds = np.array([0, rows])
    after = _test(on_device, levels_of(reals, wholes, sentinels), bounds, skip, int(not final), values[None], begun[None], *found)
    to_host(found[0], bits[:settled])
    to_host(found[1], flags[:settled])
    if after is not None:
        to_host(after[0][-1], values)
        to_host(after[1][-1], begun)
    counts[3:] = begun[3:]
    for place in range(max(time.size - 2, 0), time.size):
        there = not valid.size or valid[place]
        values[0], counts[1] = values[1], counts[2]
        values[1], counts[2] = value[place] if there else math.nan, time[place]
    if rows == 1:
        values[0], counts[1] = math.nan, counts[2] - 1  # a row of nothing stands before the first
    counts[0] = 2 if settled else max(ahead, min(rows, 1))
    return settled


def _behind(front: NDArray[Any], array: NDArray[Any]) -> Any:
    """Return an array on the device with a few numbers in front of it."""
    return xp.concatenate((to_device(front), to_device(array))) if front.size and array.size else to_device(array if array.size else front)


def scan_groups(rows: Rows, state: State, offsets: Int64s, bits: Uint32s, flags: Uint8s) -> int:
    """Test many series, each from the state that values and counts hold; return the first with a time out of range, or -1."""
    if _out_of_range(rows.time):
        wrong = np.flatnonzero((rows.time < -LATEST) | (rows.time >= LATEST))[0]
        return int(np.searchsorted(offsets, wrong, side="right")) - 1
    most = room() // FLIGHTS // ROW_BYTES
    done = 0
    for series in [*np.flatnonzero(np.diff(offsets) > most).tolist(), offsets.size - 1]:
        _stream_groups(rows, offsets[done : series + 1], state, bits, flags)
        if series < offsets.size - 1:  # one that needs more than its share of the device
            part = slice(offsets[series], offsets[series + 1])
            own = state._replace(values=state.values.copy(), counts=state.counts.copy())
            scan(_part(rows, part), own, True, bits[part], flags[part])
        done = series + 1
    return -1


def _out_of_range(time: Int64s) -> bool:
    return bool(time.size) and bool(time.min() < -LATEST or time.max() >= LATEST)


def _stream_groups(rows: Rows, offsets: Int64s, state: State, bits: Uint32s, flags: Uint8s) -> None:
    """Test series of which each fits into a batch."""
    reals, wholes, values, counts = state
    levels, sentinels = levels_of(reals, wholes, rows.sentinels), to_device(rows.sentinels)

    def span(first: int, last: int) -> slice:
        return slice(offsets[first], offsets[last])

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        return _part(rows, span(first, last))[:3]

    def work(first: int, last: int, times: Any, readings: Any, there: Any) -> tuple[Any, Any]:
        bounds = offsets[first : last + 1] - offsets[first]
        begun = np.tile(counts, (last - first, 1))
        if bounds[-1]:
            begun[:, 5] = rows.time[offsets[first] + np.minimum(bounds[:-1], bounds[-1] - 1)]
        begun[:, 6] = begun[:, 5] // max(wholes[2] // PANES, 1)
        found = xp.empty(int(bounds[-1]), u32), xp.empty(int(bounds[-1]), u8)
        _test(Rows(times, readings, there, sentinels), levels, bounds, 0, 0, np.tile(values, (last - first, 1)), begun, *found)
        return found

    def take(first: int, last: int) -> tuple[NDArray[Any], ...]:
        return bits[span(first, last)], flags[span(first, last)]

    streamed(ROW_BYTES * (offsets - offsets[0]) + SERIES_BYTES * np.arange(offsets.size), give, work, take)


def _test(
    rows: Rows, levels: Levels, offsets: Int64s, skip: int, rest: int, values: Float64s, counts: Int64s, bits: Any, flags: Any
) -> tuple[Any, Any] | None:
    """Test series that lie one after the other; return the states at the ends of their stretches, if a state is carried.

    The first `skip` rows of a series and the last `rest` are there as neighbours alone. `values` and `counts` have a state a series.
    """
    if not bits.size:
        return None
    starts, stops = offsets[:-1] + skip, np.maximum(offsets[1:] - rest, offsets[:-1] + skip)
    many = -(-(stops - starts) // STRETCH)
    owner, edges = np.repeat(np.arange(many.size), many), offsets_of(many)
    cuts = to_device(np.append(starts[owner] + STRETCH * (np.arange(owner.size) - edges[owner]), stops.max()))
    owners, blocks = to_device(owner), -(-owner.size // cuda_stretches.THREADS)
    entry = to_device(values)[owners], to_device(counts)[owners]
    if levels.mask & CARRYING and many.max() > 1:
        left = xp.empty_like(entry[0]), xp.empty_like(entry[1])
        summary = xp.empty((owner.size, 3), f64)
        launch_blocks(look_ahead, blocks, cuda_stretches.THREADS, rows, cuts, levels, *left, summary)
        launch(hand_on, many.size, rows, cuts, to_device(edges), levels, *left, summary, *entry)
    bounds = to_device(offsets)[owners], to_device(offsets[1:])[owners]
    launch_blocks(test_rows, blocks, cuda_stretches.THREADS, rows, cuts, *bounds, skip, levels, *entry, bits, flags)
    return entry if levels.mask & CARRYING else None


def hampel(value: Float64s, window: int, sigmas: float, floor: float, flags: Uint8s) -> None:
    """Fill flags with 1 near the median of the window, 3 away from it, 2 where more than half of the window is missing."""
    half = window // 2

    def work(first: int, last: int, part: Any) -> tuple[Any]:
        found, lead = xp.empty(last - first, u8), min(first, half)
        blocks, shared = -(-(last - first) // THREADS), 8 * (THREADS + window - 1)
        launch_blocks(identify, blocks, THREADS, part, lead, window, sigmas, floor, found, shared=shared)
        return (found,)

    streamed(uniform(value.size, 9), lambda a, b: (value[max(a - half, 0) : b + half],), work, lambda a, b: (flags[a:b],))


@cuda.jit(device=True)
def away(value: float, centre: float, apart: bool) -> float:
    """Return a value, or its distance from a centre."""
    return float(abs(value - centre) if apart else value)


@cuda.jit(device=True)
def middle_of(tile: Any, first: int, window: int, there: int, centre: float, apart: bool) -> float:
    """Return the median of the values of a window that are there, or of their distances from its centre.

    A value is the median if as many are smaller as it takes. Each one that is not bounds what is tried next, so that few are tried; that
    needs no room, and no order. Missing values are infinite; where none is left to be tried the median is a distance beyond all numbers.
    """
    lower, upper = (there - 1) // 2, there // 2
    low: Any = -math.inf
    high: Any = math.inf
    number = window // 2
    for _ in range(window):
        one, tried = math.inf, 0
        while tried < window and not low < one < high:
            one = away(tile[first + number], centre, apart)
            number = number + 1 if number + 1 < window else 0
            tried += 1
        if not low < one < high:
            return math.inf
        below = upto = i32(0)
        following = math.inf
        for j in range(first, first + window):
            other = away(tile[j], centre, apart)
            below = i32(below + (other < one))
            upto = i32(upto + (other <= one))
            following = min(following, other) if other > one else following
        if below <= lower < upto:
            return float(one if lower == upper else (one + (one if upper < upto else following)) / 2)
        low, high = (one, high) if upto <= lower else (low, one)
    return math.inf


@cuda.jit
def identify(value: Float64s, lead: int, window: int, sigmas: float, floor: float, flags: Uint8s) -> None:
    """Judge a row a thread by the window around it; `lead` values come before the first of them."""
    tile = cuda.shared.array(0, float64)
    half, thread = window // 2, cuda.threadIdx.x
    origin = i64(cuda.blockIdx.x) * THREADS + lead - half
    for i in range(thread, THREADS + window - 1, THREADS):
        there = 0 <= origin + i < value.size and abs(value[origin + i]) < math.inf
        tile[i] = value[origin + i] if there else math.inf
    cuda.syncthreads()
    row = cuda.grid(1)
    if row < flags.size:
        here, many = tile[thread + half], 0
        for i in range(thread, thread + window):
            many += tile[i] < math.inf
        if here == math.inf or many <= half:
            flags[row] = u8(2)
        else:
            middle = middle_of(tile, thread, window, many, 0.0, False)
            spread = middle_of(tile, thread, window, many, middle, True)
            flags[row] = hampel_flag(here, middle, spread, sigmas, floor)
