"""The field of a sample: instruments with the faults that nobody declares, each kind planted in rows that the truth names."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.sample import faults
from tamis.sample.faults import SECOND, Faulty
from tamis.sample.truth import Planted, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Fault = Callable[[Faulty, np.random.Generator], Faulty]

FOLDER = "field"
LEAST_STEPS = 300
QUANTITIES = ("temperature", "level", "voltage")
UNDECLARED = (65535.0, 32767.0, -6999.0, 4242.0)  # codes that are not null by default as they are read


def no_fault(series: Faulty, rng: np.random.Generator) -> Faulty:  # noqa: ARG001 - one of the faults
    """Leave a series as it is."""
    return series


# Each station's fault, and the quantity that it is planted in; those of clocks and of exports concern all of them.
STATIONS: Mapping[str, tuple[str, str, Fault]] = {
    "avocet": ("sentinel", "voltage", partial(faults.sentinel, codes=UNDECLARED)),
    "bittern": ("unit", "temperature", partial(faults.unit, most=2)),
    "curlew": ("saturation", "level", faults.saturation),
    "dunlin": ("resolution", "temperature", partial(faults.resolution, least=0.25)),
    "eider": ("repeated_block", "level", faults.repeated_block),
    "fulmar": ("peer_unit", "level", faults.peer_unit),
    "gannet": ("peer_drift", "temperature", faults.peer_drift),
    "heron": ("peer_shift", "voltage", faults.peer_shift),
    "ibis": ("jitter", "", faults.jitter),
    "jackdaw": ("clock_drift", "", faults.clock_drift),
    "kestrel": ("clock_reset", "", faults.clock_reset),
    "lapwing": ("epoch_unit", "", faults.epoch_unit),
    "merlin": ("overlap", "", partial(faults.overlap, differs=False)),
    "nightjar": ("overlap", "", partial(faults.overlap, differs=True)),
    "osprey": ("interpolated", "voltage", faults.interpolated),
    "plover": ("", "", no_fault),
    "quail": ("", "", no_fault),
    "redshank": ("", "", no_fault),
}
METERS: Mapping[str, bool] = {"meter-1": True, "meter-2": False}  # whether the counter begins anew; the other one overflows
CHANGE = int(datetime(2024, 10, 27, 1, tzinfo=UTC).timestamp()) * SECOND  # the end of summer time in Europe
ZONES = ("Europe/Berlin", "Europe/London")


class Recording(NamedTuple):
    """What one instrument wrote, in the order in which it did, and what is wrong with it.

    Attributes
    ----------
    sensor
        Its name.
    series
        One for each of its columns; they share their times, and the rows at the end that a second export added.
    planted
        Kind of the fault, its column (empty: it is in the times, or in whole rows), and the series that knows its places.
    """

    sensor: str
    series: Sequence[Faulty]
    planted: Sequence[tuple[str, str, Faulty]] = ()


def write_field(corpus: Path, seed: int, steps: int) -> tuple[list[Truth], list[Planted]]:
    """Write the tables of the field, `steps` rows for each instrument, and return the truth about each row and about each fault."""
    rng = np.random.default_rng([seed, 6])
    steps = max(LEAST_STEPS, steps)
    (corpus / FOLDER).mkdir()
    truths: list[Truth] = []
    planted: list[Planted] = []
    for name, sensor, recordings in (
        ("stations", "station", _stations(steps, rng)),
        ("gauges", "gauge", _gauges(steps, rng)),
        ("meters", "meter", _meters(steps, rng)),
        ("buoys", "buoy", _buoys(steps, rng)),
    ):
        first = f"{FOLDER}/{name}.parquet"
        starts = {one.sensor: number * steps for number, one in enumerate(recordings)}
        for record, number in ((first, 0), (f"{FOLDER}/{name}_2.parquet", 1)):
            exports = [one for each in recordings if (one := _exported(each, steps, number))]
            if exports:
                start = 0
                for one in exports:
                    truths += _of_rows(record, start, one, f"{first}#", starts[one.sensor])
                    planted += _of_faults(record, start, one)
                    start += len(one.series[0].time)
                _write(corpus / record, sensor, exports)
    return truths, planted


def _stations(steps: int, rng: np.random.Generator) -> list[Recording]:
    """Return stations that see the same weather, each of which measures it all."""
    weather = [faults.station(quantity, len(STATIONS), steps, rng) for quantity in QUANTITIES]
    recordings = []
    for sound, (name, (kind, column, plant)) in zip(zip(*weather, strict=True), STATIONS.items(), strict=True):
        faulty = plant(sound[QUANTITIES.index(column or QUANTITIES[0])], rng)
        if column:
            series = [faulty if one.quantity == column else one for one in sound]
        else:
            series = [faulty, *(_like(faulty, one) for one in sound[1:])]
        recordings.append(Recording(name, series, _told(kind, column, faulty, steps)))
    return recordings


def _like(faulty: Faulty, other: Faulty) -> Faulty:
    """Return another column of the same rows: with these times, and with the rows that were added."""
    first, added = int(str(faulty.truth.get("first", 0))), len(faulty.time) - len(other.time)
    return replace(faulty, quantity=other.quantity, value=np.concatenate([other.value, other.value[first : first + added]]))


def _told(kind: str, column: str, faulty: Faulty, rows: int) -> list[tuple[str, str, Faulty]]:
    """Return what was planted by the names that discovery has: rows added twice may differ in some, and be equal in others."""
    if kind != "overlap":
        return [(faults.TOLD_AS.get(kind, (kind,))[0], column, faulty)] if kind else []
    first, again = int(str(faulty.truth["first"])), np.arange(len(faulty.time)) - rows
    other = faulty.places & (faulty.value != faulty.value[np.maximum(first + again, 0)])
    halves = (("duplicate_time", faulty.places & ~other), ("conflicting_time", other))
    return [(name, column, replace(faulty, places=places)) for name, places in halves if places.any()]


def _gauges(steps: int, rng: np.random.Generator) -> list[Recording]:
    """Return two gauges by the hour, of which one follows the wall clock past the end of summer time."""
    hour = 3600 * SECOND
    sound = [faults.clean_series("level", steps, rng, hour, CHANGE - (steps // 2) * hour) for _ in range(2)]
    wall = faults.dst(sound[0], rng, ZONES)
    return [Recording("gauge-1", [wall], _told("dst", "", wall, steps)), Recording("gauge-2", sound[1:])]


def _meters(steps: int, rng: np.random.Generator) -> list[Recording]:
    """Return counters, one that begins anew and one that overflows."""
    sound = faults.clean_series("level", steps, rng)
    counters = [replace(faults.counter_reset(sound, rng, anew), quantity="count") for anew in METERS.values()]
    return [Recording(name, [one], _told("counter_reset", "count", one, steps)) for name, one in zip(METERS, counters, strict=True)]


def _buoys(steps: int, rng: np.random.Generator) -> list[Recording]:
    """Return two buoys, of which one has its coordinates exchanged in a span."""
    faulty = faults.swapped(*faults.track(steps, rng), rng)
    return [Recording("buoy-1", faulty, _told("swapped", "latitude", faulty[0], steps)), Recording("buoy-2", faults.track(steps, rng))]


def _exported(one: Recording, steps: int, number: int) -> Recording | None:
    """Return what the first export of a recording holds, which is `steps` rows, or the second."""
    rows = slice(steps, None) if number else slice(steps)

    def part(series: Faulty) -> Faulty:
        return replace(series, time=series.time[rows], value=series.value[rows], places=series.places[rows])

    planted = [(kind, column, cut) for kind, column, each in one.planted if (cut := part(each)).places.any()]
    series = [part(each) for each in one.series]
    return Recording(one.sensor, series, planted) if len(series[0].time) else None


def _write(path: Path, sensor: str, exports: Sequence[Recording]) -> None:
    times = np.concatenate([one.series[0].time for one in exports]) // 1000
    columns = {
        "time": pa.array(times, pa.timestamp("us")),
        sensor: pa.array([one.sensor for one in exports for _ in one.series[0].time], pa.string()),
    }
    for place, series in enumerate(exports[0].series):
        columns[series.quantity] = pa.array(np.concatenate([one.series[place].value for one in exports]))
    pq.write_table(pa.table(columns), path)


def _of_rows(record: str, start: int, one: Recording, origin: str, begin: int) -> Iterator[Truth]:
    """Yield the truth about each row of an instrument; what was exported twice is equal to a row of `origin`, from `begin` on."""
    for at in range(len(one.series[0].time)):
        kind, column, faulty = next((each for each in one.planted if each[2].places[at]), ("none", "", None))
        row = f"{record}#{start + at}"
        if faulty is None:
            yield Truth(row, "series")
        elif kind == "duplicate_time":
            original = f"{origin}{begin + int(str(faulty.truth['first'])) + at}"
            yield Truth(row, "series", kind, "reject", original, "every cell the same, exported again")
        else:
            detail = ", ".join(f"{name} {value}" for name, value in faulty.truth.items())
            yield Truth(row, "series", kind, detail=f"{column or 'row'}: {detail}")


def _of_faults(record: str, start: int, one: Recording) -> Iterator[Planted]:
    for kind, column, faulty in one.planted:
        places = np.flatnonzero(faulty.places)
        first, last = (int(faulty.time[places[end]]) // 1000 for end in (0, -1))
        yield Planted(record, one.sensor, column, kind, start + int(places[0]), len(places), first, last, json.dumps(faulty.truth))
