"""Histograms: values counted between edges, bytes counted by value. Counts add up and subtract as integers, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_column
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s

__all__ = ["Histogram", "byte_counts", "histogram"]


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts between edges. `a + b` counts both columns, `a - b` leaves out the values of `b`.

    Attributes
    ----------
    edges
        float64[n_bins + 1], rising.
    counts
        int64[n_bins]. A bin holds its lower edge, the last one its upper edge too, as in `numpy.histogram`.
    below, above, nan
        Values outside the edges, infinities among them, and NaN.
    """

    edges: Float64s
    counts: Int64s
    below: int = 0
    above: int = 0
    nan: int = 0

    def __add__(self, other: Histogram) -> Histogram:
        return self._with(other, 1)

    def __sub__(self, other: Histogram) -> Histogram:
        return self._with(other, -1)

    def _with(self, other: Histogram, sign: int) -> Histogram:
        if not np.array_equal(self.edges, other.edges):
            message = f"histograms must have equal edges, got {self.edges.size} and {other.edges.size} edges; count again between the same"
            raise ArgumentError(message)
        counts = self.counts + sign * other.counts
        rest = [getattr(self, name) + sign * getattr(other, name) for name in ("below", "above", "nan")]
        if min(counts.min(initial=0), *rest) < 0:
            message = "cannot subtract a histogram that is no part of this one; subtract only what was added before"
            raise ArgumentError(message)
        return Histogram(self.edges, counts, *rest)


def histogram(values: Floats, edges: ArrayLike, *, backend: AnyBackend = "auto") -> Histogram:
    """Count the values of a column between edges.

    Parameters
    ----------
    values
        ndarray of shape (n_values,), float32 or float64; compared in float64. NaN is counted apart.
    edges
        At least two numbers, strictly rising.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    check_column(values)
    bounds = np.ascontiguousarray(edges, np.float64)
    if bounds.ndim != 1 or bounds.size < 2 or not (np.diff(bounds) > 0).all():
        message = f"edges must be two or more rising numbers, got {edges!r}"
        raise ArgumentError(message)
    counts = np.zeros(bounds.size + 2, np.int64)
    implementation("histogram", backend, values.nbytes).count(np.ascontiguousarray(values), bounds, counts)
    below, above, nan = int(counts[0]), int(counts[-2]), int(counts[-1])
    return Histogram(bounds, counts[1:-2], below, above, nan)


def byte_counts(pixels: Uint8s, *, backend: AnyBackend = "auto") -> Int64s:
    """Count the bytes of each channel by value: all that exact statistics of 8-bit pictures need.

    Parameters
    ----------
    pixels
        uint8 of shape (…, n_channels), such as (height, width, 3) or (n_pictures, height, width, 3).
    backend
        Where to run.

    Returns
    -------
    ndarray of shape (n_channels, 256), int64

    Raises
    ------
    ArgumentError
        The argument has the wrong dtype or no dimension.
    """
    check_array("pixels", pixels, np.uint8, (..., "n_channels"))
    counts = np.zeros((pixels.shape[-1], 256), np.int64)
    if pixels.size:
        flat = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1])
        implementation("histogram.byte_counts", backend, pixels.nbytes).count_bytes(flat, counts)
    return counts
