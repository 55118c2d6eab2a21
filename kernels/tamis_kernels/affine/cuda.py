"""Shift and scale in CUDA, several values a thread: bound by the bytes read and written. No product is fused, see `device`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import launch, launch_blocks, mapped, to_device, xp

if TYPE_CHECKING:
    from tamis_kernels.types import Float32s, Floats, Uint8s

THREADS = 256
ITEMS = 8  # values a thread, THREADS apart, so that neighbours read neighbours
i64 = np.int64


def transform(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with (value - centre) / scale; centres and scales repeat along the flat values."""
    _apply(divide, values, centres, scales, out)


def inverse(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with value * scale + centre; centres and scales repeat along the flat values."""
    _apply(multiply, values, centres, scales, out)


def lookup(pixels: Uint8s, tables: Float32s, out: Float32s) -> None:
    """Fill out with what the table of each column says of its bytes."""
    known = to_device(tables)

    def looked_up(part: Any) -> Any:
        found = xp.empty(part.shape, np.float32)
        launch(look_up, found.size, part, known, found)
        return found

    mapped(looked_up, pixels, out)


def _apply(kernel: Any, values: Any, centres: Any, scales: Any, out: Any) -> None:
    parameters = to_device(centres), to_device(scales)

    def moved(part: Any) -> Any:
        found = xp.empty_like(part)
        launch_blocks(kernel, -(-part.size // (ITEMS * THREADS)), THREADS, part, *parameters, found)
        return found

    mapped(moved, values, out, centres.size)


@cuda.jit
def divide(values: Any, centres: Any, scales: Any, out: Any) -> None:
    """Turn each value into (value - centre) / scale."""
    place = i64(cuda.blockIdx.x) * (ITEMS * THREADS) + cuda.threadIdx.x
    slot = place % centres.size  # once a thread: a remainder costs more than the arithmetic
    for _ in range(ITEMS):
        if place < values.size:
            out[place] = (values[place] - centres[slot]) / scales[slot]
        place, slot = place + THREADS, following(slot, centres.size)


@cuda.jit
def multiply(values: Any, centres: Any, scales: Any, out: Any) -> None:
    """Turn each value into value * scale + centre."""
    place = i64(cuda.blockIdx.x) * (ITEMS * THREADS) + cuda.threadIdx.x
    slot = place % centres.size
    for _ in range(ITEMS):
        if place < values.size:
            out[place] = values[place] * scales[slot] + centres[slot]
        place, slot = place + THREADS, following(slot, centres.size)


@cuda.jit(device=True)
def following(slot: int, size: int) -> int:
    """Return the parameter of the value THREADS further on; there are more than THREADS of them."""
    return slot + THREADS - (size if slot + THREADS >= size else 0)


@cuda.jit
def look_up(pixels: Uint8s, tables: Float32s, out: Float32s) -> None:
    """Look up a byte a thread."""
    item = cuda.grid(1)
    if item < out.size:
        row, channel = item // out.shape[1], item % out.shape[1]
        out[row, channel] = tables[channel, pixels[row, channel]]
