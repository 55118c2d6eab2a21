"""Figures of windows in CUDA, a window a thread, by the function of the CPU: its sums run in the order of the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, streamed, to_device, xp
from tamis_kernels.windows.cpu import describe_one

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_BYTES = 88  # of the device that a window takes beside its samples


def describe(
    values: NDArray[np.floating[Any]], offsets: NDArray[np.int64], run: int, counts: NDArray[np.int64], figures: NDArray[np.float64]
) -> None:
    """Fill counts (finite, NaN, infinite; in runs at the least, the greatest, elsewhere) and figures (least, greatest, mean, deviation)."""

    def work(first: int, last: int, samples: Any) -> tuple[Any, Any]:
        found = xp.zeros((6, last - first), np.int64), xp.full((4, last - first), np.nan)
        launch(describe_windows, last - first, samples, to_device(offsets[first : last + 1] - offsets[first]), run, *found)
        return found

    streamed(
        values.itemsize * offsets + WINDOW_BYTES * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (counts[:, first:last], figures[:, first:last]),
    )


@cuda.jit
def describe_windows(values: Any, offsets: NDArray[np.int64], run: int, counts: NDArray[np.int64], figures: NDArray[np.float64]) -> None:
    """Describe a window a thread."""
    window = cuda.grid(1)
    if window < counts.shape[1]:
        describe_one(values, offsets[window], offsets[window + 1], run, window, counts, figures)
