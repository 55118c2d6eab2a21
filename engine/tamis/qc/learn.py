"""Limits learnt from a sensor's own readings, robustly: a few broken readings among many hardly move a median.

With k = `sigmas`, the scale of values s = 1.4826 times the median absolute deviation, and the scale of changes c (of changes a second: r)
= 1.4826 times the median of those that are not 0:

| test | limit |
|---|---|
| `range` | suspect outside of median ± k·s; not learnt where more than half of the readings are equal |
| `spike` | differential, suspect above k·c |
| `rate` | suspect above k·r |
| `flat` | tolerance: half the resolution; suspect after the periods of a run that chance gives to one of a hundred such series, [1] |
| `gap` | one and a half periods, or the period and k scales of the steps, if that is more |
| `jitter` | period: the median step; k scales of the steps, a twentieth of the period at least |
| `hampel` | k scales within 21 readings; what is nearer than the resolution is never suspect |

[1] If of R runs of equal readings a share q goes on beyond two readings, a run of n more comes R·qⁿ times: n is such that this is 0.01.

Only stated limits make a reading fail; what is learnt makes it suspect. The resolution is the least change between neighbours that is
no rounding error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.series import CHUNK
from tamis_kernels import quantiles
from tamis_kernels.quantiles import Selection
from tamis_kernels.quantiles.counts import between

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from numpy.typing import NDArray

    from tamis.series import Chunk, Held, Series

LEARNABLE = ("range", "spike", "rate", "flat", "gap", "jitter", "hampel")
MAD = 1.4826
LEAST_READINGS = 24  # with fewer nothing is learnt
HELD = 1 << 18  # readings of a series that stay in memory between passes
FEW = 1 << 15  # values whose median is found faster by a partition than by counting bits
ROUNDING = 1e-9  # of the values' size: smaller changes are no steps
CHANCE = 0.01
SHORTEST_RUN, MOST_GO_ON = 5, 0.98


@dataclass(frozen=True, slots=True)
class Part:
    """What is learnt from, of some readings: values, steps of time in seconds, changes, and changes a second."""

    value: NDArray[np.float64]
    step: NDArray[np.float64]
    change: NDArray[np.float64]
    rate: NDArray[np.float64]


class Readings:
    """The readings of a series as `Part`s, as often as is needed; those of a short series are read once.

    Parameters
    ----------
    sentinels
        Values that mean that there is none.
    """

    def __init__(self, series: Series | Held, sentinels: Collection[float] = ()) -> None:
        self._series, self._sentinels = series, np.array(sorted(sentinels), np.float64)
        self.held = series.readings <= HELD
        self._parts = list(self._read(max(1, series.readings))) if self.held else []

    def parts(self) -> Iterator[Part]:
        """Yield the parts."""
        return iter(self._parts) if self.held else self._read(CHUNK)

    def _read(self, size: int) -> Iterator[Part]:
        time_before, value_before = np.empty(0, np.int64), np.empty(0)
        for chunk in self._series.chunks(size):
            time = np.concatenate((time_before, chunk.time))
            value = np.concatenate((value_before, readable(chunk, self._sentinels)))
            step = np.diff(time) / 1e9
            change = np.abs(np.diff(value))
            forward = step > 0
            moved = change[forward]
            with np.errstate(invalid="ignore"):
                rate = moved / step[forward]
            yield Part(value[len(value_before) :], step[forward], moved[~np.isnan(moved)], rate[~np.isnan(rate)])
            time_before, value_before = time[-1:], value[-1:]


def readable(chunk: Chunk, sentinels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values, NaN where there is none: no number, an infinity, or a sentinel."""
    gone = ~np.isfinite(chunk.value)
    if sentinels.size:
        gone |= np.isin(chunk.value, sentinels)
    return np.where(gone, np.nan, chunk.value) if gone.any() else chunk.value


def medians(readings: Readings, *columns: Callable[[Part], NDArray[np.float64]]) -> list[float]:
    """Return the exact medians of columns of the parts, NaN aside, in four passes for all of them; NaN where there are no values."""
    if readings.held:
        parts = list(readings.parts())
        return [_median(column(parts[0])) if parts else math.nan for column in columns]
    found = [Selection.start((0.5,), np.float64) for _ in columns]
    while not all(one.done for one in found):
        totals = [np.zeros((len(one.wanted()), 1 << one.digit), np.int64) for one in found]
        for part in readings.parts():
            for one, total, column in zip(found, totals, columns, strict=True):
                if not one.done:
                    total += one.count(column(part))
        found = [one if one.done else one.advance(total) for one, total in zip(found, totals, strict=True)]
    return [float(one.values()[0]) for one in found]


def _median(values: NDArray[np.float64]) -> float:
    if len(values) > FEW:
        return quantiles.median(values)
    there = values[~np.isnan(values)] + 0.0  # no negative zero
    if not len(there):
        return math.nan
    below, above = (len(there) - 1) // 2, len(there) // 2
    ordered = np.partition(there, (below, above))
    return between(float(ordered[below]), float(ordered[above]), (above - below) / 2)


def learn(readings: Readings, tests: frozenset[str], sigmas: float) -> dict[str, float]:
    """Return limits by name for these tests, as far as the readings allow."""
    count = sum(int(np.count_nonzero(~np.isnan(part.value))) for part in readings.parts())
    if not tests or count < LEAST_READINGS:
        return {}
    found: dict[str, float] = {}
    centre, nominal, rates = medians(readings, lambda part: part.value, lambda part: part.step, lambda part: part.rate[part.rate > 0])
    deviation, spread = medians(readings, lambda part: np.abs(part.value - centre), lambda part: np.abs(part.step - nominal))
    scale = MAD * deviation
    if "range" in tests and scale > 0:
        found |= {"suspect_low": centre - sigmas * scale, "suspect_high": centre + sigmas * scale}
    least = ROUNDING * (abs(centre) + scale)
    resolution = min((float(part.change[part.change > least].min(initial=math.inf)) for part in readings.parts()), default=math.inf)
    if resolution < math.inf:
        if "spike" in tests:
            (changes,) = medians(readings, lambda part: part.change[part.change > least])
            found["spike_differential"] = sigmas * max(MAD * changes, resolution)
        if "rate" in tests:
            found["rate"] = sigmas * (MAD * rates)
        if "hampel" in tests:
            found |= {"hampel": sigmas, "hampel_window": 21.0, "hampel_floor": resolution}
    if nominal > 0:
        found |= _clock(readings, tests, sigmas, resolution, nominal, MAD * spread)
    return found


def period(readings: Readings) -> float:
    """Return the median step in seconds, NaN where time never moves on."""
    return medians(readings, lambda part: part.step)[0]


def _clock(readings: Readings, tests: frozenset[str], sigmas: float, resolution: float, nominal: float, spread: float) -> dict[str, float]:
    found: dict[str, float] = {}
    if "gap" in tests:
        found["gap"] = max(1.5 * nominal, nominal + sigmas * spread)
    if "jitter" in tests:
        found |= {"period": nominal, "jitter": max(sigmas * spread, nominal / 20)}
    if "flat" in tests and resolution < math.inf:
        runs, longer = _runs(readings, resolution / 2)
        share = longer / max(1, runs)
        if share < MOST_GO_ON:
            steps = 1 + math.log(CHANCE / runs) / math.log(share) if share > 0 else 0
            found |= {"flat": max(SHORTEST_RUN, math.ceil(steps)) * nominal, "flat_tolerance": resolution / 2}
    return found


def _runs(readings: Readings, tolerance: float) -> tuple[int, int]:
    """Return how many runs of equal readings there are, and how many of them have more than two: each run counts once, however long."""
    runs = longer = 0
    tail = np.zeros(2, bool)
    for part in readings.parts():
        equal = np.concatenate((tail, part.change <= tolerance))
        starts = ~equal[:-1] & equal[1:]
        runs += int(np.count_nonzero(starts[1:]))
        longer += int(np.count_nonzero(starts[:-1] & equal[2:]))
        tail = equal[-2:]
    return runs, longer
