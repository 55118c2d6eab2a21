"""Normalise: bring number columns to a common scale, fitted on the kept rows alone. The fitted scaler is saved and can be inverted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from tamis.checks.base import Batch, Check, CheckOptions, ColumnStatistics, Finding, Kind, Needs, Observation, TableBatch
from tamis.checks.named import ColumnNames, Named, NumberColumns
from tamis.normalizer import GroupNormalizer, Known, Normalizer, Parameters, Power, Spread, WindowNormalizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.checks.base import Statistics
    from tamis.sources.schema import TableGroup

Method = Literal["none", "zscore", "minmax", "maxabs", "robust", "mad", "quantile", "log1p", "yeo_johnson", "clip"]
ColumnName = Annotated[ColumnNames, BeforeValidator(lambda given: ((given,) if given else ()) if isinstance(given, str) else given)]


class Options(CheckOptions):
    """Options of `normalize`."""

    method: Method = Field(
        default="none",
        description="zscore: mean 0, deviation 1; minmax: 0 … 1; maxabs: -1 … 1; robust: median and quartiles; mad: median and "
        "1.4826 times the median absolute deviation; quantile: place among the "
        "quantiles; log1p: log(1 + x); yeo_johnson: z-score of the power that makes the column most normal; clip: what lies outside "
        "becomes the bound.",
    )
    columns: NumberColumns = Field(default=(), description="Number columns that are normalised; none given: all.")
    ignore: ColumnNames = Field(default=(), description="Number columns that are left alone, such as ids and coordinates.")
    by: ColumnName = Field(
        default=(),
        max_length=1,
        description="A column, such as the sensor, in each of whose values the method is fitted apart; rows without one, or with one "
        "that the fit has not seen, go by all rows.",
    )
    windows: Literal["none", "window", "position", "channel"] = Field(
        default="none",
        description="Whether windows (list and array columns of numbers) are normalised too: each window by its own samples (zscore, "
        "minmax, maxabs), each position in the windows of a column, or each channel, that is column, with all its samples alike.",
    )
    window_length: int = Field(
        default=0,
        ge=0,
        description="Samples of windows that are normalised by position. Rows with windows of another length are rejected.",
    )
    max_groups: int = Field(
        default=10_000,
        ge=1,
        description="Values that `by` may have; more end the run, because what is known of each is held in memory (moments some 500 bytes "
        "a column, quantiles up to 16 a value).",
    )
    split_column: ColumnName = Field(
        default=(), max_length=1, description="A column that parts the rows: only those with `train` in it are fitted to."
    )
    train: str = Field(default="train", description="What `split_column` holds in rows that are fitted to.")
    quantile_range: tuple[float, float] = Field(default=(25.0, 75.0), description="Percentages between which robust takes its range.")
    n_quantiles: int = Field(default=1000, ge=2, le=10_000, description="Quantiles that quantile goes by.")
    output_distribution: Literal["uniform", "normal"] = Field(
        default="uniform", description="Whether the places of quantile are 0 … 1 or those of a standard normal distribution."
    )
    tails: tuple[float, float] = Field(default=(1.0, 99.0), description="Percentages beyond which clip cuts.")
    limits: tuple[float, ...] = Field(
        default=(), description="Least and greatest number that clip leaves, in place of `tails`; -inf or inf for an open end."
    )

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if len(self.limits) not in (0, 2):
            message = f"limits must be two numbers, got {len(self.limits)}"
            raise ValueError(message)
        if self.method == "none":
            remedy = "set normalize.method, for example to zscore, or normalize.enabled to false"
            self.refuse_idle(self.changed() if self.enabled else (), f'method is "none": {remedy}')
        else:
            self.parameters()
            if self.windows != "none":
                WindowNormalizer(self.windows, self.method)
            if self.windows == "position" and not self.window_length:
                message = "windows = position needs window_length, the samples of a window"
                raise ValueError(message)
        return self

    def named_columns(self) -> dict[str, Named]:
        """Return the columns that the options name; windows are columns to be normalised where they are wanted."""
        named = super().named_columns()
        return named if self.windows == "none" else named | {"columns": Named(self.columns, ("number", "window"))}

    def parameters(self) -> Parameters:
        """Return the parameters of the normalizer."""
        limits = (self.limits[0], self.limits[1]) if self.limits else (None, None)
        assert self.method != "none"
        return Parameters(self.method, self.quantile_range, self.n_quantiles, self.output_distribution, self.tails, limits)


class Normalize(Check[Options]):
    """Scales number columns."""

    name = "normalize"
    order = 90
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Number columns are normalised, fitted on the kept rows; the scaler is saved."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Reject rows whose windows cannot be normalised by position."""
        assert isinstance(batch, TableBatch)
        findings = []
        if self.options.windows == "position":
            length = self.options.window_length
            for name in self._windows(batch.group):
                series = batch.frame[name]
                lengths = series.cast(pl.List(pl.Float64)).list.len()
                for row in (series.is_not_null() & (lengths != length)).arg_true().to_list():
                    detail = f"{lengths[row]} samples, not {length}, and {name} is normalised by position"
                    findings.append(Finding(row, "odd_length_window", "reject", detail, name))
        return Observation(findings=sorted(findings, key=lambda one: one.index))

    def needs(self, group: TableGroup) -> Mapping[str, Sequence[Needs]]:
        """Ask for what the method fits."""
        need = self._need(group)
        wanted = {name: [need] for name in self._scaled(group)}
        if self.options.windows != "window":
            wanted |= dict.fromkeys(self._windows(group), self._window_needs(group))
        return wanted

    def apply(self, frame: pl.DataFrame, group: TableGroup, statistics: Statistics) -> pl.DataFrame:
        """Scale the columns; nulls stay null."""
        if windows := self._windows(group):
            frame = frame.with_columns(self._window_normalizer(group, statistics).transform(frame.select(windows)))
        names = self._scaled(group)
        if not names:
            return frame
        normalizer = self._normalizer(group, statistics)
        used = [*names, normalizer.by] if isinstance(normalizer, GroupNormalizer) else names
        return frame.with_columns(normalizer.transform(frame.select(used)).select(names))

    def fitted(self, group: TableGroup, statistics: Statistics) -> dict[str, Any] | None:
        """Return the scaler, and which rows it was fitted to."""
        state: dict[str, Any] = self._normalizer(group, statistics).to_dict() if self._scaled(group) else {}
        if self._windows(group):
            state["windows"] = self._window_normalizer(group, statistics).to_dict()
        if not state:
            return None
        where = self._need(group).where
        return state if where is None else {**state, "fitted_to": {"column": where[0], "value": where[1]}}

    def _normalizer(self, group: TableGroup, statistics: Statistics) -> Normalizer | GroupNormalizer:
        need, parameters = self._need(group), self.options.parameters()
        found = {name: statistics[need.key(name)] for name in self._scaled(group)}
        params = {name: getattr(parameters, name) for name in parameters.__slots__}
        pooled: Mapping[str, Known] = {name: _known(parameters, each) for name, each in found.items()}
        if not need.by:
            return Normalizer.from_statistics(pooled, **params)
        groups = sorted({part for each in found.values() for part in each.groups})
        parts: dict[str | None, Mapping[str, Known]] = {
            part: {name: _known(parameters, each.groups[part]) for name, each in found.items()} for part in groups
        }
        return GroupNormalizer.from_statistics(need.by, parts | {None: pooled}, **params)

    def _window_normalizer(self, group: TableGroup, statistics: Statistics) -> WindowNormalizer:
        parameters, per = self.options.parameters(), self.options.windows
        assert per != "none"
        columns: dict[str, dict[str, Known]] = {}
        for name in self._windows(group) if per != "window" else []:
            found = [statistics[need.key(name)] for need in self._window_needs(group)]
            places = [name] if per == "channel" else map(str, range(len(found)))
            columns[name] = {place: _known(parameters, each) for place, each in zip(places, found, strict=True)}
        return WindowNormalizer.from_statistics(columns, per, **{name: getattr(parameters, name) for name in parameters.__slots__})

    def _window_needs(self, group: TableGroup) -> list[Needs]:
        need = replace(self._need(group), by="")
        return [replace(need, place=place) for place in range(self.options.window_length)] if self.options.windows == "position" else [need]

    def _windows(self, group: TableGroup) -> list[str]:
        """Return the window columns that are normalised."""
        options = self.options
        if options.method == "none" or options.windows == "none":
            return []
        names = [column.name for column in group.columns if column.kind == "window" and column.name not in options.ignore]
        return [name for name in names if not options.columns or name in options.columns]

    def _need(self, group: TableGroup) -> Needs:
        if self.options.method == "none":
            return Needs()
        options = self.options
        parameters, names = options.parameters(), {column.name for column in group.columns}
        by = next((name for name in options.by if name in names), "")
        split = next((name for name in options.split_column if name in names), None)
        where = None if split is None else (split, options.train)
        return Needs(**parameters.wanted(), by=by, most_groups=options.max_groups, where=where)

    def _scaled(self, group: TableGroup) -> list[str]:
        options = self.options
        if options.method == "none":
            return []
        left = {*options.ignore, *options.by, *options.split_column}
        numbers = [column.name for column in group.columns if column.kind == "number" and column.name not in left]
        return [name for name in numbers if not options.columns or name in options.columns]


def _known(parameters: Parameters, found: ColumnStatistics) -> Known:
    """Return what the method is fitted from."""
    if found.power is not None:
        return Power(*found.power)
    if found.mad is not None:
        return Spread(*found.mad)
    if parameters.probabilities():
        return tuple(found.quantiles[each] for each in parameters.probabilities())
    assert found.moments is not None, "moments were asked for"
    return found.moments
