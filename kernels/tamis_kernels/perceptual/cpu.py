"""PDQ in Numba: loops over vectors and no branch that hangs on a value; the same whole numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.perceptual.blocks import ANY_ORDER, BLOCKS, SMALLEST_SIDE, filter_blocks, known_weights, tables_of, taps
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int32s, Int64s, Uint8s, Uint64s

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


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _quality(blocks: Float64s) -> int:
    percent = 1.0 / (255 << 16)  # half a unit is added, so that no rounding of the product comes near to a whole percent
    gradients = 0.0
    for row in range(BLOCKS):
        for column in range(BLOCKS - 1):
            gradients += np.floor((abs(blocks[row, column] - blocks[row, column + 1]) * 100.0 + 0.5) * percent)
    for row in range(BLOCKS - 1):
        for column in range(BLOCKS):
            gradients += np.floor((abs(blocks[row, column] - blocks[row + 1, column]) * 100.0 + 0.5) * percent)
    return min(100, int(gradients) // 90)


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _shrink(blocks: Float64s, small: Uint8s) -> None:
    line = np.empty(BLOCKS)
    for row in range(16):
        one, two, three, four = blocks[4 * row], blocks[4 * row + 1], blocks[4 * row + 2], blocks[4 * row + 3]
        for column in range(BLOCKS):
            line[column] = one[column] + two[column] + three[column] + four[column]
        for column in range(16):
            total = line[4 * column] + line[4 * column + 1] + line[4 * column + 2] + line[4 * column + 3]
            small[16 * row + column] = min(255.0, max(0.0, np.floor(total * 2.0**-20 + 0.5)))


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _vertical(blocks: Float64s, cosines: Float64s) -> Float64s:
    """Return the 16 frequencies down the columns, float64[16, 64], rounded.

    A cosine is the same from both ends, but for the sign of the odd ones: blocks are folded before they are multiplied. Four frequencies of
    one parity at a time, which use the same blocks.
    """
    half = BLOCKS // 2
    folded, out = np.empty((half, BLOCKS)), np.zeros((16, BLOCKS))
    for parity in range(2):
        sign = 1.0 if parity else -1.0
        for row in range(half):
            for column in range(BLOCKS):
                folded[row, column] = blocks[row, column] + sign * blocks[BLOCKS - 1 - row, column]
        for frequency in range(parity, 16, 8):
            first, second, third, fourth = out[frequency], out[frequency + 2], out[frequency + 4], out[frequency + 6]
            f, g, h, i = cosines[frequency], cosines[frequency + 2], cosines[frequency + 4], cosines[frequency + 6]
            for row in range(0, half, 4):
                one, two, three, four = folded[row], folded[row + 1], folded[row + 2], folded[row + 3]
                f0, f1, f2, f3 = f[row], f[row + 1], f[row + 2], f[row + 3]
                g0, g1, g2, g3 = g[row], g[row + 1], g[row + 2], g[row + 3]
                h0, h1, h2, h3 = h[row], h[row + 1], h[row + 2], h[row + 3]
                i0, i1, i2, i3 = i[row], i[row + 1], i[row + 2], i[row + 3]
                for column in range(BLOCKS):
                    a, b, c, d = one[column], two[column], three[column], four[column]
                    first[column] += f0 * a + f1 * b + f2 * c + f3 * d
                    second[column] += g0 * a + g1 * b + g2 * c + g3 * d
                    third[column] += h0 * a + h1 * b + h2 * c + h3 * d
                    fourth[column] += i0 * a + i1 * b + i2 * c + i3 * d
    for frequency in range(16):
        for column in range(BLOCKS):
            out[frequency, column] = np.floor(out[frequency, column] * 2.0**-20 + 0.5)
    return out


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _coefficients(blocks: Float64s, cosines: Float64s) -> Float64s:
    """Return the coefficients, vertical frequency by vertical frequency."""
    vertical, out = _vertical(blocks, cosines), np.empty(256)
    for place in range(256):
        line, cosine = vertical[place // 16], cosines[place % 16]
        total = 0.0
        for column in range(BLOCKS):
            total += line[column] * cosine[column]
        out[place] = total
    return out


@njit(cache=True, nogil=True)
def _set_bits(coefficients: Float64s, out: Uint64s) -> None:
    """Set the bits of the coefficients above the lower median, which is found by halving: no branch hangs on a coefficient."""
    low = high = coefficients[0]
    for bit in range(1, 256):  # for a kernel that calls `min` of an array loads NumPy's linear algebra and SciPy in each process
        low, high = min(low, coefficients[bit]), max(high, coefficients[bit])
    while low < high:
        middle = np.floor((low + high) / 2)  # coefficients are whole numbers
        below = 0
        for bit in range(256):
            below += coefficients[bit] <= middle
        if below == 128:
            low = high = middle  # which parts them as the median does
        elif below > 128:
            high = middle
        else:
            low = middle + 1
    for word in range(4):
        bits = np.uint64(0)
        for bit in range(64):
            bits |= np.uint64(coefficients[64 * word + bit] > low) << np.uint64(bit)
        out[word] = bits


def hash_forms(pixels: Uint8s, scale: int, height: int, width: int, cosines: Float64s, out: Uint64s) -> int:
    """Write the hashes of a picture as it is, and turned and flipped, into as many rows as `out` has; return the quality.

    One pixel level is `scale` sixteenths of a grey level.
    """
    out[:] = 0
    if min(height, width) < SMALLEST_SIDE:
        return 0
    blocks = filter_blocks(pixels, scale, *known_weights(height, height), *known_weights(width, width))
    _set_turned_bits(_coefficients(blocks, cosines), out)
    return int(_quality(blocks))


@njit(cache=True, nogil=True)
def _set_turned_bits(coefficients: Float64s, out: Uint64s) -> None:
    """Set the bits of turned and flipped pictures, the first the picture itself: coefficients are exchanged, or have the other sign."""
    turned = np.empty(256)
    for variant in range(len(out)):
        transposed, rows_flipped, columns_flipped = VARIANTS[variant]
        for row in range(16):
            for column in range(16):
                negative = (rows_flipped and row % 2 == 0) != (columns_flipped and column % 2 == 0)
                value = coefficients[16 * row + column]
                turned[16 * column + row if transposed else 16 * row + column] = -value if negative else value
        _set_bits(turned, out[variant])


def hash_batch(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, extents: Int64s, cosines: Float64s, hashes: Uint64s, qualities: Uint8s, small: Uint8s
) -> None:
    """Hash and shrink each of the pictures that lie end to end in `pixels`."""
    tables, starts, weights = tables_of(extents, shapes)
    work = offsets + PICTURE_WORK * np.arange(offsets.size)
    for_rows(_hash_batch, work, pixels, offsets, shapes, extents, tables, starts, weights, cosines, hashes, qualities, small)


@njit(cache=True, nogil=True)
def _hash_batch(
    first: int,
    last: int,
    pixels: Uint8s,
    offsets: Int64s,
    shapes: Int64s,
    extents: Int64s,
    tables: Int64s,
    starts: Int64s,
    weights: Int32s,
    cosines: Float64s,
    hashes: Uint64s,
    qualities: Uint8s,
    small: Uint8s,
) -> None:
    for number in range(first, last):
        if min(extents[number, 0], extents[number, 1]) >= SMALLEST_SIDE:
            picture = pixels[offsets[number] : offsets[number + 1]].reshape((shapes[number, 0], shapes[number, 1]))
            rows, columns = tables[number]
            down = weights[rows, :, : taps(extents[number, 0], shapes[number, 0])]
            across = weights[columns, :, : taps(extents[number, 1], shapes[number, 1])]
            blocks = filter_blocks(picture, 16, starts[rows], down, starts[columns], across)
            _set_bits(_coefficients(blocks, cosines), hashes[number])
            qualities[number] = _quality(blocks)
            _shrink(blocks, small[number])


def turn(hashes: Uint64s, out: Uint64s) -> None:
    """Write, per hash, those of the eight turned and flipped pictures as far as the hash alone tells them."""
    for_rows(turn_rows, 2048 * np.arange(len(hashes) + 1), hashes, out)


@of_views
def turn_rows(first: int, last: int, hashes: Uint64s, out: Uint64s) -> None:
    """Write the eight forms of some hashes."""
    side, even = (16, 0) if hashes.shape[1] > 1 else (8, 1)  # frequencies begin at 1, or at 0: a flip turns the sign of odd ones
    for number in range(first, last):
        for variant in range(8):
            transposed, rows_flipped, columns_flipped = VARIANTS[variant]
            out[number, variant] = 0
            for row in range(side):
                for column in range(side):
                    source = side * row + column
                    bit = hashes[number, source // 64] >> np.uint64(source % 64) & np.uint64(1)
                    if (rows_flipped and row % 2 == even) != (columns_flipped and column % 2 == even):
                        bit ^= np.uint64(1)
                    target = side * column + row if transposed else source
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


def part(hashes: Uint64s, out: Uint64s) -> None:
    """Write the bits of each hash ordered by the parities of their frequencies."""
    for_rows(part_rows, 256 * np.arange(len(hashes) + 1), hashes, out)


@njit(cache=True, nogil=True)
def part_rows(first: int, last: int, hashes: Uint64s, out: Uint64s) -> None:
    """Write some hashes ordered by parities."""
    for number in range(first, last):
        for word in range(4):
            gathered = np.uint64(0)
            for bit in range(64):
                source = 16 * (2 * (bit // 8) + (word in (0, 2))) + 2 * (bit % 8) + (word < 2)
                gathered |= (hashes[number, source // 64] >> np.uint64(source % 64) & np.uint64(1)) << np.uint64(bit)
            out[number, word] = gathered


def transpose(parted: Uint64s, out: Uint64s) -> None:
    """Write the parted hashes of the transposed pictures."""
    for_rows(transpose_rows, 16 * np.arange(len(parted) + 1), parted, out)


@njit(cache=True, nogil=True)
def transpose_rows(first: int, last: int, parted: Uint64s, out: Uint64s) -> None:
    """Write some parted hashes transposed."""
    for number in range(first, last):
        out[number, 0], out[number, 3] = _turn_words(parted[number, 0]), _turn_words(parted[number, 3])
        out[number, 1], out[number, 2] = _turn_words(parted[number, 2]), _turn_words(parted[number, 1])


@of_views
def correlate(left: Uint8s, right: Uint8s, out: Float64s) -> None:
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
                out[pair] = max(out[pair], np.float64(size * left_right - sum_left * sum_right) / math.sqrt(spread))


@njit(cache=True, nogil=True)
def hash_64(pictures: Uint8s, cosines: Float64s, out: Uint64s) -> None:
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
