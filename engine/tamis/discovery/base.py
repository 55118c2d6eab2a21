"""What finders look at, and what they say: a series, and a suspicion with its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SECOND = 10**9
DAY = 86_400 * SECOND
LARGEST = 1e100  # beyond all codes and readings; steps between such numbers do not overflow
MAD = 1.4826  # the standard deviation of normal data by its median absolute deviation


@dataclass(frozen=True, slots=True)
class Signal:
    """One column of one sensor, in the order in which it was recorded.

    Attributes
    ----------
    time
        int64[n]: nanoseconds since 1970.
    value
        float64[n].
    valid
        bool[n]: False where there is no value.
    rows
        int64[n]: each row's number in the source.
    column, sensor
        Their names.
    """

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    valid: NDArray[np.bool_]
    rows: NDArray[np.int64]
    column: str = "value"
    sensor: str = ""

    @classmethod
    def of(cls, time: NDArray[np.int64], value: NDArray[np.floating[Any]], *, column: str = "value", sensor: str = "") -> Signal:
        """Make a series of times and values; NaN and what is beyond 1e100 are no values."""
        numbers = np.ascontiguousarray(value, np.float64)
        return cls(np.ascontiguousarray(time, np.int64), numbers, readable(numbers), np.arange(len(numbers)), column, sensor)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)

    def without(self, places: NDArray[np.bool_]) -> Signal:
        """Return the series with no value where `places` is true."""
        return replace(self, valid=self.valid & ~places)

    def only(self, places: NDArray[np.bool_] | NDArray[np.int64]) -> Signal:
        """Return the rows at some places."""
        return replace(self, time=self.time[places], value=self.value[places], valid=self.valid[places], rows=self.rows[places])

    def values(self) -> Signal:
        """Return the rows that have a value."""
        return self.only(self.valid)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A fault that nobody declared, with what speaks for it.

    Attributes
    ----------
    kind
        Stable word: `sentinel`, `unit`, `saturation`, …
    sensor, column
        Where; the column is empty where it is about the times.
    row, time
        Row of the source and time of the first place.
    last
        Time of the last place.
    count
        How many rows are concerned.
    figure, limit
        The number that the finder goes by, and what it must reach; see `score`.
    says
        A sentence with the evidence.
    remedy
        What is done once it is confirmed: `action` and its arguments; empty where there is nothing to do but to know.
    evidence
        Further numbers.
    """

    kind: str
    sensor: str
    column: str
    row: int
    time: int
    last: int
    count: int
    figure: float
    limit: float
    says: str
    remedy: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """How sure it is, by one rule for all kinds: 1 - limit / (2 figure), which is 0.5 at the limit and 0.75 at twice the limit."""
        return 1 - self.limit / (2 * max(self.figure, self.limit))


def suspicion(
    kind: str,
    series: Signal,
    places: NDArray[np.int64],
    figure: float,
    limit: float,
    says: str,
    *,
    of_times: bool = False,
    remedy: Mapping[str, Any] | None = None,
    **evidence: float | str,
) -> Suspicion:
    """Say something about some places of a series, which rise; where `of_times`, about the times and not about the column."""
    times = series.time[places]
    return Suspicion(
        kind,
        series.sensor,
        "" if of_times else series.column,
        int(series.rows[places[0]]),
        int(times[0]),
        int(times[-1]),
        len(places),
        float(figure),
        float(limit),
        says,
        remedy or {},
        evidence,
    )


def readable(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which numbers can be readings or codes."""
    return np.abs(value) <= LARGEST


def runs(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return first and last place of each run of true flags, int64[k, 2]."""
    edges = np.diff(np.concatenate([[0], flags.view(np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1], axis=1)


def period(time: NDArray[np.int64]) -> int:
    """Return the step that most rows have, 0 where fewer than a fifth of the rows share one within a thousandth."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    if len(steps) < 4:
        return 0
    found, counts = np.unique(steps, return_counts=True)
    exact = int(found[np.argmax(counts)])
    if counts.max() * 5 >= len(steps):
        return exact
    middle = float(np.median(steps))
    near = np.abs(steps - middle) <= max(middle * 0.2, 1)
    return round(float(np.median(steps[near]))) if near.sum() * 2 >= len(steps) else 0


def duration(nanoseconds: float) -> str:
    """Write a length of time as people do."""
    seconds = abs(nanoseconds) / SECOND
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds * 1000:.4g} ms"


def number_of(number: int, noun: str) -> str:
    """Spell a number of things: `1 row`, `1,234 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def moment(nanoseconds: int) -> str:
    """Write a time as ISO 8601."""
    return str(np.datetime64(nanoseconds // SECOND, "s"))
