"""Figures of windows, that is of short series that lie one behind the other: range, mean and deviation, and where they stand still.

A window that stands still at its least or greatest value while it moves elsewhere was cut off by its sensor's range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_column, check_offsets, check_whole, read_only
from tamis_kernels.backend import implementation

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float64s, Floats, Int32s, Int64s


__all__ = ["Figures", "describe"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of windows, each an array of shape (n_windows,).

    Attributes
    ----------
    finite, nan, infinite
        int64: samples of each kind.
    at_least, at_greatest, elsewhere
        int64: samples in runs of equal finite samples, at the window's least value, at its greatest, and at others. A constant window is at
        its least.
    minimum, maximum
        float64: range of the finite samples; NaN where there are none.
    mean, deviation
        float64: mean of the finite samples, and the root of their mean squared distance from it; both summed in float64 in the order of the
        samples. NaN where there are none.
    """

    finite: Int64s
    nan: Int64s
    infinite: Int64s
    at_least: Int64s
    at_greatest: Int64s
    elsewhere: Int64s
    minimum: Float64s
    maximum: Float64s
    mean: Float64s
    deviation: Float64s


def describe(values: Floats, offsets: Int32s | Int64s, *, run: int = 3, backend: AnyBackend = "auto") -> Figures:
    """Return the figures of each window.

    Parameters
    ----------
    values
        ndarray of shape (n_samples,), float32 or float64: all windows, one behind the other. NaN and infinities are counted, and end a run.
    offsets
        int32 or int64 of shape (n_windows + 1,), rising from 0 or more: window i is `values[offsets[i]:offsets[i + 1]]`.
    run
        Equal samples, one after the other, that make a run: 2 to 2³¹ - 1.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    check_column(values)
    offsets = check_offsets("offsets", offsets, values.size)
    check_whole("run", run, 2, 2**31 - 1)
    counts, figures = np.zeros((6, offsets.size - 1), np.int64), np.full((4, offsets.size - 1), np.nan)
    module = implementation("windows", backend, values.nbytes)
    module.describe(read_only(values), offsets, run, counts, figures)
    return Figures(*counts, *figures)
