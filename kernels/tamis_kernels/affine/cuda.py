"""Shift and scale in CUDA, several values a thread: bound by the bytes read and written. No product is fused, see `device`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, to_device, to_host, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 256
ITEMS = 8  # values a thread, THREADS apart, so that neighbours read neighbours
i64 = np.int64


def transform(
    values: NDArray[np.floating[Any]],
    centres: NDArray[np.floating[Any]],
    scales: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Fill out with (value - centre) / scale; centres and scales repeat along the flat values."""
    _apply(divide, values, centres, scales, out)


def inverse(
    values: NDArray[np.floating[Any]],
    centres: NDArray[np.floating[Any]],
    scales: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Fill out with value * scale + centre; centres and scales repeat along the flat values."""
    _apply(multiply, values, centres, scales, out)


def lookup(pixels: NDArray[np.uint8], tables: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Fill out with what the table of each column says of its bytes."""
    found = xp.empty(out.shape, np.float32)
    launch(look_up, out.size, to_device(pixels), to_device(tables), found)
    to_host(found, out)


def _apply(kernel: Any, values: Any, centres: Any, scales: Any, out: Any) -> None:
    found = to_device(values)
    kernel[-(-values.size // (ITEMS * THREADS)), THREADS](found, to_device(centres), to_device(scales))
    to_host(found, out)


@cuda.jit
def divide(values: Any, centres: Any, scales: Any) -> None:
    """Turn each value into (value - centre) / scale."""
    place = i64(cuda.blockIdx.x) * (ITEMS * THREADS) + cuda.threadIdx.x
    slot = place % centres.size  # once a thread: a remainder costs more than the arithmetic
    for _ in range(ITEMS):
        if place < values.size:
            values[place] = (values[place] - centres[slot]) / scales[slot]
        place, slot = place + THREADS, following(slot, centres.size)


@cuda.jit
def multiply(values: Any, centres: Any, scales: Any) -> None:
    """Turn each value into value * scale + centre."""
    place = i64(cuda.blockIdx.x) * (ITEMS * THREADS) + cuda.threadIdx.x
    slot = place % centres.size
    for _ in range(ITEMS):
        if place < values.size:
            values[place] = values[place] * scales[slot] + centres[slot]
        place, slot = place + THREADS, following(slot, centres.size)


@cuda.jit(device=True)
def following(slot: int, size: int) -> int:
    """Return the parameter of the value THREADS further on; there are more than THREADS of them."""
    return slot + THREADS - (size if slot + THREADS >= size else 0)


@cuda.jit
def look_up(pixels: NDArray[np.uint8], tables: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Look up a byte a thread."""
    item = cuda.grid(1)
    if item < out.size:
        row, channel = item // out.shape[1], item % out.shape[1]
        out[row, channel] = tables[channel, pixels[row, channel]]
