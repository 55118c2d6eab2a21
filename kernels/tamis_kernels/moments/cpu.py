"""Exact accumulation at memory speed.

A block of values is summed on a grid of powers of two. Adding 1.5 · 2^52 units rounds a float64 to whole units, and what is left of it is
exact; so sums and squares are cut into limbs of at most 51 bits, which add up in int64 lanes without a rounding or an overflow. The grid
is that of the block before, and the same pass finds the exponents by which it is known whether the grid was fine and wide enough;
if not, the block is summed again on its own grid. One pass lets the memory work while the sums are made.

A block whose values span too many powers of two tries three limbs of 26 bits, which are enough where the last bits are 0, and then
goes value by value into the tables.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.moments.grids import LONG, LOW_32, ROUNDER, deposit, rounding, units_for
from tamis_kernels.moments.rows import LANES, LARGEST, LINES, add_block, shape_of_blocks
from tamis_kernels.moments.wide import add_wide, empty_bins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s

FINITE, NAN, POSITIVE, NEGATIVE, OUTSIDE = range(5)
BLOCK = 2048  # 2048 products of two 26-bit limbs, three to a sum, stay below 2^63
STRIP, SKEW = 1 << 17, 16  # values that are held turned into columns, and what keeps these from the same place in the cache
PAUSE = 63  # blocks at most until a matrix is again tried row by row
PENDING = 8 * BLOCK  # squares of 24 bits, so many to a bin, stay below 2^63


@njit(cache=True, nogil=True)
def _wider(pattern: Any, magnitude: Any, shift: int, least: Any, greatest: Any, largest: Any, smallest: Any) -> tuple[Any, Any, Any, Any]:
    """Return the least, the greatest, the largest absolute and the smallest absolute value but 0, as bit patterns in their order."""
    key = pattern ^ ((pattern >> shift) & magnitude)
    size = pattern & magnitude
    return min(least, key), max(greatest, key), max(largest, size), min(smallest, size if size != 0 else magnitude)


@of_views
def _set_corners(corner_bits: NDArray[Any], magnitude: Any, shift: int, least: Any, greatest: Any, largest: Any, smallest: Any) -> None:
    corner_bits[0] = least ^ ((least >> shift) & magnitude)
    corner_bits[1] = greatest ^ ((greatest >> shift) & magnitude)
    corner_bits[2] = largest
    corner_bits[3] = smallest


@of_views
def _short(values: NDArray[Any], bits: NDArray[Any], magnitude: Any, unit: int, corner_bits: NDArray[Any], out: Int64s) -> None:
    """Sum float32 that are multiples of 2^unit and less than 2^(unit + 51); their squares have 48 bits."""
    rounder, zero = rounding(unit)
    rounder_high, zero_high = rounding(2 * unit + LONG)
    rounder_low, zero_low = rounding(2 * unit)
    total = high = low = np.int64(0)
    shift = 8 * bits.itemsize - 1
    least, greatest, largest, smallest = magnitude, ~magnitude, magnitude & ~magnitude, magnitude
    for i in range(values.shape[0]):
        least, greatest, largest, smallest = _wider(bits[i], magnitude, shift, least, greatest, largest, smallest)
        value = np.float64(values[i])
        total += np.float64(value + rounder).view(np.int64) - zero
        square = value * value
        rounded = square + rounder_high
        high += np.float64(rounded).view(np.int64) - zero_high
        low += np.float64((square - (rounded - rounder_high)) + rounder_low).view(np.int64) - zero_low
    _set_corners(corner_bits, magnitude, shift, least, greatest, largest, smallest)
    out[0], out[1], out[2], out[3], out[4] = total, low, high, 0, 0


@of_views
def _long(values: NDArray[Any], bits: NDArray[Any], magnitude: Any, unit: int, corner_bits: NDArray[Any], out: Int64s) -> None:
    """Sum float64 that are multiples of 2^unit and less than 2^(unit + 76); a square is a product and its rounding error (Dekker 1971)."""
    rounder_high, zero_high = rounding(unit + LONG)
    rounder_low, zero_low = rounding(unit)
    rounder_a, zero_a = rounding(2 * unit + 2 * LONG)
    rounder_b, zero_b = rounding(2 * unit + LONG)
    rounder_c, zero_c = rounding(2 * unit)
    high = low = square_a = square_b = square_c = np.int64(0)
    shift = 8 * bits.itemsize - 1
    least, greatest, largest, smallest = magnitude, ~magnitude, magnitude & ~magnitude, magnitude
    for i in range(values.shape[0]):
        least, greatest, largest, smallest = _wider(bits[i], magnitude, shift, least, greatest, largest, smallest)
        value = np.float64(values[i])
        rounded = value + rounder_high
        high += np.float64(rounded).view(np.int64) - zero_high
        low += np.float64((value - (rounded - rounder_high)) + rounder_low).view(np.int64) - zero_low
        spread = value * 134217729.0  # 2^27 + 1 parts 53 bits into 26 and 26 and a sign
        upper = spread - (spread - value)
        lower = value - upper
        square = value * value
        error = ((upper * upper - square) + 2.0 * upper * lower) + lower * lower
        rounded = square + rounder_a
        square_a += np.float64(rounded).view(np.int64) - zero_a
        square_b += np.float64((square - (rounded - rounder_a)) + rounder_b).view(np.int64) - zero_b
        rounded = error + rounder_b
        square_b += np.float64(rounded).view(np.int64) - zero_b
        square_c += np.float64((error - (rounded - rounder_b)) + rounder_c).view(np.int64) - zero_c
    _set_corners(corner_bits, magnitude, shift, least, greatest, largest, smallest)
    out[0], out[1], out[2], out[3], out[4] = low, square_c, square_b, square_a, high


@of_views
def _fixed(
    values: NDArray[Any], bits: NDArray[Any], magnitude: Any, offset: float, scale: float, corner_bits: NDArray[Any], out: Int64s
) -> None:
    """Sum steps of a declared grid."""
    zero = np.float64(ROUNDER).view(np.int64)
    total = low = high = np.int64(0)
    shift = 8 * bits.itemsize - 1
    least, greatest, largest, smallest = magnitude, ~magnitude, magnitude & ~magnitude, magnitude
    for i in range(values.shape[0]):
        least, greatest, largest, smallest = _wider(bits[i], magnitude, shift, least, greatest, largest, smallest)
        rounded = (np.float64(values[i]) - offset) * scale + ROUNDER
        # The detour by int32 lets the compiler use the fast 32 x 32 -> 64 bit multiplication.
        steps = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero))
        square = steps * steps
        total += steps
        low += square & LOW_32
        high += square >> 32
    _set_corners(corner_bits, magnitude, shift, least, greatest, largest, smallest)
    out[0], out[1], out[2] = total, low, high


@of_views
def _admit(values: NDArray[Any], low: float, high: float, good: Uint8s, admitted: NDArray[Any], counts: Int64s) -> int:
    """Copy the finite values within [low, high]; count the others; return how many were copied."""
    nan = positive = negative = 0
    for i in range(values.shape[0]):
        value = np.float64(values[i])  # what the bounds are
        good[i] = (value >= low) & (value <= high)
        nan += value != value
        positive += value == math.inf
        negative += value == -math.inf
    size = 0
    for i in range(values.shape[0]):
        admitted[size] = values[i]
        size += int(good[i])  # no branch: holes come at random
    counts[NAN] += nan
    counts[POSITIVE] += positive
    counts[NEGATIVE] += negative
    counts[OUTSIDE] += values.shape[0] - size - nan - positive - negative
    return size


@njit(cache=True, nogil=True)
def _accumulate(
    values: NDArray[Any],
    bits: NDArray[Any],
    magnitude: Any,
    fixed: bool,
    low: float,
    high: float,
    offset: float,
    scale: float,
    unit: int,
    sums: Int64s,
    squares: Int64s,
    counts: Int64s,
    extremes: Float64s,
) -> int:
    """Add values to the tables, from a grid that was good before; return the grid that was good last."""
    short = values.itemsize == 4
    admitted = np.empty(BLOCK, values.dtype)
    good = np.empty(BLOCK, np.uint8)
    admitted_bits = admitted.view(bits.dtype)
    corner = np.empty(4, values.dtype)  # of a block: least, greatest, largest absolute, smallest absolute value but 0
    corner_bits = corner.view(bits.dtype)
    out = np.zeros(8, np.int64)
    bins = np.zeros((256, 2), np.int64)
    pending = 0
    holes = False
    for start in range(0, values.shape[0], BLOCK):
        block = values[start : start + BLOCK]
        block_bits = bits[start : start + BLOCK]
        whole = True
        while True:  # once, and again for what is admitted, and again on another grid
            if holes and whole:  # as in the block before
                whole = False
                size = _admit(block, low, high, good, admitted, counts)
                holes = size < block.shape[0]
                block, block_bits = admitted[:size], admitted_bits[:size]
                if size == 0:
                    break
            if fixed:
                _fixed(block, block_bits, magnitude, offset, scale, corner_bits, out)
            elif short:
                _short(block, block_bits, magnitude, unit, corner_bits, out)
            else:
                _long(block, block_bits, magnitude, unit, corner_bits, out)
            if whole and not (np.float64(corner[0]) >= low and np.float64(corner[1]) <= high):  # NaN has the outermost keys and fails
                holes = True
                continue
            smallest, largest = np.float64(corner[3]), np.float64(corner[2])
            if fixed or largest == 0:
                break
            least, greatest = units_for(smallest, largest, short)
            if least <= unit <= greatest or least > greatest:
                break
            unit = (least + greatest) // 2
        if block.shape[0] == 0:
            continue
        counts[FINITE] += block.shape[0]
        extremes[0] = min(extremes[0], np.float64(corner[0])) + 0.0
        extremes[1] = max(extremes[1], np.float64(corner[1])) + 0.0
        if fixed:
            for i in range(3):
                sums[i] += out[i]
        elif largest > 0:
            if least <= unit <= greatest:
                deposit(sums, unit + 1074, out[0])
                deposit(sums, unit + 1074 + LONG, out[4])
                for i in range(3):
                    deposit(squares, 2 * (unit + 1074) + LONG * i, out[1 + i])
            else:
                pending += add_wide(block, smallest, largest, sums, squares, bins, out)
                if pending >= PENDING:
                    empty_bins(bins, sums, squares)
                    pending = 0
    if pending > 0:
        empty_bins(bins, sums, squares)
    return unit


@njit(cache=True, nogil=True)
def _turn(
    matrix: NDArray[Any],
    rows: tuple[int, int],
    columns: tuple[int, int],
    strip: NDArray[Any],
    strip_bits: NDArray[Any],
    magnitude: Any,
    units: Int64s,
    sums: Int64s,
    squares: Int64s,
    counts: Int64s,
    extremes: Float64s,
) -> None:
    """Add some columns of some rows one by one, turned strip by strip in the cache."""
    first, last = columns
    for start in range(rows[0], rows[1], strip.shape[1] - SKEW):
        height = min(strip.shape[1] - SKEW, rows[1] - start)
        for i in range(height):
            for j in range(first, last):
                strip[j - first, i] = matrix[start + i, j]
        for j in range(first, last):
            column, column_bits = strip[j - first, :height], strip_bits[j - first, :height]
            tables = (sums[j], squares[j], counts[j], extremes[j])
            units[j] = _accumulate(column, column_bits, magnitude, False, -LARGEST, LARGEST, 0.0, 1.0, units[j], *tables)


@njit(cache=True, nogil=True)
def _accumulate_columns(
    matrix: NDArray[Any],
    shape: tuple[int, int, int],
    strip: NDArray[Any],
    strip_bits: NDArray[Any],
    lines: NDArray[Any],
    corners: NDArray[Any],
    corner_values: NDArray[Any],
    magnitude: Any,
    sums: Int64s,
    squares: Int64s,
    counts: Int64s,
    extremes: Float64s,
) -> None:
    rows, columns = matrix.shape
    flat = matrix.reshape(-1)
    beside, across, height = shape
    rounders, lanes = np.zeros(5 * LANES), np.zeros(5 * LANES, np.int64)
    units = np.zeros(columns, np.int64)
    added, pauses = np.zeros(columns, np.int64), np.zeros(columns, np.int64)  # rows; blocks that were turned where the last one failed
    for start in range(0, rows, height):
        for first in range(0, columns, across):
            if added[first] > start:
                continue
            last, end = min(first + across, columns), min(start + height, rows)
            size = (end - start) // (beside * LINES) * (beside * LINES)
            tables = (sums[first:last], squares[first:last], counts[first:last], extremes[first:last])
            work = (lines, rounders, lanes, corners, corner_values, units[first:last])
            if size > 0 and add_block(flat, columns, start * columns + first, size, beside, magnitude, *work, *tables):
                pauses[first] = 0
            else:
                size = 0
                pauses[first] = min(2 * pauses[first] + 1, PAUSE)
                end = min(start + pauses[first] * height, rows)
            _turn(matrix, (start + size, end), (first, last), strip, strip_bits, magnitude, units, sums, squares, counts, extremes)
            added[first] = end


def _call(values: NDArray[Any], *arguments: Any) -> None:
    info = np.iinfo(f"i{values.itemsize}")
    _accumulate(values, values.view(info.dtype), info.dtype.type(info.max), *arguments)


def accumulate(values: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add values to the exact tables, counts and extremes."""
    _call(values, False, -LARGEST, LARGEST, 0.0, 1.0, 0, sums, squares, counts, extremes)


def accumulate_columns(matrix: Floats, sums: Int64s, squares: Int64s, counts: Int64s, extremes: Float64s) -> None:
    """Add each column of a row-major matrix to its row of the tables, counts and extremes."""
    info = np.iinfo(f"i{matrix.itemsize}")
    beside, across, height = shape_of_blocks(matrix.shape[1])
    strip = np.empty((across, min(4 * BLOCK, STRIP // across) + SKEW), matrix.dtype)
    lines, corners = np.zeros(LINES * LANES, matrix.dtype), np.empty(3 * LANES, info.dtype)
    work = (strip, strip.view(info.dtype), lines, corners, corners.view(matrix.dtype), info.dtype.type(info.max))
    _accumulate_columns(matrix, (beside, across, height), *work, sums, squares, counts, extremes)


def accumulate_fixed(
    values: Floats, low: float, high: float, offset: float, scale: float, totals: Int64s, counts: Int64s, extremes: Float64s
) -> None:
    """Add q = rint((value - offset) * scale) to totals: sum q, sum of q² mod 2^32, sum of q² div 2^32."""
    _call(values, True, low, high, offset, scale, 0, totals, totals, counts, extremes)
