"""Union-find in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s


def union(parent: Int64s, left: Int64s, right: Int64s) -> None:
    """Join the components of each edge's ends; the smaller root wins."""
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((_root(parent, one), _root(parent, other)))
        parent[high] = low


def roots(parent: Int64s, out: Int64s) -> bool:
    """Write the root of each member; return False where a parent is no lower member."""
    if not all(0 <= above <= member for member, above in enumerate(parent.tolist())):
        return False
    for member in range(out.size):
        out[member] = _root(parent, member)
    return True


def _root(parent: Int64s, member: int) -> int:
    while parent[member] != member:
        member = int(parent[member])
    return member
