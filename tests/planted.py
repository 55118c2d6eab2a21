"""Planted sensor faults and whether discovery finds them: for the tests, and for `bench/evaluate_discovery.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery import Signal, Suspicion, search
from tamis.sample import faults
from tamis.sample.faults import FAULTS, PEER_FAULTS, QUANTITIES, SECOND, TOLD_AS, Faulty

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault that was planted, and what came of it.

    Attributes
    ----------
    kind
        The fault; empty for sound series.
    found
        Whether it was suspected, at the right sensor.
    right
        Whether the value, conversion, rows, rate or zone that was told is the one that was planted.
    others
        Suspicions of other kinds or sensors.
    """

    kind: str
    quantity: str
    found: bool
    right: bool
    others: tuple[Suspicion, ...]


def signal(series: Faulty, seed: int, sensor: str = "") -> Signal:
    """Return a series for the finders; in every other one the name of the column tells the quantity."""
    return Signal.of(series.time, series.value, column=series.quantity if seed % 2 else "value", sensor=sensor)


def trials(seed: int, rows: int = 3000, sensors: int = 5) -> Iterator[Trial]:
    """Plant each fault once, in a series that the seed tells, and look for it; trials without a kind are of sound series."""
    rng = np.random.default_rng([seed, 11])
    quantity = list(QUANTITIES)[seed % len(QUANTITIES)]
    clean = faults.clean_series(quantity, rows, rng)
    station = faults.station(quantity, sensors, rows, rng)
    for series in ([clean], station):
        yield Trial("", quantity, False, False, tuple(_search(series, seed)))
    for kind, plant in FAULTS.items():
        sound = faults.clean_series(quantity, 3 * rows, rng, 3600 * SECOND) if kind == "dst" else clean
        faulty = plant(sound, rng)
        yield _trial(kind, faulty, _search([faulty], seed), "")
    for kind, plant in PEER_FAULTS.items():
        place = int(rng.integers(sensors))
        series = list(station)
        series[place] = plant(station[place], rng)
        yield _trial(kind, series[place], _search(series, seed), str(place))
    track = faults.track(rows, rng)
    yield Trial("", "position", False, False, tuple(_search_track(track)))
    swapped = faults.swapped(*track, rng)
    yield _trial("swapped", swapped[0], _search_track(swapped), "")


def _search(series: Sequence[Faulty], seed: int) -> list[Suspicion]:
    several = len(series) > 1
    return search(lambda: [[signal(one, seed, str(place) if several else "")] for place, one in enumerate(series)])


def _search_track(track: Sequence[Faulty]) -> list[Suspicion]:
    return search(lambda: [[Signal.of(one.time, one.value, column=one.quantity) for one in track]])


def _trial(kind: str, faulty: Faulty, told: list[Suspicion], sensor: str) -> Trial:
    wanted = TOLD_AS.get(kind, (kind,))
    ours = [one for one in told if one.kind in wanted and one.sensor == sensor]
    others = tuple(one for one in told if one not in ours)
    return Trial(kind, faulty.quantity, bool(ours), bool(ours) and _right(kind, faulty, ours), others)


def _right(kind: str, faulty: Faulty, told: list[Suspicion]) -> bool:
    """Whether what is told is what was planted."""
    one, truth, rows = told[0], faulty.truth, int(faulty.places.sum())
    remedy, evidence = one.remedy, one.evidence
    if kind == "sentinel":
        return len(told) == 1 and remedy["value"] == truth["code"] and one.count == rows
    if kind in {"unit", "peer_unit"}:
        planted = [float(str(truth[name])) for name in ("scale", "offset")]
        near = np.allclose([remedy["scale"], remedy["offset"]], planted, rtol=1e-3)
        return bool(near) and (kind == "peer_unit" or one.count == rows)
    if kind == "saturation":
        return len(told) == 1 and evidence["rail"] == truth["rail"]
    if kind == "resolution":
        return bool(np.isclose(float(evidence["grid"]), float(str(truth["step"])), rtol=0.01)) and abs(one.count - rows) <= 0.1 * rows
    if kind == "clock_drift":
        return abs(float(evidence["ppm"]) - float(str(truth["ppm"]))) <= 1.5 * float(evidence["half"])
    if kind == "clock_reset":
        return abs(remedy["shift"] + int(str(truth["shift"]))) <= 600 * SECOND and one.count == rows
    if kind == "epoch_unit":
        return bool(remedy["factor"] == truth["factor"]) and one.count == rows
    if kind == "dst":
        return evidence["zone"] == truth["zone"] and one.count == rows
    if kind in {"repeated_block", "interpolated"}:
        return len(told) == 1 and abs(one.count - rows) <= 2
    if kind == "overlap":
        return sum(each.count for each in told) == rows and truth["differs"] == any(each.kind == "conflicting_time" for each in told)
    if kind in {"peer_drift", "peer_shift"}:
        return abs(float(evidence["size"]) / float(str(truth["size"])) - 1) <= 0.25
    return one.count == rows or kind == "jitter"
