"""Exact accumulation at memory speed.

A block of values is cut into two or three signed limbs of 26 bits on a grid fixed by the block's largest value. Each cut is
an exact float64 operation (adding 1.5 · 2^52 units rounds to whole units; the rest is exact), so the limbs and their products
add up in int64 lanes without a rounding or an overflow. A block whose values span too many powers of two for the grid is
known by a rest that is not zero, and goes value by value into the tables.
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
LIMB = 26
LOW_27 = (1 << 27) - 1
LOW_32 = (1 << 32) - 1
ROUNDER = 1.5 * 2.0**52


@njit(cache=True, nogil=True)
def _corners(bits: NDArray[Any], magnitude: Any, corner_bits: NDArray[Any]) -> None:
    """Find the least, the greatest and the largest absolute value, as bit patterns."""
    sign_shift = 8 * bits.itemsize - 1
    low = magnitude
    high = ~magnitude
    top = magnitude & ~magnitude
    for i in range(bits.shape[0]):
        pattern = bits[i]
        key = pattern ^ ((pattern >> sign_shift) & magnitude)
        low = min(low, key)
        high = max(high, key)
        top = max(top, pattern & magnitude)
    corner_bits[0] = low ^ ((low >> sign_shift) & magnitude)
    corner_bits[1] = high ^ ((high >> sign_shift) & magnitude)
    corner_bits[2] = top


@njit(cache=True, nogil=True)
def _admit(values: NDArray[Any], low: float, high: float, admitted: NDArray[Any], counts: NDArray[np.int64]) -> int:
    """Copy the finite values within [low, high]; count the others; return how many were copied."""
    size = 0
    for i in range(values.shape[0]):
        value = np.float64(values[i])  # what the bounds are
        if math.isnan(value):
            counts[NAN] += 1
        elif math.isinf(value):
            counts[POSITIVE if value > 0 else NEGATIVE] += 1
        elif value < low or value > high:
            counts[OUTSIDE] += 1
        else:
            admitted[size] = values[i]
            size += 1
    return size


@njit(cache=True, nogil=True)
def _two_limbs(values: NDArray[Any], unit: int, out: NDArray[np.int64]) -> int:
    """Sum values of at most 51 bits above the unit 2^unit; return how many leave a rest."""
    rounder_a = math.ldexp(ROUNDER, unit + LIMB)
    rounder_b = math.ldexp(ROUNDER, unit)
    zero_a = np.float64(rounder_a).view(np.int64)
    zero_b = np.float64(rounder_b).view(np.int64)
    rests = 0
    sum_a = sum_b = square_aa = square_ab = square_bb = np.int64(0)
    for i in range(values.shape[0]):
        rounded = np.float64(values[i]) + rounder_a
        # The detour by int32 lets the compiler use the fast 32 x 32 -> 64 bit multiplication.
        a = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero_a))
        rest = np.float64(values[i]) - (rounded - rounder_a)
        rounded = rest + rounder_b
        b = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero_b))
        rests += rest - (rounded - rounder_b) != 0.0
        sum_a += a
        sum_b += b
        square_aa += a * a
        square_ab += a * b
        square_bb += b * b
    out[0], out[1], out[2] = sum_b, sum_a, 0
    out[3], out[4], out[5], out[6], out[7] = square_bb, 2 * square_ab, square_aa, 0, 0
    return rests


@njit(cache=True, nogil=True)
def _three_limbs(values: NDArray[Any], unit: int, out: NDArray[np.int64]) -> int:
    """Sum values of at most 77 bits above the unit 2^unit; return how many leave a rest."""
    rounder_a = math.ldexp(ROUNDER, unit + 2 * LIMB)
    rounder_b = math.ldexp(ROUNDER, unit + LIMB)
    rounder_c = math.ldexp(ROUNDER, unit)
    zero_a = np.float64(rounder_a).view(np.int64)
    zero_b = np.float64(rounder_b).view(np.int64)
    zero_c = np.float64(rounder_c).view(np.int64)
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
def _add_block(values: NDArray[Any], largest: float, sums: NDArray[np.int64], squares: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    top = math.frexp(largest)[1]
    # float32 mantissas mostly fit two limbs, float64 mantissas never do.
    for limbs in range(2 if values.itemsize == 4 else 3, 4):
        unit = top - 25 - LIMB * (limbs - 1)
        if unit < -1022 or top > 990:  # a rounder would be subnormal or infinite
            break
        rests = _two_limbs(values, unit, out) if limbs == 2 else _three_limbs(values, unit, out)
        if rests == 0:
            for i in range(3):
                _deposit(sums, unit + 1074 + LIMB * i, out[i])
            for i in range(5):
                _deposit(squares, 2 * (unit + 1074) + LIMB * i, out[3 + i])
            return
    _one_by_one(values, sums, squares)


@njit(cache=True, nogil=True)
def _add_fixed(values: NDArray[Any], offset: float, scale: float, totals: NDArray[np.int64]) -> None:
    zero = np.float64(ROUNDER).view(np.int64)
    total = low = high = np.int64(0)
    for i in range(values.shape[0]):
        rounded = (np.float64(values[i]) - offset) * scale + ROUNDER
        steps = np.int64(np.int32(np.float64(rounded).view(np.int64) - zero))
        square = steps * steps
        total += steps
        low += square & LOW_32
        high += square >> 32
    totals[0] += total
    totals[1] += low
    totals[2] += high


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
    admitted = np.empty(BLOCK, values.dtype)
    admitted_bits = admitted.view(bits.dtype)
    corner = np.empty(3, values.dtype)  # least, greatest and largest absolute value of a block
    corner_bits = corner.view(bits.dtype)
    out = np.empty(8, np.int64)
    for start in range(0, values.shape[0], BLOCK):
        block = values[start : start + BLOCK]
        block_bits = bits[start : start + BLOCK]
        _corners(block_bits, magnitude, corner_bits)
        if not (np.float64(corner[0]) >= low and np.float64(corner[1]) <= high):  # NaN has the outermost keys and fails the comparison
            size = _admit(block, low, high, admitted, counts)
            if size == 0:
                continue
            block = admitted[:size]
            _corners(admitted_bits[:size], magnitude, corner_bits)
        counts[FINITE] += block.shape[0]
        extremes[0] = min(extremes[0], np.float64(corner[0])) + 0.0
        extremes[1] = max(extremes[1], np.float64(corner[1])) + 0.0
        if fixed:
            _add_fixed(block, offset, scale, sums)
        elif corner[2] > 0:
            _add_block(block, np.float64(corner[2]), sums, squares, out)


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
