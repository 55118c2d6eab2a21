"""MinHash signatures in CUDA.

A warp takes so many places, of which an element has one and a row some more: many short rows, or a part of a long one, are like work. A
thread holds four permutations for all of them, and the minima of a row, in registers; the hashes, mixed once, stand in shared memory, from
where all threads read the same one at a time. So an image costs a multiply-add and a minimum and no access to memory of its own. Parts of
a row that several warps have meet in the signature by an atomic minimum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.cuda_rows import first_row
from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.minhash.cpu import HELD, fmix32, image
from tamis_kernels.ngrams.cuda import find_units, hashes_of, stream_texts

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s

    Four = tuple[np.uint32, np.uint32, np.uint32, np.uint32]

THREADS = 32  # a warp, whose barriers wait for no other one; of four permutations each: 128 slots in one round
PLACES = 2048  # that a warp takes
ROW_PLACES = 8  # what a row costs beside its elements, in elements
TILE = 256
u32, u64 = np.uint32, np.uint64
EMPTY = u32(0xFFFFFFFF)


def signatures(hashes: Uint32s, row_offsets: Int64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the least images of each row's hashes into row i of `out`, which comes filled with 0xFFFFFFFF."""
    streamed(
        4 * row_offsets + (out[:1].nbytes + row_offsets.itemsize) * np.arange(row_offsets.size),
        lambda first, last: (hashes[row_offsets[first] : row_offsets[last]], row_offsets[first : last + 1] - row_offsets[first]),
        lambda _first, _last, some, bounds: (signatures_of(some, bounds, a, b),),
        lambda first, last: (out[first:last],),
    )


def text_signatures(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the least images of the hashes of each row's n-grams, which stay on the device, into row i of `out`."""

    def work(text: Any, bounds: Any, there: Any) -> Any:
        units = find_units(text, bounds, there, unit)
        gram_rows = units.gram_rows(ngram)
        return signatures_of(hashes_of(units, unit, ngram, gram_rows), gram_rows, a, b)

    stream_texts(data, offsets, validity, work, out)


def signatures_of(hashes: Any, row_offsets: Any, a: Uint32s, b: Uint32s) -> Any:
    """Return signatures on the device."""
    rows = row_offsets.size - 1
    found = xp.full((rows, a.size), EMPTY, u32)
    if hashes.size:
        blocks = -(-(hashes.size + ROW_PLACES * rows) // PLACES), -(-a.size // (4 * THREADS))
        launch_blocks(lower, blocks, THREADS, hashes, row_offsets, to_device(a), to_device(b), found)
    return found


@cuda.jit
def lower(hashes: Uint32s, row_offsets: Int64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Lower four slots a thread of the rows that the block has places of."""
    tile = cuda.shared.array(TILE, uint32)
    thread, rows = cuda.threadIdx.x, row_offsets.size - 1
    slot = cuda.blockIdx.y * 4 * THREADS + thread
    multipliers, increments = four(a, slot), four(b, slot)
    row = first_row(row_offsets, cuda.blockIdx.x * PLACES + 1, ROW_PLACES) - 1
    limit = (cuda.blockIdx.x + 1) * PLACES - ROW_PLACES * row  # the places end here, were all of them elements of this row
    at = min(limit - PLACES, row_offsets[row + 1])
    whole = limit - PLACES == row_offsets[row]
    tiled = at - TILE  # where the tile begins
    while row < rows and at < limit:
        stop = min(row_offsets[row + 1], limit)
        if at < stop:
            whole &= stop == row_offsets[row + 1]
            least = EMPTY, EMPTY, EMPTY, EMPTY
            while at < stop:
                if at == tiled + TILE:
                    tiled = at
                    cuda.syncthreads()
                    stage(hashes, tiled, min(limit, hashes.size), tile, thread)
                    cuda.syncthreads()
                upto = min(stop, tiled + TILE)
                place, left, at = u64(at - tiled), u32(upto - at), upto
                while left >= u32(HELD):  # unrolled, and counted in 32 bits: else the loop costs more than the work
                    for j in range(HELD):
                        least = lowered(least, multipliers, increments, tile[u64(place + u64(j))])
                    place, left = u64(place + u64(HELD)), u32(left - u32(HELD))
                while left > u32(0):
                    least = lowered(least, multipliers, increments, tile[place])
                    place, left = u64(place + u64(1)), u32(left - u32(1))
            if whole:
                put(out[row], slot, least)
            else:
                lower_slots(out, row, slot, least)
        row, limit, whole = row + 1, limit - ROW_PLACES, True


@cuda.jit(device=True)
def four(values: Uint32s, slot: int) -> Four:
    """Return what a thread's slots have; those beyond the last do its work once more, which does no harm."""
    last = values.size - 1
    return (
        values[min(slot, last)],
        values[min(slot + THREADS, last)],
        values[min(slot + 2 * THREADS, last)],
        values[min(slot + 3 * THREADS, last)],
    )


@cuda.jit(device=True)
def lowered(least: Four, a: Four, b: Four, value: np.uint32) -> Four:
    """Return the lesser ones of four images of a mixed hash and what was least."""
    return (
        min(least[0], image(a[0], b[0], value)),
        min(least[1], image(a[1], b[1], value)),
        min(least[2], image(a[2], b[2], value)),
        min(least[3], image(a[3], b[3], value)),
    )


@cuda.jit(device=True)
def stage(hashes: Uint32s, begin: int, end: int, tile: Uint32s, thread: int) -> None:
    """Mix up to TILE hashes into shared memory, and the last again where there are fewer; four loads wait for memory together."""
    last = u32(min(end - begin, TILE) - 1)
    for part in range(0, TILE, 4 * THREADS):
        first = u32(part + thread)
        second, third, fourth = u32(first + u32(THREADS)), u32(first + u32(2 * THREADS)), u32(first + u32(3 * THREADS))
        h0, h1 = hashes[u64(begin) + u64(min(first, last))], hashes[u64(begin) + u64(min(second, last))]
        h2, h3 = hashes[u64(begin) + u64(min(third, last))], hashes[u64(begin) + u64(min(fourth, last))]
        tile[first], tile[second], tile[third], tile[fourth] = fmix32(h0), fmix32(h1), fmix32(h2), fmix32(h3)


@cuda.jit(device=True)
def put(slots: Uint32s, slot: int, least: Four) -> None:
    """Write a thread's slots, as many as there are."""
    place, left = u64(slot), slots.size - slot
    if left > 0:
        slots[place] = least[0]
    if left > THREADS:
        slots[u64(place + u64(THREADS))] = least[1]
    if left > 2 * THREADS:
        slots[u64(place + u64(2 * THREADS))] = least[2]
    if left > 3 * THREADS:
        slots[u64(place + u64(3 * THREADS))] = least[3]


@cuda.jit(device=True)
def lower_slots(out: Uint32s, row: int, slot: int, least: Four) -> None:
    """Lower a thread's slots of a row that other blocks lower too."""
    last = out.shape[1] - 1
    cuda.atomic.min(out, (row, min(slot, last)), least[0])
    cuda.atomic.min(out, (row, min(slot + THREADS, last)), least[1])
    cuda.atomic.min(out, (row, min(slot + 2 * THREADS, last)), least[2])
    cuda.atomic.min(out, (row, min(slot + 3 * THREADS, last)), least[3])
