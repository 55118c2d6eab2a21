"""Windows to words in CUDA, a window a thread: its sums run from left to right, as the definition wants them.

The windows of a block pass shared memory, tile by tile. What fits one tile is read from global memory once for all three passes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64

from tamis_kernels.cuda_tiles import bring_at_once
from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.symbols.cpu import EMPTY, NO_PART, UNSEEN, scale_of

if TYPE_CHECKING:
    from tamis_kernels.symbols.cpu import Part, Seen
    from tamis_kernels.types import Float64s, Int64s, Uint8s

THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 64  # samples of a window at a time
PITCH = HELD + 1
TILE = THREADS * PITCH
STEP = 4  # samples that are looked at together
FEW, MANY = 7, 15  # limits of the smaller and of the larger alphabet, which are arguments: instructions read these beside the code
f64, i32, i64, u64 = np.float64, np.int32, np.int64, np.uint64


def words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    limits = tuple(breakpoints.tolist()) + (math.nan,) * (MANY - breakpoints.size)  # with which no level is compared

    def work(first: int, last: int, samples: Any) -> tuple[Any]:
        found = xp.full((last - first, out.shape[1]), EMPTY, np.uint8)  # as those of no sample
        bounds = to_device(offsets[first : last + 1] - offsets[first])
        launch_blocks(write_words, -(-(last - first) // THREADS), THREADS, samples, bounds, limits, margin, found)
        return (found,)

    streamed(
        8 * offsets + (8 + out.shape[1]) * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (out[first:last],),
    )


@cuda.jit
def write_words(values: Float64s, offsets: Int64s, limits: Any, margin: float, out: Uint8s) -> None:
    """Write a word a thread."""
    tile = cuda.shared.array(TILE, float64)
    thread, window, segments = i32(cuda.threadIdx.x), cuda.grid(1), out.shape[1]
    size = offsets[window + 1] - offsets[window] if window < out.shape[0] else 0
    own, begin, seen = u64(PITCH * thread), 0, UNSEEN
    while cuda.syncthreads_or(i32(begin < size)):
        bring_at_once(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        seen = survey(tile, own, i32(max(0, min(HELD, size - begin))), seen)
        begin += HELD
    held, begin, squares, mean = begin <= HELD, 0, 0.0, seen[3] / max(seen[2], 1)
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring_at_once(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        squares = add_squares(tile, own, i32(max(0, min(HELD, size - begin))), seen[0], mean, squares)
        begin += HELD
    scale, begin, segment, part = scale_of(seen, squares), 0, 0, NO_PART
    word = out[min(window, out.shape[0] - 1)]
    least, more = size // segments, size % segments  # samples of a segment, and how many segments have one more
    start, beyond = 0, 0  # of a segment: its first sample, which is a quotient, and what the division leaves
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring_at_once(values, offsets, window, begin, tile, thread, PITCH, HELD)
        cuda.syncthreads()
        here, stop = i32(max(start - begin, 0)), i32(min(HELD, size - begin))  # in the tile
        while segment < segments and here < stop:
            following, beyond_next = start + least, beyond + more
            if beyond_next >= segments:
                following, beyond_next = following + 1, beyond_next - segments
            end = following if least > 0 else start + 1  # a segment has one sample at least
            part = add_part(tile, u64(own + u64(here)), i32(min(i64(stop), end - begin) - here), seen[0], part)
            if end > begin + stop:  # it goes on in the next tile
                break
            word[u64(segment)] = symbol_of(part, scale, margin, limits)
            segment, part, start, beyond = segment + 1, NO_PART, following, beyond_next
            here = i32(min(i64(HELD), start - begin))
        begin += HELD


@cuda.jit(device=True)
def symbol_of(part: Part, scale: tuple[float, float], margin: float, limits: Any) -> int:
    """Return the symbol of a segment."""
    count, total = part
    mean, std = scale
    level = margin if std == 0.0 else ((total / max(count, 1) - mean) / std) + margin
    symbol = i32(0)
    for i in range(FEW):  # they ascend
        symbol = i32(i + 1) if limits[i] <= level else symbol
    if limits[FEW] == limits[FEW]:
        for i in range(FEW, MANY):
            symbol = i32(i + 1) if limits[i] <= level else symbol
    return int(symbol) if count else EMPTY


@cuda.jit(device=True)
def survey(tile: Any, place: np.uint64, left: np.int32, seen: Seen) -> Any:
    """Count and add up some more samples of a window, relative to its first finite one."""
    base, largest, count, total = seen
    while left >= STEP:
        one, two = tile[place], tile[u64(place + u64(1))]
        three, four = tile[u64(place + u64(2))], tile[u64(place + u64(3))]
        if (abs(one) < math.inf) & (abs(two) < math.inf) & (abs(three) < math.inf) & (abs(four) < math.inf):
            base = one if count == 0 else base
            largest = greater(abs(four), greater(abs(three), greater(abs(two), greater(abs(one), largest))))
            total = total + (one - base) + (two - base) + (three - base) + (four - base)
            count += STEP
        else:
            for i in range(STEP):
                base, largest, count, total = with_sample(tile[u64(place + u64(i))], base, largest, count, total)
        place, left = u64(place + u64(STEP)), i32(left - STEP)
    while left > 0:
        base, largest, count, total = with_sample(tile[place], base, largest, count, total)
        place, left = u64(place + u64(1)), i32(left - 1)
    return base, largest, count, total


@cuda.jit(device=True)
def greater(sample: float, largest: float) -> float:
    """Return the greater of two numbers; `max` has more instructions, for the sake of NaN."""
    return sample if sample > largest else largest


@cuda.jit(device=True)
def with_sample(sample: float, base: float, largest: float, count: int, total: float) -> Any:
    """Return what is known of a window with one more sample."""
    if abs(sample) < math.inf:
        base = sample if count == 0 else base
        return base, greater(abs(sample), largest), count + 1, total + (sample - base)
    return base, largest, count, total


@cuda.jit(device=True)
def add_squares(tile: Any, place: np.uint64, left: np.int32, base: float, mean: float, squares: float) -> float:
    """Add the squares of the deviations of some more samples of a surveyed window."""
    while left >= STEP:
        for i in range(STEP):
            squares = with_square(tile[u64(place + u64(i))], base, mean, squares)
        place, left = u64(place + u64(STEP)), i32(left - STEP)
    while left > 0:
        squares = with_square(tile[place], base, mean, squares)
        place, left = u64(place + u64(1)), i32(left - 1)
    return squares


@cuda.jit(device=True)
def with_square(sample: float, base: float, mean: float, squares: float) -> float:
    """Return the sum of squares with that of one more sample."""
    deviation = (sample - base) - mean
    return squares + deviation * deviation if abs(sample) < math.inf else squares


@cuda.jit(device=True)
def add_part(tile: Any, place: np.uint64, left: np.int32, base: float, part: Part) -> Any:
    """Count and add up some more samples of a segment."""
    count, total = part
    while left >= STEP:
        for i in range(STEP):
            count, total = with_relative(tile[u64(place + u64(i))], base, count, total)
        place, left = u64(place + u64(STEP)), i32(left - STEP)
    while left > 0:
        count, total = with_relative(tile[place], base, count, total)
        place, left = u64(place + u64(1)), i32(left - 1)
    return count, total


@cuda.jit(device=True)
def with_relative(sample: float, base: float, count: int, total: float) -> Any:
    """Return how many samples of a segment are finite, and their sum, with one more sample."""
    return (count + 1, total + (sample - base)) if abs(sample) < math.inf else (count, total)
