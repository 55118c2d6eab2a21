"""Undo the filters byte by byte and take the luma sample by sample: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint32s


def gray(lines: Uint8s, depth: int, channels: int, indexed: bool, place: Int64s, sums: Uint32s, out: Uint8s) -> None:
    """Fill out with the grey levels, or palette indices, of filtered lines; add colours to the sums of their cells."""
    cells = (place[0] + np.arange(out.shape[1]) * place[2]) // 8
    step = max(1, depth * channels // 8)
    above = [0] * (lines.shape[1] - 1)
    for y, line in enumerate(lines.tolist()):
        above = _unfiltered(line[0], line[1:], above, step)
        samples = _samples(np.array(above, np.uint8), depth, out.shape[1] * channels).reshape(-1, channels)
        if depth < 8 and not indexed:
            samples = samples * (255 // ((1 << depth) - 1))
        if sums.size:
            np.add.at(sums[(place[1] + y * place[3]) // 8], cells, samples[:, :3].astype(np.uint32))
        if channels >= 3:
            samples = (samples[:, :3] @ np.array([19595, 38470, 7471]) + 0x8000 >> 16)[:, None]
        out[y] = samples[:, 0]


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


def _samples(line: Uint8s, depth: int, count: int) -> Int64s:
    """Return the samples of an unfiltered line; of 16 bits the upper byte."""
    if depth == 16:
        return line[::2].astype(np.int64)
    bits = np.unpackbits(line).reshape(-1, depth)[:count]
    samples: Int64s = bits @ (1 << np.arange(depth)[::-1])
    return samples
