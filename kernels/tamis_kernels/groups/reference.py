"""The stable sort in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint32s, Uint64s


def sort_by_key(keys: Uint64s, order: Uint32s, ordered: Uint64s) -> int:
    """Write the stable order of the keys and the keys in that order; return how many are distinct."""
    order[:] = sorted(range(keys.size), key=keys.tolist().__getitem__)
    ordered[:] = keys[order]
    return len(set(keys.tolist()))


def run_starts(ordered: Uint64s, starts: Int64s) -> None:
    """Write where each run of equal keys starts."""
    listed = ordered.tolist()
    starts[:] = [i for i, key in enumerate(listed) if i == 0 or key != listed[i - 1]]
