"""Figures of windows in CUDA, a window a thread, by the functions of the CPU: its sums run in the order of the samples.

The windows of a block pass shared memory, tile by tile. What fits one tile is read from global memory once for both passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.cuda_tiles import bring
from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.windows.cpu import UNFOLLOWED, UNSEEN, follow, survey, tell

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s

i32 = np.int32

WINDOW_BYTES = 88  # of the device that a window takes beside its samples
THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 32  # samples of a window at a time: with more, few blocks have room
PITCH = HELD + 1
TILE = THREADS * PITCH


def describe(values: Floats, offsets: Int64s, run: int, counts: Int64s, figures: Float64s) -> None:
    """Fill counts (finite, NaN, infinite; in runs at the least, the greatest, elsewhere) and figures (least, greatest, mean, deviation)."""

    def work(first: int, last: int, samples: Any) -> tuple[Any, Any]:
        found = xp.zeros((6, last - first), np.int64), xp.full((4, last - first), np.nan)
        bounds = to_device(offsets[first : last + 1] - offsets[first])
        launch_blocks(describe_windows, -(-(last - first) // THREADS), THREADS, samples, bounds, run, *found)
        return found

    streamed(
        values.itemsize * offsets + WINDOW_BYTES * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (counts[:, first:last], figures[:, first:last]),
    )


@cuda.jit
def describe_windows(values: Any, offsets: Int64s, run: int, counts: Int64s, figures: Float64s) -> None:
    """Describe a window a thread."""
    tile = cuda.shared.array(TILE, values.dtype)
    thread, window = cuda.threadIdx.x, cuda.grid(1)
    size = offsets[window + 1] - offsets[window] if window < counts.shape[1] else 0
    own, begin, seen = PITCH * thread, 0, UNSEEN
    while cuda.syncthreads_or(i32(begin < size)):
        bring(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        seen = survey(tile[own : own + max(0, min(HELD, size - begin))], seen)
        begin += HELD
    held, begin, followed = begin <= HELD, 0, UNFOLLOWED
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        followed = follow(tile[own : own + max(0, min(HELD, size - begin))], run, seen, followed)
        begin += HELD
    if window < counts.shape[1]:
        tell(window, size, run, seen, followed, counts, figures)
