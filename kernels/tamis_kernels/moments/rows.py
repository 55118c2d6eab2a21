"""Sums of the columns of a row-major matrix without turning it: values side by side in a row are side by side in the vectors.

A lane is a column, or, where columns are few, a column of every second, third, … row, so that lanes come to about `LANES`. Some rows are
copied to lines a fixed distance apart: the compiler makes vectors where it knows that no array written to overlaps with one read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.moments.grids import LONG, deposit, rounding, units_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Float32s, Float64s, Int32s, Int64s

LANES, LINES = 32, 8  # sums are read and written once for so many lines, and all of them fit the first cache
LONG_LINES = 4  # of float64: of more the compiler makes no vectors
TALLEST = 2048  # rows at once: as many sums of a limb of 51 bits stay below 2^63
BLOCK = 1 << 15  # values at once
LARGEST = float(np.finfo(np.float64).max)
VECTOR = 8  # lanes are summed in multiples of this; what the last ones hold belongs to no column
MAGNITUDE_32, MAGNITUDE_64 = np.int32(2**31 - 1), np.int64(2**63 - 1)
i32, u32, i64, u64, place = np.int32, np.uint32, np.int64, np.uint64, np.uintp


def shape_of_blocks(columns: int) -> tuple[int, int, int]:
    """Return how many rows lie side by side in a line, how many columns are summed at once, and how many rows."""
    beside = max(1, LANES // columns)
    across = -(-columns // -(-columns // LANES))  # of 33 columns 17 and 16
    step = beside * LINES
    return beside, across, max(min(TALLEST, BLOCK // across) // step, 1) * step


@of_views
def _add_short(lines: Float32s, rounders: Float64s, sums: Int64s, corners: Int32s, width: int) -> None:
    """Add float32 to the sum and both limbs of the sum of squares of each lane, see `cpu`, and widen its corners."""
    for index in range(width):
        lane = place(index)
        rounder, rounder_low, rounder_high = rounders[lane], rounders[place(LANES) + lane], rounders[place(2 * LANES) + lane]
        total, low, high = sums[lane], sums[place(LANES) + lane], sums[place(2 * LANES) + lane]
        least, greatest = corners[lane], corners[place(LANES) + lane]
        smallest = i32(corners[place(2 * LANES) + lane]).view(u32)
        for line in range(LINES):
            value = np.float64(lines[place(line * LANES) + lane])
            pattern = np.float32(lines[place(line * LANES) + lane]).view(i32)
            key = i32(pattern ^ MAGNITUDE_32) if pattern < 0 else pattern
            least, greatest = i32(min(least, key)), i32(max(greatest, key))
            smallest = u32(min(smallest, u32(u32(pattern & MAGNITUDE_32) + u32(2**32 - 1))))  # 0 is the largest then
            total += np.float64(value + rounder).view(i64)
            square = value * value
            rounded = square + rounder_high
            high += np.float64(rounded).view(i64)
            low += np.float64((square - (rounded - rounder_high)) + rounder_low).view(i64)
        sums[lane], sums[place(LANES) + lane], sums[place(2 * LANES) + lane] = total, low, high
        corners[lane], corners[place(LANES) + lane] = least, greatest
        corners[place(2 * LANES) + lane] = u32(smallest).view(i32)


@of_views
def _add_long(lines: Float64s, rounders: Float64s, sums: Int64s, corners: Int64s, width: int, start: int) -> None:
    """Add float64 to both limbs of the sum and the three of the sum of squares of each lane, see `cpu`, and widen its corners."""
    for index in range(width):
        lane = place(index)
        rounder_low, rounder_high = rounders[lane], rounders[place(LANES) + lane]
        rounder_c, rounder_b, rounder_a = (
            rounders[place(2 * LANES) + lane],
            rounders[place(3 * LANES) + lane],
            rounders[place(4 * LANES) + lane],
        )
        low, high = sums[lane], sums[place(LANES) + lane]
        square_c, square_b, square_a = sums[place(2 * LANES) + lane], sums[place(3 * LANES) + lane], sums[place(4 * LANES) + lane]
        least, greatest = corners[lane], corners[place(LANES) + lane]
        smallest = i64(corners[place(2 * LANES) + lane]).view(u64)
        for line in range(LONG_LINES):
            value = lines[place(start) + place(line * LANES) + lane]
            pattern = np.float64(value).view(i64)
            key = i64(pattern ^ MAGNITUDE_64) if pattern < 0 else pattern
            least, greatest = min(least, key), max(greatest, key)
            smallest = u64(min(smallest, u64(u64(pattern & MAGNITUDE_64) + u64(2**64 - 1))))
            rounded = value + rounder_high
            high += np.float64(rounded).view(i64)
            low += np.float64((value - (rounded - rounder_high)) + rounder_low).view(i64)
            spread = value * 134217729.0
            upper = spread - (spread - value)
            lower = value - upper
            square = value * value
            error = ((upper * upper - square) + 2.0 * upper * lower) + lower * lower
            rounded = square + rounder_a
            square_a += np.float64(rounded).view(i64)
            square_b += np.float64((square - (rounded - rounder_a)) + rounder_b).view(i64)
            rounded = error + rounder_b
            square_b += np.float64(rounded).view(i64)
            square_c += np.float64((error - (rounded - rounder_b)) + rounder_c).view(i64)
        sums[lane], sums[place(LANES) + lane] = low, high
        sums[place(2 * LANES) + lane], sums[place(3 * LANES) + lane], sums[place(4 * LANES) + lane] = square_c, square_b, square_a
        corners[lane], corners[place(LANES) + lane] = least, greatest
        corners[place(2 * LANES) + lane] = u64(smallest).view(i64)


@of_views
def _weight(limb: int, limbs: int, unit: int) -> int:
    """Return the power of two that a limb counts: the first half of them, rounded down, are of the sum, the others of the squares."""
    of_sum = limbs // 2
    return unit + LONG * limb if limb < of_sum else 2 * unit + LONG * (limb - of_sum)


@of_views
def _fill(
    flat: NDArray[Any], start: int, stride: int, rows: int, line: int, lines: NDArray[Any], rounders: Any, lanes: Int64s, corners: Any
) -> None:
    """Add all lines of a block to the lanes."""
    width = -(-line // VECTOR) * VECTOR
    for first in range(0, rows, LINES):
        for row in range(LINES):
            source, target = start + (first + row) * stride, row * LANES
            for i in range(line):
                lines[place(target) + place(i)] = flat[place(source) + place(i)]
        if flat.itemsize == 4:
            _add_short(lines, rounders, lanes, corners, width)
        else:
            for row in range(0, LINES, LONG_LINES):
                _add_long(lines, rounders, lanes, corners, width, row * LANES)


@of_views
def _fold(lanes: Int64s, corners: Any, magnitude: Any, across: int, line: int, limbs: int) -> None:
    """Bring lanes of one column together in its first one, and its corners to bit patterns: least, greatest, smallest absolute but 0."""
    for lane in range(across, line):
        column = lane % across
        for limb in range(limbs):
            lanes[limb * LANES + column] += lanes[limb * LANES + lane]
        corners[column] = min(corners[column], corners[lane])
        corners[LANES + column] = max(corners[LANES + column], corners[LANES + lane])
        smallest = corners[2 * LANES + lane]
        if smallest != -1 and (corners[2 * LANES + column] == -1 or smallest < corners[2 * LANES + column]):
            corners[2 * LANES + column] = smallest
    for column in range(across):
        for corner in (column, LANES + column):
            corners[corner] ^= magnitude if corners[corner] < 0 else 0
        corners[2 * LANES + column] += 1


@of_views
def _choose_grids(corner_values: NDArray[Any], units: Int64s, short: bool) -> tuple[bool, bool]:
    """Return whether all columns of a block can be summed here, and whether on the grids that they were; set those that they need."""
    same = True
    for column in range(units.shape[0]):
        low, high = np.float64(corner_values[column]), np.float64(corner_values[LANES + column])
        if not (low >= -LARGEST and high <= LARGEST):  # NaN has the outermost keys
            return False, False
        largest = max(abs(low), abs(high))
        if largest > 0:
            least, greatest = units_for(np.float64(corner_values[2 * LANES + column]), largest, short)
            if least > greatest:
                return False, False
            if not least <= units[column] <= greatest:
                units[column] = (least + greatest) // 2
                same = False
    return True, same


@of_views
def add_block(
    flat: NDArray[Any],
    columns: int,
    start: int,
    rows: int,
    beside: int,
    magnitude: Any,
    lines: NDArray[Any],
    rounders: Float64s,
    lanes: Int64s,
    corners: NDArray[Any],
    corner_values: NDArray[Any],
    units: Int64s,
    sums: Int64s,
    squares: Int64s,
    counts: Int64s,
    extremes: Float64s,
) -> bool:
    """Add some columns of some rows to their tables, or nothing; return whether they could be added: finite, and on a grid each."""
    across = units.shape[0]
    line = beside * across
    short = flat.itemsize == 4
    limbs = 3 if short else 5
    same = False
    while not same:  # once, and again on other grids
        for limb in range(limbs):
            for lane in range(line):
                rounders[limb * LANES + lane] = (
                    rounding(_weight(limb, limbs, units[lane]))[0] if lane < across else rounders[limb * LANES + lane - across]
                )
        lanes[:] = 0
        corners[:LANES], corners[LANES : 2 * LANES], corners[2 * LANES :] = magnitude, ~magnitude, -1
        _fill(flat, start, beside * columns, rows // beside, line, lines, rounders, lanes, corners)
        _fold(lanes, corners, magnitude, across, line, limbs)
        good, same = _choose_grids(corner_values, units, short)
        if not good:
            return False
    for column in range(across):
        counts[column, 0] += rows
        extremes[column, 0] = min(extremes[column, 0], np.float64(corner_values[column])) + 0.0
        extremes[column, 1] = max(extremes[column, 1], np.float64(corner_values[LANES + column])) + 0.0
        if corners[2 * LANES + column] != 0:
            for limb in range(limbs):
                zero = rounding(_weight(limb, limbs, units[column]))[1]
                times = 2 * rows if limb == 3 else rows  # two of the parts of a square of float64 go to the same limb
                table, twice = (sums, 1) if limb < limbs // 2 else (squares, 2)
                deposit(table[column], _weight(limb, limbs, units[column]) + 1074 * twice, lanes[limb * LANES + column] - times * zero)
    return True
