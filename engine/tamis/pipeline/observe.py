"""Observe: read each payload once and write what every check notes of it. Runs in workers, a shard or some in a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import xxhash

import tamis
from tamis.checks.base import Batch, Finding, MediaBatch
from tamis.executors import Context, Loss, Task
from tamis.media.sniff import is_jpeg_name
from tamis.pipeline import findings
from tamis.pipeline.evidence import write_evidence
from tamis.pipeline.plan import fingerprint, in_a_row
from tamis.pipeline.rows import RowReader
from tamis.sources.mediatables import read_beside
from tamis.sources.payload import Unavailable
from tamis_kernels.backend import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.listing import SourceFile
    from tamis_kernels.backend import Backend

MEDIA_BATCH = 128
MEDIA_BYTES_ON_GPU = 1 << 28
MEDIA_BYTES = 1 << 24  # of files held at a time, more if one alone is larger
SOURCE = "source"
WHOLE_SHARD = -1  # and below, of shards in a row: a worker that dies costs the one that it was at
NOWHERE = np.empty(0, np.int64)


class Read(NamedTuple):
    """A file that was read: where it stands in the shard, what it is, its content and the hash of that."""

    position: int
    file: SourceFile
    data: bytes
    digest: bytes


@dataclass(slots=True)
class Step:
    """A batch that was read, where its records stand in the shard, and the records that could not be read."""

    batch: Batch | None
    positions: NDArray[np.int64]
    unread: list[Finding]
    bytes: int = 0


def stamp(plan: Plan) -> str:
    """Return what evidence must agree on to be used together."""
    return f"tamis {tamis.__version__} run {fingerprint(plan)}"


def tasks(plan: Plan, shards: Sequence[Shard], workers: int) -> list[Task]:
    """Return the tasks of so many workers: one a shard, or some in a row."""
    mark, backend = stamp(plan), resolve(plan.backend)
    return [Task(observe_shards, (some, mark), gpu=_may_win(some[0], backend)) for some in in_a_row(shards, workers)]


def _may_win(shard: Shard, backend: Backend) -> bool:
    """Return whether a GPU may be faster at a shard: of rows, or of files most of which are named as JPEGs, where it wins at these."""
    if shard.kind == "table" or not (backend.on_gpu("photos") or backend.on_gpu("jpeg")):
        return shard.kind == "table"
    return 2 * sum(is_jpeg_name(file.record) for file in shard.files) > len(shard.files)


def observe_shards(plan: Plan, argument: tuple[Sequence[Shard], str], lost: Mapping[int, Loss], context: Context) -> list[dict[str, Any]]:
    """Observe shards and write the evidence of each; return their summaries."""
    shards, mark = argument
    rows = RowReader(plan)
    summaries = []
    for place, shard in enumerate(shards):
        size = 0
        steps: Iterator[Step]
        if shard.kind == "problem":
            steps = iter([_problems(plan)])
        elif WHOLE_SHARD - place in lost:
            steps = iter([_lost_shard(shard, lost[WHOLE_SHARD - place])])
        elif shard.kind == "media":
            steps = _media_steps(plan, shard, lost, context)
        else:
            context.at(WHOLE_SHARD - place)
            file = shard.files[0]
            size = file.size * shard.records // max(1, plan.staged[file.record].rows)  # its share of the file
            steps = _table_steps(plan, shard, rows)
        summaries.append(_observed(plan, shard, steps, size, mark))
    return summaries


def _observed(plan: Plan, shard: Shard, steps: Iterator[Step], size: int, mark: str) -> dict[str, Any]:
    """Let the checks observe a shard and write its evidence; return its summary."""
    checks = [check for check in plan.recipe.checks(backend=plan.backend) if check.has("observe")]
    evidence: list[pl.DataFrame] = []
    found: list[pl.DataFrame] = []
    totals: Counter[str] = Counter()
    for step in steps:
        found.append(findings.frame(SOURCE, step.unread))
        size += step.bytes
        if step.batch is None:
            continue
        columns = _identity(step.batch, step.positions)
        for check in checks:
            if step.batch.kind in check.kinds:
                observation = check.observe(step.batch)
                columns.update({f"{check.name}.{name}": series for name, series in observation.columns.items()})
                found.append(findings.frame(check.name, observation.findings, positions=step.positions))
                totals.update({f"{check.name}.{name}": value for name, value in observation.totals.items()})
        evidence.append(pl.DataFrame([series.alias(name) for name, series in columns.items()]))
    told = pl.concat([findings.empty(), *found]).sort("index", maintain_order=True)
    summary = {"records": shard.records, "bytes": size, "rejected": findings.rejected(told).n_unique(), "totals": dict(totals)}
    write_evidence(plan, shard, _one_row_a_record(shard, evidence), told, summary, mark)
    return summary


def _one_row_a_record(shard: Shard, evidence: Sequence[pl.DataFrame]) -> pl.DataFrame:
    every = pl.DataFrame({"index": pl.int_range(shard.records, dtype=pl.Int64, eager=True)})
    if not evidence:
        return every
    seen = pl.concat(evidence, how="diagonal_relaxed")
    told = seen if len(seen) == shard.records else every.join(seen, on="index", how="left", maintain_order="left")
    return told.drop("index") if told.width > 1 else told


def _identity(batch: Batch, positions: NDArray[np.int64]) -> dict[str, pl.Series]:
    columns = {"index": pl.Series(positions)}
    if isinstance(batch, MediaBatch):
        columns["bytes"] = pl.Series(batch.sizes)
        columns["digest"] = pl.Series(batch.digests, dtype=pl.Binary)
    return columns


def _problems(plan: Plan) -> Step:
    return Step(None, NOWHERE, [Finding(i, one.reason, "reject", one.detail) for i, one in enumerate(plan.problems)])


def _lost_shard(shard: Shard, loss: Loss) -> Step:
    return Step(None, NOWHERE, [Finding(i, loss.reason, "reject", loss.detail) for i in range(shard.records)])


def _table_steps(plan: Plan, shard: Shard, rows: RowReader) -> Iterator[Step]:
    """Yield the rows that could not be read from the source, then the batches of those that could."""
    bad = rows.bad(shard)
    yield Step(None, NOWHERE, [Finding(index, reason, "reject", detail, None, text) for index, reason, detail, text in bad])
    seen = np.zeros(shard.records, bool)
    seen[[index for index, _, _, _ in bad]] = True
    try:
        for batch in rows.batches(shard, plan.batch_size):
            seen[batch.rows - shard.start] = True
            yield Step(batch, batch.rows - shard.start, [])
    except Unavailable as error:
        yield Step(None, NOWHERE, [Finding(index, error.reason, "reject", error.detail) for index in np.flatnonzero(~seen).tolist()])


def _media_steps(plan: Plan, shard: Shard, lost: Mapping[int, Loss], context: Context) -> Iterator[Step]:
    """Yield the files some at a time: as many as a batch has, or fewer where they are large."""
    notes = [(position, plan.notes[file.record]) for position, file in enumerate(shard.files) if file.record in plan.notes]
    beside = _beside(plan, shard)
    unread: list[Finding] = [Finding(position, note.reason, "note", note.detail) for position, note in notes]
    read: list[Read] = []
    size = 0
    if resolve(plan.backend).on_gpu("photos"):  # which has a thread a file
        most, most_bytes = plan.batch_size or shard.records, MEDIA_BYTES_ON_GPU
    else:
        most, most_bytes = plan.batch_size or MEDIA_BATCH, MEDIA_BYTES
    with plan.payloads() as payloads:
        for position, file in enumerate(shard.files):
            if position in lost:
                unread.append(Finding(position, lost[position].reason, "reject", lost[position].detail))
                continue
            context.at(position)
            try:
                data = payloads.read(file)
                read.append(Read(position, file, data, xxhash.xxh3_128_digest(data)))  # of data that is still in the cache
                size += len(data)
            except Unavailable as error:
                unread.append(Finding(position, error.reason, "reject", error.detail))
            if len(read) >= most or size >= most_bytes:
                yield _inspected(plan, read, unread, beside, context)
                read, unread, size = [], [], 0
    yield _inspected(plan, read, unread, beside, context)


def _beside(plan: Plan, shard: Shard) -> Mapping[str, Sequence[str | None]]:
    """Return the columns that checks want beside the media of a shard of rows."""
    if shard.container is None or not shard.container.column:
        return {}
    wanted = [
        named for check in plan.recipe.checks(backend=plan.backend) for named in check.options.named_columns().values() if named.beside
    ]
    first, last = shard.files[0].offset, shard.files[-1].offset
    return {name: read_beside(shard.container, name, first, last + 1) for named in wanted for name in named.names}


def _inspected(
    plan: Plan, read: Sequence[Read], unread: list[Finding], beside: Mapping[str, Sequence[str | None]], context: Context
) -> Step:
    """Inspect files that were read."""
    from tamis.media import Limits, inspect, see_jpegs  # not above: tables need none of the decoders

    if not read:
        return Step(None, NOWHERE, unread)
    limits = Limits(max_pixels=plan.recipe.limits.pixels)
    checks = plan.recipe.checks(backend=plan.backend)
    deep, pixels = any(check.deep for check in checks), any(check.pixels for check in checks)
    context.at(WHOLE_SHARD)  # kernels may be compiled, which is not to be laid to a record; only foreign decoders hang or crash
    seen = see_jpegs([one.data for one in read], plan.backend, pixels=pixels)
    inspections = []
    for one, (walk, told) in zip(read, seen, strict=True):
        context.at(one.position)
        inspections.append(inspect(one.data, name=one.file.record, limits=limits, walk=walk, told=told, deep=deep))
    context.at(WHOLE_SHARD)
    batch = MediaBatch(
        records=[one.file.record for one in read],
        sizes=np.array([len(one.data) for one in read], np.int64),
        digests=[one.digest for one in read],
        inspections=inspections,
        beside={name: [values[one.position] for one in read] for name, values in beside.items()},
    )
    return Step(batch, np.array([one.position for one in read], np.int64), unread, int(batch.sizes.sum()))
