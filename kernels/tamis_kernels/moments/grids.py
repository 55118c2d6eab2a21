"""Grids of powers of two that a block of values is summed on, and the tables that the sums go to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s

LONG = 51  # bits of a limb
LOW_32 = (1 << 32) - 1
ROUNDER = 1.5 * 2.0**52
LEAST_UNIT = -537
"""Squares are sums of units of 2^(2 · unit): what rounds to these must be a normal number, for others round to larger ones."""


@njit(cache=True, nogil=True)
def rounding(unit: int) -> tuple[float, Any]:
    """Return what rounds a float64 to units of 2^unit when it is added, and the bits of the sum of it and 0."""
    rounder = math.ldexp(ROUNDER, int(unit))  # Python's own takes no int64 of NumPy
    return rounder, np.float64(rounder).view(np.int64)


@of_views
def deposit(table: Int64s, place: Any, amount: Any) -> None:
    """Add an amount of 2^place to a table, in two halves that cannot overflow an entry."""
    table[place] += amount & LOW_32
    table[place + 32] += amount >> 32


@of_views
def units_for(smallest: float, largest: float, short: bool) -> tuple[int, int]:
    """Return the least and the greatest unit that a block can be summed on; the first is the greater one where there is none."""
    bottom, top = math.frexp(smallest)[1] - 1, math.frexp(largest)[1]
    if bottom <= -480 or top >= 480:  # a square would lose bits
        return 1, 0
    return (top - 51, bottom - 23) if short else (max(top - 76, LEAST_UNIT), bottom - 52)
