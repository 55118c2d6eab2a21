"""Histograms in CUDA: a block counts in shared memory as long as the table fits it, then adds its table to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.device import launch_blocks, streamed, to_device, to_host, uniform
from tamis_kernels.histogram.cpu import bin_of

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s, Uint8s, Uint32s

THREADS = 256
BLOCKS = 1024
MOST_HELD = 8192  # counters of 4 bytes
i32, i64, u32 = np.int32, np.int64, np.uint32


def count(values: Floats, edges: Float64s, counts: Int64s) -> None:
    """Add to counts: below the edges, in each bin, above, NaN."""
    _add(count_values, counts, values, to_device(edges))


def count_bytes(pixels: Uint8s, counts: Int64s) -> None:
    """Add the bytes of each column to its row of counts."""
    flat = counts.reshape(-1)
    _add(count_pixels, flat, pixels.reshape(-1), pixels.shape[1])


def _add(kernel: Any, counts: Int64s, values: Any, edges: Any) -> None:
    total = to_device(counts)
    held = counts.size if counts.size <= MOST_HELD else 0

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        launch_blocks(kernel, min(BLOCKS, -(-part.size // THREADS)), THREADS, part, edges, held, total, shared=4 * held)
        return ()

    rows = edges if isinstance(edges, int) else 1  # channels of pixels, which count apart
    streamed(uniform(values.size // rows, values.itemsize * rows), lambda a, b: (values[a * rows : b * rows],), add)
    to_host(total, counts)


@cuda.jit
def count_values(values: Any, edges: Float64s, held: int, counts: Int64s) -> None:
    """Count the values that the threads of a block meet on their way through all of them."""
    table = cuda.shared.array(0, uint32)
    clear(table, held)
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        value, place, left = np.float64(values[i]), i32(0), i32(edges.size)
        while left > 1:
            half = i32(left >> 1)
            place = i32(place + half) if edges[i32(place + half) - 1] <= value else place
            left = i32(left - half)
        place = i32(place + (edges[place] <= value))
        tally(table, held, counts, bin_of(value, int(place), edges.size, edges[edges.size - 1]))
    hand_over(table, held, counts)


@cuda.jit
def count_pixels(pixels: Uint8s, channels: int, held: int, counts: Int64s) -> None:
    """Count bytes likewise, each in the table of its channel."""
    table = cuda.shared.array(0, uint32)
    clear(table, held)
    for i in range(cuda.grid(1), pixels.size, cuda.gridsize(1)):
        tally(table, held, counts, i % channels * 256 + i64(pixels[i]))
    hand_over(table, held, counts)


@cuda.jit(device=True)
def clear(table: Uint32s, held: int) -> None:
    """Empty a block's table."""
    for i in range(cuda.threadIdx.x, held, THREADS):
        table[i] = 0
    cuda.syncthreads()


@cuda.jit(device=True)
def tally(table: Uint32s, held: int, counts: Int64s, place: int) -> None:
    """Count one more, in the block's table if there is one."""
    if held:
        cuda.atomic.add(table, place, u32(1))
    else:
        cuda.atomic.add(counts, place, 1)


@cuda.jit(device=True)
def hand_over(table: Uint32s, held: int, counts: Int64s) -> None:
    """Add a block's table to the whole."""
    cuda.syncthreads()
    for i in range(cuda.threadIdx.x, held, THREADS):
        if table[i]:
            cuda.atomic.add(counts, i, i64(table[i]))
