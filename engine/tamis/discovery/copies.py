"""What is told twice: times with several rows, and blocks of readings that come again at another time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import DAY, duration, moment, number_of, runs, suspicion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

WINDOW, CHANGES = 32, 8  # readings in a row that must be equal, and how many steps among them must not be 0
TELLING = 24  # such steps in a whole block: a series that seldom changes repeats itself by chance
OFTEN = 4  # places that one window may stand at: what comes more often is a pattern, not a copy
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: Knuth's multiplicative hashing


def find_double_times(columns: Sequence[Signal]) -> list[Suspicion]:
    """Return the times of a sensor that stand in several rows, apart: with the same readings in all columns, and with different ones.

    The figure is the number of rows, and must reach 1: it is a fact. What it means, an export twice or a clock set back, is the suspicion.
    """
    time = columns[0].time
    order = np.argsort(time, kind="stable")
    again = np.zeros(len(time), bool)
    again[1:] = time[order][1:] == time[order][:-1]
    if not again.any():
        return []
    first = np.flatnonzero(~again)[np.cumsum(~again) - 1]  # of the rows at the same time, the first recorded
    equal = np.ones(len(time), bool)
    for one in columns:
        value, valid = one.value[order], one.valid[order]
        equal &= (valid == valid[first]) & (~valid | (value == value[first]))
    found = []
    for kind, chosen, what in (
        ("duplicate_time", again & equal, "the same readings: rows exported twice"),
        ("conflicting_time", again & ~equal, "other readings: exports that differ, or a clock set back"),
    ):
        places = np.sort(order[chosen])
        if len(places):
            days = len(np.unique(time[places] // DAY))
            says = (
                f"the time of an earlier row of the sensor and {what}, in {number_of(len(places), 'row')} of {len(time):,} "
                f"on {number_of(days, 'day')}; "
                f"the first at {moment(int(time[places[0]]))}"
            )
            found.append(suspicion(kind, columns[0], places, len(places), 1, says, of_times=True))
    return found


def find_repeated_blocks(series: Signal) -> list[Suspicion]:
    """Return the blocks of readings that stand at two times.

    Windows of 32 readings with 8 steps are hashed and sorted; equal ones that follow each other at one distance make a block. What stands
    at more than four places is a pattern of the series. The figure is the number of steps in the block, and must reach 24.
    """
    there = series.values()
    value, time = there.value, there.time
    n = len(value) - WINDOW + 1
    if n < 2:
        return []
    bits = (value + 0.0).view(np.uint64) * MULTIPLIER
    bits ^= bits >> np.uint64(29)
    hashes = np.zeros(n, np.uint64)
    for lag in range(WINDOW):
        hashes = hashes * MULTIPLIER + bits[lag : lag + n]
    changes = np.concatenate([[0], np.cumsum(np.diff(value) != 0)])
    lively = np.flatnonzero(changes[WINDOW - 1 :] - changes[:n] >= CHANGES)
    if not len(lively):
        return []
    order = lively[np.argsort(hashes[lively], kind="stable")]
    starts = np.concatenate([[True], hashes[order][1:] != hashes[order][:-1]])
    groups = np.cumsum(starts) - 1
    sizes = np.bincount(groups)
    chosen = (sizes[groups] > 1) & (sizes[groups] <= OFTEN) & ~starts
    if sizes[sizes > OFTEN].sum() > 0.1 * n:
        return []
    earlier = order[np.flatnonzero(starts)[groups]][chosen]
    later = order[chosen]
    return [
        one
        for lag in np.unique(later - earlier).tolist()
        for one in _blocks(there, value, time, np.sort(later[later - earlier == lag]), lag)
    ]


def _blocks(there: Signal, value: NDArray[np.float64], time: NDArray[np.int64], later: NDArray[np.int64], lag: int) -> list[Suspicion]:
    """Return the blocks at one distance whose times differ."""
    marked = np.zeros(len(value), bool)
    marked[later] = True
    found = []
    for first, last in runs(marked).tolist():
        places = np.arange(first, last + WINDOW)
        copied = (value[places] == value[places - lag]).all()
        changes = int(np.count_nonzero(np.diff(value[places])))
        moved = int(np.median(time[places] - time[places - lag]))  # rows exported again have their own times, bar a chance neighbour
        if copied and moved and changes >= TELLING:
            says = (
                f"{len(places)} readings from {moment(int(time[first]))} on repeat those from {moment(int(time[first - lag]))} on, "
                f"{duration(moved)} before"
            )
            remedy = {"action": "null", "spans": [[int(time[places[0]]), int(time[places[-1]])]]}
            found.append(suspicion("repeated_block", there, places, changes, TELLING, says, remedy=remedy, moved_ns=float(moved)))
    return found
