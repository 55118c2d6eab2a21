"""Exact Jaccard similarity of hash sets, the check that stands between a candidate pair and a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_offsets, offsets_of, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float64s, Int64s, Uint32s


def sorted_sets(hashes: Uint32s, row_offsets: Int64s, *, backend: AnyBackend = "auto") -> tuple[Uint32s, Int64s]:
    """Sort each row's hashes and drop repeats.

    Parameters
    ----------
    hashes
        uint32[m].
    row_offsets
        int32 or int64 [rows + 1]: row i is `hashes[row_offsets[i]:row_offsets[i + 1]]`.
    backend
        Where to run.

    Returns
    -------
    hashes, row_offsets
        uint32 and int64, in the same layout, as `pairs` wants them.

    Raises
    ------
    ArgumentError
        A dtype, shape or value is wrong.
    """
    row_offsets = _check_sets(hashes, row_offsets)
    work = np.array(hashes[row_offsets[0] : row_offsets[-1]])
    starts = row_offsets - row_offsets[0]
    sizes = np.empty(starts.size - 1, np.int64)
    run = implementation("jaccard.sorted_sets", backend, work.nbytes)
    run.sort_rows(work, starts, sizes)
    packed = offsets_of(sizes)
    out = np.empty(int(packed[-1]), np.uint32)
    run.pack_rows(work, starts, packed, out)
    return out, packed


def pairs(hashes: Uint32s, row_offsets: Int64s, left: Int64s, right: Int64s, *, backend: AnyBackend = "auto") -> Float64s:
    """Return the size of the intersection over that of the union, for each pair of rows.

    Parameters
    ----------
    hashes, row_offsets
        Rising sets without repeats, as `sorted_sets` returns them.
    left, right
        int64[p], the two rows of each pair.
    backend
        Where to run.

    Returns
    -------
    float64[p]
        0.0 when both sets are empty: an empty record is no duplicate of another by similarity.

    Raises
    ------
    ArgumentError
        A dtype or shape is wrong, or a row does not exist.
    """
    row_offsets = _check_sets(hashes, row_offsets)
    rows = row_offsets.size - 1
    check_array("left", left, np.int64, ("n_pairs",))
    check_array("right", right, np.int64, left.shape)
    if left.size and (min(left.min(), right.min()) < 0 or max(left.max(), right.max()) >= rows):
        message = f"pairs must name rows 0 … {rows - 1}, got {min(left.min(), right.min())} … {max(left.max(), right.max())}"
        raise ArgumentError(message)
    out = np.empty(left.size, np.float64)
    size = hashes.nbytes + left.nbytes + right.nbytes
    implementation("jaccard", backend, size).pairs(read_only(hashes), row_offsets, read_only(left), read_only(right), out)
    return out


def _check_sets(hashes: Uint32s, row_offsets: Int64s) -> Int64s:
    check_array("hashes", hashes, np.uint32, ("m",))
    return check_offsets("row_offsets", row_offsets, hashes.size)
