"""Judge: look at all evidence at once and set one verdict a record. Payloads are read again only to verify near-duplicates."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.executors import Plain, Task
from tamis.files import whole
from tamis.near.shingles import ShingleSets
from tamis.pipeline import amend, findings, spill
from tamis.pipeline.evidence import evidence_path
from tamis.pipeline.files import write_json, write_table
from tamis.pipeline.memory import give_back
from tamis.pipeline.shingles import read_sets
from tamis.pipeline.verdicts import write_alive
from tamis.sources.payload import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from tamis.checks.base import Amendment, Answer, Check, Detail, Rows, Severity, Work
    from tamis.executors import Outcome
    from tamis.pipeline.earlier import Earlier
    from tamis.pipeline.plan import Plan, Shard
    from tamis.series.sorting import Columns, Sorted
    from tamis.sources.schema import TableGroup
    from tamis_kernels.types import Float64s, Int64s

_CLUSTER_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Told:
    """Records that one check rejected or noted for one reason; `kept` is -1 where no record stands for it."""

    check: str
    reason: str
    severity: Severity
    detail: str | pl.Series
    indices: Int64s
    kept: Int64s
    similarity: Float64s

    def without(self, indices: Int64s) -> _Told:
        """Return what is told of other records than these."""
        stay = ~np.isin(self.indices, indices)
        detail = self.detail if isinstance(self.detail, str) else self.detail.filter(pl.Series(stay))
        return replace(self, detail=detail, indices=self.indices[stay], kept=self.kept[stay], similarity=self.similarity[stay])


@dataclass(frozen=True, slots=True)
class _Members:
    check: str
    keepers: Int64s
    indices: Int64s
    similarity: Float64s


class Books:
    """The `Case` that one check judges: its evidence, and the run's verdicts.

    What grows with the run: one byte a record, 24 bytes a rejection, a note or a member of a cluster, and details that differ by record.
    """

    def __init__(self, plan: Plan, earlier: Sequence[Earlier], run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> None:
        self._plan, self._run = plan, run
        self._shelf = [
            spill.Held.of(shard.first, shard.records, evidence_path(plan, shard)) for shard in plan.shards if shard.kind != "problem"
        ]
        first = plan.records
        self._alive = np.ones(first + sum(len(before.kept) for before in earlier), bool)
        for before in earlier:
            self._alive[first : first + len(before.kept)] = before.kept
            for old in before.shards:
                if old.kind != "problem":
                    self._shelf.append(spill.Held.of(first, old.records, old.evidence))
                first += old.records
        self._told: list[_Told] = []
        self._members: list[_Members] = []
        self._decisions: dict[str, list[str]] = {}
        self.counters: dict[str, dict[str, float]] = {}
        self._check: Check[Any]
        for shard in plan.shards:
            rejected = findings.rejected(findings.read(findings.path(plan, shard))).to_numpy()
            self._alive[shard.first + rejected] = False

    def hear(self, check: Check[Any]) -> None:
        """Let a check judge."""
        self._check = check
        check.judge(self)
        give_back()

    @property
    def records(self) -> int:
        return len(self._alive)

    @property
    def own(self) -> int:
        return self._plan.records

    def has(self, name: str) -> bool:
        return bool(spill.holders(self._shelf, self._column(name)))

    def scan(self, *names: str, among: Int64s | None = None) -> Iterator[spill.Chunk]:
        wanted = self._alive if among is None else self._only(among)
        return spill.scan(self._shelf, wanted, [self._column(name) for name in names])

    def parts(self, *names: str, repeated: bool = False) -> Iterator[spill.Chunk]:
        columns, folder = [self._column(name) for name in names], self._plan.state("judged", "spill")
        return spill.parts(self._shelf, self._alive, columns, folder, repeated=repeated)

    def values(self, name: str, indices: Int64s) -> NDArray[Any]:
        found, (values,) = spill.gather(self._shelf, self._only(indices), [self._column(name)])
        if len(found) == len(indices):
            return values
        every = np.full((len(indices), *values.shape[1:]), "" if values.dtype == object else 0, values.dtype)
        every[np.searchsorted(indices, found)] = values
        return every

    def _only(self, indices: Int64s) -> NDArray[np.bool_]:
        chosen = np.zeros(self.records, bool)
        chosen[indices] = True
        return chosen

    def sets(self, indices: Int64s) -> ShingleSets:
        chunks = read_sets(self._plan, self._check, indices)
        return ShingleSets(chunks, len(indices), self._plan.state("judged", "sets"), self._check.backend)

    def reject(
        self, indices: Int64s, reason: str, detail: Detail, *, kept: Int64s | None = None, similarity: Float64s | None = None
    ) -> None:
        self._tell("reject", indices, reason, detail, kept, similarity)
        self._alive[indices] = False

    def note(self, indices: Int64s, reason: str, detail: Detail, *, kept: Int64s | None = None, similarity: Float64s | None = None) -> None:
        self._tell("note", indices, reason, detail, kept, similarity)

    def _tell(
        self, severity: Severity, indices: Int64s, reason: str, detail: Detail, kept: Int64s | None, similarity: Float64s | None
    ) -> None:
        if not len(indices):
            return
        order = np.argsort(indices, kind="stable")
        kept = np.full(len(indices), -1) if kept is None else kept
        similarity = np.full(len(indices), np.nan) if similarity is None else similarity
        said = detail if isinstance(detail, str) else pl.Series(detail, dtype=pl.String)[order]
        self._told.append(_Told(self._check.name, reason, severity, said, indices[order], kept[order], similarity[order]))

    def clusters(self, members: Int64s, keepers: Int64s, similarity: Float64s) -> None:
        if len(members):
            self._members.append(_Members(self._check.name, keepers, members, similarity))
        self.count(clusters=len(np.unique(keepers)))

    def clustered(self) -> tuple[Int64s, Int64s, Float64s]:
        entered = [_Members("", np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), *self._members]
        columns = ("indices", "keepers", "similarity")
        members, keepers, similarity = (np.concatenate([getattr(one, column) for one in entered]) for column in columns)
        return members, keepers, similarity

    def companions(self, indices: Int64s) -> Iterator[tuple[int, str, bytes]]:
        shards = self._plan.shards
        own = indices[indices < self.own]
        places = np.searchsorted([shard.first for shard in shards], own, side="right") - 1
        with self._plan.payloads() as payloads:
            for index, place in zip(own.tolist(), places.tolist(), strict=True):
                shard = shards[place]
                for file in shard.files[index - shard.first].companions if shard.kind == "media" else ():
                    with suppress(Unavailable):
                        yield index, file.record, payloads.read(file)

    def reinstate(self, indices: Int64s) -> None:
        self._told = [told if told.severity == "note" else told.without(indices) for told in self._told]
        self._alive[indices] = True

    def count(self, **counters: float) -> None:
        book = self.counters.setdefault(self._check.name, {})
        for name, value in counters.items():
            book[name] = book.get(name, 0) + value

    def tables(self) -> Iterator[amend.SourceRows]:
        return (amend.SourceRows(self._plan, group, self._alive) for group in self._plan.groups.values())

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        folder = self._plan.state("judged", "scratch")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def spread(self, work: Callable[[Work], Answer], arguments: Iterable[Work]) -> Iterator[Answer]:
        tasks = [Task(Plain(_done), (place, work, argument)) for place, argument in enumerate(arguments)]
        early: dict[int, Answer] = {}
        place = 0
        for outcome in self._run(tasks):
            early[outcome.task.argument[0]] = outcome.value
            while place in early:
                yield early.pop(place)
                place += 1

    def amend(self, table: Rows, records: Sorted, make: Callable[[int, int, Columns], Amendment]) -> None:
        shards = [shard for shard in self._plan.shards if shard.group == table.group.name]
        for outcome in self._run(Task(Plain(amend.amend_shards), order) for order in amend.orders(self._check.name, shards, records, make)):
            rejected, counts = outcome.value
            self._alive[rejected] = False
            self.count(**counts)

    def publish(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        write_table(Path(self._plan.out, "series.parquet"), [table], table.schema)

    def leave(self, name: str, text: str) -> None:
        with whole(Path(self._plan.out, name)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def decide(self, group: TableGroup, decision: str) -> None:
        self._decisions.setdefault(group.name, []).append(decision)

    def close(self) -> None:
        """Write verdicts, findings per shard, clusters and counters; the last file marks them whole."""
        plan = self._plan
        for shard in plan.shards:
            judged, amended = findings.path(plan, shard, "judged"), findings.path(plan, shard, "amended")
            told = list(self._told_of(shard))
            if told or not amended.exists():
                findings.write(judged, pl.concat([findings.empty(), findings.read(amended), *told]).sort("index", maintain_order=True))
            else:
                judged.parent.mkdir(parents=True, exist_ok=True)
                amended.replace(judged)  # nothing is to be added, and it is in order
        table = pl.DataFrame(schema=CLUSTER_SCHEMA).to_arrow()
        write_table(plan.state("judged", "clusters.parquet"), self._cluster_tables(), table.schema)
        write_alive(plan.state(), self._alive[: self.own])
        write_json(plan.state("judged", "decisions.json"), self._decisions)
        write_json(plan.state("judged", "counters.json"), self.counters)

    def _column(self, name: str) -> str:
        return f"{self._check.name}.{name}"

    def _told_of(self, shard: Shard) -> Iterator[pl.DataFrame]:
        """Yield what each check told of records of a shard."""
        for told in self._told:
            start, stop = np.searchsorted(told.indices, [shard.first, shard.first + shard.records])
            if start == stop:  # a check tells part by part, so that there may be more of these than shards
                continue
            kept, similarity = pl.Series(told.kept[start:stop]), pl.Series(told.similarity[start:stop])
            yield pl.DataFrame({"index": told.indices[start:stop] - shard.first}).select(
                "index",
                check=pl.lit(told.check),
                reason=pl.lit(told.reason),
                severity=pl.lit(told.severity),
                detail=pl.lit(told.detail) if isinstance(told.detail, str) else told.detail[start:stop],
                column=pl.lit(None, pl.String),
                value=pl.lit(None, pl.String),
                kept=kept.replace(-1, None),
                similarity=similarity.fill_nan(None),
            )

    def _cluster_tables(self) -> Iterator[pa.Table]:
        """Yield the members of clusters, check by check, a keeper's members together."""
        for check in dict.fromkeys(one.check for one in self._members):
            mine = [one for one in self._members if one.check == check]
            keepers, indices = np.concatenate([one.keepers for one in mine]), np.concatenate([one.indices for one in mine])
            similarity = np.concatenate([one.similarity for one in mine])
            order = np.lexsort((indices, keepers))
            for start in range(0, len(order), _CLUSTER_ROWS):
                rows = order[start : start + _CLUSTER_ROWS]
                columns = {"keeper": keepers[rows], "index": indices[rows], "similarity": similarity[rows]}
                yield pl.DataFrame(columns).select(pl.lit(check).alias("check"), "keeper", "index", "similarity").to_arrow()


CLUSTER_SCHEMA: dict[str, pl.DataType] = {"check": pl.String(), "keeper": pl.Int64(), "index": pl.Int64(), "similarity": pl.Float64()}


def judge(plan: Plan, earlier: Sequence[Earlier], run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> None:
    """Let every check judge in its order, unless they already have; what earlier runs kept stands above all.

    `run` sends tasks to the workers.
    """
    if plan.state("judged", "counters.json").exists():
        return
    books = Books(plan, earlier, run)
    for check in plan.recipe.checks(backend=plan.backend):
        if check.has("judge"):
            books.hear(check)
    books.close()


def _done(_: Plan, argument: tuple[int, Callable[[Any], Any], Any]) -> Any:
    """Do what a check spreads over the workers."""
    work, one = argument[1:]
    return work(one)
