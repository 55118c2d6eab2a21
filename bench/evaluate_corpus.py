"""Whole corpora: all the data mixed in one folder with the recipe `auto`, and the project's own sample with its planted faults."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from evaluate_common import Setting, Table, link_or_copy
from harness import size_of

import tamis
from tamis.sample import write_sample

FOLDERS = ("photos", "duplicate_images", "broken_images", "audio_video", "records", "sensors")
QUICK = ("duplicate_images", "broken_images", "audio_video", "records")
NULLS = {"blank": "blank", "missing_word": "word", "nan": "nan", "sentinel": "code", "null": "null", "unparsable": "unparsed"}


def evaluate(setting: Setting) -> Iterator[Table]:
    """Clean everything at once and balance the books against what is on disk."""
    corpus = setting.work / "mixed"
    for name in QUICK if setting.quick else FOLDERS:
        shutil.copytree(setting.folder(name), corpus / name, copy_function=link_or_copy)
    start = time.monotonic()
    result = tamis.clean(corpus, setting.work / "cleaned", jobs=setting.jobs)
    seconds = time.monotonic() - start
    counts = result.manifest["counts"]
    _balance(result, corpus)
    totals = Table("Mixed corpus: records", ["kind", "read", "kept", "rejected"])
    totals.rows = [[kind, one["read"], one["kept"], one["rejected"]] for kind, one in counts["by_kind"].items()]
    totals.rows.append(["all", counts["read"], counts["kept"], counts["rejected"]])
    size = size_of(corpus)
    totals.remarks.append(
        f"{size / 1e6:.0f} MB in {seconds:.1f} s with {setting.jobs} worker processes. read = kept + rejected, "
        "and clean/ holds as many rows and files as the books say are kept."
    )
    yield totals
    for title, key in (("rejected", "by_reason"), ("noted", "notes_by_reason")):
        reasons = Table(f"Mixed corpus: {title}, by reason", ["check", "reason", "records"])
        reasons.rows = [[row["check"], row["reason"], row["records"]] for row in counts[key]]
        yield reasons


def _balance(result: tamis.Result, corpus: Path) -> None:
    """Count what was written without the manifest, and compare."""
    counts = result.manifest["counts"]
    rejected = result.rejected.select("record").collect()["record"]
    rows = {name: frame.select(pl.len()).collect().item() for name, frame in result.tables.items()}
    clean = result.out / "clean"
    files = sum(path.is_file() and (clean / "tables") not in path.parents for path in clean.rglob("*"))
    assert counts["read"] == counts["kept"] + counts["rejected"], counts
    assert counts["rejected"] == len(rejected) == rejected.n_unique(), "rejects.parquet does not hold each rejected record once"
    assert counts["kept"] == sum(rows.values()) + files, (counts["kept"], rows, files)
    lost = [record for record in rejected if not (corpus / record.partition("#")[0]).exists()]
    assert not lost, lost


def evaluate_sample(setting: Setting) -> Iterator[Table]:
    """Clean the sample corpus of the default seed, and compare with its truth, fault by fault."""
    summary = write_sample(setting.work / "sample")
    result = tamis.clean(summary.corpus, setting.work / "cleaned", jobs=setting.jobs)
    rejected = result.rejected.select("record", pl.concat_str("check", "reason", separator="/").alias("why"), "kept").collect()
    noted = result.notes.select("record").unique().with_columns(noted=True).collect()
    judged = pl.read_parquet(summary.truth).join(rejected, on="record", how="left").join(noted, on="record", how="left")
    judged = judged.with_columns(pl.Series("right", _right(judged)), gone=pl.col("why").is_not_null())
    table = Table("Sample: each planted fault", ["kind", "fault", "expected", "records", "rejected", "noted", "right", "reasons given"])
    for (kind, fault, expected), rows in judged.group_by("kind", "fault", "expected", maintain_order=True):
        reasons = ", ".join(f"{why} {count}" for why, count in rows["why"].drop_nulls().value_counts(sort=True).iter_rows())
        table.rows.append(
            [str(kind), str(fault), str(expected), len(rows), *(int(rows[what].sum()) for what in ("gone", "noted", "right")), reasons]
        )
    table.rows.sort(key=lambda row: (row[0], row[2], row[1]))
    table.remarks += [
        "right: a record without duplicates is kept or rejected as expected; a copy goes for a record of its group, or stays while its "
        "original goes; an original stays, or goes for a record of its group.",
        _groups(judged),
        _false_alarms(judged),
    ]
    yield table
    yield _cells(judged, result)


def _right(judged: pl.DataFrame) -> list[bool]:
    """Say of each record whether it met the fate that its truth asks for; of duplicates, any one may stay."""
    group = dict(judged.select("record", "group").iter_rows())
    kept = {record: keeper for record, why, keeper in judged.select("record", "why", "kept").iter_rows() if why}

    def goes_for_its_group(record: str) -> bool:
        return group[record] is not None and kept.get(record) is not None and group.get(kept[record]) == group[record]

    def right(record: str, expected: str, original: str | None) -> bool:
        if original:
            return goes_for_its_group(record) or (record not in kept and goes_for_its_group(original))
        return (record in kept) == (expected == "reject") or goes_for_its_group(record)

    return [right(*row) for row in judged.select("record", "expected", "original").iter_rows()]


def _false_alarms(judged: pl.DataFrame) -> str:
    """Say how many records that have no duplicate and are to be kept were rejected."""
    sound = judged.filter(pl.col("group").is_null() & (pl.col("expected") != "reject"))
    return f"False alarms: {sound['gone'].sum():,} of {len(sound):,} records that have no duplicate and are to be kept were rejected."


def _groups(judged: pl.DataFrame) -> str:
    """Say how many groups of duplicates keep one record."""
    kept = judged.filter(pl.col("group").is_not_null()).group_by("group").agg((~pl.col("gone")).sum().alias("kept"))["kept"]
    return f"Of {len(kept)} groups of duplicates, {(kept == 1).sum()} keep one record, {(kept == 0).sum()} none, {(kept > 1).sum()} more."


def _cells(truth: pl.DataFrame, result: tamis.Result) -> Table:
    """Compare planted cells without a value with the reasons of nulls in the manifest."""
    table = Table("Sample: cells of the readings that hold no value", ["planted", "cells", "counted as", "cells counted"])
    readings = truth.filter(pl.col("kind") == "reading")
    columns = [
        column
        for group in result.manifest["tables"].values()
        if any("sensors" in file for file in group["files"])
        for column in group["columns"]
    ]
    for fault, why in NULLS.items():
        counted = sum(int(column["nulls"].get(why, 0)) for column in columns)
        table.rows.append([fault, readings.filter(pl.col("fault") == fault).height, why, counted])
    return table
