"""Sets of shingles on disk, and their exact similarity: what stands between a candidate and a verdict, in bounded memory."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from tamis_kernels import jaccard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend

    Chunk = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]

_ITEM = 4  # bytes of a shingle hash
HASHES_AT_A_TIME = 4 << 20  # in memory while pairs are compared: 16 MB


class ShingleSets:
    """Sorted shingle sets of `count` records, on disk; only where each set lies is in memory, 16 bytes a record.

    A record that no chunk has is an empty set, which resembles nothing.

    Parameters
    ----------
    chunks
        (places, hashes, offsets): the sorted sets of the records at these places, one after the other.
    count
        How many records there are.
    path
        The file, which is removed in the end.
    """

    def __init__(self, chunks: Iterable[Chunk], count: int, path: Path, backend: AnyBackend = "auto") -> None:
        self.sizes: NDArray[np.int64] = np.zeros(count, np.int64)
        self._starts: NDArray[np.int64] = np.zeros(count, np.int64)
        self._path = path
        self._backend = backend
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            end = 0
            for places, hashes, offsets in chunks:
                self._starts[places] = end + offsets[:-1]
                self.sizes[places] = np.diff(offsets)
                end += len(hashes)
                file.write(hashes.tobytes())
        self._file = os.open(path, os.O_RDONLY)

    def __enter__(self) -> Self:
        """Return the sets."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove them from the disk."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)

    def fetch(self, places: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the sets at these places, one after the other: hashes and offsets."""
        sizes = self.sizes[places]
        offsets = np.zeros(len(places) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        data = bytearray(int(offsets[-1]) * _ITEM)
        view = memoryview(data)
        for start, size, into in zip(self._starts[places].tolist(), sizes.tolist(), offsets.tolist(), strict=False):
            if size:
                os.preadv(self._file, [view[into * _ITEM : (into + size) * _ITEM]], start * _ITEM)
        return np.frombuffer(data, np.uint32), offsets

    def jaccard(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact Jaccard similarity of pairs of places; a bounded number of hashes is in memory at a time."""
        found = np.empty(len(left))
        load = np.cumsum(self.sizes[left] + self.sizes[right]) // HASHES_AT_A_TIME
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(load)) + 1).tolist(), len(left)]):
            members, places = np.unique(np.concatenate([left[start:stop], right[start:stop]]), return_inverse=True)
            first, second = places[: stop - start], places[stop - start :]
            found[start:stop] = jaccard.pairs(*self.fetch(members), first, second, backend=self._backend)
        return found

    def containment(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return which share of the smaller set of each pair of places is in the other; 0 where one is empty."""
        jaccard_, sizes = self.jaccard(left, right), (self.sizes[left], self.sizes[right])
        shared = np.rint(jaccard_ * (sizes[0] + sizes[1]) / (1.0 + jaccard_))  # exact: a rounding error is far below a half
        return shared / np.maximum(1, np.minimum(*sizes))
