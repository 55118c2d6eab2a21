"""Apply: read the source once more, keep what may stay, repair and normalise it, write it. Runs in workers, one shard at a time."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import xxhash

from tamis.checks.base import Finding, Statistics
from tamis.executors import Context, Loss, Task
from tamis.pipeline import findings
from tamis.pipeline.evidence import evidence_path, findings_path, write_findings
from tamis.pipeline.files import UNFINISHED, digest, whole, write_json, write_table
from tamis.pipeline.judge import read_alive
from tamis.pipeline.observe import SOURCE, WHOLE_SHARD
from tamis.pipeline.plan import relative_path
from tamis.pipeline.rows import Unavailable, read_batches, verify_unchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.listing import SourceFile


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs besides the plan: the shard, and the statistics of its table group."""

    shard: Shard
    statistics: Statistics


def tasks(shards: Sequence[Shard], statistics: Mapping[str, Statistics]) -> list[Task]:
    """Return one task a shard that is not yet applied."""
    return [Task(apply_shard, Order(shard, statistics.get(shard.group, {}))) for shard in shards]


def summary_path(plan: Plan, shard: Shard) -> Path:
    """Return the file that marks a shard as applied."""
    return plan.state("applied", f"{shard.name}.json")


def read_applied(plan: Plan, shard: Shard) -> dict[str, Any]:
    """Return what was written of a shard: `kept`, a number, and `outputs`, one entry a file."""
    summary: dict[str, Any] = json.loads(summary_path(plan, shard).read_text())
    return summary


def apply_shard(plan: Plan, order: Order, lost: Mapping[int, Loss], context: Context) -> int:
    """Write the clean records of one shard, note what was written, and return how many records stayed."""
    shard = order.shard
    alive = read_alive(plan.state(), shard)
    late: list[Finding] = []
    outputs: list[dict[str, Any]] = []
    if WHOLE_SHARD in lost:
        late = [Finding(int(i), lost[WHOLE_SHARD].reason, "reject", lost[WHOLE_SHARD].detail) for i in np.flatnonzero(alive)]
    elif shard.kind == "media":
        outputs, late = _place_files(plan, shard, alive)
    elif shard.kind == "table":
        context.at(WHOLE_SHARD)
        outputs, late = _write_part(plan, shard, alive, order.statistics)
    write_findings(findings_path(plan, shard, "applied"), findings.frame(SOURCE, late))
    kept = int(alive.sum()) - len(late)
    write_json(summary_path(plan, shard), {"kept": kept, "outputs": outputs})
    return kept


def _write_part(plan: Plan, shard: Shard, alive: NDArray[np.bool_], statistics: Statistics) -> tuple[list[dict[str, Any]], list[Finding]]:
    group = plan.groups[shard.group]
    checks = [check for check in plan.recipe.checks(backend=plan.backend) if check.has("apply")]
    frames: list[pl.DataFrame] = []
    try:
        for batch in read_batches(plan, shard, plan.batch_size):
            frame = batch.frame.filter(pl.Series(alive[batch.rows - shard.start]))
            for check in checks:
                frame = check.apply(frame, group, statistics)
            frames.append(frame)
    except Unavailable as error:
        return [], [Finding(int(i), error.reason, "reject", error.detail) for i in np.flatnonzero(alive)]
    if plan.dry_run or not frames:
        return [], []
    clean = pl.concat(frames)
    path = Path(plan.out, "clean", "tables", shard.group, f"part-{shard.part:05d}.parquet")
    table = clean.to_arrow(compat_level=pl.CompatLevel.oldest())
    write_table(path, [table], table.schema, compression=plan.recipe.output.compression, room=room(plan))
    return [{"path": path.relative_to(plan.out).as_posix(), "bytes": path.stat().st_size, "xxh3_128": digest(path), "rows": len(clean)}], []


def _place_files(plan: Plan, shard: Shard, alive: NDArray[np.bool_]) -> tuple[list[dict[str, Any]], list[Finding]]:
    outputs: list[dict[str, Any]] = []
    late: list[Finding] = []
    digests = pl.read_parquet(evidence_path(plan, shard), columns=["digest"])["digest"] if alive.any() else pl.Series([], dtype=pl.Binary)
    for position in np.flatnonzero(alive).tolist():
        file, content = shard.files[position], digests[position]
        try:
            path = _place(plan, file, content)
        except Unavailable as error:
            late.append(Finding(position, error.reason, "reject", error.detail))
            continue
        outputs.append({"path": path, "record": file.record, "bytes": file.size, "xxh3_128": content.hex()})
    return outputs, late


def _place(plan: Plan, file: SourceFile, content: bytes) -> str | None:
    """Put one kept file into clean/ and return where, relative to the output folder; None when files are only listed."""
    verify_unchanged(file)
    how = plan.recipe.output.materialise
    if plan.dry_run or how == "manifest":
        return None
    target = Path(plan.out, "clean", relative_path(plan, file))
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_link(target, room(plan)) as temporary:
        if how == "symlink":
            temporary.symlink_to(Path(file.path).resolve())
        elif how == "copy" or not _link(file, temporary):
            _copy(file, temporary, content)
    return target.relative_to(plan.out).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def room(plan: Plan) -> Path:
    """Return the folder in which files of the clean corpus are made before they take their place."""
    return plan.state("unfinished")


class whole_link:
    """Give a temporary name for a link or copy, and rename it into place; a target from an earlier try is replaced."""

    def __init__(self, target: Path, room: Path) -> None:
        self.target = target
        room.mkdir(parents=True, exist_ok=True)
        self.temporary = room / f"{os.getpid()}{UNFINISHED}"

    def __enter__(self) -> Path:
        self.temporary.unlink(missing_ok=True)
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.temporary.replace(self.target)
        self.temporary.unlink(missing_ok=True)  # renaming one hard link onto another of the same file leaves both names


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


__all__ = ["Order", "apply_shard", "read_applied", "summary_path", "tasks", "whole"]
