"""What is compared of sensor windows: symbols of their segments, by which copies meet, and the samples, which tell whether they are copies.

Symbols tell the coarse shape alone. Windows of neighbouring sensors, of days, of heartbeats share it and are none the less readings
of their own: by symbols 1,473 of 7,459 windows of real sensors (1,154 of those with a shape) were copies of others, with correlations
of 0.96 in the middle and 0.9991 at most. Copies have 0.9994 and more, with noise of 3 % too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.near.texts import Tokens
from tamis_kernels import symbols
from tamis_kernels.arrays import offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

    Lists = tuple[NDArray[np.float64], NDArray[np.int64]]

DOUBT = 0.25  # standard deviations: a segment this near to an interval's end has the symbols of both sides


@dataclass(frozen=True, slots=True)
class Windows(Tokens):
    """The windows of a batch: their tokens (column, segment, and each symbol that the segment may have), and their samples."""

    samples: Lists


def windows_of(frame: pl.DataFrame, segments: int, alphabet: int, backend: BackendName) -> Windows:
    """Return what is compared of rows of windows."""
    tokens, known, told = [], [], []
    places = np.arange(segments, dtype=np.uint64)
    for number, series in enumerate(frame):
        lists = series.cast(pl.List(pl.Float64)).fill_null([])
        values = lists.explode(empty_as_null=False).fill_null(np.nan).to_numpy().astype(np.float64)
        offsets = offsets_of(lists.list.len().to_numpy())
        shape: dict[str, Any] = {"segments": segments, "alphabet": alphabet, "backend": backend}
        word = partial(symbols.words, values, offsets=offsets, **shape)
        low, plain, high = (word(margin=margin).astype(np.int16) for margin in (-DOUBT, 0.0, DOUBT))
        has_shape = _has_shape(values, offsets, plain, alphabet)
        for step in range(int((high - low).max(initial=0)) + 1):
            tokens.append((np.uint64(number) << np.uint64(32)) | (places << np.uint64(8)) | (low + step).astype(np.uint64))
            known.append((low + step <= high) & has_shape[:, None])
        told.append(_scaled(values, offsets, has_shape))
    joined, there = np.concatenate(tokens, axis=1), np.concatenate(known, axis=1)
    return Windows(joined[there], offsets_of(there.sum(axis=1)), _side_by_side(told))


def _has_shape(values: NDArray[np.float64], offsets: NDArray[np.int64], plain: NDArray[np.int16], alphabet: int) -> NDArray[np.bool_]:
    """Return which windows have a shape by which they can be known again.

    A few samples, such as a box around an object, have none; nor do classes and masks, which are of two values, nor what stands still but
    for a spike: three quarters of its segments have one symbol.
    """
    segments = plain.shape[1]
    finite = np.isfinite(values)
    commonest = np.max([(plain == symbol).sum(axis=1) for symbol in (*range(alphabet), symbols.EMPTY)], axis=0)
    enough = _sums(finite, offsets) >= segments // 2
    least, greatest = (
        np.repeat(_extremes(pick, np.where(finite, values, fill), offsets), np.diff(offsets))
        for pick, fill in ((np.minimum, np.inf), (np.maximum, -np.inf))
    )
    between = _sums(finite & (values > least) & (values < greatest), offsets) > 0
    has_shape: NDArray[np.bool_] = enough & between & (4 * (segments - commonest) >= segments)
    return has_shape


def _scaled(values: NDArray[np.float64], offsets: NDArray[np.int64], wanted: NDArray[np.bool_]) -> Lists:
    """Return the wanted windows with mean 0 and deviation 1, so that channels of one row weigh alike; the others are empty."""
    lengths = np.diff(offsets)
    finite = np.isfinite(values)
    count = np.maximum(1, _sums(finite, offsets))
    scaled = np.where(finite, values, np.nan)
    scaled -= np.repeat(_sums(np.where(finite, scaled, 0), offsets) / count, lengths)
    spread = np.sqrt(_sums(np.where(finite, scaled * scaled, 0), offsets) / count)
    scaled /= np.repeat(np.where(spread > 0, spread, 1), lengths)
    return scaled[np.repeat(wanted, lengths)], offsets_of(np.where(wanted, lengths, 0))


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


def _sums(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Return the sum of each list, of each by itself."""
    sums = np.zeros(len(offsets) - 1, np.int64 if values.dtype == bool else values.dtype)
    there = offsets[1:] > offsets[:-1]
    if there.any():
        sums[there] = np.add.reduceat(values, offsets[:-1][there], dtype=sums.dtype)
    return sums


def _extremes(pick: np.ufunc, values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    extremes = np.full(len(offsets) - 1, np.nan)
    there = offsets[1:] > offsets[:-1]
    if there.any():
        extremes[there] = pick.reduceat(values, offsets[:-1][there])
    return extremes
