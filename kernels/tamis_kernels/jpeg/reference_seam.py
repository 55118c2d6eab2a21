"""The seam test as `seam.py` explains it: the score of every staircase, shift by shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.jpeg import layout as the

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Part:
    """One component of a scan: its sampling, its 1/8 picture, and the mean of each block's outermost pixels: top, bottom, left, right."""

    across: int
    down: int
    plane: NDArray[np.uint8]
    edges: NDArray[np.int64]  # [height, width, 4], in 1/8 levels


def edges_of(level: int, coefficients: dict[int, int]) -> list[int]:
    """Return the mean of a block's outermost pixels, of its DC term and its dequantised coefficients in the file's order."""
    sums = [0, 0, 0, 0]  # across even, across odd, down even, down odd
    for place, value in coefficients.items():
        row, column = divmod(the.ZIGZAG[place], 8)
        if place <= the.LAST_EDGE and 0 in (row, column):
            sums[2 * (column == 0) + (row + column) % 2] += the.EDGE[row + column] * value
    across, alternating, down, upright = sums
    pairs = (down + upright, down - upright, across + alternating, across - alternating)
    return [level + (one >> the.EDGE_BITS) for one in pairs]


def find_seam(parts: list[Part], columns: int, rows: int) -> int:
    """Return the MCU at which a seam begins, or -1."""
    if min(columns, rows) < the.LEAST_SIDE:
        return -1
    found, most = -1, the.SEAM_SCORE - 1
    for row in range(1, rows - 1):
        if any(_suspected(part, row, rows, columns) for part in parts):
            scores = sum(_scores(part, row, columns) for part in parts)
            assert isinstance(scores, np.ndarray)
            if scores.max() > most:
                found, most = row * columns + int(scores.argmax()), int(scores.max())
    return found


def _jump(plane: NDArray[np.int64], y: int) -> NDArray[np.int64]:
    """Return twice the jump above a row of blocks, beyond what the gradients on both sides explain."""
    jumps: NDArray[np.int64] = 3 * (plane[y] - plane[y - 1]) - (plane[min(y + 1, len(plane) - 1)] - plane[max(0, y - 2)])
    return jumps


def _suspected(part: Part, row: int, rows: int, columns: int) -> bool:
    plane, width = part.plane.astype(np.int64), part.plane.shape[1]
    others = [other for other in (row - 2, row - 1, row + 2, row + 3) if 1 <= other < rows]
    around = sum(int(np.minimum(abs(_jump(plane, other * part.down)), the.CAP).sum()) for other in others)
    limit = max(the.NOISE_FACTOR * around // (len(others) * width), the.LEAST_LIMIT)
    enough = the.SUSPICION * limit * limit
    upper, lower = (_jump(plane, place * part.down).clip(-limit, limit) for place in (row, row + 1))
    for column in range(1, columns):
        before = column * part.across
        right, left = int(upper[before:].sum()), int(lower[:before].sum())
        fit = abs(right + left) - abs(int(upper[:before].sum())) - abs(int(lower[before:].sum()))
        if (
            min(fit, right * left) > 0
            and 16 * fit * fit >= enough * width
            and 32 * right * right >= enough * (width - before)
            and 32 * left * left >= enough * before
        ):
            return True
    return False


def _votes(jumps: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    return np.minimum(abs(jumps), abs(shift)) - np.minimum(abs(jumps - shift), abs(shift))


def _scores(part: Part, row: int, columns: int) -> NDArray[np.int64]:
    top, bottom, left, right = np.moveaxis(part.edges, 2, 0)
    first, after = row * part.down, (row + 1) * part.down
    upper, lower = top[first] - bottom[first - 1], top[after] - bottom[after - 1]
    best = np.zeros(columns, np.int64)
    for shift in (*the.SHIFTS, *(-one for one in the.SHIFTS)):
        above, below = _votes(upper, shift), _votes(lower, shift)
        for column in range(1, columns):
            before = column * part.across
            on_right, on_left = above[before:].sum(), below[:before].sum()
            score = min(2 * on_right, on_right - below[before:].sum(), 2 * on_left, on_left - above[:before].sum())
            if score > 0:
                score += 2 * _votes(left[first:after, before] - right[first:after, before - 1], shift).sum()
                best[column] = max(best[column], 128 * score // abs(shift))
    return best
