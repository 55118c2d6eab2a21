"""MPEG audio layer III: the side information of every frame, which says where in the stream its sound lies, and the sound, held to it.

ISO/IEC 11172-3, 2.4.1.7; the sound itself is passed in `layer3_sound.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media.inspection import damaged
from tamis.media.layer3_codes import lookups
from tamis.media.layer3_sound import BEYOND, EXACT, OTHERWISE, UNKNOWN, bits_at, check_granule
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_PAIRS = 288  # of a granule's 576 values
_SPARE = 8  # bytes behind the sound that a lookup may reach
_EXACT_FOR_EACH = 4
"""Granules whose sound ends where it must for each one whose does not: with fewer, the encoder is one that fills up what it has left."""
_POLYNOMIAL = 0x8005
_FAULTS = (
    ("bad_checksum", "another CRC than its header and side information have"),
    ("corrupt_data", "side information that no encoder writes"),
    ("corrupt_data", "sound that begins before that of the frame in front of it ends"),
    ("corrupt_data", "sound that ends beyond the bytes there are"),
    ("corrupt_data", "sound that takes more bits than the frame gives it"),
    ("corrupt_data", "sound that does not end where it must, as that of the others does"),
)


def check_frames(data: bytes, places: list[int]) -> None:
    """Raise where the side information of a frame contradicts itself, the frames before it, or the sound that it describes.

    Parameters
    ----------
    data
        The whole file.
    places
        Where frames of layer III begin, one behind the other, and where the last one ends; the first of them holds sound.

    Raises
    ------
    FaultError
        A checksum is wrong, a value cannot be, or the sound of a frame does not lie between that of its neighbours, or is longer or
        shorter than the frame says.
    """
    fault, frame = _check(np.frombuffer(data, np.uint8), np.array(places, np.int64), *lookups())
    if fault:
        reason, what = _FAULTS[fault - 1]
        raise damaged(reason, f"frame {frame} at byte {places[frame]} has {what}", lost=1 / (len(places) - 1))


@njit(cache=True, nogil=True)
def _check(data: NDArray[np.uint8], places: NDArray[np.int64], first: NDArray[np.int32], second: NDArray[np.int32]) -> tuple[int, int]:
    """Return what is wrong first, counted from 1 (0: nothing), and in which frame."""
    sound = np.zeros(places[-1] - places[0] + _SPARE, np.uint8)
    held, used, known = 0, 0, False  # bytes for sound so far, bits up to which it is used, whether that is known
    exact, others, first_other = 0, 0, 0
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
        begin = 8 * (held - bits_at(data, 8 * start, bit - 8 * start))
        bit += ((5 if channels == 1 else 3) + 4 * channels) if new else channels
        wanted = 0
        for at in range(bit, bit + channels * (118 if new else 63), 59 if new else 63):
            size = bits_at(data, at, 12)
            wanted += size
            if size and not _can_be(data, at, new):
                return 2, frame
        size = stop - start - length
        sound[held : held + size] = data[stop - size : stop]
        held += size
        if begin >= 0:  # what begins before the first frame was cut off with it
            if known and wanted and begin < used:
                return 3, frame
            if begin + wanted > 8 * held:
                return 4, frame
            used, known = begin + wanted, True
            outcomes = _check_sound(data, place, bit, channels, sound, begin, first, second)
            if outcomes[BEYOND]:
                return 5, frame
            exact += outcomes[EXACT]
            if outcomes[OTHERWISE] and others == 0:
                first_other = frame
            others += outcomes[OTHERWISE]
    return (6, first_other) if others and _EXACT_FOR_EACH * others <= exact else (0, 0)


@njit(cache=True, nogil=True)
def _check_sound(
    data: NDArray[np.uint8],
    place: int,
    bit: int,
    channels: int,
    sound: NDArray[np.uint8],
    begin: int,
    first: NDArray[np.int32],
    second: NDArray[np.int32],
) -> tuple[int, int, int, int]:
    """Return of how many granules of a frame, whose values begin at `bit`, the sound has each outcome."""
    header = bits_at(data, 8 * place, 16) << 16 | bits_at(data, 8 * place + 16, 16)
    new = header >> 19 & 3 == 3
    exact = otherwise = beyond = unknown = 0
    for granule in range(2 if new else 1):
        for channel in range(channels):
            size = bits_at(data, bit, 12)
            shared = bits_at(data, 8 * place + (32 if header >> 16 & 1 else 48) + (14 if channels == 1 else 12) + 4 * channel, 4)
            if size:
                outcome = check_granule(data, header, bit, shared if granule else 0, channel == 1, sound, begin, first, second)
                exact += outcome == EXACT
                otherwise += outcome == OTHERWISE
                beyond += outcome == BEYOND
                unknown += outcome == UNKNOWN
            begin += size
            bit += 59 if new else 63
    return exact, otherwise, beyond, unknown


@njit(cache=True, nogil=True)
def _can_be(data: NDArray[np.uint8], bit: int, new: bool) -> bool:
    """Say whether the values of a granule, which begin at this bit, are such as the standard knows."""
    if bits_at(data, bit + 12, 9) > _MOST_PAIRS:
        return False
    at = bit + 29 + (4 if new else 9)
    switched = bits_at(data, at, 1) == 1
    if switched and bits_at(data, at + 1, 2) == 0:
        return False
    for region in range(2 if switched else 3):
        table = bits_at(data, at + (4 if switched else 1) + 5 * region, 5)
        if table in (4, 14):
            return False
    return True


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
