"""From candidates to clusters: verified edges, union-find, and one keeper for every record that goes.

Records are numbered by priority: record 0 is the best of all, so the smaller index always wins. Callers who prefer another order renumber
first and translate back. Nothing here depends on the number of pairs compared at a time, on threads, or on how the bands are cut up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tamis.errors import ArgumentError
from tamis_kernels import components, groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend

    Indices = NDArray[np.int64]
    Similarity = Callable[[Indices, Indices], NDArray[np.float64]]
    Band = tuple[NDArray[np.uint64], Indices]

PAIRS_AT_A_TIME = 1 << 16
ROUNDS = 8
HOT = 10_000


@dataclass(frozen=True, slots=True)
class Clusters:
    """Who stays for whom.

    Attributes
    ----------
    keeper
        int64[n], the record kept for each record: itself when it is a keeper or alone.
    similarity
        float64[n], the verified similarity to the keeper; 1.0 for the keeper of a cluster, NaN for a record that is alone.
    counters
        What was done: `pairs` compared, `hot_buckets` cut short, `unsettled` members that had rounds left undone.
    """

    keeper: Indices
    similarity: NDArray[np.float64]
    counters: dict[str, int] = field(default_factory=dict)


def band_components(
    n: int,
    bands: Iterable[Band],
    similarity: Similarity,
    threshold: float,
    *,
    rounds: int = ROUNDS,
    hot: int = HOT,
    pairs_at_a_time: int = PAIRS_AT_A_TIME,
    backend: AnyBackend = "auto",
) -> tuple[Indices, dict[str, int]]:
    """Join records that share a band key and are similar enough; no edge is stored and none is believed unchecked.

    In each bucket (records with one key) the best record is compared with all others. Those that are similar, or that were in its
    component before the round, are settled; the rest repeat among themselves, at most `rounds` times. A bucket thus costs its size times
    the rounds, never its square.

    Parameters
    ----------
    n
        Number of records.
    bands
        One (keys uint64[m], records int64[m]) per band, records rising; a record without a key in this band is left out. Bands are taken
        in turn, so a generator keeps only three in memory: the first, this one and the next.
    similarity
        Called with two int64[p], returns float64[p]; NaN is similar to nothing.
    threshold
        Least similarity of an edge.
    rounds
        Most rounds in a bucket.
    hot
        A bucket with more members than this is counted, and after one round is parted by the keys of the next band (of the first, after the
        last); a part that is still as large is left at that.
    pairs_at_a_time
        Most pairs in one call of `similarity`; bounds memory, never changes the result.
    backend
        Where to run.

    Returns
    -------
    roots
        int64[n], the best record of each record's component.
    counters
        `pairs`, `hot_buckets`, `unsettled`: see `Clusters`.

    Raises
    ------
    ArgumentError
        A band's records do not rise or lie outside 0 … n - 1, or a number is below 1.
    """
    if min(rounds, hot, pairs_at_a_time) < 1:
        message = f"rounds, hot and pairs_at_a_time must be 1 or more, got {rounds}, {hot} and {pairs_at_a_time}"
        raise ArgumentError(message)
    parent = np.arange(n)
    counters: Counter[str] = Counter(pairs=0, hot_buckets=0, unsettled=0)
    for (keys, records), salt in _with_next(bands):
        _check_band(n, keys, records)
        order, starts = groups.sort_by_key(keys, backend=backend)
        sizes = np.diff(starts)
        counters["hot_buckets"] += int(np.count_nonzero(sizes > hot))
        bucket = np.repeat(np.arange(sizes.size), sizes)
        shared = sizes[bucket] > 1
        members, bucket = records[order[shared]], bucket[shared]
        for number in range(rounds):
            if number == 1:
                heat = sizes[bucket] > hot
                if heat.any():
                    members, bucket, left = _split_hot(members, bucket, heat, salt, hot, backend)
                    counters["unsettled"] += left
            anchors, members, bucket = _against_best(members, bucket)
            if not members.size:
                break
            roots = components.roots(parent, backend=backend)
            settled = roots[anchors] == roots[members]
            asked = np.flatnonzero(~settled)
            counters["pairs"] += asked.size
            values = _compare(similarity, anchors[asked], members[asked], pairs_at_a_time)
            joined = asked[values >= threshold]
            components.union(parent, anchors[joined], members[joined], backend=backend)
            settled[joined] = True
            members, bucket = members[~settled], bucket[~settled]
        else:
            counters["unsettled"] += _not_alone(bucket)
    return components.roots(parent, backend=backend), dict(counters)


def _with_next(bands: Iterable[Band]) -> Iterator[tuple[Band, Band]]:
    """Yield each band and the one after it; after the last comes the first."""
    first = previous = None
    for band in bands:
        if previous is None:
            first = band
        else:
            yield previous, band
        previous = band
    if first is not None and previous is not None:
        yield previous, first


def _split_hot(
    members: Indices, bucket: Indices, heat: NDArray[np.bool_], salt: Band, hot: int, backend: AnyBackend
) -> tuple[Indices, Indices, int]:
    """Part the hot buckets by another band's keys; return members, their new buckets, and how many are left out as too many or unknown."""
    keys, records = salt
    place = np.minimum(np.searchsorted(records, members[heat]), max(0, records.size - 1))
    known = records[place] == members[heat] if records.size else np.zeros(place.size, np.bool_)
    some, mixed = members[heat][known], keys[place[known]] ^ (bucket[heat][known].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    order, starts = groups.sort_by_key(mixed, backend=backend)
    sizes = np.diff(starts)
    part = np.repeat(np.arange(sizes.size), sizes)
    small = sizes[part] <= hot
    free = int(bucket.max()) + 1
    members = np.concatenate([members[~heat], some[order[small]]])
    bucket = np.concatenate([bucket[~heat], free + part[small]])
    return members, bucket, int(np.count_nonzero(heat)) - int(np.count_nonzero(small))


def sharing(keys: NDArray[np.uint64], *, backend: AnyBackend = "auto") -> Indices:
    """Return the positions, rising, of keys uint64[n] that occur more than once."""
    order, starts = groups.sort_by_key(keys, backend=backend)
    sizes = np.diff(starts)
    return np.sort(order[np.repeat(sizes > 1, sizes)]).astype(np.int64)


def stars(
    roots: Indices,
    similarity: Similarity,
    threshold: float,
    *,
    settled: int = 0,
    pairs_at_a_time: int = PAIRS_AT_A_TIME,
) -> Clusters:
    """Choose keepers such that every record that goes is similar enough to the one that stays for it.

    In each component the best record becomes a keeper and every record similar enough to it is its duplicate; the rest repeat until none
    is left. A chain a ~ b ~ c with a and c unlike each other thus loses b and keeps c. All components take their rounds together.

    Parameters
    ----------
    roots
        int64[n], the component of each record, as `band_components` returns it.
    settled
        Records below this number stay whatever they resemble, and may be kept for others.
    similarity, threshold, pairs_at_a_time
        As in `band_components`.
    """
    keeper = np.arange(roots.size)
    values = np.full(roots.size, np.nan)
    order = np.argsort(roots, kind="stable")
    crowded = np.bincount(roots, minlength=roots.size)[roots[order]] > 1
    members, component = order[crowded], roots[order[crowded]]
    compared = 0
    while True:
        anchors, members, component = _against_best(members, component)
        if not members.size:
            break
        compared += members.size
        found = _compare(similarity, anchors, members, pairs_at_a_time)
        taken = (found >= threshold) & (members >= settled)
        keeper[members[taken]] = anchors[taken]
        values[members[taken]] = found[taken]
        values[anchors[taken]] = 1.0
        members, component = members[~taken], component[~taken]
    return Clusters(keeper, values, {"pairs": compared})


def _against_best(members: Indices, group: Indices) -> tuple[Indices, Indices, Indices]:
    """Pair every member with the first of its group; return (firsts, the other members, their groups)."""
    first = np.concatenate(([True], group[1:] != group[:-1])) if group.size else np.empty(0, np.bool_)
    anchors = members[first][np.cumsum(first) - 1]
    return anchors[~first], members[~first], group[~first]


def _not_alone(group: Indices) -> int:
    """Count the members of groups of two or more; a member left alone has met all others."""
    sizes = np.unique(group, return_counts=True)[1]
    return int(sizes[sizes > 1].sum())


def _compare(similarity: Similarity, left: Indices, right: Indices, pairs_at_a_time: int) -> NDArray[np.float64]:
    values = np.empty(left.size, np.float64)
    for start in range(0, left.size, pairs_at_a_time):
        part = slice(start, start + pairs_at_a_time)
        values[part] = similarity(left[part], right[part])
    return values


def _check_band(n: int, keys: NDArray[np.uint64], records: Indices) -> None:
    rising = records.size < 2 or bool(np.all(records[1:] > records[:-1]))
    if keys.shape != records.shape or not rising or (records.size and not 0 <= records[0] <= records[-1] < n):
        message = (
            f"a band needs one key per record and rising records 0 … {n - 1}; got {keys.size} keys and {records.size} records"
            f"{'' if rising else ' that do not rise'}"
        )
        raise ArgumentError(message)
