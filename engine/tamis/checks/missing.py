"""Missing values: rows that say nothing are held back, cells are imputed only where the recipe says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from tamis.checks.base import Batch, Check, CheckOptions, Finding, Kind, Needs, Observation, TableBatch
from tamis.checks.marks import mark_imputed
from tamis.checks.named import ColumnNames, NumberColumns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.checks.base import Statistics
    from tamis.sources.schema import TableGroup


class Options(CheckOptions):
    """Options of `missing`."""

    required: ColumnNames = Field(default=(), description="Columns without whose value a row is rejected.")
    max_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of missing value columns at which a row is rejected; 1: when all are missing. Value columns are the numbers "
        "(and windows, and beside them texts of 100 characters or more on average) of a table, or all its columns when it has no numbers.",
    )
    impute: Literal["none", "mean", "median", "constant"] = Field(
        default="none", description="What a missing number becomes: it stays null, or the mean or median of the kept rows, or `constant`."
    )
    constant: float = Field(default=0.0, description="The value that impute = constant writes.")
    columns: NumberColumns = Field(default=(), description="Number columns that are imputed; none given: all.")
    mark: bool = Field(default=True, description="Whether a column NAME__imputed says which cells were imputed.")

    @model_validator(mode="after")
    def _sound(self) -> Options:
        """Refuse keys that say how cells are imputed where none would be, or not so."""
        needed = {"columns": self.impute != "none", "constant": self.impute == "constant"}
        idle = [key for key in self.changed() if self.enabled and not needed.get(key, True)]
        self.refuse_idle(idle, f'impute is "{self.impute}": set missing.impute, for example to constant')
        return self


class Missing(Check[Options]):
    """Counts, rejects and imputes."""

    name = "missing"
    order = 30
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Rows without values are rejected; missing numbers are imputed if the recipe says so."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Reject rows that lack what they must have."""
        assert isinstance(batch, TableBatch)
        options = self.options
        frame, findings = batch.frame, []
        values = value_columns(batch.group)
        lacking = [name for name in values if frame[name].null_count()]
        share = np.empty(0)
        if len(lacking) / max(1, len(values)) >= options.max_share:  # or no row can lack as much
            missing = frame.select(pl.sum_horizontal(pl.col(name).is_null() for name in lacking))
            share = missing.to_series().to_numpy() / len(values)
        for index in np.flatnonzero(share >= options.max_share).tolist():
            detail = f"{round(share[index] * len(values))} of {len(values)} value columns are missing"
            findings.append(Finding(index, "no_values" if share[index] == 1 else "too_few_values", "reject", detail))
        for name in options.required:
            if name in frame.columns:
                empty = frame[name].is_null().arg_true().to_list()
                findings += [Finding(i, "required_missing", "reject", f"{name} is required and missing", name) for i in empty]
        totals = {f"{batch.group.name}|{name}": frame[name].null_count() for name in frame.columns}
        return Observation(findings=sorted(findings, key=lambda one: one.index), totals=totals)

    def needs(self, group: TableGroup) -> Mapping[str, Sequence[Needs]]:
        """Ask for the mean or median of what is to be imputed."""
        if self.options.impute == "mean":
            return {name: [Needs(moments=True)] for name in self._imputed(group)}
        if self.options.impute == "median":
            return {name: [Needs(quantiles=(0.5,))] for name in self._imputed(group)}
        return {}

    def apply(self, frame: pl.DataFrame, group: TableGroup, statistics: Statistics) -> pl.DataFrame:
        """Fill missing numbers and mark them."""
        options = self.options
        if options.impute == "none":
            return frame
        filled = []
        for name in self._imputed(group):
            value = self._value(name, statistics)
            if value is None or np.isnan(value):
                continue
            filled.append(pl.col(name).fill_null(pl.lit(value).cast(frame.schema[name])))
            if options.mark:
                filled.append(mark_imputed(frame, name, {column.name for column in group.columns}, pl.col(name).is_null()))
        return frame.with_columns(filled)

    def fitted(self, group: TableGroup, statistics: Statistics) -> dict[str, Any] | None:
        """Return the imputed value of each column."""
        if self.options.impute == "none":
            return None
        return {"impute": self.options.impute, "values": {name: self._value(name, statistics) for name in self._imputed(group)}}

    def _value(self, name: str, statistics: Statistics) -> float | None:
        if self.options.impute == "constant":
            return float(self.options.constant)
        known = statistics[name]
        if self.options.impute == "median":
            return known.quantiles[0.5]
        return known.moments.mean() if known.moments else None

    def _imputed(self, group: TableGroup) -> list[str]:
        chosen = self.options.columns
        return [column.name for column in group.columns if column.kind == "number" and (not chosen or column.name in chosen)]


def value_columns(group: TableGroup) -> list[str]:
    """Return the columns that carry a row's values, as against its keys and times."""
    numbers = any(column.kind in {"number", "window"} for column in group.columns)
    return [column.name for column in group.columns if not numbers or column.kind in {"number", "window"} or column.is_prose]
