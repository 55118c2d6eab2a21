"""Rows that lie end to end, brought into shared memory in tiles. Only modules named `cuda…` import it.

A thread that reads a row of its own from global memory makes its warp touch 32 places at a time. Here eight threads read eight values that
lie side by side, of one row of theirs after another; then each finds its own row in shared memory, where the rows' places differ by an odd
number of words, so that no two threads want the same bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s

MATES = 8
"""Threads that bring their rows together, a power of two; a block has a multiple of them."""
STRIDE = 8 * MATES
"""Values that mates bring at a time: eight loads each, from constant places, wait for memory together."""
i32, u64 = np.int32, np.uint64


@cuda.jit(device=True)
def bring(values: Any, offsets: Int64s, row: int, begin: int, tile: Any, thread: int, pitch: int, most: int) -> None:
    """Copy up to `most` values, from the given one on, of a thread's and its mates' rows to `pitch * thread` and theirs.

    `row` is the thread's own. Rows beyond the last are left out. A barrier must stand before it, and another one behind.
    """
    mate = thread % MATES
    for other in range(MATES):
        fetched = row - mate + other
        if fetched < offsets.size - 1:
            start = offsets[fetched] + begin
            size = min(most, offsets[fetched + 1] - start) - mate
            source, place = start + mate, pitch * (thread - mate + other) + mate
            for part in range(0, most, STRIDE):
                if part < size:
                    for i in range(part, part + STRIDE, MATES):
                        if i < size:
                            tile[place + i] = values[source + i]


@cuda.jit(device=True)
def bring_at_once(
    values: Any, offsets: Int64s, first: np.int32, begin: int, tile: Any, thread: np.int32, share: int, pitch: int, most: int
) -> None:
    """Do the same for no more than STRIDE values of each row of a block, of which `first` is the first and `share` threads have one each.

    Nothing is stored before all of a long row is asked for. A load has a condition of its own where a row may have ended, and a thread
    holds seven: of more the assembler would wait for some first.
    """
    mate, last = i32(thread & (MATES - 1)), i32(offsets.size - 1)
    begun = i32(i32(thread - mate) // share)
    end = offsets[u64(min(i32(first + begun), last))]
    for row in range(begun, begun + MATES // share):
        start = end + begin
        end = offsets[u64(min(i32(first + row + 1), last))]
        left = i32(i32(min(most, end - start)) - mate)
        source, place = u64(start + mate), u64(pitch * row + mate)
        if left > 4 * MATES:
            fourth, rest = u64(source + u64(4 * MATES)), i32(left - 4 * MATES)
            some = (
                values[source], values[u64(source + u64(MATES))], values[u64(source + u64(2 * MATES))],
                values[u64(source + u64(3 * MATES))], values[fourth], value_behind(values, fourth, rest, 1),
                value_behind(values, fourth, rest, 2), value_behind(values, fourth, rest, 3),
            )  # fmt: skip
            for step in range(8):
                if step < 5 or i32(MATES * (step - 4)) < rest:
                    tile[u64(place + u64(MATES * step))] = some[step]
        elif left > 0:
            few = (
                values[source], value_behind(values, source, left, 1), value_behind(values, source, left, 2),
                value_behind(values, source, left, 3),
            )  # fmt: skip
            for step in range(4):
                if i32(MATES * step) < left:
                    tile[u64(place + u64(MATES * step))] = few[step]


@cuda.jit(device=True)
def value_behind(values: Any, place: np.uint64, left: np.int32, step: int) -> Any:
    """Return the value that a thread brings after some others of a row, or zero if no value is left for it."""
    return values[u64(place + u64(MATES * step))] if i32(MATES * step) < left else values.dtype.type(0)
