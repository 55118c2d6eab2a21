"""Normalise: bring number columns to a common scale, fitted on the kept rows alone. The fitted scaler is saved and can be inverted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from tamis.checks.base import Check, CheckOptions, ColumnNames, Kind, Needs
from tamis.normalizer import Normalizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tamis.checks.base import Statistics
    from tamis.sources.schema import TableGroup

QUARTILES = (0.25, 0.5, 0.75)


class Options(CheckOptions):
    """Options of `normalize`."""

    method: Literal["none", "zscore", "minmax", "maxabs", "robust", "log1p"] = Field(
        default="none",
        description="zscore: mean 0, deviation 1; minmax: 0 … 1; maxabs: -1 … 1; robust: median and quartiles; log1p: log(1 + x).",
    )
    columns: ColumnNames = Field(default=(), description="Number columns that are normalised; none given: all.")
    ignore: ColumnNames = Field(default=(), description="Number columns that are left alone, such as ids and coordinates.")


class Normalize(Check):
    """Scales number columns."""

    name = "normalize"
    order = 90
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Number columns are normalised, fitted on the kept rows; the scaler is saved."
    Options = Options

    def needs(self, group: TableGroup) -> Mapping[str, Needs]:
        """Ask for what the method fits."""
        method = self.options.method
        if method == "none":
            return {}
        need = Needs(quantiles=QUARTILES) if method == "robust" else Needs(moments=True)
        return dict.fromkeys(self._scaled(group), need)

    def apply(self, frame: pl.DataFrame, group: TableGroup, statistics: Statistics) -> pl.DataFrame:
        """Scale the columns; nulls stay null."""
        names = self._scaled(group)
        if self.options.method == "none" or not names:
            return frame
        floats = frame.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in names)
        scaled = self._normalizer(names, statistics).transform(floats)
        return frame.with_columns(pl.when(pl.col(name).is_not_null()).then(scaled[name]).alias(name) for name in names)

    def fitted(self, group: TableGroup, statistics: Statistics) -> dict[str, Any] | None:
        """Return the scaler."""
        names = self._scaled(group)
        if self.options.method == "none" or not names:
            return None
        fitted: dict[str, Any] = self._normalizer(names, statistics).to_dict()
        return fitted

    def _normalizer(self, names: list[str], statistics: Statistics) -> Normalizer:
        method = self.options.method
        if method == "robust":
            return Normalizer.from_quantiles({name: tuple(statistics[name].quantiles[p] for p in QUARTILES) for name in names})
        moments = {name: found for name in names if (found := statistics[name].moments) is not None}
        return Normalizer.from_moments(moments, method=method)

    def _scaled(self, group: TableGroup) -> list[str]:
        options: Options = self.options
        numbers = [column.name for column in group.columns if column.kind == "number" and column.name not in options.ignore]
        return [name for name in numbers if not options.columns or name in options.columns]
