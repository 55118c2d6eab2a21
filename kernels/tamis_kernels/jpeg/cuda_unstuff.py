"""Stuffed zeros taken out of a restart interval by words of four bytes.

The threads of a warp are in files far apart, so that each access takes as many steps as there are threads. The CPU's loop, compiled for
CUDA, made nine of them for a byte: counted by `bench/count_cuda.py`. The threads of a block that has one file take neighbouring bytes, one
by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import begin_interval
from tamis_kernels.jpeg.lane import BEGIN, END_BIT, signed

PART = 32  # bytes of a file that a thread takes at a time
MARKED = 1 << 40  # more than a file's bytes

if TYPE_CHECKING:
    from tamis_kernels.jpeg.lane import Batch, Lane
    from tamis_kernels.types import Int64s, Uint8s, Uint32s

u32, u64 = np.uint32, np.uint64


@cuda.jit(device=True)
def load_words(batch: Batch, i: int, lane: Lane) -> None:
    """Do for file i what `jpeg.cpu.load` does."""
    whole = batch.facts[i, the.FAULT] == the.NONE
    begin, base = batch.offsets[i], lane.state[END_BIT] // 8 if whole else 0
    data, out, at = batch.data.view(np.uint32), batch.lanes.bytes.view(np.uint32), batch.byte_at[i] + base
    size, stopped = unstuff_words(data, begin + lane.state[BEGIN], batch.offsets[i + 1], out, at)
    begin_interval(lane, base, size, stopped - begin, whole)


@cuda.jit(device=True)
def unstuff_words(data: Uint32s, place: int, end: int, out: Uint32s, target: int) -> Any:
    """Copy bytes from a place on, up to the next marker or the end, as `jpeg.lane.unstuff` does; places are of bytes in all words.

    What is written is whole words, with the bytes that stand before the target and zeros behind the last one.
    """
    index, at = place >> 2, target >> 2
    word, following = data[index], data[index + 1]
    held = target & 3  # bytes of the next word to be written
    kept = u64(out[at]) & ((u64(1) << u64(8 * held)) - u64(1))
    first = target
    stopped = end
    while place < end:
        if place >> 2 != index:
            index = place >> 2
            word, following = following, data[index + 1]
        four = u32((u64(following) << u64(32) | u64(word)) >> u64(8 * (place & 3)) & u64(0xFFFFFFFF))
        turned = u32(~four)  # in which 0xFF is 0
        if place + 4 <= end and not (u32(turned - u32(0x01010101)) & four & u32(0x80808080)):
            kept |= u64(four) << u64(8 * held)
            target, place = target + 4, place + 4
            out[at] = u32(kept & u64(0xFFFFFFFF))
            kept, at = kept >> u64(32), at + 1
            continue
        byte, after = four & u32(0xFF), (four >> u32(8)) & u32(0xFF)
        if byte == 0xFF:
            if place + 1 >= end:
                break
            if after == 0xFF:  # fills up
                place += 1
                continue
            if after != 0:
                stopped = place
                break
            place += 1  # the zero behind it
        kept |= u64(byte) << u64(8 * held)
        target, place, held = target + 1, place + 1, held + 1
        if held == 4:
            out[at] = u32(kept)
            kept, at, held = u64(0), at + 1, 0
    out[at] = u32(kept)
    return target - first, stopped


@cuda.jit(device=True)
def add_up(sums: Int64s, value: int) -> None:
    """Write, for each thread of the block, the sum of its value and those before it; `sums` has a place for each.

    Nobody may look at the sums before, without a barrier. One stands behind them.
    """
    thread, step = np.int64(cuda.threadIdx.x), 1
    sums[thread] = value
    cuda.syncthreads()
    while step < sums.size:
        other = sums[thread - step] if thread >= step else np.int64(0)
        cuda.syncthreads()
        sums[thread] += other
        cuda.syncthreads()
        step *= 2


@cuda.jit(device=True)
def load_together(batch: Batch, i: int, lane: Lane, sums: Int64s) -> None:
    """Do for file i what `jpeg.cpu.load` does, by all threads of the block. A barrier must stand before it, and one stands behind."""
    thread, whole = np.int64(cuda.threadIdx.x), batch.facts[i, the.FAULT] == the.NONE
    begin, end = batch.offsets[i], batch.offsets[i + 1]
    base, first, size = lane.state[END_BIT] // 8 if whole else signed(0), begin + lane.state[BEGIN], signed(0)
    turn, done, out = first, False, lane.bytes[base:]
    while not done:
        at = turn + thread * PART
        stop = min(at + PART, end)
        kept, marker = keep(batch.data, first, at, stop, end, out, 0, False)
        value = kept if marker < 0 else kept + MARKED
        add_up(sums, value)
        before = sums[thread] - value
        if before < MARKED:
            keep(batch.data, first, at, stop, end, out, size + before, True)
            if marker >= 0 or (thread + 1 == sums.size and at + PART >= end):
                begin_interval(lane, base, size + before + kept, (marker if marker >= 0 else end) - begin, whole)
        size += sums[sums.size - 1]
        turn += sums.size * PART
        done = size >= MARKED or turn >= end
        cuda.syncthreads()


@cuda.jit(device=True)
def keep(data: Uint8s, first: int, at: int, stop: int, end: int, out: Uint8s, target: int, copied: bool) -> Any:
    """Count, or copy to a target, the bytes from `at` to `stop` before a marker that are not stuffed; return how many, and its place or -1.

    The interval begins at `first`, the file ends at `end`.
    """
    kept = np.int64(0)
    for place in range(at, stop):
        byte = data[place]
        if byte == 0xFF:
            after = data[place + 1] if place + 1 < end else np.uint8(0xFF)
            if after == 0xFF:
                continue
            if after != 0:
                return kept, place
        elif byte == 0 and place > first and data[place - 1] == 0xFF:
            continue
        if copied:
            out[target + kept] = byte
        kept += 1
    return kept, np.int64(-1)
