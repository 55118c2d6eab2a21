"""Shingle sets of the records that verification compares: read from the source once, in order, and kept on disk as sorted sets."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Self

import numpy as np

from tamis.pipeline.rows import Unavailable, read_batches
from tamis_kernels import jaccard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.checks.base import Check
    from tamis.pipeline.plan import Plan, Shard

_ITEM = 4  # bytes of a shingle hash


class ShingleSets:
    """Sorted shingle sets of some records, on disk; only where each set lies is in memory.

    A record that can no longer be read has an empty set: it resembles nothing.
    """

    def __init__(self, plan: Plan, check: Check, indices: NDArray[np.int64], path: Path) -> None:
        self.sizes: NDArray[np.int64] = np.zeros(len(indices), np.int64)
        self._starts: NDArray[np.int64] = np.zeros(len(indices), np.int64)
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            end = 0
            for places, hashes, offsets in _read(plan, check, indices):
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
        """Return the sets at these places of the indices, one after the other: hashes and offsets."""
        sizes = self.sizes[places]
        offsets = np.zeros(len(places) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        data = bytearray(int(offsets[-1]) * _ITEM)
        view = memoryview(data)
        for start, size, into in zip(self._starts[places].tolist(), sizes.tolist(), offsets.tolist(), strict=False):
            if size:
                os.preadv(self._file, [view[into * _ITEM : (into + size) * _ITEM]], start * _ITEM)
        return np.frombuffer(data, np.uint32), offsets


def _read(
    plan: Plan, check: Check, indices: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]]:
    """Yield places in `indices`, which rise, and the sets of the records there."""
    bounds = np.searchsorted(indices, [shard.first for shard in plan.shards] + [plan.records])
    for shard, start, stop in zip(plan.shards, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if start < stop:
            with contextlib.suppress(Unavailable):
                yield from _read_shard(plan, check, shard, indices[start:stop], start)


def _read_shard(
    plan: Plan, check: Check, shard: Shard, indices: NDArray[np.int64], start: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]]:
    wanted = indices - shard.first + shard.start
    for batch in read_batches(plan, shard, None, only=wanted):
        hashes, offsets = jaccard.sorted_sets(*check.shingles(batch), backend=check.backend)
        yield start + np.searchsorted(wanted, batch.rows), hashes, offsets
