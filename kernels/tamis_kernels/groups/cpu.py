"""The stable sort in Numba, over (key, position) pairs.

Keys are spread over 256 parts by their highest byte, each of which fits into the cache for the rest: two more digits, and an insertion
sort for what is still out of order. Hashes, which the keys mostly are, have hardly anything left there: 150 M keys/s at four million, 40
with eight passes over memory. Keys that are not spread out use up the insertion sort's budget, and their part takes all eight digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint32s, Uint64s

u64 = np.uint64
DIGIT = u64(255)
HIGHEST = u64(56)
FEW = 24  # keys that are sorted by insertion alone
BUDGET = 8  # moves a key


@njit(cache=True, nogil=True)
def sort_by_key(keys: Uint64s, order: Uint32s, ordered: Uint64s) -> int:
    """Write the stable order of the keys and the keys in that order; return how many are distinct."""
    bounds = np.zeros(257, np.int64)
    for i in range(keys.size):
        bounds[(keys[i] >> HIGHEST) + u64(1)] += 1
    for part in range(256):
        bounds[part + 1] += bounds[part]
    place = bounds[:256].copy()
    for i in range(keys.size):
        part = keys[i] >> HIGHEST
        at = u64(place[part])
        place[part] += 1
        ordered[at], order[at] = keys[i], i
    largest = 0
    for part in range(256):
        largest = max(largest, bounds[part + 1] - bounds[part])
    other_keys, other_order = np.empty(largest, np.uint64), np.empty(largest, np.uint32)
    for part in range(256):
        some = slice(bounds[part], bounds[part + 1])
        sort_part(ordered[some], order[some], other_keys, other_order)
    distinct = min(1, keys.size)
    for i in range(1, keys.size):
        distinct += ordered[i] != ordered[i - 1]
    return distinct


@of_views
def run_starts(ordered: Uint64s, starts: Int64s) -> None:
    """Write where each run of equal keys starts."""
    run = 0
    for i in range(ordered.size):
        if i == 0 or ordered[i] != ordered[i - 1]:
            starts[run] = i
            run += 1


@njit(cache=True, nogil=True)
def sort_part(keys: Uint64s, order: Uint32s, other_keys: Uint64s, other_order: Uint32s) -> None:
    """Sort keys whose highest bytes are equal."""
    if keys.size > FEW:
        sort_by_digit(keys, order, u64(40), other_keys, other_order)
        sort_by_digit(other_keys[: keys.size], other_order, u64(48), keys, order)
    if not insert(keys, order):
        for pair in range(4):
            sort_by_digit(keys, order, u64(16 * pair), other_keys, other_order)
            sort_by_digit(other_keys[: keys.size], other_order, u64(16 * pair + 8), keys, order)


@njit(cache=True, nogil=True)
def sort_by_digit(keys: Uint64s, order: Uint32s, shift: np.uint64, to_keys: Uint64s, to_order: Uint32s) -> None:
    """Move pairs over, sorted by one byte of the key."""
    place = np.zeros(256, np.int64)
    for i in range(keys.size):
        place[(keys[i] >> shift) & DIGIT] += 1
    below = 0
    for value in range(256):
        below, place[value] = below + place[value], below
    for i in range(keys.size):
        value = (keys[i] >> shift) & DIGIT
        at = u64(place[value])
        place[value] += 1
        to_keys[at], to_order[at] = keys[i], order[i]


@of_views
def insert(keys: Uint64s, order: Uint32s) -> bool:
    """Sort by insertion and return True, or stop halfway and return False when it takes too long."""
    moves = BUDGET * keys.size + FEW * FEW
    for i in range(1, keys.size):
        key, position = keys[i], order[i]
        at = i
        while at > 0 and keys[at - 1] > key:
            keys[at], order[at] = keys[at - 1], order[at - 1]
            at -= 1
        keys[at], order[at] = key, position
        moves -= i - at
        if moves < 0:
            return False
    return True
