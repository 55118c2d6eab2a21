"""Windows to words in CUDA, a window a thread, by the functions of the CPU: its sums run from left to right, as the definition wants them.

The windows of a block pass shared memory, tile by tile. What fits one tile is read from global memory once for all three passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64

from tamis_kernels.cuda_tiles import bring
from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.symbols.cpu import EMPTY, NO_PART, UNSEEN, add_part, add_squares, edges, scale_of, survey, symbol_of

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s

THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 32  # samples of a window at a time: with more, few blocks have room
PITCH = HELD + 1
TILE = THREADS * PITCH
i32 = np.int32


def words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    known = to_device(breakpoints)

    def work(first: int, last: int, samples: Any) -> tuple[Any]:
        found = xp.full((last - first, out.shape[1]), EMPTY, np.uint8)  # as those of no sample
        bounds = to_device(offsets[first : last + 1] - offsets[first])
        launch_blocks(write_words, -(-(last - first) // THREADS), THREADS, samples, bounds, known, margin, found)
        return (found,)

    streamed(
        8 * offsets + (8 + out.shape[1]) * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (out[first:last],),
    )


@cuda.jit
def write_words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Write a word a thread."""
    tile = cuda.shared.array(TILE, float64)
    thread, window, segments = cuda.threadIdx.x, cuda.grid(1), out.shape[1]
    size = offsets[window + 1] - offsets[window] if window < out.shape[0] else 0
    own, begin, seen = PITCH * thread, 0, UNSEEN
    while cuda.syncthreads_or(i32(begin < size)):
        bring(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        seen = survey(tile[own : own + max(0, min(HELD, size - begin))], seen)
        begin += HELD
    held, begin, squares = begin <= HELD, 0, 0.0
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        squares = add_squares(tile[own : own + max(0, min(HELD, size - begin))], seen, squares)
        begin += HELD
    scale, begin, segment, part = scale_of(seen, squares), 0, 0, NO_PART
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        stop = min(begin + HELD, size)
        start, end = edges(segment, segments, size)
        while segment < segments and start < stop:
            part = add_part(tile[own + max(0, start - begin) : own + min(end, stop) - begin], seen, part)
            if end > stop:  # it goes on in the next tile
                break
            out[window, segment] = symbol_of(part, scale, margin, breakpoints)
            segment, part = segment + 1, NO_PART
            start, end = edges(segment, segments, size)
        begin += HELD
