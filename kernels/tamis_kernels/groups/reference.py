"""The stable sort in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def sort_by_key(keys: NDArray[np.uint64], order: NDArray[np.uint32], ordered: NDArray[np.uint64]) -> None:
    """Write the stable order of the keys and the keys in that order."""
    order[:] = sorted(range(keys.size), key=keys.tolist().__getitem__)
    ordered[:] = keys[order]
