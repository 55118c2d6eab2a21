"""Hamming distances with NumPy's bit count, pair by pair."""

from __future__ import annotations

import numpy as np

from tamis_kernels.hamming.layout import CROWD, FOLDED, LATER, LENGTH, RADIUS, SELF, SHIFT, WORD, Search, Side, empty_side
from tamis_kernels.types import Int32s, Int64s, Uint64s


def distances(left: Uint64s, right: Uint64s, out: Int32s) -> None:
    """Write the number of differing bits of each row."""
    out[:] = np.bitwise_count(left ^ right).sum(axis=1)


def sort_side(hashes: Uint64s, band: Int64s, probes: int, labelled: bool) -> Side:
    """Return a side with the hashes sorted by the band's bits; where they are `labelled`, `label` has still to be called."""
    side = empty_side(hashes, band, probes, labelled)
    length = int(band[LENGTH])
    keys = [(int(word) >> int(band[SHIFT])) & (1 << length) - 1 for word in side.hashes[:, band[WORD]]]
    if band[FOLDED]:
        keys = [min(key, ~key & (1 << length) - 1) for key in keys]
    side.order[:] = np.argsort(keys, kind="stable")
    side.keys[:] = np.array(keys)[side.order]
    side.starts[:] = np.searchsorted(side.keys, np.arange(len(side.starts)))
    side.columns[:] = side.hashes[side.order, : len(side.columns)].T
    return side


def label(roots: Int64s, side: Side) -> None:
    """Fill what a side knows of components: of each place, where the next begins, and which buckets hold a crowd of one."""
    side.labels[:] = roots[side.order]
    labels = side.labels.tolist()
    for place, own in enumerate(labels):
        side.beyond[place] = next((other for other in range(place + 1, len(labels)) if labels[other] != own), len(labels))
    for key in range(len(side.crowded)):
        start, stop = side.starts[key], side.starts[key + 1]
        side.crowded[key] = any(min(side.beyond[place], stop) - place >= CROWD for place in range(start, stop))


def _least(search: Search, one: Uint64s, other: Uint64s) -> int:
    ones = np.bitwise_count(one ^ other).astype(np.int64)
    return int(np.where(search.forms, 64 - ones, ones).sum(axis=1).min())


def _meet(band: Int64s, one: Uint64s, other: Uint64s) -> bool:
    """Say whether a band brings two hashes together."""
    length = int(band[LENGTH])
    ones = (int(one[band[WORD]] ^ other[band[WORD]]) >> int(band[SHIFT]) & (1 << length) - 1).bit_count()
    return bool(ones <= band[RADIUS] or (band[FOLDED] and length - ones <= band[RADIUS]))


def _partners(queries: Side, index: Side, search: Search, place: int) -> list[tuple[int, int, int]]:
    """Return the pairs that a place leads and that no earlier band brings together."""
    row = int(queries.order[place])
    own = queries.hashes[row]
    full = (1 << int(search.bands[search.number, LENGTH])) - 1
    found = []
    for mask in search.masks:
        key = int(queries.keys[place] ^ mask)
        if search.bands[search.number, FOLDED]:
            key = min(key, ~key & full)
        for other in range(index.starts[key], index.starts[key + 1]):
            partner = int(index.order[other])
            if (search.which == LATER and partner <= row) or (search.which == SELF and other <= place):
                continue
            distance = _least(search, own, index.hashes[partner])
            if distance > search.limit or (queries.labels.size and queries.labels[place] == index.labels[other]):
                continue
            if not any(_meet(band, own, index.hashes[partner]) for band in search.bands[: search.number]):
                ends = (row, partner) if search.which != SELF else (min(row, partner), max(row, partner))
                found.append((*ends, distance))
    return found


def count(queries: Side, index: Side, search: Search, first: int, counts: Int64s) -> None:
    """Count, for each place of the queries from `first` on, the pairs that it leads."""
    for step in range(len(counts)):
        counts[step] = len(_partners(queries, index, search, first + step))


def fill(queries: Side, index: Side, search: Search, first: int, counts: Int64s, left: Int64s, right: Int64s, distance: Int32s) -> None:
    """Write the pairs that `count` counted, place after place."""
    end = 0
    for step in range(len(counts)):
        for pair in _partners(queries, index, search, first + step):
            left[end], right[end], distance[end] = pair
            end += 1
