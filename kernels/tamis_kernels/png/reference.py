"""Undo the filters byte by byte and take the luma sample by sample: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


SCALES = (36984, 46745)  # of B - Y in Cb, and of R - Y in Cr, times 2^16


def gray(lines: NDArray[np.uint8], depth: int, channels: int, indexed: bool, out: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> None:
    """Fill out with the grey levels, or palette indices, of filtered lines, and chroma, unless it is empty, with Cb and Cr of cells."""
    away = np.zeros((2, *out.shape), np.int64)
    step = max(1, depth * channels // 8)
    above = [0] * (lines.shape[1] - 1)
    for y, line in enumerate(lines.tolist()):
        above = _unfiltered(line[0], line[1:], above, step)
        samples = _samples(np.array(above, np.uint8), depth, out.shape[1] * channels).reshape(-1, channels)
        if depth < 8 and not indexed:
            samples = samples * (255 // ((1 << depth) - 1))
        if channels >= 3:
            colours = samples
            samples = (samples[:, :3] @ np.array([19595, 38470, 7471]) + 0x8000 >> 16)[:, None]
            away[:, y] = colours[:, 2] - samples[:, 0], colours[:, 0] - samples[:, 0]
        out[y] = samples[:, 0]
    for plane, row, cell in np.ndindex(chroma.shape):
        inside = away[plane, 8 * row : 8 * row + 8, 8 * cell : 8 * cell + 8]
        mean = (int(inside.sum()) * SCALES[plane] + inside.size * 32768) // (inside.size * 65536)
        chroma[plane, row, cell] = min(255, max(0, 128 + mean))


def _unfiltered(kind: int, line: list[int], above: list[int], step: int) -> list[int]:
    done: list[int] = []
    for i, byte in enumerate(line):
        left, corner = (done[i - step], above[i - step]) if i >= step else (0, 0)
        up = above[i]
        predicted = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        done.append((byte + predicted) % 256)
    return done


def _paeth(left: int, up: int, corner: int) -> int:
    """Return whichever of the three is nearest to left + up - corner, the first of equals."""
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))


def _samples(line: NDArray[np.uint8], depth: int, count: int) -> NDArray[np.int64]:
    """Return the samples of an unfiltered line; of 16 bits the upper byte."""
    if depth == 16:
        return line[::2].astype(np.int64)
    bits = np.unpackbits(line).reshape(-1, depth)[:count]
    samples: NDArray[np.int64] = bits @ (1 << np.arange(depth)[::-1])
    return samples
