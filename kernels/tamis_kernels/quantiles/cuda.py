"""Radix histograms in CUDA, and selection by a mask.

Leading digits of values that are measured lie close together, so that most additions would meet at a few counters of global memory: a block
counts those of ordinary magnitude in shared memory first. Digits behind a prefix differ more, and few values have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.device import in_batches, launch, launch_blocks, room, streamed, to_device, to_host, uniform, xp
from tamis_kernels.quantiles.cpu import bits_of, key_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Floats, Int64s, Uint64s

ITEMS = 16  # values a thread
THREADS = 256  # of a block that shares counters
TURNS, STEP = 16, 8  # a thread's values, STEP of which it asks for at once; a block's are fewer than 2^16, which a counter holds
MAGNITUDES = 4096  # about 1 that have counters in shared memory
WORDS = MAGNITUDES + 1
FILTER = 2048  # words of a bit for each end of a prefix
i32, i64, u32, u64 = np.int32, np.int64, np.uint32, np.uint64


def count(values: Floats, prefixes: Uint64s, shift: int, histogram: Int64s) -> None:
    """Count the bits above `shift` of each key, as many as the histogram is wide, in the row of the prefix that stands before them."""
    total = to_device(histogram)
    digit = histogram.shape[1].bit_length() - 1
    known = to_device(prefixes)
    patterns, infinity, sign = _bits(values)

    one = int(np.ones(1, values.dtype).view(patterns.dtype)[0]) >> shift

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        if shift + digit == 8 * values.itemsize and digit == 16:
            blocks = -(-part.size // (THREADS * TURNS * STEP))
            launch_blocks(count_leading, blocks, THREADS, part, infinity, sign, shift, one - MAGNITUDES // 2, total.reshape(-1))
        else:
            launch(count_digits, -(-part.size // ITEMS), part, infinity, sign, known, shift, digit, total.reshape(-1))
        return ()

    streamed(uniform(values.size, values.itemsize), lambda first, last: (patterns[first:last],), add)
    to_host(total, histogram)


def select(values: Floats, prefixes: Uint64s, shift: int, out: Floats) -> int:
    """Copy the values whose key has one of the prefixes above `shift` to `out` and return how many there are."""
    patterns, infinity, sign = _bits(values)
    known, target, many = to_device(prefixes), out.view(patterns.dtype), 0

    def pick(first: int, last: int) -> None:
        nonlocal many
        part, wanted = to_device(patterns[first:last]), xp.zeros(last - first, np.bool_)
        launch_blocks(mark, -(-(last - first) // (THREADS * TURNS)), THREADS, part, infinity, sign, known, shift, wanted)
        found = part[wanted]
        to_host(found, target[many : many + found.size])
        many += int(found.size)

    in_batches(pick, values.size, max(1, room() // (4 * values.itemsize)))
    return many


def _bits(values: Floats) -> tuple[NDArray[Any], np.uint64, np.uint64]:
    """Return the patterns of the values, that of infinity and that of the sign."""
    patterns, infinity, sign = bits_of(values)
    return patterns, u64(infinity), u64(sign)


@cuda.jit(device=True)
def ordered(pattern: Any, sign: np.uint64) -> Any:
    """Return the key of a pattern of as many bits as the sign is high."""
    return key_of(u64(pattern), sign) & (sign | (sign - u64(1)))


@cuda.jit(device=True)
def row_of_prefix(prefixes: Uint64s, prefix: np.uint64) -> int:
    """Return where a prefix stands among the ascending ones, or -1."""
    place, left = i32(0), i32(prefixes.size)
    while left > 1:
        half = i32(left >> 1)
        place = i32(place + half) if prefixes[place + half] <= prefix else place
        left = i32(left - half)
    return int(place) if left and prefixes[place] == prefix else -1


@cuda.jit
def count_leading(bits: Any, infinity: np.uint64, sign: np.uint64, shift: int, least: int, histogram: Int64s) -> None:
    """Count the leading 16 bits of a block's keys; `least` is the least magnitude, of 15 bits, that has a counter in shared memory.

    A word counts values of a magnitude without a sign below, and with it above; the last word counts zeros.
    """
    words = cuda.shared.array(WORDS, uint32)
    thread, first = cuda.threadIdx.x, i64(cuda.blockIdx.x) * (THREADS * TURNS * STEP) + cuda.threadIdx.x
    for word in range(thread, WORDS, THREADS):
        words[word] = u32(0)
    cuda.syncthreads()
    last = i64(bits.size - 1)
    for turn in range(TURNS):
        k = first + turn * (THREADS * STEP)
        if k <= last:
            some = (
                bits[k], bits[min(k + THREADS, last)], bits[min(k + 2 * THREADS, last)], bits[min(k + 3 * THREADS, last)],
                bits[min(k + 4 * THREADS, last)], bits[min(k + 5 * THREADS, last)], bits[min(k + 6 * THREADS, last)],
                bits[min(k + 7 * THREADS, last)],
            )  # fmt: skip
            for i in range(STEP):
                if k + i * THREADS <= last:
                    tally(some[i], infinity, sign, shift, least, words, histogram)
    cuda.syncthreads()
    for word in range(thread, WORDS, THREADS):
        many, magnitude = words[word], least + word if word < MAGNITUDES else 0
        if many:
            cuda.atomic.add(histogram, (1 << 15) + magnitude, i64(many & u32(0xFFFF)))
            cuda.atomic.add(histogram, (1 << 15) - 1 - magnitude, i64(many >> u32(16)))


@cuda.jit(device=True)
def tally(pattern: Any, infinity: np.uint64, sign: np.uint64, shift: int, least: int, words: Any, histogram: Int64s) -> None:
    """Count a value's leading digit, if it is a number."""
    unsigned = u64(pattern) & (sign - u64(1))
    if unsigned <= infinity:
        magnitude = i32(unsigned >> u64(shift))
        near = least <= magnitude < least + MAGNITUDES
        if near or unsigned == 0:
            cuda.atomic.add(words, magnitude - least if near else MAGNITUDES, u32(1 << 16) if u64(pattern) > sign else u32(1))
        else:
            cuda.atomic.add(histogram, i64(ordered(pattern, sign) >> u64(shift)), 1)


@cuda.jit
def count_digits(bits: Any, infinity: np.uint64, sign: np.uint64, prefixes: Uint64s, shift: int, digit: int, histogram: Int64s) -> None:
    """Count the digits of ITEMS values a thread."""
    threads = cuda.blockDim.x
    first = i64(cuda.blockIdx.x) * threads * ITEMS + cuda.threadIdx.x  # neighbouring threads read neighbouring values
    at: Any = -1
    place, many = at, 0
    for i in range(first, min(bits.size, first + ITEMS * threads), threads):
        following = ordered(bits[i], sign) >> u64(shift)
        number = (u64(bits[i]) & (sign - u64(1))) <= infinity
        row = row_of_prefix(prefixes, following >> u64(digit)) if number else -1
        at = (row << digit) + np.int64(following & u64((1 << digit) - 1)) if row >= 0 else -1
        if at != place and place >= 0:
            cuda.atomic.add(histogram, place, many)
        many = many + 1 if at == place else 1
        place = at
    if place >= 0:
        cuda.atomic.add(histogram, place, many)


@cuda.jit
def mark(bits: Any, infinity: np.uint64, sign: np.uint64, prefixes: Uint64s, shift: int, wanted: Bools) -> None:
    """Mark TURNS values a thread if their keys have one of the prefixes; a table of bits tells what prefixes end with."""
    ends = cuda.shared.array(FILTER, uint32)
    thread, first = cuda.threadIdx.x, i64(cuda.blockIdx.x) * (THREADS * TURNS) + cuda.threadIdx.x
    for word in range(thread, FILTER, THREADS):
        ends[word] = u32(0)
    cuda.syncthreads()
    for place in range(thread, prefixes.size, THREADS):
        end = i32(prefixes[place] & u64(0xFFFF))
        cuda.atomic.or_(ends, end >> 5, u32(1 << (end & 31)))
    cuda.syncthreads()
    short = sign >> u64(shift) == u64(1 << 15)  # prefixes have no more than these bits
    for turn in range(TURNS):
        i = first + turn * THREADS
        if i < bits.size:
            leading = ordered(bits[i], sign) >> u64(shift)
            end = i32(leading & u64(0xFFFF))
            found = (u64(bits[i]) & (sign - u64(1))) <= infinity and u32(ends[end >> 5] >> u32(end & 31)) & u32(1) != 0
            wanted[i] = found and (short or row_of_prefix(prefixes, leading) >= 0)
