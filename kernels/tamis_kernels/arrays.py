"""What public functions ask of the arrays that they are given, where several ask the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_column", "read_only"]


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
