"""Figures of windows in CUDA, a window a thread: its sums run in the order of the samples.

The windows of a block pass shared memory, tile by tile. What fits one tile is read from global memory once for both passes. Samples are
looked at four at a time, and one by one only where one of them is not finite or may be in a run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.cuda_compiled import block_of
from tamis_kernels.cuda_tiles import bring_at_once
from tamis_kernels.device import launch_blocks, lesser, streamed, to_device, xp
from tamis_kernels.windows.cpu import UNFOLLOWED, UNSEEN, tell

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Floats, Int64s
    from tamis_kernels.windows.cpu import Followed, Seen

f64, i32, u64 = np.float64, np.int32, np.uint64

WINDOW_BYTES = 88  # of the device that a window takes beside its samples
THREADS = 32  # of a block: a warp, which waits for none but itself
HELD = 64  # samples of a window at a time
PITCH = HELD + 1
TILE = THREADS * PITCH
STEP = 4  # samples that are looked at together


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


@block_of(THREADS)
def describe_windows(values: Any, offsets: Int64s, run: int, counts: Int64s, figures: Float64s) -> None:
    """Describe a window a thread."""
    tile = cuda.shared.array(TILE, values.dtype)
    thread, window = i32(cuda.threadIdx.x), cuda.grid(1)
    size = offsets[window + 1] - offsets[window] if window < counts.shape[1] else 0
    own, begin, seen = u64(PITCH * thread), 0, UNSEEN
    while cuda.syncthreads_or(i32(begin < size)):
        bring_at_once(values, offsets, i32(window - thread), begin, tile, thread, 1, PITCH, HELD)
        cuda.syncthreads()
        seen = survey(tile, own, i32(max(0, min(HELD, size - begin))), seen)
        begin += HELD
    held, begin, followed = begin <= HELD, 0, UNFOLLOWED
    while cuda.syncthreads_or(i32(begin < size)):
        if not held:
            bring_at_once(values, offsets, i32(window - thread), begin, tile, thread, 1, PITCH, HELD)
        cuda.syncthreads()
        followed = follow(tile, own, i32(max(0, min(HELD, size - begin))), run, seen, followed)
        begin += HELD
    if window < counts.shape[1]:
        tell(window, size, run, seen, followed, counts, figures)


@cuda.jit(device=True)
def survey(tile: Any, place: np.uint64, count: np.int32, seen: Seen) -> Any:
    """Count and add up some more samples of a window."""
    finite, nan, total, least, greatest = seen
    ordinary, left, here = i32(0), count, place
    while left >= STEP:
        one, two = f64(tile[here]), f64(tile[u64(here + u64(1))])
        three, four = f64(tile[u64(here + u64(2))]), f64(tile[u64(here + u64(3))])
        if (abs(one) < math.inf) & (abs(two) < math.inf) & (abs(three) < math.inf) & (abs(four) < math.inf):
            ordinary = i32(ordinary + STEP)
            total = total + one + two + three + four
            least = lesser(lesser(lesser(lesser(least, one), two), three), four)
            greatest = -lesser(lesser(lesser(lesser(-greatest, -one), -two), -three), -four)
        else:
            for i in range(STEP):
                ordinary, total, least, greatest = with_sample(f64(tile[u64(here + u64(i))]), ordinary, total, least, greatest)
        here, left = u64(here + u64(STEP)), i32(left - STEP)
    while left > 0:
        ordinary, total, least, greatest = with_sample(f64(tile[here]), ordinary, total, least, greatest)
        here, left = u64(here + u64(1)), i32(left - 1)
    if ordinary < count:
        for i in range(count):
            nan += int(tile[u64(place + u64(i))] != tile[u64(place + u64(i))])
    return finite + ordinary, nan, total, least, greatest


@cuda.jit(device=True)
def with_sample(sample: float, ordinary: np.int32, total: float, least: float, greatest: float) -> Any:
    """Return how many samples are finite, their sum, the least and the greatest with one more sample."""
    if abs(sample) < math.inf:
        return i32(ordinary + 1), total + sample, lesser(least, sample), -lesser(-greatest, -sample)
    return ordinary, total, least, greatest


@cuda.jit(device=True)
def follow(tile: Any, place: np.uint64, count: np.int32, run: int, seen: Seen, followed: Followed) -> Any:
    """Add up the squares of some more samples of a surveyed window, and follow its runs.

    Where no sample is like the one before it, which is so of most, no run needs to be followed.
    """
    mean = seen[2] / max(seen[0], 1)
    squares, length, before, at_least, at_greatest, elsewhere = followed
    runs = length, before, at_least, at_greatest, elsewhere
    left = count
    while left >= STEP:
        one, two = f64(tile[place]), f64(tile[u64(place + u64(1))])
        three, four = f64(tile[u64(place + u64(2))]), f64(tile[u64(place + u64(3))])
        squares = with_square(four, mean, with_square(three, mean, with_square(two, mean, with_square(one, mean, squares))))
        if (one != runs[1]) & (two != one) & (three != two) & (four != three) & (runs[0] < run):
            runs = int(abs(four) < math.inf), four, runs[2], runs[3], runs[4]
        else:
            for i in range(STEP):
                runs = run_on(f64(tile[u64(place + u64(i))]), run, seen, runs)
        place, left = u64(place + u64(STEP)), i32(left - STEP)
    while left > 0:
        squares = with_square(f64(tile[place]), mean, squares)
        runs = run_on(f64(tile[place]), run, seen, runs)
        place, left = u64(place + u64(1)), i32(left - 1)
    return squares, runs[0], runs[1], runs[2], runs[3], runs[4]


@cuda.jit(device=True)
def with_square(sample: float, mean: float, squares: float) -> float:
    """Return the sum of squares with that of one more sample."""
    deviation = sample - mean
    return squares + deviation * deviation if abs(sample) < math.inf else squares


@cuda.jit(device=True)
def run_on(sample: float, run: int, seen: Seen, runs: Any) -> Any:
    """Return the run in hand and those that have ended, after one more sample."""
    length, before, at_least, at_greatest, elsewhere = runs
    if sample != before:
        if length >= run:
            at_least += length if before == seen[3] else 0
            at_greatest += length if before == seen[4] and before != seen[3] else 0
            elsewhere += length if before != seen[3] and before != seen[4] else 0
        length = 0
    return length + int(abs(sample) < math.inf), sample, at_least, at_greatest, elsewhere
