"""Exact accumulation in CUDA: each thread keeps limbs of the sum and of the sum of squares of its column, for a window of exponents.

A value in the window is added to the limbs without a branch. One that lies elsewhere goes to the tables alone, by atomic additions; where
all that a thread asked for at a time did so, the window moves. Zeros, NaN and infinities are told apart there too. In the end the threads
of a block add up what they hold, and one of them hands it to the tables.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int64

from tamis_kernels.device import launch_blocks, streamed, to_device, to_host, uniform
from tamis_kernels.moments.cpu import FINITE, OUTSIDE
from tamis_kernels.moments.cuda_limbs import (
    LONG_FIELDS,
    LONG_SPAN,
    LOWEST_LONG,
    LOWEST_SHORT,
    MAGNITUDE,
    MOST,
    SHORT_FIELDS,
    SHORT_SPAN,
    add_alone,
    add_halves,
    add_long,
    add_short,
    bits_of,
    fold,
    key_of,
    note,
    noted,
    put_long,
    put_short,
    scale_of,
    widen,
    window_around,
    within,
    within_short,
)
from tamis_kernels.moments.grids import LOW_32, ROUNDER

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s

THREADS = 256  # of a block
STRIPS = 1 << 16  # threads, each of which goes through one column: 512 for each multiprocessor of an H200
ABREAST = 4  # values that a thread asks for at a time
HALVES_LONG, HALVES_SHORT, TOTALS = 10, 6, 3  # that a block adds up
NO_LONG, NO_SHORT, UNSEEN = (0, 0, 0, 0, 0), (0, 0, 0), (0, 0, 0)  # NaN and infinities are seen
i32, i64, f32, f64 = np.int32, np.int64, np.float32, np.float64


def accumulate(values: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add values to the exact tables, counts and extremes."""
    accumulate_columns(values[:, None], sums[None], squares[None], counts[None], extremes[None])


def accumulate_columns(matrix: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add each column of a row-major matrix to its row of the tables, counts and extremes."""
    rows, columns = matrix.shape
    kernel, halves = (sum_short, HALVES_SHORT) if matrix.itemsize == 4 else (sum_long, HALVES_LONG)
    tables = to_device(sums), to_device(squares), to_device(counts), to_device(_keys(extremes))

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        strips = max(1, min(len(part), STRIPS // columns), -(-len(part) // MOST))
        blocks, shared = -(-strips * columns // THREADS), 8 * (halves + 2) * THREADS
        launch_blocks(kernel, blocks, THREADS, part.reshape(-1), columns, strips, *tables, shared=shared)
        return ()

    streamed(uniform(rows, matrix.itemsize * columns), lambda first, last: (matrix[first:last],), add)
    for table, target in zip(tables[:3], (sums, squares, counts), strict=True):
        to_host(table, target)
    _set(tables[3], extremes)


def accumulate_fixed(
    values: Floats, low: float, high: float, offset: float, scale: float, totals: Int64s, counts: Int64s, extremes: Float64s
) -> None:
    """Add q = rint((value - offset) * scale) to totals: sum q, sum of q² mod 2^32, sum of q² div 2^32."""
    tables = to_device(totals), to_device(counts), to_device(_keys(extremes))

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        strips = min(part.size, STRIPS)
        shared = 8 * (TOTALS + 2) * THREADS
        launch_blocks(add_steps, -(-strips // THREADS), THREADS, part, strips, low, high, offset, scale, *tables, shared=shared)
        return ()

    streamed(uniform(values.size, values.itemsize), lambda first, last: (values[first:last],), add)
    to_host(tables[0], totals)
    to_host(tables[1], counts)
    _set(tables[2], extremes)


def _keys(extremes: Float64s) -> Int64s:
    """Return integers that order like the extremes; the map is its own inverse."""
    patterns = extremes.view(np.int64)
    return patterns ^ (patterns >> 63 & MAGNITUDE)


def _set(keys: Any, extremes: Float64s) -> None:
    found = np.empty(extremes.shape, np.int64)
    to_host(keys, found)
    extremes[...] = _keys(found.view(np.float64)).view(np.float64)


@cuda.jit(device=True)
def abreast(values: Any, first: int, stride: int, full: int) -> Any:
    """Return values of a strip, and zeros, which lie in no window, in place of those beyond the end; there are none where first < full."""
    if first < full:
        return values[first], values[first + stride], values[first + 2 * stride], values[first + 3 * stride]
    here = there = further = furthest = values.dtype.type(0)
    if first < values.size:
        here = values[first]
    if first + stride < values.size:
        there = values[first + stride]
    if first + 2 * stride < values.size:
        further = values[first + 2 * stride]
    return here, there, further, furthest


@cuda.jit(device=True)
def look_again(
    values: Any, first: int, stride: int, inside: Any, sums: Any, squares: Any, column: int, seen: Any, least: Any, greatest: Any
) -> Any:
    """Add values that lie in no window to the tables, the range or what is no number; say how many are numbers, and the last of them."""
    many, place = 0, first
    newest = f64(0.0)
    for number in range(ABREAST):
        if place < values.size and not inside[number]:
            here = values[place]
            if abs(here) < math.inf:
                least, greatest = min(least, here), max(greatest, here)
                if here != 0:
                    add_alone(sums, squares, column, f64(here))
                    many, newest = many + 1, f64(here)
            else:
                seen = noted(here, seen)
        place += stride
    return many, newest, seen, least, greatest


@cuda.jit(device=True)
def close(
    tile: Any, many: int, sums: Any, squares: Any, keys: Any, columns: int, column: int, window: int, lowest: int, least: int, greatest: int
) -> None:
    """Add what the threads of a block have put to the tables, at once for those with the first one's window of a sole column."""
    first, thread, threads = many * cuda.blockDim.x, cuda.threadIdx.x, cuda.blockDim.x
    if thread == 0:
        tile[first] = window
    cuda.syncthreads()
    if columns > 1 or window != tile[first]:
        add_halves(sums, squares, column, window, lowest, tile, many)
        for number in range(many):
            tile[number * threads + thread] = 0
    cuda.syncthreads()
    if columns > 1:
        widen(keys[column], least, greatest)
    else:
        fold(tile, many, least, greatest)
        if thread == 0:
            add_halves(sums, squares, column, window, lowest, tile, many)
            widen(keys[column], tile[first], tile[first + threads])


@cuda.jit(device=True)
def take_long(held: Any, here: Any, window: int, scale: float) -> Any:
    """Add a value to limbs and range if it lies in the window, and say whether it does."""
    limbs, least, greatest = held
    inside = within(here, window)
    least = here if inside and here < least else least
    greatest = here if inside and here > greatest else greatest
    return (add_long(limbs, (here if inside else 0.0) * scale), least, greatest), inside


@cuda.jit(device=True)
def take_short(held: Any, here: Any, window: int, scale: float) -> Any:
    """Add a value to limbs and range if it lies in the window, and say whether it does."""
    limbs, least, greatest = held
    inside = within_short(here, window)
    seen = here if inside else f32(math.nan)  # which changes no range
    return (add_short(limbs, f64(here if inside else f32(0.0)) * scale), min(least, seen), max(greatest, seen)), inside


def summing(
    name: str, take: Any, put: Any, nothing: tuple[int, ...], halves: int, lowest: int, fields: tuple[int, int], span: int, number: Any
) -> Any:
    """Return a kernel of that name: `take` adds values of type `number` to limbs, which begin as `nothing`, and `put` writes these."""

    def sum_strip(values: Floats, columns: int, strips: int, sums: Int64s, squares: Int64s, counts: Int64s, keys: Int64s) -> None:
        """Add one of `strips` parts of a column a thread; neighbouring threads read neighbouring values."""
        tile = cuda.shared.array(0, int64)
        item, stride = cuda.grid(1), strips * columns
        column = item % columns
        if item < columns:
            cuda.atomic.add(counts, (column, FINITE), values.size // columns)
        window = window_around(f64(values[column]), fields, span)
        limbs, many, seen, scale = nothing, 0, UNSEEN, scale_of(window)
        least, greatest = number(math.inf), number(-math.inf)
        place, full = item if item < stride else values.size, values.size - (ABREAST - 1) * stride
        while place < values.size:
            first, second, third, fourth = abreast(values, place, stride, full)
            held, one = take((limbs, least, greatest), first, window, scale)
            held, two = take(held, second, window, scale)
            held, three = take(held, third, window, scale)
            (limbs, least, greatest), four = take(held, fourth, window, scale)
            many += ABREAST
            if not (one & two & three & four):
                inside = one, two, three, four
                found = look_again(values, place, stride, inside, sums, squares, column, seen, least, greatest)
                strangers, newest, seen, least, greatest = found
                if strangers == ABREAST:
                    put(tile, limbs, many)
                    add_halves(sums, squares, column, window, lowest, tile, halves)
                    limbs, many, window = nothing, 0, window_around(newest, fields, span)
                    scale = scale_of(window)
            place += ABREAST * stride
        note(counts[column], seen)
        put(tile, limbs, many)
        close(tile, halves, sums, squares, keys, columns, column, window, lowest, key_of(f64(least)), key_of(f64(greatest)))

    sum_strip.__name__ = sum_strip.__qualname__ = name
    return cuda.jit(sum_strip)


sum_long = summing("sum_long", take_long, put_long, NO_LONG, HALVES_LONG, LOWEST_LONG, LONG_FIELDS, LONG_SPAN, f64)
sum_short = summing("sum_short", take_short, put_short, NO_SHORT, HALVES_SHORT, LOWEST_SHORT, SHORT_FIELDS, SHORT_SPAN, f32)


@cuda.jit
def add_steps(
    values: Any, strips: int, low: float, high: float, offset: float, scale: float, totals: Int64s, counts: Int64s, keys: Int64s
) -> None:
    """Add one of `strips` parts of the values a thread, as steps of a grid."""
    tile = cuda.shared.array(0, int64)
    item, threads = cuda.grid(1), cuda.blockDim.x
    beyond, seen = 0, UNSEEN
    least, greatest = f64(math.inf), f64(-math.inf)
    total = lower = upper = i64(0)
    if item == 0:
        cuda.atomic.add(counts, FINITE, values.size)
    for i in range(item if item < strips else values.size, values.size, strips):
        value = f64(values[i])
        if low <= value <= high:
            least, greatest = value if value < least else least, value if value > greatest else greatest
            steps = i64(i32(bits_of((value - offset) * scale + ROUNDER) - bits_of(ROUNDER)))
            square = steps * steps
            total += steps
            lower += square & LOW_32
            upper += square >> 32
        elif abs(value) < math.inf:
            beyond += 1
        else:
            seen = noted(value, seen)
    note(counts, seen)
    if beyond:
        cuda.atomic.add(counts, FINITE, -beyond)
        cuda.atomic.add(counts, OUTSIDE, beyond)
    for number, amount in ((0, total), (1, lower), (2, upper)):
        tile[number * threads + cuda.threadIdx.x] = amount
    fold(tile, TOTALS, key_of(least), key_of(greatest))
    if cuda.threadIdx.x == 0:
        for number in range(TOTALS):
            cuda.atomic.add(totals, number, tile[number * threads])
        widen(keys, tile[TOTALS * threads], tile[(TOTALS + 1) * threads])
