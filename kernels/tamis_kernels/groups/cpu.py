"""The stable sort in Numba: radix sort from the least significant digit, over (key, position) pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = 8  # 256 write streams stay in the caches; with 11 bits four million keys take twice as long, for all the passes saved
DIGITS = 8
u64 = np.uint64


@njit(cache=True, nogil=True)
def sort_by_key(keys: NDArray[np.uint64], order: NDArray[np.uint32], ordered: NDArray[np.uint64]) -> None:
    """Write the stable order of the keys and the keys in that order."""
    n = keys.size
    mask = u64((1 << BITS) - 1)
    counts = np.zeros((DIGITS, 1 << BITS), np.int64)
    for i in range(n):
        ordered[i] = keys[i]
        order[i] = i
        for digit in range(DIGITS):
            counts[digit, (keys[i] >> u64(BITS * digit)) & mask] += 1
    from_keys, from_order = ordered, order
    to_keys, to_order = np.empty_like(ordered), np.empty_like(order)
    for digit in range(DIGITS):
        shift = u64(BITS * digit)
        if n == 0 or counts[digit, (from_keys[0] >> shift) & mask] == n:
            continue  # all keys have the same digit here
        place = counts[digit]
        below = 0
        for value in range(place.size):
            below, place[value] = below + place[value], below
        for i in range(n):
            value = (from_keys[i] >> shift) & mask
            to_keys[place[value]] = from_keys[i]
            to_order[place[value]] = from_order[i]
            place[value] += 1
        from_keys, to_keys = to_keys, from_keys
        from_order, to_order = to_order, from_order
    ordered[:] = from_keys
    order[:] = from_order
