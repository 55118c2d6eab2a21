"""What public functions ask of the arrays that they are given, where several ask the same, and how they part them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["check_column", "edges", "read_only"]


def check_column(values: NDArray[np.floating[Any]]) -> None:
    """Raise ArgumentError unless values are float32 or float64 of shape (n_values,)."""
    if values.dtype not in (np.float32, np.float64) or values.ndim != 1:
        message = f"values must be float32 or float64 of one dimension, got {values.dtype} of shape {values.shape}"
        raise ArgumentError(message)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a contiguous view that is read-only, as arrays from Arrow are: one compiled kernel for both."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def edges(sizes: Sequence[int] | NDArray[np.int64], most: int) -> list[int]:
    """Return where batches of items begin, and where the last one ends: each takes at most so much, or is one item.

    `sizes` is what the items before each one take, and all of them: items + 1, rising.
    """
    found = [0]
    while found[-1] < len(sizes) - 1:
        found.append(max(found[-1] + 1, bisect_right(sizes, sizes[found[-1]] + most) - 1))
    return found
