"""Union-find in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def union(parent: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Join the components of each edge's ends; the smaller root wins."""
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((_root(parent, one), _root(parent, other)))
        parent[high] = low


def roots(parent: NDArray[np.int64], out: NDArray[np.int64]) -> bool:
    """Write the root of each member; return False where a parent is no lower member."""
    if not all(0 <= above <= member for member, above in enumerate(parent.tolist())):
        return False
    for member in range(out.size):
        out[member] = _root(parent, member)
    return True


def _root(parent: NDArray[np.int64], member: int) -> int:
    while parent[member] != member:
        member = int(parent[member])
    return member
