"""Windows to words in CUDA, two threads a window: one adds it up from left to right, as the definition wants it, then each has half a word.

The windows of a block pass shared memory, tile by tile. What fits one tile is read from global memory once for all three passes. Shared
memory holds so few windows that a thread for each would be too few to wait for results of each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, float64

from tamis_kernels.cuda_compiled import block_of
from tamis_kernels.cuda_tiles import bring_at_once
from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.errors import ArgumentError
from tamis_kernels.symbols.cpu import EMPTY, scale_of

if TYPE_CHECKING:
    from tamis_kernels.symbols.cpu import Part
    from tamis_kernels.types import Float64s, Int64s, Uint8s

i32, i64, u64 = np.int32, np.int64, np.uint64

WINDOWS, SHARE = 32, 2  # of a block, and threads of each
THREADS = WINDOWS * SHARE
HELD = 64  # samples of a window at a time
PITCH = HELD + 1
TILE = WINDOWS * PITCH
STEP = 4  # samples that are looked at together
MOST = 1 << 30  # samples of a window, and symbols of a word, which are counted in 32 bits
FEW, MANY = 7, 15  # limits of the smaller and of the larger alphabet, which are arguments: instructions read these beside the code
UNSEEN: Any = math.nan, 0.0, i32(0), 0.0  # as on the CPU, with counts of 32 bits
NO_PART: Any = i32(0), 0.0


def words(values: Float64s, offsets: Int64s, breakpoints: Float64s, margin: float, out: Uint8s) -> None:
    """Fill out, shape (n_windows, n_segments), with the symbols of the windows values[offsets[i]:offsets[i + 1]]."""
    if max(out.shape[1], int(np.diff(offsets).max(initial=0))) > MOST:
        message = f"on CUDA a window has at most {MOST} samples, and as many segments; use backend='cpu' for longer ones"
        raise ArgumentError(message)
    limits = tuple(breakpoints.tolist()) + (math.nan,) * (MANY - breakpoints.size)  # with which no level is compared

    def work(first: int, last: int, samples: Any) -> tuple[Any]:
        found = xp.full((last - first, out.shape[1]), EMPTY, np.uint8)  # as those of no sample
        bounds = to_device(offsets[first : last + 1] - offsets[first])
        launch_blocks(
            write_words, -(-(last - first) // WINDOWS), THREADS, samples, bounds, i32(out.shape[1]), limits, margin, found.reshape(-1)
        )
        return (found,)

    streamed(
        8 * offsets + (8 + out.shape[1]) * np.arange(offsets.size),
        lambda first, last: (values[offsets[first] : offsets[last]],),
        work,
        lambda first, last: (out[first:last],),
    )


@block_of(THREADS)
def write_words(values: Float64s, offsets: Int64s, segments: np.int32, limits: Any, margin: float, out: Uint8s) -> None:
    """Write a word by two threads."""
    tile = cuda.shared.array(TILE, float64)
    told = cuda.shared.array((3, WINDOWS), float64)
    thread, first = i32(cuda.threadIdx.x), i32(cuda.blockIdx.x * WINDOWS)
    own, half = i32(thread % WINDOWS), i32(thread // WINDOWS)
    window, samples = i32(first + own), u64(PITCH * own)
    size = i32(offsets[u64(window + 1)] - offsets[u64(window)]) if window < offsets.size - 1 else i32(0)
    begin, seen = i32(0), UNSEEN
    while cuda.syncthreads_or(i32(begin < size)):
        bring_at_once(values, offsets, first, begin, tile, thread, SHARE, PITCH, HELD)
        cuda.syncthreads()
        if half == 0:
            seen = survey(tile, samples, min(i32(HELD), i32(size - begin)), seen)
        begin = i32(begin + HELD)
    held, begin, squares, mean = begin <= HELD, i32(0), 0.0, seen[3] / max(seen[2], 1)
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring_at_once(values, offsets, first, begin, tile, thread, SHARE, PITCH, HELD)
            cuda.syncthreads()
        if half == 0:
            squares = add_squares(tile, samples, min(i32(HELD), i32(size - begin)), seen[0], mean, squares)
        begin = i32(begin + HELD)
    if half == 0:
        told[0, own], (told[1, own], told[2, own]) = seen[0], scale_of(seen, squares)
    cuda.syncthreads()
    base, scale = told[0, own], (told[1, own], told[2, own])
    segment, last = i32(half * (segments >> 1)), i32(segments if half else segments >> 1)
    place, begin, part = u64(i64(window) * segments + segment), i32(0), NO_PART
    least, more = i32(size // segments), i32(size % segments)  # samples of a segment, and how many segments have one more
    longer = i64(segment) * more  # where the first segment begins is a quotient, as of each: `beyond` is what its division leaves
    start, beyond = i32(segment * least + longer // segments), i32(longer % segments)
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring_at_once(values, offsets, first, begin, tile, thread, SHARE, PITCH, HELD)
            cuda.syncthreads()
        stop = min(i32(HELD), i32(size - begin))
        while segment < last and start < stop:
            here, beyond_next = max(start, i32(0)), i32(beyond + more)
            carry = i32(beyond_next >= segments)
            beyond_next = i32(beyond_next - segments) if carry else beyond_next
            end = i32(start + max(i32(least + carry), i32(1)))  # a segment has one sample at least
            part = add_part(tile, u64(samples + u64(here)), i32(min(stop, end) - here), base, part)
            if end > stop:  # it goes on in the next tile
                break
            out[place] = symbol_of(part, scale, margin, limits)
            segment, part, start, beyond = i32(segment + 1), NO_PART, i32(i32(start + least) + carry), beyond_next
            place = u64(place + u64(1))
        begin, start = i32(begin + HELD), i32(start - HELD)


@cuda.jit(device=True)
def symbol_of(part: Any, scale: tuple[float, float], margin: float, limits: Any) -> int:
    """Return the symbol of a segment."""
    count, total = part
    mean, std = scale
    level = margin if std == 0.0 else ((total / max(count, i32(1)) - mean) / std) + margin
    symbol = i32(0)
    for i in range(FEW):  # they ascend
        symbol = i32(i + 1) if limits[i] <= level else symbol
    if limits[FEW] == limits[FEW]:
        for i in range(FEW, MANY):
            symbol = i32(i + 1) if limits[i] <= level else symbol
    return int(symbol) if count else EMPTY


@cuda.jit(device=True)
def survey(tile: Any, place: np.uint64, left: np.int32, seen: Any) -> Any:
    """Count and add up some more samples of a window, relative to its first finite one."""
    base, largest, count, total = seen
    while left >= STEP:
        one, two = tile[place], tile[u64(place + u64(1))]
        three, four = tile[u64(place + u64(2))], tile[u64(place + u64(3))]
        if (abs(one) < math.inf) & (abs(two) < math.inf) & (abs(three) < math.inf) & (abs(four) < math.inf):
            base = one if count == 0 else base
            largest = greater(abs(four), greater(abs(three), greater(abs(two), greater(abs(one), largest))))
            total = total + (one - base) + (two - base) + (three - base) + (four - base)
            count = i32(count + STEP)
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
        return base, greater(abs(sample), largest), i32(count + 1), total + (sample - base)
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
    return (i32(count + 1), total + (sample - base)) if abs(sample) < math.inf else (count, total)
