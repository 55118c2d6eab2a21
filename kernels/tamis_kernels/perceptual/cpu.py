"""PDQ in Numba: the filter's few weights per block in place of dense matrices; the same whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SIDE = 5
BLOCKS = 64

# Per variant: rows and columns exchanged, rows flipped, columns flipped; the flips come first.
VARIANTS = (
    (False, False, False),
    (True, False, True),
    (False, True, True),
    (True, True, False),
    (False, True, False),
    (False, False, True),
    (True, False, False),
    (True, True, True),
)


@njit(cache=True, nogil=True)
def _window_bounds(size: int, centre: int) -> tuple[int, int]:
    width = (size + 2 * BLOCKS - 1) // (2 * BLOCKS)
    half = (width + 2) // 2
    return max(0, centre - width + half), min(size, centre + half)


@njit(cache=True, nogil=True)
def _tent(size: int, starts: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
    """Fill, per block, the first pixel it weighs and the weights from there on; unused weights stay 0."""
    exact = np.zeros(weights.shape[1], np.int64)
    for block in range(BLOCKS):
        centre = (2 * block + 1) * size // (2 * BLOCKS)
        first, last = _window_bounds(size, centre)
        start = _window_bounds(size, first)[0]
        exact[:] = 0
        for middle in range(first, last):
            low, high = _window_bounds(size, middle)
            share = (1 << 40) // ((last - first) * (high - low))
            for pixel in range(low, high):
                exact[pixel - start] += share
        total = 0
        for tap in range(exact.size):
            rounded = (exact[tap] + (1 << 19)) >> 20
            weights[block, tap] = rounded
            total += rounded
        weights[block, centre - start] += (1 << 20) - total
        starts[block] = start


@njit(cache=True, nogil=True)
def _blocks(pixels: NDArray[np.uint8], scale: int) -> NDArray[np.float64]:
    """Filter and decimate: float64[64, 64] in units of 2⁻¹⁶ grey levels."""
    height, width = pixels.shape
    # Two windows of half a block reach over at most this many pixels.
    row_weights = np.zeros((BLOCKS, 2 * ((height + 127) // 128) + 1))
    column_weights = np.zeros((BLOCKS, 2 * ((width + 127) // 128) + 1))
    row_starts = np.zeros(BLOCKS, np.int64)
    column_starts = np.zeros(BLOCKS, np.int64)
    _tent(height, row_starts, row_weights)
    _tent(width, column_starts, column_weights)
    blocks = np.empty((BLOCKS, BLOCKS))
    line = np.empty(width)
    for row in range(BLOCKS):
        line[:] = 0
        for tap in range(row_weights.shape[1]):
            weight = row_weights[row, tap] * scale
            if weight != 0:
                source = pixels[row_starts[row] + tap]
                for x in range(width):
                    line[x] += weight * source[x]
        for column in range(BLOCKS):
            total = 0.0
            for tap in range(column_weights.shape[1]):
                weight = column_weights[column, tap]
                if weight != 0:
                    total += weight * line[column_starts[column] + tap]
            blocks[row, column] = np.floor(total * 2.0**-28 + 0.5)
    return blocks


@njit(cache=True, nogil=True)
def _quality(blocks: NDArray[np.float64]) -> int:
    gradients = 0
    for row in range(BLOCKS):
        for column in range(BLOCKS):
            here = int(blocks[row, column])
            if row + 1 < BLOCKS:
                gradients += abs(here - int(blocks[row + 1, column])) * 100 // (255 << 16)
            if column + 1 < BLOCKS:
                gradients += abs(here - int(blocks[row, column + 1])) * 100 // (255 << 16)
    return min(100, gradients // 90)


@njit(cache=True, nogil=True)
def _coefficients(blocks: NDArray[np.float64], cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    coefficients = np.empty(256)
    line = np.empty(BLOCKS)
    for vertical in range(16):
        line[:] = 0
        for row in range(BLOCKS):
            weight = cosines[vertical, row]
            for column in range(BLOCKS):
                line[column] += weight * blocks[row, column]
        for column in range(BLOCKS):
            line[column] = np.floor(line[column] * 2.0**-20 + 0.5)
        for horizontal in range(16):
            total = 0.0
            for column in range(BLOCKS):
                total += cosines[horizontal, column] * line[column]
            coefficients[16 * vertical + horizontal] = total
    return coefficients


@njit(cache=True, nogil=True)
def _set_bits(coefficients: NDArray[np.float64], out: NDArray[np.uint64]) -> None:
    median = np.sort(coefficients)[127]
    for bit in range(256):
        if coefficients[bit] > median:
            out[bit // 64] |= np.uint64(1) << np.uint64(bit % 64)


@njit(cache=True, nogil=True)
def hash_one(pixels: NDArray[np.uint8], scale: int, cosines: NDArray[np.float64], out: NDArray[np.uint64]) -> int:
    """Write the hash of one picture into `out` and return its quality; one pixel level is `scale` sixteenths of a grey level."""
    out[:] = 0
    if min(pixels.shape) < SMALLEST_SIDE:
        return 0
    blocks = _blocks(pixels, scale)
    _set_bits(_coefficients(blocks, cosines), out)
    return _quality(blocks)


@njit(cache=True, nogil=True)
def hash_dihedral(pixels: NDArray[np.uint8], scale: int, cosines: NDArray[np.float64], out: NDArray[np.uint64]) -> int:
    """Write the hashes of the eight turned and flipped pictures into the rows of `out` and return the quality."""
    out[:] = 0
    if min(pixels.shape) < SMALLEST_SIDE:
        return 0
    blocks = _blocks(pixels, scale)
    coefficients = _coefficients(blocks, cosines)
    turned = np.empty(256)
    for variant in range(8):
        transposed, rows_flipped, columns_flipped = VARIANTS[variant]
        for row in range(16):
            for column in range(16):
                negative = (rows_flipped and row % 2 == 0) != (columns_flipped and column % 2 == 0)
                value = coefficients[16 * row + column]
                turned[16 * column + row if transposed else 16 * row + column] = -value if negative else value
        _set_bits(turned, out[variant])
    return _quality(blocks)


@njit(cache=True, nogil=True, parallel=True)
def hash_batch(
    pixels: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    cosines: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
) -> None:
    """Hash each of the pictures that lie end to end in `pixels`."""
    for number in prange(len(shapes)):
        picture = pixels[offsets[number] : offsets[number + 1]].reshape((shapes[number, 0], shapes[number, 1]))
        qualities[number] = hash_one(picture, 16, cosines, hashes[number])
