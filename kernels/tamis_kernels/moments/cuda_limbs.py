"""Sums on grids of powers of two, of a thread and of a block, in CUDA. Only modules named `cuda…` import it.

A window is some exponents side by side. A value in it is scaled by a power of two, so that the lowest of them becomes 0, and is cut into
limbs of at most 51 bits: a number added that is so large that the sum has no bits below a unit rounds to that unit, and the bits of the sum
are a whole number of units on top of those of the number added. What the rounding left goes to the next limb likewise. The square is
rounded once, and what that left is a float64 too. All of it is exact, so that limbs add up to the same in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.cuda_compiled import fused
from tamis_kernels.moments.cpu import FINITE, NAN, NEGATIVE, POSITIVE
from tamis_kernels.moments.grids import LONG, LOW_32, rounding
from tamis_kernels.moments.wide import LOW_27

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s

i32, i64, f32, f64 = np.int32, np.int64, np.float32, np.float64
MAGNITUDE = 0x7FFFFFFFFFFFFFFF
LARGEST_FIELD, MIDDLE_FIELD = 2046, 1023  # of the exponents in a float64's bits: of finite ones, and of 1.0
FIELD_APART = 1023 - 127  # from the exponents in a float32's bits to those in a float64's
LONG_FIELDS, SHORT_FIELDS = (1, LARGEST_FIELD), (FIELD_APART + 1, FIELD_APART + 254)  # of normal float64 and float32
LONG_SPAN, SHORT_SPAN = 24, 28  # exponents of a window: squares of 53 bits in three limbs, of 24 bits in two
MOST = 4096  # values of which a limb holds the sum, since each is less than 2^51 units
LANES = 16  # that first add up an amount of all threads of a block, of which there are a multiple
LOWEST_LONG, LOWEST_SHORT = -52, -23  # bits of a scaled value
LOW, HIGH = (rounding(LOWEST_LONG + LONG * limb)[0] for limb in range(2))
C, B, A = (rounding(2 * LOWEST_LONG + LONG * limb)[0] for limb in range(3))
SHORT = rounding(LOWEST_SHORT)[0]
SHORT_LOW, SHORT_HIGH = (rounding(2 * LOWEST_SHORT + LONG * limb)[0] for limb in range(2))


@cuda.jit(device=True)
def bits_of(value: float) -> int:
    """Return the bits of a float64; in the simulator as an integer without a width, since sums of them pass 2^63 and come back."""
    return int(f64(value).view(i64))


@cuda.jit(device=True)
def field_of(value: float) -> int:
    """Return the exponent of a value as its bits have it: 0 of zeros and subnormals, 2047 of what is not finite."""
    return int((bits_of(value) >> 52) & 0x7FF)


@cuda.jit(device=True)
def window_around(value: float, fields: tuple[int, int], span: int) -> int:
    """Return the lowest exponent of a window that has a value's in its upper half; around 1.0 where it has none of its own."""
    field = field_of(value)
    field = MIDDLE_FIELD if field == 0 or field > LARGEST_FIELD else field
    return max(fields[0], min(field - 2 * span // 3, fields[1] + 1 - span))


@cuda.jit(device=True)
def within(value: float, window: int) -> Any:
    """Return whether a float64's exponent lies in a window; those of zeros, subnormals and what is not finite lie in none."""
    above = i32(i32((bits_of(value) >> 32) & 0x7FFFFFFF) - i32(window << 20))
    return (above >= 0) & (above < i32(LONG_SPAN << 20))


@cuda.jit(device=True)
def within_short(value: Any, window: int) -> Any:
    """Return whether a float32's exponent lies in a window likewise."""
    above = i32(i32(f32(value).view(i32) & 0x7FFFFFFF) - i32((window - FIELD_APART) << 23))
    return (above >= 0) & (above < i32(SHORT_SPAN << 23))


@cuda.jit(device=True)
def scale_of(window: int) -> float:
    """Return what brings the lowest exponent of a window to 0."""
    return float(i64((2 * MIDDLE_FIELD - window) << 52).view(f64))


@cuda.jit(device=True)
def add_long(limbs: Any, x: float) -> Any:
    """Add a scaled value of 53 bits to two limbs of the sum and three of the sum of squares."""
    low, high, c, b, a = limbs
    rounded = x + HIGH
    high += bits_of(rounded)
    low += bits_of((x - (rounded - HIGH)) + LOW)
    square = x * x
    error = fused(x, x, -square)
    rounded = square + A
    a += bits_of(rounded)
    b += bits_of((square - (rounded - A)) + B)
    rounded = error + B
    b += bits_of(rounded)
    c += bits_of((error - (rounded - B)) + C)
    return low, high, c, b, a


@cuda.jit(device=True)
def add_short(limbs: Any, x: float) -> Any:
    """Add a scaled value of 24 bits to the limb of the sum and two of the sum of squares, which has 48 bits at most."""
    total, low, high = limbs
    total += bits_of(x + SHORT)
    square = x * x
    rounded = square + SHORT_HIGH
    high += bits_of(rounded)
    low += bits_of((square - (rounded - SHORT_HIGH)) + SHORT_LOW)
    return total, low, high


@cuda.jit(device=True)
def put(tile: Int64s, number: int, limb: int) -> None:
    """Write the halves of a limb that a thread holds to its own places of a tile."""
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    tile[2 * number * threads + thread] = limb & LOW_32
    tile[(2 * number + 1) * threads + thread] = limb >> 32


@cuda.jit(device=True)
def put_long(tile: Int64s, limbs: Any, many: int) -> None:
    """Write the limbs that so many values of 53 bits were added to, zeros among them."""
    low, high, c, b, a = limbs
    put(tile, 0, low - many * bits_of(LOW))
    put(tile, 1, high - many * bits_of(HIGH))
    put(tile, 2, c - many * bits_of(C))
    put(tile, 3, b - 2 * many * bits_of(B))
    put(tile, 4, a - many * bits_of(A))


@cuda.jit(device=True)
def put_short(tile: Int64s, limbs: Any, many: int) -> None:
    """Write the limbs that so many values of 24 bits were added to, zeros among them."""
    total, low, high = limbs
    put(tile, 0, total - many * bits_of(SHORT))
    put(tile, 1, low - many * bits_of(SHORT_LOW))
    put(tile, 2, high - many * bits_of(SHORT_HIGH))


@cuda.jit(device=True)
def add_halves(sums: Any, squares: Any, column: int, window: int, lowest: int, tile: Int64s, many: int) -> None:
    """Add the halves of limbs that a thread has put to the tables; `lowest` is the exponent of the lowest bit of a scaled value."""
    place, of_sum = window - MIDDLE_FIELD + lowest, many // 4 * 2
    for number in range(many):
        amount, half = tile[number * cuda.blockDim.x + cuda.threadIdx.x], 32 * (number % 2)
        if amount and number < of_sum:
            cuda.atomic.add(sums, (column, place + 1074 + LONG * (number // 2) + half), amount)
        elif amount:
            cuda.atomic.add(squares, (column, 2 * place + 2148 + LONG * ((number - of_sum) // 2) + half), amount)


@cuda.jit(device=True)
def add_alone(sums: Any, squares: Any, column: int, value: float) -> None:
    """Add a finite value of any exponent to the tables."""
    pattern = bits_of(value)
    exponent = field_of(value)
    mantissa = (pattern & ((1 << 52) - 1)) | (i64(exponent > 0) << 52)
    place, sign = max(exponent - 1, 0), -1 if pattern < 0 else 1
    low, high = mantissa & LOW_27, mantissa >> 27
    cuda.atomic.add(sums, (column, place), sign * low)
    cuda.atomic.add(sums, (column, place + 27), sign * high)
    for number, product in enumerate((low * low, 2 * low * high, high * high)):
        cuda.atomic.add(squares, (column, 2 * place + 27 * number), product & LOW_32)
        cuda.atomic.add(squares, (column, 2 * place + 27 * number + 32), product >> 32)


@cuda.jit(device=True)
def key_of(value: float) -> int:
    """Return an integer that orders like a float64, of -0.0 that of 0.0."""
    pattern = bits_of(f64(value) + 0.0)
    return int(pattern ^ ((pattern >> 63) & MAGNITUDE))


@cuda.jit(device=True)
def noted(value: float, seen: tuple[int, int, int]) -> tuple[int, int, int]:
    """Count a value that is not finite."""
    nan, positive, negative = seen
    return nan + (value != value), positive + (value > 0), negative + (value < 0)


@cuda.jit(device=True)
def note(counts: Int64s, seen: tuple[int, int, int]) -> None:
    """Take from the finite values what a thread has found not to be."""
    nan, positive, negative = seen
    if nan + positive + negative:
        cuda.atomic.add(counts, FINITE, -(nan + positive + negative))
        cuda.atomic.add(counts, NAN, nan)
        cuda.atomic.add(counts, POSITIVE, positive)
        cuda.atomic.add(counts, NEGATIVE, negative)


@cuda.jit(device=True)
def widen(keys: Int64s, least: int, greatest: int) -> None:
    """Widen a range."""
    cuda.atomic.min(keys, 0, least)
    cuda.atomic.max(keys, 1, greatest)


@cuda.jit(device=True)
def fold(tile: Int64s, many: int, least: int, greatest: int) -> None:
    """Leave the sums of so many amounts that the threads of a block have put, and their range, where those of its first thread lay."""
    thread, threads = i32(cuda.threadIdx.x), i32(cuda.blockDim.x)
    tile[many * threads + thread], tile[(many + 1) * threads + thread] = least, greatest
    cuda.syncthreads()
    for number in range(thread // LANES, many + 2, threads // LANES):
        gather(tile, number, many, number * threads + thread % LANES, (number + 1) * threads, LANES)
    cuda.syncthreads()
    for number in range(thread, many + 2, threads):
        gather(tile, number, many, number * threads, number * threads + LANES, 1)
    cuda.syncthreads()


@cuda.jit(device=True)
def gather(tile: Int64s, number: int, many: int, first: int, end: int, step: int) -> None:
    """Bring the sum of some places of a tile to the first of them; after so many amounts the least of them, and then the greatest."""
    found = tile[first]
    for place in range(first + step, end, step):
        other = tile[place]
        found = found + other if number < many else min(found, other) if number == many else max(found, other)
    tile[first] = found
