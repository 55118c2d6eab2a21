"""Filled gaps: readings on a straight line between two others, to the last digit, as interpolation leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import LARGEST, moment, number_of, suspicion
from tamis.series.runs import Lengths, runs_of

if TYPE_CHECKING:
    from tamis.discovery.base import Signal, Suspicion

ROUNDING = 1e-9  # of the readings' size: smaller changes are none


def find_interpolated(series: Signal) -> list[Suspicion]:
    """Return the readings on straight lines, those between the ends, as one suspicion with a span for each line.

    On a line the steps by time are equal, to half the least change of the series, and not 0 (that is `flat`). What number of equal steps
    is odd, is told by the rule of `tamis.series.runs`. The figure is the steps of the longest line, by that number; it must reach 1.
    """
    there = series.values()
    step, change = np.diff(there.time), np.diff(there.value)
    sizes = np.abs(change)
    moved = sizes[sizes > ROUNDING * np.abs(there.value).max(initial=0.0)]
    forward = step > 0
    if not moved.size or not forward.any():
        return []
    tolerance = float(moved.min()) / 2
    slope = np.full(len(change), LARGEST)  # where time stands still there is none
    slope[forward] = change[forward] * (float(np.median(step[forward])) / step[forward])
    slopes, lengths = (np.concatenate(column) for column in zip(*runs_of([slope], tolerance), strict=True))
    sloping = (np.abs(slopes) > tolerance) & (slopes < LARGEST)
    counted = Lengths()
    counted.add(lengths[sloping])
    odd = counted.odd()
    if odd is None:
        return []
    lines = np.flatnonzero(sloping & (lengths >= odd))
    if not len(lines):
        return []
    firsts = (np.cumsum(lengths) - lengths)[lines] + 1
    lasts = firsts + lengths[lines] - 2
    places = np.concatenate([np.arange(first, last + 1) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)])
    longest = int(np.argmax(lengths[lines]))
    begin = moment(int(there.time[firsts[longest] - 1]))
    says = (
        f"{number_of(len(places), 'reading')} in {number_of(len(lines), 'span')}, the first at {moment(int(there.time[places[0]]))}, "
        "lie on straight lines between others: "
        f"{lengths[lines[longest]]} equal steps from {begin} on, where {odd} are odd; gaps may have been filled in"
    )
    spans = there.time[np.stack([firsts, lasts], axis=1)].tolist()
    figure = float(lengths[lines].max()) / odd
    return [suspicion("interpolated", there, places, figure, 1, says, remedy={"action": "null", "spans": spans})]
