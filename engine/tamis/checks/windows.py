"""Windows: short series of fixed length in list and array columns that have gaps, stand still, are cut off or of an odd length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, Finding, Kind, Observation, Severity, TableBatch
from tamis.checks.named import WindowColumns
from tamis.normalizer import flat_windows
from tamis_kernels.windows import describe

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

Issue = Literal["empty", "gaps", "infinite", "constant", "clipped", "odd_length"]
ISSUES: tuple[Issue, ...] = get_args(Issue)


class Options(CheckOptions):
    """Options of `windows`."""

    columns: WindowColumns = Field(default=(), description="Columns of lists or arrays of numbers that are looked at; none given: all.")
    issues: tuple[Issue, ...] = Field(default=ISSUES, description=f"What is looked for, of: {', '.join(ISSUES)}.")
    reject: tuple[Issue, ...] = Field(default=(), description="Issues that hold a row back. The others are noted.")
    max_missing: float = Field(default=0.0, ge=0, lt=1, description="Share of null and NaN samples above which a window has gaps.")
    tolerance: float = Field(default=0.0, ge=0, description="Range of the samples up to which a window is constant.")
    run: int = Field(default=3, ge=2, description="Equal samples, one after the other, that count as standing still.")
    clipped: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="Share of samples that stand still at the least or greatest value of the window, above which it is clipped, if at most "
        "a quarter as many stand still at other values and at least a quarter as many move: else its steps are coarse.",
    )
    length: int = Field(default=0, ge=0, description="Samples that a window must have; 0: any number.")


class Windows(Check[Options]):
    """Notes or rejects rows by the state of their windows."""

    name = "windows"
    order = 25
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Windows in list and array columns that are empty, constant, clipped, of an odd length, or have gaps or infinities."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Look at each window by itself."""
        assert isinstance(batch, TableBatch)
        chosen = self.options.columns
        names = [column.name for column in batch.group.columns if column.kind == "window" and (not chosen or column.name in chosen)]
        findings = [finding for name in names for finding in self._findings(batch.frame[name])]
        return Observation(findings=sorted(findings, key=lambda one: one.index))

    def _findings(self, series: pl.Series) -> list[Finding]:
        options = self.options
        inner, offsets = flat_windows(series)
        values = inner.fill_null(np.nan).to_numpy()
        told = describe(values, offsets, run=options.run, backend=self.backend)
        lengths, there = np.diff(offsets), series.is_not_null().to_numpy()
        extreme = told.at_least + told.at_greatest
        moving = told.finite - extreme - told.elsewhere
        moves = told.maximum - told.minimum > options.tolerance
        found: dict[Issue, tuple[NDArray[np.bool_], str]] = {
            "empty": (told.finite == 0, "no finite sample among {length}"),
            "gaps": ((told.nan > options.max_missing * lengths) & (told.finite > 0), "{nan} of {length} samples are missing"),
            "infinite": (told.infinite > 0, "{infinite} of {length} samples are infinite"),
            "constant": ((told.finite > 1) & ~moves, "all {finite} samples lie within {minimum:g} … {maximum:g}"),
            "clipped": (
                moves & (extreme > options.clipped * lengths) & (4 * told.elsewhere <= extreme) & (4 * moving >= extreme),
                "{extreme} of {length} samples stand still at the window's ends, {minimum:g} and {maximum:g}",
            ),
            "odd_length": ((lengths != options.length) & (options.length > 0), f"{{length}} samples, not {options.length}"),
        }
        findings = []
        for issue in options.issues:
            hit, detail = found[issue]
            for row in np.flatnonzero(hit & there).tolist():
                words = {"length": lengths[row], "extreme": extreme[row]}
                words |= {name: getattr(told, name)[row] for name in ("finite", "nan", "infinite", "minimum", "maximum")}
                severity: Severity = "reject" if issue in options.reject else "note"
                findings.append(Finding(row, f"{issue}_window", severity, detail.format(**words), series.name))
        return findings
