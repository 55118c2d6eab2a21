"""The grey picture of a PNG from its inflated rows: the filters undone, samples brought to 8 bits, colours to luma.

Bit for bit what Pillow gives: luma is (19595 R + 38470 G + 7471 B + 32768) >> 16, alpha is passed over, of 16 bits the upper byte counts,
and 1, 2 and 4 bits are spread over 0 … 255. Filters and layout: Portable Network Graphics (Third Edition), W3C, 7.2 and 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import Backend, BackendName

__all__ = ["CHANNELS", "DEPTHS", "SCALES", "gray", "gray_and_chroma", "row_bytes"]

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type: grey, RGB, palette, grey and alpha, RGB and alpha."""

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bits of a sample, by colour type."""

SCALES = (36984, 46745)
"""Of B - Y in Cb, and of R - Y in Cr, times 2^16."""

LAST_FILTER = 4


def row_bytes(width: int, depth: int, colour: int) -> int:
    """Return the bytes of a filtered row of `width` pixels, the filter's byte among them."""
    return 1 + (width * depth * CHANNELS[colour] + 7) // 8


def gray(
    rows: NDArray[np.uint8], shape: tuple[int, int], *, depth: int, colour: int, backend: BackendName | Backend = "auto"
) -> NDArray[np.uint8]:
    """Return the grey picture, or, of colour type 3, the indices into the palette: the first that `gray_and_chroma` returns."""
    return _picture(rows, shape, depth, colour, backend, in_colour=False)[0]


def gray_and_chroma(
    rows: NDArray[np.uint8], shape: tuple[int, int], *, depth: int, colour: int, backend: BackendName | Backend = "auto"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the grey picture, or, of colour type 3, the indices into the palette, and its chroma.

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
    backend
        Where to run.

    Returns
    -------
    gray, chroma
        uint8[height, width], and uint8[2, rows, columns]: Cb and Cr of the means of 8 x 8 pixels, of those that are there at the right and
        lower border; empty where the colour type is neither 2 nor 6.

    Raises
    ------
    ArgumentError
        Depth and colour do not go together, `rows` has another length or dtype, or a row has no filter's number in front.
    """
    return _picture(rows, shape, depth, colour, backend, in_colour=colour in (2, 6))


def _picture(
    rows: NDArray[np.uint8], shape: tuple[int, int], depth: int, colour: int, backend: BackendName | Backend, *, in_colour: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    height, width = shape
    if depth not in DEPTHS.get(colour, ()):
        message = f"colour type {colour} has no samples of {depth} bits; see tamis_kernels.png.DEPTHS"
        raise ArgumentError(message)
    if min(shape) < 0:
        message = f"shape must not be negative, got {shape}"
        raise ArgumentError(message)
    length = row_bytes(width, depth, colour)
    if rows.dtype != np.uint8 or rows.shape != (height * length,):
        message = f"rows must be uint8 of shape ({height * length},) for {height} rows of {length} bytes, got {rows.dtype} of {rows.shape}"
        raise ArgumentError(message)
    lines = np.ascontiguousarray(rows).reshape(height, length)
    if lines[:, 0].max(initial=0) > LAST_FILTER:
        row = int((lines[:, 0] > LAST_FILTER).argmax())
        message = f"row {row} begins with {lines[row, 0]}; filters are numbered 0 to {LAST_FILTER}"
        raise ArgumentError(message)
    out = np.empty(shape, np.uint8)
    chroma = np.empty((2, -(-height // 8), -(-width // 8)) if in_colour else (2, 0, 0), np.uint8)
    if out.size:
        implementation("png", backend).gray(lines, depth, CHANNELS[colour], colour == 3, out, chroma)
    return out, chroma
