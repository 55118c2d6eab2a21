"""All finders over the series of some sensors, each in the light of what was found before it."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import Signal, readable
from tamis.discovery.clocks import find_clock_drift, find_clock_resets, find_jitter, find_wall_clock
from tamis.discovery.copies import find_double_times, find_repeated_blocks
from tamis.discovery.instruments import find_counter_resets, find_resolution_changes, find_saturation
from tamis.discovery.lines import find_interpolated
from tamis.discovery.peers import MOST, Profile, bins, find_against_peers
from tamis.discovery.positions import find_swapped
from tamis.discovery.sentinels import find_sentinels
from tamis.discovery.units import find_unit_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tamis.discovery.base import Suspicion
    from tamis.series import Series


def search_values(series: Signal) -> list[Suspicion]:
    """Return what is suspected of the values of one series."""
    codes = find_sentinels(series)
    series = sound(series, codes)
    counters = find_counter_resets(series)
    if counters:
        return codes + counters
    units = find_unit_changes(series)
    series = sound(series, units)
    finders = (find_saturation, find_resolution_changes, find_interpolated, find_repeated_blocks)
    return [*codes, *units, *(one for find in finders for one in find(series))]


def sound(series: Signal, told: Iterable[Suspicion]) -> Signal:
    """Return a series without the values that are suspected to be codes, in another unit, of another time or place, or a count."""
    doubtful = np.zeros(len(series), bool)
    for one in told:
        if one.kind == "sentinel":
            doubtful |= series.value == one.remedy["value"]
        elif one.kind in {"unit", "repeated_block", "swapped"}:
            for first, last in one.remedy["spans"]:
                doubtful |= (series.time >= first) & (series.time <= last)
        elif one.kind == "counter_reset":
            doubtful[:] = True
    return series.without(doubtful)


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


def search(sensors: Callable[[], Iterable[Sequence[Signal]]], zone: str = "") -> list[Suspicion]:
    """Return what is suspected of some sensors: of their values, of their times, and of each against its peers.

    The sensors are read twice; no more than one is held at a time, and 48 KB of each series for its peers.

    Parameters
    ----------
    sensors
        Gives the columns of one sensor after the other, each in the order in which it was recorded.
    zone
        The zone whose summer time the wall clocks may follow; empty to try those in wide use.
    """
    found: list[Suspicion] = []
    spans: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    of_values: dict[tuple[str, str], list[Suspicion]] = {}
    for columns in sensors():
        if not columns or not len(columns[0]):
            continue
        swapped = find_swapped(columns)
        found += search_times(columns, zone) + swapped
        for one in columns:
            known = [each for each in swapped if one.column in (each.column, each.remedy["with"])]
            told = search_values(sound(one, known))
            found += told
            of_values[one.sensor, one.column] = known + told
            there = sound(one, known + told).values()
            if len(there):
                spans[one.column].append((int(there.time.min()), int(there.time.max()), len(there)))
    edges = {column: bins(each) for column, each in spans.items() if len(each) > 2}
    profiles: dict[str, list[Profile]] = defaultdict(list)
    for columns in sensors() if edges else ():
        for one in columns:
            if one.column in edges and len(profiles[one.column]) < MOST:
                profiles[one.column].append(Profile.of(sound(one, of_values.get((one.sensor, one.column), ())), edges[one.column]))
    for same in profiles.values():
        found += find_against_peers(same)
    return sorted(found, key=lambda one: (one.sensor, one.column, -one.score, one.kind, one.time))


def sensors(series: Sequence[Series]) -> Iterator[list[Signal]]:
    """Yield the columns of each sensor, in the order of their rows, from series on disk."""
    for _, columns in groupby(series, key=lambda one: one.sensor):
        yield [_signal(one) for one in columns]


def _signal(series: Series) -> Signal:
    chunk = series.read()
    order = np.argsort(chunk.row, kind="stable")
    valid = chunk.valid & readable(chunk.value)
    return Signal(chunk.time[order], chunk.value[order], valid[order], chunk.row[order], series.column, series.sensor or "")
