"""Close the books: inputs, outputs, scalers, and the manifest, which says what was read, kept and rejected, and by what."""

from __future__ import annotations

import json
import platform
from collections import Counter
from importlib import metadata
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import xxhash

import tamis
from tamis.names import counted
from tamis.pipeline.apply import read_applied
from tamis.pipeline.evidence import evidence_path
from tamis.pipeline.files import write_json, write_table
from tamis.pipeline.forms import form_of
from tamis.pipeline.ledger import balance, balance_rows
from tamis.pipeline.wide import read_written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tamis.checks.base import Statistics
    from tamis.executors import Executor
    from tamis.pipeline.forms import Form
    from tamis.pipeline.ledger import Tally
    from tamis.pipeline.plan import Plan
    from tamis.pipeline.prepare import Prepared
    from tamis.pipeline.request import Clock, Request
    from tamis_kernels.backend import Backend

FORMAT = 1
INPUTS = pa.schema([("record", pa.string()), ("bytes", pa.int64()), ("xxh3_128", pa.string())])
OUTPUTS = pa.schema(
    [("path", pa.string()), ("record", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64()), ("xxh3_128", pa.string())]
)
_PACKAGES = ("numpy", "numba", "polars", "pyarrow", "pillow", "simplejpeg", "xxhash", "pydantic")


def write_books(
    ready: Prepared,
    summaries: Mapping[int, Mapping[str, Any]],
    kept: int,
    gathered: Mapping[str, Statistics],
    tally: Tally,
    request: Request,
    backend: Backend,
    clock: Clock,
    executor: Executor,
) -> dict[str, Any]:
    """Write inputs.parquet, outputs.parquet and scaler.json; return the manifest, which the caller writes last.

    Raises
    ------
    InvariantError
        `read = kept + rejected` does not hold.
    """
    plan, out = ready.plan, request.out
    balance(plan.records, kept, sum(tally.rejected.values()))
    inputs = _write_listing(out / "inputs.parquet", _inputs(plan, ready.digests), INPUTS)
    outputs = _write_listing(out / "outputs.parquet", _outputs(plan), OUTPUTS)
    scalers = _scalers(plan, gathered)
    if scalers:
        write_json(out / "scaler.json", scalers)
    totals: Counter[str] = Counter()
    for summary in summaries.values():
        totals.update(summary["totals"])
    counters = json.loads(plan.state("judged", "counters.json").read_text(encoding="utf-8"))
    manifest: dict[str, Any] = {
        "tamis": {"version": tamis.__version__, "manifest": FORMAT},
        "dry_run": plan.dry_run,
        "against": list(plan.against),
        "source": {
            "paths": list(request.source),
            "root": plan.root,
            "files": inputs["files"],
            "bytes": inputs["bytes"],
            "companions": ready.companions,
            "whole_set": len(plan.whole_set),
            "listing": inputs["xxh3_128"],
        },
        "counts": _counts(plan, kept, tally, counters),
        "tables": {name: _table(plan, name, totals, tally, counters) for name in plan.groups},
        "scalers": {name: {key: sorted(value) for key, value in scaler.items()} for name, scaler in scalers.items()},
        "recipe": plan.recipe.canonical(),
        "recipe_hash": plan.recipe.digest(),
        "recipe_choice": list(ready.choice),
        "versions": {"python": platform.python_version(), **package_versions()},
        "backend": {"name": backend.name, "reason": backend.reason},
        "seeds": {"minhash": plan.recipe.seed},
        "checks": counters,
        "inputs": inputs,
        "outputs": outputs,
        "dataset_id": xxhash.xxh3_128_hexdigest(f"{plan.recipe.digest()}|{outputs['xxh3_128']}".encode()),
        "timing": {**_timing(clock, plan, inputs["bytes"]), **executor.told()},
    }
    return manifest


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that leave their mark on results."""
    return {name: metadata.version(name) for name in _PACKAGES}


def _inputs(plan: Plan, digests: Mapping[str, str]) -> Iterator[pa.Table]:
    for shard in plan.shards:
        if shard.kind == "media":
            evidence = pl.read_parquet(evidence_path(plan, shard))
            hashes = evidence["digest"].bin.encode("hex") if "digest" in evidence.columns else [None] * shard.records
            known = evidence["bytes"].to_list() if "bytes" in evidence.columns else [None] * shard.records
            sizes = [file.size if size is None else size for file, size in zip(shard.files, known, strict=True)]
            yield pa.table({"record": [file.record for file in shard.files], "bytes": sizes, "xxh3_128": list(hashes)}, schema=INPUTS)
    tables = {shard.files[0].record: shard.files[0] for shard in plan.shards if shard.kind == "table"}
    rows = [(record, file.size, digests[record]) for record, file in sorted(tables.items())]
    yield pa.table([list(column) for column in zip(*rows, strict=True)] or [[], [], []], schema=INPUTS)


def _outputs(plan: Plan) -> Iterator[pa.Table]:
    for shard in plan.shards:
        yield _listed(read_applied(plan, shard)["outputs"])
    for group in plan.groups:
        for part in read_written(plan, group):
            yield _listed(part["outputs"])


def _listed(written: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.table({name: [one.get(name) for one in written] for name in OUTPUTS.names}, schema=OUTPUTS)


def _write_listing(path: Path, tables: Iterator[pa.Table], schema: pa.Schema) -> dict[str, Any]:
    """Write a listing of files and return its totals, with one digest over names, sizes and contents."""
    hasher = xxhash.xxh3_128()
    totals = {"bytes": 0, "files": 0}

    def counted() -> Iterator[pa.Table]:
        for table in tables:
            totals["files"] += len(table)
            totals["bytes"] += sum(table["bytes"].to_pylist())
            for row in table.to_pylist():
                hasher.update(json.dumps(row, sort_keys=True).encode())
            yield table

    write_table(path, counted(), schema)
    return {"listed_in": path.name, **totals, "xxh3_128": hasher.hexdigest()}


def _scalers(plan: Plan, gathered: Mapping[str, Statistics]) -> dict[str, dict[str, Any]]:
    scalers: dict[str, dict[str, Any]] = {}
    for check in plan.recipe.checks(backend="cpu"):
        if not check.has("fitted"):
            continue
        for name, group in plan.groups.items():
            fitted = check.fitted(group, gathered.get(name, {}))
            if fitted is not None:
                scalers.setdefault(name, {})[check.name] = fitted
    return scalers


def _counts(plan: Plan, kept: int, tally: Tally, counters: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    by_kind: dict[str, dict[str, int]] = {}
    for shard in plan.shards:
        counts = by_kind.setdefault(shard.kind, {"read": 0, "kept": 0, "rejected": tally.by_kind[shard.kind]})
        counts["read"] += shard.records
        counts["kept"] = counts["read"] - counts["rejected"]
    return {
        "read": plan.records,
        "kept": kept,
        "rejected": sum(tally.rejected.values()),
        "noted": sum(tally.noted.values()),
        "clusters": int(sum(book.get("clusters", 0) for book in counters.values())),
        "by_kind": by_kind,
        "by_reason": _by_reason(tally.rejected),
        "notes_by_reason": _by_reason(tally.noted),
    }


def _by_reason(counter: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return [{"check": check, "reason": reason, "records": count} for (check, reason), count in ordered]


def _table(plan: Plan, name: str, totals: Counter[str], tally: Tally, counters: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    group = plan.groups[name]
    form, told = form_of(plan.recipe.output, group)
    rows = sum(shard.records for shard in plan.shards if shard.group == name)
    columns = []
    for column in group.columns:
        prefix = f"formats.{name}|{column.name}|"
        nulls = {key.removeprefix(prefix): value for key, value in sorted(totals.items()) if key.startswith(prefix)}
        nulls |= {check: int(book[key]) for check, book in counters.items() if (key := f"nulled|{name}|{column.name}") in book}
        missing = totals[f"missing.{name}|{column.name}"]
        columns.append({"name": column.name, "type": str(column.dtype), "kind": column.kind, "missing": missing, "nulls": nulls})
    return {
        "rows_read": rows,
        "rows_kept": rows - tally.by_group[name],
        **_written(plan, name, form, rows - tally.by_group[name]),
        "columns": columns,
        "files": list(group.files),
        "decisions": [
            *group.notes,
            *_of_files(group.files, plan),
            *json.loads(plan.state("judged", "decisions.json").read_text(encoding="utf-8")).get(name, []),
            *([told] if told else []),
        ],
    }


def _of_files(files: Sequence[str], plan: Plan) -> list[str]:
    """Return what is to be told of the files of a group, each note once and with the files that it is about where there are several."""
    told: dict[str, list[str]] = {}
    for record in files:
        for note in plan.staged[record].notes:
            told.setdefault(note, []).append(record)
    if len(files) == 1:
        return list(told)
    return [f"{note} ({_named(records, len(files))})" for note, records in told.items()]


def _named(records: Sequence[str], files: int) -> str:
    if len(records) == files:
        return "all files"
    return records[0] if len(records) == 1 else f"{records[0]} and {counted(len(records) - 1, 'more files')}"


def _written(plan: Plan, name: str, form: Form | None, kept: int) -> dict[str, Any]:
    """Return how many rows of a group were written and in which form; each kept row is in them, and each once."""
    if plan.dry_run:
        return {"rows_written": 0}
    parts = read_written(plan, name) if form and form.tables == "wide" else []
    parts += [read_applied(plan, shard) for shard in plan.shards if shard.group == name]
    rows = sum(one["rows"] for part in parts for one in part["outputs"])
    if form is None or form.tables == "long":
        balance_rows(name, kept * (len(form.readings) if form else 1), rows)
        return {"rows_written": rows, **({"form": form.state()} if form else {})}
    balance_rows(name, kept, sum(part.get("records", 0) for part in parts))
    return {"rows_written": rows, "form": {**form.state(), "repeated": sum(part.get("repeated", 0) for part in parts)}}


def _timing(clock: Clock, plan: Plan, size: int) -> dict[str, Any]:
    seconds = max(clock.seconds, 1e-9)
    return {
        "started": clock.started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "stages": clock.stages,
        "records_per_second": round(plan.records / seconds, 1),
        "bytes_per_second": round(size / seconds, 1),
    }
