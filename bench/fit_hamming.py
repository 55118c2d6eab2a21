"""Fit the weights by which `hamming` chooses between the comparison of all pairs and an index, and how an index is cut: see `_plan`.

Searches with given bands are timed on one thread, fastest of some runs, and the weights are those whose sums come nearest to these times,
by relative error, none of them below zero. `--grid` times instead what is chosen beside both methods, in turns: 5 of them, or as many as
it takes, up to 25, to be within 1.15 of the better one. Processor time counts, so that a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from unittest import mock

import numba
import numpy as np
from bench_hamming import corpus
from harness import described, machine
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]

from tamis_kernels import hamming, perceptual

METHODS: tuple[hamming.Method, ...] = ("auto", "all", "index")
LEAST_TURNS, MOST_TURNS, FAIR = 5, 25, 1.15
LONGEST = 0.2  # seconds of a search, beyond which it is left out
FLIPS = perceptual.FLIPS
CASES = ((1, FLIPS[:1, :1], (3, 10)), (4, FLIPS[:1], (7, 15, 31, 63, 90)), (4, FLIPS, (15, 31, 63)))


def seconds(hashes: NDArray[np.uint64], limit: int, forms: NDArray[np.bool_], method: hamming.Method) -> float:
    """Return how long a search takes."""
    start = time.process_time()
    for _ in hamming.pair_chunks(hashes, limit, forms=forms, method=method, backend="cpu"):
        pass
    return time.process_time() - start


def fit() -> None:
    """Time indices of all shapes, the comparison of all being one of a band without bits, and fit."""
    rows, times = [], []
    kinds = list(hamming.MEETING)
    for words, forms, limits in CASES:
        for n, limit, each in product((500, 4_000, 30_000, 120_000), limits, range(1, 9)):
            lengths = [*range(6, min(21, 64 // each) + 1, 2)] if limit // (each * words) <= 2 else []
            hashes = corpus(n, words)
            kind = kinds.index((hamming.probes_of(limit, forms), len(forms) > 1))
            for length in [0] * (each == 1) + lengths:
                bands = hamming.cut(limit, forms, each, length) if length else np.zeros((1, 5), np.int64)
                *row, met = hamming.work(bands, np.array([length]), n, n)[:, 0]
                if float(np.dot(row, hamming.WEIGHTS)) + met * hamming.MEETING[kinds[kind]] > LONGEST * 1e9:
                    continue
                with mock.patch.object(hamming, "_plan", lambda *_, bands=bands: bands):
                    rows.append([*row, *np.where(np.arange(len(kinds)) == kind, met, 0.0)])
                    times.append(min(seconds(hashes, limit, forms, "auto") for _ in range(3)) * 1e9)
    matrix, taken = np.array(rows), np.array(times)
    weights, _ = nnls(matrix / taken[:, None], np.ones(len(taken)))
    apart = np.abs(np.log2(matrix @ weights / taken))
    parts, meeting = np.split(weights, [len(hamming.WEIGHTS)])
    print(f"WEIGHTS = [{', '.join(f'{weight:.4g}' for weight in parts)}]")
    print(f"MEETING = {{{', '.join(f'{kind}: {weight:.3g}' for kind, weight in zip(kinds, meeting, strict=True))}}}")
    print(f"{len(taken)} searches, off by a factor of {2 ** np.median(apart):.2f} in the median,", end=" ")
    print(f"{2 ** np.quantile(apart, 0.95):.2f} in 95 %")


def grid() -> Iterator[float]:
    """Print how long the choice takes beside the better of both methods, and yield the quotients."""
    for words, forms, limits in CASES:
        for limit, n in product(limits, (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)):
            hashes = corpus(n, words)
            best = dict.fromkeys(METHODS, float("inf"))
            turns, ratio = 0, float("inf")
            while turns < LEAST_TURNS or (turns < MOST_TURNS and ratio > FAIR):
                for method in METHODS:
                    if method == "auto" or best[method] < 2 * min(best.values()) or best[method] == float("inf"):
                        best[method] = min(best[method], seconds(hashes, limit, forms, method))
                turns, ratio = turns + 1, best["auto"] / min(best.values())
            told = "  ".join(f"{method} {1e3 * taken:8.2f} ms" for method, taken in best.items())
            print(
                f"bits={64 * words} forms={len(forms)} n={n:6d} limit={limit:2d}  {told}  turns {turns:2d}  auto / better {ratio:.2f}",
                flush=True,
            )
            yield ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(described(machine()))
    numba.set_num_threads(arguments.threads)
    for words, forms, limits in CASES:
        seconds(corpus(3_000, words), limits[0], forms, "index")  # compiles
    if arguments.grid:
        ratios = np.array([*grid()])
        print(f"{len(ratios)} cases: auto / better is {np.max(ratios):.2f} at most, above {FAIR} in {np.count_nonzero(ratios > FAIR)}")
        return
    fit()


if __name__ == "__main__":
    main()
