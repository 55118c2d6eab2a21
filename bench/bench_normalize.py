"""Fit and transform a table of 16 columns against scikit-learn; the limit is a copy of the table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from harness import Report
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from tamis.normalizer import Normalizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.normalizer import Method


def main() -> None:
    report = Report.from_arguments("normalize: fit and transform")
    rows = 100_000 if report.quick else 2_000_000
    matrix = np.random.default_rng(1).standard_normal((rows, 16)).astype(np.float32)
    frame = pl.DataFrame({f"c{i}": matrix[:, i].copy() for i in range(16)})
    peers: dict[Method, Any] = {"zscore": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
    for method, peer in peers.items():
        ours, theirs = Normalizer(method).fit_transform(matrix), peer().fit_transform(matrix)
        report.check(f"{method}: equal to scikit-learn to rounding", np.allclose(ours, theirs, rtol=1e-4, atol=1e-5))
        report.time(
            f"{method} fit + transform",
            {
                "tamis, polars columns": lambda method=method: Normalizer(method).fit_transform(frame),
                "tamis, row-major matrix": lambda method=method: Normalizer(method).fit_transform(matrix),
                f"scikit-learn {peer.__name__}": lambda peer=peer: peer().fit_transform(matrix),
            },
            work=matrix.nbytes / 1e9,
            unit="GB",
            limit=copy_speed(matrix),
            limit_note="one thread, numpy copy into a new array",
            runs=5,
        )


def copy_speed(matrix: NDArray[Any]) -> float:
    """Return GB/s of a copy of the matrix, counting the bytes read."""
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        matrix.copy()
        taken.append(time.perf_counter() - start)
    return matrix.nbytes / 1e9 / float(np.median(taken))


if __name__ == "__main__":
    main()
