"""PDQ as its description reads: dense matrices, exact whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s, Uint64s

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

SIDES = {4: (16, 1), 1: (8, 0)}  # by the words of a hash: frequencies along an axis, and the lowest of them


def _window(size: int, centre: int) -> range:
    """Return the pixels that the box filter averages at `centre`: half a block wide, cut off at the borders."""
    width = -(-size // (2 * BLOCKS))
    half = (width + 2) // 2
    return range(max(0, centre - width + half), min(size, centre + half))


def _tent(size: int) -> Float64s:
    """Return float64[64, size]: the weight, in units of 2⁻²⁰, of each pixel in each block; two boxes in a row, then decimation."""
    weights = np.zeros((BLOCKS, size))
    for block in range(BLOCKS):
        centre = (2 * block + 1) * size // (2 * BLOCKS)
        outer = _window(size, centre)
        exact = [0] * size
        for middle in outer:
            inner = _window(size, middle)
            for pixel in inner:
                exact[pixel] += 2**40 // (len(outer) * len(inner))
        weights[block] = [(weight + 2**19) // 2**20 for weight in exact]
        weights[block, centre] += 2**20 - weights[block].sum()
    return weights


def _cubic(size: int, cells: int) -> Float64s:
    """Return float64[size, cells]: the weight, in units of 2⁻¹³, of each cell of 8 pixels in each pixel, by Catmull-Rom's cubic."""
    weights = np.zeros((size, cells))
    for pixel in range(size):
        cell, t = divmod(2 * pixel - 7, 16)  # the pixel's centre, in sixteenths of a cell behind the cell's
        taps = (-(t**3) + 32 * t**2 - 256 * t, 3 * t**3 - 80 * t**2 + 8192, -3 * t**3 + 64 * t**2 + 256 * t, t**3 - 16 * t**2)
        for step, weight in enumerate(taps, -1):
            weights[pixel, min(cells - 1, max(0, cell + step))] += weight
    return weights


def _weights(size: int, cells: int) -> Float64s:
    """Return float64[64, cells]: the weight, in units of 2⁻²⁰, of each cell in each block; a cell is a pixel or stands for 8 of them."""
    if cells == size:
        return _tent(size)
    weights = (_tent(size) @ _cubic(size, cells) + 2**12) // 2**13
    for block in range(BLOCKS):
        weights[block, (2 * block + 1) * size // (2 * BLOCKS) // 8] += 2**20 - weights[block].sum()
    return weights


def _quality(blocks: Float64s) -> int:
    """Return the sum of the gradients between neighbouring blocks, each cut to whole percents of the range, scaled to 0 … 100."""
    gradients = 0
    for axis in (0, 1):
        gradients += int((np.abs(np.diff(blocks, axis=axis)) * 100 // (255 * 2**16)).sum())
    return min(100, gradients // 90)


def hash_forms(pixels: Uint8s, scale: int, height: int, width: int, cosines: Float64s, out: Uint64s) -> int:
    """Write the hashes of a picture as it is, and turned and flipped, into as many rows as `out` has; return the quality.

    One pixel level is `scale` sixteenths of a grey level.
    """
    out[:] = 0
    if min(height, width) < SMALLEST_SIDE:
        return 0
    blocks = _blocks(pixels, scale, height, width)
    rows = np.floor(cosines @ blocks / 2**20 + 0.5)
    coefficients = rows @ cosines.T  # 16 x 16
    signs = np.where(np.arange(16) % 2 == 0, -1.0, 1.0)  # a flipped axis turns the sign of its odd frequencies 1, 3, …
    for words, (transposed, rows_flipped, columns_flipped) in zip(out, VARIANTS, strict=False):
        turned = coefficients * (signs[:, None] if rows_flipped else 1) * (signs if columns_flipped else 1)
        _set_bits(turned.T if transposed else turned, words)
    return _quality(blocks)


def _blocks(pixels: Uint8s, scale: int, height: int, width: int) -> Float64s:
    """Filter and decimate: float64[64, 64] in units of 2⁻¹⁶ grey levels."""
    filtered = _weights(height, pixels.shape[0]) @ (pixels.astype(np.float64) * scale) @ _weights(width, pixels.shape[1]).T
    blocks: Float64s = np.floor(filtered / 2**28 + 0.5)
    return blocks


def _set_bits(coefficients: Float64s, out: Uint64s) -> None:
    """Set the bits of the coefficients above the lower median."""
    values = coefficients.ravel()
    median = np.sort(values)[127]
    for bit in range(256):
        if values[bit] > median:
            out[bit // 64] |= np.uint64(1 << bit % 64)


def hash_batch(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, extents: Int64s, cosines: Float64s, hashes: Uint64s, qualities: Uint8s, small: Uint8s
) -> None:
    """Hash and shrink each of the pictures that lie end to end in `pixels`."""
    for number, (height, width) in enumerate(shapes):
        picture = pixels[offsets[number] : offsets[number + 1]].reshape(height, width)
        qualities[number] = hash_forms(picture, 16, extents[number, 0], extents[number, 1], cosines, hashes[number : number + 1])
        if min(extents[number]) >= SMALLEST_SIDE:
            sums = _blocks(picture, 16, *extents[number]).reshape(16, 4, 16, 4).sum(axis=(1, 3))
            small[number] = np.clip(np.floor(sums / 2**20 + 0.5), 0, 255).ravel()


def correlate(left: Uint8s, right: Uint8s, out: Float64s) -> None:
    """Write how alike pairs of small pictures are: the largest of the correlations of the wholes and of their halves."""
    whole, first, second = slice(None), slice(8), slice(8, None)
    for pair in range(len(left)):
        found = [0.0]
        for part in ((whole, whole), (first, whole), (second, whole), (whole, first), (whole, second)):
            one, two = (side[pair].reshape(16, 16)[part].ravel().astype(np.int64) for side in (left, right))
            own, other = (float(values.size * (values @ values) - values.sum() ** 2) for values in (one, two))
            if own * other > 0:
                found.append(float(one.size * (one @ two) - one.sum() * two.sum()) / float(np.sqrt(own * other)))
        out[pair] = max(found)


def turn(hashes: Uint64s, out: Uint64s) -> None:
    """Write, per hash, those of the eight turned and flipped pictures as far as the hash alone tells them."""
    shifts, words = np.arange(64, dtype=np.uint64), hashes.shape[1]
    side, lowest = SIDES[words]
    bits = (hashes[:, :, None] >> shifts & np.uint64(1)).reshape(len(hashes), side, side)
    odd = (np.arange(side) + lowest) % 2 == 1  # frequencies 1, 3, …, whose sign a flip turns
    for variant, (transposed, rows_flipped, columns_flipped) in enumerate(VARIANTS):
        turned = bits ^ (rows_flipped & odd)[:, None] ^ (columns_flipped & odd)
        if transposed:
            turned = turned.transpose(0, 2, 1)
        out[:, variant] = np.bitwise_or.reduce(turned.reshape(len(hashes), words, 64) << shifts, axis=2)


def part(hashes: Uint64s, out: Uint64s) -> None:
    """Write the bits of each hash ordered by the parities of their frequencies."""
    shifts = np.arange(64, dtype=np.uint64)
    bits = (hashes[:, :, None] >> shifts & np.uint64(1)).reshape(len(hashes), 16, 16)
    even, odd = slice(1, None, 2), slice(0, None, 2)  # of frequencies 1, 2, …
    for word, (rows, columns) in enumerate(((even, even), (odd, even), (even, odd), (odd, odd))):
        out[:, word] = np.bitwise_or.reduce(bits[:, rows, columns].reshape(len(hashes), 64) << shifts, axis=1)


def transpose(parted: Uint64s, out: Uint64s) -> None:
    """Write the parted hashes of the transposed pictures."""
    shifts = np.arange(64, dtype=np.uint64)
    bits = (parted[:, :, None] >> shifts & np.uint64(1)).reshape(len(parted), 4, 8, 8).transpose(0, 1, 3, 2)[:, [0, 2, 1, 3]]
    out[:] = np.bitwise_or.reduce(bits.reshape(len(parted), 4, 64) << shifts, axis=2)


def hash_64(pictures: Uint8s, cosines: Float64s, out: Uint64s) -> None:
    """Write the 64 bits of each picture: which of 8 x 8 coefficients lie above the mean of the two in the middle."""
    for number, picture in enumerate(pictures):
        rows = np.floor(cosines @ picture.astype(np.float64) / 2**8 + 0.5)
        coefficients = (rows @ cosines.T).ravel()
        middle = np.sort(coefficients)[31:33].sum()
        out[number] = sum(1 << bit for bit in range(64) if 2 * coefficients[bit] > middle)
