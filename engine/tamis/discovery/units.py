"""Unit mix-ups: spans told in another unit than the rest, by the affine maps between units in use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import moment, number_of, period, runs, suspicion
from tamis_kernels.viterbi import converted_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a value in one unit reads in another: value * scale + offset.

    `low` and `high` bound the readings in the first unit for which the mix-up is worth a thought.
    """

    family: str
    of: str
    to: str
    scale: float
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    def inverse(self) -> Conversion:
        """Return the way back."""
        bounds = sorted(one * self.scale + self.offset for one in (self.low, self.high))
        return Conversion(self.family, self.to, self.of, 1 / self.scale, -self.offset / self.scale, *bounds)

    def back(self, value: Floats) -> Floats:
        """Return what values told in the second unit are in the first."""
        return (value - self.offset) / self.scale


_UNITS = (
    Conversion("temperature", "°C", "°F", 1.8, 32.0, -95, 1500),
    Conversion("temperature", "°C", "K", 1.0, 273.15, -95, 1500),
    Conversion("temperature", "K", "°F", 1.8, -459.67, 178, 1773),
    Conversion("pressure", "hPa", "mmHg", 0.750061683, 0.0, 500, 1100),
    Conversion("pressure", "hPa", "inHg", 0.0295299831, 0.0, 500, 1100),
    Conversion("pressure", "hPa", "psi", 0.0145037738, 0.0, 500, 1100),
    Conversion("pressure", "kPa", "mmHg", 7.50061683, 0.0, 50, 110),
    Conversion("pressure", "kPa", "inHg", 0.295299831, 0.0, 50, 110),
    Conversion("pressure", "mmHg", "inHg", 0.0393700787, 0.0, 375, 825),
    Conversion("speed", "m/s", "km/h", 3.6, 0.0, 0, 120),
    Conversion("speed", "m/s", "kn", 1.94384449, 0.0, 0, 120),
    Conversion("speed", "m/s", "mph", 2.23693629, 0.0, 0, 120),
    Conversion("speed", "km/h", "kn", 0.539956803, 0.0, 0, 450),
    Conversion("speed", "km/h", "mph", 0.621371192, 0.0, 0, 450),
    Conversion("speed", "kn", "mph", 1.15077945, 0.0, 0, 230),
    Conversion("length", "m", "ft", 3.2808399),
    Conversion("length", "in", "mm", 25.4),
    Conversion("share", "fraction", "percent", 100.0, 0.0, 0, 1.2),
)
_WHY = {10: "decimal mark, cm and mm, hPa and kPa", 100: "decimal mark, m and cm, hPa and Pa", 1000: "decimal mark, m and mm, kPa and Pa"}
_TENS = tuple(
    Conversion("tens", "the other readings", f"{word} of them ({why})", factor)
    for times, why in _WHY.items()
    for word, factor in ((f"{times} times the size", float(times)), (f"a {times}th", 1 / times))
)
CONVERSIONS = (*_UNITS, *(one.inverse() for one in _UNITS), *_TENS)

_HINTS = {
    "temperature": r"temp|celsius|fahrenheit|kelvin|degc|°",
    "pressure": r"press|baro|hpa|kpa|mmhg",
    "speed": r"wind|speed|veloc|gust",
    "length": r"depth|level|height|stage|altitude|elevation|distance|rain|precip",
    "share": r"humid|percent|share|fraction|moisture|soc\b",
}
ALIKE = 0.7  # of the best gain: conversions that explain rows about as well
SHORT = 3  # rows up to which a span is a slip of single rows
SHARP, NAMED_SHARP = 0.15, 0.25  # of a border's leap, and of the level that a factor is told by: how far off chance may be; where
# the column's name tells the quantity, few conversions are tried, and chance meets one less easily
LIGHT = 5.0  # times the median that the 99th percentile of usual differences is, at most, where these have light tails; normal ones 3.8
STRANGE = 0.1  # leaps that no conversion explains, for each that one does
MEAN = 1.25  # mean step by median step, between that of a normal and of a Laplacian walk
SWITCH, CAP = 10.0, 40.0
LEAST_GAIN = 20.0  # what all spans of one conversion save together
LEAST_ROWS = 3
LEAP, LONE_LEAP = (
    1.5,
    3.0,
)  # largest usual steps that a border leaps by; the second for a span with one border, which chance meets more easily
FIT = 8.0  # typical steps, for a first look
WINDOW, SAMPLE = 7, 500  # rows whose medians are compared at a border, and places where the same is done away from the borders
RATIO = 2.5  # factor within which converted steps are as large as the others
LONG = 16  # rows from which the size of the steps is told


def hints(column: str) -> set[str]:
    """Return the families of units that a column's name tells."""
    return {family for family, words in _HINTS.items() if re.search(words, column.casefold())}


def conversions(column: str, middle: float) -> list[Conversion]:
    """Return the conversions worth a thought for a column of this name and median: by name where it tells the quantity."""
    hinted = hints(column)
    families = {*hinted, "tens"} if hinted else {one.family for one in CONVERSIONS}
    return [one for one in CONVERSIONS if one.family in families and one.low <= middle <= one.high]


def find_unit_changes(series: Signal) -> list[Suspicion]:
    """Return the spans of a series that read like the rest once a conversion between units is taken back.

    For each conversion the likeliest spans come from `tamis_kernels.viterbi`. A span stands if

    * its borders leap by 1.5 times the largest usual step of the converted series (the 99.9th percentile away from borders; 3 times where
      there is one border only), and leaps of half that size are rare elsewhere,
    * at its borders nothing is unusual once it is converted: neither the step nor the difference of the medians of seven rows, and the
      latter, or what it is by the median, is at most 0.15 of the leap and, for a factor, of the level (0.25 where the column's name tells
      the quantity): so rarely does chance bring a leap to where the conversion would have it,
    * its converted values lie in the range of the rest, and its steps are as large as theirs within a factor of 2.5.

    The figure is what the spans save, in natural units of likelihood, and must reach 20. Of conversions that explain the same rows about as
    well, the one is told that is mixed up most, and the others are named.
    """
    there = series.values()
    value = there.value
    if len(value) < 20 or not (spread := MEAN * _step(value)):
        return []
    nominal = period(there.time)
    joined = np.ones(len(value), bool)
    if nominal:
        joined[1:] = np.abs(np.diff(there.time)) <= 30 * nominal
    explained: list[tuple[float, Conversion, NDArray[np.bool_], list[tuple[int, int]]]] = []
    sharp = NAMED_SHARP if hints(series.column) else SHARP
    for one in conversions(series.column, float(np.median(value))):
        if _worth(value, joined, one, spread):
            states, _ = converted_spans(value, joined, one.scale, one.offset, spread=spread, cap=CAP, switch=SWITCH)
            gain, places, spans = _sound(value, joined, states.view(np.bool_), one, spread, sharp)
            if gain >= LEAST_GAIN and LEAST_ROWS <= places.sum() <= len(value) / 2:
                explained.append((gain, one, places, spans))
    found: list[Suspicion] = []
    taken = np.zeros(len(value), bool)
    for gain, one, places, spans in sorted(explained, key=lambda each: -each[0]):
        if (taken & places).any():
            continue
        # The table begins with what is mixed up most: of conversions that explain the rows about as well, the first is told.
        gain, one, places, spans = next(each for each in explained if each[0] >= ALIKE * gain and (each[2] & places).any())
        taken |= places
        where = np.flatnonzero(places)
        others = sorted(
            {
                f"{two.to} among {two.of}"
                for more, two, too, _ in explained
                if two is not one and more > ALIKE * gain and (too & places).any()
            }
        )
        says = (
            f"{number_of(len(where), 'row')} in {number_of(len(spans), 'span')}, the first at {moment(int(there.time[where[0]]))}, "
            f"read as {one.to} where the others are {one.of}: median {np.median(value[where]):.5g}, "
            f"converted back {np.median(one.back(value[where])):.5g}, the others {np.median(value[~places]):.5g}; "
            f"borders leap by {_leap(value, spans) / spread:.3g} typical steps"
            + (f"; explained about as well by {', '.join(others)}" if others else "")
        )
        times = [[int(there.time[first]), int(there.time[last])] for first, last in spans]
        remedy = {"action": "convert", "scale": one.scale, "offset": one.offset, "spans": times}
        found.append(suspicion("unit", there, where, gain, LEAST_GAIN, says, remedy=remedy, of=one.of, to=one.to, others=", ".join(others)))
    return found


def _step(value: Floats) -> float:
    """Return the typical step: the median of those that are not 0."""
    steps = np.abs(np.diff(value))
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 0.0


def _worth(value: Floats, joined: NDArray[np.bool_], one: Conversion, spread: float) -> bool:
    """Whether a leap in the series goes away when the row on one side of it is converted."""
    leaps = np.flatnonzero(joined[1:] & (np.abs(np.diff(value)) >= FIT * spread))
    before, after = value[leaps], value[leaps + 1]
    fit = np.minimum(np.abs(one.back(after) - before), np.abs(after - one.back(before)))
    return bool((fit <= FIT * spread + _slack(value, one)).any())


def _slack(value: Floats, one: Conversion) -> float:
    """Return how far rounding in the other unit may put a converted value off: four digits are told, at the least."""
    return abs(float(np.median(value))) * 5e-4 if one.scale < 1 else 0.0


def _sound(
    value: Floats, joined: NDArray[np.bool_], states: NDArray[np.bool_], one: Conversion, spread: float, sharp: float
) -> tuple[float, NDArray[np.bool_], list[tuple[int, int]]]:
    """Return what the spans that stand save, their rows, and the spans."""
    places, gain = np.zeros(len(value), bool), 0.0
    spans: list[tuple[int, int]] = []
    rest = value[~states]
    if len(rest) < 3:
        return gain, places, spans
    true = np.where(states, one.back(value), value)
    saved = np.concatenate([[0.0, 0.0], np.cumsum(_saved(value, true, joined, states, one, spread))])  # saved[i + 1]: up to row i
    usual = _Usual(true, states, joined, _slack(rest, one), sharp)
    low, high = np.quantile(rest, [0.01, 0.99])
    step = _mean_step(rest)
    for first, last in runs(states).tolist():
        borders = [edge for edge in (first, last + 1) if 0 < edge < len(value) and joined[edge]]
        inside = true[first : last + 1]
        if not borders or (last - first < SHORT and one.family != "tens"):  # a decimal mark slips in single rows, a unit does not
            continue
        leap = min(abs(value[edge] - value[edge - 1]) for edge in borders)
        leaps = leap >= (LEAP if len(borders) == 2 else LONE_LEAP) * usual.leap
        within = 2 * low - high <= np.median(inside) <= 2 * high - low
        like = len(inside) < LONG or 1 / RATIO <= _mean_step(inside) / step <= RATIO
        if leaps and within and like and all(usual.fits(edge, leap, one) for edge in borders):
            places[first : last + 1] = True
            spans.append((first, last))
            gain += float(saved[min(last + 2, len(saved) - 1)] - saved[first])
    edges = [edge for span in spans for edge in (span[0], span[1] + 1) if 0 < edge < len(value)]
    if spans and usual.leaps(_leap(value, spans) / 2, lasting=bool(np.diff(spans).mean() >= SHORT)) > STRANGE * len(edges):
        return 0.0, np.zeros(len(value), bool), []
    return gain, places, spans


def _saved(value: Floats, true: Floats, joined: NDArray[np.bool_], states: NDArray[np.bool_], one: Conversion, spread: float) -> Floats:
    """Return what each step costs less when the spans are converted; the terms are those of the kernel."""
    plain, converted = np.diff(value), np.diff(true)
    told = np.where(states[1:] & (plain != 0), np.log(abs(one.scale)), 0.0)
    less: Floats = np.minimum(np.abs(plain) / spread, CAP) - np.minimum(np.abs(converted) / spread, CAP) - told
    less = np.where(joined[1:], less, 0.0) - SWITCH * (np.diff(states.view(np.int8)) != 0)
    return less


class _Usual:
    """What is usual in a converted series, away from the borders: its steps, and how medians of some rows differ from the next ones."""

    def __init__(self, true: Floats, states: NDArray[np.bool_], joined: NDArray[np.bool_], slack: float, sharp: float) -> None:
        edges = np.flatnonzero(np.diff(states.view(np.int8))) + 1
        self._true, self._slack, self._sharp = true, slack, sharp
        steps = np.abs(np.diff(true))
        away = joined[1:].copy()
        away[edges - 1] = False
        steps = steps[away] if away.any() else steps
        self._away = away
        self.leap = max(float(np.quantile(steps, 0.999)), _step(true[~states]), slack)
        near = np.zeros(len(true), bool)
        for lag in range(-WINDOW, WINDOW):
            near[np.clip(edges + lag, 0, len(true) - 1)] = True
        free = np.flatnonzero(~near)
        free = free[(free >= WINDOW) & (free <= len(true) - WINDOW)]
        differences = self._medians(free[:: max(1, len(free) // SAMPLE)])
        self._largest = float(np.quantile(differences, 0.99)) if len(differences) else self.leap
        self._median = float(np.median(differences)) if len(differences) else self.leap
        self._room = self._median if self._largest <= LIGHT * self._median else self._largest

    def fits(self, edge: int, leap: float, one: Conversion) -> bool:
        """Whether nothing is unusual at a border once it is converted, and chance would rarely have it so."""
        step = abs(float(self._true[edge] - self._true[edge - 1]))
        differs = float(self._medians(np.array([edge]))[0])
        told = min(leap, abs(float(self._true[edge - 1]))) if one.offset == 0 else leap
        sharp = max(differs, self._room) + self._slack <= self._sharp * told
        return sharp and step <= 1.5 * self.leap + self._slack and differs <= 1.2 * (self._largest + self._slack)

    def leaps(self, size: float, *, lasting: bool) -> int:
        """Return how many leaps of that size stay in the series, away from the borders; where `lasting`, those that are no spikes."""
        places = np.flatnonzero(self._away & (np.abs(np.diff(self._true)) >= size)) + 1
        return int((self._medians(places) >= size).sum()) if lasting else len(places)

    def _medians(self, edges: NDArray[np.int64]) -> Floats:
        """Return how far the median of the rows from each edge on is from that of the rows before it."""
        around = edges[:, None] + np.arange(-WINDOW, WINDOW)
        rows = self._true[np.clip(around, 0, len(self._true) - 1)].reshape(-1, 2, WINDOW)  # at the ends a row stands for those beyond
        middles: Floats = np.partition(rows, WINDOW // 2, axis=2)[:, :, WINDOW // 2]
        return np.abs(middles[:, 1] - middles[:, 0])


def _mean_step(value: Floats) -> float:
    """Return the mean step, the largest hundredth cut off."""
    steps = np.abs(np.diff(value))
    if not len(steps):
        return 0.0
    return float(np.minimum(steps, np.quantile(steps, 0.99)).mean()) or float(np.finfo(np.float64).tiny)


def _leap(value: Floats, spans: list[tuple[int, int]]) -> float:
    """Return the median leap at the borders."""
    edges = [edge for first, last in spans for edge in (first, last + 1) if 0 < edge < len(value)]
    return float(np.median(np.abs(value[edges] - value[np.array(edges) - 1])))
