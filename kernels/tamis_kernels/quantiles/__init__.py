"""Exact quantiles of a column by radix select, over any number of chunks, shards and machines.

The bits of a float, with the negative ones inverted, order like the floats. A pass counts 16 of these bits, from the top, for
the few prefixes that hold a wanted rank: two passes find any order statistic of float32, four of float64. Where many are wanted,
passes after the first count 8 bits, so that the histograms stay small. Histograms of shards add up as integers, so the result
depends on the values alone. Where the data can be read only once, `ValueCounts` holds what quantiles need.

Median, interquartile range and median absolute deviation follow from the same selection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tamis_kernels.arrays import check_array, check_column
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError
from tamis_kernels.quantiles.counts import ValueCounts, all_between, between
from tamis_kernels.validity import valid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import DTypeLike

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Float64s, Floats, Int64s, Uint64s
    from tamis_kernels.validity import Validity

__all__ = ["Selection", "ValueCounts", "deviations", "interquartile_range", "mad", "median", "quantiles", "quantiles_in_passes"]

SAMPLE = 64  # values by which it is decided whether a column is worth a look at what its keys have in common
MANY = 16  # order statistics: from here on a pass after the first looks at 8 bits, and a column in memory is sorted


@dataclass(frozen=True, slots=True)
class Selection:
    """The state of a selection between two passes; immutable and picklable, so that workers can share it.

    ::

        selection = Selection.start([0.25, 0.5, 0.75], np.float32)
        while not selection.done:
            selection = selection.advance(sum(selection.count(chunk) for chunk in chunks))
        q25, q50, q75 = selection.values()

    Attributes
    ----------
    probabilities
        What is asked for, each in [0, 1].
    width
        Bits of the values' dtype.
    known
        Leading bits of the keys that are known by now.
    size
        Values without NaN; known after the first pass.
    targets
        Prefix of the key of each order statistic wanted: two for a probability, the one at or below its position and the next.
    ranks
        Rank of each order statistic among the values that share its prefix.
    """

    probabilities: tuple[float, ...]
    width: int
    known: int = 0
    size: int = 0
    targets: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()

    @classmethod
    def start(cls, probabilities: Sequence[float], dtype: DTypeLike) -> Selection:
        """Return the state before the first pass.

        Raises
        ------
        ArgumentError
            A probability is not in [0, 1], or the dtype is not float32 or float64.
        """
        wrong = [probability for probability in probabilities if not 0 <= probability <= 1]
        if wrong:
            message = f"probabilities must lie in [0, 1], got {wrong[0]!r}; divide percentages by 100"
            raise ArgumentError(message)
        _check_dtype(np.dtype(dtype))
        return cls(tuple(float(probability) for probability in probabilities), 8 * np.dtype(dtype).itemsize)

    @property
    def digit(self) -> int:
        """Bits that the next pass finds."""
        return min(16 if self.known == 0 or len(self.wanted()) <= MANY else 8, self.width - self.known)

    @property
    def done(self) -> bool:
        """Whether all bits are known, or there is nothing to find."""
        return self.known == self.width or not self.probabilities

    def wanted(self) -> Uint64s:
        """Return the prefixes that the next pass counts below: the rows of its histogram, ascending."""
        return np.unique(np.array(self.targets if self.known else [0], np.uint64))

    def count(self, values: Floats, *, keep: Bools | None = None, validity: Validity | None = None, backend: AnyBackend = "auto") -> Int64s:
        """Return this pass's histogram of a chunk, to be added to those of the other chunks.

        Parameters
        ----------
        values
            ndarray of shape (n_values,) of the selection's dtype. NaN is skipped, infinities take part, -0.0 is 0.
        keep
            ndarray of shape (n_values,), bool. Values where it is False do not take part. None: all take part.
        validity
            In place of `keep`, a column's Arrow bitmap and the bit of the first value in it, as `tamis_kernels.validity.valid` takes them.
        backend
            Where to run.

        Returns
        -------
        ndarray of shape (n_prefixes, 2**digit), int64

        Raises
        ------
        ArgumentError
            An argument has the wrong dtype or shape, or the selection is done.
        """
        if self.done:
            message = "the selection is done: take its values(), or start another one"
            raise ArgumentError(message)
        chunk = _kept(values, keep, validity, backend)
        if 8 * chunk.itemsize != self.width:
            message = f"values must be float{self.width} like the selection, got {values.dtype}; start it with this dtype"
            raise ArgumentError(message)
        prefixes = self.wanted()
        histogram = np.zeros((prefixes.size, 1 << self.digit), np.int64)
        implementation("quantiles", backend, chunk.nbytes).count(chunk, prefixes, self.width - self.known - self.digit, histogram)
        return histogram

    def advance(self, histogram: Int64s) -> Selection:
        """Return the state after a pass, from the sum of its histograms."""
        prefixes = self.wanted()
        bits = self.digit
        if histogram.shape != (prefixes.size, 1 << bits):
            message = f"histogram must have shape {(prefixes.size, 1 << bits)}, got {histogram.shape}; add up the count() of this pass"
            raise ArgumentError(message)
        targets, ranks, size = self.targets, self.ranks, self.size
        if not ranks:
            size = int(histogram.sum())
            if size == 0:
                return replace(self, known=self.width)
            below = [math.floor(probability * (size - 1)) for probability in self.probabilities]
            ranks = tuple(min(rank + step, size - 1) for rank in below for step in (0, 1))
            targets = (int(prefixes[0]),) * len(ranks)
        cumulated = np.cumsum(histogram, axis=1)
        found = []
        for target, rank in zip(targets, ranks, strict=True):
            counts = cumulated[np.searchsorted(prefixes, np.uint64(target))]
            digit = int(np.searchsorted(counts, rank, side="right"))
            found.append((target << bits | digit, rank - (int(counts[digit - 1]) if digit else 0)))
        return replace(
            self,
            known=self.known + bits,
            size=size,
            targets=tuple(target for target, _ in found),
            ranks=tuple(rank for _, rank in found),
        )

    def values(self) -> Float64s:
        """Return the quantiles, shape (n_probabilities,): NaN where no value took part.

        Between two neighbours a <= b at the fraction t the quantile is a + (b - a)·t, or b - (b - a)·(1 - t) from t = 0.5
        on, in float64: numpy's `linear`. At t = 0, and where both are equal, it is a, so that infinities stay what they are.
        """
        if not self.done:
            message = f"{self.known} of {self.width} bits are known: advance() the selection until it is done"
            raise ArgumentError(message)
        if self.size == 0:
            return np.full(len(self.probabilities), np.nan)
        neighbours = _from_keys(np.array(self.targets, np.uint64), self.width).reshape(-1, 2).tolist()
        places = [probability * (self.size - 1) for probability in self.probabilities]
        return np.array([between(a, b, place - math.floor(place)) for (a, b), place in zip(neighbours, places, strict=True)])


def _from_sorted(values: Floats, probabilities: Sequence[float]) -> Float64s:
    if not values.size:
        return np.full(len(probabilities), np.nan)
    places = np.array(probabilities) * (values.size - 1)
    below = np.floor(places).astype(np.int64)
    low, high = (values[index].astype(np.float64) + 0.0 for index in (below, np.minimum(below + 1, values.size - 1)))  # -0.0 + 0.0 is 0.0
    return all_between(low, high, places)


def quantiles(
    values: Floats,
    probabilities: Sequence[float],
    *,
    method: Literal["linear"] = "linear",
    validity: Validity | None = None,
    backend: AnyBackend = "auto",
) -> Float64s:
    """Return exact quantiles of a column.

    Equal, bit for bit on finite values, to `numpy.nanquantile(values.astype("float64"), probabilities)`.

    Parameters
    ----------
    values
        ndarray of shape (n_values,), float32 or float64. NaN is skipped, infinities take part as the outermost values.
    probabilities
        Each in [0, 1].
    method
        How to interpolate between neighbours; see `Selection.values`.
    validity
        As for `Selection.count`.
    backend
        Where to run.

    Returns
    -------
    ndarray of shape (n_probabilities,), float64; NaN when no value takes part.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    if method != "linear":
        message = f"method must be 'linear', got {method!r}"
        raise ArgumentError(message)
    remaining = _kept(values, None, validity, backend)
    selection = Selection.start(probabilities, remaining.dtype)
    if len(selection.probabilities) > MANY:
        return _from_sorted(np.sort(remaining[~np.isnan(remaining)]), selection.probabilities)
    known, prefix = _shared(remaining)
    if known == selection.width:  # a constant
        return np.full(len(selection.probabilities), _from_keys(np.array([prefix], np.uint64), known)[0])
    if known >= 16:
        selection = replace(selection, known=known, targets=(prefix,))
    while not selection.done:
        histogram = selection.count(remaining, backend=backend)
        prefixes, bits = selection.wanted(), selection.digit
        selection = selection.advance(histogram)
        if not selection.done:
            digits = selection.wanted() & np.uint64((1 << bits) - 1)
            rows = np.searchsorted(prefixes, selection.wanted() >> np.uint64(bits))
            candidates = np.empty(int(histogram[rows, digits].sum()), remaining.dtype)
            shift = selection.width - selection.known
            implementation("quantiles", backend, remaining.nbytes).select(remaining, selection.wanted(), shift, candidates)
            remaining = candidates
    return selection.values()


def quantiles_in_passes(
    chunks: Callable[[], Iterable[tuple[int, Floats]]],
    columns: int,
    probabilities: Sequence[float],
    *,
    dtype: DTypeLike = np.float64,
    backend: AnyBackend = "auto",
) -> Float64s:
    """Return exact quantiles of several columns that are read together, chunk by chunk, as often as it takes.

    Parameters
    ----------
    chunks
        Called once a pass, twice for float32 and four times for float64: yields the number of a column and some of its values, in any
        order, ndarray of shape (n_values,) of the given dtype. NaN is skipped, infinities take part.
    columns
        How many there are, counted from 0.
    probabilities
        Each in [0, 1].
    dtype
        float32 or float64.
    backend
        Where to run.

    Returns
    -------
    ndarray of shape (columns, n_probabilities), float64; NaN for a column without values.

    Raises
    ------
    ArgumentError
        As `Selection.start` and `Selection.count` raise it.
    """
    found = [Selection.start(probabilities, dtype) for _ in range(columns)]
    while open_ones := [number for number, one in enumerate(found) if not one.done]:
        histograms = {number: np.zeros((len(found[number].wanted()), 1 << found[number].digit), np.int64) for number in open_ones}
        for number, values in chunks():
            if number in histograms:
                histograms[number] += found[number].count(values, backend=backend)
        for number, histogram in histograms.items():
            found[number] = found[number].advance(histogram)
    return np.array([one.values() for one in found]).reshape(columns, len(probabilities))


def median(values: Floats, *, backend: AnyBackend = "auto") -> float:
    """Return the exact median; NaN is skipped, an empty column gives NaN."""
    return float(quantiles(values, [0.5], backend=backend)[0])


def interquartile_range(values: Floats, *, backend: AnyBackend = "auto") -> float:
    """Return the exact distance of the quartiles; NaN is skipped, an empty column gives NaN."""
    low, high = quantiles(values, [0.25, 0.75], backend=backend).tolist()
    return float(high - low)


def mad(values: Floats, *, backend: AnyBackend = "auto") -> float:
    """Return the median absolute deviation from the median, unscaled, with the deviations taken in float64.

    NaN is skipped; an empty column gives NaN. For normal data 1.4826 times this estimates the standard deviation.
    """
    return median(deviations(values, median(values, backend=backend)), backend=backend)


def deviations(values: Floats, centre: float) -> Float64s:
    """Return the distance of each value from a centre, in float64: what `mad` is the median of, and a multi-pass `Selection` for it."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, and a range beyond float64
        return np.abs(values.astype(np.float64) - centre)


def _shared(values: Floats) -> tuple[int, int]:
    """Return how many leading bits of their keys all values share but NaN, and these bits; 0 where a few of them share less than 16."""
    width = 8 * values.itemsize
    few = values[:: max(1, values.size // SAMPLE)]
    few = few[~np.isnan(few)]
    if not few.size or np.unique(_keys(few) >> np.uint64(width - 16)).size > 1:
        return 0, 0  # looking at all of them would be in vain
    least, greatest = _keys(np.array([np.fmin.reduce(values), np.fmax.reduce(values)])).tolist()
    known = width - (least ^ greatest).bit_length()
    return known, least >> (width - known)


def _keys(values: Floats) -> Uint64s:
    """Return the keys by which values are selected; none of them NaN."""
    patterns = (values + values.dtype.type(0)).view(f"u{values.itemsize}").astype(np.uint64)  # -0.0 is 0
    sign = np.uint64(1 << (8 * values.itemsize - 1))
    return np.where(patterns & sign, ~patterns & (sign | (sign - np.uint64(1))), patterns | sign)


def _from_keys(keys: Uint64s, width: int) -> Float64s:
    sign = np.uint64(1 << (width - 1))
    patterns = np.where(keys & sign, keys ^ sign, ~keys).astype(f"u{width // 8}")
    return patterns.view(f"f{width // 8}").astype(np.float64)


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype not in (np.float32, np.float64):
        message = f"values must be float32 or float64, got {dtype}; convert with values.astype('float64')"
        raise ArgumentError(message)


def _kept(values: Floats, keep: Bools | None, validity: Validity | None, backend: AnyBackend) -> Floats:
    """Check and return the values that take part, contiguous."""
    check_column(values)
    if keep is not None and validity is not None:
        message = "pass keep or validity, not both: keep the values of the other by hand"
        raise ArgumentError(message)
    if keep is None:
        return np.ascontiguousarray(values) if validity is None else valid(values, validity, backend=backend)
    check_array("keep", keep, np.bool_, values.shape, "pass a mask per value")
    return values[keep]
