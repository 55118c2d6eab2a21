"""Rows spread over threads, for kernels that leave the GIL.

Numba's own `prange` compiles several times as long, wakes its whole gang for the smallest call, and dies when a process forks or two
threads call at once, depending on the threading layer found. A pool of plain threads does none of that. It is kept, for to start two
threads takes as long as hashing twenty photos; callers on several threads share it, so that they do not start threads within threads.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import get_num_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tamis_kernels.types import Int64s, Uint8s

LEAST_WORK = 1 << 16  # units of work, some nanoseconds each, that repay a thread's start
RUNS_PER_THREAD = 4  # so that one slow run does not keep all others waiting


LEAST_COPY = 1 << 21
"""Bytes whose copy repays a thread's start."""
STEP = 1 << 20  # bytes that are copied by one thread in any case


def work_of_copies(sizes: Int64s) -> Int64s:
    """Return, for `for_rows`, the cost of copying the bytes before each row, of which there are so many."""
    return sizes // (LEAST_COPY // LEAST_WORK)


def for_rows(kernel: Callable[..., None], work: Int64s, *arguments: object) -> None:
    """Call `kernel(first, last, *arguments)` for runs of rows of about equal work; at most `numba.get_num_threads()` at a time.

    Parameters
    ----------
    kernel
        Writes the results of rows `first … last - 1`, and of no others.
    work
        int64[rows + 1], rising: what the rows before each one cost, one unit being some nanoseconds.
    arguments
        Handed on.
    """
    rows = work.size - 1
    threads = get_num_threads()
    runs = min(RUNS_PER_THREAD * threads, int(work[-1] - work[0]) // LEAST_WORK) if threads > 1 else 1
    if runs <= 1:
        kernel(0, rows, *arguments)
        return
    inner = np.searchsorted(work, np.linspace(work[0], work[-1], runs + 1)[1:-1])
    bounds = np.unique(np.concatenate(([0], inner, [rows]))).tolist()
    for done in [_pool(threads, os.getpid()).submit(kernel, *pair, *arguments) for pair in pairwise(bounds)]:
        done.result()


def copied(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy an array of the host over another one: by all threads where it is large, since one alone is slower than the link."""
    if target.nbytes < 2 * LEAST_COPY or not (alike(source, target) and source.flags.c_contiguous):
        target[...] = source
        return
    ends = np.minimum(np.arange(0, target.nbytes + STEP, STEP), target.nbytes)
    for_rows(_copy_steps, work_of_copies(ends), target.reshape(-1).view(np.uint8), source.reshape(-1).view(np.uint8))


def alike(source: Any, target: NDArray[Any]) -> bool:
    """Say whether the bytes of one array are what the other one is to have."""
    return bool(source.dtype == target.dtype and source.shape == target.shape and target.flags.c_contiguous)


def _copy_steps(first: int, last: int, target: Uint8s, source: Uint8s) -> None:
    span = slice(first * STEP, last * STEP)
    np.copyto(target[span], source[span])  # without Python's lock


@cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Return this process's threads; a fork has none of those of its parent."""
    return ThreadPoolExecutor(threads, "tamis")
