"""GIF: every block followed, and every LZW code of every frame, without making pixels (GIF89a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media.inspection import Container, Limits, check_pixels, damaged, trailing
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER = 13
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
_LONGEST_ROOT = 11  # bits; eight are legal, and readers know a little more
_CODES = 4096
_UNDEFINED, _TOO_MANY = -1, -2


@njit(cache=True, nogil=True)
def _blocks_end(data: NDArray[np.uint8], place: int) -> int:
    """Return where the chain of sub-blocks ends, after the empty one; beyond the data where it is cut off."""
    while place < data.size and data[place]:
        place += 1 + int(data[place])
    return place + 1


@njit(cache=True, nogil=True)
def _follow_codes(
    data: NDArray[np.uint8], place: int, stop: int, root: int, pixels: int, lengths: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Follow a frame's codes; lengths int64[4096] is scratch: how many pixels each code stands for.

    Returns the pixels that the codes stand for, what is wrong (0: nothing), and the byte of the last code.
    """
    clear = 1 << root
    lengths[:clear] = 1
    free, bits, previous = clear + 2, root + 1, -1
    value, held, made, left = 0, 0, 0, 0
    while place < stop:
        if left == 0:
            left = int(data[place])
            place += 1
            continue
        value |= int(data[place]) << held
        held += 8
        place += 1
        left -= 1
        while held >= bits:
            code = value & ((1 << bits) - 1)
            value >>= bits
            held -= bits
            if code == clear:
                free, bits, previous = clear + 2, root + 1, -1
                continue
            if code == clear + 1:
                return made, 0, place - 1
            if code > free or (code == free and previous < 0):
                return made, _UNDEFINED, place - 1
            if previous >= 0 and free < _CODES:
                lengths[free] = lengths[previous] + 1
                free += 1
                if free == 1 << bits and bits < 12:
                    bits += 1
            elif code >= free:
                return made, _UNDEFINED, place - 1
            made += lengths[code]
            previous = code
            if made > pixels:
                return made, _TOO_MANY, place - 1
    return made, 0, place


def walk_gif(data: bytes, limits: Limits) -> Container:
    """Follow the blocks to the trailer, and each frame's codes to its last pixel.

    Raises
    ------
    FaultError
        The file is cut off or a bomb, something other than a block stands where one must begin, or a frame has too few or too many pixels.
    """
    size = len(data)
    if size < _HEADER:
        raise damaged("truncated", f"ends at byte {size} within the header")
    screen = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    check_pixels(*screen, limits)
    view, lengths = np.frombuffer(data, np.uint8), np.zeros(_CODES, np.int64)
    place = _HEADER + _colour_table(data[10])
    frame, pixels = 0, 0
    while place < size and data[place] != _TRAILER:
        if data[place] == _EXTENSION:
            place = _blocks_end(view, place + 2)
        elif data[place] == _PICTURE:
            descriptor = data[place + 1 : place + 10]
            begin = place + 10 + (_colour_table(descriptor[8]) if len(descriptor) == 9 else 0)
            place = _blocks_end(view, begin + 1)
            if place > size:
                break
            frame += 1
            width, height = int.from_bytes(descriptor[4:6], "little"), int.from_bytes(descriptor[6:8], "little")
            check_pixels(width, height, limits)
            pixels += max(screen[0] * screen[1], width * height)
            limits.check_frames(frame, pixels)
            _check_frame(view, begin, place - 1, width * height, frame, lengths)
        elif data[place] == 0:
            place += 1  # an empty block between two others, which readers pass over
        else:
            raise damaged("bad_block", f"no block begins with {data[place]:#04x}, at byte {place} after frame {frame}")
    if place >= size:
        raise damaged("truncated", f"ends at byte {size} in or after frame {frame}, without a trailer")
    if not frame:
        raise damaged("no_picture_data", "holds no frame", lost=1.0)
    end = place + 1
    return Container(data, trailing(size - end, f"the end at byte {end}"))


def _check_frame(view: NDArray[np.uint8], begin: int, stop: int, pixels: int, frame: int, lengths: NDArray[np.int64]) -> None:
    """Raise where the codes of a frame, whose code size stands at byte `begin`, do not make its pixels."""
    root = int(view[begin])
    if not 1 <= root <= _LONGEST_ROOT:
        raise damaged("bad_block", f"frame {frame} has codes of {root} bits at byte {begin}, which cannot be")
    made, fault, place = _follow_codes(view, begin + 1, stop, root, pixels, lengths)
    if fault:
        why = "a code that stands for nothing" if fault == _UNDEFINED else "more pixels than the frame has"
        detail = f"frame {frame} has {why} at byte {place}, after {min(made, pixels)} of {pixels} pixels"
        raise damaged("corrupt_data", detail, lost=max(0.0, 1 - made / pixels) if pixels else 0.0)
    if made < pixels:
        raise damaged("missing_rows", f"frame {frame} ends at byte {place} after {made} of {pixels} pixels", lost=1 - made / pixels)


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
