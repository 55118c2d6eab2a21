"""Containers whose own lengths and checksums tell whether they are whole, without decoding: PNG, GIF, RIFF, ISO base media."""

from __future__ import annotations

import zlib

from tamis.media import streams
from tamis.media.inspection import Container, FaultError

_PNG_SIGNATURE = 8
_PNG_CHUNK_OVERHEAD = 12
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INFLATED_PIECE = 1 << 20
_GIF_EXTENSION, _GIF_PICTURE, _GIF_TRAILER = 0x21, 0x2C, 0x3B


def declared_size(data: bytes, format_name: str) -> tuple[int, int]:
    """Return the width and height that a PNG's or GIF's first bytes declare, or (0, 0)."""
    if format_name == "png":
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if format_name == "gif":
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    return 0, 0


def _trailing(size: int, end: int) -> tuple[str, str] | None:
    return ("trailing_bytes", f"{size - end} bytes follow the end at byte {end}") if size > end else None


class _Rows:
    """Inflates a PNG's picture data to count and check them; what comes out is dropped."""

    def __init__(self, data: bytes) -> None:
        self._expected = _png_length(data)
        self._inflated = 0
        self._stream = zlib.decompressobj()
        self._begun = False

    def add(self, compressed: memoryview) -> None:
        """Inflate the next piece, no further than one piece beyond the expected end."""
        self._begun = True
        pending: bytes | memoryview = compressed
        try:
            while len(pending) and not self._stream.eof and self._inflated <= self._expected:
                self._inflated += len(self._stream.decompress(pending, _INFLATED_PIECE))
                pending = self._stream.unconsumed_tail
        except zlib.error as error:
            detail = f"the picture data cannot be inflated beyond byte {self._inflated} of {self._expected}: {error}"
            raise FaultError(grade="damaged", reason="corrupt_data", detail=detail) from error

    def check(self) -> None:
        """Raise where rows, or all of them, are missing."""
        if not self._begun:
            raise FaultError(grade="damaged", reason="no_picture_data", detail="holds no IDAT chunk")
        if self._inflated < self._expected:
            detail = f"the picture data inflate to {self._inflated} bytes, the picture needs {self._expected}"
            raise FaultError(grade="damaged", reason="missing_rows", detail=detail)


def _png_length(data: bytes) -> int:
    """Return how many bytes the filtered rows of all passes take; 0 where the header is not to be understood."""
    width, height = declared_size(data, "png")
    depth, colour, interlaced = data[24:26] + data[28:29] if len(data) > 28 else (0, 0, 0)
    bits = depth * _PNG_CHANNELS.get(colour, 0)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for x, y, dx, dy in passes:
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0 and bits:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def walk_png(data: bytes) -> Container:
    """Check every chunk's length and CRC, and that the picture data inflate to as many bytes as there are (PNG, third edition, 5.3 and 10).

    Raises
    ------
    FaultError
        The file is cut off, a chunk that the picture needs is missing or fails its checksum, or rows are missing.
    """
    place, size = _PNG_SIGNATURE, len(data)
    note: tuple[str, str] | None = None
    kept, kept_from = [], 0
    rows = _Rows(data)
    while True:
        kind = data[place + 4 : place + 8]
        end = place + _PNG_CHUNK_OVERHEAD + int.from_bytes(data[place : place + 4])
        if len(kind) < 4 or end > size:
            raise FaultError(grade="damaged", reason="truncated", detail=f"ends at byte {size} within the chunk {kind!r} at byte {place}")
        if place == _PNG_SIGNATURE and kind != b"IHDR":
            raise FaultError(grade="damaged", reason="no_header", detail=f"begins with the chunk {kind!r} instead of IHDR")
        if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            detail = f"the checksum of the chunk {kind!r} at byte {place} is wrong"
            if kind[0] < ord("a") or kind in (b"tRNS", b"fcTL", b"fdAT"):
                raise FaultError(grade="damaged", reason="bad_checksum", detail=detail)
            note = ("bad_ancillary_checksum", detail)
            kept.append(data[kept_from:place])
            kept_from = end
        if kind == b"IDAT":
            rows.add(memoryview(data)[place + 8 : end - 4])
        place = end
        if kind == b"IEND":
            break
    rows.check()
    kept.append(data[kept_from:place])
    return Container(b"".join(kept) if len(kept) > 1 else data, note or _trailing(size, place))


def walk_gif(data: bytes) -> Container:
    """Follow the blocks to the trailer (GIF89a).

    Raises
    ------
    FaultError
        The file is cut off, or something other than a block stands where one must begin.
    """
    size = len(data)
    if size < 13:
        raise FaultError(grade="damaged", reason="truncated", detail=f"ends at byte {size} within the header")
    place = 13 + _colour_table(data[10])
    frame = 0
    while place < size and data[place] != _GIF_TRAILER:
        if data[place] == _GIF_EXTENSION:
            place += 2
        elif data[place] == _GIF_PICTURE:
            flags = data[place + 9] if place + 9 < size else 0
            place += 11 + _colour_table(flags)
            frame += 1
        elif data[place] == 0:
            place += 1  # an empty block between two others, which readers pass over
            continue
        else:
            raise FaultError(
                grade="damaged", reason="bad_block", detail=f"no block begins with {data[place]:#04x}, at byte {place} after frame {frame}"
            )
        while place < size and data[place]:
            place += 1 + data[place]
        place += 1
    if place >= size:
        raise FaultError(grade="damaged", reason="truncated", detail=f"ends at byte {size} in or after frame {frame}, without a trailer")
    return Container(data, _trailing(size, place + 1))


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def walk_riff(data: bytes) -> Container:
    """Compare the length that a RIFF header declares with the bytes there are (WebP, WAV, AVI).

    Raises
    ------
    FaultError
        Fewer bytes are there than declared.
    """
    declared = 8 + int.from_bytes(data[4:8], "little")
    if data[:4] == b"RF64" or declared in (8, 8 + 0xFFFFFFFF):
        return Container(data)  # the length is told elsewhere, or was never written: a recording that streamed
    if declared > len(data):
        raise FaultError(grade="damaged", reason="truncated", detail=f"ends at byte {len(data)}, the header declares {declared} bytes")
    if data[8:12] == b"AVI ":
        return Container(data)  # long ones go on in further RIFF chunks
    end = declared + (declared & 1)
    return Container(data, note=_trailing(len(data), min(end, len(data))))


def walk_boxes(data: bytes) -> Container:
    """Follow the outermost boxes to the end of the file (ISO/IEC 14496-12; MP4, MOV, HEIC, AVIF, JP2).

    Raises
    ------
    FaultError
        A box is longer than what is left of the file.
    """
    place, size = 0, len(data)
    while place < size:
        length, start = int.from_bytes(data[place : place + 4]), place
        if length == 0 and place + 8 <= size:
            break  # goes on to the end of the file
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16])
        if place and not data[place : place + 8].strip(b"\0"):
            return Container(data, note=_trailing(size, place))
        if length < 8 or start + length > size:
            kind = data[place + 4 : place + 8]
            raise FaultError(grade="damaged", reason="truncated", detail=f"ends at byte {size} within the box {kind!r} at byte {place}")
        place += length
    return Container(data)


WALKS = {
    "png": walk_png,
    "gif": walk_gif,
    "webp": walk_riff,
    "wav": walk_riff,
    "avi": walk_riff,
    "mp4": walk_boxes,
    "m4a": walk_boxes,
    "mov": walk_boxes,
    "heic": walk_boxes,
    "avif": walk_boxes,
    "ogg": streams.walk_ogg,
    "flac": streams.walk_flac,
    "mkv": streams.walk_matroska,
    "webm": streams.walk_matroska,
}
