"""What peers show of a sensor: a whole series in another unit, a drift, a shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import MAD, moment, suspicion
from tamis.discovery.units import Conversion, conversions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

    Floats = NDArray[np.float64]

BINS, PARTS = 2048, 128  # of the time that sensors share: for units, and for drift
MOST = 64  # sensors of one quantity that are compared; where there are more, with the first of them
TOLD = 4.0  # times nearer to its peers that a sensor is once it is converted
FOLLOWS = 0.8  # correlation with its peers from which the slope is told
APART, ODD = 6.0, 4.0  # deviations of a sensor from its peers, and times what other pairs show


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean readings of sensors of one quantity over common bins of time, float64[sensors, bins]; NaN where a bin has none."""

    series: Sequence[Signal]
    edges: NDArray[np.int64]
    means: Floats

    @classmethod
    def of(cls, series: Sequence[Signal], bins: int) -> Summary:
        """Bin the time that most of the sensors share: from the median of their first times to that of their last ones."""
        there = [one.values() for one in series]
        ends = np.array([[one.time.min(), one.time.max()] for one in there], np.int64)
        low, high = (int(np.median(column)) for column in ends.T)
        count = int(min(bins, max(1, np.median([len(one) for one in there]) // 2)))
        edges = low + (high - low + 1) * np.arange(count + 1) // count
        means = np.full((len(there), count), np.nan)
        for row, one in enumerate(there):
            place = np.searchsorted(edges, one.time, "right") - 1
            inside = (place >= 0) & (place < count)
            sizes = np.bincount(place[inside], minlength=count)
            sums = np.bincount(place[inside], one.value[inside], minlength=count)
            means[row] = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
        return cls(series, edges, means)

    def only(self, places: Sequence[int]) -> Summary:
        """Return some of the sensors."""
        return Summary([self.series[place] for place in places], self.edges, self.means[list(places)])


def find_against_peers(series: Sequence[Signal]) -> list[Suspicion]:
    """Return which sensors of one quantity differ from the others by a unit, a drift or a shift; three sensors at the least can tell."""
    usable = [one for one in series if one.valid.sum() >= 30][:MOST]
    if len(usable) < 3:
        return []
    summary = Summary.of(usable, BINS)
    found, odd = _units(summary)
    rest = [place for place in range(len(usable)) if place not in odd]
    return found + (_moves(Summary.of([usable[place] for place in rest], PARTS)) if len(rest) >= 3 else [])


def _distance(left: Floats, right: Floats) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.median(np.abs(left[both] - right[both]))) if both.sum() >= 15 else np.nan


def _consensus(summary: Summary, place: int) -> Floats:
    """Return the median of the other sensors in each bin."""
    others = np.delete(summary.means, place, axis=0)
    seen = np.isfinite(others).any(axis=0)
    middle = np.full(others.shape[1], np.nan)
    middle[seen] = np.nanmedian(others[:, seen], axis=0)
    return middle


def _units(summary: Summary) -> tuple[list[Suspicion], set[int]]:
    """Return the sensors that are as near to their peers as these to each other, once a conversion is taken back.

    The figure is how many times nearer, and must reach 4. A sensor that follows its peers must do so at the slope of the
    conversion; one that does not must be 8 times nearer.
    """
    count = len(summary.series)
    pairs = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            pairs[i, j] = _distance(summary.means[i], summary.means[j])
    found: list[Suspicion] = []
    odd: set[int] = set()
    while count - len(odd) >= 3:
        best: tuple[float, int, Suspicion] | None = None
        for i in (place for place in range(count) if place not in odd):
            kept = [place for place in range(count) if place not in odd and place != i]
            usual = float(np.nanquantile([pairs[max(a, b), min(a, b)] for a in kept for b in kept if a != b], 0.75))
            middle = _consensus(summary.only([*kept, i]), len(kept))
            told = _converted(summary.series[i], summary.means[i], middle, usual, len(kept))
            if told is not None and (best is None or told.figure > best[0]):
                best = (told.figure, i, told)
        if best is None:
            return found, odd
        odd.add(best[1])
        found.append(best[2])
    return found, odd


def _converted(series: Signal, own: Floats, middle: Floats, usual: float, peers: int) -> Suspicion | None:
    as_told = _distance(own, middle)
    both = np.isfinite(own) & np.isfinite(middle)
    if not as_told or not np.isfinite([as_told, usual]).all():
        return None
    fits = [(one, _distance(one.back(own), middle)) for one in conversions(series.column, float(np.median(middle[both])))]
    floor = max(usual, 1e-9 * float(np.median(np.abs(middle[both]))))
    slope = _slope(own[both], middle[both])
    fits = [
        (one, distance)
        for one, distance in fits
        if distance <= 3 * floor and as_told >= (TOLD if slope else 2 * TOLD) * max(distance, floor) and _likely(one, slope)
    ]
    if not fits:
        return None
    nearest = min(distance for _, distance in fits)
    one, distance = next((one, distance) for one, distance in fits if distance <= 1.5 * nearest + 0.5 * floor)
    says = (
        f"the whole series reads as {one.to} where {peers} others are {one.of}: {as_told:.4g} from their median as it is told, {distance:.3g} "
        f"converted back, and they are {usual:.3g} from each other"
    )
    remedy = {"action": "convert", "scale": one.scale, "offset": one.offset, "spans": []}
    figure = as_told / max(distance, floor)
    return suspicion("unit", series, np.flatnonzero(series.valid), figure, TOLD, says, remedy=remedy, of=one.of, to=one.to)


def _likely(one: Conversion, slope: float) -> bool:
    """Whether a sensor follows its peers as the conversion would have it, and not as a mere offset would."""
    if not slope:
        return one.offset != 0 or not 0.6 <= abs(one.scale) <= 1.7
    room = min(0.3, 0.5 * abs(1 - one.scale)) if one.scale != 1 else 0.3
    return abs(slope / one.scale - 1) <= room


def _slope(own: Floats, middle: Floats) -> float:
    """Return by how much a sensor changes where its peers change by one; 0 where it does not follow them closely enough to tell."""
    left, right = (one - one.mean() for one in (own, middle))
    spread = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / float(right @ right) if spread and left @ right >= FOLLOWS * spread else 0.0


def _moves(summary: Summary) -> list[Suspicion]:
    """Return the sensors that leave their peers, by a ramp or a step, whichever fits better.

    The size of the move must be 6 robust deviations of what is left, and 4 times the median size that other pairs of sensors show. The
    figure is the size by the larger of the two, and must reach 1.
    """
    count = len(summary.series)
    sizes = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            difference = summary.means[i] - summary.means[j]
            sizes[i, j] = abs(_move(difference)[1]) if np.isfinite(difference).sum() >= 15 else np.nan
    found = []
    for i, series in enumerate(summary.series):
        others = [place for place in range(count) if place != i]
        shown = [sizes[max(a, b), min(a, b)] for a in others for b in others if a < b]
        usual = float(np.nanmedian(shown)) if np.isfinite(shown).any() else np.nan
        difference = summary.means[i] - _consensus(summary, i)
        if np.isfinite(difference).sum() < 15 or not np.isfinite(usual):
            continue
        kind, size, at, left = _move(difference)
        least = max(APART * left, ODD * usual)
        if not least or abs(size) < least:
            continue
        start = int(summary.edges[at])
        places = np.flatnonzero(series.time >= start)
        if not len(places):
            continue
        word = "drifts away from" if kind == "drift" else "shifts against"
        says = (
            f"{word} the median of {count - 1} peers by {size:+.4g} from {moment(start)} on; what is left deviates by {left:.3g}, and other "
            f"pairs of sensors move by {usual:.3g}"
        )
        found.append(suspicion(kind, series, places, abs(size) / least, 1, says, size=size))
    return found


def _move(difference: Floats) -> tuple[str, float, int, float]:
    """Return what a difference does (`drift` or `shift`), by how much, from which bin on, and the deviation of what is left."""
    there = np.flatnonzero(np.isfinite(difference))
    y, x = difference[there], there.astype(np.float64)
    y = np.clip(y, *np.quantile(y, [0.01, 0.99]))
    best = ("shift", 0.0, 0, float("inf"), y - y.mean())
    starts = np.unique(np.linspace(3, len(y) - 4, min(len(y) - 6, 60)).astype(np.int64)).tolist()
    for kind, start in [("drift", 0), *(("drift", at) for at in starts[: int(0.8 * len(starts))]), *(("shift", at) for at in starts)]:
        shape = np.maximum(0, x - x[start]) / max(x[-1] - x[start], 1) if kind == "drift" else (x >= x[start]).astype(np.float64)
        centred = shape - shape.mean()
        weight = float(centred @ centred)
        size = float(centred @ y) / weight if weight else 0.0
        left = y - y.mean() - size * centred
        if (squares := float(left @ left)) < best[3]:
            best = (kind, size, int(there[start]), squares, left)
    kind, size, at, _, left = best
    return kind, size, at, MAD * float(np.median(np.abs(left - np.median(left))))
