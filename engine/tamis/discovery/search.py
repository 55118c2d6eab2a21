"""All finders over the series of some sensors, each in the light of what was found before it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.clocks import find_clock_drift, find_clock_resets, find_jitter, find_wall_clock
from tamis.discovery.copies import find_double_times, find_repeated_blocks
from tamis.discovery.instruments import find_counter_resets, find_resolution_changes, find_saturation
from tamis.discovery.peers import find_against_peers
from tamis.discovery.sentinels import find_sentinels
from tamis.discovery.units import find_unit_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tamis.discovery.base import Signal, Suspicion


def search_values(series: Signal) -> tuple[list[Suspicion], Signal]:
    """Return what is suspected of the values of one series, and the series without the values that are in doubt."""
    codes = find_sentinels(series)
    series = series.without(np.isin(series.value, [one.remedy["value"] for one in codes]))
    counters = find_counter_resets(series)
    if counters:
        return codes + counters, series.without(np.ones(len(series), bool))
    units = find_unit_changes(series)
    for one in units:
        for first, last in one.remedy["spans"]:
            series = series.without((series.time >= first) & (series.time <= last))
    rails = find_saturation(series)
    return [*codes, *units, *rails, *find_resolution_changes(series), *find_repeated_blocks(series)], series


def search_times(columns: Sequence[Signal], zone: str = "") -> list[Suspicion]:
    """Return what is suspected of the times of one sensor, whose columns share them."""
    series = columns[0]
    wall = find_wall_clock(series, zone)
    if wall:  # the double hours are explained, and a clock that leaps has no rate
        return [*wall, *find_clock_resets(series)]
    resets = find_clock_resets(series)
    wrong = np.zeros(len(series), bool)
    for one in resets:
        wrong |= (series.rows >= one.row) & (series.rows < one.row + one.count)
    steady = series.only(~wrong)
    return [*resets, *find_double_times(columns), *find_jitter(steady), *find_clock_drift(steady)]


def search(sensors: Iterable[Sequence[Signal]], zone: str = "") -> list[Suspicion]:
    """Return what is suspected of some sensors: of their values, of their times, and of each against its peers.

    Parameters
    ----------
    sensors
        The columns of one sensor after the other, each in the order in which it was recorded.
    zone
        The zone whose summer time the wall clocks may follow; empty to try those in wide use.
    """
    found: list[Suspicion] = []
    peers: dict[str, list[Signal]] = defaultdict(list)
    for columns in sensors:
        if not columns or not len(columns[0]):
            continue
        found += search_times(columns, zone)
        for one in columns:
            told, sound = search_values(one)
            found += told
            peers[one.column].append(sound)
    for same in peers.values():
        found += find_against_peers(same)
    return ordered(found)


def ordered(found: Sequence[Suspicion]) -> list[Suspicion]:
    """Return suspicions by sensor and column, the surest first."""
    return sorted(found, key=lambda one: (one.sensor, one.column, -one.score, one.kind, one.time))
