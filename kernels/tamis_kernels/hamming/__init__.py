"""Hamming distances between bit hashes, and all pairs of hashes within a distance.

Hashes are rows of 64-bit words, so any multiple of 64 bits will do. Pairs are found exactly, none is missed:

* a blocked comparison of all pairs with hardware popcounts, or
* multi-index hashing (Norouzi, Punjani, Fleet 2012). Cut each hash into m slots of 16 bits. Two hashes that differ in d bits differ in
  at most d // m bits in some slot. With m slots and d < m, some slot is equal; with m ≤ d < 2m, some slot differs in at most one bit,
  so each slot is compared with its own bucket and with the 16 buckets one bit away. A pair is reported by the first such slot alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis_kernels.backend import Backend, BackendName, implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]

__all__ = ["candidate_bands", "distances", "pair_chunks", "pairs", "within"]

INDEX_FROM = 20_000
"""From this many hashes on, the multi-index search is taken where the limit allows it."""

_SLOT_BITS = 16
_ROWS_PER_STEP = 16_384

Method = Literal["auto", "all", "index"]


def distances(left: NDArray[np.uint64], right: NDArray[np.uint64], *, backend: BackendName | Backend = "auto") -> NDArray[np.int32]:
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
    if left.shape != right.shape:
        message = f"left and right must have the same shape, got {left.shape} and {right.shape}"
        raise ArgumentError(message)
    out = np.zeros(len(left), np.int32)
    implementation("hamming", backend).distances(left, right, out)
    return out


def within(
    hashes: NDArray[np.uint64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    limit: int,
    *,
    backend: BackendName | Backend = "auto",
) -> NDArray[np.bool_]:
    """Say of each candidate pair whether its hashes differ in at most `limit` bits.

    Parameters
    ----------
    hashes
        uint64[n, words].
    left, right
        int64[p]: row numbers of the candidates.
    limit
        Greatest distance that counts as near, ≥ 0.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    near
        bool[p].

    Raises
    ------
    ArgumentError
        A row number lies outside `hashes`, or the limit is negative.
    """
    hashes = _hashes("hashes", hashes)
    limit = _limit(limit)
    if left.shape != right.shape or left.ndim != 1:
        message = f"left and right must be int64[p] of equal length, got {left.shape} and {right.shape}"
        raise ArgumentError(message)
    if left.size and not (min(left.min(), right.min()) >= 0 and max(left.max(), right.max()) < len(hashes)):
        message = f"left and right must be row numbers in 0 … {len(hashes) - 1}"
        raise ArgumentError(message)
    out = np.zeros(left.size, np.bool_)
    rows = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    implementation("hamming", backend).within(hashes, *rows, limit, out)
    return out


def candidate_bands(hashes: NDArray[np.uint64], limit: int, *, backend: BackendName | Backend = "auto") -> NDArray[np.uint64]:
    """Return keys of which any two hashes within `limit` bits share at least one.

    The bits are cut into `limit + 1` slots of nearly equal length, so by the pigeonhole principle recall is exact without probing
    neighbours. The slots should keep about log2(n) bits to be selective: 64-bit hashes up to limit 3, 256-bit hashes up to limit 15.
    Beyond, `pair_chunks` probes neighbours and needs fewer, longer slots.

    Parameters
    ----------
    hashes
        uint64[n, words].
    limit
        Greatest distance of a pair, below the number of bits; a slot may be 48 bits long at most, so not below bits // 48.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    keys
        uint64[n, limit + 1]: the slot's number in the upper 16 bits, its bits below.

    Raises
    ------
    ArgumentError
        The limit does not fit the number of bits.
    """
    hashes = _hashes("hashes", hashes)
    bits = 64 * hashes.shape[1]
    slots = _limit(limit) + 1
    if not (bits <= 48 * slots and slots <= bits):
        message = f"limit must lie in {-(-bits // 48) - 1} … {bits - 1} for hashes of {bits} bits, got {limit}"
        raise ArgumentError(message)
    edges = np.array([bits * slot // slots for slot in range(slots + 1)], np.int64)
    out = np.zeros((len(hashes), slots), np.uint64)
    implementation("hamming", backend).slot_keys(hashes, edges, out)
    return out


def pair_chunks(
    hashes: NDArray[np.uint64],
    limit: int,
    *,
    chunk: int = 1 << 20,
    method: Method = "auto",
    backend: BackendName | Backend = "auto",
) -> Iterator[Pairs]:
    """Yield every pair of rows within `limit` bits exactly once, in pieces of bounded size.

    Parameters
    ----------
    hashes
        uint64[n, words].
    limit
        Greatest distance of a pair, ≥ 0.
    chunk
        Pairs per piece, ≥ 1. A piece is longer only when one row alone has more partners.
    method
        `all` compares all pairs; `index` takes the multi-index search, which needs limit < 8 · words; `auto` chooses.
    backend
        Where to run; see `tamis_kernels.backend`.

    Yields
    ------
    left, right, distance
        int64[p], int64[p] with left < right, int32[p]. The order is the same on every backend and for every chunk size.

    Raises
    ------
    ArgumentError
        The limit or the chunk is out of range, or the method is unknown or cannot give all pairs for this limit.
    """
    hashes = _hashes("hashes", hashes)
    limit = _limit(limit)
    if chunk < 1:
        message = f"chunk must be at least 1, got {chunk}"
        raise ArgumentError(message)
    slots = hashes.shape[1] * 64 // _SLOT_BITS
    if method not in ("auto", "all", "index") or (method == "index" and limit >= 2 * slots):
        message = f"method must be 'auto', 'all' or (below limit {2 * slots}) 'index', got {method!r} with limit {limit}"
        raise ArgumentError(message)
    module = implementation("hamming", backend)
    if method == "index" or (method == "auto" and limit < 2 * slots and len(hashes) >= INDEX_FROM):
        for slot in range(slots):
            order, keys, starts = _buckets(hashes, slot)
            columns = np.ascontiguousarray(hashes[order].T)
            yield from _steps(len(hashes), chunk, module.count_slot, module.fill_slot, (columns, order, keys, starts, slot, limit))
        return
    columns = np.ascontiguousarray(hashes.T)
    yield from _steps(len(hashes), chunk, module.count_all, module.fill_all, (columns, limit))


def pairs(hashes: NDArray[np.uint64], limit: int, *, method: Method = "auto", backend: BackendName | Backend = "auto") -> Pairs:
    """Return every pair of rows within `limit` bits, sorted by (left, right); see `pair_chunks`, which bounds the memory."""
    pieces = list(pair_chunks(hashes, limit, method=method, backend=backend))
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32)
    left = np.concatenate([piece[0] for piece in pieces])
    right = np.concatenate([piece[1] for piece in pieces])
    distance = np.concatenate([piece[2] for piece in pieces])
    order = np.lexsort((right, left))
    return left[order], right[order], distance[order]


def _steps(rows: int, chunk: int, count: Callable[..., None], fill: Callable[..., None], arguments: tuple[object, ...]) -> Iterator[Pairs]:
    """Count the pairs that each row leads, then write them out, as many rows at a time as fit a chunk."""
    for first in range(0, rows, _ROWS_PER_STEP):
        counts = np.zeros(min(_ROWS_PER_STEP, rows - first), np.int64)
        count(*arguments, first, counts)
        ends = np.cumsum(counts)
        done = 0
        while done < len(counts) and ends[-1] > (before := ends[done - 1] if done else 0):
            stop = max(done + 1, int(np.searchsorted(ends, before + chunk, side="right")))
            size = int(ends[stop - 1] - before)
            left, right, distance = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int32)
            fill(*arguments, first + done, ends[done:stop] - before - counts[done:stop], counts[done:stop], left, right, distance)
            if size:
                yield left, right, distance
            done = stop


def _buckets(hashes: NDArray[np.uint64], slot: int) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]:
    """Sort the rows by one slot's bits: return the order, the sorted bits, and where each of the 2¹⁶ buckets starts."""
    per_word = 64 // _SLOT_BITS
    bits = (hashes[:, slot // per_word] >> np.uint64(_SLOT_BITS * (slot % per_word))).astype(np.uint16)
    order = np.argsort(bits, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(bits, minlength=1 << _SLOT_BITS))]).astype(np.int64)
    return order, bits[order], starts


def _hashes(name: str, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if hashes.ndim != 2 or hashes.dtype != np.uint64 or hashes.shape[1] == 0:
        message = f"{name} must be uint64[n, words], got {hashes.dtype}{list(hashes.shape)}"
        raise ArgumentError(message)
    return np.ascontiguousarray(hashes)


def _limit(limit: int) -> int:
    if limit < 0:
        message = f"limit must be 0 or more bits, got {limit}"
        raise ArgumentError(message)
    return int(limit)
