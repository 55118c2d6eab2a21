"""How often each value of a column occurs: what quantiles of one pass over the data merge, and part again, by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_column
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.types import Float64s, Floats, Int64s

MOST = 1 << 24  # different values, at 16 bytes each


@dataclass(frozen=True, slots=True, eq=False)
class ValueCounts:
    """The finite values of a column, ascending and each once, and how often each occurs.

    `a + b` is the state of both columns together and `a - b` that of `a` without the values of `b`, both exact. The state grows with the
    number of different values: readings of a converter have few, measurements in full float64 as many as there are rows. Where these are
    too many, `Selection` finds the same quantiles in several passes and constant memory.

    Attributes
    ----------
    values
        ndarray of shape (n_values,), float64. -0.0 is 0.
    counts
        ndarray of shape (n_values,), int64, all positive.
    skipped
        NaN and infinities, which are counted and not held.
    """

    values: Float64s = field(default_factory=lambda: np.empty(0))
    counts: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    skipped: int = 0

    @classmethod
    def of(cls, values: Floats, *, most: int = MOST) -> ValueCounts:
        """Count a column.

        Parameters
        ----------
        values
            ndarray of shape (n_values,), float32 or float64.
        most
            Different values that may be held.

        Raises
        ------
        ArgumentError
            The array has another dtype or shape, or holds more than `most` different values.
        """
        check_column(values)
        finite = values[np.isfinite(values)]
        different, counts = np.unique(finite + finite.dtype.type(0), return_counts=True)
        return cls(different.astype(np.float64), counts.astype(np.int64), values.size - finite.size)._limited(most)

    def merged(self, other: ValueCounts, *, most: int = MOST) -> ValueCounts:
        """Return the counts of both columns together; errors are those of `of`."""
        return self._with(other, 1)._limited(most)

    def __add__(self, other: ValueCounts) -> ValueCounts:
        return self.merged(other)

    def __sub__(self, other: ValueCounts) -> ValueCounts:
        left = self._with(other, -1)
        if left.skipped < 0 or (left.counts < 0).any():
            gone = "NaN and infinities" if left.skipped < 0 else repr(float(left.values[np.argmin(left.counts)]))
            message = (
                f"cannot subtract counts that are no part of these: more of {gone} than there are; subtract only what was added before"
            )
            raise ArgumentError(message)
        there = left.counts > 0
        return ValueCounts(left.values[there], left.counts[there], left.skipped)

    @property
    def size(self) -> int:
        """Return how many finite values were counted."""
        return int(self.counts.sum())

    def quantiles(self, probabilities: Sequence[float]) -> Float64s:
        """Return exact quantiles, those that `quantiles` finds of the finite values, bit for bit; NaN where there are none."""
        return _weighted(self.values, self.counts, probabilities)

    def median(self) -> float:
        """Return the exact median; NaN where there are no values."""
        return float(self.quantiles([0.5])[0])

    def mad(self) -> float:
        """Return the median absolute deviation from the median, unscaled; NaN where there are no values."""
        if not self.values.size:
            return math.nan
        with np.errstate(over="ignore"):  # a range beyond float64
            away = np.abs(self.values - self.median())
        order = np.argsort(away, kind="stable")
        return float(_weighted(away[order], self.counts[order], [0.5])[0])

    def _with(self, other: ValueCounts, sign: int) -> ValueCounts:
        joined = np.concatenate((self.values, other.values))
        order = np.argsort(joined, kind="stable")  # of two ascending runs: one merge
        joined, counts = joined[order], np.concatenate((self.counts, sign * other.counts))[order]
        first = np.flatnonzero(np.concatenate(([True], joined[1:] != joined[:-1]))[: joined.size])
        summed = np.add.reduceat(counts, first) if first.size else counts
        return ValueCounts(joined[first], summed, self.skipped + sign * other.skipped)

    def _limited(self, most: int) -> ValueCounts:
        if self.values.size > most:
            message = (
                f"{self.values.size:,} different values, more than the {most:,} that exact counts may hold: go in passes with "
                "tamis_kernels.quantiles.Selection (of a file: tamis.normalizer.fit_parquet), or round to what the sensor resolves"
            )
            raise ArgumentError(message)
        return self


def _weighted(values: Float64s, counts: Int64s, probabilities: Sequence[float]) -> Float64s:
    """Return quantiles of ascending values that occur several times."""
    if not values.size:
        return np.full(len(probabilities), np.nan)
    ends = np.cumsum(counts)
    size = int(ends[-1])
    places = np.asarray(probabilities, np.float64) * (size - 1)
    below = np.floor(places).astype(np.int64)
    low, high = (values[np.searchsorted(ends, rank, side="right")] for rank in (below, np.minimum(below + 1, size - 1)))
    return all_between(low, high, places)


def between(low: float, high: float, fraction: float) -> float:
    """Return what lies at a fraction of the way between two neighbours; where they are equal, or it is 0, the lower one."""
    if low == high or fraction == 0:
        return low
    distance = high - low
    return high - distance * (1 - fraction) if fraction >= 0.5 else low + distance * fraction


def all_between(low: Float64s, high: Float64s, places: Float64s) -> Float64s:
    """Return what `between` says of each two neighbours and the fraction of a place: slower for a few, much faster for a thousand."""
    fraction = places - np.floor(places)
    with np.errstate(invalid="ignore", over="ignore"):  # infinite neighbours, and a range beyond float64
        distance = high - low
        found = np.where(fraction >= 0.5, high - distance * (1 - fraction), low + distance * fraction)
    return np.where((low == high) | (fraction == 0), low, found)
