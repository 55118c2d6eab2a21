"""The report of a finished run: one HTML file that needs no network, no script and nothing beside it."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from tamis.errors import OutputError
from tamis.report import charts, formats
from tamis.report.findings import clusters, examples, null_table, series_table
from tamis.report.thumbnails import is_picture, thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tamis.sources.listing import SourceFile

__all__ = ["write_report"]

REPORT, MANIFEST = "report.html", "manifest.json"
MOST = {"files": 50, "tables": 50, "columns": 500, "decisions": 200}  # shown of each; the manifest has all
OWN_SECTIONS = ("quality", "labels", "discovery")  # checks that tell more than a list of notes


def write_report(out: Path, manifest: dict[str, Any] | None = None, media: Iterable[SourceFile] = ()) -> Path:
    """Write `report.html` into the output folder of a finished run and return its path.

    The report depends on the run's files alone; what a second run of the same work may change (times, rates, the number
    of jobs) stands in elements marked `data-timing`. Of the Parquet files only aggregates and a few rows are read.

    Parameters
    ----------
    out
        The output folder. `rejects.parquet`, `notes.parquet`, `clusters.parquet` and `series.parquet` may be
        missing where there was nothing to write. Pictures of duplicates are read from the run's sources if they still exist.
    manifest
        What the run did; None reads `manifest.json` in the folder.
    media
        The run's media; pictures of those that are members of containers are read from there.

    Raises
    ------
    OutputError
        The folder holds no readable manifest, or the report cannot be written.
    """
    manifest = manifest or _manifest(out)
    counts = manifest["counts"]
    source = manifest["source"]
    sources = [Path(path) for path in ([source["root"]] if "root" in source else source["paths"])]
    rejects = examples(out / "rejects.parquet", counts["by_reason"])
    notes = examples(out / "notes.parquet", counts.get("notes_by_reason", []))
    quality, labels, suspicions = ([told for told in (*rejects, *notes) if told.check == check] for check in OWN_SECTIONS)
    found = clusters(out / "clusters.parquet")
    shown = {cluster.keeper for cluster in found} | {member["record"] for cluster in found for member in cluster.members}
    members = {file.record: file for file in media if file.container and file.record in shown}
    page = _template().render(
        manifest=manifest,
        counts=counts,
        balance=charts.balance(counts),
        reasons_chart=charts.reasons(counts["by_reason"]),
        reasons=rejects,
        notes=[told for told in notes if told.check not in OWN_SECTIONS],
        quality=quality,
        quality_chart=charts.issues([(told.reason, told.records) for told in quality]),
        labels=labels,
        suspicions=suspicions,
        clusters=found,
        series=series_table(out / "series.parquet"),
        tables={name: null_table(table) for name, table in islice(manifest.get("tables", {}).items(), MOST["tables"])},
        decisions=_decisions(manifest),
        recipe=json.dumps(manifest.get("recipe", {}), indent=2, ensure_ascii=False, sort_keys=True),
        is_picture=lambda record: record in members or is_picture(record),
        thumbnail=lambda record: thumbnail(sources, record, members),
        most=MOST,
    )
    report = out / REPORT
    try:
        report.write_text(page.lstrip(), encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        message = f"cannot write {report}: {error}. Free some space or make the folder writable, then try again."
        raise OutputError(message) from error
    return report


def _manifest(out: Path) -> dict[str, Any]:
    path = out / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot report on {out}: {path} cannot be read ({error}). Name the output folder of a finished run."
        raise OutputError(message) from error
    return manifest


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": formats.number,
        "share": formats.share,
        "size": formats.size,
        "string_literal": json.dumps,
        "words": formats.words,
        "duration": formats.duration,
    }
    return environment.from_string(resources.files("tamis.report").joinpath("template.html").read_text("utf-8"))


def _decisions(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the run decided by itself, each with what it was decided about."""
    recipe = [("recipe", choice) for choice in manifest.get("recipe_choice", [])]
    tables = [(name, decision) for name, table in manifest.get("tables", {}).items() for decision in table.get("decisions", [])]
    return recipe + tables
