"""Exact Jaccard similarity in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sort_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are."""
    for row in range(sizes.size):
        distinct = np.unique(hashes[starts[row] : starts[row + 1]])
        sizes[row] = distinct.size
        hashes[starts[row] : starts[row] + distinct.size] = distinct


def pack_rows(hashes: NDArray[np.uint32], starts: NDArray[np.int64], packed: NDArray[np.int64], out: NDArray[np.uint32]) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together."""
    for row in range(packed.size - 1):
        size = packed[row + 1] - packed[row]
        out[packed[row] : packed[row + 1]] = hashes[starts[row] : starts[row] + size]


def pairs(
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the similarity of each pair."""
    for i in range(out.size):
        one, other = (set(hashes[row_offsets[row] : row_offsets[row + 1]].tolist()) for row in (left[i], right[i]))
        out[i] = len(one & other) / len(one | other) if one or other else 0.0
