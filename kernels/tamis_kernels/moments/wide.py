"""Exact sums of blocks whose values span too many powers of two for one grid: in three limbs, by exponent, or one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.moments.grids import deposit, rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Int64s

LIMB = 26
LOW_27 = (1 << 27) - 1


@of_views
def _three_limbs(values: NDArray[Any], unit: int, out: Int64s) -> int:
    """Sum values of at most 77 bits above the unit 2^unit; return how many leave a rest."""
    rounder_a, zero_a = rounding(unit + 2 * LIMB)
    rounder_b, zero_b = rounding(unit + LIMB)
    rounder_c, zero_c = rounding(unit)
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


@of_views
def _one_by_one(values: NDArray[Any], sums: Int64s, squares: Int64s) -> None:
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
        deposit(squares, 2 * place, low * low)
        deposit(squares, 2 * place + 27, 2 * low * high)
        deposit(squares, 2 * place + 54, high * high)


@of_views
def _by_exponent(values: NDArray[Any], bins: Int64s) -> None:
    """Add float32 to a sum of mantissas and one of their squares per exponent."""
    for i in range(values.shape[0]):
        pattern = np.int64(np.float32(values[i]).view(np.int32))
        exponent = (pattern >> 23) & 0xFF
        mantissa = (pattern & 0x7FFFFF) | (np.int64(exponent > 0) << 23)
        sign = pattern >> 63
        bins[exponent, 0] += (mantissa ^ sign) - sign
        bins[exponent, 1] += mantissa * mantissa


@of_views
def empty_bins(bins: Int64s, sums: Int64s, squares: Int64s) -> None:
    """Move what is in the bins of exponents to the tables."""
    for exponent in range(bins.shape[0]):
        if bins[exponent, 1] != 0:
            place = 1074 - 149 + max(exponent - 1, 0)
            deposit(sums, place, bins[exponent, 0])
            deposit(squares, 2 * place, bins[exponent, 1])
            bins[exponent, 0] = bins[exponent, 1] = 0


@of_views
def add_wide(values: NDArray[Any], smallest: float, largest: float, sums: Int64s, squares: Int64s, bins: Int64s, out: Int64s) -> int:
    """Add finite values of many exponents, not all of them 0; return how many went to the bins."""
    top = math.frexp(largest)[1]
    unit = top - 25 - LIMB * 2
    fits = math.frexp(smallest)[1] - 1 >= unit and unit >= -1022 and top <= 990  # else a rounder is subnormal or infinite
    if fits and _three_limbs(values, unit, out) == 0:
        for i in range(3):
            deposit(sums, unit + 1074 + LIMB * i, out[i])
        for i in range(5):
            deposit(squares, 2 * (unit + 1074) + LIMB * i, out[3 + i])
        return 0
    if values.itemsize == 4:
        _by_exponent(values, bins)
        return len(values)
    _one_by_one(values, sums, squares)
    return 0
