"""PNG and APNG: every chunk's place and checksum, every frame inflated to its exact length (PNG, third edition).

Rows are inflated no further than one byte beyond what the header asks for, and other compressed chunks no further than `MOST_METADATA`.
The picture is made from the same rows, so no second decoder runs.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
from isal import isal_zlib

from tamis.media.inspection import FaultError, Limits, check_pixels, damaged, trailing
from tamis.names import counted
from tamis_kernels import png

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Note = tuple[str, str]
    Part = tuple[int, memoryview]

MOST_METADATA = 1 << 24
"""Bytes that a compressed text or colour profile may inflate to; more is a bomb."""

_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)

_SIGNATURE = 8
_OVERHEAD = 12
_BEST_RATIO = 1032  # of deflate: 258 bytes a bit pair
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_NEEDED = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})  # ancillary by name, but the picture is another one without them
_BEFORE_PALETTE = frozenset({b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB"})
_BEFORE_DATA = _BEFORE_PALETTE | {b"PLTE", b"tRNS", b"bKGD", b"hIST", b"pHYs", b"sPLT", b"acTL"}
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_LUMA = np.array([19595, 38470, 7471])
_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


@dataclass(frozen=True, slots=True)
class Header:
    """What IHDR says."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def mode(self) -> str:
        """Pillow's name of the pixel format."""
        gray = {1: "1", 16: "I;16"}.get(self.depth, "L")
        return gray if self.colour == 0 else _MODES[self.colour]

    def passes(self, width: int, height: int) -> list[tuple[tuple[int, int, int, int], int, int]]:
        """Return the passes that are not empty: where their pixels lie (x, y, and steps of both), columns, rows."""
        found = []
        for x, y, dx, dy in _ADAM7 if self.interlaced else _WHOLE:
            columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
            if columns > 0 and rows > 0:
                found.append(((x, y, dx, dy), columns, rows))
        return found

    def length(self, width: int, height: int) -> int:
        """Return how many bytes the filtered rows of all passes take."""
        return sum(rows * png.row_bytes(columns, self.depth, self.colour) for _, columns, rows in self.passes(width, height))


@dataclass(slots=True)
class _Frame:
    """A frame of an animation: its size, where it was announced, and its compressed data."""

    place: int
    width: int
    height: int
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Picture:
    """A PNG that was walked.

    Attributes
    ----------
    header
        What IHDR says.
    rows
        uint8[n]: the filtered rows of the picture, of all passes.
    palette
        uint8[entries, 3]; empty where there is none.
    frames
        Frames, the still picture among them.
    metadata
        The chunks that may tell the orientation, behind a header: enough for a reader of metadata.
    notes
        Reason and detail of each benign finding.
    """

    header: Header
    rows: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    palette: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 3), np.uint8))
    frames: int = 1
    metadata: bytes = b""
    notes: list[Note] = field(default_factory=list)


def read(data: bytes, limits: Limits) -> Picture:
    """Walk the chunks, inflate all frames and check their rows.

    Raises
    ------
    FaultError
        The file is cut off, a chunk that the picture needs is missing, misplaced or fails its checksum, rows are missing or cannot be
        inflated, an animation does not hold what it announces, or the file is a bomb.
    """
    picture, parts, frames = _walk(data, limits)
    header = picture.header
    if not parts:
        raise damaged("no_picture_data", "holds no IDAT chunk", 1.0)
    if header.colour == 3 and not len(picture.palette):
        raise damaged("no_palette", "holds no PLTE chunk, but its pixels are indices into one", 1.0)
    rows = _inflated(parts, header.length(header.width, header.height), "the picture data", picture.notes)
    picture.rows = np.frombuffer(rows, np.uint8)
    _check_filters(picture.rows, header, header.width, header.height, "")
    for number, frame in enumerate(frames):
        if not frame.parts:
            raise damaged("bad_animation", f"the frame announced at byte {frame.place} holds no data")
        what = f"frame {number} of the animation, announced at byte {frame.place}"
        inflated = np.frombuffer(_inflated(frame.parts, header.length(frame.width, frame.height), what, picture.notes), np.uint8)
        _check_filters(inflated, header, frame.width, frame.height, f" of {what}")
    return picture


def _chunks(data: bytes) -> Iterator[tuple[int, bytes, memoryview, bool]]:
    """Yield place, kind and body of each chunk up to IEND, and whether its checksum is right."""
    view, size = memoryview(data), len(data)
    place, kind = _SIGNATURE, b""
    while kind != b"IEND":
        kind = data[place + 4 : place + 8]
        end = place + _OVERHEAD + int.from_bytes(data[place : place + 4])
        if len(kind) == 4 and not (kind.isascii() and kind.isalpha()):
            raise damaged("bad_chunk", f"no chunk begins at byte {place}: its name would be {kind!r}")
        if len(kind) < 4 or end > size:
            raise damaged("truncated", f"ends at byte {size} within the chunk {kind!r} at byte {place}")
        if place == _SIGNATURE and kind != b"IHDR":
            raise damaged("no_header", f"begins with the chunk {kind!r} instead of IHDR")
        right = isal_zlib.crc32(view[place + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        yield place, kind, view[place + 8 : end - 4], right
        place = end


def _header(body: memoryview, limits: Limits) -> Header:
    if len(body) != 13:
        raise FaultError(grade="undecodable", reason="bad_header", detail=f"IHDR holds {len(body)} bytes in place of 13")
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", body)
    if not 0 < width < 1 << 31 or not 0 < height < 1 << 31 or depth not in png.DEPTHS.get(colour, ()):
        detail = f"IHDR declares {width} x {height} pixels of colour type {colour} and depth {depth}, which cannot be"
        raise FaultError(grade="undecodable", reason="bad_header", detail=detail)
    if compression or filters or interlace > 1:
        detail = f"IHDR names compression {compression}, filters {filters}, interlace {interlace}: methods that do not exist"
        raise FaultError(grade="undecodable", reason="bad_header", detail=detail)
    check_pixels(width, height, limits)
    return Header(width, height, depth, colour, bool(interlace))


def _walk(data: bytes, limits: Limits) -> tuple[Picture, list[Part], list[_Frame]]:
    """Return what the chunks hold: the picture without its rows, the parts of IDAT, and the animation's frames."""
    picture = Picture(Header(1, 1, 8, 0, interlaced=False))
    notes, animation = picture.notes, _Animation(limits)
    parts: list[Part] = []
    seen: dict[bytes, int] = {}
    last, end = b"", 0
    metadata = []
    for place, kind, body, right in _chunks(data):
        before, last, end = last, kind, place + len(body) + _OVERHEAD
        if not right:
            detail = f"the checksum of the chunk {kind!r} at byte {place} is wrong"
            if kind[:1].isupper() or kind in _NEEDED:
                raise damaged("bad_checksum", detail)
            notes.append(("bad_ancillary_checksum", detail))
            continue
        if (kind in _BEFORE_DATA and parts) or (kind in _BEFORE_PALETTE and b"PLTE" in seen):
            notes.append(("chunk_order", f"the chunk {kind!r} at byte {place} comes too late"))
        if kind == b"IHDR":
            if seen:
                raise damaged("bad_chunk", f"a second IHDR begins at byte {place}")
            picture.header = _header(body, limits)
            metadata.append(data[:end])
        elif kind == b"PLTE":
            picture.palette = _palette(picture, body, place)
        elif kind == b"IDAT":
            if parts and before != kind:
                raise damaged("bad_chunk", f"IDAT goes on at byte {place} after the chunk {before!r}")
            parts.append((place, body))
            animation.picture_begins(picture.header)
        elif kind in (b"acTL", b"fcTL", b"fdAT"):
            animation.add(kind, body, place, picture.header, notes, second=kind in seen)
        elif kind == b"iCCP" or kind in _TEXTS:
            _check_compressed(kind, body, place, notes)
            if kind != b"iCCP" and bytes(body[:21]).startswith((b"XML:com.adobe.xmp\0", b"Raw profile type ")):
                metadata.append(data[place:end])
        elif kind == b"eXIf":
            metadata.append(data[place:end])
        elif kind[:1].isupper() and kind != b"IEND":
            raise damaged("bad_chunk", f"the chunk {kind!r} at byte {place} is marked as needed, and nobody knows it")
        seen[kind] = place
    if behind := trailing(len(data) - end, f"the end at byte {end}"):
        notes.append(behind)
    if len(metadata) > 1:
        picture.metadata = b"".join([*metadata, b"\0\0\0\0IDAT"])
    frames = animation.close()
    picture.frames = max(1, animation.announced + (not animation.shows_picture))
    return picture, parts, frames


def _palette(picture: Picture, body: memoryview, place: int) -> NDArray[np.uint8]:
    """Return the palette, or an empty one where the pixels need none."""
    if len(body) % 3 or not 3 <= len(body) <= 768:
        raise damaged("bad_palette", f"PLTE at byte {place} holds {len(body)} bytes, which is no number of colours from 1 to 256")
    if picture.header.colour in (0, 4):
        picture.notes.append(("chunk_order", f"PLTE at byte {place} has no business in a grey picture"))
    return np.frombuffer(body, np.uint8).reshape(-1, 3)


def _check_compressed(kind: bytes, body: memoryview, place: int, notes: list[Note]) -> None:
    """Inflate a text or colour profile as far as is safe."""
    _, _, rest = bytes(body).partition(b"\0")
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return
    packed = rest[1:] if kind != b"iTXt" else rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    stream = isal_zlib.decompressobj()
    try:
        inflated = stream.decompress(packed, MOST_METADATA + 1)
    except _INFLATE_ERROR as error:
        notes.append(("broken_metadata", f"the chunk {kind!r} at byte {place} cannot be inflated: {error}"))
        return
    if len(inflated) > MOST_METADATA:
        detail = f"the chunk {kind!r} at byte {place} has {len(body)} bytes and inflates to more than {MOST_METADATA}"
        raise FaultError(grade="bomb", reason="too_much_metadata", detail=detail)
    if not stream.eof:
        notes.append(("broken_metadata", f"the chunk {kind!r} at byte {place} holds a compressed stream without an end"))


def _inflated(parts: Sequence[Part], expected: int, what: str, notes: list[Note]) -> bytes:
    """Return the rows of a frame, which must be `expected` bytes."""
    packed = parts[0][1] if len(parts) == 1 else b"".join(body for _, body in parts)
    if expected > _BEST_RATIO * (len(packed) + 1):
        detail = f"{what} have {len(packed)} bytes, which cannot inflate to the {expected} that the header asks for"
        raise FaultError(grade="bomb", reason="too_few_bytes", detail=detail)
    stream = isal_zlib.decompressobj()
    try:
        rows: bytes = stream.decompress(packed, expected + 1)
    except _INFLATE_ERROR as error:
        whole = _inflated_before_fault(packed, expected)
        detail = f"{what}, from byte {parts[0][0]} on, cannot be inflated beyond byte {whole} of {expected}: {error}"
        raise damaged("corrupt_data", detail, 1 - whole / expected) from error
    if len(rows) < expected:
        detail = f"{what}, from byte {parts[0][0]} on, inflate to {len(rows)} bytes, the picture needs {expected}"
        raise damaged("missing_rows", detail, 1 - len(rows) / expected)
    if len(rows) > expected:
        notes.append(("excess_rows", f"{what} inflate to more than the {expected} bytes that the picture needs"))
        return rows[:expected]
    if not stream.eof:
        notes.append(("no_end_of_stream", f"{what} hold all rows, but not the end of the compressed stream with its checksum"))
    elif stream.unused_data:
        notes.append(("excess_data", f"{counted(len(stream.unused_data), 'bytes', 'follow')} the compressed stream of {what}"))
    return rows


def _inflated_before_fault(packed: bytes | memoryview, expected: int) -> int:
    """Return how many bytes come out before the fault; slower than the first try, and broken files alone come here."""
    stream, count = zlib.decompressobj(), 0
    pending: bytes | memoryview = packed
    try:
        while len(pending) and not stream.eof and count < expected:
            out = stream.decompress(pending[: 1 << 14])  # piece by piece: what comes out of one that fails is lost
            count, pending = count + len(out), pending[1 << 14 :]
    except zlib.error:
        pass
    return min(count, expected)


def _check_filters(rows: NDArray[np.uint8], header: Header, width: int, height: int, where: str) -> None:
    """Raise where a row begins with no filter's number."""
    start = 0
    for _, columns, count in header.passes(width, height):
        length = png.row_bytes(columns, header.depth, header.colour)
        numbers = rows[start : start + count * length : length]
        if numbers.max() > png.LAST_FILTER:
            row = int((numbers > png.LAST_FILTER).argmax())
            detail = f"row {row}{where} begins with {numbers[row]}, which is no filter"
            raise damaged("bad_filter", detail, 1 - start / len(rows) - row * length / len(rows))
        start += count * length


def gray(picture: Picture) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...] | None]:
    """Return the luma, uint8[height, width], and Cb and Cr of the means of 8 x 8 pixels, None where the mode has no colour.

    Adds a note where pixels have no colour in the palette.
    """
    header = picture.header
    whole = np.empty((header.height, header.width), np.uint8)
    sums = np.zeros((-(-header.height // png.CELL), -(-header.width // png.CELL), 3), np.uint32)
    start = 0
    for place, columns, count in header.passes(header.width, header.height):
        stop = start + count * png.row_bytes(columns, header.depth, header.colour)
        rows = picture.rows[start:stop]
        levels = png.gray(rows, (count, columns), depth=header.depth, colour=header.colour, sums=sums, place=place)
        if header.interlaced:
            x, y, dx, dy = place
            whole[y::dy, x::dx] = levels
        else:
            whole = levels
        start = stop
    if header.colour in (0, 4):
        return whole, None
    if header.colour == 3:
        whole, sums = _looked_up(picture, whole)
    return whole, _chroma(sums, whole.shape)


def _looked_up(picture: Picture, indices: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return luma, and sums of the colours of cells, of indices into the palette."""
    entries = len(picture.palette)
    if (highest := int(indices.max())) >= entries:
        picture.notes.append(("palette_index", f"pixels have the index {highest}, the palette holds {entries} colours"))
    colours = np.zeros((256, 3), np.uint8)
    colours[:entries] = picture.palette
    down, across = (np.arange(0, size, png.CELL) for size in indices.shape)
    sums = np.add.reduceat(np.add.reduceat(colours[indices], down, axis=0, dtype=np.uint32), across, axis=1)
    luma: NDArray[np.uint8] = (colours @ _LUMA + 0x8000 >> 16).astype(np.uint8)[indices]
    return luma, sums


def _chroma(sums: NDArray[np.uint32], shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], ...]:
    """Return Cb and Cr of the means of cells, those at the border of the pixels that are there (ITU-T T.871)."""
    down, across = (np.diff(np.arange(0, size, png.CELL), append=size) for size in shape)
    means = np.rint(sums / np.outer(down, across)[:, :, None])
    planes = (np.clip(np.rint(128 + means @ weights), 0, 255) for weights in _CHROMA)
    return tuple(plane.astype(np.uint8) for plane in planes)


class _Animation:
    """The frames of an APNG as its chunks announce and bring them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames: list[_Frame] = []
        self._declared: int | None = None
        self._due = 0  # the next number in the sequence
        self._pixels = 0
        self._picture_begun = False
        self.announced = 0
        self.shows_picture = False

    def picture_begins(self, header: Header) -> None:
        """Note that IDAT begins: a frame announced before is the picture itself."""
        if not self._picture_begun and self._frames:
            first = self._frames.pop()
            self.shows_picture = True
            if (first.width, first.height) != (header.width, header.height):
                raise damaged("bad_animation", f"the first frame, announced at byte {first.place}, is smaller than the picture")
        self._picture_begun = True

    def add(self, kind: bytes, body: memoryview, place: int, header: Header, notes: list[Note], *, second: bool) -> None:
        """Take the next chunk of the animation."""
        if kind == b"acTL":
            if len(body) != 8 or not int.from_bytes(body[:4]):
                raise damaged("bad_animation", f"acTL at byte {place} announces no frames")
            if second:
                notes.append(("bad_animation", f"a second acTL begins at byte {place}"))
            self._declared = int.from_bytes(body[:4])
        elif self._declared is not None:  # without acTL there is no animation
            self._number(kind, body, place)
            if kind == b"fcTL":
                self._announce(body, place, header)
            elif not self._frames:
                raise damaged("bad_animation", f"fdAT at byte {place} belongs to no frame")
            else:
                self._frames[-1].parts.append((place, body[4:]))

    def _number(self, kind: bytes, body: memoryview, place: int) -> None:
        number = int.from_bytes(body[:4])
        if len(body) < 4 or number != self._due:
            raise damaged("bad_animation", f"the chunk {kind!r} at byte {place} has the number {number} where {self._due} is due")
        self._due += 1

    def _announce(self, body: memoryview, place: int, header: Header) -> None:
        width, height, x, y = struct.unpack(">IIII", body[4:20]) if len(body) == 26 else (0, 0, 0, 0)
        if not width or not height or x + width > header.width or y + height > header.height:
            raise damaged("bad_animation", f"fcTL at byte {place} tells of a frame that does not lie within the picture")
        self._pixels += width * height
        self._limits.check_frames(self.announced + 1, self._pixels)
        self._frames.append(_Frame(place, width, height))
        self.announced += 1

    def close(self) -> list[_Frame]:
        """Return the frames behind the picture, after the last chunk."""
        if self._declared is not None and self._declared != self.announced:
            raise damaged("bad_animation", f"announces {self._declared} frames and holds {self.announced}")
        return self._frames
