"""Hamming distances with NumPy's bit count, pair by pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.uint64]


def distances(left: NDArray[np.uint64], right: NDArray[np.uint64], out: NDArray[np.int32]) -> None:
    """Write the number of differing bits of each row."""
    out[:] = np.bitwise_count(left ^ right).sum(axis=1)


def within(hashes: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64], limit: int, out: NDArray[np.bool_]) -> None:
    """Write whether each candidate differs in at most `limit` bits."""
    out[:] = np.bitwise_count(hashes[left] ^ hashes[right]).sum(axis=1) <= limit


def slot_keys(hashes: NDArray[np.uint64], edges: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    """Write the bits from one edge to the next, with the slot's number above them."""
    for row, words in enumerate(hashes):
        number = sum(int(word) << 64 * place for place, word in enumerate(words))
        for slot in range(out.shape[1]):
            low, high = int(edges[slot]), int(edges[slot + 1])
            out[row, slot] = slot << 48 | number >> low & (1 << high - low) - 1


def _distance(columns: Columns, a: int, b: int) -> int:
    return int(np.bitwise_count(columns[:, a] ^ columns[:, b]).sum())


def _partners_all(columns: Columns, limit: int, row: int) -> list[tuple[int, int, int]]:
    found = ((other, _distance(columns, row, other)) for other in range(row + 1, columns.shape[1]))
    return [(row, other, distance) for other, distance in found if distance <= limit]


def count_all(columns: Columns, limit: int, first: int, counts: NDArray[np.int64]) -> None:
    """Count, for each row from `first` on, the later rows within the limit; `columns` is uint64[words, n]."""
    for step in range(len(counts)):
        counts[step] = len(_partners_all(columns, limit, first + step))


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
    for step in range(len(counts)):
        for place, found in enumerate(_partners_all(columns, limit, first + step), int(offsets[step])):
            left[place], right[place], distance[place] = found


def _slot_distance(columns: Columns, a: int, b: int, slot: int) -> int:
    differing = int(columns[slot // 4, a] ^ columns[slot // 4, b]) >> 16 * (slot % 4)
    return (differing & 0xFFFF).bit_count()


def _partners_slot(
    columns: Columns,
    order: NDArray[np.int64],
    keys: NDArray[np.uint16],
    starts: NDArray[np.int64],
    slot: int,
    limit: int,
    row: int,
) -> list[tuple[int, int, int]]:
    """Return the pairs that this slot is the first to bring within its reach; `columns` are in the slot's order."""
    reach = limit // (4 * columns.shape[0])
    key = int(keys[row])
    others = list(range(row + 1, int(starts[key + 1])))
    if reach:
        for neighbour in (key | 1 << bit for bit in range(16) if not key >> bit & 1):
            others += range(int(starts[neighbour]), int(starts[neighbour + 1]))
    found = []
    for other in others:
        distance = _distance(columns, row, other)
        if distance <= limit and all(_slot_distance(columns, row, other, earlier) > reach for earlier in range(slot)):
            ends = sorted((int(order[row]), int(order[other])))
            found.append((ends[0], ends[1], distance))
    return found


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
    for step in range(len(counts)):
        counts[step] = len(_partners_slot(columns, order, keys, starts, slot, limit, first + step))


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
    for step in range(len(counts)):
        partners = _partners_slot(columns, order, keys, starts, slot, limit, first + step)
        for place, found in enumerate(partners, int(offsets[step])):
            left[place], right[place], distance[place] = found
