"""The seam test, compiled: damage that is legal syntax to the last bit nearly always shifts the level of all blocks that follow.

Within a scan each DC term is coded as the difference to the one before, so a wrong difference shifts a component from one MCU to the end.
The picture then has a seam along a staircase: over the MCUs of one row from that one on, and below those before it in the same row. Frames,
bars and horizons are straight or slanted, and the jump along them varies.

Rows are suspected by the 1/8 picture. In these and beside them the coefficients of each block's first row and column are decoded
again: they give the mean of its outermost pixels, 1/8 level at a time, and so the jump from block to block where pixels meet. A jump is
a vote for a shift by `d` that is nearer to `d` than to 0, of weight `min(|jump|, d) - min(|jump - d|, d)`. The score of a staircase is
what the votes on it say beyond the best straight line or one part alone, in blocks, summed over the components.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.header import ACROSS, DOWN, HIGH, NOTHING, ORIGIN, TABLE, WIDE
from tamis_kernels.jpeg.lane import (
    COLUMNS,
    ONE,
    PARTS,
    SHIFT,
    SLOTS,
    TABLE_BITS,
    TOTAL,
    Lane,
    bits_from,
    settle,
    signed,
)
from tamis_kernels.jpeg.tables import COUNT, VALUE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACES = np.array(the.ZIGZAG[: the.LAST_EDGE + 1])
_FREQUENCY = np.where(_PLACES < 8, _PLACES, _PLACES // 8)
_WHICH = np.where(_PLACES < 8, _FREQUENCY % 2, np.where(_PLACES % 8 == 0, 2 + _FREQUENCY % 2, 4))
_WEIGHT = np.array(the.EDGE, np.int64)[_FREQUENCY % 8]
_SHIFTS = np.array(the.SHIFTS, np.int64)

TOP, BOTTOM, LEFT, RIGHT = range(4)


@njit(cache=True, nogil=True)
def find_seam(lane: Lane, planes: NDArray[np.uint8]) -> int:
    """Return the MCU of a scan without restarts, walked and drawn, at which a seam begins; `NOTHING` where there is none."""
    state = lane.state
    columns, rows = state[COLUMNS], state[TOTAL] // state[COLUMNS]
    if min(columns, rows) < the.LEAST_SIDE:
        return NOTHING
    suspected, room = lane.room[:rows], lane.room[rows:]
    suspected[:] = 0
    for slot in range(state[SLOTS]):
        if lane.order[slot, 1] == 0 and lane.order[slot, 2] == 0:
            part = lane.frame.components[lane.order[slot, 0]]
            across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
            picture = planes[part[ORIGIN] : part[ORIGIN] + part[HIGH] * part[WIDE]]
            _suspect(picture, part[WIDE], across, down, columns, lane.jumps, room, suspected)
    found, most = NOTHING, the.SEAM_SCORE - 1
    for row in range(1, rows - 1):
        if suspected[row]:
            scores = room[:columns]
            _score_row(lane, row, room[columns:], scores)
            for column in range(columns):
                if scores[column] > most:
                    found, most = row * columns + column, scores[column]
    return found


@njit(cache=True, nogil=True)
def _suspect(
    picture: NDArray[np.uint8],
    width: int,
    across: int,
    down: int,
    columns: int,
    jumps: NDArray[np.int32],
    room: NDArray[np.int64],
    suspected: NDArray[np.int64],
) -> None:
    """Mark the MCU rows in which a staircase begins along which the 1/8 picture jumps, beyond what gradients explain."""
    rows, bottom = len(suspected), len(picture) // width - 1
    upper, lower = jumps[:width], jumps[width : 2 * width]
    lines = jumps[2 * width : (2 + rows) * width]  # twice the jump above each row
    sizes = room[:rows]
    for row in range(1, rows):
        y = row * down
        above, below = picture[(y - 1) * width : y * width], picture[y * width : (y + 1) * width]
        far, beyond = picture[max(0, y - 2) * width :][:width], picture[min(y + 1, bottom) * width :][:width]
        line = lines[row * width : (row + 1) * width]
        size = 0
        for x in range(width):
            line[x] = 3 * (np.int32(below[x]) - np.int32(above[x])) - (np.int32(beyond[x]) - np.int32(far[x]))
            size += min(abs(line[x]), the.CAP)
        sizes[row] = size
    for row in range(1, rows - 1):
        count = around = 0
        for other in (row - 2, row - 1, row + 2, row + 3):
            if 1 <= other < rows:
                around += sizes[other]
                count += 1
        limit = np.int32(max(the.NOISE_FACTOR * around // (count * width), the.LEAST_LIMIT))
        line, other_line = lines[row * width : (row + 1) * width], lines[(row + 1) * width : (row + 2) * width]
        sum_upper = sum_lower = 0
        for x in range(width):
            upper[x] = min(max(line[x], -limit), limit)
            lower[x] = min(max(other_line[x], -limit), limit)
            sum_upper += upper[x]
            sum_lower += lower[x]
        enough = the.SUSPICION * int(limit) * int(limit)
        least = int(math.sqrt(enough * width)) // 4 - 1  # below the least fit, to save time
        if abs(sum_upper + sum_lower) >= least:
            suspected[row] |= _suspect_row(upper, lower, sum_upper, sum_lower, across, columns, enough, least)


@njit(cache=True, nogil=True)
def _suspect_row(
    upper: NDArray[np.int32],
    lower: NDArray[np.int32],
    sum_upper: int,
    sum_lower: int,
    across: int,
    columns: int,
    enough: int,
    least: int,
) -> bool:
    """Say whether a staircase that begins in this row fits: well as a whole, and each of its parts."""
    width = len(upper)
    left_upper = left_lower = before = 0
    for _ in range(1, columns):
        for _step in range(across):
            left_upper += upper[before]
            left_lower += lower[before]
            before += 1
        right, left = sum_upper - left_upper, left_lower
        fit = abs(right + left) - abs(left_upper) - abs(sum_lower - left_lower)
        if fit < least:
            continue
        if right + left < 0:
            right, left = -right, -left
        if (
            min(right, left) > 0
            and 16 * fit * fit >= enough * width
            and 32 * right * right >= enough * (width - before)
            and 32 * left * left >= enough * before
        ):
            return True
    return False


@njit(cache=True, nogil=True)
def _score_row(lane: Lane, row: int, room: NDArray[np.int64], total: NDArray[np.int64]) -> None:
    """Write the score of the staircase that begins at each MCU of a row, in 1/256 blocks, over all components."""
    state = lane.state
    total[:] = 0
    for slot in range(state[SLOTS]):
        if lane.order[slot, 1] or lane.order[slot, 2]:
            continue
        part = lane.frame.components[lane.order[slot, 0]]
        across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
        line = 4 * part[WIDE]
        edges = room[: (down + 2) * line]  # of the last block row above, those of the row, and the first below
        for other in range(slot, slot + across * down):
            for y in range(lane.order[other, 1] + 1, down + 2, down):
                _read_row(lane, row + (y - 1) // down, other, across, edges[y * line : (y + 1) * line])
            if lane.order[other, 1] == down - 1:
                _read_row(lane, row - 1, other, across, edges[:line])
        _score(edges, line, across, room[edges.size :], total)


@njit(cache=True, nogil=True)
def _read_row(lane: Lane, row: int, slot: int, across: int, edges: NDArray[np.int64]) -> None:
    """Decode the coefficients of first row and column of each block with one place in the MCUs of a row.

    They give the mean of the blocks' outermost pixels, in 1/8 levels.
    """
    state = lane.state
    data, single, starts, codes = lane.bytes, lane.frame.single, lane.starts, lane.frame.codes
    quantisers = lane.frame.quantisers[lane.frame.components[lane.order[slot, 0], TABLE]]
    dc, ac = lane.bases[2 * slot], lane.bases[2 * slot + 1]
    sums = lane.sums  # across even, across odd, down even, down odd, and what is in neither
    for column in range(state[COLUMNS]):
        x = column * across + lane.order[slot, 2]
        if 4 * x >= len(edges):
            continue
        block = (row * state[COLUMNS] + column) * state[SLOTS] + slot
        bit = np.uint64(starts[block])
        window = bits_from(data, bit)
        entry = signed(single[dc + (window >> SHIFT)])
        if entry < 0:
            entry = settle(window, signed(dc >> TABLE_BITS), 0, codes, lane.frame.symbols)
        bit += np.uint64(entry & 31)
        sums[:] = 0
        k = 1
        while True:
            window = bits_from(data, bit)
            entry = signed(single[ac + (window >> SHIFT)])
            if entry < 0:
                entry = settle(window, signed(ac >> TABLE_BITS), k, codes, lane.frame.symbols)
            run = entry >> COUNT & 63
            k += run
            if run == 0 or k > the.LAST_EDGE + 1:
                break
            bit += np.uint64(entry & 31)
            size = entry >> VALUE
            value = signed(
                ((window << np.uint64((entry & 31) - size)) >> ONE) >> np.uint64(63 - size)
            )  # the last bits that the entry passes
            value -= ((1 << size) - 1) * (value < (1 << size) >> 1)
            sums[_WHICH[k - 1]] += _WEIGHT[k - 1] * value * quantisers[k - 1]
            if k > the.LAST_EDGE:
                break
        level = signed(lane.levels[block])
        edges[4 * x + LEFT] = level + ((sums[0] + sums[1]) >> the.EDGE_BITS)
        edges[4 * x + RIGHT] = level + ((sums[0] - sums[1]) >> the.EDGE_BITS)
        edges[4 * x + TOP] = level + ((sums[2] + sums[3]) >> the.EDGE_BITS)
        edges[4 * x + BOTTOM] = level + ((sums[2] - sums[3]) >> the.EDGE_BITS)


@njit(cache=True, nogil=True, inline="always")
def _vote(jump: int, shift: int) -> int:
    """Return how much nearer a jump is to a shift than to none, at most the shift."""
    most = abs(shift)
    return min(abs(jump), most) - min(abs(jump - shift), most)


@njit(cache=True, nogil=True)
def _score(edges: NDArray[np.int64], line: int, across: int, room: NDArray[np.int64], total: NDArray[np.int64]) -> None:
    """Add the score of each staircase in one component: of the shift that explains it best."""
    down, width, columns = len(edges) // line - 2, line // 4, len(total)
    upper, lower, votes_upper, votes_lower = room[:width], room[width : 2 * width], room[2 * width : 3 * width], room[3 * width : 4 * width]
    best = room[4 * width : 4 * width + columns]
    best[:] = 0
    for x in range(width):
        upper[x] = edges[line + 4 * x + TOP] - edges[4 * x + BOTTOM]
        lower[x] = edges[(down + 1) * line + 4 * x + TOP] - edges[down * line + 4 * x + BOTTOM]
    for size in _SHIFTS:
        for shift in (-size, size):
            sum_upper = sum_lower = 0
            for x in range(width):
                votes_upper[x] = _vote(upper[x], shift)
                votes_lower[x] = _vote(lower[x], shift)
                sum_upper += votes_upper[x]
                sum_lower += votes_lower[x]
            left_upper = left_lower = 0
            for column in range(1, columns):
                before = column * across
                for x in range(before - across, before):
                    left_upper += votes_upper[x]
                    left_lower += votes_lower[x]
                right_upper, right_lower = sum_upper - left_upper, sum_lower - left_lower
                score = min(2 * right_upper, right_upper - right_lower, 2 * left_lower, left_lower - left_upper)
                if score > 0:
                    for y in range(1, down + 1):
                        score += 2 * _vote(edges[y * line + 4 * before + LEFT] - edges[y * line + 4 * before - 4 + RIGHT], shift)
                    best[column] = max(best[column], 128 * score // size)
    for column in range(columns):
        total[column] += best[column]
