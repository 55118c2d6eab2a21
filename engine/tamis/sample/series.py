"""The series of a sample: readings of loggers by the minute, with the faults of instruments planted as events whose readings are known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from tamis.sample.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RECORD = "series.parquet"
START = datetime(2024, 6, 3, tzinfo=UTC)
LOGGERS = ("logger-1", "logger-2", "logger-3")
CHANNELS = ("temperature", "level")
LEAST_STEPS = 400  # each fault once in each channel
SLOT = 40  # readings, in which one event lies; a quarter of the slots have one
MINUTE = 60_000_000_000
NOISE, RESOLUTION = 0.05, 0.01
RAIL = 12.0  # what a level meter shows at most


class Event(NamedTuple):
    """A fault in consecutive readings of a channel: the first, how many, and what exactly was done."""

    start: int
    length: int
    detail: str


def write_series(corpus: Path, seed: int, rows: int) -> Iterator[Truth]:
    """Write about `rows` rows, by time and then by logger, and yield the truth about each."""
    rng = np.random.default_rng([seed, 5])
    steps = max(LEAST_STEPS, rows // len(LOGGERS))
    parts = [_logger(name, steps, rng) for name in LOGGERS]
    table = pl.concat(parts).sort("timestamp", "logger", maintain_order=True)
    table.drop("fault", "detail").write_parquet(corpus / RECORD)
    for row, (fault, detail) in enumerate(table.select("fault", "detail").iter_rows()):
        yield Truth(f"{RECORD}#{row}", "series", fault, "keep", detail=detail)


def _logger(name: str, steps: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return the rows of one logger with its faults, and beside each row what was planted in it."""
    time = np.arange(steps, dtype=np.int64)
    values = {"temperature": _temperature(time, rng), "level": _level(time, rng)}
    fault, detail = np.full(steps, "none", object), np.full(steps, "", object)
    slots = rng.permutation(steps // SLOT - 1) + 1  # the first readings are sound
    kinds = [(kind, channel) for kind in FAULTS for channel in CHANNELS if (kind, channel) not in NOT_PLANTED]
    keep, copies = np.ones(steps, bool), np.ones(steps, np.int64)
    rng.shuffle(kinds)
    many = max(len(kinds), len(slots) // 4)
    for number, slot in enumerate(slots[:many].tolist()):
        kind, channel = kinds[number % len(kinds)]
        start = slot * SLOT + int(rng.integers(2, 6))
        event = FAULTS[kind](values[channel], start, rng)
        if kind == "gap":
            keep[event.start : event.start + event.length] = False
            fault[event.start + event.length], detail[event.start + event.length] = kind, event.detail
            continue
        if kind == "duplicate_time":
            copies[event.start] = 2
        where = slice(event.start, event.start + event.length)
        fault[where], detail[where] = kind, f"{channel}, event {name} {number}: {event.detail}"
    frame = pl.DataFrame({"timestamp": pl.Series(time * MINUTE // 1000).cast(pl.Duration("us")) + START, "logger": name, **values})
    frame = frame.with_columns(pl.Series("fault", fault, pl.String), pl.Series("detail", detail, pl.String))
    return _repeated(frame.filter(pl.Series(keep)), copies[keep])


def _repeated(frame: pl.DataFrame, copies: NDArray[np.int64]) -> pl.DataFrame:
    """Repeat rows, each time with other values: a second reading of the same time."""
    again = frame.filter(pl.Series(copies > 1)).with_columns(pl.col(CHANNELS) + 0.5)
    return pl.concat([frame, again]).sort("timestamp", maintain_order=True)


def _temperature(time: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    day = 2 * np.pi * time / 1440
    return _rounded(14 + 6 * np.sin(day + rng.uniform(0, 6)) + rng.normal(0, NOISE, len(time)))


def _level(time: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    tide = 2 * np.pi * time / 745
    return _rounded(8 + 2 * np.sin(tide + rng.uniform(0, 6)) + rng.normal(0, NOISE, len(time)))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(values / RESOLUTION) * RESOLUTION


def _spike(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:
    size = float(rng.choice([-1, 1]) * rng.uniform(1, 3))
    values[start] = _rounded(values[start : start + 1] + size)[0]
    return Event(start, 1, f"{size:+.2f}")


def _out_of_range(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:
    length, level = int(rng.integers(1, 4)), float(rng.choice([-80.0, 95.0, 250.0]))
    values[start : start + length] = level + rng.integers(0, 5, length)
    return Event(start, length, f"about {level:g}")


def _stuck(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:
    length = int(rng.integers(18, 32))
    values[start : start + length] = values[start]
    return Event(start, length, f"stays at {values[start]:.2f}")


def _drift(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:
    length, size = 30, float(rng.choice([-1, 1]) * rng.uniform(1.5, 3))
    values[start : start + length] = _rounded(values[start : start + length] + np.linspace(0, size, length))
    return Event(start, length, f"moves off by {size:+.2f}, then comes back at once")


def _saturation(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:
    length = int(rng.integers(8, 16))
    values[start : start + length] = RAIL
    return Event(start, length, f"stands at the rail, {RAIL:g}")


def _gap(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:  # noqa: ARG001 - rows go, whatever they hold
    length = int(rng.integers(3, 20))
    return Event(start, length, f"{length} readings before this one are not there")


def _duplicate_time(values: NDArray[np.float64], start: int, rng: np.random.Generator) -> Event:  # noqa: ARG001 - the row comes twice
    return Event(start, 1, "two readings have this time")


FAULTS: dict[str, Callable[[NDArray[np.float64], int, np.random.Generator], Event]] = {
    "spike": _spike,
    "out_of_range": _out_of_range,
    "stuck": _stuck,
    "drift": _drift,
    "saturation": _saturation,
    "gap": _gap,
    "duplicate_time": _duplicate_time,
}
NOT_PLANTED = {("saturation", "temperature"), ("gap", "level"), ("duplicate_time", "level")}  # no rail; and whole rows come but once
