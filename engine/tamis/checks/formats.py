"""Formats: one spelling for every value. The sources parse; this check holds the rules, counts, and keeps what could not be parsed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, Finding, Kind, Observation, Severity, TableBatch
from tamis.sources.options import FormatOptions


class Options(FormatOptions, CheckOptions):
    """Options of `formats`."""

    on_unparsed: Literal["null", "reject"] = Field(
        default="null",
        description="What happens to a row with a cell that its column's type cannot hold: the cell is null, or the row goes.",
    )


class Formats(Check[Options]):
    """Notes every cell that could not be parsed, with its text."""

    name = "formats"
    order = 15
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Timestamps, numbers, units, booleans and missing values of tables are brought to one form."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Turn cells that were not parsed, or not exactly, into findings."""
        assert isinstance(batch, TableBatch)
        severity: Severity = "reject" if self.options.on_unparsed == "reject" else "note"
        kinds = {column.name: column.kind for column in batch.group.columns}
        findings = [
            Finding(index, "unparsed", severity, f"not a {kinds[column]} that the column can hold; the cell is null", column, value)
            for index, column, value in batch.unparsed.select("index", "column", "value").iter_rows()
        ]
        findings += [
            Finding(index, "rounded", "note", "the cell holds the nearest value that its type has", column, value)
            for index, column, value in batch.rounded.select("index", "column", "value").iter_rows()
        ]
        nulls = {f"{column}|{reason}": count for (column, reason), count in batch.nulls.items()}
        return Observation(findings=findings, totals={f"{batch.group.name}|{key}": count for key, count in nulls.items()})
