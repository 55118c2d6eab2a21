"""How well signatures estimate similarity and find pairs, scheme by scheme: the error, and the share of pairs that meet in a band.

    python bench/evaluate_sketches.py

Pairs of sets of a known Jaccard similarity, of random and of consecutive elements. The error is told as a share of MinHash's in theory,
sqrt(J (1 - J) / k). The share of pairs that meet is set against 1 - (1 - J^r)^b, with its standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.near.banding import band_shape
from tamis_kernels import bands, fss, minhash
from tamis_kernels.ngram_keys.reference import MULTIPLIER

SLOTS = 128
SIZES = (16, 64, 256, 1024, 8192, 65_536)
SIMILARITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ELEMENTS = 4_000_000  # a side, for each size and similarity
SCHEMES: dict[str, Callable[..., NDArray[np.uint32]]] = {"affine32": minhash.signatures, "fss": fss.signatures}


def pairs(size: int, similarity: float, consecutive: bool) -> tuple[NDArray[np.uint32], NDArray[np.uint32], float]:
    """Return the sets of many pairs, one after the other, and their exact similarity."""
    shared = round(2 * size * similarity / (1 + similarity))
    step = 2 * size - shared
    count = min(20_000, ELEMENTS // size)
    starts = np.arange(count, dtype=np.uint64)[:, None] * np.uint64(step)
    both = [starts + np.uint64(first) + np.arange(size, dtype=np.uint64) for first in (0, size - shared)]
    spread, shift = (np.uint64(1), np.uint64(0)) if consecutive else (np.uint64(MULTIPLIER), np.uint64(32))
    left, right = (np.right_shift(one * spread, shift).astype(np.uint32).ravel() for one in both)
    return left, right, shared / step


def measure(scheme: str, size: int, similarity: float, consecutive: bool) -> dict[str, Any]:
    """Return one row of the table."""
    left, right, truth = pairs(size, similarity, consecutive)
    rows = np.arange(0, left.size + 1, size)
    one, other = (SCHEMES[scheme](side, rows, num_perm=SLOTS) for side in (left, right))
    error = (one == other).mean(axis=1) - truth
    count, slots = band_shape(0.8, SLOTS)
    met = (bands.keys(one, bands=count, rows=slots) == bands.keys(other, bands=count, rows=slots)).any(axis=1)
    theory = 1 - (1 - truth**slots) ** count
    return {
        "size": size,
        "elements": "consecutive" if consecutive else "random",
        "J": round(truth, 3),
        "scheme": scheme,
        "pairs": rows.size - 1,
        "bias": round(float(error.mean()), 5),
        "RMSE / MinHash": round(float(np.sqrt(np.mean(error**2)) / np.sqrt(truth * (1 - truth) / SLOTS)), 3),
        "met": round(float(met.mean()), 4),
        "theory": round(theory, 4),
        "standard error": round(float(np.sqrt(theory * (1 - theory) / met.size)), 4),
    }


def main() -> None:
    count, slots = band_shape(0.8, SLOTS)
    print(f"{SLOTS} slots, {count} bands of {slots}")
    for how in (False, True):
        for size in SIZES:
            for similarity in SIMILARITIES:
                for scheme in SCHEMES:
                    row = measure(scheme, size, similarity, how)
                    if scheme == "affine32" and similarity == SIMILARITIES[0]:
                        print("  ".join(f"{name:>14s}" for name in row))
                    print("  ".join(f"{value!s:>14s}" for value in row.values()), flush=True)


if __name__ == "__main__":
    main()
