"""Radix histograms in CUDA, and selection by a mask.

Leading digits of values that are measured lie close together, so that most additions would meet at a few counters of global memory: a block
counts those of ordinary magnitude in shared memory first. Digits behind a prefix differ more, and few values have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.cuda_compiled import block_of
from tamis_kernels.device import in_batches, launch, launch_blocks, room, streamed, to_device, to_host, uniform, xp
from tamis_kernels.quantiles.cpu import bits_of, key_of

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Floats, Int64s, Uint64s

ITEMS = 16  # values a thread
THREADS = 256  # of a block that shares counters
TURNS, STEP = 16, 8  # a thread's values, STEP of which it asks for at once; a block's are fewer than 2^16, which a counter holds
MARKED = 2  # such steps, where values are marked
MAGNITUDES = 4096  # about 1 that have counters in shared memory
WORDS = MAGNITUDES + 1
FILTER = 2048  # words of a bit for each end of a prefix
i32, i64, u32, u64 = np.int32, np.int64, np.uint32, np.uint64


def count(values: Floats, prefixes: Uint64s, shift: int, histogram: Int64s) -> None:
    """Count the bits above `shift` of each key, as many as the histogram is wide, in the row of the prefix that stands before them."""
    total = to_device(histogram)
    digit = histogram.shape[1].bit_length() - 1
    known = to_device(prefixes)
    patterns = bits_of(values)[0]

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        if shift + digit == 8 * values.itemsize and digit == 16:
            blocks = -(-part.size // (THREADS * TURNS * STEP))
            launch_blocks(count_leading, blocks, THREADS, part, total.reshape(-1))
        else:
            launch(count_digits, -(-part.size // ITEMS), part, known, shift, digit, total.reshape(-1))
        return ()

    streamed(uniform(values.size, values.itemsize), lambda first, last: (patterns[first:last],), add)
    to_host(total, histogram)


def select(values: Floats, prefixes: Uint64s, shift: int, out: Floats) -> int:
    """Copy the values whose key has one of the prefixes above `shift` to `out` and return how many there are."""
    patterns = bits_of(values)[0]
    known, target, many = to_device(prefixes), out.view(patterns.dtype), 0

    def pick(first: int, last: int) -> None:
        nonlocal many
        part, wanted = to_device(patterns[first:last]), xp.zeros(last - first, np.bool_)
        launch_blocks(mark, -(-(last - first) // (THREADS * MARKED * STEP)), THREADS, part, known, shift, wanted)
        found = part[wanted]
        to_host(found, target[many : many + found.size])
        many += int(found.size)

    in_batches(pick, values.size, max(1, room() // (4 * values.itemsize)))
    return many


@cuda.jit(device=True)
def sign_of(bits: Any) -> Any:
    """Return the pattern of a sign, of as many bits as values have."""
    return bits.dtype.type(1 << (8 * bits.itemsize - 1))


@cuda.jit(device=True)
def is_number(bits: Any, pattern: Any) -> bool:
    """Return whether a pattern is no NaN: without its sign it is that of infinity at most."""
    infinity = bits.dtype.type(0x7F80_0000 if bits.itemsize == 4 else 0x7FF0_0000_0000_0000)
    return bool(bits.dtype.type(pattern << bits.dtype.type(1)) <= bits.dtype.type(infinity << bits.dtype.type(1)))


@cuda.jit(device=True)
def ordered(bits: Any, pattern: Any) -> Any:
    """Return the key of a pattern, of as many bits."""
    return bits.dtype.type(key_of(pattern, sign_of(bits)))


@cuda.jit(device=True)
def row_of_prefix(prefixes: Uint64s, prefix: np.uint64) -> int:
    """Return where a prefix stands among the ascending ones, or -1."""
    place, left = i32(0), i32(prefixes.size)
    while left > 1:
        half = i32(left >> 1)
        place = i32(place + half) if prefixes[place + half] <= prefix else place
        left = i32(left - half)
    return int(place) if left and prefixes[place] == prefix else -1


@block_of(THREADS)
def count_leading(bits: Any, histogram: Int64s) -> None:
    """Count the leading 16 bits of a block's keys, those of magnitudes, of 15 bits, about 1 in shared memory.

    A word counts values of a magnitude without a sign below, and with it above; the last word counts zeros.
    """
    words = cuda.shared.array(WORDS, uint32)
    thread, first = cuda.threadIdx.x, i64(cuda.blockIdx.x) * (THREADS * TURNS * STEP) + cuda.threadIdx.x
    for word in range(thread, WORDS, THREADS):
        words[word] = u32(0)
    cuda.syncthreads()
    for turn in range(TURNS):
        k = first + turn * (THREADS * STEP)
        if k + (STEP - 1) * THREADS < bits.size:
            some = step_from(bits, u64(k))
            for i in range(STEP):
                tally(bits, some[i], words, histogram)
        else:
            for i in range(k, bits.size, THREADS):
                tally(bits, bits[i], words, histogram)
    cuda.syncthreads()
    for word in range(thread, WORDS, THREADS):
        many, magnitude = words[word], least_near(bits) + word if word < MAGNITUDES else 0
        if many:
            cuda.atomic.add(histogram, (1 << 15) + magnitude, i64(many & u32(0xFFFF)))
            cuda.atomic.add(histogram, (1 << 15) - 1 - magnitude, i64(many >> u32(16)))


@cuda.jit(device=True)
def step_from(bits: Any, place: np.uint64) -> Any:
    """Return the values that a thread asks for at once."""
    return (
        bits[place], bits[u64(place + u64(THREADS))], bits[u64(place + u64(2 * THREADS))], bits[u64(place + u64(3 * THREADS))],
        bits[u64(place + u64(4 * THREADS))], bits[u64(place + u64(5 * THREADS))], bits[u64(place + u64(6 * THREADS))],
        bits[u64(place + u64(7 * THREADS))],
    )  # fmt: skip


@cuda.jit(device=True)
def least_near(bits: Any) -> int:
    """Return the least magnitude, of 15 bits, that has a counter in shared memory."""
    return (0x3F80 if bits.itemsize == 4 else 0x3FF0) - MAGNITUDES // 2  # of 1


@cuda.jit(device=True)
def tally(bits: Any, pattern: Any, words: Any, histogram: Int64s) -> None:
    """Count a value's leading digit, if it is a number."""
    leading = u32(pattern >> bits.dtype.type(8 * bits.itemsize - 16))
    place = u32(u32(leading & u32(0x7FFF)) - u32(least_near(bits)))
    if place < u32(MAGNITUDES):
        cuda.atomic.add(words, place, u32(1 << 16) if leading > u32(0x7FFF) else u32(1))
    elif pattern == bits.dtype.type(0) or pattern == sign_of(bits):
        cuda.atomic.add(words, MAGNITUDES, u32(1))
    elif is_number(bits, pattern):
        cuda.atomic.add(histogram, i64(u32(leading ^ u32(0xFFFF if leading > u32(0x7FFF) else 0x8000))), 1)


@cuda.jit
def count_digits(bits: Any, prefixes: Uint64s, shift: int, digit: int, histogram: Int64s) -> None:
    """Count the digits of ITEMS values a thread."""
    threads = cuda.blockDim.x
    first = i64(cuda.blockIdx.x) * threads * ITEMS + cuda.threadIdx.x  # neighbouring threads read neighbouring values
    at: Any = -1
    place, many = at, 0
    for i in range(first, min(bits.size, first + ITEMS * threads), threads):
        following = u64(ordered(bits, bits[i])) >> u64(shift)
        row = row_of_prefix(prefixes, following >> u64(digit)) if is_number(bits, bits[i]) else -1
        at = (row << digit) + np.int64(following & u64((1 << digit) - 1)) if row >= 0 else -1
        if at != place and place >= 0:
            cuda.atomic.add(histogram, place, many)
        many = many + 1 if at == place else 1
        place = at
    if place >= 0:
        cuda.atomic.add(histogram, place, many)


@block_of(THREADS)
def mark(bits: Any, prefixes: Uint64s, shift: int, wanted: Bools) -> None:
    """Mark MARKED times STEP values a thread if their keys have one of the prefixes; a table of bits tells what prefixes end with."""
    ends = cuda.shared.array(FILTER, uint32)
    thread, first = cuda.threadIdx.x, i64(cuda.blockIdx.x) * (THREADS * MARKED * STEP) + cuda.threadIdx.x
    for word in range(thread, FILTER, THREADS):
        ends[word] = u32(0)
    cuda.syncthreads()
    for place in range(thread, prefixes.size, THREADS):
        end = i32(prefixes[place] & u64(0xFFFF))
        cuda.atomic.or_(ends, end >> 5, u32(1 << (end & 31)))
    cuda.syncthreads()
    short = shift == 8 * bits.itemsize - 16  # prefixes have 16 bits
    for turn in range(MARKED):
        k = first + turn * (THREADS * STEP)
        if k + (STEP - 1) * THREADS < bits.size:
            some = step_from(bits, u64(k))
            for i in range(STEP):
                wanted[u64(u64(k) + u64(i * THREADS))] = is_wanted(bits, some[i], prefixes, shift, short, ends)
        else:
            for place in range(k, bits.size, THREADS):
                wanted[place] = is_wanted(bits, bits[place], prefixes, shift, short, ends)


@cuda.jit(device=True)
def is_wanted(bits: Any, pattern: Any, prefixes: Uint64s, shift: int, short: bool, ends: Any) -> bool:
    """Return whether a value's key has one of the prefixes."""
    key = ordered(bits, pattern)
    if short:
        return bool(is_number(bits, pattern) & is_marked(ends, u32(key >> bits.dtype.type(8 * bits.itemsize - 16))))
    leading = u64(key) >> u64(shift)
    found = is_number(bits, pattern) & is_marked(ends, u32(leading & u64(0xFFFF)))
    return bool(found and row_of_prefix(prefixes, leading) >= 0)


@cuda.jit(device=True)
def is_marked(ends: Any, end: np.uint32) -> bool:
    """Return whether a prefix has this end."""
    return bool(u32(ends[u32(end >> u32(5))] >> u32(end & u32(31))) & u32(1) != 0)
