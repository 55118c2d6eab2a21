"""Judge: look at all evidence at once and set one verdict a record. Payloads are read again only to verify near-duplicates."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.pipeline import findings
from tamis.pipeline.evidence import evidence_path, findings_path, has_column, read_column, read_findings, write_findings
from tamis.pipeline.files import whole, write_json, write_table
from tamis.pipeline.rows import Unavailable, read_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tamis.checks.base import Check
    from tamis.pipeline.plan import Plan, Shard

_SHINGLE_CACHE_BYTES = 256 << 20
_NO_SHINGLES = np.empty(0, np.uint32)  # a record that can no longer be read resembles nothing


class Books:
    """The `Case` that one check judges: its evidence, and the run's verdicts.

    The verdicts cost one byte a record; a check holds at most a few columns at once.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._alive = np.ones(plan.records, bool)
        self._found: list[pl.DataFrame] = []
        self._clusters: list[pl.DataFrame] = []
        self.counters: dict[str, dict[str, float]] = {}
        self._check: Check
        self._sets = _ShingleSets(plan)
        for shard in plan.shards:
            rejected = read_findings(findings_path(plan, shard)).filter(pl.col("severity") == "reject")["index"].to_numpy()
            self._alive[shard.first + rejected] = False

    def hear(self, check: Check) -> None:
        """Let a check judge."""
        self._check = check
        self._sets.check = check
        check.judge(self)

    @property
    def records(self) -> int:
        return self._plan.records

    @property
    def alive(self) -> NDArray[np.bool_]:
        view = self._alive.view()
        view.flags.writeable = False
        return view

    def column(self, name: str, default: Any) -> NDArray[Any]:
        return read_column(self._plan, f"{self._check.name}.{name}", default)

    def has(self, name: str) -> bool:
        return has_column(self._plan, f"{self._check.name}.{name}")

    def shingles(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        return self._sets.fetch(indices)

    def reject(
        self,
        indices: NDArray[np.int64],
        reason: str,
        detail: Callable[[int], str] | str,
        *,
        kept: NDArray[np.int64] | None = None,
        similarity: NDArray[np.float64] | None = None,
    ) -> None:
        if not len(indices):
            return
        size = len(indices)
        self._found.append(
            pl.DataFrame(
                {
                    "index": indices,
                    "check": [self._check.name] * size,
                    "reason": [reason] * size,
                    "severity": ["reject"] * size,
                    "detail": [detail] * size if isinstance(detail, str) else [detail(int(index)) for index in indices],
                    "column": [None] * size,
                    "value": [None] * size,
                    "kept": [None] * size if kept is None else kept,
                    "similarity": [None] * size if similarity is None else similarity,
                },
                schema=findings.SCHEMA,
                nan_to_null=True,
            )
        )
        self._alive[indices] = False

    def clusters(self, members: NDArray[np.int64], keepers: NDArray[np.int64], similarity: NDArray[np.float64]) -> None:
        self._clusters.append(
            pl.DataFrame(
                {"check": [self._check.name] * len(members), "keeper": keepers, "index": members, "similarity": similarity},
                schema=CLUSTER_SCHEMA,
            ).sort("keeper", "index")
        )
        self.count(clusters=len(np.unique(keepers)))

    def count(self, **counters: float) -> None:
        book = self.counters.setdefault(self._check.name, {})
        for name, value in counters.items():
            book[name] = book.get(name, 0) + value

    def close(self) -> None:
        """Write verdicts, findings per shard, clusters and counters; the last file marks them whole."""
        plan = self._plan
        found = pl.concat(self._found) if self._found else findings.empty()
        found = found.sort("index", maintain_order=True)
        starts = found["index"].search_sorted(pl.Series([shard.first for shard in plan.shards], dtype=pl.Int64)).to_list()
        for shard, start, stop in zip(plan.shards, starts, [*starts[1:], len(found)], strict=True):
            mine = found[start:stop].with_columns(pl.col("index") - shard.first)
            write_findings(findings_path(plan, shard, "judged"), mine)
        clusters = pl.concat(self._clusters) if self._clusters else pl.DataFrame(schema=CLUSTER_SCHEMA)
        table = clusters.to_arrow()
        write_table(plan.state("judged", "clusters.parquet"), [table], table.schema)
        with whole(plan.state("judged", "alive.bin")) as temporary:
            temporary.write_bytes(np.packbits(self._alive).tobytes())
        write_json(plan.state("judged", "counters.json"), self.counters)


CLUSTER_SCHEMA: dict[str, pl.DataType] = {"check": pl.String(), "keeper": pl.Int64(), "index": pl.Int64(), "similarity": pl.Float64()}


class _ShingleSets:
    """Shingle sets of records, read from the source again shard by shard, with a bounded cache of what was read."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._first = np.array([shard.first for shard in plan.shards], np.int64)
        self._cache: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()
        self._bytes = 0
        self.check: Check

    def fetch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        wanted = np.unique(indices)
        found = {int(index): self._cache[int(index)] for index in wanted if int(index) in self._cache}
        missing = np.array([index for index in wanted if int(index) not in found], np.int64)
        owners = np.searchsorted(self._first, missing, side="right") - 1
        for owner in np.unique(owners):
            for index, hashes in self._read(self._plan.shards[owner], missing[owners == owner]):
                found[index] = hashes
                self._remember(index, hashes)
        sets = [found.get(int(index), _NO_SHINGLES) for index in indices]
        offsets = np.zeros(len(sets) + 1, np.int64)
        np.cumsum([len(hashes) for hashes in sets], out=offsets[1:])
        return (np.concatenate(sets) if sets else np.empty(0, np.uint32)), offsets

    def _read(self, shard: Shard, indices: NDArray[np.int64]) -> list[tuple[int, NDArray[np.uint32]]]:
        rows = indices - shard.first + shard.start
        result: list[tuple[int, NDArray[np.uint32]]] = []
        with contextlib.suppress(Unavailable):
            for batch in read_batches(self._plan, shard, None, only=rows):
                hashes, offsets = self.check.shingles(batch)
                numbers = batch.rows - shard.start + shard.first
                result += [(int(numbers[i]), hashes[offsets[i] : offsets[i + 1]].copy()) for i in range(len(numbers))]
        return result

    def _remember(self, index: int, hashes: NDArray[np.uint32]) -> None:
        self._cache[index] = hashes
        self._bytes += hashes.nbytes + 200
        while self._bytes > _SHINGLE_CACHE_BYTES:
            _, old = self._cache.popitem(last=False)
            self._bytes -= old.nbytes + 200


def judge(plan: Plan) -> None:
    """Let every check judge in its order, unless they already have."""
    if plan.state("judged", "counters.json").exists():
        return
    books = Books(plan)
    for check in plan.recipe.checks(backend=plan.backend):
        if check.has("judge"):
            books.hear(check)
    books.close()


def read_alive(state: Path, shard: Shard, records: int) -> NDArray[np.bool_]:
    """Return which records of a shard the judgement keeps."""
    packed = np.memmap(state / "judged" / "alive.bin", np.uint8, "r") if records else np.empty(0, np.uint8)
    first_byte, last_byte = shard.first // 8, -(-(shard.first + shard.records) // 8)
    bits = np.unpackbits(packed[first_byte:last_byte])
    return bits[shard.first - 8 * first_byte :][: shard.records].astype(bool)


__all__ = ["Books", "evidence_path", "judge", "read_alive"]
