"""Radix histograms in CUDA: counters in global memory, to which a thread adds once for a run of equal digits; and selection by a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import in_batches, launch, room, streamed, to_device, to_host, uniform, xp
from tamis_kernels.quantiles.cpu import bits_of, key_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMS = 16  # values a thread
i32, i64, u64 = np.int32, np.int64, np.uint64


def count(values: NDArray[np.floating[Any]], prefixes: NDArray[np.uint64], shift: int, histogram: NDArray[np.int64]) -> None:
    """Count the bits above `shift` of each key, as many as the histogram is wide, in the row of the prefix that stands before them."""
    total = to_device(histogram)
    digit = histogram.shape[1].bit_length() - 1
    known = to_device(prefixes)
    patterns, infinity, sign = _bits(values)

    def add(_first: int, _last: int, part: Any) -> tuple[()]:
        launch(count_digits, -(-part.size // ITEMS), part, infinity, sign, known, shift, digit, total.reshape(-1))
        return ()

    streamed(uniform(values.size, values.itemsize), lambda first, last: (patterns[first:last],), add)
    to_host(total, histogram)


def select(values: NDArray[np.floating[Any]], prefixes: NDArray[np.uint64], shift: int, out: NDArray[np.floating[Any]]) -> int:
    """Copy the values whose key has one of the prefixes above `shift` to `out` and return how many there are."""
    patterns, infinity, sign = _bits(values)
    known, target, many = to_device(prefixes), out.view(patterns.dtype), 0

    def pick(first: int, last: int) -> None:
        nonlocal many
        part, wanted = to_device(patterns[first:last]), xp.zeros(last - first, np.bool_)
        launch(mark, last - first, part, infinity, sign, known, shift, wanted)
        found = part[wanted]
        to_host(found, target[many : many + found.size])
        many += int(found.size)

    in_batches(pick, values.size, max(1, room() // (4 * values.itemsize)))
    return many


def _bits(values: NDArray[np.floating[Any]]) -> tuple[NDArray[Any], np.uint64, np.uint64]:
    """Return the patterns of the values, that of infinity and that of the sign."""
    patterns, infinity, sign = bits_of(values)
    return patterns, u64(infinity), u64(sign)


@cuda.jit(device=True)
def ordered(pattern: Any, sign: np.uint64) -> Any:
    """Return the key of a pattern of as many bits as the sign is high."""
    return key_of(u64(pattern), sign) & (sign | (sign - u64(1)))


@cuda.jit(device=True)
def row_of_prefix(prefixes: NDArray[np.uint64], prefix: np.uint64) -> int:
    """Return where a prefix stands among the ascending ones, or -1."""
    place, left = i32(0), i32(prefixes.size)
    while left > 1:
        half = i32(left >> 1)
        place = i32(place + half) if prefixes[place + half] <= prefix else place
        left = i32(left - half)
    return int(place) if left and prefixes[place] == prefix else -1


@cuda.jit
def count_digits(
    bits: Any, infinity: np.uint64, sign: np.uint64, prefixes: NDArray[np.uint64], shift: int, digit: int, histogram: NDArray[np.int64]
) -> None:
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
def mark(bits: Any, infinity: np.uint64, sign: np.uint64, prefixes: NDArray[np.uint64], shift: int, wanted: NDArray[np.bool_]) -> None:
    """Mark a value a thread if its key has one of the prefixes."""
    i = cuda.grid(1)
    if i < bits.size:
        number = (u64(bits[i]) & (sign - u64(1))) <= infinity
        wanted[i] = number and row_of_prefix(prefixes, ordered(bits[i], sign) >> u64(shift)) >= 0
