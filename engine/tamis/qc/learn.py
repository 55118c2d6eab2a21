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

from tamis_kernels.quantiles import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from tamis.series import Chunk, Series

LEARNABLE = ("range", "spike", "rate", "flat", "gap", "jitter", "hampel")
MAD = 1.4826
LEAST_READINGS = 24  # with fewer nothing is learnt
HELD = 1 << 19  # readings of a series that stay in memory between passes
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

    def __init__(self, series: Series, sentinels: Collection[float] = ()) -> None:
        self._series, self._sentinels = series, np.array(sorted(sentinels), np.float64)
        self._held = list(self._read()) if series.readings <= HELD else None

    def parts(self) -> Iterator[Part]:
        """Yield the parts."""
        return self._read() if self._held is None else iter(self._held)

    def _read(self) -> Iterator[Part]:
        time_before, value_before = np.empty(0, np.int64), np.empty(0)
        for chunk in self._series.chunks():
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


def median(parts: Callable[[], Iterable[NDArray[np.float64]]]) -> float:
    """Return the exact median of numbers that come in parts, NaN aside, in four passes; NaN where there are none."""
    selection = Selection.start((0.5,), np.float64)
    while not selection.done:
        total = np.zeros((len(selection.wanted()), 1 << selection.digit), np.int64)
        for part in parts():
            if part.size:
                total += selection.count(part, backend="cpu")
        selection = selection.advance(total)
    return float(selection.values()[0])


def learn(readings: Readings, tests: frozenset[str], sigmas: float) -> dict[str, float]:
    """Return limits by name for these tests, as far as the readings allow."""
    count = sum(int(np.count_nonzero(~np.isnan(part.value))) for part in readings.parts())
    if not tests or count < LEAST_READINGS:
        return {}
    found: dict[str, float] = {}
    centre = median(lambda: (part.value for part in readings.parts()))
    scale = MAD * median(lambda: (np.abs(part.value - centre) for part in readings.parts()))
    if "range" in tests and scale > 0:
        found |= {"suspect_low": centre - sigmas * scale, "suspect_high": centre + sigmas * scale}
    least = ROUNDING * (abs(centre) + scale)
    resolution = min((float(part.change[part.change > least].min(initial=math.inf)) for part in readings.parts()), default=math.inf)
    if resolution < math.inf:
        if "spike" in tests:
            changes = MAD * median(lambda: (part.change[part.change > least] for part in readings.parts()))
            found["spike_differential"] = sigmas * max(changes, resolution)
        if "rate" in tests:
            rates = MAD * median(lambda: (part.rate[part.rate > 0] for part in readings.parts()))
            found["rate"] = sigmas * rates
        if "hampel" in tests:
            found |= {"hampel": sigmas, "hampel_window": 21.0, "hampel_floor": resolution}
    if tests & {"flat", "gap", "jitter"}:
        found |= _clock(readings, tests, sigmas, resolution)
    return found


def period(readings: Readings) -> float:
    """Return the median step in seconds, NaN where time never moves on."""
    return median(lambda: (part.step for part in readings.parts()))


def _clock(readings: Readings, tests: frozenset[str], sigmas: float, resolution: float) -> dict[str, float]:
    found: dict[str, float] = {}
    nominal = period(readings)
    if not nominal > 0:
        return found
    if tests & {"gap", "jitter"}:
        spread = MAD * median(lambda: (np.abs(part.step - nominal) for part in readings.parts()))
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
