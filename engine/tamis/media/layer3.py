"""MPEG audio layer III: the side information of every frame, which says where in the stream its sound lies (ISO/IEC 11172-3, 2.4.1.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tamis.media.inspection import FaultError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_PAIRS = 288  # of a granule's 576 values
_POLYNOMIAL = 0x8005
_FAULTS = (
    ("bad_checksum", "another CRC than its header and side information have"),
    ("corrupt_data", "side information that no encoder writes"),
    ("corrupt_data", "sound that begins before that of the frame in front of it ends"),
    ("corrupt_data", "sound that ends beyond the bytes there are"),
)


def check_side_information(data: bytes, places: list[int]) -> None:
    """Raise where the side information of a frame contradicts itself or the frames before it.

    Parameters
    ----------
    data
        The whole file.
    places
        Where frames of layer III begin, one behind the other, and where the last one ends; the first of them holds sound.

    Raises
    ------
    FaultError
        A checksum is wrong, a value cannot be, or the sound of a frame does not lie between that of its neighbours.
    """
    fault, frame = _check(np.frombuffer(data, np.uint8), np.array(places, np.int64))
    if fault:
        reason, what = _FAULTS[fault - 1]
        detail = f"frame {frame} at byte {places[frame]} has {what}"
        raise FaultError(grade="damaged", reason=reason, detail=detail, lost=1 / (len(places) - 1))


@njit(cache=True, nogil=True)
def _check(data: NDArray[np.uint8], places: NDArray[np.int64]) -> tuple[int, int]:
    """Return what is wrong first, counted from 1 (0: nothing), and in which frame."""
    held, used, known = 0, 0, False  # bytes for sound so far, bits up to which it is used, whether that is known
    for frame in range(places.size - 1):
        place, stop = places[frame], places[frame + 1]
        new = data[place + 1] >> 3 & 3 == 3
        channels = 1 if data[place + 3] >> 6 == 3 else 2
        start = place + (4 if data[place + 1] & 1 else 6)
        length = (17 if channels == 1 else 32) if new else (9 if channels == 1 else 17)
        if start + length > stop:
            return 2, frame
        if start == place + 6 and _checksum(data, place, start, length) != int(data[place + 4]) << 8 | int(data[place + 5]):
            return 1, frame
        bit = 8 * start + (9 if new else 8)
        begin = 8 * (held - _bits(data, 8 * start, bit - 8 * start))
        bit += ((5 if channels == 1 else 3) + 4 * channels) if new else channels
        wanted = 0
        for _ in range(channels * (2 if new else 1)):
            size = _bits(data, bit, 12)
            wanted += size
            if size and not _can_be(data, bit, new):
                return 2, frame
            bit += 59 if new else 63
        held += stop - start - length
        if begin >= 0:  # what begins before the first frame was cut off with it
            if known and wanted and begin < used:
                return 3, frame
            if begin + wanted > 8 * held:
                return 4, frame
            used, known = begin + wanted, True
    return 0, 0


@njit(cache=True, nogil=True)
def _can_be(data: NDArray[np.uint8], bit: int, new: bool) -> bool:
    """Say whether the values of a granule, which begin at this bit, are such as the standard knows."""
    if _bits(data, bit + 12, 9) > _MOST_PAIRS:
        return False
    at = bit + 29 + (4 if new else 9)
    switched = _bits(data, at, 1) == 1
    if switched and _bits(data, at + 1, 2) == 0:
        return False
    for region in range(2 if switched else 3):
        table = _bits(data, at + (4 if switched else 1) + 5 * region, 5)
        if table in (4, 14):
            return False
    return True


@njit(cache=True, nogil=True)
def _bits(data: NDArray[np.uint8], bit: int, count: int) -> int:
    value = 0
    for at in range(bit, bit + count):
        value = value << 1 | (int(data[at >> 3]) >> (7 - (at & 7)) & 1)
    return value


@njit(cache=True, nogil=True)
def _checksum(data: NDArray[np.uint8], place: int, start: int, length: int) -> int:
    """Return the CRC of the second half of the header and the side information."""
    crc = 0xFFFF
    for at in range(place + 2, start + length):
        if place + 4 <= at < start:
            continue
        for shift in range(7, -1, -1):
            carry = (crc >> 15) ^ (int(data[at]) >> shift & 1)
            crc = (crc << 1 & 0xFFFF) ^ (_POLYNOMIAL if carry else 0)
    return crc
