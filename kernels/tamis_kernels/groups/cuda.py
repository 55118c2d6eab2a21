"""The stable sort in CUDA: CuPy's, which is a radix sort of keys and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.device import to_device, to_host, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sort_by_key(keys: NDArray[np.uint64], order: NDArray[np.uint32], ordered: NDArray[np.uint64]) -> int:
    """Write the stable order of the keys and the keys in that order; return how many are distinct."""
    if not keys.size:
        return 0
    values = to_device(keys)
    places = xp.argsort(values, kind="stable")
    values = values[places]
    to_host(places.astype(np.uint32), order)
    to_host(values, ordered)
    return 1 + int(xp.count_nonzero(values[1:] != values[:-1]))


def run_starts(ordered: NDArray[np.uint64], starts: NDArray[np.int64]) -> None:
    """Write where each run of equal keys starts."""
    if ordered.size:
        values = to_device(ordered)
        to_host(1 + xp.flatnonzero(values[1:] != values[:-1]), starts[1:])
        starts[0] = 0
