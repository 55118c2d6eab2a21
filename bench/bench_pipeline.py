"""Whole runs of `tamis clean`, from files to files, by kind of corpus and number of workers: against a copy, and against what others do.

The limit is a copy of the same bytes from file to file. The peers do less: they drop equal rows or load pictures and tell nothing about it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpora
import polars as pl
from harness import Report
from PIL import Image

FILES = {"CSV": 4, "Parquet": 8, "NDJSON": 10, "JPEG": 1500}
QUICK = {"CSV": 1, "Parquet": 1, "NDJSON": 1, "JPEG": 60}
COPIES = {"CSV": "exact_duplicate", "Parquet": "exact_duplicate", "NDJSON": "near_duplicate_text", "JPEG": "near_duplicate_picture"}


def clean(source: Path, out: Path, jobs: int) -> dict[str, Any]:
    """Run the command in a process of its own, as users do, and return the manifest."""
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "tamis", "clean", str(source), "-o", str(out), "--jobs", str(jobs), "--quiet"], check=True)
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def unique_rows(scan: pl.LazyFrame, target: Path) -> None:
    scan.unique(maintain_order=True).sink_parquet(target)


def load_pictures(source: Path) -> None:
    for path in sorted(source.rglob("*.jpg")):
        with Image.open(path) as picture:
            picture.load()


def peers(kind: str, source: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what a user without tamis runs on the same files."""
    target = folder / "unique.parquet"
    if kind == "CSV":
        return {"polars unique rows, all threads": lambda: unique_rows(pl.scan_csv(source / "*.csv"), target)}
    if kind == "Parquet":
        return {"polars unique rows, all threads": lambda: unique_rows(pl.scan_parquet(source / "*.parquet"), target)}
    if kind == "NDJSON":
        return {"polars unique rows, all threads": lambda: unique_rows(pl.scan_ndjson(source / "*.ndjson"), target)}
    return {"Pillow load, one thread": lambda: load_pictures(source)}


def measure(report: Report, kind: str, files: int, folder: Path) -> None:
    source, out = folder / kind, folder / "out"
    size = corpora.write(kind, source, files)
    manifest = clean(source, out, 2)  # compiles what is not yet compiled
    counts = manifest["counts"]
    report.check(f"{kind}: {counts['read']} records read = kept + rejected", counts["read"] == counts["kept"] + counts["rejected"])
    found = sum(row["records"] for row in counts["by_reason"] if row["reason"] == COPIES[kind])
    planted = counts["read"] // corpora.COPIES
    report.check(f"{kind}: {found} of about {planted} planted copies found", 0.95 * planted <= found <= 1.05 * planted + 1)
    lanes: dict[str, Callable[[], object]] = {
        "tamis clean, 2 workers": lambda: clean(source, out, 2),
        "tamis clean, 1 worker": lambda: clean(source, out, 1),
        "copy of the files": lambda: copy(source, folder / "copy"),
        **peers(kind, source, folder),
    }
    rows = report.time(f"{kind}, {size / 1e6:.0f} MB", lanes, work=size / 1e6, unit="MB", runs=3)
    seconds = sorted(rows["tamis clean, 2 workers"].seconds)[1]
    stages = "  ".join(f"{name} {taken:.2f}" for name, taken in manifest["timing"]["stages"].items())
    print(f"{'':28s} {counts['read'] / seconds:,.0f} records/s with start and end of the process; seconds by stage, first run: {stages}")
    shutil.rmtree(source)


def main() -> None:
    report = Report.from_arguments((__doc__ or "").splitlines()[0])
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        for kind, files in (QUICK if report.quick else FILES).items():
            measure(report, kind, files, Path(temporary))


if __name__ == "__main__":
    main()
