"""Evidence shards on disk: one Parquet file of columns and one of findings, per shard.

The findings are written first and the evidence last: where the evidence is, the shard is done. Every file says which versions and which
recipe made it; a file that says something else is an error, never mixed in.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.errors import OutputError
from tamis.pipeline import findings
from tamis.pipeline.files import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tamis.pipeline.plan import Plan, Shard

KEY = "tamis"


def evidence_path(plan: Plan, shard: Shard) -> Path:
    """Return where a shard's evidence lies."""
    return plan.state("evidence", f"{shard.name}.parquet")


def write_evidence(plan: Plan, shard: Shard, columns: pl.DataFrame, found: pl.DataFrame, summary: Mapping[str, Any], stamp: str) -> None:
    """Write a shard's findings and evidence; `summary` comes back from `read_summary`."""
    findings.write(findings.path(plan, shard), found)
    table = columns.to_arrow()
    metadata = {KEY: json.dumps({"stamp": stamp, "summary": summary}, sort_keys=True)}
    write_table(evidence_path(plan, shard), [table], table.schema, metadata=metadata)


def read_summary(plan: Plan, shard: Shard, stamp: str) -> dict[str, Any] | None:
    """Return what was said of a finished shard, or None when it is not finished, or its evidence was damaged.

    Raises
    ------
    OutputError
        The evidence was made by another version, recipe or source.
    """
    path = evidence_path(plan, shard)
    if not path.exists():
        return None
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):  # it was damaged since: the shard is read again
        return None
    told = json.loads(metadata.get(KEY.encode(), b"{}"))
    if told.get("stamp") != stamp:
        made = told.get("stamp", "something else")
        message = f"{path}: this evidence was made by {made}, not by {stamp}; begin anew with --overwrite (overwrite=True)"
        raise OutputError(message)
    summary: dict[str, Any] = told["summary"]
    return summary
