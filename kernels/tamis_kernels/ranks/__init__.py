"""Map values to their place among quantiles, 0 … 1 or normal, and back: the quantile transform.

Between two neighbouring quantiles the place grows linearly; a value that several quantiles share has the middle of their places. The
normal distribution function is inverted by Wichura's algorithm AS 241 (1988), to about 1e-16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Floats

__all__ = ["inverse", "transform"]


def transform(values: Floats, knots: ArrayLike, *, normal: bool = False, backend: AnyBackend = "auto") -> Floats:
    """Return the place of each value among the quantiles.

    Parameters
    ----------
    values
        ndarray of any shape, float32 or float64. NaN stays NaN; what lies outside the knots gets the outermost place.
    knots
        The quantiles at the probabilities 0, 1/(n-1), … 1: n >= 2 numbers that do not fall. NaN: all places are NaN.
    normal
        Whether places are those of a standard normal distribution, ±5.2 at the ends, as scikit-learn cuts them; else 0 … 1.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    return _apply("transform", values, knots, normal, backend)


def inverse(values: Floats, knots: ArrayLike, *, normal: bool = False, backend: AnyBackend = "auto") -> Floats:
    """Return the quantile at each place; parameters and errors are those of `transform`."""
    return _apply("inverse", values, knots, normal, backend)


def _apply(direction: str, values: Floats, knots: ArrayLike, normal: bool, backend: AnyBackend) -> Floats:
    check_array("values", values, FLOATS, (...,), "convert with values.astype('float64')")
    points = np.ascontiguousarray(knots, np.float64)
    if points.ndim != 1 or points.size < 2 or (np.diff(points) < 0).any():
        message = f"knots must be two or more numbers that do not fall, got {knots!r}"
        raise ArgumentError(message)
    if np.isnan(points).any():
        return np.full(values.shape, np.nan, values.dtype)
    flat = np.ascontiguousarray(values).reshape(-1)
    out = np.empty(flat.size, values.dtype)
    getattr(implementation("ranks", backend, flat.nbytes), direction)(flat, points, normal, out)
    return out.reshape(values.shape)
