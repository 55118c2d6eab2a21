"""Shingle sets of the records that verification compares: read from the source in order."""

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

    from tamis.checks.base import Check, TableBatch
    from tamis.near.shingles import Chunk
    from tamis.pipeline.plan import Plan


def read_sets(plan: Plan, check: Check[Any], indices: NDArray[np.int64]) -> Iterator[Chunk]:
    """Yield places in `indices`, which rise, and the sets of the records there; a record that can no longer be read has none."""
    for places, batch in _read(plan, indices):
        yield places, *jaccard.sorted_sets(*check.shingles(batch), backend=check.backend)


def _read(plan: Plan, indices: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], TableBatch]]:
    bounds = np.searchsorted(indices, [shard.first for shard in plan.shards] + [plan.records])
    reader = RowReader(plan)
    for shard, start, stop in zip(plan.shards, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if start < stop:
            wanted = indices[start:stop] - shard.first + shard.start
            with contextlib.suppress(Unavailable):
                for batch in reader.batches(shard, None, only=wanted):
                    yield start + np.searchsorted(wanted, batch.rows), batch
