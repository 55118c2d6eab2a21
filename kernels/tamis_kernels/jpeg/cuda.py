"""The walk in CUDA: a file a thread, by the functions of the CPU, in a batch that lies in one buffer.

A first kernel reads each file up to its first scan, so that its thread gets room for as many blocks as the frame declares and no more. The
second walks: what a thread keeps lies in global memory, the lookups of its Huffman tables among it. Pictures are written one behind the
other, and only they and the facts go back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import in_batches, launch, to_device, to_host, xp
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import begin_file, conclude, open_interval
from tamis_kernels.jpeg.header import Frame, next_scan
from tamis_kernels.jpeg.lane import ROOM, SLACK, STATE, TROUBLE, Lane, finish, run_one
from tamis_kernels.jpeg.tables import WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUP_BYTES = 1 << 28
LANES = 1 << 14  # files at a time: the lookups of one take 128 KB


def walk_files(data: NDArray[np.uint8], offsets: NDArray[np.int64], facts: NDArray[np.int64], planes: NDArray[np.uint8]) -> None:
    """Walk each of the files that lie end to end in `data`; those of file i go into `facts[i]` and into `planes` from 4 · offsets[i] on."""

    def walk(first: int, last: int) -> None:
        bounds = offsets[first : last + 1]
        pictures, begins = walk_batch(data[bounds[0] : bounds[-1]], bounds - bounds[0], facts[first:last])
        found = np.empty(pictures.size, np.uint8)
        to_host(pictures, found)
        for at, begin, end in zip(bounds.tolist(), begins.tolist(), begins[1:].tolist(), strict=False):
            planes[4 * at : 4 * at + end - begin] = found[begin:end]

    in_batches(walk, len(facts), LANES)


def walk_batch(data: NDArray[np.uint8], offsets: NDArray[np.int64], facts: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
    """Walk files that all have a thread; return their pictures on the device, and where those of each begin."""
    count = len(facts)
    files, bounds, told = to_device(data), to_device(offsets), xp.zeros(facts.shape, np.int64)
    frames = _frames(count)
    launch(read_headers, count, files, bounds, told, frames)
    to_host(told, facts)
    blocks, pixels, sides = _rooms(facts)
    begins, starts, jumps, rooms = (
        np.concatenate([[0], np.cumsum(sizes)]) for sizes in (pixels, blocks + 16, pixels + 2 * sides, ROOM * (sides + 1))
    )
    pictures = xp.empty(int(begins[-1]), np.uint8)
    lanes = Lane(
        xp.zeros((count, STATE), np.int64),
        frames,
        xp.empty(data.size + SLACK * count, np.uint8),
        xp.empty(int(starts[-1]), np.int64),
        xp.empty(int(starts[-1]), np.int32),
        xp.zeros((count, 20), np.uint64),
        xp.zeros((count, 10, 4), np.int64),
        xp.zeros((count, 4), np.int64),
        xp.empty(int(jumps[-1]), np.int32),
        xp.empty(int(rooms[-1]), np.int64),
        xp.zeros((count, 5), np.int64),
    )
    places = (to_device(place) for place in (begins, starts, jumps, rooms))
    launch(walk_lanes, count, files, bounds, told, lanes, pictures, *places)
    to_host(told, facts)
    return pictures, begins


def _frames(count: int) -> Frame:
    """Return a frame for each thread, stacked."""
    return Frame(
        xp.zeros((count, 4, 64), np.int64),
        xp.zeros((count, 8, 17), np.int64),
        xp.zeros((count, 8, 256), np.uint8),
        xp.zeros((count, 8), np.bool_),
        xp.zeros((count, 8, 3, 17), np.int64),
        xp.zeros((count, 8 << WIDTH), np.int32),
        xp.zeros((count, 8 << WIDTH), np.int32),
        xp.full((count, 8, 273), -1, np.int64),
        xp.zeros((count, 4, 8), np.int64),
    )


def _rooms(facts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return how many blocks a scan of each file may have, how many pixels its pictures, and how many its longest side."""
    across, down = facts[:, the.SAMPLING : the.SAMPLING + 4] >> 4, facts[:, the.SAMPLING : the.SAMPLING + 4] & 15
    columns = -(-facts[:, the.WIDTH] // np.maximum(8 * across.max(axis=1), 1))
    rows = -(-facts[:, the.HEIGHT] // np.maximum(8 * down.max(axis=1), 1))
    sides = facts[:, the.SIDES : the.SIDES + 8]
    walked = facts[:, the.FAULT] == the.NONE
    blocks = columns * rows * (across * down).sum(axis=1)
    pixels = (sides[:, ::2] * sides[:, 1::2]).sum(axis=1)
    return blocks * walked, pixels * walked, sides.max(axis=1) * walked


@cuda.jit(device=True)
def frame_of(frames: Frame, i: int) -> Frame:
    """Return the frame of a thread."""
    return Frame(
        frames.quantisers[i],
        frames.counts[i],
        frames.symbols[i],
        frames.known[i],
        frames.codes[i],
        frames.lookup[i],
        frames.single[i],
        frames.built[i],
        frames.components[i],
    )


@cuda.jit
def read_headers(data: NDArray[np.uint8], offsets: NDArray[np.int64], facts: NDArray[np.int64], frames: Frame) -> None:
    """Read the segments before a file's first scan a thread."""
    i = cuda.grid(1)
    if i < facts.shape[0]:
        next_scan(data[offsets[i] : offsets[i + 1]], 2, frame_of(frames, i), facts[i])


@cuda.jit
def walk_lanes(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    facts: NDArray[np.int64],
    lanes: Lane,
    pictures: NDArray[np.uint8],
    picture_at: NDArray[np.int64],
    start_at: NDArray[np.int64],
    jump_at: NDArray[np.int64],
    room_at: NDArray[np.int64],
) -> None:
    """Walk a file a thread. The arrays of a lane are stacked, or lie end to end from the given places on."""
    i = cuda.grid(1)
    if i < facts.shape[0]:
        lane = Lane(
            lanes.state[i],
            frame_of(lanes.frame, i),
            lanes.bytes[offsets[i] + SLACK * i : offsets[i + 1] + SLACK * (i + 1)],
            lanes.starts[start_at[i] : start_at[i + 1]],
            lanes.levels[start_at[i] : start_at[i + 1]],
            lanes.bases[i],
            lanes.order[i],
            lanes.last[i],
            lanes.jumps[jump_at[i] : jump_at[i + 1]],
            lanes.room[room_at[i] : room_at[i + 1]],
            lanes.sums[i],
        )
        file, picture = data[offsets[i] : offsets[i + 1]], pictures[picture_at[i] : picture_at[i + 1]]
        if begin_file(file, lane, facts[i]):
            while open_interval(file, lane, facts[i], picture):
                run_one(lane)
                fault = lane.state[TROUBLE]
                conclude(file, lane, facts[i], picture, fault if fault else finish(lane))
