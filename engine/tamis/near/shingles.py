"""Sets of shingles and samples of windows on disk, and how alike they are: between candidate and verdict, in bounded memory."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tamis_kernels import jaccard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend

    Chunk = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]

BYTES_AT_A_TIME = 16 << 20  # in memory while pairs are compared
NEARLY = 0.9  # correlation of windows below which they are not tried a sample apart
# Detail of a window is what its second differences tell. It proves a copy where it is random, and not of this size (deviations of the
# window), which is that of smooth curves and of rounding to 11 bits, and alike. Noise turns at two thirds of its samples, a tone seldom.
LEAST_DETAIL, LEAST_TURNS, LIKE_DETAIL = 0.005, 0.5, 0.95


class _Spooled:
    """Items of `count` records, on disk; only where those of each lie is in memory, 16 bytes a record.

    A record that no chunk has, has none.

    Parameters
    ----------
    chunks
        (places, items, offsets): the items of the records at these places, one after the other.
    count
        How many records there are.
    path
        The file, which is removed in the end.
    """

    dtype: ClassVar[np.dtype[Any]]

    def __init__(self, chunks: Iterable[Chunk], count: int, path: Path, backend: AnyBackend = "auto") -> None:
        self.sizes: NDArray[np.int64] = np.zeros(count, np.int64)
        self._starts: NDArray[np.int64] = np.zeros(count, np.int64)
        self._path = path
        self._backend = backend
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            end = 0
            for places, items, offsets in chunks:
                self._starts[places] = end + offsets[:-1]
                self.sizes[places] = np.diff(offsets)
                end += len(items)
                file.write(items.tobytes())
        self._file = os.open(path, os.O_RDONLY)

    def __enter__(self) -> Self:
        """Return these."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove them from the disk."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)

    def fetch(self, places: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return what lies at these places, one after the other: items and offsets."""
        item = self.dtype.itemsize
        sizes = self.sizes[places]
        offsets = np.zeros(len(places) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        data = bytearray(int(offsets[-1]) * item)
        view = memoryview(data)
        for start, size, into in zip(self._starts[places].tolist(), sizes.tolist(), offsets.tolist(), strict=False):
            if size:
                os.preadv(self._file, [view[into * item : (into + size) * item]], start * item)
        return np.frombuffer(data, self.dtype), offsets

    def pairs(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[Any], NDArray[np.int64], Any, Any]]:
        """Yield some pairs at a time: which, the items and offsets of their members, and the first and the second member of each."""
        load = np.cumsum(self.sizes[left] + self.sizes[right]) // (BYTES_AT_A_TIME // self.dtype.itemsize)
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(load)) + 1).tolist(), len(left)]):
            members, places = np.unique(np.concatenate([left[start:stop], right[start:stop]]), return_inverse=True)
            yield slice(start, stop), *self.fetch(members), places[: stop - start], places[stop - start :]


class ShingleSets(_Spooled):
    """Sorted sets of shingle hashes. An empty one resembles nothing."""

    dtype = np.dtype(np.uint32)

    def jaccard(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact Jaccard similarity of pairs of places; a bounded number of hashes is in memory at a time."""
        found = np.empty(len(left))
        for some, hashes, offsets, first, second in self.pairs(left, right):
            found[some] = jaccard.pairs(hashes, offsets, first, second, backend=self._backend)
        return found

    def containment(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return which share of the smaller set of each pair of places is in the other; 0 where one is empty."""
        jaccard_, sizes = self.jaccard(left, right), (self.sizes[left], self.sizes[right])
        shared = np.rint(jaccard_ * (sizes[0] + sizes[1]) / (1.0 + jaccard_))  # exact: a rounding error is far below a half
        return shared / np.maximum(1, np.minimum(*sizes))


class WindowSamples(_Spooled):
    """Samples of windows of mean 0 and deviation 1, a NaN where one is missing and behind each window of a record."""

    dtype = np.dtype(np.float16)

    def copies(
        self, left: NDArray[np.int64], right: NDArray[np.int64], accuracy: NDArray[np.float64], least: float, *, rescaled: bool
    ) -> NDArray[np.bool_]:
        """Say which pairs of places are copies, sample on sample or one apart; those with unlike numbers of samples are none.

        Parameters
        ----------
        left, right
            int64[p].
        accuracy
            float64[p]: Lin's bias correction factor, 1 where level and spread of both are equal.
        least
            Least concordance, which is the correlation times the accuracy.
        rescaled
            Whether the correlation alone suffices where the detail of both is alike, too.
        """
        found = np.zeros(len(left), np.bool_)
        for some, values, offsets, first, second in self.pairs(left, right):
            lengths, others = (np.diff(offsets)[one] for one in (first, second))
            for length in np.unique(lengths[(lengths == others) & (lengths > 1)]).tolist():
                these = np.flatnonzero((lengths == length) & (others == length))
                one, other = (values[offsets[side[these], None] + np.arange(length)].astype(np.float64) for side in (first, second))
                best = _correlation(one, other)
                near = best >= NEARLY
                best[near] = np.maximum(best[near], _apart(one[near], other[near]))
                same = best * accuracy[some][these] >= least
                unsure = np.flatnonzero((best >= least) & ~same) if rescaled else np.empty(0, np.int64)
                same[unsure] = _detail_is_alike(one[unsure], other[unsure])
                found[some.start + these] = same
        return found


def accuracy(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Lin's bias correction factor of pairs of windows float64[..., 2], each by its mean and its deviation.

    Times the correlation it is the concordance (L. Lin, A concordance correlation coefficient to evaluate reproducibility, 1989).
    """
    scale = left[..., 1] * right[..., 1]
    found: NDArray[np.float64] = 2 * scale / (left[..., 1] ** 2 + right[..., 1] ** 2 + (left[..., 0] - right[..., 0]) ** 2)
    return found


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the greater correlation of rows, one sample apart in either direction."""
    return np.maximum(_correlation(one[:, 1:], other[:, :-1]), _correlation(one[:, :-1], other[:, 1:]))


def _detail_is_alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say of which rows the detail is random and that of both alike: smooth curves of one form are no copies of one another."""
    bends = [np.diff(side, 2, axis=1) for side in (one, other)]
    alike: NDArray[np.bool_] = np.maximum(_correlation(*bends), _apart(*bends)) >= LIKE_DETAIL
    for bend in bends:
        known = np.maximum(1, np.isfinite(bend).sum(axis=1))
        turns = np.diff(bend, axis=1)
        turned = turns[:, 1:] * turns[:, :-1] < 0
        alike &= np.nansum(bend * bend, axis=1) >= LEAST_DETAIL**2 * known
        alike &= turned.sum(axis=1) >= LEAST_TURNS * known
    return alike


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of rows, over the samples that both have; 0 where one of the two does not vary there."""
    both = np.isfinite(left) & np.isfinite(right)
    count = np.maximum(1, both.sum(axis=1, keepdims=True))
    left, right = (np.where(both, side - np.where(both, side, 0).sum(axis=1, keepdims=True) / count, 0) for side in (left, right))
    scale = np.sqrt((left * left).sum(axis=1) * (right * right).sum(axis=1))
    found: NDArray[np.float64] = (left * right).sum(axis=1) / np.where(scale > 0, scale, np.inf)
    return found
