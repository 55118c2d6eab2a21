"""Normalizers fitted apart for each value of a column, such as each sensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.arguments import checked
from tamis.errors import ColumnError
from tamis.frames import Frame, frame_of
from tamis.names import counted
from tamis.normalizer import inputs
from tamis.normalizer.estimator import Normalizer
from tamis.normalizer.methods import Known, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

FORMAT = "tamis-group-normalizer/1"


class GroupNormalizer:
    """Bring the columns of a frame to a common scale, fitted apart for each value of one column.

    Rows whose group was not seen by the fit, or is null, are normalised by the fit of all rows together.

    Parameters
    ----------
    by
        The column that tells the groups; the others are normalised.
    method, params
        As for `Normalizer`.

    Attributes
    ----------
    pooled_
        Normalizer of all rows.
    normalizers_
        One normalizer a group, by the group's name as text.
    """

    pooled_: Normalizer
    normalizers_: dict[str, Normalizer]

    @checked
    def __init__(self, by: str, method: Method = "zscore", **params: Any) -> None:
        self.by = by
        self.method = method
        self.params = params

    def __repr__(self) -> str:
        """Return how it was made, and of how many groups it knows."""
        known = f", {counted(len(self.normalizers_), 'groups')}" if hasattr(self, "normalizers_") else ""
        return f"GroupNormalizer({self.by!r}, {self.method!r}{known})"

    @checked
    def fit(self, frame: Frame) -> GroupNormalizer:
        """Learn from a frame of polars, pandas or pyarrow."""
        frame = frame_of(frame).lazy().collect()
        values = self._values(frame)
        self.pooled_ = self._new().fit(values)
        self.normalizers_ = {name: self._new().fit(values[rows]) for name, rows in self._parts(frame) if name is not None}
        return self

    @classmethod
    @checked
    def from_statistics(
        cls, by: str, groups: Mapping[str | None, Mapping[str, Known]], method: Method = "zscore", **params: Any
    ) -> GroupNormalizer:
        """Return a fitted normalizer from what was gathered of the columns of each group elsewhere; None are all rows together."""
        made = cls(by, method, **params)
        fitted = {name: Normalizer.from_statistics(columns, method, **params) for name, columns in groups.items()}
        made.pooled_ = fitted.pop(None)
        made.normalizers_ = {name: each for name, each in fitted.items() if name is not None}
        return made

    @checked
    def transform(self, frame: Frame) -> pl.DataFrame:
        """Return the frame with its columns normalised, each row by its group."""
        return self._moved(frame, Normalizer.transform)

    @checked
    def inverse_transform(self, frame: Frame) -> pl.DataFrame:
        """Return the frame in the units of the data that was fitted."""
        return self._moved(frame, Normalizer.inverse_transform)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict, from which `from_dict` makes an equal normalizer."""
        inputs.check_fitted(self, "pooled_")
        groups = {name: each.to_dict()["columns"] for name, each in sorted(self.normalizers_.items())}
        return {"format": FORMAT, "by": self.by, "pooled": self.pooled_.to_dict(), "groups": groups}

    @classmethod
    @checked
    def from_dict(cls, state: Mapping[str, Any]) -> GroupNormalizer:
        """Return the normalizer that `to_dict` wrote."""
        inputs.check_format(state, FORMAT, "a normalizer of groups")
        pooled = Normalizer.from_dict(state["pooled"])
        params = {name: value for name, value in pooled.get_params().items() if name != "method"}
        made = cls(state["by"], pooled.method, **params)
        made.pooled_ = pooled
        made.normalizers_ = {
            name: Normalizer.from_dict({**state["pooled"], "columns": columns}) for name, columns in state["groups"].items()
        }
        return made

    def _new(self) -> Normalizer:
        return Normalizer(self.method, **self.params)

    def _values(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.by not in frame.columns:
            message = f"column {self.by!r}, which tells the groups, is not in the frame; it has {frame.columns}"
            raise ColumnError(message)
        return frame.drop(self.by)

    def _parts(self, frame: pl.DataFrame) -> Iterator[tuple[str | None, NDArray[np.uint32]]]:
        """Yield each group's name and the places of its rows."""
        names = frame.select(pl.col(self.by).cast(pl.String).alias("name")).with_row_index("row")
        for name, rows in names.group_by("name", maintain_order=True).agg("row").iter_rows():
            yield name, np.array(rows, np.uint32)

    def _moved(self, given: Frame, move: Callable[[Normalizer, pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        inputs.check_fitted(self, "pooled_")
        frame = frame_of(given).lazy().collect()
        values = self._values(frame)
        parts = list(self._parts(frame))
        if not parts:
            return frame.with_columns(move(self.pooled_, values))
        known = ((self.pooled_ if name is None else self.normalizers_.get(name, self.pooled_), rows) for name, rows in parts)
        moved = pl.concat([move(normalizer, values[rows]) for normalizer, rows in known])
        return frame.with_columns(moved[np.argsort(np.concatenate([rows for _, rows in parts]))])
