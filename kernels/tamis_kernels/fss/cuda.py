"""Fast Similarity Sketching in CUDA: a block a row, its slots in shared memory.

Each thread deals out every THREADS-th element by an atomic minimum on the slot that the element chooses; the block stops after the round
that leaves no slot empty. What is still empty gets the least affine image of all elements, a slot a thread, the elements mixed once a tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.device import launch_blocks, streamed, to_device, xp
from tamis_kernels.errors import ArgumentError
from tamis_kernels.fss.cpu import splitmix64, tagged
from tamis_kernels.minhash.cpu import image
from tamis_kernels.ngram_keys.cuda import keys_of, token_keys_of
from tamis_kernels.ngrams.cuda import find_units, stream_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

THREADS = 128
TILE = 128
MOST_SLOTS = 8192  # 32 KB of shared memory
i32, u32, u64 = np.int32, np.uint32, np.uint64
EMPTY = u32(0xFFFFFFFF)


def signatures(
    hashes: NDArray[np.uint32] | NDArray[np.uint64],
    row_offsets: NDArray[np.int64],
    mixes: NDArray[np.uint64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the signature of each row into `out`, which comes filled with 0xFFFFFFFF."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        some = hashes[row_offsets[first] : row_offsets[last]]
        return some.astype(u64, copy=False), row_offsets[first : last + 1] - row_offsets[first]

    stream_rows(8 * row_offsets, give, lambda elements: elements, mixes, a, b, out)


def text_signatures(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    validity: NDArray[np.bool_],
    unit: int,
    ngram: int,
    mixes: NDArray[np.uint64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the signature of each row's set of n-grams into `out`; their keys stay on the device."""

    def work(text: Any, bounds: Any, there: Any, found: Any) -> None:
        units = find_units(text, bounds, there, unit)
        gram_rows = units.gram_rows(ngram)
        sketch_into(keys_of(units, unit, ngram, gram_rows), gram_rows, mixes, a, b, found)

    stream_texts(data, offsets, validity, work, out)


def token_signatures(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    row_offsets: NDArray[np.int64],
    mixes: NDArray[np.uint64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the signature of each row of tokens into `out`; their keys stay on the device."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        start, stop = row_offsets[first], row_offsets[last]
        bounds = offsets[start : stop + 1] - offsets[start]
        return data[offsets[start] : offsets[stop]], bounds, row_offsets[first : last + 1] - start

    stream_rows(offsets[row_offsets] + 16 * row_offsets, give, token_keys_of, mixes, a, b, out)


def stream_rows(
    sizes: NDArray[np.int64],
    give: Callable[[int, int], Sequence[NDArray[Any]]],
    elements_of: Callable[..., Any],
    mixes: NDArray[np.uint64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the signatures of rows in batches.

    `sizes` are bytes before each row, `give` returns what rows first … last - 1 need, where each begins last; `elements_of` makes elements
    of the rest on the device.
    """

    def work(first: int, last: int, *there: Any) -> tuple[Any]:
        found = xp.empty((last - first, out.shape[1]), u32)
        sketch_into(elements_of(*there[:-1]), there[-1], mixes, a, b, found)
        return (found,)

    streamed(sizes + (out[:1].nbytes + 8) * np.arange(sizes.size), give, work, lambda first, last: (out[first:last],))


def sketch_into(
    elements: Any, row_offsets: Any, mixes: NDArray[np.uint64], a: NDArray[np.uint32], b: NDArray[np.uint32], found: Any
) -> None:
    """Write signatures on the device."""
    rows, slots = found.shape
    if slots > MOST_SLOTS:
        message = f"on CUDA a signature has at most {MOST_SLOTS} slots, got {slots}; use backend='cpu' for longer ones"
        raise ArgumentError(message)
    if rows:
        permutations = (to_device(one) for one in (mixes, a, b))
        launch_blocks(sketch, rows, THREADS, elements, row_offsets, *permutations, found, shared=4 * slots)


@cuda.jit
def sketch(
    elements: NDArray[np.uint64],
    row_offsets: NDArray[np.int64],
    mixes: NDArray[np.uint64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Write the signature of the row that the block has."""
    slots = cuda.shared.array(0, uint32)
    tile = cuda.shared.array(TILE, uint32)
    row, thread, count = cuda.blockIdx.x, cuda.threadIdx.x, out.shape[1]
    start, stop = row_offsets[row], row_offsets[row + 1]
    for slot in range(thread, count, THREADS):
        slots[slot] = EMPTY
    cuda.syncthreads()
    empty = 1
    for number in range(3):
        if empty:
            for i in range(start + thread, stop, THREADS):
                mixed = splitmix64(u64(elements[i] + mixes[number]))
                place = u64(u64(mixed & u64(0xFFFFFFFF)) * u64(count)) >> u64(32)
                cuda.atomic.min(slots, place, u32(u32(mixed >> u64(34)) | u32(number << 30)))
            cuda.syncthreads()
            empty = cuda.syncthreads_or(i32(holds_empty(slots, thread, count)))
    for first in range(0, count, THREADS):
        slot = first + thread
        wanted = slot < count and slots[min(slot, count - 1)] == EMPTY
        if stop > start and cuda.syncthreads_or(i32(wanted)):
            least = EMPTY
            for begin in range(start, stop, TILE):
                size = min(TILE, stop - begin)
                cuda.syncthreads()
                for i in range(thread, size, THREADS):
                    tile[i] = u32(splitmix64(u64(elements[begin + i] + mixes[3])) & u64(0xFFFFFFFF))
                cuda.syncthreads()
                if wanted:
                    for i in range(size):
                        least = min(least, image(a[slot], b[slot], tile[i]))
            if wanted:
                slots[slot] = tagged(least)
        if slot < count:
            out[row, slot] = slots[slot]


@cuda.jit(device=True)
def holds_empty(slots: NDArray[np.uint32], thread: int, count: int) -> bool:
    """Return whether one of this thread's slots is empty."""
    found = False
    for slot in range(thread, count, THREADS):
        found |= slots[slot] == EMPTY
    return found
