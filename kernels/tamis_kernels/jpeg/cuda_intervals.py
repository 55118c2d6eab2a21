"""A long file with restart markers walked by a block: an interval a thread, for each begins where it is known.

Some intervals at a time are brought, freed of stuffed zeros and markers, and passed. Those before the first that is not whole beyond doubt
are entered; that one is walked by one thread as ever, so that all faults are noticed where and as they always are. Then fewer are taken
at a time, and again more: what lies behind a fault is passed anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int16, int64

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import conclude, difference, leave
from tamis_kernels.jpeg.cuda_lane import (
    APART,
    MARK_BIT,
    MARK_SLOT,
    TABLES,
    TO_JUDGE,
    bring_tables,
    lane_of,
    mark_of,
    pass_symbols,
    spans_of,
    tables_of,
    u64,
    walk_alone,
)
from tamis_kernels.jpeg.cuda_together import MATES, draw_together, has_part, least_of
from tamis_kernels.jpeg.cuda_unstuff import PART, add_up
from tamis_kernels.jpeg.lane import (
    AT,
    BASE,
    BEGIN,
    BIT,
    BLOCK,
    END_BIT,
    FILE,
    FIRST,
    QUANTISER,
    SLOT,
    SLOTS,
    STEP,
    STOP,
    STOPPED,
    TOTAL,
    TROUBLE,
    Batch,
    K,
    Lane,
    bits_from,
    pass_last,
    signed,
)
from tamis_kernels.jpeg.tables import MOST_BITS

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint32s

MARKER, OVER = 1 << 20, 1 << 40  # what a restart marker, and another one or the file's end, count beside the bytes of a turn


@cuda.jit
def walk_intervals(batch: Batch, files: Int64s) -> None:
    """Walk the open scan of a file a block, up to its end or to the test for a seam."""
    shared = cuda.shared.array(TABLES, int16)
    ends = cuda.shared.array(MATES, int64)
    stops = cuda.shared.array(MATES, int64)
    sums = cuda.shared.array(MATES, int64)
    i, thread = files[cuda.blockIdx.x], np.int64(cuda.threadIdx.x)
    if batch.lanes.state[i, FILE] != APART:
        return
    lane, facts = lane_of(batch, i, shared), batch.facts[i]
    file, picture = spans_of(batch, i)
    bring_tables(tables_of(lane), batch.lanes.frame.lookup[i], shared, thread, MATES)
    words, begin, state = batch.lanes.bytes.view(np.uint32), batch.byte_at[i] // 4, lane.state
    most = signed(MATES)
    while True:
        cuda.syncthreads()
        first, step, slots = state[AT], state[STEP], state[SLOTS]
        base = state[END_BIT] // 8 if facts[the.FAULT] == the.NONE else signed(0)
        asked = min(most, (state[TOTAL] - first + step - 1) // step)
        found = bring(lane, file, base, asked, ends, stops, sums)
        mine = thread < found
        mcus = min(step, state[TOTAL] - first - thread * step)
        block, byte = (first + thread * step) * slots, ends[thread - 1] if mine and thread else base
        bit, whole, zeros = signed(0), False, False
        if mine:
            bit, whole, zeros = pass_interval(lane, words, begin, byte, ends[thread], block, mcus * slots)
            whole = whole and (thread + 1 == found or goes_on(file, stops[thread], first // step + thread))
        count = least_of(sums, found if not mine or whole else thread)
        if mine and thread < count:
            lane.starts[block] = 8 * byte  # which is where the one before has written its end
        if thread == 0:
            state[FIRST] = first * slots
        cuda.syncthreads()
        for mcu in range(thread, min(count * step, state[TOTAL] - first), MATES):
            for slot in range(slots):
                lane.levels[(first + mcu) * slots + slot] = difference(lane, (first + mcu) * slots + slot, slot)
        cuda.syncthreads()
        count = least_of(sums, count if thread >= count or level(lane, block, mcus) else thread)
        draw_together(lane, picture, min(count * step, state[TOTAL] - first))
        if zeros and thread + 1 < count:
            cuda.atomic.add(facts, the.ZERO_PADS, 1)
        cuda.syncthreads()
        if thread + 1 == count:
            state[AT], state[FIRST], state[BASE] = first + thread * step, block, byte
            state[BLOCK] = state[STOP] = block + mcus * slots
            state[BIT], state[END_BIT], state[STOPPED] = bit, 8 * ends[thread], stops[thread]
            state[K] = state[SLOT] = state[TROUBLE] = 0
            if thread:
                state[BEGIN] = stops[thread - 1] + 2
            if conclude(file, lane, facts, the.NONE, mcus):
                state[FILE] = TO_JUDGE
            else:
                leave(file, lane, facts)
        elif thread == 0 and count == 0 and walk_alone(batch, i, lane, words):
            state[FILE] = TO_JUDGE
        most = min(2 * most, MATES) if count == asked else max(count, 1)
        cuda.syncthreads()
        if state[FILE] == TO_JUDGE or state[AT] == state[TOTAL]:
            return


@cuda.jit(device=True)
def bring(lane: Lane, file: Uint8s, base: int, most: int, ends: Int64s, stops: Int64s, sums: Int64s) -> Any:
    """Copy the bytes of the next intervals, without stuffed zeros and markers, to the lane from byte `base` on; return how many there are.

    Written is where in the lane each ends, and where in the file the marker behind it is, or the file's end. A barrier must stand before
    it, and one stands behind.
    """
    thread, first = np.int64(cuda.threadIdx.x), lane.state[BEGIN]
    turn, size, found, done = first, base, signed(0), False
    stops[thread] = -1
    while not done:
        at = turn + thread * PART
        value = sort_out(lane.bytes, file, first, at, 0, 0, most, ends, stops, False)
        over = thread + 1 == sums.size and at + PART >= file.size and value < OVER
        add_up(sums, value + OVER if over else value)
        before = sums[thread] - (value + OVER if over else value)
        if before < OVER:
            target, number = size + before % MARKER, found + before // MARKER
            sort_out(lane.bytes, file, first, at, target, number, most, ends, stops, True)
            number += value // MARKER
            if over and number < most:
                ends[number], stops[number] = target + value % MARKER, file.size
        total = sums[sums.size - 1]
        size, found, turn = size + total % MARKER, found + total % OVER // MARKER, turn + sums.size * PART
        done = total >= OVER or found >= most
        cuda.syncthreads()
    noted = least_of(sums, thread if stops[thread] < 0 else sums.size)
    cuda.syncthreads()
    return noted


@cuda.jit(device=True)
def sort_out(
    out: Uint8s, file: Uint8s, first: int, at: int, target: int, number: int, most: int, ends: Int64s, stops: Int64s, copied: bool
) -> Any:
    """Count, or copy to a target, the bytes of a part from `at` on that are no stuffed zeros, and count or note the markers among them.

    Behind a marker that restarts nothing it ends. The first interval begins at `first`, the one that `at` is in has this number; of no
    more than `most` it is noted where they end.
    """
    kept = found = np.int64(0)
    for place in range(at, min(at + PART, file.size)):
        byte = file[place]
        if byte == 0xFF:
            after = file[place + 1] if place + 1 < file.size else np.uint8(0xFF)
            if after == 0xFF:
                continue
            if after != 0:
                if copied and number + found < most:
                    ends[number + found], stops[number + found] = target + kept, place
                found += 1
                if after < the.RST0 or after >= the.SOI:
                    return kept + found * MARKER + OVER
                continue
        elif place > first and file[place - 1] == 0xFF and (byte == 0 or the.RST0 <= byte < the.SOI):
            continue
        if copied:
            out[target + kept] = byte
        kept += 1
    return kept + found * MARKER


@cuda.jit(device=True)
def pass_interval(lane: Lane, words: Uint32s, begin: int, byte: int, end: int, block: int, blocks: int) -> Any:
    """Pass the symbols of an interval up to the byte where it ends; return the bit come to, whether it is whole, and if 0 fills it up."""
    slots, last, stop = lane.state[SLOTS], 8 * end, block + blocks
    if blocks > 4 * (end - byte) + 1:  # which is taken for the end of the interval
        return 8 * byte, False, False
    mark, block, fault = pass_symbols(lane, words, begin, mark_of(8 * byte, 0, 0), last - MOST_BITS + 1, block, stop, slots, True)
    if fault:
        return mark >> MARK_BIT, False, False
    bit, _, _, _, fault = pass_last(lane, mark >> MARK_BIT, mark & 63, mark >> MARK_SLOT & 15, block, stop, last)
    left = last - bit
    if fault or left >= 8:
        return bit, False, False
    pad = signed(bits_from(lane.bytes, u64(bit)) >> u64(56)) >> (8 - left)
    return bit, pad == 0 or pad == (1 << left) - 1, left > 0 and pad == 0


@cuda.jit(device=True)
def goes_on(file: Uint8s, stop: int, number: int) -> bool:
    """Return whether the marker behind an interval is its own, by its number in the scan."""
    return stop + 1 < file.size and file[stop + 1] == the.RST0 + number % 8


@cuda.jit(device=True)
def level(lane: Lane, first: int, mcus: int) -> bool:
    """Make terms of the differences of an interval's blocks, as the CPU does; say whether all can be."""
    order, slots = lane.order, lane.state[SLOTS]
    for part in range(4):
        term = signed(0)
        for mcu in range(mcus if has_part(lane, part) else 0):
            for slot in range(slots):
                if order[slot, 0] == part:
                    block, quantiser = first + mcu * slots + slot, order[slot, QUANTISER]
                    term += lane.levels[block]
                    if abs(term * quantiser) > 1024 + quantiser:
                        return False
                    lane.levels[block] = term * quantiser
    return True
