"""Limits learnt from a sensor's own readings, robustly: a few broken readings among many hardly move a quantile.

With k = `sigmas`:

| test | limit |
|---|---|
| `range` | suspect beyond the median and k deviations, which each side has of its own; none where it has fewer than 24 readings |
| `spike` | differential, suspect beyond k deviations of the changes, by a tail as heavy as theirs |
| `rate` | suspect beyond k deviations of the changes a second, by a tail as heavy as theirs |
| `flat` | tolerance: half the resolution; suspect from the length on that `tamis.series.runs` finds odd, runs at rest told apart |
| `gap` | one and a half periods, or the period and k scales of the steps, if that is more |
| `jitter` | period: the median step; k scales of the steps, a twentieth of the period at least |
| `hampel` | k scales within 21 readings; what is nearer than the limit of spikes is never suspect |

*Deviations.* The median of the readings on one side of the median is a quartile, but for readings that equal it; normal data have it 0.6745
standard deviations away. *Tails.* The changes of real sensors are seldom normal: most are small, and some are large without a fault. Of
those that are not 0 let m be the median and u the 95th percentile; half-normal sizes have them at 0.6745 and 1.9600. What is k deviations
out is then m·(k / 0.6745)ᵇ with b = ln(u / m) / ln(1.9600 / 0.6745), at least 1: for normal changes it is k deviations. *Rest.* Some
sensors rest at a value: power and light at night, rain on dry days. A value is at rest if ten of the twenty longest runs have it, and
these have six readings or more; its runs have a limit of their own, and do not tell of others.

A scale is 1.4826 times the median distance. Only stated limits make a reading fail; what is learnt makes it suspect. The resolution is
the least change between neighbours that is no rounding error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.series import CHUNK
from tamis.series.runs import SHORTEST, Lengths, runs_of
from tamis_kernels import quantiles
from tamis_kernels.quantiles.counts import between

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from tamis.series import Chunk, Held, Series

LEARNABLE = ("range", "spike", "rate", "flat", "gap", "jitter", "hampel")
MAD = 1.4826
LEAST_READINGS = 24  # with fewer nothing is learnt
HELD = 1 << 18  # readings of a series that stay in memory between passes
ROUNDING = 1e-9  # of the values' size: smaller changes are no steps
QUARTILE, UPPER = 0.6744897501960817, 1.959963984540054  # of half-normal sizes: the median, and the 95th percentile
MOST_POWER = 50.0  # beyond it no size is odd
LONGEST, AT_REST = 20, 10  # runs that tell whether the sensor rests at a value, and how many of them must have it


@dataclass(frozen=True, slots=True)
class Part:
    """What is learnt from, of some readings: values, steps of time in seconds, changes, and changes a second."""

    value: NDArray[np.float64]
    step: NDArray[np.float64]
    change: NDArray[np.float64]
    rate: NDArray[np.float64]


Column = Callable[[Part], "NDArray[np.float64]"]


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


def quantiles_of(readings: Readings, *columns: Column, at: Sequence[float] = (0.5,)) -> list[list[float]]:
    """Return exact quantiles of columns of the parts, NaN aside, in four passes for all of them; NaN where there are no values."""
    if readings.held:
        parts = list(readings.parts())
        return [_quantiles(column(parts[0]), at) if parts else [math.nan] * len(at) for column in columns]

    def chunks() -> Iterator[tuple[int, NDArray[np.float64]]]:
        return ((number, column(part)) for part in readings.parts() for number, column in enumerate(columns))

    found: list[list[float]] = quantiles.quantiles_in_passes(chunks, len(columns), at).tolist()
    return found


def _quantiles(values: NDArray[np.float64], at: Sequence[float]) -> list[float]:
    """Return quantiles of what is in memory by a partition: as fast as counting bits at 2^18 values, and several times faster below."""
    there = values[~np.isnan(values)] + 0.0  # no negative zero
    if not len(there):
        return [math.nan] * len(at)
    places = [(len(there) - 1) * one for one in at]
    ordered = np.partition(there, sorted({edge for place in places for edge in (math.floor(place), math.ceil(place))}))
    return [between(float(ordered[math.floor(one)]), float(ordered[math.ceil(one)]), one - math.floor(one)) for one in places]


def learn(readings: Readings, tests: frozenset[str], sigmas: float) -> dict[str, float]:
    """Return limits by name for these tests, as far as the readings allow."""
    count = sum(int(np.count_nonzero(~np.isnan(part.value))) for part in readings.parts())
    if not tests or count < LEAST_READINGS:
        return {}
    found: dict[str, float] = {}
    (centre, _), (nominal, _), (rate, large_rate) = quantiles_of(
        readings, lambda part: part.value, lambda part: part.step, lambda part: part.rate[part.rate > 0], at=(0.5, 0.95)
    )
    sides: dict[str, Column] = {
        "suspect_low": lambda part: part.value[part.value < centre],
        "suspect_high": lambda part: part.value[part.value > centre],
    }
    *middles, (spread,) = quantiles_of(readings, *sides.values(), lambda part: np.abs(part.step - nominal))
    width = 0.0
    for (name, side), (middle,) in zip(sides.items(), middles, strict=True):
        if sum(len(side(part)) for part in readings.parts()) >= LEAST_READINGS:
            width = max(width, abs(middle - centre))
            if "range" in tests:
                found[name] = centre + sigmas * (middle - centre) / QUARTILE
    least = ROUNDING * (abs(centre) + width)
    resolution = min((float(part.change[part.change > least].min(initial=math.inf)) for part in readings.parts()), default=math.inf)
    if resolution < math.inf:
        if tests & {"spike", "hampel"}:
            ((change, large_change),) = quantiles_of(readings, lambda part: part.change[part.change > least], at=(0.5, 0.95))
            size = max(_beyond(change, large_change, sigmas), sigmas * resolution)
            found |= {"spike_differential": size} if "spike" in tests else {}
            found |= {"hampel": sigmas, "hampel_window": 21.0, "hampel_floor": size} if "hampel" in tests else {}
        if "rate" in tests:
            found["rate"] = _beyond(rate, large_rate, sigmas)
    if nominal > 0:
        found |= _clock(readings, tests, sigmas, resolution, nominal, MAD * spread)
    return found


def _beyond(middle: float, upper: float, sigmas: float) -> float:
    """Return the size that lies so many deviations out, by a tail as heavy as sizes with this median and 95th percentile have."""
    power = min(max(1.0, math.log(upper / middle) / math.log(UPPER / QUARTILE)), MOST_POWER)
    return middle * math.exp(min(power * math.log(sigmas / QUARTILE), 700.0))  # as a power it could overflow, which is an error


def period(readings: Readings) -> float:
    """Return the median step in seconds, NaN where time never moves on."""
    return quantiles_of(readings, lambda part: part.step)[0][0]


def _clock(readings: Readings, tests: frozenset[str], sigmas: float, resolution: float, nominal: float, spread: float) -> dict[str, float]:
    found: dict[str, float] = {}
    if "gap" in tests:
        found["gap"] = max(1.5 * nominal, nominal + sigmas * spread)
    if "jitter" in tests:
        found |= {"period": nominal, "jitter": max(sigmas * spread, nominal / 20)}
    if "flat" in tests and resolution < math.inf:
        found |= _flat(readings, nominal, resolution / 2)
    return found


def _flat(readings: Readings, nominal: float, tolerance: float) -> dict[str, float]:
    """Return the limits of runs: of those at a value at which the sensor rests, if there is one, and of the others."""
    rest = _rest(readings, tolerance)
    at_rest, others = Lengths(), Lengths()
    for value, length in runs_of((part.value for part in readings.parts()), tolerance):
        resting = np.abs(value - rest) <= tolerance
        at_rest.add(length[resting])
        others.add(length[~resting])
    odd, odd_at_rest = others.odd(), at_rest.odd()
    if odd is None:
        return {}
    found = {"flat": (odd - 1) * nominal, "flat_tolerance": tolerance}
    if not math.isnan(rest):
        found["rest"] = rest
        if odd_at_rest is not None:
            found["flat_at_rest"] = (odd_at_rest - 1) * nominal
    return found


def _rest(readings: Readings, tolerance: float) -> float:
    """Return the value that half of the longest runs have, NaN where there is none."""
    values: NDArray[np.float64] = np.empty(0)
    lengths: NDArray[np.int64] = np.empty(0, np.int64)
    for value, length in runs_of((part.value for part in readings.parts()), tolerance):
        long = length >= SHORTEST
        values, lengths = np.concatenate((values, value[long])), np.concatenate((lengths, length[long]))
        longest = np.lexsort((values, -lengths))[:LONGEST]
        values, lengths = values[longest], lengths[longest]
    values = np.sort(values)
    alike = np.split(values, np.flatnonzero(np.diff(values) > tolerance) + 1)
    most = max(alike, key=len)
    return float(most[len(most) // 2]) if len(most) >= AT_REST else math.nan
