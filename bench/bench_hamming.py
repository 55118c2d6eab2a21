"""All pairs of 256-bit hashes within a distance: the blocked comparison, the multi-index search, and NumPy's bit count.

The unit is a pair decided, n · (n - 1) / 2 of them, however few the search looks at. The limit of the comparison is the popcounts alone,
on hashes that stay in the first-level cache; the search beats it by not comparing.
"""

from __future__ import annotations

import os
import time
from functools import partial

import numba
import numpy as np
from harness import Report
from numba import njit
from numpy.typing import NDArray

from tamis_kernels import hamming


@njit(nogil=True)
def popcounts(columns: NDArray[np.uint64], repeats: int) -> int:
    """Sum the distances of one hash to 1,024 others, again and again: XOR, popcount and add, with nothing else to do."""
    total = np.uint64(0)
    for repeat in range(repeats):
        own0, own1, own2, own3 = columns[:, repeat % 1024]
        for other in range(1024):
            for own, word in ((own0, 0), (own1, 1), (own2, 2), (own3, 3)):
                bits = own ^ columns[word, other]
                bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
                bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
                bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
                total += (bits * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(total)


def popcount_limit() -> float:
    """Return pairs per second of the popcounts alone on one core, best of 5."""
    columns = np.random.default_rng(0).integers(0, 2**64, (4, 1024), dtype=np.uint64)
    popcounts(columns, 1)  # compiles
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        popcounts(columns, 100_000)
        best = min(best, time.perf_counter() - start)
    return 1024 * 100_000 / best


def corpus(n: int) -> NDArray[np.uint64]:
    """Draw random hashes, every tenth a copy of another with 20 bits turned."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, (n, 4), dtype=np.uint64)
    copies = n // 10
    hashes[:copies] = hashes[rng.integers(copies, n, copies)]
    for _ in range(20):
        hashes[np.arange(copies), rng.integers(0, 4, copies)] ^= np.uint64(1) << rng.integers(0, 64, copies).astype(np.uint64)
    return hashes


def numpy_pairs(hashes: NDArray[np.uint64], limit: int) -> int:
    found = 0
    for row in range(len(hashes) - 1):
        found += int((np.bitwise_count(hashes[row + 1 :] ^ hashes[row]).sum(axis=1) <= limit).sum())
    return found


def count(hashes: NDArray[np.uint64], limit: int, method: hamming.Method) -> int:
    return sum(len(left) for left, _, _ in hamming.pair_chunks(hashes, limit, method=method, backend="cpu"))


def main() -> None:
    report = Report.from_arguments("hamming: all pairs of 256-bit hashes within a distance")
    small = corpus(3000)
    for limit in (0, 15, 31):
        expected = numpy_pairs(small, limit)
        for method in ("all", "index"):
            report.check(f"{method}: {expected} pairs within {limit}", count(small, limit, method) == expected)
    popcount = popcount_limit()
    cores = os.cpu_count() or 1
    note = "the popcounts alone, in cache, measured"

    for threads in (1, cores):
        numba.set_num_threads(threads)
        for n in (5_000, 20_000) if report.quick else (5_000, 20_000, 50_000):
            hashes = corpus(n)
            work = n * (n - 1) / 2e9
            lanes = {method: partial(count, hashes, 31, method) for method in ("all", "index")}
            peers = {"numpy bitwise_count": partial(numpy_pairs, hashes, 31)} if n == 5_000 else {}
            report.time(
                f"n={n} limit=31 threads={threads}",
                {**lanes, **peers},
                work=work,
                unit="Gpairs",
                limit=popcount * threads / 1e9,
                limit_note=note,
                runs=5,
            )
    hashes = corpus(20_000 if report.quick else 200_000)
    work = len(hashes) * (len(hashes) - 1) / 2e9
    for limit in (0, 7, 15, 31):
        report.time(
            f"n={len(hashes)} limit={limit} threads={cores}",
            {"index": partial(count, hashes, limit, "index")},
            work=work,
            unit="Gpairs",
            runs=5,
        )
    if not report.quick:
        hashes = corpus(1_000_000)
        report.time(
            f"n=1000000 limit=31 threads={cores}",
            {"index": partial(count, hashes, 31, "index")},
            work=499.9995,
            unit="Gpairs",
            runs=1,
        )


if __name__ == "__main__":
    main()
