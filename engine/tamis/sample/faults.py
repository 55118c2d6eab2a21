"""Series of made-up sensors, and faults planted in them that nobody declares: codes, units, clocks, resolution, rails, copies, drift."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SECOND = 10**9
START = 1_704_067_200 * SECOND  # 2024-01-01
QUANTITIES = {
    # name: level, swing over a day, slow wander a row, noise, decimals, least, greatest
    "temperature": (14.0, 6.0, 0.05, 0.08, 2, -60.0, 60.0),
    "humidity": (62.0, 14.0, 0.1, 0.6, 1, 3.0, 98.5),
    "pressure": (1013.0, 1.0, 0.06, 0.05, 2, 900.0, 1080.0),
    "wind": (9.0, 1.5, 0.15, 0.35, 2, 0.3, 40.0),
    "level": (2.4, 0.25, 0.004, 0.006, 3, 0.05, 12.0),
    "voltage": (12.6, 0.5, 0.004, 0.01, 3, 9.0, 15.0),
    "soil": (0.31, 0.01, 0.0006, 0.0008, 4, 0.02, 0.6),
}


@dataclass(frozen=True, slots=True)
class Faulty:
    """A made-up series, and what is wrong in it.

    Attributes
    ----------
    quantity
        What it measures.
    time, value
        int64[n] nanoseconds, float64[n].
    places
        bool[n]: the rows with the fault.
    truth
        What was done.
    """

    quantity: str
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    places: NDArray[np.bool_]
    truth: Mapping[str, object] = field(default_factory=dict)


def clean_series(quantity: str, rows: int, rng: np.random.Generator, step: int = 600 * SECOND, start: int = START) -> Faulty:
    """Return a sound series: a day's swing, a slow wander that returns, and noise, rounded as the instrument rounds."""
    level, swing, wander, noise, decimals, least, greatest = QUANTITIES[quantity]
    time = start + np.arange(rows, dtype=np.int64) * step
    day = 2 * np.pi * (time - start) / (86_400 * SECOND)
    shocks = rng.normal(0, wander, rows)
    slow = np.empty(rows)
    held = 0.0
    for i in range(rows):
        held = 0.998 * held + shocks[i]
        slow[i] = held
    value = level * rng.uniform(0.97, 1.03) + swing * rng.uniform(0.7, 1.2) * np.sin(day + rng.uniform(0, 6)) + slow
    value += rng.normal(0, noise * rng.uniform(0.7, 1.4), rows)
    # What is out of range is mirrored back into it: cut off it would pile up, which is a fault.
    return Faulty(
        quantity,
        time,
        np.asarray(np.round(greatest - np.abs(greatest - least - np.abs(value - least)), decimals), np.float64),
        np.zeros(rows, bool),
    )


def _rows(series: Faulty, rng: np.random.Generator, share: float = 0.01) -> NDArray[np.bool_]:
    """Draw single rows and short runs."""
    places = np.zeros(len(series.value), bool)
    while places.sum() < max(6, share * len(places)):
        first = int(rng.integers(0, len(places)))
        places[first : first + int(rng.integers(1, 5))] = True
    return places


def _span(series: Faulty, rng: np.random.Generator, least: float = 0.1) -> NDArray[np.bool_]:
    """Draw a span of a tenth to four tenths of the rows, now and then up to the last row."""
    rows = len(series.value)
    length = int(rows * rng.uniform(least, 0.4))
    first = rows - length if rng.random() < 0.3 else int(rng.integers(rows // 20, rows - length))
    places = np.zeros(rows, bool)
    places[first : first + length] = True
    return places


CODES = (-9999.0, -999.0, 9999.0, 65535.0, 32767.0, -32768.0, 1e20, -6999.0, 99999.0, -888.8, 4242.0)


def sentinel(series: Faulty, rng: np.random.Generator, codes: Sequence[float] = CODES) -> Faulty:
    """Write a code in place of some values."""
    places, code = _rows(series, rng), float(rng.choice(codes))
    return replace(series, value=np.where(places, code, series.value), places=places, truth={"code": code})


UNITS: Mapping[str, tuple[tuple[str, float, float, int], ...]] = {
    "temperature": (("°F", 1.8, 32.0, 2), ("K", 1.0, 273.15, 2), ("10", 10.0, 0.0, 1)),
    "humidity": (("fraction", 0.01, 0.0, 3), ("10", 10.0, 0.0, 0)),
    "pressure": (("kPa", 0.1, 0.0, 3), ("Pa", 100.0, 0.0, 0), ("mmHg", 0.750061683, 0.0, 2), ("inHg", 0.0295299831, 0.0, 3)),
    "wind": (("km/h", 3.6, 0.0, 2), ("kn", 1.94384449, 0.0, 2), ("mph", 2.23693629, 0.0, 2)),
    "level": (("ft", 3.2808399, 0.0, 3), ("cm", 100.0, 0.0, 1), ("mm", 1000.0, 0.0, 0)),
    "voltage": (("mV", 1000.0, 0.0, 0), ("10", 10.0, 0.0, 2)),
    "soil": (("percent", 100.0, 0.0, 2), ("10", 10.0, 0.0, 3)),
}


def unit(series: Faulty, rng: np.random.Generator, most: int = 9) -> Faulty:
    """Tell a span in another unit, one of the first so many, rounded as a display would."""
    units = UNITS[series.quantity][:most]
    name, scale, offset, decimals = units[int(rng.integers(len(units)))]
    places = _span(series, rng)
    told = np.round(series.value * scale + offset, decimals)
    return replace(
        series, value=np.where(places, told, series.value), places=places, truth={"unit": name, "scale": scale, "offset": offset}
    )


def saturation(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Cut the series off at a rail."""
    high = bool(rng.random() < 0.7)
    rail = float(np.quantile(series.value, rng.uniform(0.85, 0.97) if high else rng.uniform(0.03, 0.15), method="nearest"))
    places = series.value > rail if high else series.value < rail
    return replace(series, value=np.where(places, rail, series.value), places=places, truth={"rail": rail, "high": high})


def resolution(series: Faulty, rng: np.random.Generator, least: float = 0.1) -> Faulty:
    """Round a span, or all from some row on, more coarsely."""
    places = _span(series, rng, least)
    decimals = QUANTITIES[series.quantity][4]
    coarse = float(rng.choice([5.0, 10.0])) * 10.0**-decimals
    told = np.round(np.round(series.value / coarse) * coarse, decimals)
    return replace(series, value=np.where(places, told, series.value), places=places, truth={"step": coarse})


def interpolated(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Fill a gap by a straight line, of those drawn the one whose ends differ most: a level one would be a flat spell."""
    length = int(rng.integers(30, 60))
    firsts = rng.integers(1, len(series.value) - length, 20)
    ends = series.value[firsts + length] - series.value[firsts - 1]
    first = int(firsts[np.argmax(np.abs(ends))])
    places = np.zeros(len(series.value), bool)
    places[first : first + length] = True
    filled = np.interp(series.time, series.time[~places], series.value[~places])
    return replace(series, value=filled, places=places, truth={"from": series.value[first - 1], "to": series.value[first + length]})


def jitter(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Let the times tremble by some hundredths of the step."""
    step = int(series.time[1] - series.time[0])
    size = rng.uniform(0.04, 0.15)
    time = series.time + np.round(rng.normal(0, size * step, len(series.time)) / 1e6).astype(np.int64) * 10**6
    return replace(series, time=np.sort(time), places=np.ones(len(time), bool), truth={"share": size})


def clock_drift(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Let the clock go fast or slow."""
    ppm = float(rng.choice([-1, 1]) * rng.uniform(30, 400))
    time = series.time[0] + np.round((series.time - series.time[0]) * (1 + ppm * 1e-6) / 1e6).astype(np.int64) * 10**6
    return replace(series, time=time, places=np.ones(len(time), bool), truth={"ppm": ppm})


def clock_reset(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Let the clock begin anew at an epoch, until somebody sets it."""
    places = _span(series, rng)
    first = int(np.argmax(places))
    epoch = int(rng.choice([0, 315_964_800, 946_684_800])) * SECOND
    shift = epoch + int(rng.integers(0, 60)) * SECOND - int(series.time[first])
    return replace(series, time=series.time + np.where(places, shift, 0), places=places, truth={"shift": shift})


def epoch_unit(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Read the times of a span in the wrong unit."""
    places = _span(series, rng)
    return replace(series, time=np.where(places, series.time // 1000, series.time), places=places, truth={"factor": 1000})


ZONES = ("Europe/Berlin", "America/New_York", "Europe/London", "Australia/Sydney")


def dst(series: Faulty, rng: np.random.Generator, zones: Sequence[str] = ZONES) -> Faulty:
    """Tell the times, which are those of UTC, by the wall clock of a zone with summer time."""
    zone = str(rng.choice(zones))
    walls = np.array([_offset(zone, int(at)) for at in series.time], np.int64)
    places = np.zeros(len(walls), bool)
    places[np.flatnonzero(np.diff(walls)) + 1] = True
    return replace(series, time=series.time + walls, places=places, truth={"zone": zone})


def _offset(zone: str, at: int) -> int:
    moved = datetime.fromtimestamp(at // SECOND, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if moved is None else int(moved.total_seconds()) * SECOND


def counter_reset(series: Faulty, rng: np.random.Generator, anew: bool | None = None) -> Faulty:
    """Make it a counter that begins anew, or overflows 16 bits; by chance where none is asked for."""
    rows = len(series.value)
    count = np.cumsum(rng.poisson(30, rows)).astype(np.float64)
    places = np.zeros(rows, bool)
    if anew is None:
        anew = bool(rng.random() < 0.5)
    if anew:
        at = int(rng.integers(rows // 10, rows - rows // 10))
        count[at:] -= count[at]
        places[at] = True
    else:
        count = (count + rng.integers(30_000, 60_000)) % 65536
        places[1:] = np.diff(count) < 0
    return replace(series, value=count, places=places, truth={"anew": anew})


def repeated_block(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Write a block of rows again, later, as if it were new."""
    rows = len(series.value)
    length = int(rng.integers(40, rows // 4))
    first = int(rng.integers(0, rows - 2 * length))
    to = int(rng.integers(first + length, rows - length + 1))
    value, places = series.value.copy(), np.zeros(rows, bool)
    value[to : to + length] = value[first : first + length]
    places[to : to + length] = True
    return replace(series, value=value, places=places, truth={"rows": to - first})


def overlap(series: Faulty, rng: np.random.Generator, differs: bool | None = None) -> Faulty:
    """Append rows once more, as a second export would, now and then half of them with other values."""
    rows = len(series.value)
    length = int(rng.integers(20, rows // 4))
    first = int(rng.integers(0, rows - length))
    again = series.value[first : first + length].copy()
    if differs is None:
        differs = bool(rng.random() < 0.5)
    if differs:
        again[: length // 2] = np.round(again[: length // 2] + 1.0, 2)
    time, value = np.concatenate([series.time, series.time[first : first + length]]), np.concatenate([series.value, again])
    places = np.arange(len(time)) >= rows
    return replace(series, time=time, value=value, places=places, truth={"differs": differs, "first": first})


FAULTS: Mapping[str, Callable[[Faulty, np.random.Generator], Faulty]] = {
    one.__name__: one
    for one in (
        sentinel, unit, saturation, resolution, jitter, clock_drift, clock_reset, epoch_unit, dst, counter_reset, repeated_block, overlap,
        interpolated,
    )
}  # fmt: skip
"""Each kind of fault of one series: a function of a sound series and a generator."""


def station(quantity: str, sensors: int, rows: int, rng: np.random.Generator) -> list[Faulty]:
    """Return sensors that see the same weather, each with its own offset and noise."""
    noise, decimals = QUANTITIES[quantity][3:5]
    truth = clean_series(quantity, rows, rng)
    spread = 2 * noise
    values = [truth.value + rng.normal(0, spread) + rng.normal(0, noise, rows) for _ in range(sensors)]
    return [replace(truth, value=np.asarray(np.round(value, decimals), np.float64)) for value in values]


def peer_unit(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Tell a whole series in another unit."""
    name, scale, offset, decimals = UNITS[series.quantity][int(rng.integers(len(UNITS[series.quantity])))]
    value = np.round(series.value * scale + offset, decimals)
    return replace(series, value=value, places=np.ones(len(value), bool), truth={"unit": name, "scale": scale, "offset": offset})


def peer_drift(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Let a sensor drift away from its peers."""
    noise, decimals = QUANTITIES[series.quantity][3:5]
    first = int(rng.integers(0, len(series.value) // 2))
    ramp = np.maximum(0, np.arange(len(series.value)) - first) / (len(series.value) - first)
    size = float(rng.choice([-1, 1]) * rng.uniform(8, 20) * noise)
    return replace(series, value=np.round(series.value + size * ramp, decimals), places=ramp > 0, truth={"size": size})


def peer_shift(series: Faulty, rng: np.random.Generator) -> Faulty:
    """Let a sensor shift by a step against its peers."""
    noise, decimals = QUANTITIES[series.quantity][3:5]
    places = np.arange(len(series.value)) >= int(len(series.value) * rng.uniform(0.2, 0.8))
    size = float(rng.choice([-1, 1]) * rng.uniform(8, 20) * noise)
    return replace(series, value=np.round(series.value + np.where(places, size, 0.0), decimals), places=places, truth={"size": size})


PEER_FAULTS: Mapping[str, Callable[[Faulty, np.random.Generator], Faulty]] = {
    "peer_unit": peer_unit,
    "peer_drift": peer_drift,
    "peer_shift": peer_shift,
}
"""Each kind of fault that peers show."""


def track(rows: int, rng: np.random.Generator) -> tuple[Faulty, Faulty]:
    """Return latitude and longitude of a place that wanders a little."""
    time, sound = START + np.arange(rows, dtype=np.int64) * 600 * SECOND, np.zeros(rows, bool)
    latitude, longitude = (
        np.round(middle + np.cumsum(rng.normal(0, 2e-4, rows)), 5) for middle in (rng.uniform(40, 60), rng.uniform(-10, 30))
    )
    return Faulty("latitude", time, latitude, sound), Faulty("longitude", time, longitude, sound)


def swapped(latitude: Faulty, longitude: Faulty, rng: np.random.Generator) -> tuple[Faulty, Faulty]:
    """Exchange latitude and longitude in a span."""
    places = _span(latitude, rng)
    north, east = (np.where(places, other.value, one.value) for one, other in ((latitude, longitude), (longitude, latitude)))
    return replace(latitude, value=north, places=places), replace(longitude, value=east, places=places)


TOLD_AS: Mapping[str, tuple[str, ...]] = {
    "dst": ("wall_clock",),
    "overlap": ("duplicate_time", "conflicting_time"),
    "peer_unit": ("unit",),
    "peer_drift": ("drift",),
    "peer_shift": ("shift",),
}
"""The kinds that discovery calls otherwise."""
