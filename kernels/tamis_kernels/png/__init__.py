"""The grey picture of a PNG from its inflated rows: the filters undone, samples brought to 8 bits, colours to luma.

Bit for bit what Pillow gives: luma is (19595 R + 38470 G + 7471 B + 32768) >> 16, alpha is passed over, of 16 bits the upper byte counts,
and 1, 2 and 4 bits are spread over 0 … 255. Filters and layout: Portable Network Graphics (Third Edition), W3C, 7.2 and 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Uint8s, Uint32s

__all__ = ["CELL", "CHANNELS", "DEPTHS", "gray", "row_bytes"]

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type: grey, RGB, palette, grey and alpha, RGB and alpha."""

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bits of a sample, by colour type."""

LAST_FILTER = 4

CELL = 8
"""Pixels across and down of a cell whose colours are summed."""


def row_bytes(width: int, depth: int, colour: int) -> int:
    """Return the bytes of a filtered row of `width` pixels, the filter's byte among them."""
    return 1 + (width * depth * CHANNELS[colour] + 7) // 8


def gray(
    rows: Uint8s,
    shape: tuple[int, int],
    *,
    depth: int,
    colour: int,
    sums: Uint32s | None = None,
    place: tuple[int, int, int, int] = (0, 0, 1, 1),
    backend: AnyBackend = "auto",
) -> Uint8s:
    """Return the grey picture, or, of colour type 3, the indices into the palette.

    Parameters
    ----------
    rows
        uint8[height * row_bytes]: the rows as they were inflated, each with its filter's number 0 … 4 in front.
    shape
        Height and width in pixels; either may be 0.
    depth
        Bits of a sample; see `DEPTHS`.
    colour
        Colour type; see `CHANNELS`.
    sums
        C-contiguous uint32[cells down, cells across, 3], to which red, green and blue of each pixel are added by the cell of 8 x 8 pixels
        that it lies in; colour types 2 and 6 alone. None: colours are not summed.
    place
        Where in the whole picture the pixels lie, for a pass of an interlaced one: x and y of the first, steps across and down.
    backend
        Where to run.

    Returns
    -------
    NDArray
        uint8[height, width].

    Raises
    ------
    ArgumentError
        Depth and colour do not go together, `rows` or `sums` has another length or dtype, or a row has no filter's number in front.
    """
    height, width = shape
    if depth not in DEPTHS.get(colour, ()):
        message = f"colour type {colour} has no samples of {depth} bits; see tamis_kernels.png.DEPTHS"
        raise ArgumentError(message)
    if min(shape) < 0:
        message = f"shape must not be negative, got {shape}"
        raise ArgumentError(message)
    length = row_bytes(width, depth, colour)
    check_array("rows", rows, np.uint8, (height * length,), f"there are {height} rows of {length} bytes")
    lines = np.ascontiguousarray(rows).reshape(height, length)
    if lines[:, 0].max(initial=0) > LAST_FILTER:
        row = int((lines[:, 0] > LAST_FILTER).argmax())
        message = f"row {row} begins with {lines[row, 0]}; filters are numbered 0 to {LAST_FILTER}"
        raise ArgumentError(message)
    out = np.empty(shape, np.uint8)
    if sums is None or CHANNELS[colour] < 3:
        sums = np.empty((0, 0, 3), np.uint32)
    elif out.size:
        x, y, across, down = place
        cells = ((y + (height - 1) * down) // CELL + 1, (x + (width - 1) * across) // CELL + 1)
        fits = sums.ndim == 3 and sums.shape[0] >= cells[0] and sums.shape[1] >= cells[1] and sums.shape[2] == 3
        if not fits or sums.dtype != np.uint32 or not sums.flags.c_contiguous:
            message = f"sums must be C-contiguous uint32 of shape {(*cells, 3)} or larger, got {sums.dtype} of {sums.shape}"
            raise ArgumentError(message)
    if out.size:
        implementation("png", backend, lines.nbytes).gray(lines, depth, CHANNELS[colour], colour == 3, np.array(place, np.int64), sums, out)
    return out
