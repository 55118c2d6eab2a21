"""The stable sort in CUDA: CuPy's, which is a radix sort of keys and positions.

More keys than the device has room for are sorted in runs. Keys that cut all of them into like shares are then found among the runs; what
lies between two cuts is no more than a run, is fetched from all of them and sorted in its turn. Keys that equal a cut lie in order then,
however many there are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.device import in_batches, room, to_device, to_host, xp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.types import Int64s, Uint32s, Uint64s

SORT_BYTES = 56  # of the device that a key takes: it and its place of 8 bytes, sorted, copied and moved to and fro
START_BYTES = 40  # of the device that a key takes whose runs are looked for
u32, u64 = np.uint32, np.uint64


def sort_by_key(keys: Uint64s, order: Uint32s, ordered: Uint64s) -> int:
    """Write the stable order of the keys and the keys in that order; return how many are distinct."""
    edges, distinct = [0], 0

    def sort(first: int, last: int) -> None:
        nonlocal distinct
        values = to_device(keys[first:last])
        places = xp.argsort(values, kind="stable")
        values = values[places]
        distinct += 1 + int(xp.count_nonzero(values[1:] != values[:-1]))
        to_host(places.astype(u32), order[first:last])
        to_host(values, ordered[first:last])
        order[first:last] += u32(first)
        edges.append(last)

    in_batches(sort, keys.size, max(1, room() // SORT_BYTES))
    return distinct if len(edges) <= 2 else _merge(edges, order, ordered)


def _merge(edges: Sequence[int], order: Uint32s, ordered: Uint64s) -> int:
    """Make one run of those that lie between the edges; return how many keys are distinct."""
    keys, places = ordered.copy(), order.copy()
    runs = [keys[first:last] for first, last in pairwise(edges)]
    cuts = _cuts(runs)
    bounds = np.array([_bounds(run, cuts) for run in runs]) + np.array(edges[:-1])[:, None]
    done = distinct = 0
    for number in range(2 * cuts.size + 1):
        parts = [slice(*ends) for ends in bounds[:, number : number + 2].tolist()]
        some, theirs = (np.concatenate([column[part] for part in parts]) for column in (keys, places))
        target = slice(done, done + some.size)
        done += some.size
        if number % 2:  # all equal a cut
            ordered[target], order[target] = some, theirs
            distinct += 1
        else:
            within = np.empty(some.size, u32)
            distinct += sort_by_key(some, within, ordered[target])
            order[target] = theirs[within]
    return distinct


def _bounds(run: Uint64s, cuts: Uint64s) -> list[int]:
    """Return where keys of a run begin that lie below the first cut, equal it, lie below the next …, and where the last end."""
    ends = np.stack([run.searchsorted(cuts, "left"), run.searchsorted(cuts, "right")], axis=1)
    return [0, *ends.ravel().tolist(), run.size]


def _cuts(runs: Sequence[Uint64s]) -> Uint64s:
    """Return keys of the runs, rising, between two of which lie fewer keys than the longest run has."""
    longest, total = max(run.size for run in runs), sum(run.size for run in runs)
    ranks = np.arange(longest, total, longest)
    low, high = np.zeros(ranks.size, u64), np.full(ranks.size, max(run[-1] for run in runs))
    while (low < high).any():
        middle = low + (high - low) // u64(2)
        reached = sum(run.searchsorted(middle, "right") for run in runs) >= ranks
        low, high = np.where(reached, low, middle + u64(1)), np.where(reached, middle, high)
    return np.unique(low)


def run_starts(ordered: Uint64s, starts: Int64s) -> None:
    """Write where each run of equal keys starts."""
    many = min(1, starts.size)
    starts[:many] = 0

    def find(first: int, last: int) -> None:
        nonlocal many
        values = to_device(ordered[first : last + 1])
        found = xp.flatnonzero(values[1:] != values[:-1]) + (first + 1)
        to_host(found, starts[many : many + found.size])
        many += int(found.size)

    in_batches(find, max(ordered.size - 1, 0), max(1, room() // START_BYTES))
