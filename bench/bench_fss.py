"""Fast Similarity Sketching of ready 64-bit hashes: M elements/s against affine32 and rensa, and the error of both schemes' estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from bench_minhash import clock
from harness import Report

from tamis_kernels import fss, minhash

if TYPE_CHECKING:
    from harness import Lane
    from numpy.typing import NDArray

SLOTS = 128
SIZES = (16, 64, 256, 1024, 8192)
PAIRS = 2000


def rensa_lane(elements: NDArray[np.uint64], rows: NDArray[np.int64]) -> dict[str, Lane]:
    """Return rensa's full-set sketch of the same rows, where it is installed; it takes one core with RAYON_NUM_THREADS=1."""
    try:
        from rensa import RMinHash
    except ImportError:
        print("rensa is not installed: pip install rensa==0.5.0, and run with RAYON_NUM_THREADS=1")
        return {}
    offsets = rows.astype(np.uint64)
    return {"rensa 0.5 flat token hashes": lambda: RMinHash.digest_matrix_from_flat_token_hashes(elements, offsets, SLOTS, 1)}


def bench_rates(report: Report) -> None:
    total = 1 << (17 if report.quick else 22)
    elements = np.random.default_rng(2).integers(0, 2**64, total, np.uint64)
    narrow = elements.astype(np.uint32)
    numba.set_num_threads(1)
    limit = clock() / 1e6
    for size in SIZES:
        rows = np.arange(0, total + 1, size)
        few = rows[: 20 if report.quick else 60]
        report.check(
            f"rows of {size} equal the reference",
            (fss.signatures(elements, few, backend="cpu") == fss.signatures(elements, few, backend="reference")).all(),
        )

        def ours(rows: NDArray[np.int64] = rows) -> object:
            return fss.signatures(elements, rows, num_perm=SLOTS)

        def affine(rows: NDArray[np.int64] = rows) -> object:
            return minhash.signatures(narrow, rows, num_perm=SLOTS)

        lanes: dict[str, Lane] = {"tamis fss, 1 thread": ours, "tamis affine32, 1 thread": affine, **rensa_lane(elements, rows)}
        report.time(
            f"rows of {size}", lanes, work=total / 1e6, unit="M elements", limit=limit, limit_note="one slot looked at a cycle; mixing free"
        )


def error(sketch: Any, size: int, similarity: float) -> float:
    """Return the RMSE of estimates over pairs of sequential numbers, in units of MinHash's theoretical deviation."""
    shared = round(2 * size * similarity / (1 + similarity))
    step = 2 * size - shared
    starts = np.arange(PAIRS)[:, None] * step
    left = (starts + np.arange(size)).ravel().astype(np.uint32)
    right = (starts + step - 1 - np.arange(size)).ravel().astype(np.uint32)
    rows = np.arange(0, PAIRS * size + 1, size)
    truth = shared / step
    first, second = sketch(left, rows, num_perm=SLOTS), sketch(right, rows, num_perm=SLOTS)
    off = (first == second).mean(axis=1) - truth
    return float(np.sqrt(np.mean(off**2)) / np.sqrt(truth * (1 - truth) / SLOTS))


def main() -> None:
    report = Report.from_arguments(__doc__ or "")
    bench_rates(report)
    print(f"RMSE of the estimated similarity, {PAIRS} pairs, in units of MinHash's theoretical deviation:")
    for size in SIZES[:3] if report.quick else SIZES[:4]:
        for similarity in (0.3, 0.5, 0.8, 0.9):
            by_scheme = {name: error(module.signatures, size, similarity) for name, module in (("fss", fss), ("affine32", minhash))}
            print(f"  sets of {size:5d}, J = {similarity:.2f}: " + "  ".join(f"{name} {value:.3f}" for name, value in by_scheme.items()))


if __name__ == "__main__":
    main()
