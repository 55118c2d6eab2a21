"""XXH3 of 128 bits in plain Python, as the specification tells it: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.xxh3.secret import (
    ACCUMULATORS,
    PRIME32_1,
    PRIME32_2,
    PRIME64_1,
    PRIME64_2,
    PRIME64_3,
    PRIME64_4,
    PRIME_MX1,
    PRIME_MX2,
    SECRET,
    STRIPE,
    STRIPES_PER_BLOCK,
)

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint64s

MASK = 2**64 - 1
BLOCK = STRIPE * STRIPES_PER_BLOCK


def hash128(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the upper and the lower half of the hash of each record."""
    for row in range(offsets.size - 1):
        out[row] = divmod(xxh3(data[offsets[row] : offsets[row + 1]].tobytes()), 2**64)


def xxh3(record: bytes) -> int:
    """Return the hash of a record."""
    if len(record) <= 16:
        low, high = _short(record)
    elif len(record) <= 240:
        low, high = _middle(record)
    else:
        low, high = _long(record)
    return high << 64 | low


def _short(record: bytes) -> tuple[int, int]:
    size = len(record)
    if size > 8:
        first, last = _word(record, 0), _word(record, size - 8)
        low = (_secret(32) ^ _secret(40) ^ first ^ last) * PRIME64_1
        tail = _secret(48) ^ _secret(56) ^ last
        high = ((low >> 64) + (tail >> 32 << 32) + (tail & 0xFFFFFFFF) * PRIME32_2) & MASK
        low = (low + (size - 1 << 54)) & MASK
        low = (low ^ _swapped(high, 8)) * PRIME64_2
        return _avalanche(low & MASK), _avalanche(((low >> 64) + high * PRIME64_2) & MASK)
    if size > 3:
        both = int.from_bytes(record[:4], "little") | int.from_bytes(record[-4:], "little") << 32
        product = (_secret(16) ^ _secret(24) ^ both) * (PRIME64_1 + 4 * size)
        low, high = product & MASK, product >> 64
        high = (high + 2 * low) & MASK
        low ^= high >> 3
        low = (low ^ low >> 35) * PRIME_MX2 & MASK
        return low ^ low >> 28, _avalanche(high)
    if size > 0:
        joined = record[-1] | size << 8 | record[0] << 16 | record[size >> 1] << 24
        turned = _swapped(joined, 4)
        turned = (turned << 13 | turned >> 19) & 0xFFFFFFFF
        words = [int.from_bytes(SECRET[at : at + 4], "little") for at in range(0, 16, 4)]
        return _avalanche64(words[0] ^ words[1] ^ joined), _avalanche64(words[2] ^ words[3] ^ turned)
    return _avalanche64(_secret(64) ^ _secret(72)), _avalanche64(_secret(80) ^ _secret(88))


def _middle(record: bytes) -> tuple[int, int]:
    """Hash 17 to 240 bytes."""
    size = len(record)
    sums = (size * PRIME64_1 & MASK, 0)
    if size <= 128:
        for step in range((size - 1) // 32, -1, -1):
            sums = _mixed(sums, record, 16 * step, size - 16 * step - 16, 32 * step)
    else:
        for start in range(0, 128, 32):
            sums = _mixed(sums, record, start, start + 16, start)
        sums = (_avalanche(sums[0]), _avalanche(sums[1]))
        for start in range(128, size // 32 * 32, 32):
            sums = _mixed(sums, record, start, start + 16, start - 125)
        sums = _mixed(sums, record, size - 16, size - 32, 103)
    low = sums[0] + sums[1]
    high = sums[0] * PRIME64_1 + sums[1] * PRIME64_4 + size * PRIME64_2
    return _avalanche(low & MASK), -_avalanche(high & MASK) & MASK


def _mixed(sums: tuple[int, int], record: bytes, one: int, other: int, secret: int) -> tuple[int, int]:
    """Add 16 bytes at `one` and at `other` to the two sums."""
    a, b, c, d = (_word(record, at) for at in (one, one + 8, other, other + 8))
    low = sums[0] + _folded(a ^ _secret(secret), b ^ _secret(secret + 8)) & MASK
    high = sums[1] + _folded(c ^ _secret(secret + 16), d ^ _secret(secret + 24)) & MASK
    return low ^ (c + d & MASK), high ^ (a + b & MASK)


def _long(record: bytes) -> tuple[int, int]:
    """Hash more than 240 bytes: eight sums over stripes of 64 bytes, scrambled after each block."""
    size = len(record)
    sums = ACCUMULATORS.tolist()
    stripes = (size - 1) // STRIPE
    for stripe in range(stripes):
        place = stripe % STRIPES_PER_BLOCK
        _accumulate(sums, record, STRIPE * stripe, 8 * place)
        if place == STRIPES_PER_BLOCK - 1:
            sums = [((one ^ one >> 47 ^ _secret(128 + 8 * lane)) * PRIME32_1) & MASK for lane, one in enumerate(sums)]
    _accumulate(sums, record, size - STRIPE, 121)
    return _merged(sums, 11, size * PRIME64_1), _merged(sums, 117, ~(size * PRIME64_2))


def _accumulate(sums: list[int], record: bytes, start: int, secret: int) -> None:
    for lane in range(8):
        word = _word(record, start + 8 * lane)
        key = word ^ _secret(secret + 8 * lane)
        sums[lane ^ 1] = sums[lane ^ 1] + word & MASK
        sums[lane] = sums[lane] + (key & 0xFFFFFFFF) * (key >> 32) & MASK


def _merged(sums: list[int], secret: int, start: int) -> int:
    pairs = zip(sums[::2], sums[1::2], range(secret, secret + 64, 16), strict=True)
    return _avalanche(start + sum(_folded(one ^ _secret(at), other ^ _secret(at + 8)) for one, other, at in pairs) & MASK)


def _word(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + 8], "little")


def _secret(at: int) -> int:
    return _word(SECRET, at)


def _folded(one: int, other: int) -> int:
    """Return the upper half of a product, XORed with the lower."""
    product = one * other
    return product >> 64 ^ product & MASK


def _swapped(value: int, size: int) -> int:
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def _avalanche(value: int) -> int:
    value = (value ^ value >> 37) * PRIME_MX1 & MASK
    return value ^ value >> 32


def _avalanche64(value: int) -> int:
    """Return what ends a hash of XXH64."""
    value = (value ^ value >> 33) * PRIME64_2 & MASK
    value = (value ^ value >> 29) * PRIME64_3 & MASK
    return value ^ value >> 32
