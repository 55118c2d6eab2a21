"""Figures of quality in CUDA: a picture a block, whose threads take neighbouring cells. All are whole numbers, so that no order matters.

A block goes over the cells once: it counts levels in shared memory, and notes steps over both lags and the outermost cells that are off a
corner's level, which end a bar. Then it looks at the second line behind each bar, and at the levels, whose counts are added up for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int32, int64

from tamis_kernels.device import in_batches, launch_blocks, on_device, to_device, to_host, xp
from tamis_kernels.quality import layout as the
from tamis_kernels.quality.cpu import logarithm

if TYPE_CHECKING:
    from tamis_kernels.types import Int32s, Int64s, Uint8s

PICTURES = 1 << 16  # at a time: some 200 MB at 1/8 scale
THREADS = 64  # of a block: 46 cells each of a picture of 62 x 47, and 32 such blocks are all that a multiprocessor holds
COPIES = 4  # of the counts: equal cells side by side would wait for one another
COUNTS = (COPIES, 257)  # copies of one level lie in different banks
NOTES = (9, THREADS + 1)  # what each thread has found, nine figures at a time
PARTS = 8  # of the threads' numbers, which are joined at the same time
i32, i64 = np.int32, np.int64


def measure_all(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, chroma: Uint8s, chroma_offsets: Int64s, logs: Int64s, figures: Int64s
) -> None:
    """Write the figures of each picture into its row."""

    def measure(first: int, last: int) -> None:
        begin, end = offsets[first], offsets[last]
        chroma_begin, chroma_end = chroma_offsets[first], chroma_offsets[last]
        sizes = chroma_offsets[first + 1 : last + 1] - chroma_offsets[first:last]
        pictures = to_device(pixels[begin:end]), offsets[first:last] - begin, shapes[first:last]
        colours = to_device(chroma[chroma_begin:chroma_end]), chroma_offsets[first:last] - chroma_begin, sizes
        to_host(measure_on_device(*pictures, *colours, logs), figures[first:last])

    in_batches(measure, len(shapes), PICTURES)


def measure_on_device(
    pixels: Any, begins: Int64s, shapes: Int64s, chroma: Any, chroma_begins: Int64s, chroma_sizes: Int64s, logs: Int64s
) -> Any:
    """Return the figures on the device, of pictures and chroma values there, one at least, that begin at the given places."""
    count = len(shapes)
    found = xp.zeros((count, len(the.FIGURES)), np.int64)
    places = [on_device(one) for one in (begins, shapes, chroma_begins, chroma_sizes, logs)]
    launch_blocks(measure_pictures, count, THREADS, pixels, chroma, *places, found)
    return found


@cuda.jit
def measure_pictures(
    pixels: Uint8s,
    chroma: Uint8s,
    begins: Int64s,
    shapes: Int64s,
    chroma_begins: Int64s,
    chroma_sizes: Int64s,
    logs: Int64s,
    figures: Int64s,
) -> None:
    """Measure a picture a block."""
    counts = cuda.shared.array(COUNTS, int32)  # a line each: the simulator tells arrays apart by their lines
    notes = cuda.shared.array(NOTES, int64)
    number, thread = cuda.blockIdx.x, cuda.threadIdx.x
    height, width, out = shapes[number, 0], shapes[number, 1], figures[number]
    picture = pixels[begins[number] : begins[number] + height * width]
    measure_chroma(chroma[chroma_begins[number] : chroma_begins[number] + chroma_sizes[number]], notes, thread, out)
    if picture.size > 0:
        measure_cells(picture, height, width, counts, notes, thread, out)
        add_up(counts, thread)  # all threads wait there, and then know where bars end
        measure_levels(picture.size, counts, logs, notes, thread, out)
        for side in range(4):
            notes[3 + side, thread] = strays_behind(picture, height, width, side, out[the.TOP + side], thread)
        found = joined(notes, thread, 9, 7)
        if thread < 9:
            if thread < 2:
                out[the.TOTAL + thread] = found
            elif thread == 2:
                out[the.ENTROPY] = (picture.size * logarithm(picture.size, logs) - found) // picture.size
            elif thread < 7:
                out[the.TOP_EDGE + thread - 3] = found
            else:
                out[the.MODE + thread - 7] = found


@cuda.jit(device=True)
def joined(notes: Int64s, thread: int, rows: int, sums: int) -> Any:
    """Return, to a thread for each row, what all noted in it: the sum in the first few rows, else the largest, of numbers from 0 on."""
    cuda.syncthreads()
    for part in range(thread, PARTS * rows, THREADS):
        row = part // PARTS
        notes[row, part % PARTS] = joined_part(notes, row, part % PARTS, THREADS, PARTS, row < sums)
    cuda.syncthreads()
    return joined_part(notes, thread, 0, PARTS, 1, thread < sums) if thread < rows else i64(0)


@cuda.jit(device=True)
def joined_part(notes: Int64s, row: np.uint64, first: np.uint64, last: int, step: int, adds: bool) -> Any:
    """Return the sum, or else the largest, of some numbers of a row."""
    total: Any = i64(0)
    largest: Any = i64(0)
    for place in range(first, last, step):
        noted = notes[row, place]
        total, largest = total + noted, max(largest, noted)
    return total if adds else largest


@cuda.jit(device=True)
def measure_chroma(colour: Uint8s, notes: Int64s, thread: int, out: Int64s) -> None:
    """Write the figures of chroma."""
    total, largest = i64(0), i64(0)
    for place in range(thread, colour.size, THREADS):
        away = i64(abs(i32(i32(colour[place]) - the.NEUTRAL)))
        total, largest = total + away, max(largest, away)
    notes[0, thread], notes[1, thread] = total, largest
    found = joined(notes, thread, 2, 1)
    if thread < 2:
        out[the.CHROMA + 2 - thread] = found
    if thread == 2:
        out[the.CHROMA] = colour.size


@cuda.jit(device=True)
def measure_cells(picture: Uint8s, height: int, width: int, counts: Int32s, notes: Int64s, thread: int, out: Int64s) -> None:
    """Count the levels; write steps, pairs and how wide the bars are."""
    for entry in range(thread, 256, THREADS):
        for copy in range(COPIES):
            counts[copy, entry] = 0
    cuda.syncthreads()
    first, last = i32(picture[0]), i32(picture[picture.size - 1])
    near = max(1, max(height, width) // the.LAG_SIDE)
    near_steps, far_steps = i64(0), i64(0)
    top = bottom = left = right = i32(0)
    row, column = i32(thread // width), i32(thread % width)
    rows, columns = i32(THREADS // width), i32(THREADS % width)  # that a thread goes on by
    for place in range(thread, picture.size, THREADS):
        level = i32(picture[place])
        cuda.atomic.add(counts, (thread % COPIES, level), 1)
        if abs(i32(level - first)) > the.BAR_TOLERANCE:
            top, left = max(top, i32(height - row)), max(left, i32(width - column))
        if abs(i32(level - last)) > the.BAR_TOLERANCE:
            bottom, right = max(bottom, i32(row + 1)), max(right, i32(column + 1))
        near_steps += squared_step(picture, place, level, near, column < i32(width - near))
        near_steps += squared_step(picture, place, level, near * width, row < i32(height - near))
        far_steps += squared_step(picture, place, level, 2 * near, column < i32(width - 2 * near))
        far_steps += squared_step(picture, place, level, 2 * near * width, row < i32(height - 2 * near))
        row, column = i32(row + rows), i32(column + columns)
        if column >= i32(width):
            row, column = i32(row + 1), i32(column - width)
    notes[0, thread], notes[1, thread] = near_steps, far_steps
    notes[2, thread], notes[3, thread], notes[4, thread], notes[5, thread] = top, bottom, left, right
    found = joined(notes, thread, 6, 2)
    if thread < 6:
        if thread < 2:
            lag = near << thread
            out[the.NEAR_STEPS + 2 * thread] = found
            out[the.NEAR_PAIRS + 2 * thread] = max(0, height - lag) * width + height * max(0, width - lag)
        else:
            out[the.TOP + thread - 2] = (height if thread < 4 else width) - found


@cuda.jit(device=True)
def squared_step(picture: Uint8s, place: np.uint64, level: np.int32, lag: int, there: bool) -> Any:
    """Return the square of the step from a cell to another, 0 where there is none."""
    step = i32(i32(picture[place + lag]) - level) if there else i32(0)
    return i64(step) * i64(step)


@cuda.jit(device=True)
def add_up(counts: Int32s, thread: int) -> None:
    """Make of the counts how many cells have a level or one below it, in the first row."""
    for level in range(thread, 256, THREADS):
        total = counts[0, level]
        for copy in range(1, COPIES):
            total += counts[copy, level]
        counts[0, level] = total
    cuda.syncthreads()
    for power in range(8):
        here, there, reach = power % 2, 1 - power % 2, 1 << power
        for level in range(thread, 256, THREADS):
            counts[there, level] = counts[here, level] + (counts[here, level - reach] if level >= reach else 0)
        cuda.syncthreads()


@cuda.jit(device=True)
def measure_levels(cells: int, upto: Int32s, logs: Int64s, notes: Int64s, thread: int, out: Int64s) -> None:
    """Write the figures that one level tells, and note shares of the others; `upto` is how many cells have a level or one below it."""
    total, squares, disorder, mode, near = i64(0), i64(0), i64(0), i64(0), i64(0)
    for level in range(thread, 256, THREADS):
        below = i64(upto[0, level - 1]) if level > 0 else i64(0)
        through = i64(upto[0, level])
        count: Any = through - below
        mode, near = max(mode, count), max(near, through - (i64(upto[0, level - the.SPAN]) if level >= the.SPAN else 0))
        total, squares, disorder = total + count * level, squares + count * level * level, disorder + count * logarithm(count, logs)
        if count > 0 and below == 0:
            out[the.DARKEST] = level
        if count > 0 and through == cells:
            out[the.BRIGHTEST] = level
        for share in range(len(the.PERCENTILES)):
            if 100 * below < the.PERCENTILES[share] * cells <= 100 * through:
                out[the.P1 + share] = level
        if level == 0:
            out[the.CELLS], out[the.BLACK] = cells, count
        if level == 255:
            out[the.WHITE] = count
    notes[0, thread], notes[1, thread], notes[2, thread] = total, squares, disorder
    notes[7, thread], notes[8, thread] = mode, near


@cuda.jit(device=True)
def strays_behind(picture: Uint8s, height: int, width: int, side: int, bar: int, thread: int) -> Any:
    """Return how many cells, of a thread's in the second line behind a bar, are off the level of its corner."""
    lines, cells = (height, width) if side < 2 else (width, height)
    line_step, cell_step = (width, 1) if side < 2 else (1, width)
    behind, last = min(bar + 1, lines - 1), picture.size - 1
    strays: Any = 0
    level = i64(picture[last if side % 2 else 0])
    for cell in range(thread, cells, THREADS):
        place = behind * line_step + cell * cell_step
        strays += abs(i64(picture[last - place if side % 2 else place]) - level) > the.BAR_TOLERANCE
    return strays
