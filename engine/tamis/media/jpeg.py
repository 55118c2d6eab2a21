"""JPEG: what its header says, what the walk over its data means, and libjpeg for the kinds that the walk does not know (ITU-T T.81)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from tamis.media.inspection import FaultError, Header, Limits, check_pixels, damaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.jpeg import Walk

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE_MARKERS = frozenset((0x01, *range(0xD0, 0xD8)))
_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1

MIN_BITS_PER_PIXEL = 0.03
"""A block of 64 pixels costs a Huffman-coded picture at least two bits."""

_LARGE = 1 << 24

# How libjpeg's messages begin that speak of the picture's data. Others mean a kind of file that this decoder does not take.
_DAMAGE = ("Corrupt JPEG data", "Unsupported marker type", "Invalid", "Inconsistent", "Bogus")


def read_header(data: bytes) -> Header:
    """Walk the segments up to the first scan.

    Raises
    ------
    FaultError
        The header ends early, or no frame stands before the first scan.
    """
    header, place = Header(), 2
    while True:
        marker_at = data.find(b"\xff", place)
        while 0 <= marker_at < len(data) - 1 and data[marker_at + 1] in (0x00, 0xFF):
            marker_at = data.find(b"\xff", marker_at + 1)  # fill bytes, or an escaped 0xff inside junk
        if not 0 <= marker_at < len(data) - 3:
            raise damaged("truncated", f"ends at byte {len(data)}, before the picture's data begins")
        if data[place:marker_at].strip(b"\xff"):
            header.junk.append((place, marker_at))
        marker = data[marker_at + 1]
        if marker in _STANDALONE_MARKERS:
            place = marker_at + 2
            continue
        if marker == _END_OF_IMAGE:
            raise damaged("no_scan", f"the end marker at byte {marker_at} comes before any picture data")
        body, place = marker_at + 4, marker_at + 2 + int.from_bytes(data[marker_at + 2 : marker_at + 4])
        if marker == _APP1 and data.startswith(b"Exif\0\0", body):
            _read_exif(header, data[body + 6 : place])
        elif marker in _FRAME_MARKERS:
            header.height = int.from_bytes(data[body + 1 : body + 3])
            header.width = int.from_bytes(data[body + 3 : body + 5])
            header.components = data[body + 5] if body + 5 < len(data) else 0
        elif marker == _START_OF_SCAN:
            header.scan = place
            break
    if not (header.width and header.height and header.components):
        raise damaged("no_frame", f"no frame of a size above 0 is declared before the scan at byte {header.scan}")
    return header


def header_of(walk: Walk, data: bytes) -> Header:
    """Return the header of a file whose walk found no fault: the walk has read it, but for EXIF and the places of junk."""
    if walk.junk or data.find(b"Exif\0\0", 0, walk.scan) >= 0:
        return read_header(data)
    return Header(walk.width, walk.height, walk.components, walk.scan)


def _read_exif(header: Header, tiff: bytes) -> None:
    """Note the orientation in the first directory of an EXIF block, or what keeps it from being read."""
    try:
        header.orientation = read_orientation(tiff)
    except ValueError as error:
        header.exif_fault = str(error)


def read_orientation(tiff: bytes) -> int:
    """Return the orientation 1 … 8 that the first directory of a TIFF block gives, or 1.

    Raises
    ------
    ValueError
        The block is no TIFF, is cut off, or gives an orientation that does not exist.
    """
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        message = f"EXIF begins with {tiff[:4]!r}, which is no TIFF header"
        raise ValueError(message)
    little = order == "little"

    def number(start: int, length: int) -> int:
        if start + length > len(tiff):
            message = f"EXIF is cut off: {len(tiff)} bytes, an entry lies at {start}"
            raise ValueError(message)
        return int.from_bytes(tiff[start : start + length], "little" if little else "big")

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        start = directory + 2 + 12 * entry
        if number(start, 2) == 0x0112:
            kind, value = number(start + 2, 2), number(start + 8, 2)
            if kind != 3 or not 0 <= value <= 8:
                message = f"EXIF gives the orientation {value} as type {kind}"
                raise ValueError(message)
            return value or 1
    return 1


def check_size(header: Header, data: bytes, limits: Limits) -> None:
    """Raise a `bomb` where the frame is too large, or larger than its bytes can encode; nothing is allocated before."""
    check_pixels(header.width, header.height, limits)
    pixels = header.width * header.height
    if pixels > _LARGE and 8 * len(data) < MIN_BITS_PER_PIXEL * pixels:
        detail = f"declares {header.width} x {header.height} pixels in {len(data)} bytes: {8 * len(data) / pixels:.4f} bits per pixel"
        raise FaultError(grade="bomb", reason="too_few_bytes", detail=detail)


_IN_THE_DATA = {
    "truncated": "the file ends within the picture",
    "bad_code": "no code of the table stands there",
    "too_many_coefficients": "a block has more than 64 coefficients",
    "dc_range": "a block is brighter or darker than a picture can be",
    "missing_data": "the data end before the picture does",
    "leftover_data": "data are left over behind the last block",
    "restart_order": "the restart marker there is not the one that is due",
    "pad_bits": "the last byte is not padded as it must be",
    "odd_quantisation_table": "an entry of a quantisation table is far from all its neighbours",
    "seam": "the level of all that follows is shifted, along a seam no picture has",
}
"""Faults of a walk that are in the picture's data, or show in it. Of what it finds in the header libjpeg is asked as well, which knows
more kinds."""


def check_walk(walk: Walk, size: int) -> None:
    """Raise where a walk found damage in the picture's data.

    Raises
    ------
    FaultError
        With the byte, the group of blocks (MCU) and the share of the picture that is lost.
    """
    if walk.fault not in _IN_THE_DATA or not walk.mcus:
        return
    lost = walk.bad_mcus / walk.mcus
    what = _IN_THE_DATA[walk.fault]
    if walk.fault == "truncated":
        what = f"ends at byte {size} within the picture's data, which begins at byte {walk.scan}"
        detail = f"{what}: {lost:.1%} of the picture is lost" if walk.bad_mcus else f"{what}: only the end marker is missing"
        raise damaged("truncated", detail, lost=lost)
    if walk.fault == "odd_quantisation_table":
        raise damaged(walk.fault, f"{what}: byte {walk.place}; the contrast of the whole picture is wrong", lost=1.0)
    if walk.fault == "seam":
        lost = (walk.mcus - walk.mcu) / walk.mcus
        detail = f"{what}: from byte {walk.place} on, block group {walk.mcu} of {walk.mcus}; {lost:.1%} of the picture is shifted"
        raise damaged("seam", detail, lost=lost)
    share = f"at least {lost:.1%} of the picture is lost" if lost else "where in the picture the damage lies cannot be told"
    raise damaged("corrupt_data", f"{what}: noticed at byte {walk.place}, block group {walk.mcu} of {walk.mcus}; {share}", lost=lost)


def is_luminance(walk: Walk, data: bytes) -> bool:
    """Say whether the first component is a grey picture: not of CMYK, nor, by Adobe's segment, of red, green and blue."""
    if walk.components != 3:
        return walk.components == 1
    adobe = data.find(b"Adobe", 0, walk.scan)
    return adobe < 0 or data[adobe + 11 : adobe + 12] != b"\0"


def decode(
    data: bytes, header: Header, reduction: int, *, in_colour: bool = False
) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...] | None]:
    """Decode the whole file strictly into the grey picture at 1 / reduction of its size and, if in colour, its Cb and Cr.

    Raises
    ------
    FaultError
        libjpeg warned of the picture's data.
    ValueError
        The kind of JPEG is beyond this decoder: its own message.
    """
    size = len(data)
    for start, stop in reversed(header.junk):
        data = data[:start] + data[stop:]
    smallest = {"min_height": -(-header.height // reduction), "min_width": -(-header.width // reduction)}
    try:
        picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB" if in_colour else "GRAY", strict=True, **(smallest if reduction > 1 else {})
        )
    except ValueError as error:
        message = str(error)
        if message.startswith("Premature end"):
            raise damaged("truncated", f"ends at byte {size} within the picture's data, which begins at byte {header.scan}") from error
        if message.startswith(_DAMAGE):
            raise damaged("corrupt_data", f"{message}; the picture's data begins at byte {header.scan}") from error
        raise
    if not in_colour:
        return picture[:, :, 0], None
    red, green, blue = (picture[:, :, place].astype(np.int32) for place in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    chroma = (np.clip(128 + ((part - luma) * scale + 32768 >> 16), 0, 255) for part, scale in ((blue, 36984), (red, 46745)))
    return luma.astype(np.uint8), tuple(plane.astype(np.uint8) for plane in chroma)


def trailing_bytes(data: bytes) -> int:
    """Return how many bytes follow the last end marker."""
    return len(data) - data.rfind(b"\xff\xd9") - 2
