"""TIFF and BMP: whether the places and lengths that they declare lie within the file, page by page, and strips unpack to their length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from isal import isal_zlib

from tamis.media.inspection import Container, FaultError, Limits, check_pixels, damaged
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_WIDE_TYPES = {5: 8, 10: 8, 11: 4, 12: 8}  # fractions and floats: their bytes
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_NEEDED = frozenset(
    {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES, _TILES, _TILE_BYTES, 320}
)
_PLAIN, _LZW, _DEFLATE, _PACKBITS, _YCBCR = 1, 5, (8, 32946), 32773, 6
_CLEAR, _END, _CODES = 256, 257, 4096
_PADDING = 3  # bytes in which a strip without an end code may hold a code that is none
_BEST_RATIO = 1032  # of deflate
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)
_PLAIN_BMP = (0, 3, 6)
_CORE_HEADER = 12


def walk_tiff(data: bytes, limits: Limits) -> Container:
    """Follow the chain of directories; every strip and tile must lie within the file and be long enough (TIFF 6.0, BigTIFF).

    Raises
    ------
    FaultError
        The file is cut off or a bomb, the chain of directories goes in a circle, or picture data are missing.
    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], order) == 43
    width = 8 if big else 4  # of a place in the file
    place = int.from_bytes(data[8:16] if big else data[4:8], order)
    seen: set[int] = set()
    notes: list[tuple[str, str]] = []
    pixels = 0
    while place:
        if place in seen:
            raise damaged("directory_loop", f"the chain of directories comes back to byte {place} after {len(seen)} pages")
        seen.add(place)
        tags, place = _directory(data, place, order, width, notes)
        if _WIDTH in tags and _HEIGHT in tags:
            extent = _one(tags, _WIDTH), _one(tags, _HEIGHT)
            check_pixels(*extent, limits)
            pixels += extent[0] * extent[1]
            _check_page(data, tags, len(seen) - 1, limits)
        limits.check_frames(len(seen), pixels)
    if not seen:
        raise damaged("no_picture_data", "holds no directory", 1.0)
    return Container(data, notes[0] if notes else None)


def _directory(
    data: bytes, place: int, order: Literal["little", "big"], width: int, notes: list[tuple[str, str]]
) -> tuple[dict[int, Numbers], int]:
    """Return the numbers of a directory's entries by tag, and where the next directory begins."""
    head, each = (8, 20) if width == 8 else (2, 12)
    count = int.from_bytes(data[place : place + head], order)
    end = place + head + count * each + width
    if end - width > len(data) or place + head > len(data):
        raise damaged("truncated", f"ends at byte {len(data)}, within or before the directory at byte {place}")
    tags: dict[int, Numbers] = {}
    sign = "<" if order == "little" else ">"
    for entry in range(place + head, end - width, each):
        tag, kind = (int.from_bytes(data[at : at + 2], order) for at in (entry, entry + 2))
        values = int.from_bytes(data[entry + 4 : entry + 4 + width], order)
        code = _TYPES.get(kind)
        bytes_each = int(code[1]) if code else _WIDE_TYPES.get(kind, 1)
        start = entry + 4 + width
        if values * bytes_each > width:
            start = int.from_bytes(data[start : start + width], order)
        if start + values * bytes_each > len(data):
            detail = f"the entry at byte {entry}, tag {tag}, has {values} values at byte {start}, beyond the end at byte {len(data)}"
            if tag in _NEEDED:
                raise damaged("truncated", detail)
            notes.append(("broken_metadata", detail))
        elif code and tag not in tags and tag in _NEEDED | {_TILE_WIDTH, _TILE_HEIGHT}:
            dtype: Any = np.dtype(sign + code)
            tags[tag] = np.frombuffer(data, dtype, values, start).astype(np.int64)
    following = int.from_bytes(data[end - width : end], order) if end <= len(data) else 0
    return tags, following


def _one(tags: dict[int, Numbers], tag: int, default: int = 0) -> int:
    values = tags.get(tag)
    return int(values[0]) if values is not None and len(values) else default


def _check_page(data: bytes, tags: dict[int, Numbers], page: int, limits: Limits) -> None:
    """Raise where strips or tiles of a page are missing, cut off, too short or cannot be inflated."""
    size = len(data)
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    tiled = _TILES in tags
    places, lengths = (tags.get(_TILES), tags.get(_TILE_BYTES)) if tiled else (tags.get(_STRIPS), tags.get(_STRIP_BYTES))
    what = "tile" if tiled else "strip"
    if places is None or not len(places):
        raise damaged("no_picture_data", f"page {page} holds no {what}s")
    if lengths is None or len(lengths) != len(places):
        if lengths is not None or len(places) > 1:
            raise damaged("bad_table", f"page {page} has {len(places)} {what}s and {0 if lengths is None else len(lengths)} lengths")
        lengths = np.array([size - places[0]])
    beyond = (places < 0) | (lengths < 0) | (places > size - lengths)
    if beyond.any():
        first = int(beyond.argmax())
        detail = f"ends at byte {size}; {what} {first} of page {page} lies at bytes {places[first]} to {places[first] + lengths[first]}"
        raise damaged("truncated", detail, 1 - first / len(places))
    across, down = (_one(tags, _TILE_WIDTH), _one(tags, _TILE_HEIGHT)) if tiled else (width, min(height, _one(tags, _ROWS, height)))
    samples = _one(tags, _SAMPLES, 1)
    if not across or not down or samples < 1:
        raise damaged("bad_header", f"page {page} has {what}s of {across} x {down} pixels of {samples} samples")
    planes = samples if _one(tags, _PLANES, 1) == 2 else 1
    needed = -(-width // across) * -(-height // down) * planes
    if len(places) < needed:
        raise damaged("missing_rows", f"page {page} has {len(places)} {what}s and needs {needed}", 1 - len(places) / needed)
    compression = _one(tags, _COMPRESSION, 1)
    if compression not in (_PLAIN, _LZW, _PACKBITS, *_DEFLATE) or _one(tags, _PHOTOMETRIC) == _YCBCR:
        return
    bits = int(tags[_BITS].sum()) if len(tags.get(_BITS, ())) == samples else _one(tags, _BITS, 1) * samples
    row, each = -(-across * bits // planes // 8), -(-height // down)
    if row * down > 8 * limits.max_pixels:
        raise FaultError(grade="bomb", reason="too_many_pixels", detail=f"a {what} of page {page} would hold {row * down} bytes")
    for number in range(needed):
        place, length = int(places[number]), int(lengths[number])
        rows = down if tiled else min(down, height - number % each * down)
        name = f"{what} {number} of page {page}"
        unpack = {_PLAIN: _plain, _LZW: _followed, _PACKBITS: _counted}.get(compression, _inflated)
        have = unpack(data[place : place + length], row * down, name, place)
        if have < row * rows:
            raise damaged("missing_rows", f"{name}, at byte {place}, holds {have} bytes where {row * rows} are needed", 1 - number / needed)


def _plain(packed: bytes, _most: int, _name: str, _place: int) -> int:
    return len(packed)


def _counted(packed: bytes, most: int, name: str, place: int) -> int:
    """Return for how many bytes the runs of a strip or tile stand (TIFF 6.0, section 9), at most as many as it may."""
    count = int(_count_runs(np.frombuffer(packed, np.uint8), most))
    if count > most:
        raise damaged("corrupt_data", f"{name}, from byte {place} on, stands for more than {most} bytes")
    return count


@njit(cache=True, nogil=True)
def _count_runs(packed: NDArray[np.uint8], most: int) -> int:
    place, made = 0, 0
    while place < packed.size and made < most:
        head = int(packed[place])
        if head < 128:
            made += min(head + 1, packed.size - place - 1)
            place += head + 2
        else:
            made += 257 - head if head > 128 and place + 1 < packed.size else 0
            place += 2 if head > 128 else 1
    return made


def _followed(packed: bytes, most: int, name: str, place: int) -> int:
    """Return for how many bytes the LZW codes of a strip or tile stand, at most as many as it may."""
    if len(packed) > 1 and packed[0] == 0 and packed[1] & 1:
        return most  # the codes of before TIFF 6.0, whose bits run the other way: left to libtiff
    count, fault, at = _follow_codes(np.frombuffer(packed, np.uint8), most, np.ones(_CODES, np.int64))
    if fault or count > most:
        why = "has a code that stands for nothing" if fault else f"stands for more than {most} bytes"
        raise damaged("corrupt_data", f"{name}, from byte {place} on, {why} at byte {place + at}")
    return count


@njit(cache=True, nogil=True)
def _follow_codes(packed: NDArray[np.uint8], most: int, lengths: NDArray[np.int64]) -> tuple[int, bool, int]:
    """Follow LZW codes (TIFF 6.0, section 13); lengths int64[4096] is scratch, ones at first: how many bytes each code stands for.

    Returns the bytes that the codes stand for, whether one stands for nothing, and the byte of the last code.
    """
    free, bits, previous = _END + 1, 9, -1
    value, held, made = 0, 0, 0
    for place in range(packed.size):
        value = (value << 8 | int(packed[place])) & 0xFFFFFF
        held += 8
        if held < bits:
            continue
        held -= bits
        code = value >> held & ((1 << bits) - 1)
        if code == _CLEAR:
            free, bits, previous = _END + 1, 9, -1
            continue
        if code == _END:
            return made, False, place
        if code > free or (previous < 0 and code > _END):
            return made, True, place
        if previous >= 0 and free < _CODES:
            lengths[free] = lengths[previous] + 1
            free += 1
            if free == (1 << bits) - 1 and bits < 12:
                bits += 1  # one code early, as all writers do
        elif code >= free:
            return made, True, place
        made += lengths[code]
        previous = code
        if made > most or (made == most and packed.size - place <= _PADDING):
            return made, False, place
    return made, False, packed.size


def _inflated(packed: bytes, most: int, name: str, place: int) -> int:
    """Return how many bytes a strip or tile inflates to, at most as many as it may; libtiff passes over a wrong checksum."""
    if most > _BEST_RATIO * (len(packed) + 1):
        return 0
    stream = isal_zlib.decompressobj()
    try:
        count = len(stream.decompress(packed, most + 1))
    except _INFLATE_ERROR as error:
        raise damaged("corrupt_data", f"{name}, from byte {place} on, cannot be inflated: {error}") from error
    if count > most or not stream.eof:
        raise damaged("corrupt_data", f"{name}, from byte {place} on, inflates to {count} bytes of at most {most} without an end")
    return count


def walk_bmp(data: bytes, limits: Limits) -> Container:
    """Compare the rows that the header declares with the bytes there are (Windows and OS/2 bitmaps).

    Raises
    ------
    FaultError
        The file is cut off or a bomb.
    """
    size = len(data)

    def number(at: int, width: int = 4, *, signed: bool = False) -> int:
        return int.from_bytes(data[at : at + width], "little", signed=signed)

    start, core = number(10), number(14) == _CORE_HEADER
    width, height, bits = (
        (number(18, 2), number(20, 2), number(24, 2)) if core else (number(18, signed=True), number(22, signed=True), number(28, 2))
    )
    check_pixels(abs(width), abs(height), limits)
    compression, declared = (0, 0) if core else (number(30), number(34))
    row = -(-abs(width) * bits // 32) * 4
    needed = start + (row * abs(height) if compression in _PLAIN_BMP else declared)
    if needed > size:
        lost = min(1.0, (needed - size) / (needed - start)) if needed > start else 0.0
        raise damaged("truncated", f"ends at byte {size}, its rows from byte {start} on need {needed} bytes", lost)
    return Container(data)
