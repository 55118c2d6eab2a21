"""Union-find in CUDA: an edge a thread, which climbs until it hooks the higher root below the lower one, or meets what others hooked.

J. Jaiganesh, M. Burtscher, A High-Performance Connected Components Implementation for GPUs, HPDC 2018: hooking and pointer jumping in one
parent array. A parent is lower than its child at all times, so that climbing ends, and no order of the threads changes which member is
a component's root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import copy_to_device, launch, to_device, to_host, xp
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def union(parent: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Join the components of each edge's ends; the smaller root wins."""
    parents = copy_to_device(parent)  # it is changed
    if left.size and not _falls(parents):
        message = "parent must hold, for each member, a member with no higher index; start from numpy.arange(n)"
        raise ArgumentError(message)  # a thread that climbs a circle never ends, and a GPU cannot be interrupted
    launch(hook, left.size, parents, to_device(left), to_device(right))
    to_host(parents, parent)


def roots(parent: NDArray[np.int64], out: NDArray[np.int64]) -> bool:
    """Write the root of each member; return False where a parent is no lower member."""
    parents = to_device(parent)
    if not _falls(parents):
        return False
    found = xp.empty(parent.size, np.int64)
    launch(climb, parent.size, parents, found)
    to_host(found, out)
    return True


def _falls(parents: Any) -> bool:
    """Return whether each parent is a member with no higher index."""
    return not bool(((parents < 0) | (parents > xp.arange(parents.size))).any())


@cuda.jit
def hook(parent: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Join the ends of one edge a thread."""
    item = cuda.grid(1)
    if item < left.size:
        one, other = left[item], right[item]
        while one != other:
            low, high = min(one, other), max(one, other)
            above = cuda.atomic.cas(parent, high, high, low)
            if above == high:
                return
            one, other = low, above


@cuda.jit
def climb(parent: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the root of one member a thread."""
    member = cuda.grid(1)
    if member < out.size:
        root = parent[member]
        while parent[root] != root:
            root = parent[root]
        out[member] = root
