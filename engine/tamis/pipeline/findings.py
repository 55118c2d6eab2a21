"""Findings as rows, and their files: the one shape in which observe, judge and apply say what they noticed about a record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from tamis.pipeline.files import write_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tamis.checks.base import Finding
    from tamis.pipeline.plan import Plan, Shard

SCHEMA: dict[str, pl.DataType] = {
    "index": pl.Int64(),
    "check": pl.String(),
    "reason": pl.String(),
    "severity": pl.String(),
    "detail": pl.String(),
    "column": pl.String(),
    "value": pl.String(),
    "kept": pl.Int64(),
    "similarity": pl.Float64(),
}


@cache
def empty() -> pl.DataFrame:
    """Return no findings."""
    return pl.DataFrame(schema=SCHEMA)


def frame(check: str, found: Iterable[Finding], *, positions: NDArray[np.int64] | None = None) -> pl.DataFrame:
    """Return findings as rows; `positions` turns places in a batch into places in the shard."""
    rows = [(one.index, check, one.reason, one.severity, one.detail, one.column, one.value, None, None) for one in found]
    if not rows:
        return empty()
    told = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return told if positions is None else told.with_columns(pl.Series("index", positions).gather(told["index"]))


def rejected(found: pl.DataFrame) -> pl.Series:
    """Return the places of the records that findings reject, one or several times each."""
    return found.filter(pl.col("severity") == "reject")["index"]


def path(plan: Plan, shard: Shard, stage: str = "evidence") -> Path:
    """Return where the findings lie that a stage (`evidence`, `amended`, `judged`, `applied`) made about a shard."""
    return plan.state(stage, f"{shard.name}.findings.parquet")


def write(target: Path, found: pl.DataFrame) -> None:
    """Write findings in the order of records and checks that made them; no file where there are none, for to flush one takes its time."""
    if found.is_empty():
        target.unlink(missing_ok=True)  # of an attempt that was cut off
        return
    table = found.to_arrow()
    write_table(target, [table], table.schema)


def read(source: Path) -> pl.DataFrame:
    """Read findings; none where nothing was written."""
    return pl.read_parquet(source) if source.exists() else empty()
