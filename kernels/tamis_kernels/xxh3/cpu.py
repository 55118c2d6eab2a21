"""XXH3 of 128 bits in Numba. The functions of one record are shared with CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit
from tamis_kernels.ngram_keys.cpu import eight_bytes
from tamis_kernels.threads import for_rows
from tamis_kernels.xxh3 import secret

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint64s

u32, u64 = np.uint32, np.uint64
SECRET = np.frombuffer(secret.SECRET, np.uint8)
ACCUMULATORS, STRIPE, STRIPES_PER_BLOCK = secret.ACCUMULATORS, secret.STRIPE, secret.STRIPES_PER_BLOCK
PRIME32_1, PRIME32_2 = u64(secret.PRIME32_1), u64(secret.PRIME32_2)
PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4 = (
    u64(secret.PRIME64_1),
    u64(secret.PRIME64_2),
    u64(secret.PRIME64_3),
    u64(secret.PRIME64_4),
)
PRIME_MX1, PRIME_MX2 = u64(secret.PRIME_MX1), u64(secret.PRIME_MX2)
LOW = u64(0xFFFFFFFF)


def hash128(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the upper and the lower half of the hash of each record."""
    work = (offsets >> 3) + 8 * np.arange(offsets.size)  # some 10 ns a record and 0.1 ns a byte
    for_rows(_hash128, work, data, offsets, out)


@njit(cache=True, nogil=True)
def _hash128(first: int, last: int, data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    sums = np.empty(8, np.uint64)
    for row in range(first, last):
        start, size = offsets[row], offsets[row + 1] - offsets[row]
        if size <= 16:
            out[row, 0], out[row, 1] = short_hash(data, u64(start), size)
        elif size <= 240:
            out[row, 0], out[row, 1] = middle_hash(data, u64(start), size)
        else:
            sums[:] = ACCUMULATORS
            out[row, 0], out[row, 1] = long_hash(data, u64(start), size, sums)


@njit(cache=True, nogil=True)
def short_hash(data: Uint8s, start: np.uint64, size: int) -> tuple[np.uint64, np.uint64]:
    """Return the hash of at most 16 bytes, the upper half first."""
    if size > 8:
        first, last = eight_bytes(data, start), eight_bytes(data, start + u64(size - 8))
        one = secret_word(32) ^ secret_word(40) ^ first ^ last
        tail = secret_word(48) ^ secret_word(56) ^ last
        high = upper_product(one, PRIME64_1) + (tail & ~LOW) + (tail & LOW) * PRIME32_2
        low = one * PRIME64_1 + (u64(size - 1) << u64(54))
        low = low ^ swapped(high)
        return avalanche(upper_product(low, PRIME64_2) + high * PRIME64_2), avalanche(low * PRIME64_2)
    if size > 3:
        both = four_bytes(data, start) | (four_bytes(data, start + u64(size - 4)) << u64(32))
        one, other = secret_word(16) ^ secret_word(24) ^ both, PRIME64_1 + u64(4 * size)
        low = one * other
        high = upper_product(one, other) + (low << u64(1))
        low = low ^ (high >> u64(3))
        low = (low ^ (low >> u64(35))) * PRIME_MX2
        return avalanche(high), low ^ (low >> u64(28))
    if size > 0:
        middle = u64(data[start + u64(size >> 1)]) << u64(24)
        joined = u64(data[start + u64(size - 1)]) | (u64(size) << u64(8)) | (u64(data[start]) << u64(16)) | middle
        turned = swapped(joined) >> u64(32)
        turned = ((turned << u64(13)) | (turned >> u64(19))) & LOW
        low, high = secret_word(0), secret_word(8)
        return avalanche64(((high ^ (high >> u64(32))) & LOW) ^ turned), avalanche64(((low ^ (low >> u64(32))) & LOW) ^ joined)
    return avalanche64(secret_word(80) ^ secret_word(88)), avalanche64(secret_word(64) ^ secret_word(72))


@njit(cache=True, nogil=True)
def middle_hash(data: Uint8s, start: np.uint64, size: int) -> tuple[np.uint64, np.uint64]:
    """Return the hash of 17 to 240 bytes, the upper half first."""
    low, high = u64(size) * PRIME64_1, u64(0)
    if size <= 128:
        for step in range((size - 1) // 32, -1, -1):
            low, high = mixed(low, high, data, start + u64(16 * step), start + u64(size - 16 * step - 16), 32 * step)
    else:
        for at in range(0, 128, 32):
            low, high = mixed(low, high, data, start + u64(at), start + u64(at + 16), at)
        low, high = avalanche(low), avalanche(high)
        for at in range(128, size // 32 * 32, 32):
            low, high = mixed(low, high, data, start + u64(at), start + u64(at + 16), at - 125)
        low, high = mixed(low, high, data, start + u64(size - 16), start + u64(size - 32), 103)
    return u64(0) - avalanche(low * PRIME64_1 + high * PRIME64_4 + u64(size) * PRIME64_2), avalanche(low + high)


@njit(cache=True, nogil=True)
def mixed(low: np.uint64, high: np.uint64, data: Uint8s, one: np.uint64, other: np.uint64, place: int) -> tuple[np.uint64, np.uint64]:
    """Add 16 bytes at `one` and at `other` to the two sums, with 32 bytes of the secret."""
    a, b = eight_bytes(data, one), eight_bytes(data, one + u64(8))
    c, d = eight_bytes(data, other), eight_bytes(data, other + u64(8))
    low = (low + folded(a ^ secret_word(place), b ^ secret_word(place + 8))) ^ (c + d)
    high = (high + folded(c ^ secret_word(place + 16), d ^ secret_word(place + 24))) ^ (a + b)
    return low, high


@njit(cache=True, nogil=True)
def long_hash(data: Uint8s, start: np.uint64, size: int, sums: Uint64s) -> tuple[np.uint64, np.uint64]:
    """Return the hash of more than 240 bytes, the upper half first; `sums` holds what the eight sums start from."""
    stripes = (size - 1) // STRIPE
    for stripe in range(stripes):
        place = stripe % STRIPES_PER_BLOCK
        accumulate(sums, data, start + u64(STRIPE * stripe), 8 * place)
        if place == STRIPES_PER_BLOCK - 1:
            for lane in range(8):
                sums[lane] = scrambled(sums[lane], lane)
    accumulate(sums, data, start + u64(size - STRIPE), 121)
    return merged(sums, 117, ~(u64(size) * PRIME64_2)), merged(sums, 11, u64(size) * PRIME64_1)


@njit(cache=True, nogil=True)
def accumulate(sums: Uint64s, data: Uint8s, start: np.uint64, place: int) -> None:
    """Add a stripe to the sums."""
    for lane in range(8):
        word = eight_bytes(data, start + u64(8 * lane))
        sums[lane ^ 1] += word
        sums[lane] += product_of(word ^ secret_word(place + 8 * lane))


@njit(cache=True, nogil=True)
def product_of(key: np.uint64) -> np.uint64:
    """Return the product of the two halves of a word."""
    return (key & LOW) * (key >> u64(32))


@njit(cache=True, nogil=True)
def scrambled(total: np.uint64, lane: int) -> np.uint64:
    """Return a sum after a block of stripes."""
    return (total ^ (total >> u64(47)) ^ secret_word(128 + 8 * lane)) * PRIME32_1


@njit(cache=True, nogil=True)
def merged(sums: Uint64s, place: int, total: np.uint64) -> np.uint64:
    """Return one number for the sums."""
    for pair in range(4):
        total += folded(sums[2 * pair] ^ secret_word(place + 16 * pair), sums[2 * pair + 1] ^ secret_word(place + 16 * pair + 8))
    return avalanche(total)


@njit(cache=True, nogil=True)
def secret_word(place: int) -> np.uint64:
    """Return eight bytes of the secret."""
    return eight_bytes(SECRET, u64(place))


@njit(cache=True, nogil=True)
def four_bytes(data: Uint8s, at: np.uint64) -> np.uint64:
    """Read four bytes as a little-endian number."""
    low = u64(data[at]) | (u64(data[at + u64(1)]) << u64(8))
    return low | (u64(data[at + u64(2)]) << u64(16)) | (u64(data[at + u64(3)]) << u64(24))


@njit(cache=True, nogil=True)
def upper_product(one: np.uint64, other: np.uint64) -> np.uint64:
    """Return the upper half of a product of 128 bits."""
    low_low, low_high = (one & LOW) * (other & LOW), (one & LOW) * (other >> u64(32))
    high_low, high_high = (one >> u64(32)) * (other & LOW), (one >> u64(32)) * (other >> u64(32))
    middle = (low_low >> u64(32)) + (low_high & LOW) + (high_low & LOW)
    return high_high + (low_high >> u64(32)) + (high_low >> u64(32)) + (middle >> u64(32))


@njit(cache=True, nogil=True)
def folded(one: np.uint64, other: np.uint64) -> np.uint64:
    """Return the upper half of a product, XORed with the lower."""
    return upper_product(one, other) ^ (one * other)


@njit(cache=True, nogil=True)
def swapped(value: np.uint64) -> np.uint64:
    """Return the eight bytes in reverse order."""
    value = ((value & u64(0x00FF00FF00FF00FF)) << u64(8)) | ((value >> u64(8)) & u64(0x00FF00FF00FF00FF))
    value = ((value & u64(0x0000FFFF0000FFFF)) << u64(16)) | ((value >> u64(16)) & u64(0x0000FFFF0000FFFF))
    return (value << u64(32)) | (value >> u64(32))


@njit(cache=True, nogil=True)
def avalanche(value: np.uint64) -> np.uint64:
    """Spread every bit over all."""
    value = (value ^ (value >> u64(37))) * PRIME_MX1
    return value ^ (value >> u64(32))


@njit(cache=True, nogil=True)
def avalanche64(value: np.uint64) -> np.uint64:
    """Return what ends a hash of XXH64."""
    value = (value ^ (value >> u64(33))) * PRIME64_2
    value = (value ^ (value >> u64(29))) * PRIME64_3
    return value ^ (value >> u64(32))
