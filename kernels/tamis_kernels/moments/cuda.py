"""Exact accumulation in CUDA: each thread keeps sum and squares of its column as limbs of 32 bits, in integers, for a window of exponents.

A value whose lowest bit lies within 32 places of the thread's window is shifted to it and cut into limbs, three of the value and six of
its square. One that lies elsewhere moves the window: what was held goes to the tables by atomic additions. All arithmetic is on integers,
which add up to the same in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, streamed, to_device, to_host, uniform
from tamis_kernels.moments.cpu import FINITE, NAN, NEGATIVE, OUTSIDE, POSITIVE
from tamis_kernels.moments.grids import LOW_32, ROUNDER

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIPS = 1 << 17  # threads, each of which goes through one column
WINDOW = 32
MAGNITUDE = 0x7FFFFFFFFFFFFFFF
i64, u64, f64 = np.int64, np.uint64, np.float64
HIGHEST, LOWEST = i64(MAGNITUDE), i64(-MAGNITUDE - 1)  # as the least and the greatest they change nothing


def accumulate(
    values: NDArray[np.floating[Any]],
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    """Add values to the exact tables, counts and extremes."""
    accumulate_columns(values[:, None], sums[None], squares[None], counts[None], extremes[None])


def accumulate_columns(
    matrix: NDArray[np.floating[Any]],
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    """Add each column of a row-major matrix to its row of the tables, counts and extremes."""
    rows, columns = matrix.shape
    tables = to_device(sums), to_device(squares), to_device(counts), to_device(_keys(extremes))

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        strips = max(1, min(len(part), STRIPS // columns))
        launch(add_strip, strips * columns, part, strips, *tables)
        return ()

    streamed(uniform(rows, matrix.itemsize * columns), lambda first, last: (matrix[first:last],), add)
    for table, target in zip(tables[:3], (sums, squares, counts), strict=True):
        to_host(table, target)
    _set(tables[3], extremes)


def accumulate_fixed(
    values: NDArray[np.floating[Any]],
    low: float,
    high: float,
    offset: float,
    scale: float,
    totals: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    """Add q = rint((value - offset) * scale) to totals: sum q, sum of q² mod 2^32, sum of q² div 2^32."""
    tables = to_device(totals), to_device(counts), to_device(_keys(extremes))

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        strips = min(part.size, STRIPS)
        launch(add_steps, strips, part, strips, low, high, offset, scale, *tables)
        return ()

    streamed(uniform(values.size, values.itemsize), lambda first, last: (values[first:last],), add)
    to_host(tables[0], totals)
    to_host(tables[1], counts)
    _set(tables[2], extremes)


def _keys(extremes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return integers that order like the extremes; the map is its own inverse."""
    patterns = extremes.view(np.int64)
    return patterns ^ (patterns >> 63 & MAGNITUDE)


def _set(keys: Any, extremes: NDArray[np.float64]) -> None:
    found = np.empty(extremes.shape, np.int64)
    to_host(keys, found)
    extremes[...] = _keys(found.view(np.float64)).view(np.float64)


@cuda.jit(device=True)
def key_of(pattern: int) -> Any:
    """Return an integer that orders like the float64 of a pattern."""
    return i64(pattern ^ ((pattern >> 63) & MAGNITUDE))


@cuda.jit(device=True)
def class_of(pattern: int) -> int:
    """Return what a value is counted as: finite, not a number, infinite."""
    size = pattern & MAGNITUDE
    if size < 0x7FF0000000000000:
        return FINITE
    if size > 0x7FF0000000000000:
        return NAN
    return POSITIVE if pattern > 0 else NEGATIVE


@cuda.jit
def add_strip(
    matrix: Any,
    strips: int,
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    keys: NDArray[np.int64],
) -> None:
    """Add one of `strips` parts of a column a thread; neighbouring threads read neighbouring values."""
    item = cuda.grid(1)
    rows, columns = matrix.shape
    if item >= strips * columns:
        return
    base: Any = -1
    column = item % columns
    finite = held = nan = positive = negative = 0
    least, greatest = HIGHEST, LOWEST
    v0 = v1 = v2 = s0 = s1 = s2 = s3 = s4 = s5 = i64(0)
    for row in range(item // columns, rows, strips):
        pattern = f64(f64(matrix[row, column]) + 0.0).view(i64)  # -0.0 + 0.0 is 0.0
        kind = class_of(pattern)
        nan += kind == NAN
        positive += kind == POSITIVE
        negative += kind == NEGATIVE
        if kind == FINITE:
            finite += 1
            least, greatest = min(least, key_of(pattern)), max(greatest, key_of(pattern))
            exponent = (pattern >> 52) & 0x7FF
            mantissa = u64(pattern & ((1 << 52) - 1)) | (u64(exponent > 0) << u64(52))
            place = exponent - 1 if exponent > 0 else 0
            if mantissa:
                if base < 0 or place < base or place >= base + WINDOW or held == 1 << 30:
                    hand_over(sums, squares, column, base, v0, v1, v2, s0, s1, s2, s3, s4, s5)
                    v0 = v1 = v2 = s0 = s1 = s2 = s3 = s4 = s5 = i64(0)
                    base, held = max(0, place - WINDOW // 2), 0
                held += 1
                shift = u64(place - base)
                sign = i64(-1) if pattern < 0 else i64(1)
                low, high = shifted(mantissa, shift)
                v0 += sign * i64(low & u64(LOW_32))
                v1 += sign * i64(low >> u64(32))
                v2 += sign * i64(high)
                # The square has 106 bits: halves of 26 and 27 bits make products of at most 54.
                upper, lower = mantissa >> u64(27), mantissa & u64((1 << 27) - 1)
                cross, below, above = upper * lower, lower * lower, (upper * upper) << u64(54)
                middle = below + (cross << u64(28))
                bottom = middle + above
                top = ((upper * upper) >> u64(10)) + (cross >> u64(36)) + u64(middle < below) + u64(bottom < above)
                t0, t1 = shifted(bottom, u64(2) * shift)
                t2, t3 = shifted(top, u64(2) * shift)
                t2 |= t1
                s0 += i64(t0 & u64(LOW_32))
                s1 += i64(t0 >> u64(32))
                s2 += i64(t2 & u64(LOW_32))
                s3 += i64(t2 >> u64(32))
                s4 += i64(t3 & u64(LOW_32))
                s5 += i64(t3 >> u64(32))
    hand_over(sums, squares, column, base, v0, v1, v2, s0, s1, s2, s3, s4, s5)
    note(counts[column], keys[column], finite, nan, positive, negative, 0, least, greatest)


@cuda.jit(device=True)
def shifted(value: np.uint64, shift: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the lower and the upper word of a value shifted by less than 64 places."""
    return value << shift, (value >> u64(1)) >> (u64(63) - shift)


@cuda.jit(device=True)
def hand_over(
    sums: Any, squares: Any, column: int, base: int, v0: int, v1: int, v2: int, s0: int, s1: int, s2: int, s3: int, s4: int, s5: int
) -> None:
    """Add what a thread holds to the tables."""
    if base >= 0:
        for number, amount in enumerate((v0, v1, v2)):
            cuda.atomic.add(sums, (column, base + 32 * number), amount)
        for number, amount in enumerate((s0, s1, s2, s3, s4, s5)):
            if amount:
                cuda.atomic.add(squares, (column, 2 * base + 32 * number), amount)


@cuda.jit(device=True)
def note(counts: Any, keys: Any, finite: int, nan: int, positive: int, negative: int, outside: int, least: int, greatest: int) -> None:
    """Add what a thread has counted, and widen the range."""
    cuda.atomic.add(counts, FINITE, finite)
    cuda.atomic.add(counts, NAN, nan)
    cuda.atomic.add(counts, POSITIVE, positive)
    cuda.atomic.add(counts, NEGATIVE, negative)
    cuda.atomic.add(counts, OUTSIDE, outside)
    cuda.atomic.min(keys, 0, least)
    cuda.atomic.max(keys, 1, greatest)


@cuda.jit
def add_steps(
    values: Any,
    strips: int,
    low: float,
    high: float,
    offset: float,
    scale: float,
    totals: NDArray[np.int64],
    counts: NDArray[np.int64],
    keys: NDArray[np.int64],
) -> None:
    """Add one of `strips` parts of the values a thread, as steps of a grid."""
    item = cuda.grid(1)
    if item >= strips:
        return
    zero = f64(ROUNDER).view(i64)
    finite = nan = positive = negative = outside = 0
    least, greatest = HIGHEST, LOWEST
    total = lower = upper = i64(0)
    for i in range(item, values.size, strips):
        value = f64(f64(values[i]) + 0.0)
        pattern = value.view(i64)
        kind = class_of(pattern)
        nan += kind == NAN
        positive += kind == POSITIVE
        negative += kind == NEGATIVE
        if kind == FINITE and (value < low or value > high):
            outside += 1
        elif kind == FINITE:
            finite += 1
            least, greatest = min(least, key_of(pattern)), max(greatest, key_of(pattern))
            steps = f64((value - offset) * scale + ROUNDER).view(i64) - zero
            square = steps * steps
            total += steps
            lower += square & LOW_32
            upper += square >> 32
    cuda.atomic.add(totals, 0, total)
    cuda.atomic.add(totals, 1, lower)
    cuda.atomic.add(totals, 2, upper)
    note(counts, keys, finite, nan, positive, negative, outside, least, greatest)
