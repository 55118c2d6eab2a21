"""The stable sort in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def sort_by_key(keys: NDArray[np.uint64], order: NDArray[np.uint32], ordered: NDArray[np.uint64]) -> int:
    """Write the stable order of the keys and the keys in that order; return how many are distinct."""
    order[:] = sorted(range(keys.size), key=keys.tolist().__getitem__)
    ordered[:] = keys[order]
    return len(set(keys.tolist()))


def run_starts(ordered: NDArray[np.uint64], starts: NDArray[np.int64]) -> None:
    """Write where each run of equal keys starts."""
    listed = ordered.tolist()
    starts[:] = [i for i, key in enumerate(listed) if i == 0 or key != listed[i - 1]]
