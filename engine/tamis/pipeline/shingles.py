"""Shingle sets of the records that verification compares: read from the source once, in order."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.pipeline.rows import RowReader
from tamis.sources.payload import Unavailable
from tamis_kernels import jaccard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.checks.base import Check
    from tamis.near.shingles import Chunk
    from tamis.pipeline.plan import Plan, Shard


def read_sets(plan: Plan, check: Check[Any], indices: NDArray[np.int64]) -> Iterator[Chunk]:
    """Yield places in `indices`, which rise, and the sets of the records there; a record that can no longer be read has none."""
    bounds = np.searchsorted(indices, [shard.first for shard in plan.shards] + [plan.records])
    reader = RowReader(plan)
    for shard, start, stop in zip(plan.shards, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if start < stop:
            with contextlib.suppress(Unavailable):
                yield from _read_shard(reader, check, shard, indices[start:stop], start)


def _read_shard(reader: RowReader, check: Check[Any], shard: Shard, indices: NDArray[np.int64], start: int) -> Iterator[Chunk]:
    wanted = indices - shard.first + shard.start
    for batch in reader.batches(shard, None, only=wanted):
        hashes, offsets = jaccard.sorted_sets(*check.shingles(batch), backend=check.backend)
        yield start + np.searchsorted(wanted, batch.rows), hashes, offsets
