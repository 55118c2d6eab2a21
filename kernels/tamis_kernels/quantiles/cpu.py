"""Radix histograms of order-preserving keys: one pass over the bits, with a table of what wanted prefixes end with in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Floats, Int64s, Uint64s


@njit(cache=True, nogil=True)
def key_of(pattern: Any, sign: Any) -> Any:
    """Return an unsigned integer that orders like the value of a pattern.

    -0.0 has the pattern `sign` alone: like all patterns up to it, it gets the sign bit set, which makes it 0.
    """
    return ~pattern if pattern > sign else pattern | sign


@of_views
def _count_leading(bits: NDArray[Any], infinity: Any, sign: Any, shift: Any, histogram: Int64s) -> None:
    magnitude = sign - bits.dtype.type(1)
    for i in range(bits.shape[0]):
        if (bits[i] & magnitude) <= infinity:
            histogram[key_of(bits[i], sign) >> shift] += 1


@njit(cache=True, nogil=True)
def _count_following(
    bits: NDArray[Any], infinity: Any, sign: Any, prefixes: NDArray[Any], ends: Bools, shift: Any, digit: Any, histogram: Int64s
) -> None:
    magnitude, last_16 = sign - bits.dtype.type(1), bits.dtype.type(0xFFFF)
    for i in range(bits.shape[0]):
        pattern = bits[i]
        following = key_of(pattern, sign) >> shift
        if ends[(following >> digit) & last_16] and (pattern & magnitude) <= infinity:
            row = np.searchsorted(prefixes, following >> digit)
            if row < prefixes.shape[0] and prefixes[row] == following >> digit:
                histogram[row, following & bits.dtype.type(histogram.shape[1] - 1)] += 1


@of_views
def _count_below_one(bits: NDArray[Any], infinity: Any, sign: Any, prefix: Any, shift: Any, digit: Any, histogram: Int64s) -> None:
    magnitude = sign - bits.dtype.type(1)
    last = bits.dtype.type(histogram.shape[0] - 1)
    for i in range(bits.shape[0]):
        following = key_of(bits[i], sign) >> shift
        if following >> digit == prefix and (bits[i] & magnitude) <= infinity:
            histogram[following & last] += 1


@njit(cache=True, nogil=True)
def _select(bits: NDArray[Any], infinity: Any, sign: Any, prefixes: NDArray[Any], ends: Bools, shift: Any, out: NDArray[Any]) -> int:
    magnitude, last_16 = sign - bits.dtype.type(1), bits.dtype.type(0xFFFF)
    found = 0
    for i in range(bits.shape[0]):
        pattern = bits[i]
        leading = key_of(pattern, sign) >> shift
        if ends[leading & last_16] and (pattern & magnitude) <= infinity:
            row = np.searchsorted(prefixes, leading)
            if row < prefixes.shape[0] and prefixes[row] == leading:
                out[found] = pattern
                found += 1
    return found


def bits_of(values: Floats) -> tuple[NDArray[Any], Any, Any]:
    """Return the patterns of the values, that of infinity and that of the sign, as unsigned integers."""
    unsigned = np.dtype(f"u{values.itemsize}")
    infinity = np.array([np.inf], values.dtype).view(unsigned)[0]
    return values.view(unsigned), infinity, unsigned.type(1 << (8 * values.itemsize - 1))


def _ends(prefixes: Uint64s) -> Bools:
    """Return a table over 16 bits of what prefixes end with: it keeps most other values from a search, also where all begin alike."""
    table = np.zeros(1 << 16, np.bool_)
    table[prefixes & np.uint64(0xFFFF)] = True
    return table


def count(values: Floats, prefixes: Uint64s, shift: int, histogram: Int64s) -> None:
    """Count the bits above `shift` of each key, as many as the histogram is wide, in the row of the prefix that stands before them."""
    patterns, infinity, sign = bits_of(values)
    number = patterns.dtype.type
    width = 8 * values.itemsize
    digit = histogram.shape[1].bit_length() - 1
    if shift == width - 16:
        _count_leading(patterns, infinity, sign, number(shift), histogram[0])
    else:
        known = prefixes.astype(patterns.dtype)
        if known.size == 1:
            _count_below_one(patterns, infinity, sign, known[0], number(shift), number(digit), histogram[0])
            return
        _count_following(patterns, infinity, sign, known, _ends(prefixes), number(shift), number(digit), histogram)


def select(values: Floats, prefixes: Uint64s, shift: int, out: Floats) -> int:
    """Copy the values whose key has one of the prefixes above `shift` to `out` and return how many there are."""
    patterns, infinity, sign = bits_of(values)
    number = patterns.dtype.type
    known = prefixes.astype(patterns.dtype)
    return int(_select(patterns, infinity, sign, known, _ends(prefixes), number(shift), out.view(patterns.dtype)))
