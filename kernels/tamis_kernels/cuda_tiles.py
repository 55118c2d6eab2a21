"""Rows that lie end to end, brought into shared memory in tiles. Only modules named `cuda…` import it.

A thread that reads a row of its own from global memory makes its warp touch 32 places at a time. Here eight threads read eight values that
lie side by side, of one row of theirs after another; then each finds its own row in shared memory, where the rows' places differ by an odd
number of words, so that no two threads want the same bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import cuda

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s

MATES = 8
"""Threads that bring their rows together; a block has a multiple of them."""
STRIDE = 8 * MATES
"""Values that mates bring at a time: eight loads each, from constant places, wait for memory together."""


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
