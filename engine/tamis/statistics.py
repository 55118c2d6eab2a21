"""Exact statistics of columns, of all rows or by group, that grow and shrink with the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from tamis.arguments import checked
from tamis.errors import ArgumentError, ColumnError
from tamis.frames import Frame, frame_of
from tamis.names import counted
from tamis_kernels.moments import Moments, accumulate
from tamis_kernels.quantiles import ValueCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = "tamis-statistics/1"
QUARTILES = (0.25, 0.5, 0.75)

Key = tuple[str | None, str]  # a group, and a column


class Statistics:
    """What is known of the columns of a table: counts, mean, deviation, range, and quartiles if wanted.

    Rows are added and taken away batch by batch, and statistics of shards are added up and subtracted. All is exact, so that the
    figures, to the last bit, are those of the rows that are in it then, whatever was added and taken away in what order. Only whole
    numbers beyond 2^53 are rounded to float64 before they are taken in.

    ::

        seen = tamis.Statistics(by="sensor").add(january).add(february)
        seen.remove(january)                 # or: seen - tamis.Statistics(by="sensor").add(january)
        print(seen.frame())

    Parameters
    ----------
    by
        A column in each of whose values statistics are kept too; rows without one are only in those of all rows.
    quantiles
        Whether the quartiles and the median absolute deviation are wanted too. Each different value of a column then costs 16 bytes, of
        which 2^24 may be; the minimum and maximum survive removals.
    most_groups
        How many values `by` may have.
    """

    @checked
    def __init__(self, by: str | None = None, *, quantiles: bool = False, most_groups: int = 10_000) -> None:
        self.by = by
        self.quantiles = quantiles
        self.most_groups = most_groups
        self._moments: dict[Key, Moments] = {}
        self._values: dict[Key, ValueCounts] = {}
        self._nulls: dict[Key, int] = {}

    def __repr__(self) -> str:
        """Return what they are of."""
        columns, groups = {name for _, name in self._moments}, {group for group, _ in self._moments} - {None}
        parts = f" by {self.by!r}, {counted(len(groups), 'groups')}" if self.by is not None else ""
        return f"Statistics({counted(len(columns), 'columns')}{parts})"

    @checked
    def add(self, frame: Frame) -> Statistics:
        """Take in the number columns of a frame of polars, pandas or pyarrow, and return self."""
        return self._take(self._of(frame), 1)

    @checked
    def remove(self, frame: Frame) -> Statistics:
        """Take rows away again that were added before, and return self.

        Raises
        ------
        ArgumentError
            Such rows were not added.
        """
        return self._take(self._of(frame), -1)

    @checked
    def __add__(self, other: Statistics) -> Statistics:
        return self._copy()._take(other, 1)

    @checked
    def __sub__(self, other: Statistics) -> Statistics:
        return self._copy()._take(other, -1)

    @checked
    def moments(self, column: str, group: str | None = None) -> Moments:
        """Return the exact moments of a column, from which `Normalizer.from_statistics` fits; None are all rows."""
        if (group, column) not in self._moments:
            columns, groups = sorted({name for _, name in self._moments}), len({one for one, _ in self._moments} - {None})
            message = f"nothing was added of column {column!r} in group {group!r}; there are columns {columns}, and {groups} groups"
            raise ColumnError(message)
        return self._moments[group, column]

    def frame(self) -> pl.DataFrame:
        """Return a row a column, or a column and group, groups in order: the figures, null where they are not known."""
        return pl.DataFrame(list(self._rows()), schema=self._schema(), orient="row")

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict of the exact state, without the values that quantiles go by."""
        if self.quantiles:
            message = "statistics with quantiles hold the values themselves, which are not written: make them with quantiles=False"
            raise ArgumentError(message)
        states = [[group, column, nulls, self._moments[group, column].to_dict()] for (group, column), nulls in self._nulls.items()]
        return {"format": FORMAT, "by": self.by, "most_groups": self.most_groups, "states": states}

    @classmethod
    @checked
    def from_dict(cls, state: Mapping[str, Any]) -> Statistics:
        """Return the statistics that `to_dict` wrote, bit for bit."""
        if state.get("format") != FORMAT:
            message = f"not statistics: format is {state.get('format')!r}, expected {FORMAT!r}"
            raise ArgumentError(message)
        made = cls(state["by"], most_groups=state["most_groups"])
        for group, column, nulls, moments in state["states"]:
            made._moments[group, column], made._nulls[group, column] = Moments.from_dict(moments), nulls
        return made

    def _copy(self) -> Statistics:
        return Statistics(self.by, quantiles=self.quantiles, most_groups=self.most_groups)._take(self, 1)

    def _of(self, given: Frame) -> Statistics:
        """Return the statistics of one frame."""
        frame = frame_of(given).lazy().collect()
        if self.by is not None and self.by not in frame.columns:
            message = f"column {self.by!r}, which tells the groups, is not in the frame; it has {frame.columns}"
            raise ColumnError(message)
        made = Statistics(self.by, quantiles=self.quantiles, most_groups=self.most_groups)
        numbers = [name for name, dtype in frame.schema.items() if dtype.is_numeric() and name != self.by]
        for group, rows in self._parts(frame):
            for series in rows.select(numbers):
                wide = series if series.dtype in (pl.Float32, pl.Float64) else series.cast(pl.Float64)
                values = wide.drop_nulls().to_numpy()
                made._nulls[group, series.name] = series.null_count()
                made._moments[group, series.name] = accumulate(values)
                if self.quantiles:
                    made._values[group, series.name] = ValueCounts.of(values)
        return made

    def _parts(self, frame: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
        yield None, frame
        if self.by is not None:
            named = frame.with_columns(pl.col(self.by).cast(pl.String)).drop_nulls(self.by)
            for (name,), rows in named.group_by(self.by, maintain_order=True):
                yield str(name), rows

    def _take(self, other: Statistics, sign: int) -> Statistics:
        if (self.by, self.quantiles) != (other.by, other.quantiles):
            message = f"statistics must agree in by and quantiles, got {(self.by, self.quantiles)} and {(other.by, other.quantiles)}"
            raise ArgumentError(message)
        nulls = _joined(self._nulls, other._nulls, 0, sign)
        short = next((f"{column!r} of group {group!r}" for (group, column), count in nulls.items() if count < 0), None)
        if short is not None:
            message = f"cannot remove rows that were not added: column {short} would have less than no nulls; remove only what was added"
            raise ArgumentError(message)
        groups = {group for group, _ in nulls} - {None}
        if len(groups) > self.most_groups:
            message = (
                f"column {self.by!r} has {len(groups):,} values, more than the {self.most_groups:,} groups that are held in memory: raise "
                "most_groups, or go by a column with fewer values"
            )
            raise ArgumentError(message)
        moments = _joined(self._moments, other._moments, Moments(), sign)
        values = _joined(self._values, other._values, ValueCounts(), sign)
        self._nulls, self._moments, self._values = nulls, moments, values  # all or nothing
        return self

    def _schema(self) -> dict[str, Any]:
        counts = dict.fromkeys(("count", "null", "nan", "positive_infinity", "negative_infinity"), pl.Int64)
        names = ("mean", "std", "min", "max", *(("q25", "median", "q75", "mad") if self.quantiles else ()))
        group = {} if self.by is None else {self.by: pl.String}
        return {**group, "column": pl.String, **counts, **dict.fromkeys(names, pl.Float64)}

    def _rows(self) -> Iterable[tuple[Any, ...]]:
        for group, column in sorted(self._nulls, key=lambda key: (key[0] is not None, key[0] or "")):
            known, nulls = self._moments[group, column], self._nulls[group, column]
            figures = [known.mean(), known.std(), known.minimum, known.maximum]
            if self.quantiles:
                counted = self._values[group, column]
                figures[2:] = [*counted.quantiles([0.0, 1.0, *QUARTILES]).tolist(), counted.mad()]
            head = (column,) if self.by is None else (group, column)
            counts = (known.count, nulls, known.nan, known.positive_infinity, known.negative_infinity)
            yield (*head, *counts, *(None if value is None or math.isnan(value) else value for value in figures))


def _joined(mine: Mapping[Key, Any], other: Mapping[Key, Any], nothing: Any, sign: int) -> dict[Key, Any]:
    keys = dict.fromkeys([*mine, *other])
    return {
        key: mine.get(key, nothing) + other.get(key, nothing) if sign > 0 else mine.get(key, nothing) - other.get(key, nothing)
        for key in keys
    }
