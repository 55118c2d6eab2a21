"""The seam test as `seam.py` explains it: the score of every staircase, shift by shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.jpeg import layout as the

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s


@dataclass
class Part:
    """One component of a scan: its sampling, its 1/8 picture, and each block's level at its borders: top, bottom, left, right."""

    across: int
    down: int
    plane: Uint8s
    edges: Int64s  # [height, width, 4], in 1/8 levels


def edges_of(level: int, coefficients: dict[int, int]) -> list[int]:
    """Return a block's level at its four borders, by its DC term and its dequantised coefficients in the file's order."""
    sums = [0, 0, 0, 0]  # across even, across odd, down even, down odd
    for place, value in coefficients.items():
        row, column = divmod(the.ZIGZAG[place], 8)
        if place <= the.LAST_EDGE and 0 in (row, column):
            sums[2 * (column == 0) + (row + column) % 2] += the.EDGE[row + column] * value
    across, alternating, down, upright = sums
    pairs = (down + upright, down - upright, across + alternating, across - alternating)
    return [level + (one >> the.EDGE_BITS) for one in pairs]


def find_seam(parts: list[Part], columns: int, rows: int, step: int) -> int:
    """Return the MCU at which a seam begins, or -1; `step` is the MCUs of a restart interval."""
    if min(columns, rows) < the.LEAST_SIDE:
        return -1
    found, most = -1, the.SEAM_SCORE - 1
    for row in range(1, rows - 1):
        stops = [_stop(row, column, columns, step) for column in range(columns)]
        if any(_suspected(part, row, rows, stops) for part in parts):
            scores = sum(_scores(part, row, stops) for part in parts)
            assert isinstance(scores, np.ndarray)
            if scores.max() > most:
                found, most = row * columns + int(scores.argmax()), int(scores.max())
    return found


def _stop(row: int, column: int, columns: int, step: int) -> int:
    """Return where the bar that begins at an MCU ends in its row; 0 where its interval is long enough for a staircase."""
    first = row * columns + column
    end = (first // step + 1) * step
    return 0 if end - first >= columns else min(end - row * columns, columns)


def _jump(plane: Int64s, y: int) -> Int64s:
    """Return twice the jump above a row of blocks, beyond what the gradients on both sides explain."""
    jumps: Int64s = 3 * (plane[y] - plane[y - 1]) - (plane[min(y + 1, len(plane) - 1)] - plane[max(0, y - 2)])
    return jumps


def _suspected(part: Part, row: int, rows: int, stops: list[int]) -> bool:
    plane, width = part.plane.astype(np.int64), part.plane.shape[1]
    others = [other for other in (row - 2, row - 1, row + 2, row + 3) if 1 <= other < rows]
    around = sum(int(np.minimum(abs(_jump(plane, other * part.down)), the.CAP).sum()) for other in others)
    limit = max(the.NOISE_FACTOR * around // (len(others) * width), the.LEAST_LIMIT)
    enough = the.SUSPICION * limit * limit
    upper, lower = (_jump(plane, place * part.down) for place in (row, row + 1))
    clipped_upper, clipped_lower = upper.clip(-limit, limit), lower.clip(-limit, limit)
    signs = set()
    for column in range(1, len(stops)):
        first, rest, second, other_rest, length, other = _parts(clipped_upper, clipped_lower, -clipped_lower, part, column, stops[column])
        fit = abs(first + second) - abs(rest) - abs(other_rest)
        if (
            min(fit, first * second) > 0
            and 16 * fit * fit >= enough * (length + other)
            and 32 * first * first >= enough * length
            and 32 * second * second >= enough * other
        ):
            signs.add(1 if first > 0 else -1)
    for sign in signs:
        for size in the.SHIFTS:
            doubled = size // 4  # the jumps are twice as many levels
            scores = [_score(upper, lower, sign * doubled, part, column, stops[column]) for column in range(1, len(stops))]
            if 128 * max(scores) >= the.SUSPICION_SCORE * doubled:
                return True
    return False


def _parts(above: Int64s, below: Int64s, opposite: Int64s, part: Part, column: int, stop: int) -> tuple[int, int, int, int, int, int]:
    """Return the sums over a seam's upper part, the rest of its line, its lower part and the rest of that, and the lengths of the parts."""
    begin = column * part.across
    if stop == 0:
        staircase = above[begin:], below[begin:], below[:begin], above[:begin]
        first, rest, second, other_rest = (int(one.sum()) for one in staircase)
        return first, rest, second, other_rest, len(above) - begin, begin
    end = min(stop * part.across, len(above))
    length = end - begin
    beside = [*range(max(0, begin - length), begin), *range(end, min(len(above), end + length))]
    bar = above[begin:end], above[beside], opposite[begin:end], opposite[beside]
    first, rest, second, other_rest = (int(one.sum()) for one in bar)
    return first, rest, second, other_rest, length, length


def _votes(jumps: Int64s, shift: int) -> Int64s:
    return np.minimum(abs(jumps), abs(shift)) - np.minimum(abs(jumps - shift), abs(shift))


def _score(upper: Int64s, lower: Int64s, shift: int, part: Part, column: int, stop: int, least: int = 0) -> int:
    """Return twice what the votes on a seam's two parts score, 0 where one of them has none, or less than half of `least` a block."""
    votes = _votes(upper, shift), _votes(lower, shift), _votes(lower, -shift)
    first, rest, second, other_rest, length, _ = _parts(*votes, part, column, stop)
    weaker, stronger = sorted([min(2 * first, first - rest), min(2 * second, second - other_rest)])
    if weaker <= 0 or 2 * min(first, second) < length * least:
        return 0
    return weaker + min(stronger - weaker, 2 * the.LONG * abs(shift)) // the.LONG_SHARE


def _plain(sides: Int64s) -> list[bool]:
    """Say of each place in an MCU row, int64[down, width, 4], whether its blocks have one level on all sides, that left of them too."""
    right = sides[:, :-1, 3:]
    return [False, *(sides[:, 1:] == right).all(axis=(0, 2)).tolist()]


def _scores(part: Part, row: int, stops: list[int]) -> Int64s:
    top, bottom, left, right = np.moveaxis(part.edges, 2, 0)
    first, after = row * part.down, (row + 1) * part.down
    upper, lower = top[first] - bottom[first - 1], top[after] - bottom[after - 1]
    plain = _plain(part.edges[first:after])
    best = np.zeros(len(stops), np.int64)
    for shift in (*the.SHIFTS, *(-one for one in the.SHIFTS)):
        for column, stop in enumerate(stops[1:], 1):
            bar = plain[column * part.across : stop * part.across]
            if 2 * sum(bar) > len(bar):
                continue
            score = _score(upper, lower, shift, part, column, stop, abs(shift) if stop else 0)
            if score > 0:
                for at, sign in ((column, 1), (stop if stop < len(stops) else 0, -1)):
                    x = at * part.across
                    score += 2 * int(_votes(left[first:after, x] - right[first:after, x - 1], sign * shift).sum()) if at else 0
                best[column] = max(best[column], 128 * score // abs(shift))
    return best
