"""Windows to words in CUDA, a window a thread: its sums run from left to right, as the definition wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, streamed, to_device, xp
from tamis_kernels.symbols.cpu import write

if TYPE_CHECKING:
    from numpy.typing import NDArray


def words(
    values: NDArray[np.float64], offsets: NDArray[np.int64], breakpoints: NDArray[np.float64], margin: float, out: NDArray[np.uint8]
) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    known = to_device(breakpoints)

    def work(first: int, last: int, samples: Any) -> tuple[Any]:
        found = xp.empty((last - first, out.shape[1]), np.uint8)
        launch(write_words, last - first, samples, to_device(offsets[first : last + 1] - offsets[first]), known, margin, found)
        return (found,)

    streamed(
        8 * offsets + (8 + out.shape[1]) * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (out[first:last],),
    )


@cuda.jit
def write_words(
    values: NDArray[np.float64], offsets: NDArray[np.int64], breakpoints: NDArray[np.float64], margin: float, out: NDArray[np.uint8]
) -> None:
    """Write a word a thread."""
    window = cuda.grid(1)
    if window < out.shape[0]:
        write(values, offsets, breakpoints, margin, out, (window, window + 1))
