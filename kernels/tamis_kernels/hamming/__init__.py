"""Hamming distances between bit hashes, and all pairs of hashes within a distance.

Hashes are rows of 64-bit words, so any multiple of 64 bits will do. Pairs are found exactly at any threshold, none is missed:

* by a blocked comparison of all pairs with hardware popcounts, or
* by multi-index hashing (Norouzi, Punjani, Fleet 2012). Cut each hash into m bands of some of its bits. Of two hashes that differ in d bits
  some band differs in at most d // m bits, so each key is looked up with as many of its bits turned over. Where d is no multiple of m the
  later bands need one bit less: of the bits that each band may differ in, plus one each, the sum must exceed d (Qin et al. 2018).

What is cheapest is estimated from the numbers of hashes, see `_plan`. A pair is told by the first band alone that brings it together.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tamis_kernels import components
from tamis_kernels.arrays import check_array
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError
from tamis_kernels.hamming.layout import ALL, LATER, LENGTH, RADIUS, SELF, Search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Float64s, Int32s, Int64s, Uint64s

    Pairs = tuple[Int64s, Int64s, Int32s]

__all__ = ["distances", "pair_chunks", "pairs"]

# What a plan is chosen by, in nanoseconds of one core: bench/fit_hamming.py. Of a band, a hash sorted into it, a key of it, a bucket looked
# up; and of a pair that meets in a bucket, by the words that are probed and whether forms turn them over.
WEIGHTS = np.array([45_000.0, 27.0, 0.8, 8.2])
MEETING = {(1, False): 0.024, (2, False): 0.043, (4, False): 0.098, (2, True): 0.065, (4, True): 0.15}
_LONGEST_KEY, _SHORTEST_KEY = 24, 6
_MOST_TURNED = 2

_FEWEST_ROWS, _MOST_ROWS = 1 << 8, 1 << 14
_MOST_HASHES = 2**31 - 1

Method = Literal["auto", "all", "index"]


def distances(left: Uint64s, right: Uint64s, *, backend: AnyBackend = "auto") -> Int32s:
    """Return the number of differing bits of each row of `left` and the same row of `right`.

    Parameters
    ----------
    left, right
        uint64[n, words].
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    distance
        int32[n].

    Raises
    ------
    ArgumentError
        The shapes differ, or the arrays are not uint64[n, words].
    """
    left, right = _hashes("left", left), _hashes("right", right)
    check_array("right", right, np.uint64, left.shape)
    out = np.zeros(len(left), np.int32)
    implementation("hamming.distances", backend, left.nbytes + right.nbytes).distances(left, right, out)
    return out


def pair_chunks(
    hashes: Uint64s,
    limit: int,
    *,
    against: Uint64s | None = None,
    half: bool = False,
    forms: Bools | None = None,
    joined: Int64s | None = None,
    chunk: int = 1 << 20,
    method: Method = "auto",
    backend: AnyBackend = "auto",
) -> Iterator[Pairs]:
    """Yield every pair of rows within `limit` bits exactly once, in pieces of bounded size.

    Parameters
    ----------
    hashes
        uint64[n, words].
    limit
        Greatest distance of a pair, ≥ 0.
    against
        uint64[m, words]: each of `hashes` is paired with each of these. None: `hashes` among themselves, each pair once.
    half
        With `against`, that only pairs with left < right are wanted, as where row i of both is one record and nearness is mutual.
    forms
        bool[f, words], words ≥ 2: the words that each of several forms of a hash turns over. The distance of two hashes is then that of the
        nearest form of one. None: as it is alone.
    joined
        int64: a forest that `components.union` makes. Pairs whose rows lie in one component are left out. Join what a piece holds before
        taking the next, and a crowd of n like hashes costs about n pairs in place of n².
    chunk
        Pairs per piece, ≥ 1. A piece is longer only when one row alone has more partners.
    method
        `all` compares all pairs; `index` takes the multi-index search; `auto` takes what is cheaper.
    backend
        Where to run; see `tamis_kernels.backend`.

    Yields
    ------
    left, right, distance
        int64[p], int64[p], int32[p]; left < right without `against`. The order is the same on every backend; without `joined`, for every
        chunk size too.

    Raises
    ------
    ArgumentError
        An argument is out of range, or the method is unknown or has no index for this limit.
    """
    hashes = _hashes("hashes", hashes)
    entries = hashes if against is None else _hashes("against", against)
    limit = _limit(limit)
    which = SELF if against is None else LATER if half else ALL
    forms = np.zeros((1, hashes.shape[1]), np.bool_) if forms is None else np.ascontiguousarray(forms, np.bool_)
    _check(hashes, entries, forms, joined, chunk)
    bands = _plan(limit, forms, len(hashes), len(entries), method)
    sets = [hashes] if against is None else [hashes, entries]
    module = implementation("hamming", backend, sum(side.nbytes for side in sets))
    for number in range(len(bands)):
        search = Search(limit, forms, bands, number, _masks(bands[number]), which)
        sides = [module.sort_side(side, bands[number], probes_of(limit, forms), joined is not None) for side in sets]
        yield from _steps(module, sides, search, joined, chunk)
        del sides  # before those of the next band are made


def pairs(hashes: Uint64s, limit: int, *, against: Uint64s | None = None, method: Method = "auto", backend: AnyBackend = "auto") -> Pairs:
    """Return every pair of rows within `limit` bits, sorted by (left, right); see `pair_chunks`, which bounds the memory."""
    pieces = list(pair_chunks(hashes, limit, against=against, method=method, backend=backend))
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32)
    left, right, distance = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((right, left))
    return left[order], right[order], distance[order]


def _plan(limit: int, forms: Bools, queries: int, entries: int, method: Method) -> Int64s:
    """Return the cheapest bands, int64[bands, 5]; one band of no bits, which compares all, where an index would not pay."""
    best = np.zeros((1, 5), np.int64)
    weights = np.append(WEIGHTS, MEETING[probes_of(limit, forms), len(forms) > 1])
    cheapest = float("inf") if method == "index" else float(weights @ work(best, np.zeros(1, np.int64), queries, entries)[:, 0])
    for each in range(1, 64 // _SHORTEST_KEY + 1) if method != "all" else ():
        most, beyond = divmod(limit, each * forms.shape[1])
        bands = each * forms.shape[1] if most else beyond + 1
        if most > _MOST_TURNED or bands * (WEIGHTS[0] + WEIGHTS[1] * (queries + entries)) >= cheapest:
            continue
        lengths = np.arange(_SHORTEST_KEY, min(_LONGEST_KEY, 64 // each) + 1)
        costs = weights @ work(cut(limit, forms, each, 0), lengths, queries, entries)
        if costs.min() < cheapest:
            best, cheapest = cut(limit, forms, each, int(lengths[costs.argmin()])), float(costs.min())
    if method not in ("auto", "all", "index") or (method == "index" and cheapest == float("inf")):
        most_limit = (_MOST_TURNED + 1) * (64 // _SHORTEST_KEY) * forms.shape[1]
        message = f"method must be 'auto', 'all' or (below limit {most_limit}) 'index', got {method!r} with limit {limit}"
        raise ArgumentError(message)
    return best


def cut(limit: int, forms: Bools, each: int, length: int) -> Int64s:
    """Return bands, int64[bands, 5], `each` of a word.

    The first `limit + 1 - m · (limit // m)` of m may differ in `limit // m` bits, the others in one less; those for which that is less than
    none are left out.
    """
    turned: Bools = np.logical_or.reduce(forms, axis=0)
    places = [(word, 64 * step // each) for step in range(each) for word in range(len(turned))]
    most, beyond = divmod(limit, len(places))
    radii = [most] * (beyond + 1) + [most - 1] * (len(places) - beyond - 1 if most else 0)
    return np.array([(*place, length, radius, turned[place[0]]) for place, radius in zip(places, radii, strict=False)], np.int64)


def work(bands: Int64s, lengths: Int64s, queries: int, entries: int) -> Float64s:
    """Return how much of each of `WEIGHTS`, and of a `MEETING`, bands of some lengths take, float64[5, lengths]."""
    total = np.zeros((len(WEIGHTS) + 1, len(lengths)))
    for (radius, folded), many in Counter(map(tuple, bands[:, RADIUS:].tolist())).items():
        probes = np.array([sum(comb(int(length), turned) for turned in range(radius + 1)) for length in lengths], np.float64)
        met = queries * probes * (entries / 2.0 ** (lengths - folded))
        total += many * np.stack([np.ones(len(lengths)), np.full(len(lengths), queries + entries), 2.0**lengths, queries * probes, met])
    return total


def _masks(band: Int64s) -> Int32s:
    """Return what keys are looked up for one key: each with up to the radius of its bits turned over."""
    bits = [1 << bit for bit in range(band[LENGTH])]
    return np.array([sum(some) for turned in range(band[RADIUS] + 1) for some in combinations(bits, turned)], np.int32)


def probes_of(limit: int, forms: Bools) -> int:
    """Return of how many words a comparison begins: so many that chance lets almost none pass.

    Differing bits of a word have mean 32 and deviation 4; the fewer of its differing and its equal bits, 28.8 and 2.4.
    """
    turned = len(forms) > 1
    mean, deviation = (28.8, 2.4) if turned else (32.0, 4.0)
    probed = [probes for probes in (1, 2, 4) if turned < probes <= forms.shape[1]]
    return next((probes for probes in probed if limit <= mean * probes - 5 * deviation * probes**0.5), probed[-1])


def _steps(module: ModuleType, sides: list[Any], search: Search, joined: Int64s | None, chunk: int) -> Iterator[Pairs]:
    """Count the pairs that each row leads, then write them out, as many rows at a time as fit a chunk. A side is what the backend makes."""
    queries, index = sides[0], sides[-1]
    first, rows, stale = 0, _FEWEST_ROWS, joined is not None
    while first < len(queries.order):
        if joined is not None and stale:
            roots = components.roots(joined)
            for side in sides:
                module.label(roots, side)
        counts = np.zeros(min(rows, len(queries.order) - first), np.int64)
        module.count(queries, index, search, first, counts)
        skipped = np.flatnonzero(counts < 0)
        known = counts[: skipped[0]] if skipped.size else counts
        fit = max(1, int(np.searchsorted(np.cumsum(known), chunk, side="right")))
        rows = min(2 * rows, _MOST_ROWS) if fit >= len(counts) else fit
        counts = known[:fit]  # the rest is counted again: where these pairs are joined first, little may be left of it
        size = int(counts.sum())
        if size:
            left, right, distance = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int32)
            module.fill(queries, index, search, first, counts, left, right, distance)
            yield left, right, distance
        first, stale = first + len(counts), size > 0


def _check(hashes: Uint64s, entries: Uint64s, forms: Bools, joined: Int64s | None, chunk: int) -> None:
    if chunk < 1:
        message = f"chunk must be at least 1, got {chunk}"
        raise ArgumentError(message)
    if entries.shape[1] != hashes.shape[1]:
        message = f"hashes and against must have as many words, got {hashes.shape[1]} and {entries.shape[1]}"
        raise ArgumentError(message)
    rows = max(len(hashes), len(entries))
    if rows > _MOST_HASHES:
        message = f"there may be {_MOST_HASHES} hashes at most, got {rows}"
        raise ArgumentError(message)
    if forms.ndim != 2 or not len(forms) or forms.shape[1] != hashes.shape[1] or (len(forms) > 1 and hashes.shape[1] < 2):
        message = f"forms must be bool[forms, words] of two words or more, got shape {forms.shape} for {hashes.shape[1]} words"
        raise ArgumentError(message)
    if joined is not None and len(joined) < rows:
        message = f"joined must hold a parent for each of {rows} rows, got {len(joined)}"
        raise ArgumentError(message)


def _hashes(name: str, hashes: Uint64s) -> Uint64s:
    check_array(name, hashes, np.uint64, ("n", "words"))
    if hashes.shape[1] == 0:
        message = f"{name} must have one word or more, got shape {hashes.shape}"
        raise ArgumentError(message)
    return np.ascontiguousarray(hashes)


def _limit(limit: int) -> int:
    if limit < 0:
        message = f"limit must be 0 or more bits, got {limit}"
        raise ArgumentError(message)
    return int(limit)
