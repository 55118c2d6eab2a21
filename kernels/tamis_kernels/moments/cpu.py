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
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINITE, NAN, POSITIVE, NEGATIVE, OUTSIDE = range(5)
BLOCK = 2048  # 2048 products of two 26-bit limbs, three to a sum, stay below 2^63
LIMB, LONG = 26, 51
STRIP, SKEW = 1 << 17, 16  # values that are held turned into columns, and what keeps these from the same place in the cache
PENDING = 8 * BLOCK  # squares of 24 bits, so many to a bin, stay below 2^63
LOW_27 = (1 << 27) - 1
LOW_32 = (1 << 32) - 1
ROUNDER = 1.5 * 2.0**52


@njit(cache=True, nogil=True)
def _wider(pattern: Any, magnitude: Any, shift: int, least: Any, greatest: Any, largest: Any, smallest: Any) -> tuple[Any, Any, Any, Any]:
    """Return the least, the greatest, the largest absolute and the smallest absolute value but 0, as bit patterns in their order."""
    key = pattern ^ ((pattern >> shift) & magnitude)
    size = pattern & magnitude
    return min(least, key), max(greatest, key), max(largest, size), min(smallest, size if size != 0 else magnitude)


@njit(cache=True, nogil=True)
def _set_corners(corner_bits: NDArray[Any], magnitude: Any, shift: int, least: Any, greatest: Any, largest: Any, smallest: Any) -> None:
    corner_bits[0] = least ^ ((least >> shift) & magnitude)
    corner_bits[1] = greatest ^ ((greatest >> shift) & magnitude)
    corner_bits[2] = largest
    corner_bits[3] = smallest


@njit(cache=True, nogil=True)
def _rounder(unit: int) -> tuple[float, Any]:
    """Return what rounds a float64 to units of 2^unit when it is added, and the bits of the sum of it and 0."""
    rounder = math.ldexp(ROUNDER, unit)
    return rounder, np.float64(rounder).view(np.int64)


@njit(cache=True, nogil=True)
def _short(values: NDArray[Any], bits: NDArray[Any], magnitude: Any, unit: int, corner_bits: NDArray[Any], out: NDArray[np.int64]) -> None:
    """Sum float32 that are multiples of 2^unit and less than 2^(unit + 51); their squares have 48 bits."""
    rounder, zero = _rounder(unit)
    rounder_high, zero_high = _rounder(2 * unit + LONG)
    rounder_low, zero_low = _rounder(2 * unit)
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


@njit(cache=True, nogil=True)
def _long(values: NDArray[Any], bits: NDArray[Any], magnitude: Any, unit: int, corner_bits: NDArray[Any], out: NDArray[np.int64]) -> None:
    """Sum float64 that are multiples of 2^unit and less than 2^(unit + 76); a square is a product and its rounding error (Dekker 1971)."""
    rounder_high, zero_high = _rounder(unit + LONG)
    rounder_low, zero_low = _rounder(unit)
    rounder_a, zero_a = _rounder(2 * unit + 2 * LONG)
    rounder_b, zero_b = _rounder(2 * unit + LONG)
    rounder_c, zero_c = _rounder(2 * unit)
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


@njit(cache=True, nogil=True)
def _fixed(
    values: NDArray[Any], bits: NDArray[Any], magnitude: Any, offset: float, scale: float, corner_bits: NDArray[Any], out: NDArray[np.int64]
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


@njit(cache=True, nogil=True)
def _admit(
    values: NDArray[Any], low: float, high: float, good: NDArray[np.uint8], admitted: NDArray[Any], counts: NDArray[np.int64]
) -> int:
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
def _three_limbs(values: NDArray[Any], unit: int, out: NDArray[np.int64]) -> int:
    """Sum values of at most 77 bits above the unit 2^unit; return how many leave a rest."""
    rounder_a, zero_a = _rounder(unit + 2 * LIMB)
    rounder_b, zero_b = _rounder(unit + LIMB)
    rounder_c, zero_c = _rounder(unit)
    rests = 0
    sum_a = sum_b = sum_c = np.int64(0)
    square_aa = square_ab = square_bb = square_bc = square_cc = np.int64(0)
    for i in range(values.shape[0]):
        rounded = np.float64(values[i]) + rounder_a
        a = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero_a))
        rest = np.float64(values[i]) - (rounded - rounder_a)
        rounded = rest + rounder_b
        b = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero_b))
        rest = rest - (rounded - rounder_b)
        rounded = rest + rounder_c
        c = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero_c))
        rests += rest - (rounded - rounder_c) != 0.0
        sum_a += a
        sum_b += b
        sum_c += c
        square_aa += a * a
        square_ab += a * b
        square_bb += b * b + 2 * (a * c)
        square_bc += b * c
        square_cc += c * c
    out[0], out[1], out[2] = sum_c, sum_b, sum_a
    out[3], out[4], out[5], out[6], out[7] = square_cc, 2 * square_bc, square_bb, 2 * square_ab, square_aa
    return rests


@njit(cache=True, nogil=True)
def _deposit(table: NDArray[np.int64], place: Any, amount: Any) -> None:
    table[place] += amount & LOW_32
    table[place + 32] += amount >> 32


@njit(cache=True, nogil=True)
def _one_by_one(values: NDArray[Any], sums: NDArray[np.int64], squares: NDArray[np.int64]) -> None:
    for i in range(values.shape[0]):
        pattern = np.float64(values[i]).view(np.int64)
        exponent = (pattern >> 52) & 0x7FF
        mantissa = pattern & ((1 << 52) - 1)
        place = exponent - 1 if exponent > 0 else 0
        if exponent > 0:
            mantissa |= 1 << 52
        low = mantissa & LOW_27
        high = mantissa >> 27
        sign = -1 if pattern < 0 else 1
        sums[place] += sign * low
        sums[place + 27] += sign * high
        _deposit(squares, 2 * place, low * low)
        _deposit(squares, 2 * place + 27, 2 * low * high)
        _deposit(squares, 2 * place + 54, high * high)


@njit(cache=True, nogil=True)
def _by_exponent(values: NDArray[Any], bins: NDArray[np.int64]) -> None:
    """Add float32 to a sum of mantissas and one of their squares per exponent."""
    for i in range(values.shape[0]):
        pattern = np.int64(np.float32(values[i]).view(np.int32))
        exponent = (pattern >> 23) & 0xFF
        mantissa = (pattern & 0x7FFFFF) | (np.int64(exponent > 0) << 23)
        sign = pattern >> 63
        bins[exponent, 0] += (mantissa ^ sign) - sign
        bins[exponent, 1] += mantissa * mantissa


@njit(cache=True, nogil=True)
def _empty_bins(bins: NDArray[np.int64], sums: NDArray[np.int64], squares: NDArray[np.int64]) -> None:
    for exponent in range(bins.shape[0]):
        if bins[exponent, 1] != 0:
            place = 1074 - 149 + max(exponent - 1, 0)
            _deposit(sums, place, bins[exponent, 0])
            _deposit(squares, 2 * place, bins[exponent, 1])
            bins[exponent, 0] = bins[exponent, 1] = 0


@njit(cache=True, nogil=True)
def _grid(smallest: float, largest: float, short: bool) -> tuple[int, int]:
    """Return the least and the greatest unit that a block can be summed on; the first is the greater one where there is none."""
    bottom, top = math.frexp(smallest)[1] - 1, math.frexp(largest)[1]
    if bottom <= -480 or top >= 480:  # a square would lose bits
        return 1, 0
    return (top - 51, bottom - 23) if short else (top - 76, bottom - 52)


@njit(cache=True, nogil=True)
def _add_wide(
    values: NDArray[Any],
    smallest: float,
    largest: float,
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    bins: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """Add finite values of many exponents, not all of them 0; return how many went to the bins."""
    top = math.frexp(largest)[1]
    unit = top - 25 - LIMB * 2
    fits = math.frexp(smallest)[1] - 1 >= unit and unit >= -1022 and top <= 990  # else a rounder is subnormal or infinite
    if fits and _three_limbs(values, unit, out) == 0:
        for i in range(3):
            _deposit(sums, unit + 1074 + LIMB * i, out[i])
        for i in range(5):
            _deposit(squares, 2 * (unit + 1074) + LIMB * i, out[3 + i])
        return 0
    if values.itemsize == 4:
        _by_exponent(values, bins)
        return len(values)
    _one_by_one(values, sums, squares)
    return 0


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
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    short = values.itemsize == 4
    admitted = np.empty(BLOCK, values.dtype)
    good = np.empty(BLOCK, np.uint8)
    admitted_bits = admitted.view(bits.dtype)
    corner = np.empty(4, values.dtype)  # of a block: least, greatest, largest absolute, smallest absolute value but 0
    corner_bits = corner.view(bits.dtype)
    out = np.zeros(8, np.int64)
    bins = np.zeros((256, 2), np.int64)
    pending = unit = 0
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
            least, greatest = _grid(smallest, largest, short)
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
                _deposit(sums, unit + 1074, out[0])
                _deposit(sums, unit + 1074 + LONG, out[4])
                for i in range(3):
                    _deposit(squares, 2 * (unit + 1074) + LONG * i, out[1 + i])
            else:
                pending += _add_wide(block, smallest, largest, sums, squares, bins, out)
                if pending >= PENDING:
                    _empty_bins(bins, sums, squares)
                    pending = 0
    if pending > 0:
        _empty_bins(bins, sums, squares)


@njit(cache=True, nogil=True)
def _accumulate_columns(
    matrix: NDArray[Any],
    strip: NDArray[Any],
    strip_bits: NDArray[Any],
    magnitude: Any,
    largest: float,
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    rows, columns = matrix.shape
    for start in range(0, rows, strip.shape[1] - SKEW):
        height = min(strip.shape[1] - SKEW, rows - start)
        for i in range(height):
            for j in range(columns):
                strip[j, i] = matrix[start + i, j]
        for j in range(columns):
            state = (sums[j], squares[j], counts[j], extremes[j])
            _accumulate(strip[j, :height], strip_bits[j, :height], magnitude, False, -largest, largest, 0.0, 1.0, *state)


def _call(values: NDArray[Any], *arguments: Any) -> None:
    info = np.iinfo(f"i{values.itemsize}")
    _accumulate(values, values.view(info.dtype), info.dtype.type(info.max), *arguments)


def accumulate(
    values: NDArray[np.floating[Any]],
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    """Add values to the exact tables, counts and extremes."""
    largest = float(np.finfo(np.float64).max)
    _call(values, False, -largest, largest, 0.0, 1.0, sums, squares, counts, extremes)


def accumulate_columns(
    matrix: NDArray[np.floating[Any]],
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    counts: NDArray[np.int64],
    extremes: NDArray[np.float64],
) -> None:
    """Add each column of a row-major matrix to its row of the tables, counts and extremes."""
    info = np.iinfo(f"i{matrix.itemsize}")
    columns = matrix.shape[1]
    strip = np.empty((columns, max(64, min(4 * BLOCK, STRIP // columns)) + SKEW), matrix.dtype)
    largest = float(np.finfo(np.float64).max)
    _accumulate_columns(matrix, strip, strip.view(info.dtype), info.dtype.type(info.max), largest, sums, squares, counts, extremes)


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
    _call(values, True, low, high, offset, scale, totals, totals, counts, extremes)
