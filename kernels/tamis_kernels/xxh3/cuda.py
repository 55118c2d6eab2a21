"""XXH3 of 128 bits in CUDA, by the processor's own functions of a record.

Records of up to 240 bytes are a thread's, and pass shared memory. Longer ones have eight threads, one for each of the eight sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint8, uint64

from tamis_kernels.cuda_tiles import bring
from tamis_kernels.device import launch_blocks, streamed, xp
from tamis_kernels.ngram_keys.cpu import eight_bytes
from tamis_kernels.xxh3.cpu import (
    ACCUMULATORS,
    PRIME64_1,
    PRIME64_2,
    STRIPE,
    STRIPES_PER_BLOCK,
    merged,
    middle_hash,
    product_of,
    scrambled,
    secret_word,
    short_hash,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Int64s, Uint8s, Uint64s

i32, u64 = np.int32, np.uint64
THREADS = 32  # of a block: a warp, which waits for none but itself
SHORT = 240  # bytes of a record that one thread hashes
PITCH = 244  # bytes from one record to the next in shared memory, an odd number of words
TILE = THREADS * PITCH
NEAR = 768  # bytes of a block's records that are read where they lie: each load touches no more than six or seven lines
RECORDS = 4  # of eight threads each, that a block hashes side by side
SUMS = (RECORDS, 8)
KEYS = 24  # words of the secret


def hash128(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the upper and the lower half of the hash of each record."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        bounds = offsets[first : last + 1]
        return data[bounds[0] : bounds[-1]], bounds - bounds[0], np.flatnonzero(np.diff(bounds) > SHORT)

    streamed(offsets + (8 + 8 + 16) * np.arange(offsets.size), give, _hashed, lambda first, last: (out[first:last],))


def _hashed(first: int, last: int, data: Any, offsets: Any, long: Any) -> tuple[Any]:
    found = xp.empty((last - first, 2), u64)
    if long.size < last - first:
        launch_blocks(hash_short, -(-(last - first) // THREADS), THREADS, data, offsets, found)
    if long.size:
        launch_blocks(hash_long, -(-long.size // RECORDS), 8 * RECORDS, data, offsets, long, found)
    return (found,)


@cuda.jit
def hash_short(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Hash a record of up to 240 bytes a thread."""
    tile = cuda.shared.array(TILE, uint8)
    thread, row = cuda.threadIdx.x, cuda.grid(1)
    first, count = row - thread, out.shape[0]
    start, size = offsets[min(row, count)], offsets[min(row + 1, count)] - offsets[min(row, count)]
    source = data
    if offsets[min(first + THREADS, count)] - offsets[first] > NEAR:
        bring(data, offsets, row, 0, tile, thread, PITCH, SHORT)
        cuda.syncthreads()
        source, start = tile, PITCH * thread
    if row < count and size <= 16:
        out[row, 0], out[row, 1] = short_hash(source, u64(start), size)
    elif row < count and size <= SHORT:
        out[row, 0], out[row, 1] = middle_hash(source, u64(start), size)


@cuda.jit
def hash_long(data: Uint8s, offsets: Int64s, long: Int64s, out: Uint64s) -> None:
    """Hash a record of more than 240 bytes by eight threads.

    A stripe adds eight words to the eight sums, each to its neighbour's, and a product of each to its own. So until the sums are scrambled,
    after sixteen stripes, a thread adds up its words apart from its products; then neighbours exchange them.
    """
    words = cuda.shared.array(SUMS, uint64)  # a line each: the simulator tells arrays apart by their lines
    keys = cuda.shared.array(KEYS, uint64)
    slot, lane = cuda.threadIdx.x // 8, cuda.threadIdx.x % 8
    number = cuda.blockIdx.x * RECORDS + slot
    row = long[min(number, long.size - 1)]
    start, size = u64(offsets[row] + 8 * lane), offsets[row + 1] - offsets[row]
    stripes = (size - 1) // STRIPE
    for place in range(cuda.threadIdx.x, KEYS, 8 * RECORDS):
        keys[place] = secret_word(8 * place)
    begin, total = 0, ACCUMULATORS[lane]
    while cuda.syncthreads_or(i32(begin < stripes)):
        added, products, end = u64(0), u64(0), min(begin + STRIPES_PER_BLOCK, stripes)
        for stripe in range(begin, end):
            word = eight_bytes(data, start + u64(STRIPE * stripe))
            added += word
            products += product_of(word ^ keys[stripe - begin + lane])
        words[slot, lane] = added
        cuda.syncthreads()
        total += products + words[slot, lane ^ 1]
        begin += STRIPES_PER_BLOCK
        if begin <= stripes:
            total = scrambled(total, lane)
    word = eight_bytes(data, start + u64(size - STRIPE))
    words[slot, lane] = word
    cuda.syncthreads()
    total += product_of(word ^ secret_word(121 + 8 * lane)) + words[slot, lane ^ 1]
    cuda.syncthreads()
    words[slot, lane] = total
    cuda.syncthreads()
    if number < long.size and lane == 0:
        out[row, 0] = merged(words[slot], 117, ~(u64(size) * PRIME64_2))
    if number < long.size and lane == 1:
        out[row, 1] = merged(words[slot], 11, u64(size) * PRIME64_1)
