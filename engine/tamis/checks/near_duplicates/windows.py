"""What is compared of sensor windows: symbols of their segments, by which copies meet, and the samples, which tell whether they are copies.

Symbols tell the coarse shape alone. Windows of neighbouring sensors, of days, of heartbeats share it and are none the less readings
of their own: by symbols 1,473 of 7,459 windows of real sensors (1,154 of those with a shape) were copies of others, with correlations
of 0.96 in the middle and 0.9991 at most. Copies have 0.9994 and more, with noise of 3 % too. Smooth windows, such as tones and curves of
cooling, correlate fully without being copies: level and spread must be equal too, unless the detail proves that one was made of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.near.shingles import accuracy
from tamis.near.texts import Tokens
from tamis.normalizer.windows import flat_windows
from tamis_kernels import symbols, windows
from tamis_kernels.arrays import offsets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

    Lists = tuple[NDArray[np.float64], NDArray[np.int64]]

DOUBT = 0.25  # standard deviations: a segment this near to an interval's end has the symbols of both sides


@dataclass(frozen=True, slots=True)
class Column:
    """The windows of one column, one behind the other, their figures, and which of them have a shape."""

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    figures: windows.Figures
    has_shape: NDArray[np.bool_]

    def scaled(self) -> Lists:
        """Return the windows that have a shape with mean 0 and deviation 1, so that channels of a row weigh alike; others are empty."""
        lengths = np.diff(self.offsets)
        mean, deviation = (np.repeat(one, lengths) for one in (self.figures.mean, self.figures.deviation))
        samples = (np.where(np.isfinite(self.values), self.values, np.nan) - mean) / np.where(deviation > 0, deviation, 1)
        return samples[np.repeat(self.has_shape, lengths)], offsets_of(np.where(self.has_shape, lengths, 0))

    def levels(self) -> NDArray[np.float64]:
        """Return mean and deviation of each window, float64[n, 2]; NaN where it has no shape."""
        return np.where(self.has_shape[:, None], np.stack([self.figures.mean, self.figures.deviation], axis=1), np.nan)


@dataclass(frozen=True, slots=True)
class Windows(Tokens):
    """The windows of a batch: their tokens (column, segment, and each symbol that the segment may have), and what these are of."""

    columns: Sequence[Column]

    def evidence(self) -> dict[str, pl.Series]:
        """Return what copies are verified by, each row's as bytes.

        `samples` are those of the windows that have a shape, scaled, as float16; those of several columns one behind the other. `levels`
        are mean and deviation of each column's window, NaN where it has no shape.
        """
        values, offsets = _side_by_side([column.scaled() for column in self.columns])
        small = pa.py_buffer(values.astype(np.float16))
        bounds = pa.py_buffer(2 * offsets)
        levels = np.stack([column.levels() for column in self.columns], axis=1)
        return {
            "samples": pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, [None, bounds, small])),
            "levels": packed(levels.reshape(len(levels), -1).view(np.uint8)),
        }


def level_accuracy(left: list[bytes], right: list[bytes]) -> NDArray[np.float64]:
    """Return how near level and spread of pairs of rows are, by the column where they are least: 1 where equal, 0 of unlike columns."""
    found, sides = np.zeros(len(left)), (left, right)
    sizes, others = (np.fromiter(map(len, side), np.int64, len(side)) for side in sides)
    for size in np.unique(sizes[(sizes == others) & (sizes > 0)]).tolist():
        these = np.flatnonzero((sizes == size) & (others == size)).tolist()
        one, other = (np.frombuffer(b"".join(side[place] for place in these), np.float64).reshape(len(these), -1, 2) for side in sides)
        found[these] = np.fmin.reduce(accuracy(one, other), axis=1)
    return found


def packed(rows: NDArray[np.uint8]) -> pl.Series:
    """Return the bytes of each row as one value: Parquet writes these nine times as fast as lists of numbers."""
    width, data = rows.shape[1], pa.py_buffer(np.ascontiguousarray(rows))
    return pl.Series(pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, data]), dtype=pl.Binary)


def windows_of(frame: pl.DataFrame, segments: int, alphabet: int, backend: BackendName) -> Windows:
    """Return what is compared of rows of windows."""
    tokens, known, columns = [], [], []
    places = np.arange(segments, dtype=np.uint64)
    for number, series in enumerate(frame):
        samples, offsets = flat_windows(series.cast(pl.List(pl.Float64)))
        values = samples.fill_null(np.nan).to_numpy()
        word = partial(symbols.words, values, offsets=offsets, segments=segments, alphabet=alphabet, backend=backend)
        low, plain, high = (word(margin=margin).astype(np.int16) for margin in (-DOUBT, 0.0, DOUBT))
        figures = windows.describe(values, offsets, backend=backend)
        has_shape = _has_shape(values, offsets, figures, plain, alphabet)
        for step in range(int((high - low).max(initial=0)) + 1):
            tokens.append((np.uint64(number) << np.uint64(32)) | (places << np.uint64(8)) | (low + step).astype(np.uint64))
            known.append((low + step <= high) & has_shape[:, None])
        columns.append(Column(values, offsets, figures, has_shape))
    joined, there = np.concatenate(tokens, axis=1), np.concatenate(known, axis=1)
    return Windows(joined[there], offsets_of(there.sum(axis=1)), columns)


def _has_shape(
    values: NDArray[np.float64], offsets: NDArray[np.int64], figures: windows.Figures, plain: NDArray[np.int16], alphabet: int
) -> NDArray[np.bool_]:
    """Return which windows have a shape by which they can be known again.

    A few samples, such as a box around an object, have none; nor do classes and masks, which are of two values, nor what stands still but
    for a spike: three quarters of its segments have one symbol.
    """
    segments = plain.shape[1]
    commonest = np.max([(plain == symbol).sum(axis=1) for symbol in (*range(alphabet), symbols.EMPTY)], axis=0)
    least, greatest = (np.repeat(one, np.diff(offsets)) for one in (figures.minimum, figures.maximum))
    between = np.diff(offsets_of((values > least) & (values < greatest))[offsets]) > 0
    has_shape: NDArray[np.bool_] = (figures.finite >= segments // 2) & between & (4 * (segments - commonest) >= segments)
    return has_shape


def _side_by_side(columns: list[Lists]) -> Lists:
    """Return the lists of each row one after the other, with a NaN behind each: what follows it is another window."""
    lengths = np.stack([np.diff(offsets) + 1 for _, offsets in columns], axis=1)
    offsets = offsets_of(lengths.sum(axis=1))
    joined = np.full(offsets[-1], np.nan)
    starts = offsets[:-1, None] + np.cumsum(lengths, axis=1) - lengths
    for number, (values, own) in enumerate(columns):
        sizes = np.diff(own)
        joined[np.repeat(starts[:, number] - own[:-1], sizes) + np.arange(len(values))] = values
    return joined, offsets
