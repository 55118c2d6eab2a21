"""Union-find in Numba: one thread, as memory latency and not arithmetic is its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def union(parent: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Join the components of each edge's ends; the smaller root wins."""
    for edge in range(left.size):
        one, other = find(parent, left[edge]), find(parent, right[edge])
        if one < other:
            parent[other] = one
        else:
            parent[one] = other


@njit(cache=True, nogil=True)
def roots(parent: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the root of each member."""
    for member in range(out.size):  # a parent never has a higher index, so its root is there already
        out[member] = member if parent[member] == member else out[parent[member]]


@njit(cache=True, nogil=True)
def find(parent: NDArray[np.int64], member: int) -> int:
    """Return the root of a member, and halve the path to it."""
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member
