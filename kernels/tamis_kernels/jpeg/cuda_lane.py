"""A file of a batch as CUDA kernels see it, and the loop that passes its symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import enter, leave
from tamis_kernels.jpeg.cuda_unstuff import load_words
from tamis_kernels.jpeg.header import Frame
from tamis_kernels.jpeg.lane import (
    BIT,
    BLOCK,
    END_BIT,
    SHIFT,
    SLOT,
    SLOTS,
    STOP,
    TABLE_BITS,
    Batch,
    K,
    Lane,
    finish,
    settle,
    signed,
)
from tamis_kernels.jpeg.tables import COUNT, END, MOST_BITS, PASSED, WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Uint8s, Uint32s


TABLES = 8 << WIDTH
# What a file is, beside 0, not begun, and IDLE: walked by a thread, whole so far, by a block in pieces, by a block in its intervals.
UNDER_WAY, TO_JUDGE, TOGETHER, APART = 1, 2, 3, 4
MARK_BIT, MARK_SLOT = 10, 6  # where in a mark the bit and the block within the MCU stand, above the coefficient
u64 = np.uint64


@cuda.jit(device=True)
def frame_of(frames: Frame, i: int, lookup: NDArray[np.int16]) -> Frame:
    """Return the frame of a file, with a lookup."""
    return Frame(
        frames.quantisers[i],
        frames.counts[i],
        frames.symbols[i],
        frames.known[i],
        frames.codes[i],
        lookup,
        frames.single[i],
        frames.built[i],
        frames.components[i],
    )


@cuda.jit(device=True)
def lane_of(batch: Batch, i: int, lookup: NDArray[np.int16]) -> Lane:
    """Return the lane of a file, with a lookup."""
    lanes = batch.lanes
    return Lane(
        lanes.state[i],
        frame_of(lanes.frame, i, lookup),
        lanes.bytes[batch.byte_at[i] : batch.byte_at[i + 1]],
        lanes.starts[batch.start_at[i] : batch.start_at[i + 1]],
        lanes.levels[batch.start_at[i] : batch.start_at[i + 1]],
        lanes.bases[i],
        lanes.order[i],
        lanes.last[i],
        lanes.jumps[batch.jump_at[i] : batch.jump_at[i + 1]],
        lanes.room[batch.room_at[i] : batch.room_at[i + 1]],
    )


@cuda.jit(device=True)
def spans_of(batch: Batch, i: int) -> tuple[Uint8s, Uint8s]:
    """Return the bytes of a file, and the place of its picture."""
    file, picture = slice(batch.offsets[i], batch.offsets[i + 1]), slice(batch.picture_at[i], batch.picture_at[i + 1])
    return batch.data[file], batch.pictures[picture]


@cuda.jit(device=True)
def tables_of(lane: Lane) -> Any:
    """Return which of the eight tables a scan uses, a bit each."""
    used = u64(0)
    for place in range(2 * lane.state[SLOTS]):
        used |= u64(1) << (lane.bases[place] >> TABLE_BITS)
    return used


@cuda.jit(device=True)
def bring_tables(held: np.uint64, lookup: NDArray[np.int16], shared: NDArray[np.int16], thread: int, threads: int) -> None:
    """Copy those of the eight tables that are held to shared memory, by all threads of a block; a barrier must stand behind it."""
    for place in range(thread, TABLES, threads):
        if held >> u64(place >> WIDTH) & u64(1):
            shared[place] = lookup[place]


@cuda.jit(device=True)
def word_at(words: Uint32s, place: int) -> Any:
    """Return a word whose first byte is its highest."""
    word = u64(words[place])
    return (word & u64(0xFF)) << u64(24) | (word & u64(0xFF00)) << u64(8) | (word >> u64(8)) & u64(0xFF00) | word >> u64(24)


@cuda.jit(device=True)
def mark_of(bit: int, slot: int, k: int) -> Any:
    """Return a place among symbols as one number: the bit, the block within the MCU and the coefficient that come next."""
    return np.int64(bit) << MARK_BIT | np.int64(slot) << MARK_SLOT | np.int64(k)


@cuda.jit(device=True)
def pass_symbols(lane: Lane, words: Uint32s, begin: int, mark: int, end: int, block: int, stop: int, slots: int, sure: bool) -> Any:
    """Pass symbols from a mark on, up to a bit or a block; return the mark and the block come to, and a fault or `NONE`.

    It does what `run_one` does where the mark is sure. Where it is a guess, no block's begin is written, and a bit that begins no code
    passes for the end of a block. Bits come through a window that is filled up by 32 at a time: the threads of a warp are at places far
    apart, so that a load takes as many steps as there are threads, and the CPU's eight for a symbol would be all that the walk did.
    """
    starts, bases, lookup, codes = lane.starts, lane.bases, lane.frame.lookup, lane.frame.codes
    bit, slot, k, fault = mark >> MARK_BIT, mark >> MARK_SLOT & 15, mark & 63, signed(the.NONE)
    base = bases[2 * slot + (k > 0)]
    at, held = begin + (bit >> 5), 32 - (bit & 31)
    window = word_at(words, at) << u64(64 - held)
    while bit < end and block < stop:
        if held < 32:
            at += 1
            window |= word_at(words, at) << u64(32 - held)
            held += 32
        entry = signed(lookup[base + (window >> SHIFT)])
        after = k + (entry >> COUNT & 63)
        if (entry | (63 - after)) < 0:
            entry = settle(window, signed(base >> TABLE_BITS), k, codes, lane.frame.symbols)
            if entry < 0:
                fault = -entry
                if sure:
                    break
                entry = 1 | 1 << END
            entry &= PASSED
            after = k + (entry >> COUNT & 63)
        length = entry & 31
        bit += length
        held -= length
        window <<= u64(length)
        if entry >> END:
            block += 1
            if sure:
                starts[block] = bit
            slot = 0 if slot + 1 == slots else slot + 1
            base = bases[2 * slot]
            k = 0
        else:
            if k == 0:
                base = bases[2 * slot + 1]
            k = after
    return mark_of(bit, slot, k), block, fault


@cuda.jit(device=True)
def pass_alone(lane: Lane, words: Uint32s, begin: int) -> Any:
    """Pass symbols of an interval up to its last bits, from where it stands; return a fault, or `NONE`."""
    state = lane.state
    mark, last = mark_of(state[BIT], state[SLOT], state[K]), state[END_BIT] - MOST_BITS
    mark, block, fault = pass_symbols(lane, words, begin, mark, last + 1, state[BLOCK], state[STOP], state[SLOTS], True)
    state[BIT], state[SLOT], state[K], state[BLOCK] = mark >> MARK_BIT, mark >> MARK_SLOT & 15, mark & 63, block
    return fault


@cuda.jit(device=True)
def walk_alone(batch: Batch, i: int, lane: Lane, words: Uint32s) -> bool:
    """Walk the next interval of file i by one thread; say whether the scan is whole, and to be tested for a seam."""
    file, picture = spans_of(batch, i)
    load_words(batch, i, lane)
    fault = pass_alone(lane, words, batch.byte_at[i] // 4)
    if enter(file, lane, batch.facts[i], picture, fault if fault else finish(lane)):
        return True
    leave(file, lane, batch.facts[i])
    return False
