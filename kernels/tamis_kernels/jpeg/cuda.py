"""The walk in CUDA: a file a thread, by the functions of the CPU, in batches of which each lies in one buffer, some under way at a time.

A first kernel reads each file up to its first scan, so that its thread gets room for as many blocks as the frame declares and no more. Then
scan by scan, of which a file has four at most: one kernel opens it and makes its tables, one walks its intervals, and one looks for a seam
where it is whole. Each needs fewer registers than all at once. Files are walked in the order of their tables: the threads of a block nearly
always have the same ones, which then lie in shared memory; a thread whose tables are others reads its own from global memory. Pictures are
written one behind the other, and only they and the facts go back, or the facts alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int16

from tamis_kernels.device import launch, launch_blocks, sent, side_by_side, to_device, to_host, xp
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import begin_file, enter, judge_seam, leave, open_interval
from tamis_kernels.jpeg.cuda_unstuff import load_words
from tamis_kernels.jpeg.group import ends, filling, pixels_of
from tamis_kernels.jpeg.header import Frame, next_scan
from tamis_kernels.jpeg.lane import (
    AT,
    BIT,
    BLOCK,
    END_BIT,
    FILE,
    IDLE,
    ROOM,
    SHIFT,
    SLACK,
    SLOT,
    SLOTS,
    STATE,
    STOP,
    TABLE_BITS,
    TOTAL,
    TROUBLE,
    Batch,
    K,
    Lane,
    finish,
    settle,
    signed,
)
from tamis_kernels.jpeg.tables import COUNT, END, MOST_BITS, PASSED, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

BATCH = 1 << 32  # bytes of the device that files take at a time: some five thousand photos
FILE_BYTES, BYTE_FACTOR = 1 << 17, 6  # what a file takes there, and each of its bytes: tables, then data, blocks, picture and its edges
GAP = 1 << 19  # bytes that cross the link in the time that it takes to start a copy
THREADS = 128
TABLES = 8 << WIDTH
UNDER_WAY, TO_JUDGE = 1, 2  # what a file is, beside 0, not begun, and IDLE
u64 = np.uint64


def in_groups(work: Callable[[int, int], None], files: Sequence[bytes | memoryview]) -> None:
    """Call `work(first, last)` for files that the device has room for together, some groups at a time."""
    side_by_side(work, BYTE_FACTOR * ends(files) + FILE_BYTES * np.arange(len(files) + 1), BATCH)


def walk_group(files: Sequence[bytes | memoryview], facts: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """Walk each of the files into its row of facts, and return their pictures."""
    return fetched(*walk_batch(files, facts), facts, np.ones(len(files), np.bool_))


def fetched(pictures: Any, begins: NDArray[np.int64], facts: NDArray[np.int64], wanted: NDArray[np.bool_]) -> list[NDArray[np.uint8]]:
    """Return the pictures of files that are wanted, and nothing of others; those that lie close to each other cross the link together."""
    found = [np.empty(0, np.uint8)] * len(facts)
    files = np.flatnonzero(wanted)
    if not files.size:
        return found
    firsts, lasts = begins[files], begins[files] + np.array(pixels_of(facts), np.int64)[files]
    cuts = [0, *(np.flatnonzero(firsts[1:] - lasts[:-1] > GAP) + 1).tolist(), files.size]
    for some in map(slice, cuts, cuts[1:]):
        start, stop = int(firsts[some][0]), int(lasts[some][-1])
        run = np.empty(stop - start, np.uint8)
        to_host(pictures[start:stop], run)
        for file, first, last in zip(files[some].tolist(), (firsts[some] - start).tolist(), (lasts[some] - start).tolist(), strict=True):
            found[file] = run[first:last]
    return found


def walk_batch(files: Sequence[bytes | memoryview], facts: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
    """Walk files that all have a thread; return their pictures on the device, and where those of each begin."""
    count, offsets = len(files), ends(files)
    data, bounds, told = _sent_in_words(files, offsets), to_device(offsets), xp.zeros(facts.shape, np.int64)
    frames = _frames(count)
    launch(read_headers, count, data, bounds, told, frames)
    to_host(told, facts)
    blocks, pixels, sides = _rooms(facts)
    begins, starts, jumps, rooms = (
        np.concatenate([[0], np.cumsum(sizes)]) for sizes in (pixels, blocks + 16, pixels + 2 * sides, ROOM * (sides + 1))
    )
    bytes_at = (offsets + 3) // 4 * 4 + SLACK * np.arange(count + 1)  # whole words, which a window takes
    pictures = xp.empty(int(begins[-1]), np.uint8)
    lanes = Lane(
        xp.zeros((count, STATE), np.int64),
        frames,
        xp.empty(int(bytes_at[-1]), np.uint8),
        xp.empty(int(starts[-1]), np.int64),
        xp.empty(int(starts[-1]), np.int32),
        xp.zeros((count, 20), np.uint64),
        xp.zeros((count, 10, 4), np.int64),
        xp.zeros((count, 4), np.int64),
        xp.empty(int(jumps[-1]), np.int32),
        xp.empty(int(rooms[-1]), np.int64),
        xp.zeros((count, 5), np.int64),
    )
    batch = Batch(data, bounds, told, lanes, pictures, *map(to_device, (begins, bytes_at, starts, jumps, rooms)))
    keys = xp.empty(count, np.uint64)
    while True:
        launch(open_scans, count, batch, keys)
        if not bool((lanes.state[:, FILE] != IDLE).any()):
            break
        order = xp.argsort(keys)
        launch_blocks(walk_scans, -(-count // THREADS), THREADS, batch, order)
        launch(find_seams, count, batch)
    to_host(told, facts)
    return pictures, begins


def _sent_in_words(files: Sequence[bytes | memoryview], offsets: NDArray[np.int64]) -> Any:
    """Return the files end to end on the device, as whole words, of which one lies behind the last byte."""
    size, copy = int(offsets[-1]), filling(files, offsets)

    def fill(begin: int, end: int, target: NDArray[np.uint8]) -> None:
        if begin < size:
            copy(begin, min(end, size), target[: min(end, size) - begin])

    return sent(size // 4 * 4 + 8, fill)


def _frames(count: int) -> Frame:
    """Return a frame for each thread, stacked."""
    return Frame(
        xp.zeros((count, 4, 64), np.int64),
        xp.zeros((count, 8, 17), np.int64),
        xp.zeros((count, 8, 256), np.uint8),
        xp.zeros((count, 8), np.bool_),
        xp.zeros((count, 8, 3, 17), np.int64),
        xp.zeros((count, TABLES), np.int16),
        xp.zeros((count, TABLES), np.int32),
        xp.full((count, 8, 273), -1, np.int64),
        xp.zeros((count, 4, 8), np.int64),
    )


def _rooms(facts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return how many blocks a scan of each file may have, how many pixels its pictures, and how many its longest side."""
    column = np.ascontiguousarray(facts.T)  # along which NumPy is fast
    across, down = column[the.SAMPLING : the.SAMPLING + 4] >> 4, column[the.SAMPLING : the.SAMPLING + 4] & 15
    columns = -(-column[the.WIDTH] // np.maximum(8 * across.max(axis=0), 1))
    rows = -(-column[the.HEIGHT] // np.maximum(8 * down.max(axis=0), 1))
    sides = column[the.SIDES : the.SIDES + 8]
    walked = column[the.FAULT] == the.NONE
    blocks = columns * rows * (across * down).sum(axis=0)
    pixels = (sides[::2] * sides[1::2]).sum(axis=0)
    return blocks * walked, pixels * walked, sides.max(axis=0) * walked


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
        lanes.sums[i],
    )


@cuda.jit(device=True)
def spans_of(batch: Batch, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the bytes of a file, and the place of its picture."""
    file, picture = slice(batch.offsets[i], batch.offsets[i + 1]), slice(batch.picture_at[i], batch.picture_at[i + 1])
    return batch.data[file], batch.pictures[picture]


@cuda.jit
def read_headers(data: NDArray[np.uint8], offsets: NDArray[np.int64], facts: NDArray[np.int64], frames: Frame) -> None:
    """Read the segments before a file's first scan a thread."""
    i = cuda.grid(1)
    if i < facts.shape[0]:
        next_scan(data[offsets[i] : offsets[i + 1]], 2, frame_of(frames, i, frames.lookup[i]), facts[i])


@cuda.jit
def open_scans(batch: Batch, keys: NDArray[np.uint64]) -> None:
    """Open a file's next scan a thread, or note that it is at its end; write a key that is the same where the tables are."""
    i = cuda.grid(1)
    if i >= batch.facts.shape[0]:
        return
    keys[i] = u64(0xFFFFFFFFFFFFFFFF)
    lane, facts = lane_of(batch, i, batch.lanes.frame.lookup[i]), batch.facts[i]
    file, picture = spans_of(batch, i)
    if lane.state[FILE] == 0:
        lane.state[FILE] = UNDER_WAY if begin_file(file, lane, facts) else IDLE
    if lane.state[FILE] == UNDER_WAY:
        if open_interval(file, lane, facts, picture):
            load_words(batch, i, lane)
            keys[i] = key_of(lane.frame, tables_of(lane))
        else:
            lane.state[FILE] = IDLE


@cuda.jit(device=True)
def tables_of(lane: Lane) -> Any:
    """Return which of the eight tables a scan uses, a bit each."""
    used = u64(0)
    for place in range(2 * lane.state[SLOTS]):
        used |= u64(1) << (lane.bases[place] >> TABLE_BITS)
    return used


@cuda.jit(device=True)
def codes_in(counts: NDArray[np.int64]) -> Any:
    """Return how many codes a table has."""
    total = np.int64(0)
    for length in range(1, 17):
        total += counts[length]
    return total


@cuda.jit(device=True)
def key_of(frame: Frame, used: np.uint64) -> Any:
    """Return the FNV-1a hash of the tables in use, below the largest number."""
    key = (u64(0xCBF29CE484222325) ^ used) * u64(0x100000001B3)
    for table in range(8):
        if used >> u64(table) & u64(1):
            for length in range(1, 17):
                key = (key ^ u64(frame.counts[table, length])) * u64(0x100000001B3)
            for place in range(codes_in(frame.counts[table])):
                key = (key ^ u64(frame.symbols[table, place])) * u64(0x100000001B3)
    return key >> u64(1)


@cuda.jit(device=True)
def same_tables(frames: Frame, one: int, other: int, used: np.uint64) -> bool:
    """Return whether two files have the same tables, of those in use."""
    for table in range(8):
        if used >> u64(table) & u64(1):
            for length in range(1, 17):
                if frames.counts[one, table, length] != frames.counts[other, table, length]:
                    return False
            for place in range(codes_in(frames.counts[one, table])):
                if frames.symbols[one, table, place] != frames.symbols[other, table, place]:
                    return False
    return True


@cuda.jit(device=True)
def word_at(words: NDArray[np.uint32], place: int) -> Any:
    """Return a word whose first byte is its highest."""
    word = u64(words[place])
    return (word & u64(0xFF)) << u64(24) | (word & u64(0xFF00)) << u64(8) | (word >> u64(8)) & u64(0xFF00) | word >> u64(24)


@cuda.jit(device=True)
def pass_symbols(lane: Lane, words: NDArray[np.uint32], begin: int) -> None:
    """Pass symbols as `run_one` does, to the same state, through a window that is filled up by 32 bits at a time.

    The threads of a warp are in files far apart: each load takes as many steps as there are threads, and the CPU's eight for a symbol would
    be all that the walk did.
    """
    state, starts, bases, lookup, codes = lane.state, lane.starts, lane.bases, lane.frame.lookup, lane.frame.codes
    bit, k, slot, block = state[BIT], state[K], state[SLOT], state[BLOCK]
    last, stop, slots = state[END_BIT] - MOST_BITS, state[STOP], state[SLOTS]
    base = bases[2 * slot + (k > 0)]
    at, held = begin + (bit >> 5), 32 - (bit & 31)
    window = word_at(words, at) << u64(64 - held)
    while bit <= last and block < stop:
        if held < 32:
            at += 1
            window |= word_at(words, at) << u64(32 - held)
            held += 32
        entry = signed(lookup[base + (window >> SHIFT)])
        after = k + (entry >> COUNT & 63)
        if (entry | (63 - after)) < 0:
            entry = settle(window, signed(base >> TABLE_BITS), k, codes, lane.frame.symbols)
            if entry < 0:
                state[TROUBLE] = -entry
                break
            entry &= PASSED
            after = k + (entry >> COUNT & 63)
        length = entry & 31
        bit += length
        held -= length
        window <<= u64(length)
        if entry >> END:
            block += 1
            starts[block] = bit
            slot = 0 if slot + 1 == slots else slot + 1
            base = bases[2 * slot]
            k = 0
        else:
            if k == 0:
                base = bases[2 * slot + 1]
            k = after
    state[BIT], state[K], state[SLOT], state[BLOCK] = bit, k, slot, block


@cuda.jit
def walk_scans(batch: Batch, order: NDArray[np.int64]) -> None:
    """Walk the open scan of a file a thread, up to its end or to the test for a seam."""
    shared = cuda.shared.array(TABLES, int16)
    item, first, lanes = cuda.grid(1), order[np.int64(cuda.blockIdx.x) * THREADS], batch.lanes
    if lanes.state[first, FILE] == IDLE:
        return  # as are all files behind it
    leader = lane_of(batch, first, lanes.frame.lookup[first])
    held = tables_of(leader)
    for place in range(cuda.threadIdx.x, TABLES, THREADS):
        if held >> u64(place >> WIDTH) & u64(1):
            shared[place] = leader.frame.lookup[place]
    cuda.syncthreads()
    if item >= batch.facts.shape[0]:
        return
    i = order[item]
    if lanes.state[i, FILE] == IDLE:
        return
    lane = lane_of(batch, i, lanes.frame.lookup[i])
    used = tables_of(lane)
    if used & held == used and same_tables(lanes.frame, i, first, used):
        lane = lane_of(batch, i, shared)
    facts = batch.facts[i]
    file, picture = spans_of(batch, i)
    words = lanes.bytes.view(np.uint32)
    while True:
        pass_symbols(lane, words, batch.byte_at[i] // 4)
        fault = lane.state[TROUBLE]
        if enter(file, lane, facts, picture, fault if fault else finish(lane)):
            lane.state[FILE] = TO_JUDGE
            return
        leave(file, lane, facts)
        if lane.state[AT] == lane.state[TOTAL]:
            return
        load_words(batch, i, lane)


@cuda.jit
def find_seams(batch: Batch) -> None:
    """Look for a seam in the whole scan of a file a thread, and go on to the scan's end."""
    i = cuda.grid(1)
    if i < batch.facts.shape[0] and batch.lanes.state[i, FILE] == TO_JUDGE:
        lane = lane_of(batch, i, batch.lanes.frame.lookup[i])
        file, picture = spans_of(batch, i)
        judge_seam(file, lane, batch.facts[i], picture)
        leave(file, lane, batch.facts[i])
        lane.state[FILE] = UNDER_WAY
