"""All pairs of hashes within a distance: the blocked comparison, the multi-index search, NumPy's bit count, and faiss.

The unit is a pair decided, n · (n - 1) / 2 of them, however few the search looks at. The limit of the comparison is the popcounts alone,
on hashes that stay in the first-level cache; the comparison beats it at small distances, for which the first words tell enough, and the
search beats both by not comparing. faiss runs in an environment of its own, on one thread, by processor time, and builds its index in the
time that counts, as ours does; it has no search of a set in itself, and compares each pair both ways round. `--millions 1 10` searches so
many hashes once and tells the peak of memory; with `--upright`, not turned.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from bench_peers import environment, measure
from harness import Lane, Report, fastest
from numba import njit
from numpy.typing import NDArray

from tamis_kernels import components, hamming, perceptual


@njit(nogil=True)
def popcounts(columns: NDArray[np.uint64], repeats: int) -> int:
    """Sum the distances of one hash to 1,024 others, again and again: XOR, popcount and add, with nothing else to do."""
    total = np.uint64(0)
    for repeat in range(repeats):
        for word in range(columns.shape[0]):
            own = columns[word, repeat % 1024]
            for other in range(1024):
                bits = own ^ columns[word, other]
                bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
                bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
                bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
                total += (bits * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(total)


def popcount_limit(words: int) -> float:
    """Return pairs per second of the popcounts alone on one core, best of 5."""
    columns = np.random.default_rng(0).integers(0, 2**64, (words, 1024), dtype=np.uint64)
    popcounts(columns, 1)  # compiles
    return 1024 * 100_000 / fastest(partial(popcounts, columns, 100_000))


def corpus(n: int, words: int = 4, *, paired: bool = True) -> NDArray[np.uint64]:
    """Draw random hashes, every tenth a copy of another with up to 5 bits of each 64 turned; or all of them unlike."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    copies = n // 10 if paired else 0
    hashes[:copies] = hashes[rng.integers(copies, n, copies)]
    for _ in range(5 * words):
        hashes[np.arange(copies), rng.integers(0, words, copies)] ^= np.uint64(1) << rng.integers(0, 64, copies).astype(np.uint64)
    return hashes


def numpy_pairs(hashes: NDArray[np.uint64], limit: int) -> int:
    found = 0
    for row in range(len(hashes) - 1):
        found += int((np.bitwise_count(hashes[row + 1 :] ^ hashes[row]).sum(axis=1) <= limit).sum())
    return found


def count(hashes: NDArray[np.uint64], limit: int, method: hamming.Method) -> int:
    return sum(len(left) for left, _, _ in hamming.pair_chunks(hashes, limit, method=method, backend="cpu"))


def planted(n: int, *, turned: bool) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Draw random hashes, of which the last twentieth are copies of the first with up to 31 bits turned over; return these pairs too.

    Chance pairs within 31 of 256 bits do not occur: 10¹⁴ pairs hold 10⁻²¹ of them.
    """
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, (n, 4), dtype=np.uint64)
    copies = n // 20
    pairs = np.stack([np.arange(copies), np.arange(n - copies, n)])
    hashes[n - copies :] = hashes[:copies]
    if turned:
        forms = rng.integers(0, 8, copies)
        for form in range(8):
            places = n - copies + np.flatnonzero(forms == form)
            hashes[places] = perceptual.turned(hashes[places], backend="cpu")[:, form]
    for step in range(31):
        rows = n - copies + np.flatnonzero(rng.integers(0, 32, copies) > step)
        hashes[rows, rng.integers(0, 4, rows.size)] ^= np.uint64(1) << rng.integers(0, 64, rows.size).astype(np.uint64)
    return hashes, pairs


def crowded(n: int) -> tuple[NDArray[np.uint64], int]:
    """Draw random hashes of which a tenth are equal and another tenth lie within 15 bits of one; return how many components there are."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, (n, 4), dtype=np.uint64)
    crowd = n // 10
    hashes[: 2 * crowd] = np.repeat(hashes[:2], crowd, axis=0)
    for _ in range(15):
        hashes[np.arange(crowd, 2 * crowd), rng.integers(0, 4, crowd)] ^= np.uint64(1) << rng.integers(0, 64, crowd).astype(np.uint64)
    return hashes, n - 2 * crowd + 2


def all_forms(hashes: NDArray[np.uint64]) -> Iterator[hamming.Pairs]:
    """Search among all eight forms, as the check does."""
    parted = perceptual.parted(hashes, backend="cpu")
    yield from hamming.pair_chunks(parted, 31, forms=perceptual.FLIPS, backend="cpu")
    across = perceptual.transposed(parted, backend="cpu")
    yield from hamming.pair_chunks(parted, 31, against=across, half=True, forms=perceptual.FLIPS, backend="cpu")


def search_once(n: int, *, upright_alone: bool) -> None:
    """Search many hashes once, and check what is found against what was planted."""

    def told(what: str, work: Callable[[], str]) -> None:
        start = time.perf_counter()
        result = work()
        seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"n={n} {what:34s} {seconds:8.1f} s  peak of the process {peak:.2f} GiB, {result}", flush=True)

    def exact(pieces: Iterator[hamming.Pairs], pairs: NDArray[np.int64]) -> str:
        found = [np.stack([left, right]) for left, right, _ in pieces]
        rows = np.concatenate(found, axis=1) if found else np.empty((2, 0), np.int64)
        if not np.array_equal(rows[:, np.argsort(rows[0])], pairs):
            sys.exit("WRONG RESULT: the pairs are not those that were planted")
        return f"all {pairs.shape[1]} planted pairs found, no other"

    def joined(hashes: NDArray[np.uint64], expected: int) -> str:
        parent = np.arange(n)
        pairs = 0
        for left, right, _ in hamming.pair_chunks(hashes, 31, joined=parent, backend="cpu"):
            components.union(parent, left, right, backend="cpu")
            pairs += len(left)
        if np.count_nonzero(components.roots(parent, backend="cpu") == np.arange(n)) != expected:
            sys.exit("WRONG RESULT: the components are not those that were planted")
        return f"{pairs} pairs joined, of {n // 10 * (n // 10 - 1)}"

    for _ in all_forms(corpus(100_000)):  # compiles
        pass
    hashes, pairs = planted(n, turned=False)
    told("upright", lambda: exact(hamming.pair_chunks(hashes, 31, backend="cpu"), pairs))
    if upright_alone:
        return
    hashes, pairs = planted(n, turned=True)
    told("eight forms", lambda: exact(all_forms(hashes), pairs))
    hashes, expected = crowded(n)
    told("two crowds of a tenth each, joined", lambda: joined(hashes, expected))


def beside_faiss(report: Report) -> None:
    """Search the same hashes by tamis and by faiss: its exact indices, and one that misses some."""
    environment("faiss")
    exact = ["tamis_auto", "tamis_all", "faiss_flat", "faiss_multihash"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words, limit, n in ((4, 31, 20_000), (4, 31, 50_000), (1, 10, 50_000)):
            lanes = exact + ["faiss_hnsw"] * (n == 20_000)
            np.save(folder / "hashes.npy", corpus(n, words))
            (folder / "limit.txt").write_text(str(limit))
            measure(report, f"bits={64 * words} n={n} limit={limit}", lanes, n * (n - 1) / 2e9, "Gpairs", folder)
            found = {lane: np.load(folder / f"{lane}.npy") for lane in lanes}
            ours = found[lanes[0]]
            same = all(np.array_equal(found[lane], ours) for lane in exact)
            report.check(f"the exact lanes find the same {ours.shape[1]} pairs", same)
            if "faiss_hnsw" in found:
                print(f"faiss_hnsw finds {found['faiss_hnsw'].shape[1] / ours.shape[1]:.1%} of them")


def main() -> None:
    options: dict[str, Any] = {"millions": {"type": int, "nargs": "+", "default": []}, "upright": {"action": "store_true"}}
    report = Report.from_arguments("hamming: all pairs of hashes within a distance", **options)
    for millions in report.options.millions:
        search_once(millions * 1_000_000, upright_alone=report.options.upright)
    if report.options.millions:
        return
    small = corpus(3000)
    for limit in (0, 15, 31, 80):
        expected = numpy_pairs(small, limit)
        for method in ("all", "index"):
            report.check(f"{method}: {expected} pairs within {limit}", count(small, limit, method) == expected)
    cores = os.cpu_count() or 1
    note = "the popcounts of all words alone, in cache, measured"

    for threads in (1, cores):
        numba.set_num_threads(threads)
        for words, limit in ((1, 10), (4, 31), (4, 80)):
            popcount = popcount_limit(words)
            n = 20_000 if report.quick else 60_000
            lanes: dict[str, Lane] = {
                name: partial(count, corpus(n, words, paired=paired), limit, "all")
                for name, paired in (("all", True), ("all, no pairs", False))
            }
            case, work = f"bits={64 * words} n={n} limit={limit} threads={threads}", n * (n - 1) / 2e9
            report.time(case, lanes, work=work, unit="Gpairs", limit=popcount * threads / 1e9, limit_note=note, runs=5)
    hashes = corpus(5_000)
    lanes = {method: partial(count, hashes, 31, method) for method in ("all", "index")}
    peers = {"numpy bitwise_count": partial(numpy_pairs, hashes, 31)}
    report.time("n=5000 limit=31", {**lanes, **peers}, work=5000 * 4999 / 2e9, unit="Gpairs", runs=3)
    beside_faiss(report)
    for words, limits in ((4, (7, 15, 31, 63)), (1, (3, 10))):
        for limit in limits:  # where the index begins to pay
            for n in (1_000, 5_000, 20_000, 50_000) if report.quick else (1_000, 5_000, 20_000, 50_000, 100_000):
                for paired in (True, False):
                    hashes = corpus(n, words, paired=paired)
                    lanes = {method: partial(count, hashes, limit, method) for method in ("auto", "all", "index")}
                    case = f"bits={64 * words} n={n} limit={limit}{'' if paired else ', no pairs'}"
                    report.time(case, lanes, work=n * (n - 1) / 2e9, unit="Gpairs", runs=3)


if __name__ == "__main__":
    main()
