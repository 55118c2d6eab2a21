"""A long file walked by a block of threads together.

A thread passes some ten megabytes of symbols a second, for each step waits for the one before: a photo of 5 MB takes it half a second. But
Huffman codes fall into step by themselves (Klein and Wiseman 2003; on GPUs Weissenberger and Schmidt 2018, 2021). So an interval is cut
into pieces, and each thread passes one from its first bit on, as if a block of the MCU's first kind began there. Where it comes out, the
next one should have gone in; who did not passes its piece again from there, until all did. The first thread knows where it begins, so that
then all are right, be it after as many rounds as there are pieces; of photos two to four do, with pieces of 512 bytes. Then the blocks of
the pieces are added up, and each thread passes its piece once more, to write down where the blocks begin.

Only what is beyond doubt is entered: pieces up to the first with a fault, and short of the interval's last block. There one thread goes on
alone as ever, so that all faults are noticed where and as they always are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int16, int64

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import conclude, difference, grey_of, leave, passed
from tamis_kernels.jpeg.cuda_lane import (
    MARK_BIT,
    TABLES,
    TO_JUDGE,
    TOGETHER,
    bring_tables,
    lane_of,
    mark_of,
    pass_alone,
    pass_symbols,
    spans_of,
    tables_of,
)
from tamis_kernels.jpeg.cuda_unstuff import add_up, load_together
from tamis_kernels.jpeg.header import ACROSS, DOWN, HIGH, ORIGIN, WIDE
from tamis_kernels.jpeg.lane import (
    AT,
    BIT,
    BLOCK,
    COLUMNS,
    END_BIT,
    FILE,
    FIRST,
    PARTS,
    QUANTISER,
    SLOT,
    SLOTS,
    STOP,
    TOTAL,
    Batch,
    K,
    Lane,
    finish,
    signed,
)
from tamis_kernels.jpeg.tables import MOST_BITS

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint32s

MATES = 256  # threads that walk a file together
PIECE = 8 * 512  # bits that each of them takes at a time
NO_STOP = 1 << 62
FAULTY = 1 << 40  # more than a file's blocks
i32 = np.int32


@cuda.jit
def walk_together(batch: Batch, files: Int64s, piece: int) -> None:
    """Walk the open scan of a file a block, up to its end or to the test for a seam, by pieces of so many bits."""
    shared = cuda.shared.array(TABLES, int16)
    marks = cuda.shared.array(MATES, int64)
    sums = cuda.shared.array(MATES, int64)
    i, thread = files[cuda.blockIdx.x], np.int64(cuda.threadIdx.x)
    if batch.lanes.state[i, FILE] != TOGETHER:
        return
    lane, facts = lane_of(batch, i, shared), batch.facts[i]
    file, picture = spans_of(batch, i)
    bring_tables(tables_of(lane), batch.lanes.frame.lookup[i], shared, thread, MATES)
    words, begin, state = batch.lanes.bytes.view(np.uint32), batch.byte_at[i] // 4, lane.state
    slots = period_of(lane)
    while True:
        load_together(batch, i, lane, sums)
        pass_together(lane, words, begin, slots, piece, marks, sums)
        cuda.syncthreads()
        fault = signed(the.NONE)
        if thread == 0:
            fault = pass_alone(lane, words, begin)
            fault = fault if fault else signed(finish(lane))
        cuda.syncthreads()
        good = level_together(lane, sums)
        draw_together(lane, picture, good)
        cuda.syncthreads()
        if thread == 0:
            if conclude(file, lane, facts, fault, good):
                state[FILE] = TO_JUDGE
            else:
                leave(file, lane, facts)
        cuda.syncthreads()
        if state[FILE] == TO_JUDGE or state[AT] == state[TOTAL]:
            return


@cuda.jit(device=True)
def period_of(lane: Lane) -> Any:
    """Return after how many blocks of an MCU the tables come again: a thread falls into step with tables, not with blocks."""
    slots, bases = lane.state[SLOTS], lane.bases
    for period in range(1, slots):
        same = slots % period == 0
        for place in range(2 * (slots - period)):
            same = same and bases[place] == bases[place + 2 * period]
        if same:
            return np.int64(period)
    return slots


@cuda.jit(device=True)
def pass_together(lane: Lane, words: Uint32s, begin: int, slots: int, piece: int, marks: Int64s, sums: Int64s) -> None:
    """Pass symbols of an interval as far as all is well and more than a piece is left. Barriers must stand before it and behind."""
    thread, state = np.int64(cuda.threadIdx.x), lane.state
    more = True
    while more:
        bit, block, stop, last = state[BIT], state[BLOCK], state[STOP], state[END_BIT] - MOST_BITS
        if last - bit < piece:
            return
        pieces = min((last - bit) // piece + 1, sums.size)
        mark = mark_of(bit, state[SLOT] % slots, state[K]) if thread == 0 else mark_of(bit + thread * piece, 0, 0)
        end, count, fault = min(bit + (thread + 1) * piece, last + 1), np.int64(0), np.int64(the.NONE)
        again = thread < pieces
        while cuda.syncthreads_or(i32(again)):
            if again:
                marks[thread], count, fault = pass_symbols(lane, words, begin, mark, end, 0, NO_STOP, slots, False)
            cuda.syncthreads()
            right = marks[thread - 1] if 0 < thread < pieces else mark
            again, mark = right != mark, right
        add_up(sums, count + (FAULTY if fault else 0))
        if thread < pieces and block + sums[thread] < stop:
            mark = pass_symbols(lane, words, begin, mark, end, block + sums[thread] - count, stop, slots, True)[0]
            if thread + 1 == pieces or block + sums[thread + 1] >= stop:
                state[BIT], state[K], state[BLOCK] = mark >> MARK_BIT, mark & 63, block + sums[thread]
                state[SLOT] = (block + sums[thread] - state[FIRST]) % state[SLOTS]
        more = block + sums[pieces - 1] < stop
        cuda.syncthreads()


@cuda.jit(device=True)
def level_together(lane: Lane, sums: Int64s) -> Any:
    """Find the DC term of each block as the CPU does; return how many MCUs come before the first term that cannot be, to all threads."""
    thread, state, order = np.int64(cuda.threadIdx.x), lane.state, lane.order
    mcus, slots, first = passed(state), state[SLOTS], state[FIRST]
    good: Any = mcus
    for part in range(4):
        before = np.int64(0)
        for turn in range(0, mcus if has_part(lane, part) else 0, sums.size):
            mcu, total = turn + thread, np.int64(0)
            for slot in range(slots if mcu < mcus else 0):
                if order[slot, 0] == part:
                    block = first + mcu * slots + slot
                    value = difference(lane, block, slot)
                    lane.levels[block] = value
                    total += value
            add_up(sums, total)
            term = before + sums[thread] - total
            for slot in range(slots if mcu < mcus else 0):
                if order[slot, 0] == part:
                    block, quantiser = first + mcu * slots + slot, order[slot, QUANTISER]
                    term += lane.levels[block]
                    if abs(term * quantiser) > 1024 + quantiser:
                        good = min(good, mcu)
                    else:
                        lane.levels[block] = term * quantiser
            before += sums[sums.size - 1]
            cuda.syncthreads()
    return least_of(sums, good)


@cuda.jit(device=True)
def least_of(sums: Int64s, value: int) -> Any:
    """Return the least value of all threads to each; nobody may look at the sums before, or change them behind it, without a barrier."""
    sums[np.int64(cuda.threadIdx.x)] = value
    cuda.syncthreads()
    least = value
    for other in range(sums.size):
        least = min(least, sums[other])
    return least


@cuda.jit(device=True)
def has_part(lane: Lane, part: int) -> bool:
    """Return whether a component is in the scan."""
    found = False
    for slot in range(lane.state[SLOTS]):
        found = found or lane.order[slot, 0] == part
    return found


@cuda.jit(device=True)
def draw_together(lane: Lane, planes: Uint8s, mcus: int) -> None:
    """Draw the DC terms of the interval's first MCUs, as the CPU does."""
    state = lane.state
    for mcu in range(np.int64(cuda.threadIdx.x), mcus, np.int64(cuda.blockDim.x)):
        row, column = (state[AT] + mcu) // state[COLUMNS], (state[AT] + mcu) % state[COLUMNS]
        for slot in range(state[SLOTS]):
            part = lane.frame.components[lane.order[slot, 0]]
            across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
            y, x = row * down + lane.order[slot, 1], column * across + lane.order[slot, 2]
            if y < part[HIGH] and x < part[WIDE]:
                planes[part[ORIGIN] + y * part[WIDE] + x] = grey_of(lane.levels[state[FIRST] + mcu * state[SLOTS] + slot])
