"""Imputation of a series by its good readings, a chunk at a time, by time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis_kernels.quantiles import quantiles_in_passes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

Method = Literal["none", "forward", "linear", "median", "seasonal"]
Season = Literal["day", "week"]
HOUR = 3_600_000_000_000
HOURS = {"day": 24, "week": 168}

Good = tuple["NDArray[np.int64]", "NDArray[np.float64]", "NDArray[np.bool_]"]
"""Times, values, and which of them are good."""


class Filling:
    """Values for readings that are not good.

    `learn` sees the series once or more, and `fill` then its chunks in order.

    Parameters
    ----------
    method
        `forward`: the last good value. `linear`: on the line through the good values before and after, by time. `median`: of the good
        values. `seasonal`: of those in the same hour of the day or of the week, in UTC; where there is none, nothing is filled.
    largest_gap
        Seconds: `forward` goes no farther than this from its value, and `linear` bridges no more.
    season
        Of `seasonal`.
    """

    def __init__(self, method: Method, largest_gap: float = math.inf, season: Season = "day") -> None:
        self._method = method
        self._gap = largest_gap * 1e9
        self._hours = HOURS[season] if method == "seasonal" else 1
        self._levels = np.empty(0)
        self._after: list[tuple[int, float] | None] = []
        self._before: tuple[int, float] | None = None

    def learn(self, parts: Callable[[], Iterable[Good]]) -> None:
        """Learn what the method needs of all chunks."""
        if self._method in ("median", "seasonal"):
            self._levels = self._medians(parts)
        elif self._method == "linear":
            firsts: list[tuple[int, float] | None] = []
            for time, value, good in parts():
                place = int(good.argmax()) if good.any() else -1
                firsts.append((int(time[place]), float(value[place])) if place >= 0 else None)
            after: tuple[int, float] | None = None
            for first in reversed(firsts):
                self._after.append(after)
                after = first or after

    def fill(
        self, time: NDArray[np.int64], value: NDArray[np.float64], good: NDArray[np.bool_], wanted: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return what fills the readings that are wanted, NaN for all others and where nothing can be said."""
        if self._method in ("median", "seasonal"):
            level = self._levels[self._bins(time)]
        elif self._method == "none":
            level = np.full(len(time), math.nan)
        else:
            level = self._between(time, value, good)
        return np.where(wanted, level, math.nan)

    def _between(self, time: NDArray[np.int64], value: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
        after = self._after.pop() if self._method == "linear" else None
        edges = [one for one in (self._before, after) if one]
        lead = 1 if self._before else 0
        times = np.concatenate(
            (np.array([edge[0] for edge in edges[:lead]], np.int64), time[good], [edge[0] for edge in edges[lead:]])
        ).astype(np.int64)
        values = np.concatenate(([edge[1] for edge in edges[:lead]], value[good], [edge[1] for edge in edges[lead:]]))
        passed = lead + np.cumsum(good)  # good readings up to each, of those in `times`
        if good.any():
            last = len(good) - 1 - int(good[::-1].argmax())
            self._before = int(time[last]), float(value[last])
        if not len(times):
            return np.full(len(time), math.nan)
        left = np.maximum(passed - 1, 0)
        since = (time - times[left]).astype(np.float64)
        if self._method == "forward":
            return np.where((passed > 0) & (since <= self._gap), values[left], math.nan)
        right = np.minimum(passed, len(times) - 1)
        width = (times[right] - times[left]).astype(np.float64)
        share = np.divide(since, width, out=np.zeros(len(time)), where=width > 0)
        level = values[left] + (values[right] - values[left]) * share
        return np.where((passed > 0) & (passed < len(times)) & (width <= self._gap), level, math.nan)

    def _bins(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        return (time // HOUR) % self._hours

    def _medians(self, parts: Callable[[], Iterable[Good]]) -> NDArray[np.float64]:
        """Return the exact median of the good values in each bin, NaN where there are none."""
        return quantiles_in_passes(lambda: self._by_bin(parts()), self._hours, (0.5,))[:, 0]

    def _by_bin(self, parts: Iterable[Good]) -> Iterator[tuple[int, NDArray[np.float64]]]:
        for time, value, good in parts:
            bins, values = self._bins(time[good]), value[good]
            order = np.argsort(bins, kind="stable")
            ends = np.cumsum(np.bincount(bins, minlength=self._hours)).tolist()
            for number, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
                if start < stop:
                    yield number, values[order[start:stop]]
