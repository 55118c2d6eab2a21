"""Hamming distances in Numba: LLVM turns the bit-parallel sum into the processor's popcount, and vectors of it where there are any."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Columns = NDArray[np.uint64]

_TILE = 2048  # hashes compared at a time: 64 KiB of 256-bit hashes


@njit(cache=True, nogil=True, inline="always")
def _ones(word: np.uint64) -> np.uint64:
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def distances(left: NDArray[np.uint64], right: NDArray[np.uint64], out: NDArray[np.int32]) -> None:
    """Write the number of differing bits of each row."""
    for row in range(left.shape[0]):
        total = np.uint64(0)
        for word in range(left.shape[1]):
            total += _ones(left[row, word] ^ right[row, word])
        out[row] = total


@njit(cache=True, nogil=True)
def within(hashes: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64], limit: int, out: NDArray[np.bool_]) -> None:
    """Write whether each candidate differs in at most `limit` bits."""
    for pair in range(left.size):
        total = np.uint64(0)
        for word in range(hashes.shape[1]):
            total += _ones(hashes[left[pair], word] ^ hashes[right[pair], word])
        out[pair] = total <= np.uint64(limit)


@njit(cache=True, nogil=True)
def slot_keys(hashes: NDArray[np.uint64], edges: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    """Write the bits from one edge to the next, with the slot's number above them."""
    for row in range(hashes.shape[0]):
        for slot in range(out.shape[1]):
            word, bit = edges[slot] // 64, edges[slot] % 64
            length = edges[slot + 1] - edges[slot]
            key = hashes[row, word] >> np.uint64(bit)
            if bit + length > 64:
                key |= hashes[row, word + 1] << np.uint64(64 - bit)
            key &= (np.uint64(1) << np.uint64(length)) - np.uint64(1)
            out[row, slot] = key | np.uint64(slot) << np.uint64(48)


@njit(cache=True, nogil=True)
def _measure(columns: Columns, row: int, start: int, stop: int, totals: NDArray[np.uint64]) -> None:
    """Write the distances from one row to the rows start … stop - 1."""
    for place in range(stop - start):
        totals[place] = 0
    for word in range(columns.shape[0]):
        own = columns[word, row]
        others = columns[word, start:stop]
        for place in range(stop - start):
            totals[place] += _ones(own ^ others[place])


@njit(cache=True, nogil=True)
def _count_near(columns: Columns, row: int, start: int, stop: int, limit: int, totals: NDArray[np.uint64]) -> int:
    found = 0
    if columns.shape[0] == 4:  # 256 bits: the distances stay in registers
        own0, own1, own2, own3 = columns[0, row], columns[1, row], columns[2, row], columns[3, row]
        word0, word1, word2, word3 = columns[0, start:stop], columns[1, start:stop], columns[2, start:stop], columns[3, start:stop]
        for place in range(stop - start):
            near = _ones(own0 ^ word0[place]) + _ones(own1 ^ word1[place])
            near += _ones(own2 ^ word2[place]) + _ones(own3 ^ word3[place])
            found += int(near <= np.uint64(limit))
        return found
    _measure(columns, row, start, stop, totals)
    for place in range(stop - start):
        found += int(totals[place] <= np.uint64(limit))
    return found


@njit(cache=True, nogil=True, parallel=True)
def count_all(columns: Columns, limit: int, first: int, counts: NDArray[np.int64]) -> None:
    """Count, for each row from `first` on, the later rows within the limit; `columns` is uint64[words, n]."""
    n = columns.shape[1]
    group = 64
    for block in prange((len(counts) + group - 1) // group):
        totals = np.empty(_TILE, np.uint64)
        begin = first + block * group
        end = min(first + len(counts), begin + group)
        for tile in range(begin, n, _TILE):
            for row in range(begin, end):
                start = max(row + 1, tile)
                stop = min(n, tile + _TILE)
                if start < stop:
                    counts[row - first] += _count_near(columns, row, start, stop, limit, totals)


@njit(cache=True, nogil=True, parallel=True)
def fill_all(
    columns: Columns,
    limit: int,
    first: int,
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: NDArray[np.int32],
) -> None:
    """Write the pairs that `count_all` counted, those of each row from its offset on."""
    n = columns.shape[1]
    for step in prange(len(counts)):
        place = offsets[step]
        end = place + counts[step]
        row = first + step
        start = row + 1
        totals = np.empty(_TILE if place < end else 0, np.uint64)
        while place < end:
            stop = min(n, start + _TILE)
            _measure(columns, row, start, stop, totals)
            for other in range(start, stop):
                if totals[other - start] <= np.uint64(limit):
                    left[place] = row
                    right[place] = other
                    distance[place] = totals[other - start]
                    place += 1
            start = stop


@njit(cache=True, nogil=True)
def _is_first(columns: Columns, row: int, other: int, slot: int, reach: int) -> bool:
    """Say that no earlier slot brings the two rows within its reach."""
    for earlier in range(slot):
        differing = (columns[earlier // 4, row] ^ columns[earlier // 4, other]) >> np.uint64(16 * (earlier % 4))
        if _ones(differing & np.uint64(0xFFFF)) <= np.uint64(reach):
            return False
    return True


@njit(cache=True, nogil=True)
def _scan_slot(
    columns: Columns,
    order: NDArray[np.int64],
    keys: NDArray[np.uint16],
    starts: NDArray[np.int64],
    slot: int,
    limit: int,
    row: int,
    place: int,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: NDArray[np.int32],
) -> int:
    """Count the pairs that a row leads in this slot; write them from `place` on where `left` is not empty."""
    words = columns.shape[0]
    reach = limit // (4 * words)
    key = np.int64(keys[row])
    found = 0
    for bit in range(-1, 16 if reach else 0):
        neighbour = key if bit < 0 else key | 1 << bit
        if bit >= 0 and neighbour == key:
            continue
        start = row + 1 if bit < 0 else starts[neighbour]
        for other in range(start, starts[neighbour + 1]):
            total = np.uint64(0)
            for word in range(words):
                total += _ones(columns[word, row] ^ columns[word, other])
            if total <= np.uint64(limit) and _is_first(columns, row, other, slot, reach):
                if left.size:
                    left[place + found] = min(order[row], order[other])
                    right[place + found] = max(order[row], order[other])
                    distance[place + found] = total
                found += 1
    return found


@njit(cache=True, nogil=True, parallel=True)
def count_slot(
    columns: Columns,
    order: NDArray[np.int64],
    keys: NDArray[np.uint16],
    starts: NDArray[np.int64],
    slot: int,
    limit: int,
    first: int,
    counts: NDArray[np.int64],
) -> None:
    """Count, for each row from `first` on in the slot's order, the pairs that it leads."""
    nothing = np.empty(0, np.int64)
    no_distance = np.empty(0, np.int32)
    for step in prange(len(counts)):
        counts[step] = _scan_slot(columns, order, keys, starts, slot, limit, first + step, 0, nothing, nothing, no_distance)


@njit(cache=True, nogil=True, parallel=True)
def fill_slot(
    columns: Columns,
    order: NDArray[np.int64],
    keys: NDArray[np.uint16],
    starts: NDArray[np.int64],
    slot: int,
    limit: int,
    first: int,
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: NDArray[np.int32],
) -> None:
    """Write the pairs that `count_slot` counted, those of each row from its offset on."""
    for step in prange(len(counts)):
        if counts[step]:
            _scan_slot(columns, order, keys, starts, slot, limit, first + step, offsets[step], left, right, distance)
