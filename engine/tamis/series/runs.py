"""Runs of readings that stay alike: how long they are, and from which length on nature does not explain them.

The rule asks for three things. Of R runs of two readings or more let a share q go on beyond two: chance makes R·qⁿ⁻² runs of n, and for
an odd length this is below 0.01. Sensors have calm spells that last longer than chance, but of all lengths between: below an odd length
there is a gap, up to r times the next shorter run. Where runs thin out no slower than by the inverse of their length, m runs beyond have
m·(r - 1) more below them, in the gap, of which none is there with a chance of exp(-m·(r - 1)): it is at most 0.01, and r at least 1.5.
And odd runs are at most one of twenty. q is told by runs, and where there are few also by how often readings repeat at all, which counts as
twenty more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

CHANCE = 0.01
SHORTEST = 6  # readings: shorter runs are never odd
LONGER = 1.5  # times the next shorter run
FEW = 20  # one run of so many may be odd; so many runs tell as much of q as repetition does
MOST_GO_ON = 0.98  # where more runs go on, a run tells nothing


def runs_of(parts: Iterable[Floats], tolerance: float) -> Iterator[tuple[Floats, Ints]]:
    """Yield the first values of runs and their lengths in readings, those of single readings too, some at a time.

    Parameters
    ----------
    parts
        The values of a series, in parts of any size; NaN is passed over.
    tolerance
        By how much neighbours in a run may differ.
    """
    open_value, open_length, last = math.nan, 0, math.nan
    for part in parts:
        there = part[~np.isnan(part)]
        if not there.size:
            continue
        starts = np.flatnonzero(~(np.abs(np.diff(there, prepend=last)) <= tolerance))
        last = float(there[-1])
        if not starts.size:
            open_length += there.size
            continue
        lengths = np.diff(starts, prepend=0)
        lengths[0] += open_length
        values = np.concatenate(([open_value], there[starts[:-1]]))
        ended = slice(0 if open_length else 1, None)
        yield values[ended], lengths[ended]
        open_value, open_length = float(there[starts[-1]]), there.size - int(starts[-1])
    if open_length:
        yield np.array([open_value]), np.array([open_length])


def odd_length(lengths: Ints, counts: Ints) -> int | None:
    """Return from how many readings on a run is odd by the rule of this module; None where runs tell nothing.

    Parameters
    ----------
    lengths, counts
        int64[k]: the lengths that occur, which rise, and how many runs have each; single readings are runs of one.
    """
    total, runs, longer = (int(counts[lengths >= least].sum()) for least in (1, 2, 3))
    if not runs:
        return SHORTEST
    share = (longer + FEW * runs / total) / (runs + FEW)
    if share >= MOST_GO_ON:
        return None
    least = max(SHORTEST, 2 + math.ceil(math.log(CHANCE / runs) / math.log(share)))
    beyond = np.cumsum(counts[::-1])[::-1]
    before = np.concatenate(([1], lengths[:-1]))
    gap = lengths / before
    odd = (lengths >= least) & (gap >= LONGER) & (beyond * (gap - 1) >= -math.log(CHANCE)) & (beyond * FEW <= total)
    if odd.any():
        return max(least, math.ceil(LONGER * int(before[odd][0])))
    return max(least, math.ceil((1 - math.log(CHANCE)) * int(lengths[-1])))


class Lengths:
    """How many runs have each length, counted in parts."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, lengths: Ints) -> None:
        """Count some runs."""
        for length, count in zip(*(one.tolist() for one in np.unique(lengths, return_counts=True)), strict=True):
            self._counts[length] = self._counts.get(length, 0) + count

    def odd(self) -> int | None:
        """Return the answer of `odd_length`; None where there are no runs."""
        if not self._counts:
            return None
        known = sorted(self._counts.items())
        return odd_length(*(np.array(column, np.int64) for column in zip(*known, strict=True)))
