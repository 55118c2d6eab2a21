"""PDQ in Numba: the filter's few weights per block in place of dense matrices; the same whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SIDE = 5
BLOCKS = 64
ANY_ORDER = {"reassoc"}  # sums of whole numbers below 2⁵³ are the same in any order, so that they may be vector loops
PICTURE_WORK = 20_000  # what a hash costs beside the pixels, in nanoseconds

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
def _cubic(cells: int, size: int, starts: NDArray[np.int64], tent: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Turn the tent's weights of pixels into weights of cells of 8 pixels, between which Catmull-Rom's cubic draws the pixels."""
    exact = np.zeros(weights.shape[1], np.int64)
    for block in range(BLOCKS):
        first = max(0, (2 * starts[block] - 7) // 16 - 1)
        exact[:] = 0
        for tap in range(tent.shape[1]):
            weight = int(tent[block, tap])
            if weight == 0:
                continue
            place = 2 * (starts[block] + tap) - 7
            cell = place // 16
            t = place - 16 * cell
            exact[min(cells - 1, max(0, cell - 1)) - first] += weight * (-(t**3) + 32 * t**2 - 256 * t)
            exact[min(cells - 1, max(0, cell)) - first] += weight * (3 * t**3 - 80 * t**2 + 8192)
            exact[min(cells - 1, cell + 1) - first] += weight * (-3 * t**3 + 64 * t**2 + 256 * t)
            exact[min(cells - 1, cell + 2) - first] += weight * (t**3 - 16 * t**2)
        total = 0
        for tap in range(exact.size):
            rounded = (exact[tap] + (1 << 12)) >> 13
            weights[block, tap] = rounded
            total += rounded
        weights[block, (2 * block + 1) * size // (2 * BLOCKS) // 8 - first] += (1 << 20) - total
        starts[block] = first


@njit(cache=True, nogil=True)
def _weights(size: int, cells: int, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fill, per block, the first cell it weighs, and return the weights from there on; a cell is a pixel or stands for 8 of them."""
    reach = 2 * ((size + 127) // 128) + 1  # two windows of half a block reach over at most this many pixels
    tent = np.zeros((BLOCKS, reach))
    _tent(size, starts, tent)
    if cells == size:
        return tent
    weights = np.zeros((BLOCKS, reach // 8 + 5))
    _cubic(cells, size, starts, tent, weights)
    return weights


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _blocks(pixels: NDArray[np.uint8], scale: int, extent: tuple[int, int]) -> NDArray[np.float64]:
    """Filter and decimate: float64[64, 64] in units of 2⁻¹⁶ grey levels."""
    height, width = pixels.shape
    row_starts = np.zeros(BLOCKS, np.int64)
    column_starts = np.zeros(BLOCKS, np.int64)
    row_weights = _weights(extent[0], height, row_starts)
    column_weights = _weights(extent[1], width, column_starts)
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


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _quality(blocks: NDArray[np.float64]) -> int:
    gradients = 0.0
    for row in range(BLOCKS):
        for column in range(BLOCKS - 1):
            gradients += np.floor(abs(blocks[row, column] - blocks[row, column + 1]) * 100.0 / (255 << 16))
    for row in range(BLOCKS - 1):
        for column in range(BLOCKS):
            gradients += np.floor(abs(blocks[row, column] - blocks[row + 1, column]) * 100.0 / (255 << 16))
    return min(100, int(gradients) // 90)


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _shrink(blocks: NDArray[np.float64], small: NDArray[np.uint8]) -> None:
    for place in range(256):
        total = 0.0
        for row in range(4 * (place // 16), 4 * (place // 16) + 4):
            for column in range(4 * (place % 16), 4 * (place % 16) + 4):
                total += blocks[row, column]
        small[place] = min(255.0, max(0.0, np.floor(total * 2.0**-20 + 0.5)))


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
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
    median = np.partition(coefficients, 127)[127]
    for bit in range(256):
        if coefficients[bit] > median:
            out[bit // 64] |= np.uint64(1) << np.uint64(bit % 64)


@njit(cache=True, nogil=True)
def hash_one(pixels: NDArray[np.uint8], scale: int, height: int, width: int, cosines: NDArray[np.float64], out: NDArray[np.uint64]) -> int:
    """Write the hash of one picture into `out` and return its quality; one pixel level is `scale` sixteenths of a grey level."""
    out[:] = 0
    if min(height, width) < SMALLEST_SIDE:
        return 0
    blocks = _blocks(pixels, scale, (height, width))
    _set_bits(_coefficients(blocks, cosines), out)
    return _quality(blocks)


@njit(cache=True, nogil=True)
def hash_dihedral(
    pixels: NDArray[np.uint8], scale: int, height: int, width: int, cosines: NDArray[np.float64], out: NDArray[np.uint64]
) -> int:
    """Write the hashes of the eight turned and flipped pictures into the rows of `out` and return the quality."""
    out[:] = 0
    if min(height, width) < SMALLEST_SIDE:
        return 0
    blocks = _blocks(pixels, scale, (height, width))
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


def hash_batch(
    pixels: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    extents: NDArray[np.int64],
    cosines: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
    small: NDArray[np.uint8],
) -> None:
    """Hash and shrink each of the pictures that lie end to end in `pixels`."""
    work = offsets + PICTURE_WORK * np.arange(offsets.size)
    for_rows(_hash_batch, work, pixels, offsets, shapes, extents, cosines, hashes, qualities, small)


@njit(cache=True, nogil=True)
def _hash_batch(
    first: int,
    last: int,
    pixels: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    extents: NDArray[np.int64],
    cosines: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
    small: NDArray[np.uint8],
) -> None:
    for number in range(first, last):
        extent = (extents[number, 0], extents[number, 1])
        if min(extent) >= SMALLEST_SIDE:
            picture = pixels[offsets[number] : offsets[number + 1]].reshape((shapes[number, 0], shapes[number, 1]))
            blocks = _blocks(picture, 16, extent)
            _set_bits(_coefficients(blocks, cosines), hashes[number])
            qualities[number] = _quality(blocks)
            _shrink(blocks, small[number])


def turn(hashes: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Write, per hash uint64[4], those of the eight turned and flipped pictures as far as the hash alone tells them."""
    for_rows(_turn, 2048 * np.arange(len(hashes) + 1), hashes, out)


@njit(cache=True, nogil=True)
def _turn(first: int, last: int, hashes: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for number in range(first, last):
        for variant in range(8):
            transposed, rows_flipped, columns_flipped = VARIANTS[variant]
            out[number, variant] = 0
            for row in range(16):
                for column in range(16):
                    source = 16 * row + column
                    bit = hashes[number, source // 64] >> np.uint64(source % 64) & np.uint64(1)
                    if (rows_flipped and row % 2 == 0) != (columns_flipped and column % 2 == 0):
                        bit ^= np.uint64(1)
                    target = 16 * column + row if transposed else source
                    out[number, variant, target // 64] |= bit << np.uint64(target % 64)


@njit(cache=True, nogil=True)
def _turn_words(one: np.uint64) -> np.uint64:
    """Transpose the 8 x 8 bits of a word by exchanging single bits, then blocks of 2 x 2, then of 4 x 4."""
    swapped = (one ^ one >> np.uint64(7)) & np.uint64(0x00AA00AA00AA00AA)
    one ^= swapped ^ swapped << np.uint64(7)
    swapped = (one ^ one >> np.uint64(14)) & np.uint64(0x0000CCCC0000CCCC)
    one ^= swapped ^ swapped << np.uint64(14)
    swapped = (one ^ one >> np.uint64(28)) & np.uint64(0x00000000F0F0F0F0)
    return one ^ swapped ^ swapped << np.uint64(28)


def part(hashes: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Write the bits of each hash ordered by the parities of their frequencies."""
    for_rows(_part, 256 * np.arange(len(hashes) + 1), hashes, out)


@njit(cache=True, nogil=True)
def _part(first: int, last: int, hashes: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for number in range(first, last):
        for word in range(4):
            gathered = np.uint64(0)
            for bit in range(64):
                source = 16 * (2 * (bit // 8) + (word in (0, 2))) + 2 * (bit % 8) + (word < 2)
                gathered |= (hashes[number, source // 64] >> np.uint64(source % 64) & np.uint64(1)) << np.uint64(bit)
            out[number, word] = gathered


def transpose(parted: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Write the parted hashes of the transposed pictures."""
    for_rows(_transpose, 16 * np.arange(len(parted) + 1), parted, out)


@njit(cache=True, nogil=True)
def _transpose(first: int, last: int, parted: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for number in range(first, last):
        out[number, 0], out[number, 3] = _turn_words(parted[number, 0]), _turn_words(parted[number, 3])
        out[number, 1], out[number, 2] = _turn_words(parted[number, 2]), _turn_words(parted[number, 1])


@njit(cache=True, nogil=True)
def correlate(left: NDArray[np.uint8], right: NDArray[np.uint8], out: NDArray[np.float64]) -> None:
    """Write how alike pairs of small pictures are: the largest of the correlations of the wholes and of their halves."""
    for pair in range(len(left)):
        out[pair] = 0.0
        for top, bottom, first, last in ((0, 16, 0, 16), (0, 8, 0, 16), (8, 16, 0, 16), (0, 16, 0, 8), (0, 16, 8, 16)):
            sum_left = sum_right = left_left = right_right = left_right = np.int64(0)
            for row in range(top, bottom):
                for place in range(16 * row + first, 16 * row + last):
                    one, two = np.int64(left[pair, place]), np.int64(right[pair, place])
                    sum_left += one
                    sum_right += two
                    left_left += one * one
                    right_right += two * two
                    left_right += one * two
            size = (bottom - top) * (last - first)
            spread = np.float64(size * left_left - sum_left * sum_left) * np.float64(size * right_right - sum_right * sum_right)
            if spread > 0.0:
                out[pair] = max(out[pair], np.float64(size * left_right - sum_left * sum_right) / np.sqrt(spread))


@njit(cache=True, nogil=True)
def hash_64(pictures: NDArray[np.uint8], cosines: NDArray[np.float64], out: NDArray[np.uint64]) -> None:
    """Write the 64 bits of each picture: which of 8 x 8 coefficients lie above the mean of the two in the middle."""
    coefficients, line = np.empty(64), np.empty(32)
    for number in range(len(pictures)):
        for vertical in range(8):
            line[:] = 0
            for row in range(32):
                for column in range(32):
                    line[column] += cosines[vertical, row] * pictures[number, row, column]
            for column in range(32):
                line[column] = np.floor(line[column] * 2.0**-8 + 0.5)
            for horizontal in range(8):
                total = 0.0
                for column in range(32):
                    total += cosines[horizontal, column] * line[column]
                coefficients[8 * vertical + horizontal] = total
        ordered = np.sort(coefficients)
        middle = ordered[31] + ordered[32]
        out[number] = 0
        for bit in range(64):
            if 2 * coefficients[bit] > middle:
                out[number] |= np.uint64(1) << np.uint64(bit)
