"""Locality-sensitive hashing of signatures: one 64-bit key per band, and the choice of bands and rows for a threshold."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_number, check_whole, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Uint32s, Uint64s


def keys(signatures: Uint32s, *, bands: int, rows: int, backend: AnyBackend = "auto") -> Uint64s:
    """Return the key of each band of each signature.

    Band j covers slots `j·rows … (j + 1)·rows - 1`. Its key starts as `splitmix64(j)` and takes in slot after slot by
    `key = splitmix64(key ^ slot)`; so the absolute band number is part of it, and keys of two bands never meet by design.

    Parameters
    ----------
    signatures
        uint32[n, num_perm] with `bands · rows <= num_perm`; further slots are not used.
    bands, rows
        Bands, and slots per band.
    backend
        Where to run.

    Returns
    -------
    uint64[n, bands]

    Raises
    ------
    ArgumentError
        The signatures have another dtype or shape, or too few slots for the bands.

    Notes
    -----
    J. Leskovec, A. Rajaraman, J. Ullman, Mining of Massive Datasets, section 3.4; splitmix64: G. Steele, D. Lea, C. Flood, 2014.
    """
    check_array("signatures", signatures, np.uint32, ("n", "num_perm"))
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        message = f"{bands} bands of {rows} rows need 1 or more of each and {bands * rows} slots; there are {signatures.shape[1]}"
        raise ArgumentError(message)
    out = np.empty((signatures.shape[0], bands), np.uint64)
    implementation("bands", backend, signatures.nbytes).keys(read_only(signatures), rows, out)
    return out


@cache
def optimal(threshold: float, num_perm: int, false_positive_weight: float = 0.5, false_negative_weight: float = 0.5) -> tuple[int, int]:
    """Return the (bands, rows) that make the least weighted error at a threshold.

    Two sets of Jaccard similarity s share a band with probability `1 - (1 - s^rows)^bands`. The error is the area under that curve left of
    the threshold (false positives) and above it right of the threshold (false negatives), each times its weight. The curve is a
    polynomial of degree `bands · rows <= num_perm`, so Gauss-Legendre quadrature with `num_perm // 2 + 1` nodes is exact.

    Parameters
    ----------
    threshold
        Jaccard similarity, above 0 and at most 1.
    num_perm
        Slots there are.
    false_positive_weight, false_negative_weight
        What a candidate too many and a pair missed cost, 0 or more.

    Raises
    ------
    ArgumentError
        An argument is out of its range.

    Notes
    -----
    The criterion of E. Zhu et al., LSH Ensemble, VLDB 2016, as in `datasketch.MinHashLSH`; ties go to fewer bands, then fewer rows.
    """
    check_number("threshold", threshold)
    check_whole("num_perm", num_perm, 1, 2**20)
    if not 0.0 < threshold <= 1.0:
        message = f"threshold must be above 0 and at most 1, got {threshold!r}"
        raise ArgumentError(message)
    if min(false_positive_weight, false_negative_weight) < 0:
        message = f"weights must be 0 or more, got {false_positive_weight} and {false_negative_weight}"
        raise ArgumentError(message)
    nodes, weights = np.polynomial.legendre.leggauss(num_perm // 2 + 1)
    below, above = threshold * (nodes + 1) / 2, threshold + (1 - threshold) * (nodes + 1) / 2
    best = (float("inf"), 0, 0)
    for bands in range(1, num_perm + 1):
        for rows in range(1, num_perm // bands + 1):
            false_positive = threshold / 2 * float(weights @ (1 - (1 - below**rows) ** bands))
            false_negative = (1 - threshold) / 2 * float(weights @ ((1 - above**rows) ** bands))
            error = false_positive_weight * false_positive + false_negative_weight * false_negative
            best = min(best, (error, bands, rows))
    return best[1], best[2]
