"""The seam test, compiled: damage that is legal syntax to the last bit nearly always shifts the level of all blocks that follow.

Within a restart interval each DC term is coded as the difference to the one before, so a wrong difference shifts a component from one MCU
to the interval's end. Where that is a row of MCUs away or more, the picture then has a seam along a staircase: over the MCUs of one row
from that one on, and below those before it in the same row. Else the seam runs around a bar: over and below the MCUs from that one to the
interval's end or the row's. Frames, bars and horizons are straight or slanted, and the jump along them varies.

Rows are suspected by the 1/8 picture. In these and beside them the coefficients of each block's first row and column are decoded
again: they give its level at each border, 1/8 level at a time, and so the jump from block to block beyond what slopes explain. A jump is
a vote for a shift by `d` that is nearer to `d` than to 0, of weight `min(|jump|, d) - min(|jump - d|, d)`. A part of a seam, above or
below, scores what the votes on it say beyond those on the rest of the same line; a seam what its weaker part does, a share of what the
other does beyond it, and the votes at its ends: in blocks, summed over the components. A bar is no seam where half of the votes on a part
are against it, or half of its blocks are plain, as those of a drawn one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.header import ACROSS, DOWN, HIGH, NOTHING, ORIGIN, TABLE, WIDE
from tamis_kernels.jpeg.lane import (
    COLUMNS,
    ONE,
    PARTS,
    SHIFT,
    SLOTS,
    STEP,
    TABLE_BITS,
    TOTAL,
    Lane,
    bits_from,
    settle,
    signed,
)
from tamis_kernels.jpeg.tables import COUNT, VALUE

if TYPE_CHECKING:
    from tamis_kernels.types import Int32s, Int64s, Uint8s

_PLACES = np.array(the.ZIGZAG[: the.LAST_EDGE + 1])
_FREQUENCY = np.where(_PLACES < 8, _PLACES, _PLACES // 8)
_WHICH = np.where(_PLACES < 8, _FREQUENCY % 2, np.where(_PLACES % 8 == 0, 2 + _FREQUENCY % 2, 4))
_WEIGHT = np.array(the.EDGE, np.int64)[_FREQUENCY % 8]
_SHIFTS = np.array(the.SHIFTS, np.int64)

TOP, BOTTOM, LEFT, RIGHT = range(4)


@of_views
def find_seam(lane: Lane, planes: Uint8s) -> int:
    """Return the MCU of a scan, walked and drawn, at which a seam begins; `NOTHING` where there is none."""
    state = lane.state
    columns, rows = state[COLUMNS], state[TOTAL] // state[COLUMNS]
    if min(columns, rows) < the.LEAST_SIDE:
        return NOTHING
    suspected, sizes = lane.room[:rows], lane.room[rows : 2 * rows]
    stops, room = lane.room[2 * rows : 2 * rows + columns], lane.room[2 * rows + columns :]
    suspected[:] = 0
    for slot in range(state[SLOTS]):
        if lane.order[slot, 1] == 0 and lane.order[slot, 2] == 0:
            part = lane.frame.components[lane.order[slot, 0]]
            across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
            picture, width = planes[part[ORIGIN] : part[ORIGIN] + part[HIGH] * part[WIDE]], part[WIDE]
            for row in range(1, rows):
                sizes[row] = measure(picture, width, row * down, lane.jumps[row * width : (row + 1) * width])
            for row in range(1, rows - 1):
                if suspected[row] == 0 and suspects(row, width, across, state[STEP], lane.jumps, sizes, stops, room):
                    suspected[row] = 1
    found, most = NOTHING, the.SEAM_SCORE - 1
    for row in range(1, rows - 1):
        if suspected[row]:
            found, most = best_of(lane, row, stops, room, found, most)
    return found


@of_views
def _find_stops(row: int, step: int, stops: Int64s) -> None:
    """Write where a seam that begins at each MCU of a row ends in the same row; 0 where it goes on through the next row, in a staircase."""
    columns = len(stops)
    for column in range(columns):
        end = ((row * columns + column) // step + 1) * step - row * columns
        stops[column] = 0 if end >= column + columns else min(end, columns)


@of_views
def measure(picture: Uint8s, width: int, y: int, line: Int32s) -> int:
    """Write twice the jumps above a row of the 1/8 picture, beyond what gradients explain; return the sum of their sizes, each capped."""
    bottom = len(picture) // width - 1
    above, below = picture[(y - 1) * width : y * width], picture[y * width : (y + 1) * width]
    far, beyond = picture[max(0, y - 2) * width :][:width], picture[min(y + 1, bottom) * width :][:width]
    size = 0
    for x in range(width):
        line[x] = 3 * (np.int32(below[x]) - np.int32(above[x])) - (np.int32(beyond[x]) - np.int32(far[x]))
        size += min(abs(line[x]), the.CAP)
    return size


@of_views
def suspects(row: int, width: int, across: int, step: int, jumps: Int32s, sizes: Int64s, stops: Int64s, room: Int64s) -> bool:
    """Say whether a seam begins in an MCU row along which the 1/8 picture jumps; `jumps` and `sizes` are those of all rows."""
    rows = len(sizes)
    count = around = 0
    for other in (row - 2, row - 1, row + 2, row + 3):
        if 1 <= other < rows:
            around += sizes[other]
            count += 1
    limit = np.int32(max(the.NOISE_FACTOR * around // (count * width), the.LEAST_LIMIT))
    upper, lower = jumps[row * width : (row + 1) * width], jumps[(row + 1) * width : (row + 2) * width]
    whole = 0
    for x in range(width):
        whole += min(max(upper[x], -limit), limit) + min(max(lower[x], -limit), limit)
    enough = the.SUSPICION * int(limit) * int(limit)
    least = int(math.sqrt(enough * width)) // 4 - 1  # below the least fit of a staircase, to save time
    if abs(whole) < least and step >= rows * len(stops):
        return False
    _find_stops(row, step, stops)
    signs = _fits(upper, lower, limit, enough, across, stops, room)
    if signs & 1 and _votes_enough(upper, lower, 1, across, stops, room):
        return True
    return signs & 2 != 0 and _votes_enough(upper, lower, -1, across, stops, room)


@of_views
def best_of(lane: Lane, row: int, stops: Int64s, room: Int64s, found: int, most: int) -> tuple[int, int]:
    """Return the MCU of a row at which the seam with the highest score begins, and the score; what was found before unless it is higher."""
    columns = len(stops)
    scores = room[:columns]
    _find_stops(row, lane.state[STEP], stops)
    _score_row(lane, row, stops, room[columns:], scores)
    for column in range(columns):
        if scores[column] > most:
            found, most = row * columns + column, scores[column]
    return found, most


@of_views
def _fits(upper: Int32s, lower: Int32s, limit: np.int32, enough: int, across: int, stops: Int64s, room: Int64s) -> int:
    """Say whether a seam that begins in this row fits the clipped jumps, well as a whole and each of its parts: 1 upwards, 2 downwards."""
    width, columns, signs = len(upper), len(stops), 0
    above, below, opposite = _sums(room, width)
    for x in range(width):
        above[x + 1] = above[x] + min(max(upper[x], -limit), limit)
        below[x + 1] = below[x] + min(max(lower[x], -limit), limit)
        opposite[x + 1] = -below[x + 1]  # of votes it must be counted anew, see `_count_all`
    for column in range(1, columns):
        first, rest, second, other_rest, length, other = _parts(above, below, opposite, across, column, stops)
        fit = abs(first + second) - abs(rest) - abs(other_rest)
        if (
            fit > 0
            and 16 * fit * fit >= enough * (length + other)
            and first * second > 0
            and 32 * first * first >= enough * length
            and 32 * second * second >= enough * other
        ):
            signs |= 1 if first > 0 else 2
    return signs


@of_views
def _votes_enough(upper: Int32s, lower: Int32s, sign: int, across: int, stops: Int64s, room: Int64s) -> bool:
    """Say whether the votes of the 1/8 picture for a shift of this sign score as a suspected seam does."""
    above, below, opposite = _sums(room, len(upper))
    for size in _SHIFTS:
        doubled = size // 4  # levels twice, as the jumps
        _count_all(upper, lower, sign * doubled, above, below, opposite, stops)
        for column in range(1, len(stops)):
            first, rest, second, other_rest, _, _ = _parts(above, below, opposite, across, column, stops)
            if 128 * _score_of(first, rest, second, other_rest, doubled) >= the.SUSPICION_SCORE * doubled:
                return True
    return False


@njit(cache=True, nogil=True, inline="always")
def _sums(room: Int64s, width: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return room for the sums of what lies left of each block: above a row, below it, and below it for the opposite shift."""
    room[0] = room[width + 1] = room[2 * width + 2] = 0
    return room[: width + 1], room[width + 1 : 2 * width + 2], room[2 * width + 2 : 3 * width + 3]


@of_views
def _count_all(upper: Any, lower: Any, shift: int, above: Int64s, below: Int64s, opposite: Int64s, stops: Int64s) -> None:
    """Sum up the votes of both lines' jumps for a shift, from the left; those for the opposite shift where a bar may begin in the row."""
    up = down = 0
    for x in range(len(upper)):
        up += _vote(upper[x], shift)
        down += _vote(lower[x], shift)
        above[x + 1], below[x + 1] = up, down
    if stops[1] > 0 or stops[-1] > 0:
        down = 0
        for x in range(len(lower)):
            down += _vote(lower[x], -shift)
            opposite[x + 1] = down


@njit(cache=True, nogil=True, inline="always")
def _parts(above: Int64s, below: Int64s, opposite: Int64s, across: int, column: int, stops: Int64s) -> tuple[int, int, int, int, int, int]:
    """Return the sums over the two parts of a seam, each with that over the rest of its line, and how many blocks long the parts are.

    The rest of a bar's line is as much as its length on either side.
    """
    width, begin = len(above) - 1, column * across
    if stops[column] == 0:
        return above[width] - above[begin], below[width] - below[begin], below[begin], above[begin], width - begin, begin
    stop = min(stops[column] * across, width)
    length = stop - begin
    left, right = max(0, begin - length), min(width, stop + length)
    first, second = above[stop] - above[begin], opposite[stop] - opposite[begin]
    return first, above[right] - above[left] - first, second, opposite[right] - opposite[left] - second, length, length


@njit(cache=True, nogil=True, inline="always")
def _score_of(first: int, rest: int, second: int, other_rest: int, size: int) -> int:
    """Return twice what the votes on a seam's two parts score; 0 where one of them scores nothing."""
    one, other = min(2 * first, first - rest), min(2 * second, second - other_rest)
    least = min(one, other)
    return max(0, least + min(max(one, other) - least, 2 * the.LONG * size) // the.LONG_SHARE) if least > 0 else 0


@of_views
def _score_row(lane: Lane, row: int, stops: Int64s, room: Int64s, total: Int64s) -> None:
    """Write the score of the seam that begins at each MCU of a row, in 1/256 blocks, over all components."""
    state, sums, room = lane.state, room[:5], room[5:]
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
                _read_row(lane, row + (y - 1) // down, other, across, sums, edges[y * line : (y + 1) * line])
            if lane.order[other, 1] == down - 1:
                _read_row(lane, row - 1, other, across, sums, edges[:line])
        _score(edges, line, across, stops, room[edges.size :], total)


@of_views
def _read_row(lane: Lane, row: int, slot: int, across: int, sums: Int64s, edges: Int64s) -> None:
    """Decode the coefficients of first row and column of each block with one place in the MCUs of a row.

    They give the blocks' levels at their borders, in 1/8 levels, by five sums: across even, across odd, down even, down odd, and
    what is in neither.
    """
    state = lane.state
    data, single, starts, codes = lane.bytes, lane.frame.single, lane.starts, lane.frame.codes
    quantisers = lane.frame.quantisers[lane.frame.components[lane.order[slot, 0], TABLE]]
    dc, ac = lane.bases[2 * slot], lane.bases[2 * slot + 1]
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


@of_views
def _score(edges: Int64s, line: int, across: int, stops: Int64s, room: Int64s, total: Int64s) -> None:
    """Add the score of each seam in one component: of the shift that explains it best."""
    down, width, columns = len(edges) // line - 2, line // 4, len(total)
    upper, lower, best, plain = room[:width], room[width : 2 * width], room[2 * width : 2 * width + columns], room[2 * width + columns :]
    above, below, opposite = _sums(plain[width + 1 :], width)
    best[:] = 0
    _count_plain(edges, line, plain)
    for x in range(width):
        upper[x] = edges[line + 4 * x + TOP] - edges[4 * x + BOTTOM]
        lower[x] = edges[(down + 1) * line + 4 * x + TOP] - edges[down * line + 4 * x + BOTTOM]
    for size in _SHIFTS:
        for shift in (-size, size):
            _count_all(upper, lower, shift, above, below, opposite, stops)
            for column in range(1, columns):
                first, rest, second, other_rest, length, _ = _parts(above, below, opposite, across, column, stops)
                score, begin = _score_of(first, rest, second, other_rest, size), column * across
                if stops[column] > 0 and (2 * min(first, second) < length * size or 2 * (plain[begin + length] - plain[begin]) > length):
                    continue
                if score > 0:
                    score += 2 * _votes_at(edges, line, begin, shift)
                    if 0 < stops[column] < columns:
                        score += 2 * _votes_at(edges, line, stops[column] * across, -shift)
                    best[column] = max(best[column], 128 * score // size)
    for column in range(columns):
        total[column] += best[column]


@of_views
def _count_plain(edges: Int64s, line: int, plain: Int64s) -> None:
    """Sum up, from the left, the places of a row whose blocks have one level on all sides, that of the block left of them too."""
    plain[0] = plain[1] = 0
    for x in range(1, line // 4):
        same = True
        for y in range(line, len(edges) - line, line):
            level = edges[y + 4 * x - 4 + RIGHT]
            for side in (TOP, BOTTOM, LEFT, RIGHT):
                same &= edges[y + 4 * x + side] == level
        plain[x + 1] = plain[x] + same


@of_views
def _votes_at(edges: Int64s, line: int, x: int, shift: int) -> int:
    """Return the votes for a shift from the blocks left of `x` to those right of it."""
    votes = 0
    for y in range(line, len(edges) - line, line):
        votes += _vote(edges[y + 4 * x + LEFT] - edges[y + 4 * x - 4 + RIGHT], shift)
    return votes
