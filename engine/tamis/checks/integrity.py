"""Integrity: whether a file is whole, and what it says it is.

The verdict is that of one strict decode (`tamis.media`), graded; the recipe says which grades hold a file back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import polars as pl
from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, Finding, Kind, MediaBatch, Observation, Severity
from tamis.media.inspection import GRADES, Grade

if TYPE_CHECKING:
    from tamis.media.inspection import Inspection


class Options(CheckOptions):
    """Options of `integrity`."""

    reject: tuple[Grade, ...] = Field(
        default=("damaged", "undecodable", "not_media", "bomb"),
        description=f"Grades that hold a file back, of: {', '.join(GRADES)}. The others are noted, save ok.",
    )
    reject_misnamed: bool = Field(default=False, description="Whether a sound file with another type's extension is held back.")
    deep: bool = Field(default=False, description="Whether sound and film are decoded to the last frame, and not only walked.")
    min_width: int = Field(default=1, ge=1, description="Least width of a picture in pixels.")
    min_height: int = Field(default=1, ge=1, description="Least height of a picture in pixels.")


class Integrity(Check[Options]):
    """Grades every media file by content."""

    name = "integrity"
    order = 10
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media"})
    summary = "Media files are decoded once, strictly: damaged, undecodable, misnamed files and bombs."
    Options = Options

    @property
    def deep(self) -> bool:
        """Whether sound and film are decoded."""
        return self.options.deep

    def observe(self, batch: Batch) -> Observation:
        """Note grade and size of each file."""
        assert isinstance(batch, MediaBatch)
        seen = batch.inspections
        findings: list[Finding] = []
        for index, inspection in enumerate(seen):
            findings += self._findings(index, inspection)
        columns = {
            "grade": pl.Series([one.grade for one in seen], dtype=pl.String),
            "format": pl.Series([one.format for one in seen], dtype=pl.String),
            "width": pl.Series([one.width for one in seen], dtype=pl.Int32),
            "height": pl.Series([one.height for one in seen], dtype=pl.Int32),
            "frames": pl.Series([one.frames for one in seen], dtype=pl.Int32),
        }
        return Observation(columns, findings)

    def _findings(self, index: int, one: Inspection) -> list[Finding]:
        options = self.options
        findings = []
        severity: Severity
        if one.grade not in {"ok", "misnamed"}:
            severity = "reject" if one.grade in options.reject else "note"
            findings.append(Finding(index, one.reason or one.grade, severity, f"{one.grade}: {one.detail}"))
        elif one.grade == "ok" and one.reason:
            findings.append(Finding(index, one.reason, "note", one.detail))
        if one.misnamed:
            severity = "reject" if options.reject_misnamed or "misnamed" in options.reject else "note"
            if severity == "reject" or one.grade != "not_media":  # of which it was said already that it is none of what names promise
                findings.append(Finding(index, "misnamed", severity, f"the content is {one.format}, the name says otherwise"))
        if one.width and (one.width < options.min_width or one.height < options.min_height):
            wanted = f"{options.min_width} x {options.min_height}"
            findings.append(Finding(index, "too_small", "reject", f"{one.width} x {one.height} pixels, less than {wanted}"))
        return findings
