"""What an instrument does to its readings: rails that cut them off, a resolution that changes, counters that begin anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import moment, number_of, runs, suspicion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

    Floats = NDArray[np.float64]

LEVELS = 10  # distinct values beside a rail that its count is compared with
PILE = 4.0  # times their mean count
LEAST_PILE, LONGEST_RUN, RUNS = 8, 3, 3
BLOCK, BLOCKS, LEAST_DISTINCT = 64, 512, 8  # rows whose resolution is told, how many such blocks are looked at, values that tell it
COARSER, IN_A_ROW = 1.9, 4
SHARED = 0.9  # of the blocks outside such spans that must lie on one grid
RISING, DROP = 0.98, 10.0


def find_saturation(series: Signal) -> list[Suspicion]:
    """Return the rails at which readings pile up.

    The figure is the count of the least or greatest value by the mean count of the ten values beside it, and must reach 4; the value must
    be told 8 times, in 3 spells, one of 3 rows. Natural bounds are no rails: a least value of 0, a greatest one of 1, 100 or 360.
    """
    value = series.value[series.valid]
    if not len(value):
        return []
    distinct, counts = np.unique(value, return_counts=True)
    if len(distinct) < 3 * LEVELS:
        return []
    found = []
    for at, beside, natural, name in (
        (0, slice(1, 1 + LEVELS), (0.0,), "least"),
        (len(distinct) - 1, slice(-1 - LEVELS, -1), (1.0, 100.0, 360.0), "greatest"),
    ):
        rail, count, usual = float(distinct[at]), int(counts[at]), float(counts[beside].mean())
        places = series.valid & (series.value == rail)
        spells = np.diff(runs(value == rail), axis=1) + 1
        longest = int(spells.max())
        if (
            len(spells) < RUNS
            or rail in natural
            or count < LEAST_PILE
            or longest < LONGEST_RUN
            or count > 0.6 * len(value)
            or count < PILE * usual
        ):
            continue
        says = (
            f"{count} readings are {rail:.8g}, the {name} value, {longest} of them in a row; the ten values beside it are told "
            f"{usual:.3g} times each: readings beyond it may have been cut off"
        )
        remedy = {"action": "null", "value": rail}
        found.append(suspicion("saturation", series, np.flatnonzero(places), count / usual, PILE, says, remedy=remedy, rail=rail))
    return found


def resolution(value: Floats) -> float:
    """Return the step of the grid that all values lie on, by Euclid's algorithm on their differences; 0 where there is none."""
    distinct = np.unique(value)
    if len(distinct) < 2:
        return 0.0
    most = float(np.abs(distinct).max())
    # First with the rounding of double numbers, then with that of single ones, whose own binary grid is none of the instrument's.
    steps = [_divisor(np.diff(distinct), most * noise) for noise in (2.0**-42, 2.0**-22)]
    return steps[0] if steps[0] > most * 2.0**-18 else steps[1]


def _divisor(differences: Floats, noise: float) -> float:
    """Return the greatest common divisor of numbers that may be off by some noise, 0 where it is not well above that."""
    step = 0.0
    for difference in differences.tolist():
        left = difference
        while left > 8 * noise:
            step, left = left, abs(step - round(step / left) * left)
        if step <= 16 * noise:
            return 0.0
    return step


def find_resolution_changes(series: Signal) -> list[Suspicion]:
    """Return the spans whose readings lie on a coarser grid than those of the rest, or on a finer one.

    At most 512 blocks of 64 readings, spread evenly, tell their grids; blocks with fewer than 8 distinct values tell none. The figure is
    how many blocks in a row have one grid other than that of most, and must reach 4; nine of ten blocks outside such spans must have
    that of most. A span of other magnitude is passed over: instruments that show some number of digits change their resolution with it.
    """
    there = series.values()
    value = there.value
    blocks = len(value) // BLOCK
    if blocks < 2 * IN_A_ROW:
        return []
    starts = np.unique(np.linspace(0, blocks - 1, min(blocks, BLOCKS)).astype(np.int64)) * BLOCK
    starts = np.array([at for at in starts.tolist() if len(np.unique(value[at : at + BLOCK])) >= LEAST_DISTINCT], np.int64)
    if len(starts) < 2 * IN_A_ROW:
        return []
    grids = np.array([resolution(value[at : at + BLOCK]) for at in starts.tolist()])
    rounded = np.array([float(f"{grid:.3g}") for grid in grids.tolist()])
    kinds, counts = np.unique(rounded, return_counts=True)
    usual = float(kinds[np.argmax(counts)])
    found = []
    for name, other in (("coarser", rounded > COARSER * usual), ("finer", rounded < usual / COARSER)):
        long = [(first, last) for first, last in runs(other).tolist() if last - first + 1 >= IN_A_ROW and _one(rounded[first : last + 1])]
        rest = np.ones(len(rounded), bool)
        for first, last in long:
            rest[first : last + 1] = False
        if not long or not rest.any() or np.mean(rounded[rest] == usual) < SHARED:
            continue
        for first, last in long:
            start, stop = _edges(value, starts, first, last, usual if name == "coarser" else 0.0, float(np.median(grids[first : last + 1])))
            inside, outside = value[start:stop], np.concatenate([value[:start], value[stop:]])
            alike = np.mean((inside >= outside.min()) & (inside <= outside.max())) >= 0.5 if len(outside) else False
            if not alike:
                continue
            grid = float(np.median(rounded[first : last + 1]))
            says = (
                f"{stop - start} readings from {moment(int(there.time[start]))} on lie on a {name} grid, "
                f"{_grid(grid)} where the others lie on {_grid(usual)}: {last - first + 1} blocks of {BLOCK} in a row"
            )
            figure = float(last - first + 1)
            found.append(suspicion("resolution", there, np.arange(start, stop), figure, IN_A_ROW, says, grid=grid, usual=usual))
    return found


def _one(grids: Floats) -> bool:
    """Whether most of some blocks have one grid."""
    return bool(np.mean(grids == np.median(grids)) >= SHARED)


def _grid(step: float) -> str:
    return f"one of {step:.6g}" if step else "none"


def _edges(value: Floats, starts: NDArray[np.int64], first: int, last: int, usual: float, grid: float) -> tuple[int, int]:
    """Return where a span of blocks begins and ends, to the row where its grid is coarser: up to the nearest readings that are off it."""
    start, stop = int(starts[first]), int(starts[last]) + BLOCK
    if not usual or not grid:
        return start, stop
    before = int(starts[first - 1]) if first else 0
    after = int(starts[last + 1]) + BLOCK if last + 1 < len(starts) else len(value)
    anchor = value[start]
    off = np.abs((value[before:after] - anchor) / grid - np.round((value[before:after] - anchor) / grid)) > 0.01
    left, right = np.flatnonzero(off[: start - before]), np.flatnonzero(off[stop - before :])
    return (before + int(left[-1]) + 1 if len(left) else before), (stop + int(right[0]) if len(right) else after)


def find_counter_resets(series: Signal) -> list[Suspicion]:
    """Return where a series that only rises falls back: a counter that began anew or overflowed.

    98 % of the steps must not fall, and a third rise. The figure is the median fall by the mean rise, and must reach 10.
    """
    there = series.values()
    value = there.value
    if len(value) < 20 or (value < 0).any():
        return []
    steps = np.diff(value)
    falls = np.flatnonzero(steps < 0)
    rises = steps[steps > 0]
    if not len(falls) or len(falls) > (1 - RISING) * len(steps) or len(rises) * 3 < len(steps):
        return []
    figure = float(np.median(-steps[falls]) / rises.mean())
    if figure < DROP:
        return []
    tops = value[falls]
    width = next((bits for bits in (8, 12, 16, 24, 32) if (np.abs(2**bits - tops) <= 20 * rises.mean()).all()), 0)
    what = f"it overflows {width} bits" if width else f"it began anew at {value[falls[0] + 1]:.6g}"
    says = (
        f"a counter that rises by {rises.mean():.4g} a row falls {number_of(len(falls), 'time')}, first from {tops[0]:.6g} to "
        f"{value[falls[0] + 1]:.6g}: {what}"
    )
    return [suspicion("counter_reset", there, falls + 1, figure, DROP, says, bits=float(width))]
