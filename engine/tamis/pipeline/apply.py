"""Apply: read the source once more, keep what may stay, repair and normalise it, write it. Runs in workers, a shard or some in a row."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import xxhash

from tamis.checks.base import Finding, Statistics
from tamis.executors import Context, Loss
from tamis.files import whole
from tamis.pipeline import findings
from tamis.pipeline.amend import Amended
from tamis.pipeline.evidence import evidence_path
from tamis.pipeline.files import digest, write_json, write_table
from tamis.pipeline.forms import form_of
from tamis.pipeline.observe import SOURCE, WHOLE_SHARD
from tamis.pipeline.pack import pack, shown_path
from tamis.pipeline.plan import in_a_row, relative_path
from tamis.pipeline.rows import UNREADABLE_ROWS, RowReader
from tamis.pipeline.verdicts import read_alive
from tamis.pipeline.wide import write_run
from tamis.sources.payload import Unavailable, verify_unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.listing import SourceFile


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs besides the plan: a shard, all those of one container, or some in a row.

    Of the table group that it belongs to it has the statistics, and how many shards there are.
    """

    shards: tuple[Shard, ...]
    statistics: Statistics
    shards_of_group: int = 1

    @property
    def records(self) -> int:
        """How many records there are in it."""
        return sum(shard.records for shard in self.shards)


def orders(plan: Plan, statistics: Mapping[str, Statistics], workers: int) -> Iterator[Order]:
    """Yield what is not written yet, for so many workers: all shards of a container as one, others one by one or in a row."""
    sizes = Counter(shard.group for shard in plan.shards)
    there = {shard.index for shard in plan.shards if summary_path(plan, shard).exists()}
    rows = (shard for shard in plan.shards if shard.kind == "table" and shard.index not in there)
    others = groupby((shard for shard in plan.shards if shard.kind != "table"), key=lambda shard: shard.container or shard.index)
    of_others = (tuple(group) for _, group in others)
    left = (shards for shards in of_others if any(shard.index not in there for shard in shards))
    for shards in chain(left, in_a_row(rows, workers)):
        yield Order(shards, statistics.get(shards[0].group, {}), sizes[shards[0].group])


def summary_path(plan: Plan, shard: Shard) -> Path:
    """Return the file that marks a shard as applied."""
    return plan.state("applied", f"{shard.name}.json")


def read_applied(plan: Plan, shard: Shard) -> dict[str, Any]:
    """Return what was written of a shard: `kept`, a number, and `outputs`, one entry a file."""
    summary: dict[str, Any] = json.loads(summary_path(plan, shard).read_text(encoding="utf-8"))
    return summary


def apply_order(plan: Plan, order: Order, lost: Mapping[int, Loss], context: Context) -> int:
    """Write the clean records of an order, note what was written, and return how many records stayed."""
    if order.shards[0].kind != "table":
        return _apply_others(plan, order.shards, lost, context)
    reader = RowReader(plan)
    kept = 0
    for place, shard in enumerate(order.shards):
        alive = read_alive(plan.state(), shard)
        if WHOLE_SHARD - place in lost:
            kept += _note(plan, (shard,), alive, [], _all_lost(alive, lost[WHOLE_SHARD - place]))
        else:
            context.at(WHOLE_SHARD - place)
            kept += _note(plan, (shard,), alive, *_write_part(plan, order, shard, alive, reader))
    return kept


def _apply_others(plan: Plan, shards: Sequence[Shard], lost: Mapping[int, Loss], context: Context) -> int:
    """Write what stays of media, and note what could not be opened."""
    alive = np.concatenate([read_alive(plan.state(), one) for one in shards])
    outputs: list[dict[str, Any]] = []
    late: list[Finding] = []
    if WHOLE_SHARD in lost:
        late = _all_lost(alive, lost[WHOLE_SHARD])
    elif shards[0].container and not _lists_only(plan):
        context.at(WHOLE_SHARD)
        outputs, late = pack(plan, [file for one in shards for file in one.files], alive)
    elif shards[0].kind == "media":
        outputs, late = _place_files(plan, shards, alive)
    if shards[0].first == 0:
        for file in plan.whole_set:
            if file.container is None:
                _place_along(plan, file, 0, outputs, late)
    return _note(plan, shards, alive, outputs, late)


def _all_lost(alive: NDArray[np.bool_], loss: Loss) -> list[Finding]:
    return [Finding(int(i), loss.reason, "reject", loss.detail) for i in np.flatnonzero(alive)]


def _note(plan: Plan, shards: Sequence[Shard], alive: NDArray[np.bool_], outputs: Sequence[dict[str, Any]], late: Sequence[Finding]) -> int:
    """Note what was written of shards, which marks them as applied, and return how many of their records stayed."""
    stayed = alive.copy()
    stayed[[finding.index for finding in late if finding.severity == "reject"]] = False
    for one in shards:
        start = one.first - shards[0].first
        stop = start + one.records
        mine = [replace(finding, index=finding.index - start) for finding in late if start <= finding.index < stop]
        findings.write(findings.path(plan, one, "applied"), findings.frame(SOURCE, mine))
        write_json(summary_path(plan, one), {"kept": int(stayed[start:stop].sum()), "outputs": outputs if one is shards[0] else []})
    return int(stayed.sum())


def _lists_only(plan: Plan) -> bool:
    return plan.dry_run or plan.recipe.output.materialise == "manifest"


def _write_part(
    plan: Plan, order: Order, shard: Shard, alive: NDArray[np.bool_], reader: RowReader
) -> tuple[list[dict[str, Any]], list[Finding]]:
    group = plan.groups[shard.group]
    form, _ = form_of(plan.recipe.output, group)
    checks = [check for check in plan.recipe.checks(backend=plan.backend) if check.has("apply")]
    frames: list[pl.DataFrame] = []
    late: list[Finding] = []
    unread = alive.copy()
    amended = Amended(plan, shard)
    try:
        for batch in reader.batches(shard, plan.batch_size):
            unread[batch.rows - shard.start] = False
            read = frame = amended.frame(batch).filter(pl.Series(alive[batch.rows - shard.start]))
            for check in checks:
                frame = check.apply(frame, group, order.statistics)
            frames.append(form.keyed(read, frame, batch.source) if form else frame)
    except Unavailable as error:
        if error.reason != UNREADABLE_ROWS:  # what was read of a file that changed is not what was judged
            frames, unread = [], alive
        late = [Finding(int(i), error.reason, "reject", error.detail) for i in np.flatnonzero(unread)]
    if plan.dry_run or not frames:
        return [], late
    clean = pl.concat(frames)
    if form and form.tables == "wide":
        write_run(plan, shard, clean, order.shards_of_group)
        return [], late
    path = Path(plan.out, "clean", "tables", shard.group, f"part-{shard.part:05d}.parquet")
    pieces = form.long(clean) if form else iter([clean])
    tables = (piece.to_arrow(compat_level=pl.CompatLevel.oldest()) for piece in pieces)
    first = next(tables)
    rows = write_table(path, chain([first], tables), first.schema, compression=plan.recipe.output.compression, room=plan.room)
    return [{"path": path.relative_to(plan.out).as_posix(), "bytes": path.stat().st_size, "xxh3_128": digest(path), "rows": rows}], late


def _place_files(plan: Plan, shards: Sequence[Shard], alive: NDArray[np.bool_]) -> tuple[list[dict[str, Any]], list[Finding]]:
    outputs: list[dict[str, Any]] = []
    late: list[Finding] = []
    for shard in shards:
        first = shard.first - shards[0].first
        positions = np.flatnonzero(alive[first : first + shard.records]).tolist()
        known = pl.read_parquet(evidence_path(plan, shard), columns=["digest", "bytes"]) if positions else pl.DataFrame()
        for position in positions:
            file, (content, size) = shard.files[position], known.row(position)
            try:
                verify_unchanged(file)
                path = _place(plan, file, content)
            except Unavailable as error:
                late.append(Finding(first + position, error.reason, "reject", error.detail))
                continue
            outputs.append({"path": path, "record": file.record, "bytes": size, "xxh3_128": content.hex()})
            for companion in file.companions:
                _place_along(plan, companion, first + position, outputs, late)
    return outputs, late


def _place_along(plan: Plan, file: SourceFile, position: int, outputs: list[dict[str, Any]], late: list[Finding]) -> None:
    """Put a file that rides along into clean/, which nobody has read before; if it is lost, the record at a position has the note."""
    try:
        verify_unchanged(file)
        try:
            content = digest(file.path)
        except OSError as error:
            raise Unavailable("vanished", error.strerror or str(error)) from error
        path = _place(plan, file, bytes.fromhex(content))
    except Unavailable as error:
        late.append(Finding(position, "companion_lost", "note", f"{file.record}: {error.detail}"))
        return
    outputs.append({"path": path, "record": file.record, "bytes": file.size, "xxh3_128": content})


def _place(plan: Plan, file: SourceFile, content: bytes) -> str | None:
    """Put one kept, unchanged file into clean/ and return where, relative to the output folder; None when files are only listed."""
    how = plan.recipe.output.materialise
    if _lists_only(plan):
        return None
    target = Path(plan.out, "clean", relative_path(plan, file))
    with whole(target, plan.room, flush=False) as unfinished:
        if how == "symlink":
            unfinished.symlink_to(Path(file.path).resolve())
        elif how == "copy" or not _link(file, unfinished):
            _copy(file, unfinished, content)
    return shown_path(plan, target)


def _link(file: SourceFile, target: Path) -> bool:
    try:
        os.link(Path(file.path).resolve(), target)
    except OSError:
        return False  # another file system, or one without links: copy
    return True


def _copy(file: SourceFile, target: Path, content: bytes) -> None:
    hasher = xxhash.xxh3_128()
    try:
        source = Path(file.path).open("rb")  # noqa: SIM115 - closed below; opening must fail apart from writing
    except OSError as error:
        raise Unavailable("vanished", f"{error.strerror or error}") from error
    with source, target.open("wb") as copy:
        while block := source.read(1 << 20):
            hasher.update(block)
            copy.write(block)
    if hasher.digest() != content:
        raise Unavailable("changed", "its content is no longer what was observed: the file changed during the run")
    shutil.copystat(file.path, target)
