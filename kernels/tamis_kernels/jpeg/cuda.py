"""The walk in CUDA: a file a thread, by the functions of the CPU, in batches of which each lies in one buffer, some under way at a time.

A first kernel reads each file up to its first scan, so that its thread gets room for as many blocks as the frame declares and no more. Then
scan by scan, of which a file has four at most: one kernel opens it and makes its tables, one walks its intervals, and one looks for a seam
where it is whole. Each needs fewer registers than all at once. Files are walked in the order of their tables: the threads of a block nearly
always have the same ones, which then lie in shared memory; a thread whose tables are others reads its own from global memory. Files that a
thread alone would be long at are walked by a block each, whose threads take pieces (`cuda_together.py`) or restart intervals
(`cuda_intervals.py`). Pictures are written one behind the other, and only they and the facts go back, or the facts alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int16

from tamis_kernels.arrays import offsets_of
from tamis_kernels.device import launch, launch_blocks, sent, side_by_side, to_device, to_host, xp
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import begin_file, judge_seam, leave, open_interval
from tamis_kernels.jpeg.cuda_intervals import walk_intervals
from tamis_kernels.jpeg.cuda_lane import (
    APART,
    TABLES,
    TO_JUDGE,
    TOGETHER,
    UNDER_WAY,
    bring_tables,
    frame_of,
    lane_of,
    spans_of,
    tables_of,
    u64,
    walk_alone,
)
from tamis_kernels.jpeg.cuda_seam import ROWS, find_seams_together
from tamis_kernels.jpeg.cuda_together import MATES, PIECE, walk_together
from tamis_kernels.jpeg.group import ends, filling, pixels_of
from tamis_kernels.jpeg.header import Frame, next_scan
from tamis_kernels.jpeg.lane import AT, FILE, IDLE, ROOM, SLACK, STATE, STEP, TOTAL, Batch, Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint64s

BATCH = 1 << 32  # bytes of the device that files take at a time: some five thousand photos
FILE_BYTES, BYTE_FACTOR = 1 << 17, 6  # what a file takes there, and each of its bytes: tables, then data, blocks, picture and its edges
GAP = 1 << 19  # bytes that cross the link in the time that it takes to start a copy
THREADS = 128
LEAST = 1 << 17  # bytes of a file that a block walks: up to there a thread takes 13 ms, at some 10 MB/s
SHARE = 2048  # threads that walk 20 GB/s, a quarter of what blocks do at best: who alone takes longer than all files so, is a block's
PIECES_TAKE = 1 << 11  # bytes that a thread passes while a block passes a restart interval in pieces, one behind the other


def in_groups(work: Callable[[int, int], None], files: Sequence[bytes | memoryview]) -> None:
    """Call `work(first, last)` for files that the device has room for together, some groups at a time."""
    side_by_side(work, BYTE_FACTOR * ends(files) + FILE_BYTES * np.arange(len(files) + 1), BATCH)


def walk_group(files: Sequence[bytes | memoryview], facts: Int64s) -> list[Uint8s]:
    """Walk each of the files into its row of facts, and return their pictures."""
    return fetched(*walk_batch(files, facts), facts, np.ones(len(files), np.bool_))


def fetched(pictures: Any, begins: Int64s, facts: Int64s, wanted: Bools) -> list[Uint8s]:
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


def walk_batch(files: Sequence[bytes | memoryview], facts: Int64s) -> tuple[Any, Int64s]:
    """Walk files that all have a thread; return their pictures on the device, and where those of each begin."""
    count, offsets = len(files), ends(files)
    data, bounds, told = _sent_in_words(files, offsets), to_device(offsets), xp.zeros(facts.shape, np.int64)
    frames = _frames(count)
    launch(read_headers, count, data, bounds, told, frames)
    to_host(told, facts)
    blocks, pixels, sides, mcus = _rooms(facts)
    together = _walked_together(np.diff(offsets), mcus)
    rooms_each = ROOM * (sides + 1) * np.where(together, ROWS, 1)
    begins, starts, jumps, rooms = map(offsets_of, (pixels, blocks + 16, pixels + 2 * sides, rooms_each))
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
    )
    batch = Batch(data, bounds, told, lanes, pictures, *map(to_device, (begins, bytes_at, starts, jumps, rooms)))
    keys, long, chosen = xp.empty(count, np.uint64), to_device(np.flatnonzero(together)), to_device(together)
    while True:
        launch(open_scans, count, batch, keys, chosen, PIECES_TAKE)
        if not bool((lanes.state[:, FILE] != IDLE).any()):
            break
        if len(long):
            launch_blocks(walk_together, len(long), MATES, batch, long, PIECE)
            launch_blocks(walk_intervals, len(long), MATES, batch, long)
        order = xp.argsort(keys)
        launch_blocks(walk_scans, -(-count // THREADS), THREADS, batch, order)
        if len(long):
            launch_blocks(find_seams_together, len(long), ROWS, batch, long)
        launch(find_seams, count, batch)
    to_host(told, facts)
    return pictures, begins


def _sent_in_words(files: Sequence[bytes | memoryview], offsets: Int64s) -> Any:
    """Return the files end to end on the device, as whole words, of which one lies behind the last byte."""
    size, copy = int(offsets[-1]), filling(files, offsets)

    def fill(begin: int, end: int, target: Uint8s) -> None:
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


def _rooms(facts: Int64s) -> tuple[Int64s, ...]:
    """Return how many blocks a scan of each file may have, how many pixels its pictures and its longest side, and how many MCUs it has."""
    column = np.ascontiguousarray(facts.T)  # along which NumPy is fast
    across, down = column[the.SAMPLING : the.SAMPLING + 4] >> 4, column[the.SAMPLING : the.SAMPLING + 4] & 15
    columns = -(-column[the.WIDTH] // np.maximum(8 * across.max(axis=0), 1))
    rows = -(-column[the.HEIGHT] // np.maximum(8 * down.max(axis=0), 1))
    sides = column[the.SIDES : the.SIDES + 8]
    walked = column[the.FAULT] == the.NONE
    blocks = columns * rows * (across * down).sum(axis=0)
    pixels = (sides[::2] * sides[1::2]).sum(axis=0)
    return blocks * walked, pixels * walked, sides.max(axis=0) * walked, columns * rows * walked


def _walked_together(sizes: Int64s, mcus: Int64s) -> Bools:
    """Return which files blocks of threads walk: long ones."""
    chosen: Bools = (sizes >= max(LEAST, int(sizes.sum()) // SHARE)) & (mcus > 0)
    return chosen


@cuda.jit
def read_headers(data: Uint8s, offsets: Int64s, facts: Int64s, frames: Frame) -> None:
    """Read the segments before a file's first scan a thread."""
    i = cuda.grid(1)
    if i < facts.shape[0]:
        next_scan(data[offsets[i] : offsets[i + 1]], 2, frame_of(frames, i, frames.lookup[i]), facts[i])


@cuda.jit
def open_scans(batch: Batch, keys: Uint64s, together: Bools, pieces: int) -> None:
    """Open a file's next scan a thread, or note that it is at its end; write a key that is the same where the tables are.

    Files that are not to be walked by a thread have the largest key. Those walked by a block are walked an interval a thread where that is
    faster than all intervals in pieces, each of which takes as long as a thread takes for so many bytes.
    """
    i = cuda.grid(1)
    if i >= batch.facts.shape[0]:
        return
    keys[i] = u64(0xFFFFFFFFFFFFFFFF)
    lane, facts = lane_of(batch, i, batch.lanes.frame.lookup[i]), batch.facts[i]
    file, picture = spans_of(batch, i)
    if lane.state[FILE] == 0:
        lane.state[FILE] = UNDER_WAY if begin_file(file, lane, facts) else IDLE
    if lane.state[FILE] != IDLE:
        if not open_interval(file, lane, facts, picture):
            lane.state[FILE] = IDLE
        elif together[i]:
            intervals = (lane.state[TOTAL] + lane.state[STEP] - 1) // lane.state[STEP]
            lane.state[FILE] = APART if intervals > 1 and intervals * intervals * pieces >= file.size else TOGETHER
        else:
            keys[i] = key_of(lane.frame, tables_of(lane))


@cuda.jit(device=True)
def codes_in(counts: Int64s) -> Any:
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


@cuda.jit
def walk_scans(batch: Batch, order: Int64s) -> None:
    """Walk the open scan of a file a thread, up to its end or to the test for a seam."""
    shared = cuda.shared.array(TABLES, int16)
    item, first, lanes = cuda.grid(1), order[np.int64(cuda.blockIdx.x) * THREADS], batch.lanes
    if lanes.state[first, FILE] != UNDER_WAY:
        return  # nor are all files behind it
    leader = lane_of(batch, first, lanes.frame.lookup[first])
    held = tables_of(leader)
    bring_tables(held, leader.frame.lookup, shared, np.int64(cuda.threadIdx.x), THREADS)
    cuda.syncthreads()
    if item >= batch.facts.shape[0]:
        return
    i = order[item]
    if lanes.state[i, FILE] != UNDER_WAY:
        return
    lane = lane_of(batch, i, lanes.frame.lookup[i])
    used = tables_of(lane)
    if used & held == used and same_tables(lanes.frame, i, first, used):
        lane = lane_of(batch, i, shared)
    words = lanes.bytes.view(np.uint32)
    while lane.state[AT] < lane.state[TOTAL]:
        if walk_alone(batch, i, lane, words):
            lane.state[FILE] = TO_JUDGE
            return


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
