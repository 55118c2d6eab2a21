"""Sound and film whose own pages and frames tell by lengths and checksums whether they are whole, without decoding: Ogg, FLAC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media.inspection import Container, damaged, trailing
from tamis.names import counted
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OGG_PAGE = 27
_FIRST, _LAST = 0x02, 0x04
_STREAMINFO = 34
_SHORTEST_BLOCK = 16


def _table(polynomial: int, bits: int) -> NDArray[np.uint32]:
    """Return the table of a checksum that takes the highest bit first."""
    table = np.zeros(256, np.uint32)
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table[byte] = value
    return table


_CRC32, _CRC16, _CRC8 = _table(0x04C11DB7, 32), _table(0x8005, 16), _table(0x07, 8)


@njit(cache=True, nogil=True)
def _page_checksum(data: NDArray[np.uint8], start: int, stop: int, table: NDArray[np.uint32]) -> int:
    """Return the CRC-32 of an Ogg page, its own field taken as zeros."""
    crc = np.uint32(0)
    for place in range(start, stop):
        byte = np.uint32(0) if start + 22 <= place < start + 26 else np.uint32(data[place])
        crc = np.uint32(crc << np.uint32(8)) ^ table[(crc >> np.uint32(24)) ^ byte]
    return int(crc)


def walk_ogg(data: bytes) -> Container:
    """Follow the pages: their checksums, their numbers, and a last page for every stream (RFC 3533).

    Raises
    ------
    FaultError
        The file is cut off, a page is broken or missing, or a stream has no last page.
    """
    pages = np.frombuffer(data, np.uint8)
    place, size = 0, len(data)
    due: dict[bytes, int] = {}  # by stream, the number of its next page
    ended: set[bytes] = set()
    while place < size:
        if not b"OggS".startswith(data[place : place + 4]):
            if place and due.keys() <= ended:
                return Container(data, trailing(size - place, f"the last page at byte {place}"))
            raise damaged("bad_page", f"no page begins at byte {place}")
        table_end = place + _OGG_PAGE + (data[place + 26] if place + _OGG_PAGE <= size else 0)
        end = table_end + sum(data[place + _OGG_PAGE : table_end])
        if place + _OGG_PAGE > size or end > size:
            raise damaged("truncated", f"ends at byte {size} within the page at byte {place}")
        told = int.from_bytes(data[place + 22 : place + 26], "little")
        if _page_checksum(pages, place, end, _CRC32) != told:
            raise damaged("bad_checksum", f"the checksum of the page at byte {place} is wrong")
        flags, stream, number = data[place + 5], data[place + 14 : place + 18], int.from_bytes(data[place + 18 : place + 22], "little")
        if not flags & _FIRST and number != due.get(stream, 0):
            raise damaged("missing_pages", f"the page at byte {place} has the number {number} where {due.get(stream, 0)} is due")
        due[stream] = number + 1
        (ended.add if flags & _LAST else ended.discard)(stream)
        place = end
    if not due.keys() <= ended:
        raise damaged("truncated", f"ends at byte {size} without the last page of a stream")
    return Container(data)


@njit(cache=True, nogil=True)
def _frame(data: NDArray[np.uint8], place: int, crc8: NDArray[np.uint32]) -> tuple[int, int]:
    """Return the length of the FLAC frame header at a place and how many samples its frame has; zeros where there is none."""
    if place + 6 > data.size or data[place] != 0xFF or data[place + 1] & 0xFE != 0xF8 or data[place + 3] & 1:
        return 0, 0
    code, rate = int(data[place + 2]) >> 4, int(data[place + 2]) & 15
    if code == 0 or rate == 15 or int(data[place + 3]) >> 4 > 10:
        return 0, 0
    first = int(data[place + 4])
    more = 0
    while more < 7 and first & (0x80 >> more):
        more += 1
    if more == 1 or more > 7 or first == 0xFF:
        return 0, 0
    length = 4 + max(1, more)
    wide = (1 if code == 6 else 2 if code == 7 else 0) + (1 if rate == 12 else 2 if rate in (13, 14) else 0)
    if place + length + wide >= data.size:
        return 0, 0
    samples = 192 if code == 1 else 576 << (code - 2) if code < 6 else 256 << (code - 8) if code >= 8 else int(data[place + length]) + 1
    if code == 7:
        samples = (int(data[place + length]) << 8 | int(data[place + length + 1])) + 1
    length += wide
    crc = np.uint32(0)
    for at in range(place, place + length):
        crc = crc8[crc ^ np.uint32(data[at])]
    return (length + 1, samples) if crc == data[place + length] else (0, 0)


@njit(cache=True, nogil=True)
def _follow(data: NDArray[np.uint8], begin: int, total: int, crc16: NDArray[np.uint32], crc8: NDArray[np.uint32]) -> tuple[int, int, bool]:
    """Follow FLAC frames, each of which ends where its checksum comes to 0.

    Returns where the frames end or the first broken one begins, the samples up to there, and whether that is an end.
    """
    place, samples = begin, 0
    while place < data.size and (total == 0 or samples < total):
        header, block = _frame(data, place, crc8)
        if header == 0:
            return place, samples, total == 0 and samples > 0
        crc, end = np.uint32(0), 0
        for at in range(place, data.size):
            crc = np.uint32((crc << np.uint32(8)) & np.uint32(0xFFFF)) ^ crc16[(crc >> np.uint32(8)) ^ np.uint32(data[at])]
            if crc == 0 and at > place + header:
                done = at + 1 == data.size or (total > 0 and samples + block >= total)
                tag = at + 3 < data.size and (data[at + 1] == 0x54 or data[at + 1] == 0x41) and total == 0
                if done or tag or _frame(data, at + 1, crc8)[0]:
                    end = at + 1
                    break
        if end == 0:
            return place, samples, False
        place, samples = end, samples + block
    return place, samples, True


def walk_flac(data: bytes) -> Container:
    """Check the stream's header, and every frame's two checksums and place (RFC 9639).

    Raises
    ------
    FaultError
        The header cannot be, a frame is broken, or samples are missing.
    """
    place, size, last = 4, len(data), False
    info = data[8 : 8 + _STREAMINFO]
    if len(info) < _STREAMINFO or data[4] & 127 or int.from_bytes(data[5:8]) != _STREAMINFO:
        raise damaged("bad_header", "begins with no whole block of stream information")
    smallest, largest, rate = int.from_bytes(info[:2]), int.from_bytes(info[2:4]), int.from_bytes(info[10:13]) >> 4
    total = int.from_bytes(info[13:18]) & (1 << 36) - 1
    if not _SHORTEST_BLOCK <= smallest <= largest or rate == 0:
        raise damaged("bad_header", f"the stream information tells blocks of {smallest} to {largest} samples at {rate} Hz, which cannot be")
    while not last:
        if place + 4 > size:
            raise damaged("truncated", f"ends at byte {size}, before the sound begins")
        last = bool(data[place] & 128)
        place += 4 + int.from_bytes(data[place + 1 : place + 4])
    frames = np.frombuffer(data, np.uint8)
    begin = place
    while begin < size and not _frame(frames, begin, _CRC8)[0]:
        begin = data.find(b"\xff", begin + 1)
        begin = size if begin < 0 else begin
    end, samples, whole = _follow(frames, begin, total, _CRC16, _CRC8)
    if samples == 0 and not (whole and total == 0):
        raise damaged("truncated", f"ends at byte {size} without a whole frame; the sound begins at byte {place}")
    if not whole or samples < total:
        known = f" of {total}" if total else ""
        later = data.find(b"\xff", end + 1)
        while later >= 0 and not _frame(frames, later, _CRC8)[0]:
            later = data.find(b"\xff", later + 1)
        if later < 0:
            raise damaged("truncated", f"ends at byte {size} after {samples}{known} samples")
        raise damaged("corrupt_data", f"the frame at byte {end}, after {samples}{known} samples, is broken")
    if begin > place:
        return Container(data, ("junk_in_header", f"{counted(begin - place, 'bytes')} at byte {place} of no block"))
    return Container(data, trailing(size - end, f"the last frame at byte {end}"))
