"""PDQ in CUDA, a block a picture, and the 64-bit hash likewise: in whole numbers, which are those of the CPU whatever their order.

The filter needs no room between its axes: a thread weighs the few cells of one of the 64 x 64 blocks. Neighbouring threads read
neighbouring cells, which a picture at 1/8 scale keeps in the first-level cache. From the blocks on all is in shared memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int32, int64, uint64

from tamis_kernels.device import in_batches, launch, launch_blocks, mapped, on_device, streamed, to_device, to_host, uniform, xp
from tamis_kernels.perceptual import cpu
from tamis_kernels.perceptual.blocks import BLOCKS, SMALLEST_SIDE, tables_of
from tamis_kernels.perceptual.cpu import VARIANTS, part_rows, transpose_rows, turn_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int32s, Int64s, Uint8s, Uint64s

THREADS = 256
SMALL_THREADS = 64  # of the 64-bit hash: a coefficient each
PICTURES = 1 << 16  # at a time
SIZE = BLOCKS * BLOCKS
LINES = 16 * BLOCKS  # of blocks, by the frequencies down
i64, u64 = np.int64, np.uint64


def hash_forms(pixels: Uint8s, scale: int, height: int, width: int, cosines: Float64s, out: Uint64s) -> int:
    """Write the hashes of a picture as it is, and turned and flipped, into as many rows as `out` has; return the quality.

    One pixel level is `scale` sixteenths of a grey level.
    """
    shape = np.array([[height, width]], np.int64)
    hashes, qualities, _ = hash_on_device(to_device(pixels.reshape(-1)), scale, np.zeros(1, np.int64), shape, shape, cosines, len(out))
    to_host(hashes[0], out)
    return int(qualities[0])


def hash_batch(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, extents: Int64s, cosines: Float64s, hashes: Uint64s, qualities: Uint8s, small: Uint8s
) -> None:
    """Hash and shrink each of the pictures that lie end to end in `pixels`."""

    def work(first: int, last: int) -> None:
        begins = offsets[first:last] - offsets[first]
        there = to_device(pixels[offsets[first] : offsets[last]])
        found = hash_on_device(there, 16, begins, shapes[first:last], extents[first:last], cosines, 1)
        to_host(found[0][:, 0], hashes[first:last])
        to_host(found[1], qualities[first:last])
        to_host(found[2], small[first:last])

    in_batches(work, len(shapes), PICTURES)


def hash_on_device(
    pixels: Any, scale: int, begins: Int64s, shapes: Int64s, extents: Int64s, cosines: Float64s, forms: int
) -> tuple[Any, Any, Any]:
    """Return hashes [n, forms, 4], qualities and small pictures on the device, of pictures there that begin at the given pixels."""
    count = len(shapes)
    tables, starts, weights = tables_of(extents, shapes)
    lengths = np.where(weights != 0, np.arange(1, weights.shape[2] + 1), 0).max(axis=2)  # of each block, without zeros behind
    found = xp.zeros((count, forms, 4), np.uint64), xp.zeros(count, np.uint8), xp.zeros((count, 256), np.uint8)
    if count:
        places = (on_device(one) for one in (begins, shapes, extents, tables, starts, lengths.astype(np.int32), weights))
        launch_blocks(hash_pictures, count, THREADS, pixels, scale, *places, on_device(cosines.astype(np.int32)), *found)
    return found


@cuda.jit
def hash_pictures(
    pixels: Any,
    scale: int,
    begins: Int64s,
    shapes: Int64s,
    extents: Int64s,
    tables: Int64s,
    starts: Int64s,
    lengths: Int32s,
    weights: Int32s,
    cosines: Int32s,
    hashes: Uint64s,
    qualities: Uint8s,
    small: Uint8s,
) -> None:
    """Hash and shrink a picture a block, in as many forms as there is room for."""
    blocks = cuda.shared.array(SIZE, int32)  # a line each: the simulator tells arrays apart by their lines
    vertical = cuda.shared.array(LINES, int32)
    upright = cuda.shared.array(256, int64)
    turned = cuda.shared.array(256, int64)
    words = cuda.shared.array(4, uint64)
    noted = cuda.shared.array(1, int64)
    number, thread = cuda.blockIdx.x, cuda.threadIdx.x
    if min(extents[number, 0], extents[number, 1]) < SMALLEST_SIDE:
        return
    begin, width, rows, columns = begins[number], shapes[number, 1], tables[number, 0], tables[number, 1]
    for place in range(thread, SIZE, THREADS):
        row, column = place // BLOCKS, place % BLOCKS
        first, total = starts[columns, column], i64(0)
        for y in range(lengths[rows, row]):
            line, cells = begin + (starts[rows, row] + y) * width + first, i64(0)
            for x in range(lengths[columns, column]):
                cells += i64(weights[columns, column, x]) * i64(pixels[line + x])
            total += i64(weights[rows, row, y]) * cells
        blocks[place] = (total * scale + (1 << 27)) >> 28
    if thread == 0:
        noted[0] = 0
    cuda.syncthreads()
    cuda.atomic.add(noted, 0, gradients(blocks, thread))
    for place in range(thread, 256, THREADS):
        small[number, place] = mean_of(blocks, place)
    for place in range(thread, LINES, THREADS):
        frequency, column, total = place // BLOCKS, place % BLOCKS, i64(0)
        for row in range(BLOCKS):
            total += i64(cosines[frequency, row]) * i64(blocks[BLOCKS * row + column])
        vertical[place] = (total + (1 << 19)) >> 20
    cuda.syncthreads()
    if thread == 0:
        qualities[number] = min(100, noted[0] // 90)
    for place in range(thread, 256, THREADS):
        total, line = i64(0), place // 16 * BLOCKS
        for column in range(BLOCKS):
            total += i64(cosines[place % 16, column]) * i64(vertical[line + column])
        upright[place] = total
    for form in range(hashes.shape[1]):
        cuda.syncthreads()  # the last form is written, the coefficients are there, and `noted` was read
        for place in range(thread, 256, THREADS):
            turned[turned_place(form, place)] = -upright[place] if turns_sign(form, place) else upright[place]
        if thread < 4:
            words[thread] = 0
        cuda.syncthreads()
        for place in range(thread, 256, THREADS):
            if rank_of(turned, place, 256) == 127:
                noted[0] = turned[place]
        cuda.syncthreads()
        for place in range(thread, 256, THREADS):
            if turned[place] > noted[0]:
                cuda.atomic.or_(words, place // 64, u64(1) << u64(place % 64))
        cuda.syncthreads()
        if thread < 4:
            hashes[number, form, thread] = words[thread]


@cuda.jit(device=True)
def gradients(blocks: Int32s, thread: int) -> Any:
    """Return the sum of a thread's gradients between neighbouring blocks, each cut to whole percents of the range."""
    total = i64(0)
    for place in range(thread, SIZE, THREADS):
        if place % BLOCKS + 1 < BLOCKS:
            total += abs(i64(blocks[place]) - i64(blocks[place + 1])) * 100 // (255 << 16)
        if place + BLOCKS < SIZE:
            total += abs(i64(blocks[place]) - i64(blocks[place + BLOCKS])) * 100 // (255 << 16)
    return total


@cuda.jit(device=True)
def mean_of(blocks: Int32s, place: int) -> Any:
    """Return a pixel of the small picture: the mean of 4 x 4 blocks."""
    total: Any = i64(0)
    for row in range(4 * (place // 16), 4 * (place // 16) + 4):
        for column in range(4 * (place % 16), 4 * (place % 16) + 4):
            total += blocks[BLOCKS * row + column]
    return min(255, max(0, (total + (1 << 19)) >> 20))


@cuda.jit(device=True)
def turned_place(form: int, place: int) -> int:
    """Return where a coefficient stands in a turned picture."""
    return place % 16 * 16 + place // 16 if VARIANTS[form][0] else place


@cuda.jit(device=True)
def turns_sign(form: int, place: int) -> bool:
    """Return whether a coefficient has the other sign in a turned picture: a flip turns that of odd frequencies."""
    _, rows_flipped, columns_flipped = VARIANTS[form]
    return (rows_flipped and place // 16 % 2 == 0) != (columns_flipped and place % 2 == 0)


@cuda.jit(device=True)
def rank_of(values: Int64s, own: int, size: int) -> int:
    """Return how many values stand before one in a stable order, so that each rank is had once."""
    rank, value = 0, values[own]
    for other in range(size):
        rank += values[other] < value or (values[other] == value and other < own)
    return rank


def correlate(left: Uint8s, right: Uint8s, out: Float64s) -> None:
    """Write how alike pairs of small pictures are: the largest of the correlations of the wholes and of their halves."""

    def correlated(first: int, last: int, one: Any, other: Any) -> tuple[Any]:
        found = xp.empty(last - first, np.float64)
        launch(correlate_pairs, last - first, one, other, found)
        return (found,)

    sizes = uniform(out.size, 2 * left[:1].nbytes + 8)
    streamed(sizes, lambda a, b: (left[a:b], right[a:b]), correlated, lambda a, b: (out[a:b],))


def turn(hashes: Uint64s, out: Uint64s) -> None:
    """Write, per hash, those of the eight turned and flipped pictures as far as the hash alone tells them."""
    _each(turn_hashes, hashes, out)


def part(hashes: Uint64s, out: Uint64s) -> None:
    """Write the bits of each hash ordered by the parities of their frequencies."""
    _each(part_hashes, hashes, out)


def transpose(parted: Uint64s, out: Uint64s) -> None:
    """Write the parted hashes of the transposed pictures."""
    _each(transpose_hashes, parted, out)


def _each(kernel: Any, hashes: Uint64s, out: Uint64s) -> None:
    def made(some: Any) -> Any:
        found = xp.empty((len(some), *out.shape[1:]), np.uint64)
        launch(kernel, len(some), some, found)
        return found

    mapped(made, hashes, out)


@cuda.jit
def correlate_pairs(left: Uint8s, right: Uint8s, out: Float64s) -> None:
    """Correlate a pair a thread, by the function of the CPU."""
    i = cuda.grid(1)
    if i < out.size:
        cpu.correlate(left[i : i + 1], right[i : i + 1], out[i : i + 1])


@cuda.jit
def turn_hashes(hashes: Uint64s, out: Uint64s) -> None:
    """Turn a hash a thread, by the function of the CPU."""
    i = cuda.grid(1)
    if i < hashes.shape[0]:
        turn_rows(i, i + 1, hashes, out)


@cuda.jit
def part_hashes(hashes: Uint64s, out: Uint64s) -> None:
    """Part a hash a thread, by the function of the CPU."""
    i = cuda.grid(1)
    if i < hashes.shape[0]:
        part_rows(i, i + 1, hashes, out)


@cuda.jit
def transpose_hashes(parted: Uint64s, out: Uint64s) -> None:
    """Transpose a parted hash a thread, by the function of the CPU."""
    i = cuda.grid(1)
    if i < parted.shape[0]:
        transpose_rows(i, i + 1, parted, out)


def hash_64(pictures: Uint8s, cosines: Float64s, out: Uint64s) -> None:
    """Write the 64 bits of each picture: which of 8 x 8 coefficients lie above the mean of the two in the middle."""

    def work(first: int, last: int) -> None:
        found = xp.empty(last - first, np.uint64)
        there = to_device(pictures[first:last]), to_device(cosines.astype(np.int32))
        launch_blocks(hash_squares, last - first, SMALL_THREADS, *there, found)
        to_host(found, out[first:last])

    in_batches(work, len(pictures), PICTURES)


@cuda.jit
def hash_squares(pictures: Uint8s, cosines: Int32s, out: Uint64s) -> None:
    """Hash a picture of 32 x 32 a block."""
    lines = cuda.shared.array(256, int32)
    coefficients = cuda.shared.array(64, int64)
    middle = cuda.shared.array(2, int64)
    word = cuda.shared.array(1, uint64)
    number, thread = cuda.blockIdx.x, cuda.threadIdx.x
    for place in range(thread, 256, SMALL_THREADS):
        total = i64(0)
        for row in range(32):
            total += i64(cosines[place // 32, row]) * i64(pictures[number, row, place % 32])
        lines[place] = (total + (1 << 7)) >> 8
    if thread == 0:
        word[0] = 0
    cuda.syncthreads()
    for place in range(thread, 64, SMALL_THREADS):
        total = i64(0)
        for column in range(32):
            total += i64(cosines[place % 8, column]) * i64(lines[32 * (place // 8) + column])
        coefficients[place] = total
    cuda.syncthreads()
    for place in range(thread, 64, SMALL_THREADS):
        rank = rank_of(coefficients, place, 64)
        if 31 <= rank <= 32:
            middle[rank - 31] = coefficients[place]
    cuda.syncthreads()
    for place in range(thread, 64, SMALL_THREADS):
        if 2 * coefficients[place] > middle[0] + middle[1]:
            cuda.atomic.or_(word, 0, u64(1) << u64(place))
    cuda.syncthreads()
    if thread == 0:
        out[number] = word[0]
