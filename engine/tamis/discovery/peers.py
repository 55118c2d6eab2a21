"""What peers show of a sensor: a whole series in another unit, a drift, a shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.discovery.base import MAD, Suspicion, moment
from tamis.discovery.units import conversions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.discovery.base import Signal
    from tamis.discovery.units import Conversion

    Floats = NDArray[np.float64]

BINS, PARTS = 2048, 128  # of the time that sensors share: for units, and for drift
LEAST, LEAST_PARTS = 30, 15  # readings, and parts of the time with readings, of a sensor that is compared
MOST = 64  # sensors of one quantity that are compared; where there are more, with the first of them
TOLD = 4.0  # times nearer to its peers that a sensor is once it is converted
FOLLOWS = 0.8  # correlation with its peers from which the slope is told
APART, ODD = 6.0, 4.0  # deviations of a sensor from its peers, and times what other pairs show


@dataclass(frozen=True, slots=True)
class Profile:
    """What is kept of a series for its peers: its readings by bins of time.

    Attributes
    ----------
    sensor, column
        Their names.
    edges
        int64[bins + 1]: the bins that all sensors share.
    sums, counts, rows
        Of each bin: the sum and the number of readings, and the row of the first.
    """

    sensor: str
    column: str
    edges: NDArray[np.int64]
    sums: Floats
    counts: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, series: Signal, edges: NDArray[np.int64]) -> Profile:
        """Bin the readings of a series."""
        there = series.values()
        bins = len(edges) - 1
        place = np.searchsorted(edges, there.time, "right") - 1
        inside = (place >= 0) & (place < bins)
        counts = np.bincount(place[inside], minlength=bins)
        sums = np.asarray(np.bincount(place[inside], there.value[inside], minlength=bins), np.float64)
        rows = np.full(bins, np.iinfo(np.int64).max)
        np.minimum.at(rows, place[inside], there.rows[inside])
        return cls(series.sensor, series.column, edges, sums, counts, rows)

    def means(self, bins: int) -> Floats:
        """Return the mean reading of some equal parts of the time, NaN where there is none."""
        cuts = len(self.counts) * np.arange(bins) // bins
        sums, counts = np.add.reduceat(self.sums, cuts), np.add.reduceat(self.counts, cuts)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def suspicion(self, kind: str, first: int, figure: float, limit: float, says: str, **more: Any) -> Suspicion:
        """Say something about the readings from a bin on."""
        there = first + np.flatnonzero(self.counts[first:])
        start, stop = int(self.edges[there[0]]), int(self.edges[there[-1] + 1]) - 1
        count, row = int(self.counts[first:].sum()), int(self.rows[there].min())
        return Suspicion(kind, self.sensor, self.column, row, start, stop, count, float(figure), float(limit), says, **more)


def bins(spans: Sequence[tuple[int, int, int]]) -> NDArray[np.int64]:
    """Return the edges of the bins for series of which first time, last time and number of readings are given.

    They go from the median of the first times to that of the last, 2048 at most, with two readings in each by the median.
    """
    low, high, size = (int(np.median(column)) for column in np.array(spans, np.int64).T)
    count = int(min(BINS, max(1, size // 2)))
    whole, rest = divmod(max(high - low + 1, count), count)
    places = np.arange(count + 1)
    return low + whole * places + rest * places // count  # a product of a year and 2048 overflows


def find_against_peers(profiles: Sequence[Profile]) -> list[Suspicion]:
    """Return which sensors of one quantity differ from the others by a unit, a drift or a shift; three sensors at the least can tell."""
    usable = [one for one in profiles if one.counts.sum() >= LEAST][:MOST]
    if len(usable) < 3:
        return []
    found, odd = _units(usable)
    rest = [one for place, one in enumerate(usable) if place not in odd]
    return found + (_moves(rest) if len(rest) >= 3 else [])


def _distance(left: Floats, right: Floats) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.median(np.abs(left[both] - right[both]))) if both.sum() >= LEAST_PARTS else np.nan


def _consensus(others: Floats) -> Floats:
    """Return the median of sensors in each bin."""
    seen = np.isfinite(others).any(axis=0)
    middle = np.full(others.shape[1], np.nan)
    middle[seen] = np.nanmedian(others[:, seen], axis=0)
    return middle


def _units(profiles: Sequence[Profile]) -> tuple[list[Suspicion], set[int]]:
    """Return the sensors that are as near to their peers as these to each other, once a conversion is taken back, and their places.

    The figure is how many times nearer, and must reach 4. A sensor that follows its peers must do so at the slope of the
    conversion; one that does not must be 8 times nearer.
    """
    count = len(profiles)
    means = np.stack([one.means(len(one.counts)) for one in profiles])
    pairs = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            pairs[i, j] = _distance(means[i], means[j])
    found: list[Suspicion] = []
    odd: set[int] = set()
    while count - len(odd) >= 3:
        told: list[tuple[float, int, Suspicion]] = []
        for i in (place for place in range(count) if place not in odd):
            kept = [place for place in range(count) if place not in odd and place != i]
            shown = [pairs[a, b] for a in kept for b in kept if a > b and np.isfinite(pairs[a, b])]
            usual = float(np.quantile(shown, 0.75)) if shown else np.nan
            one = _converted(profiles[i], means[i], _consensus(means[kept]), usual, len(kept))
            if one is not None:
                told.append((one.figure, i, one))
        if not told:
            break
        _, place, worst = max(told, key=lambda each: each[0])  # it may have made others look odd: these are judged again without it
        odd.add(place)
        found.append(worst)
    return found, odd


def _converted(profile: Profile, own: Floats, middle: Floats, usual: float, peers: int) -> Suspicion | None:
    as_told = _distance(own, middle)
    both = np.isfinite(own) & np.isfinite(middle)
    if not as_told or not np.isfinite([as_told, usual]).all():
        return None
    fits = [(one, _distance(one.back(own), middle)) for one in conversions(profile.column, float(np.median(middle[both])))]
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
        f"the whole series reads as {one.to} where {peers} others are {one.of}: {as_told:.4g} from their median as it is told, "
        f"{distance:.3g} converted back, and they are {usual:.3g} from each other"
    )
    remedy = {"action": "convert", "scale": one.scale, "offset": one.offset, "spans": []}
    figure = as_told / max(distance, floor)
    return profile.suspicion("unit", 0, figure, TOLD, says, remedy=remedy, evidence={"of": one.of, "to": one.to})


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


def _moves(profiles: Sequence[Profile]) -> list[Suspicion]:
    """Return the sensors that leave their peers, by a ramp or a step, whichever fits better.

    The size of the move must be 6 robust deviations of what is left, and 4 times the median size that other pairs of sensors show. The
    figure is the size by the larger of the two, and must reach 1.
    """
    count = len(profiles)
    parts = min(PARTS, len(profiles[0].counts))
    means = np.stack([one.means(parts) for one in profiles])
    sizes = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            difference = means[i] - means[j]
            sizes[i, j] = abs(_move(difference)[1]) if np.isfinite(difference).sum() >= LEAST_PARTS else np.nan
    found = []
    for i, profile in enumerate(profiles):
        others = [place for place in range(count) if place != i]
        shown = [sizes[a, b] for a in others for b in others if a > b]
        difference = means[i] - _consensus(means[others])
        if np.isfinite(difference).sum() < LEAST_PARTS or not np.isfinite(shown).any():
            continue
        kind, size, part, left = _move(difference)
        usual = float(np.nanmedian(shown))
        least = max(APART * left, ODD * usual)
        if not least or abs(size) < least:
            continue
        first = len(profile.counts) * part // parts
        if not profile.counts[first:].any():
            continue
        says = (
            f"{'drifts away from' if kind == 'drift' else 'shifts against'} the median of {count - 1} peers by {size:+.4g} from "
            f"{moment(int(profile.edges[first]))} on; what is left deviates by {left:.3g}, and other pairs of sensors move by {usual:.3g}"
        )
        found.append(profile.suspicion(kind, first, abs(size) / least, 1, says, evidence={"size": size}))
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
