"""Windows, that is lists of samples in a column, brought to a common scale: each by itself, by the place in it, or all samples alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.errors import ArgumentError, ColumnError
from tamis.normalizer import inputs
from tamis.normalizer.estimator import Normalizer
from tamis_kernels.arrays import offsets_of
from tamis_kernels.windows import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tamis.normalizer.methods import Known, Method

FORMAT = "tamis-window-normalizer/1"
ALONE: tuple[Method, ...] = ("zscore", "minmax", "maxabs")

Per = Literal["window", "position", "channel"]


def flat_windows(series: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the samples of a list or array column, one window behind the other, as floats, and where each window begins and ends.

    Raises
    ------
    ColumnError
        The column holds no lists of numbers.
    """
    inner = getattr(series.dtype, "inner", None)
    if not isinstance(series.dtype, pl.List | pl.Array) or not isinstance(inner, pl.DataType) or not inner.is_numeric():
        message = f"column {series.name!r} is {series.dtype}, which holds no windows; select columns of lists of numbers"
        raise ColumnError(message)
    lists = series.cast(pl.List(inner if inner in (pl.Float32, pl.Float64) else pl.Float64)).rechunk()
    offsets = offsets_of(lists.list.len().fill_null(0).to_numpy())
    return lists.explode(empty_as_null=False, keep_nulls=False), offsets


def folded_windows(samples: pl.Series, offsets: NDArray[np.int64], like: pl.Series) -> pl.Series:
    """Return samples as windows again, null where those of another column are."""
    values = samples.rechunk().to_arrow()
    mask = pa.array(like.is_null().to_numpy()) if like.null_count() else None
    lists = pl.Series(like.name, pa.LargeListArray.from_arrays(pa.array(offsets), values, mask=mask))
    return lists.cast(pl.Array(samples.dtype, like.dtype.size)) if isinstance(like.dtype, pl.Array) else lists


class WindowNormalizer:
    """Bring columns of windows to a common scale.

    Parameters
    ----------
    per
        What is fitted apart: each `window` by its own samples (zscore, minmax and maxabs; nothing is learnt from other rows), each
        `position` in the windows of a column, or each `channel`, that is column, with all its samples alike.
    method, params
        As for `Normalizer`.

    Attributes
    ----------
    normalizers_
        By column: a `Normalizer` of one column (channel), or of a column for each place, "0", "1", … (position); none for `window`.
    """

    normalizers_: dict[str, Normalizer]

    def __init__(self, per: Per = "channel", method: Method = "zscore", **params: Any) -> None:
        if per not in ("window", "position", "channel"):
            message = f"per must be window, position or channel, got {per!r}"
            raise ArgumentError(message)
        if per == "window" and method not in ALONE:
            message = f"per = window goes with {', '.join(ALONE)}, got method {method!r}; go by position or channel"
            raise ArgumentError(message)
        self.per: Per = per
        self.method = method
        self.params = params

    def fit(self, frame: pl.DataFrame) -> WindowNormalizer:
        """Learn from the columns of a frame, all of which hold windows."""
        self.normalizers_ = {}
        for series in frame:
            samples, offsets = flat_windows(series)
            if self.per == "position":
                self.normalizers_[series.name] = self._new().fit(_matrix(samples, offsets, series))
            elif self.per == "channel":
                self.normalizers_[series.name] = self._new().fit(samples.to_frame())
        return self

    @classmethod
    def from_statistics(
        cls, columns: Mapping[str, Mapping[str, Known]], per: Per = "channel", method: Method = "zscore", **params: Any
    ) -> WindowNormalizer:
        """Return a fitted normalizer from what was gathered elsewhere: by column, by its name (channel) or by place (position)."""
        made = cls(per, method, **params)
        made.normalizers_ = {name: Normalizer.from_statistics(known, method, **params) for name, known in columns.items()}
        return made

    def transform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with its windows normalised: lists stay lists and arrays arrays, of float32 where they were, else of float64."""
        inputs.check_fitted(self, "normalizers_")
        return frame.with_columns(self._moved(series) for series in frame)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict, from which `from_dict` makes an equal normalizer."""
        inputs.check_fitted(self, "normalizers_")
        columns = {name: each.to_dict() for name, each in self.normalizers_.items()}
        return {"format": FORMAT, "per": self.per, "fitted": self._new().fit(np.zeros(1)).to_dict(), "columns": columns}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> WindowNormalizer:
        """Return the normalizer that `to_dict` wrote."""
        inputs.check_format(state, FORMAT, "a normalizer of windows")
        params = Normalizer.from_dict(state["fitted"]).get_params()
        made = cls(state["per"], **params)
        made.normalizers_ = {name: Normalizer.from_dict(each) for name, each in state["columns"].items()}
        return made

    def _new(self) -> Normalizer:
        return Normalizer(self.method, **self.params)

    def _moved(self, series: pl.Series) -> pl.Series:
        samples, offsets = flat_windows(series)
        if self.per == "window":
            return folded_windows(self._alone(samples, offsets), offsets, series)
        if series.name not in self.normalizers_:
            message = f"column {series.name!r} was not fitted; there are {list(self.normalizers_)}"
            raise ColumnError(message)
        fitted = self.normalizers_[series.name]
        if self.per == "channel":
            return folded_windows(fitted.transform(samples.to_frame()).to_series(), offsets, series)
        moved = fitted.transform(_matrix(samples, offsets, series, fitted.n_features_in_))
        return folded_windows(inputs.column(moved.reshape(-1), inputs.vector(samples), series.name), offsets, series)

    def _alone(self, samples: pl.Series, offsets: NDArray[np.int64]) -> pl.Series:
        """Return each window scaled by its own figures."""
        vector = inputs.vector(samples)
        told = describe(samples.fill_null(np.nan).to_numpy(), offsets)
        if self.method == "zscore":
            centre, scale = told.mean, told.deviation
        elif self.method == "minmax":
            centre, scale = told.minimum, told.maximum - told.minimum
        else:
            centre, scale = np.zeros(told.mean.size), np.maximum(np.abs(told.minimum), np.abs(told.maximum))
        lengths, dtype = np.diff(offsets), vector.values.dtype
        centres, scales = (np.repeat(each.astype(dtype), lengths) for each in (centre, np.where(scale == 0, 1.0, scale)))
        with np.errstate(all="ignore"):
            return inputs.column((vector.values - centres) / scales, vector, samples.name)


def _matrix(samples: pl.Series, offsets: NDArray[np.int64], series: pl.Series, wanted: int | None = None) -> NDArray[Any]:
    """Return windows of one length as rows, without those that are null; null samples are NaN.

    Raises
    ------
    ColumnError
        The windows are of several lengths, or not of that of the fit.
    """
    lengths = np.unique(np.diff(offsets)[series.is_not_null().to_numpy()])
    width = wanted if wanted is not None else int(lengths[0]) if lengths.size else 0
    if (lengths != width).any() or width == 0:
        message = (
            f"column {series.name!r} has windows of {', '.join(map(str, lengths.tolist()[:5]))} samples; to go by position all must have "
            f"{f'the {wanted} of the fit' if wanted else 'one length'}: hold the others back with windows.length and windows.reject"
        )
        raise ColumnError(message)
    return samples.fill_null(np.nan).to_numpy().reshape(-1, width)
