"""Exact Jaccard similarity in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint32s


def sort_rows(hashes: Uint32s, starts: Int64s, sizes: Int64s) -> None:
    """Sort each row in place, its distinct hashes first, and write how many those are."""
    for row in range(sizes.size):
        distinct = np.unique(hashes[starts[row] : starts[row + 1]])
        sizes[row] = distinct.size
        hashes[starts[row] : starts[row] + distinct.size] = distinct


def pack_rows(hashes: Uint32s, starts: Int64s, packed: Int64s, out: Uint32s) -> None:
    """Move the first `packed[i + 1] - packed[i]` hashes of each row together."""
    for row in range(packed.size - 1):
        size = packed[row + 1] - packed[row]
        out[packed[row] : packed[row + 1]] = hashes[starts[row] : starts[row] + size]


def pairs(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, out: Float64s) -> None:
    """Write the similarity of each pair."""
    for i in range(out.size):
        one, other = (set(hashes[row_offsets[row] : row_offsets[row + 1]].tolist()) for row in (left[i], right[i]))
        out[i] = len(one & other) / len(one | other) if one or other else 0.0
