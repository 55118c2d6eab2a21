"""Grouping by key: a stable sort, and where each run of equal keys starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Int64s, Uint32s, Uint64s

MOST_KEYS = 2**32 - 1


def sort_by_key(keys: Uint64s, *, backend: AnyBackend = "auto") -> tuple[Uint32s, Int64s]:
    """Return the stable order of the keys and the starts of their runs.

    Parameters
    ----------
    keys
        uint64[n], n below 2³².
    backend
        Where to run.

    Returns
    -------
    order
        uint32[n]: `keys[order]` rises, and equal keys keep their order.
    starts
        int64[g + 1]: the members of group i are `order[starts[i]:starts[i + 1]]`.

    Raises
    ------
    ArgumentError
        The keys have another dtype or shape, or are too many for 32-bit positions.
    """
    check_array("keys", keys, np.uint64, ("n",))
    if keys.size > MOST_KEYS:
        message = f"at most {MOST_KEYS} keys can be sorted at a time, got {keys.size}; split them by their high bits first"
        raise ArgumentError(message)
    order = np.empty(keys.size, np.uint32)
    ordered = np.empty(keys.size, np.uint64)
    module = implementation("groups", backend, keys.nbytes)
    starts = np.full(module.sort_by_key(read_only(keys), order, ordered) + 1, keys.size, np.int64)
    module.run_starts(read_only(ordered), starts[:-1])
    return order, starts
