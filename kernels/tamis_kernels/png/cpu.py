"""Undo the filters line by line in two lines of scratch memory, and take the luma of each line while it is in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s, Uint32s


@njit(cache=True, nogil=True, inline="always")
def paeth(left: np.int32, up: np.int32, corner: np.int32) -> np.int32:
    """Return whichever of the three is nearest to left + up - corner; without branches, which would be guessed wrongly."""
    rise, run = up - corner, left - corner
    to_left, to_up, to_corner = abs(rise), abs(run), abs(rise + run)
    best = corner ^ ((corner ^ up) & ((to_up - to_corner - 1) >> 31))
    return best ^ ((best ^ left) & ((to_left - min(to_up, to_corner) - 1) >> 31))


@njit(cache=True, nogil=True, boundscheck=False)
def _unfilter(kind: int, line: Uint8s, above: Uint8s, done: Uint8s, step: int) -> None:
    """Fill done[step:] from a line without its filter's number; above and done have `step` zeros in front."""
    size = line.size
    if kind == 0:
        done[step:] = line
    elif kind == 2:
        for i in range(size):
            done[step + i] = line[i] + above[step + i]
    elif kind == 1:
        for i in range(size):
            done[step + i] = line[i] + done[i]
    elif kind == 3:
        for i in range(size):
            done[step + i] = line[i] + np.uint8((np.int32(done[i]) + np.int32(above[step + i])) >> 1)
    elif step == 3:
        _paeth_three(line, above, done)
    else:
        for i in range(size):
            done[step + i] = line[i] + np.uint8(paeth(np.int32(done[i]), np.int32(above[step + i]), np.int32(above[i])))


@njit(cache=True, nogil=True, boundscheck=False)
def _paeth_three(line: Uint8s, above: Uint8s, done: Uint8s) -> None:
    """Undo Paeth of three-byte pixels: their chains of dependent sums run side by side in registers."""
    r, g, b = np.int32(0), np.int32(0), np.int32(0)
    cr, cg, cb = np.int32(0), np.int32(0), np.int32(0)
    for i in range(0, line.size, 3):
        ur, ug, ub = np.int32(above[i + 3]), np.int32(above[i + 4]), np.int32(above[i + 5])
        r = np.int32((np.int32(line[i]) + paeth(r, ur, cr)) & 255)
        g = np.int32((np.int32(line[i + 1]) + paeth(g, ug, cg)) & 255)
        b = np.int32((np.int32(line[i + 2]) + paeth(b, ub, cb)) & 255)
        done[i + 3], done[i + 4], done[i + 5] = np.uint8(r), np.uint8(g), np.uint8(b)
        cr, cg, cb = ur, ug, ub


@njit(cache=True, nogil=True, inline="always")
def luma(red: np.int32, green: np.int32, blue: np.int32) -> np.int32:
    """Return the luma of a colour."""
    return (red * np.int32(19595) + green * np.int32(38470) + blue * np.int32(7471) + np.int32(0x8000)) >> np.int32(16)


@njit(cache=True, nogil=True, boundscheck=False)
def _levels(done: Uint8s, depth: int, channels: int, factor: int, out: Uint8s) -> None:
    """Fill out with the levels of one unfiltered line."""
    if depth < 8:
        mask, each = (1 << depth) - 1, 8 // depth
        for x in range(out.size):
            out[x] = ((done[x // each] >> (8 - depth - x % each * depth)) & mask) * factor
        return
    sample = depth // 8
    step = sample * channels
    if channels < 3:
        for x in range(out.size):
            out[x] = done[x * step]
        return
    for x in range(out.size):
        i = x * step
        red, green, blue = np.int32(done[i]), np.int32(done[i + sample]), np.int32(done[i + 2 * sample])
        out[x] = luma(red, green, blue)


@njit(cache=True, nogil=True, boundscheck=False)
def _add_colours(done: Uint8s, sample: int, step: int, first: int, across: int, pixels: int, sums: Uint32s) -> None:
    """Add red, green and blue of one unfiltered line to the sums of its cells."""
    x, place = 0, first
    while x < pixels:
        cell = place >> 3
        red, green, blue = np.uint32(0), np.uint32(0), np.uint32(0)
        while x < pixels and place >> 3 == cell:
            i = x * step
            red += np.uint32(done[i])
            green += np.uint32(done[i + sample])
            blue += np.uint32(done[i + 2 * sample])
            x += 1
            place += across
        sums[cell, 0] += red
        sums[cell, 1] += green
        sums[cell, 2] += blue


@njit(cache=True, nogil=True)
def gray(lines: Uint8s, depth: int, channels: int, indexed: bool, place: Int64s, sums: Uint32s, out: Uint8s) -> None:
    """Fill out with the grey levels, or palette indices, of filtered lines; add colours to the sums of their cells."""
    step = max(1, depth * channels // 8)
    factor = 1 if indexed or depth >= 8 else 255 // ((1 << depth) - 1)
    above = np.zeros(step + lines.shape[1] - 1, np.uint8)
    done = np.zeros(step + lines.shape[1] - 1, np.uint8)
    for y in range(lines.shape[0]):
        _unfilter(lines[y, 0], lines[y, 1:], above, done, step)
        _levels(done[step:], depth, channels, factor, out[y])
        if sums.size:
            cells = sums[(place[1] + y * place[3]) >> 3]
            _add_colours(done[step:], depth // 8, step, place[0], place[2], out.shape[1], cells)
        above, done = done, above
