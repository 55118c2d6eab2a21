"""Windows to words in CUDA, a window a thread: its sums run from left to right, as the definition wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, to_device, to_host, xp
from tamis_kernels.symbols.cpu import write

if TYPE_CHECKING:
    from numpy.typing import NDArray


def words(
    values: NDArray[np.float64], offsets: NDArray[np.int64], breakpoints: NDArray[np.float64], margin: float, out: NDArray[np.uint8]
) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    found = xp.empty(out.shape, np.uint8)
    launch(write_words, len(out), to_device(values), to_device(offsets), to_device(breakpoints), margin, found)
    to_host(found, out)


@cuda.jit
def write_words(
    values: NDArray[np.float64], offsets: NDArray[np.int64], breakpoints: NDArray[np.float64], margin: float, out: NDArray[np.uint8]
) -> None:
    """Write a word a thread."""
    window = cuda.grid(1)
    if window < out.shape[0]:
        write(values, offsets, breakpoints, margin, out, (window, window + 1))
