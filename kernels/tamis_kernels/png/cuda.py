"""PNG's filters undone in CUDA as a wavefront, then a pixel a thread takes its level.

A row needs the row above it as far as it has come itself. So the threads of a block have a row each, and each is one chunk of bytes behind
the thread above. A row whose filter looks at itself alone begins a run of rows that hangs on nothing above: each run has a block.

A large picture passes the device in pieces of some rows; the last row of one stands above the first of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import in_batches, launch, launch_blocks, room, to_device, to_host, xp
from tamis_kernels.png.cpu import luma, paeth

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint32s

THREADS = 64  # rows under way
CHUNK = 64  # bytes from barrier to barrier
ROW_BYTES = 16  # of the device that a row takes beside its bytes
SUB = 1  # the last filter that does not look up
i32 = np.int32


def gray(lines: Uint8s, depth: int, channels: int, indexed: bool, place: Int64s, sums: Uint32s, out: Uint8s) -> None:
    """Fill out with the grey levels, or palette indices, of filtered lines; add colours to the sums of their cells."""
    step = max(1, depth * channels // 8)
    factor = 1 if indexed or depth >= 8 else 255 // ((1 << depth) - 1)
    size, totals = lines.shape[1] - 1, xp.array(sums)
    above = xp.zeros(size, np.uint8)

    def work(first: int, last: int) -> None:
        nonlocal above
        rows = last - first
        begins = np.flatnonzero((lines[first:last, 0] <= SUB) | (np.arange(rows) == 0))
        filtered, runs = to_device(lines[first:last]), to_device(np.append(begins, rows))
        done, levels, lowest = (xp.empty(shape, np.uint8) for shape in ((rows + 1, size), (rows, out.shape[1]), size))
        there = to_device(place + np.array([0, first * place[3], 0, 0]))
        done[0] = above
        launch_blocks(undo, begins.size, THREADS, filtered, runs, step, done)
        launch(take_levels, levels.size, done[1:], depth, channels, factor, there, totals, levels)
        to_host(levels, out[first:last])
        lowest[:] = done[-1]
        above = lowest

    in_batches(work, len(lines), max(1, room() // (2 * lines.shape[1] + out.shape[1] + ROW_BYTES)))
    if sums.size:
        to_host(totals, sums)


@cuda.jit
def undo(lines: Uint8s, runs: Int64s, step: int, done: Uint8s) -> None:
    """Undo the filters of a run of rows a block; the rows of `done` begin with the one above."""
    run, thread, size = cuda.blockIdx.x, cuda.threadIdx.x, done.shape[1]
    chunks = (size + CHUNK - 1) // CHUNK
    for top in range(runs[run], runs[run + 1], THREADS):
        row = top + thread
        for front in range(chunks + THREADS - 1):
            chunk = front - thread
            if row < runs[run + 1] and 0 <= chunk < chunks:
                undo_chunk(lines, row, step, chunk * CHUNK, min(size, (chunk + 1) * CHUNK), done)
            cuda.syncthreads()


@cuda.jit(device=True)
def undo_chunk(lines: Uint8s, row: int, step: int, first: int, last: int, done: Uint8s) -> None:
    """Undo the filter of a part of a row; what lies left of it and above it is done."""
    kind, above, row_done = lines[row, 0], done[row], done[row + 1]
    for i in range(first, last):
        left = up = corner = i32(0)
        if i >= step:
            left = i32(row_done[i - step])
        if kind > SUB:  # what lies above may be another block's
            up = i32(above[i])
            if i >= step:
                corner = i32(above[i - step])
        guess = i32(0)
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) >> 1
        elif kind == 4:
            guess = paeth(left, up, corner)
        row_done[i] = (i32(lines[row, 1 + i]) + guess) & 255


@cuda.jit
def take_levels(done: Uint8s, depth: int, channels: int, factor: int, place: Int64s, sums: Uint32s, out: Uint8s) -> None:
    """Take the level of a pixel a thread, and add its colours to its cell."""
    item = cuda.grid(1)
    if item >= out.size:
        return
    y, x = item // out.shape[1], item % out.shape[1]
    if depth < 8:
        each = 8 // depth
        byte: Any = done[y, x // each]
        out[y, x] = ((byte >> (8 - depth - x % each * depth)) & ((1 << depth) - 1)) * factor
        return
    sample = depth // 8
    at = x * sample * channels
    if channels < 3:
        out[y, x] = done[y, at]
        return
    red, green, blue = done[y, at], done[y, at + sample], done[y, at + 2 * sample]
    out[y, x] = luma(i32(red), i32(green), i32(blue))
    if sums.size:
        row, column = (place[1] + y * place[3]) >> 3, (place[0] + x * place[2]) >> 3
        cuda.atomic.add(sums, (row, column, 0), np.uint32(red))
        cuda.atomic.add(sums, (row, column, 1), np.uint32(green))
        cuda.atomic.add(sums, (row, column, 2), np.uint32(blue))
