"""MPEG audio layer III: the Huffman-coded sound of each frame, passed value by value and held to the length that its frame declares for it.

No code is illegal, and one wrong bit leads to other values until the decoder is in step again: by then there may be a value more or less,
and the last one no longer ends where it must (ISO/IEC 11172-3, 2.4.2.7 and 2.4.3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media.layer3_codes import FIRST_BITS, LINBITS, MOST_BITS, QUADRUPLES, TABLES
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINES = 576
_SHORT = 2  # the type of a granule of short blocks
EXACT, OTHERWISE, BEYOND, UNKNOWN = range(4)

_BANDS = np.array(
    [
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418, 576],  # 44.1 kHz
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 42, 50, 60, 72, 88, 106, 128, 156, 190, 230, 276, 330, 384, 576],  # 48
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 54, 66, 82, 102, 126, 156, 194, 240, 296, 364, 448, 550, 576],  # 32
        [0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 116, 140, 168, 200, 238, 284, 336, 396, 464, 522, 576],  # 22.05, 16, 12, 11.025
        [0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 114, 136, 162, 194, 232, 278, 332, 394, 464, 540, 576],  # 24
        [0, 12, 24, 36, 48, 60, 72, 88, 108, 132, 160, 192, 232, 280, 336, 400, 476, 566, 568, 570, 572, 574, 576],  # 8
    ],
    np.int64,
)
"""Where the bands of long blocks begin (11172-3, table B.8; 13818-3, table B.2)."""
_BANDS_OF = np.array([[3, 3, 5], [3, 3, 3], [3, 4, 3], [0, 1, 2]], np.int64)
"""Row of `_BANDS` by the header's bits of the version and of the sampling rate."""
_LENGTHS = np.array([[0, 0, 0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4], [0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3]], np.int64)
_COUNTS = np.array(  # of MPEG-2's scale factors in four parts, by the range of scalefac_compress, for long and for short blocks
    [
        [[6, 5, 5, 5], [9, 9, 9, 9]],
        [[6, 5, 7, 3], [9, 9, 12, 6]],
        [[11, 10, 0, 0], [18, 18, 0, 0]],
        [[7, 7, 7, 0], [12, 12, 12, 0]],
        [[6, 6, 6, 3], [12, 9, 9, 6]],
        [[8, 8, 5, 0], [15, 12, 9, 0]],
    ],
    np.int64,
)


@njit(cache=True, nogil=True)
def bits_at(data: NDArray[np.uint8], bit: int, count: int) -> int:
    """Return up to 16 bits as a number."""
    value = 0
    for at in range(bit >> 3, (bit + count + 7) >> 3):
        value = value << 8 | int(data[at])
    return value >> (-(bit + count) & 7) & ((1 << count) - 1)


@njit(cache=True, nogil=True)
def check_granule(
    data: NDArray[np.uint8],
    header: int,
    bit: int,
    shared: int,
    second_channel: bool,
    sound: NDArray[np.uint8],
    begin: int,
    first: NDArray[np.int32],
    second: NDArray[np.int32],
) -> int:
    """Say how a granule's sound agrees with its length.

    Parameters
    ----------
    data, header, bit
        The file, the frame's first four bytes, and the bit at which the granule's values begin in its side information.
    shared
        Groups of scale factors that the granule before gives, four bits.
    second_channel
        Whether it is that of a second channel.
    sound, begin
        The sound of all frames end to end, with eight bytes to spare, and the bit at which this granule's begins.
    first, second
        What `layer3_codes.lookups` returns.

    Returns
    -------
    outcome
        `EXACT`: the last value ends where it must; `OTHERWISE`: it does not; `BEYOND`: not even the large values end before; `UNKNOWN`: a
        granule of mixed blocks, which is not followed.
    """
    new = header >> 19 & 3 == 3
    end, pairs = begin + bits_at(data, bit, 12), bits_at(data, bit + 12, 9)
    factors = bits_at(data, bit + 29, 4 if new else 9)
    bit += 33 if new else 38
    bands = _BANDS[_BANDS_OF[header >> 19 & 3, header >> 10 & 3]]
    switched, kind, tables = bits_at(data, bit, 1) == 1, 0, bits_at(data, bit + 1, 15)
    region, following = (
        bands[min(bits_at(data, bit + 16, 4) + 1, 22)],
        bands[min(bits_at(data, bit + 16, 4) + bits_at(data, bit + 20, 3) + 2, 22)],
    )
    if switched:
        kind, tables = bits_at(data, bit + 1, 2), bits_at(data, bit + 4, 10) << 5
        if bits_at(data, bit + 3, 1):
            return UNKNOWN
        region, following = bands[6 if kind == _SHORT and not new else 8], _LINES
    chosen = QUADRUPLES + bits_at(data, bit + (25 if new else 24), 1)
    short = kind == _SHORT
    intensity = second_channel and header >> 6 & 3 == 1 and header >> 4 & 1 == 1
    at = begin + (_factors_of_one(factors, short, shared) if new else _factors_of_two(factors, short, intensity))
    line = 0
    for part in range(3):
        stop = min(2 * pairs, region if part == 0 else following if part == 1 else _LINES)
        table = tables >> (10 - 5 * part) & 31
        if table == 0:
            line = max(line, stop)
        while line < stop:
            entry = _next(sound, at, first[TABLES[table]], second)
            at += (entry & 255) + (entry >> 8) * LINBITS[table]
            line += 2
            if at > end:
                return BEYOND
    if at > end:
        return BEYOND
    while at < end and line < _LINES:
        at += _next(sound, at, first[TABLES[chosen]], second)
        line += 4
    return EXACT if at == end else OTHERWISE


@njit(cache=True, nogil=True, inline="always")
def _next(sound: NDArray[np.uint8], bit: int, first: NDArray[np.int32], second: NDArray[np.int32]) -> int:
    """Return the entry of the code that begins at a bit."""
    at = bit >> 3
    word = int(sound[at]) << 24 | int(sound[at + 1]) << 16 | int(sound[at + 2]) << 8 | int(sound[at + 3])
    window = word >> (32 - MOST_BITS - (bit & 7)) & ((1 << MOST_BITS) - 1)
    entry = first[window >> (MOST_BITS - FIRST_BITS)]
    if entry < 0:
        entry = second[-1 - entry, window & ((1 << (MOST_BITS - FIRST_BITS)) - 1)]
    return int(entry)


@njit(cache=True, nogil=True)
def _factors_of_one(factors: int, short: bool, shared: int) -> int:
    """Return how many bits the scale factors take in MPEG-1."""
    one, other = _LENGTHS[0, factors], _LENGTHS[1, factors]
    if short:
        return int(18 * (one + other))
    bits = 0
    for group in range(4):
        if not shared >> (3 - group) & 1:
            bits += (6 if group == 0 else 5) * (one if group < 2 else other)
    return bits


@njit(cache=True, nogil=True)
def _factors_of_two(factors: int, short: bool, intensity: bool) -> int:
    """Return how many bits the scale factors take in MPEG-2 (13818-3, 2.4.3.2)."""
    if intensity:
        half = factors >> 1
        if half < 180:
            kind, a, b, c, d = 3, half // 36, half % 36 // 6, half % 6, 0
        elif half < 244:
            kind, a, b, c, d = 4, (half - 180) >> 4, (half - 180) % 16 >> 2, (half - 180) % 4, 0
        else:
            kind, a, b, c, d = 5, (half - 244) // 3, (half - 244) % 3, 0, 0
    elif factors < 400:
        kind, a, b, c, d = 0, (factors >> 4) // 5, (factors >> 4) % 5, factors % 16 >> 2, factors % 4
    elif factors < 500:
        kind, a, b, c, d = 1, ((factors - 400) >> 2) // 5, ((factors - 400) >> 2) % 5, factors % 4, 0
    else:
        kind, a, b, c, d = 2, (factors - 500) // 3, (factors - 500) % 3, 0, 0
    counts = _COUNTS[kind, int(short)]
    return int(a * counts[0] + b * counts[1] + c * counts[2] + d * counts[3])
