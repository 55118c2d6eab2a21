"""Scalers whose fit is exact: the same bits for any order, batch size, number of threads or machines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import polars as pl

from tamis.errors import ColumnError, nearest
from tamis_kernels import affine
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import Moments, accumulate, accumulate_columns
from tamis_kernels.quantiles import quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Method = Literal["zscore", "minmax", "maxabs", "robust", "log1p"]
    Triple = tuple[float, float, float]

Data = TypeVar("Data", "np.ndarray[Any, Any]", pl.DataFrame)

METHODS = ("zscore", "minmax", "maxabs", "robust", "log1p")
FORMAT = "tamis-normalizer/1"


class Normalizer:
    """Shift and scale the columns of a table; follows scikit-learn's conventions for estimators.

    ========  ======================================  =============================================
    method    transform                               fitted attributes beside `center_`, `scale_`
    ========  ======================================  =============================================
    zscore    (x - mean) / standard deviation         `mean_`, `var_` (divisor n)
    minmax    (x - minimum) / (maximum - minimum)     `data_min_`, `data_max_`, `data_range_`
    maxabs    x / largest absolute value              `max_abs_`
    robust    (x - median) / interquartile range
    log1p     log(1 + x); NaN below -1, -inf at -1
    ========  ======================================  =============================================

    All but log1p compute `(x - center_) / scale_`, so `scale_` is always the divisor. A constant column has scale 1. NaN and
    null are skipped by the fit and kept by the transform; a column of nothing else becomes NaN. Infinities take no part in
    the fit and stay infinite. float32 stays float32; integers and booleans become float64.

    Parameters
    ----------
    method
        One of the above.
    quantile_range
        Percentages between which `robust` takes its range.

    Attributes
    ----------
    n_features_in_
        Number of columns.
    feature_names_in_
        Names of the columns, where the fit saw names.
    moments_
        Exact moments per column (zscore, minmax, maxabs), which later batches are added to.
    """

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    center_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    mean_: NDArray[np.float64]
    var_: NDArray[np.float64]
    data_min_: NDArray[np.float64]
    data_max_: NDArray[np.float64]
    data_range_: NDArray[np.float64]
    max_abs_: NDArray[np.float64]
    moments_: list[Moments]
    _quantiles: list[Triple]

    def __init__(self, method: Method = "zscore", *, quantile_range: tuple[float, float] = (25.0, 75.0)) -> None:
        self.method = method
        self.quantile_range = quantile_range

    def __repr__(self) -> str:
        return f"Normalizer({self.method!r})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        """Return the constructor's parameters."""
        return {"method": self.method, "quantile_range": self.quantile_range}

    def set_params(self, **params: Any) -> Normalizer:
        """Set constructor parameters and return self."""
        for name, value in params.items():
            if name not in self.get_params():
                message = f"Normalizer has no parameter {name!r}.{nearest(name, self.get_params())}"
                raise ArgumentError(message)
            setattr(self, name, value)
        return self

    # Fitting

    def fit(self, X: Any, y: object = None) -> Normalizer:  # noqa: ARG002 - scikit-learn's signature
        """Learn centre and scale from a numpy array of one or two dimensions or a polars DataFrame."""
        self._forget()
        if self.method != "robust":
            return self.partial_fit(X)
        low, high = self.quantile_range
        if not 0 <= low <= high <= 100:
            message = f"quantile_range must be two ascending percentages, got {self.quantile_range!r}"
            raise ArgumentError(message)
        wanted = [low / 100, 0.5, high / 100]
        return self._finish(_names(X), triples=[_triple(column, wanted) for column in _columns(X)])

    def partial_fit(self, X: Any, y: object = None) -> Normalizer:  # noqa: ARG002 - scikit-learn's signature
        """Learn from one more batch; any cutting into batches, in any order, gives the same bits as `fit`."""
        if self.method == "robust":
            message = (
                "robust cannot learn batch by batch, because exact quantiles need all values: call fit, or select them with "
                "tamis_kernels.quantiles.Selection and call Normalizer.from_quantiles"
            )
            raise ArgumentError(message)
        moments = _moments(X)
        if self._fitted:
            self._check_columns(X)
            moments = [before + batch for before, batch in zip(self.moments_, moments, strict=True)]
        return self._finish(_names(X), moments=moments)

    @classmethod
    def from_moments(cls, columns: Mapping[str, Moments], method: Method = "zscore") -> Normalizer:
        """Return a fitted zscore, minmax, maxabs or log1p normalizer from the merged moments of named columns.

        This is how a parallel run fits: every shard accumulates, `sum(parts, Moments())` merges, and this finishes. minmax and
        maxabs need the range, which moments have lost after a subtraction.
        """
        if method == "robust":
            message = "method 'robust' is fitted from quantiles: call Normalizer.from_quantiles"
            raise ArgumentError(message)
        return cls(method)._finish(list(columns), moments=list(columns.values()))

    @classmethod
    def from_quantiles(cls, columns: Mapping[str, Sequence[float]], *, quantile_range: tuple[float, float] = (25.0, 75.0)) -> Normalizer:
        """Return a fitted robust normalizer from the (low quantile, median, high quantile) of named columns."""
        triples = [(float(low), float(middle), float(high)) for low, middle, high in columns.values()]
        return cls("robust", quantile_range=quantile_range)._finish(list(columns), triples=triples)

    def merge(self, other: Normalizer) -> Normalizer:
        """Return a normalizer fitted to the data of both; not for `robust`, whose quantiles do not merge."""
        self._check_fitted()
        other._check_fitted()
        names = self._feature_names()
        if self.method == "robust" or (self.method, names) != (other.method, other._feature_names()):
            message = f"cannot merge {self!r} of {names} with {other!r} of {other._feature_names()}: method and columns must agree"
            raise ArgumentError(message)
        both = [mine + theirs for mine, theirs in zip(self.moments_, other.moments_, strict=True)]
        return Normalizer(self.method)._finish(names, moments=both)

    # Transforming

    def transform(self, X: Data) -> Data:
        """Return X normalised: an array of the same shape, or a DataFrame of the same columns."""
        return self._apply(X, affine.transform, np.log1p)

    def inverse_transform(self, X: Data) -> Data:
        """Return X in the units of the data that was fitted."""
        return self._apply(X, affine.inverse, np.expm1)

    def fit_transform(self, X: Data, y: object = None) -> Data:
        """Fit to X and return X normalised."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the names of the columns, which a transform keeps."""
        self._check_fitted()
        return np.array(self._feature_names() or [f"x{i}" for i in range(self.n_features_in_)], object)

    # Keeping

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict of parameters and state, from which `from_dict` makes an equal normalizer, bit for bit."""
        self._check_fitted()
        state: dict[str, Any] = {
            "format": FORMAT,
            "method": self.method,
            "quantile_range": list(self.quantile_range),
            "features": self._feature_names(),
        }
        if self.method == "robust":
            return {**state, "quantiles": [[None if math.isnan(q) else q for q in triple] for triple in self._quantiles]}
        return {**state, "moments": [moments.to_dict() for moments in self.moments_]}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Normalizer:
        """Return the normalizer that `to_dict` wrote."""
        if state.get("format") != FORMAT:
            message = f"not a normalizer: format is {state.get('format')!r}, expected {FORMAT!r}"
            raise ArgumentError(message)
        low, high = state["quantile_range"]
        normalizer = cls(state["method"], quantile_range=(low, high))
        if normalizer.method == "robust":
            triples = [tuple(math.nan if q is None else q for q in triple) for triple in state["quantiles"]]
            return normalizer._finish(state["features"], triples=triples)
        return normalizer._finish(state["features"], moments=[Moments.from_dict(each) for each in state["moments"]])

    def save(self, path: str | Path) -> None:
        """Write the normalizer as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Normalizer:
        """Read a normalizer that `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    # Inside

    @property
    def _fitted(self) -> bool:
        return hasattr(self, "n_features_in_")

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") or name == "_quantiles"]:
            delattr(self, name)

    def _check_fitted(self) -> None:
        if not self._fitted:
            message = f"{self!r} is not fitted yet: call fit or partial_fit first"
            raise ArgumentError(message)

    def _feature_names(self) -> list[str] | None:
        return list(self.feature_names_in_) if hasattr(self, "feature_names_in_") else None

    def _check_columns(self, X: Any) -> None:
        names, fitted = _names(X), self._feature_names()
        if names is not None and fitted is not None and names != fitted:
            message = f"columns must be those of the fit, {fitted}, in this order, got {names}; select them first"
            raise ColumnError(message)
        count = X.shape[1] if len(X.shape) == 2 else 1
        if count != self.n_features_in_:
            message = f"X has {count} columns, but the fit saw {self.n_features_in_}; pass the same columns"
            raise ColumnError(message)

    def _finish(
        self,
        names: list[str] | None,
        *,
        moments: list[Moments] | None = None,
        triples: Sequence[Any] | None = None,
    ) -> Normalizer:
        """Turn moments or quantiles into centre and scale."""
        if self.method not in METHODS:
            message = f"method must be one of {', '.join(METHODS)}, got {self.method!r}.{nearest(str(self.method), METHODS)}"
            raise ArgumentError(message)
        if triples is not None:
            self._quantiles = [tuple(triple) for triple in triples]
            low, middle, high = np.array(self._quantiles, np.float64).reshape(-1, 3).T
            self.center_, spread = middle, high - low
        else:
            self.moments_ = moments or []
            spread = self._from_moments()
        self.n_features_in_ = len(self._quantiles if triples is not None else self.moments_)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        self.scale_ = np.where(spread == 0, 1.0, spread)
        return self

    def _from_moments(self) -> NDArray[np.float64]:
        """Set the attributes of a method that is fitted from moments and return the spread."""
        count = len(self.moments_)
        if self.method == "zscore":
            self.mean_ = self.center_ = np.array([column.mean() for column in self.moments_])
            self.var_ = np.array([column.variance() for column in self.moments_])
            return np.array([column.std() for column in self.moments_])
        if self.method == "log1p":
            self.center_ = np.zeros(count)
            return np.ones(count)
        if any(column.count and column.minimum is None for column in self.moments_):
            message = f"method {self.method!r} needs the range, which moments have lost after a subtraction: accumulate again"
            raise ArgumentError(message)
        low = np.array([column.minimum for column in self.moments_], np.float64)  # None becomes NaN
        high = np.array([column.maximum for column in self.moments_], np.float64)
        if self.method == "maxabs":
            self.max_abs_ = np.maximum(np.abs(low), np.abs(high))
            self.center_ = np.zeros(count)
            return self.max_abs_
        self.data_min_ = self.center_ = low
        self.data_max_, self.data_range_ = high, high - low
        return self.data_range_

    def _apply(self, X: Data, shift_and_scale: Any, curve: Any) -> Data:
        self._check_fitted()
        self._check_columns(X)
        if not isinstance(X, pl.DataFrame):
            return self._apply_array(_floats(X), slice(None), shift_and_scale, curve)
        done = []
        for place, series in enumerate(X):
            values = self._apply_array(_series(series), slice(place, place + 1), shift_and_scale, curve)
            column = pl.Series(series.name, values)
            done.append(column.set(series.is_null(), None) if series.null_count() else column)
        return pl.DataFrame(done)

    def _apply_array(self, values: NDArray[Any], places: slice, shift_and_scale: Any, curve: Any) -> NDArray[Any]:
        if self.method == "log1p":
            with np.errstate(all="ignore"):
                curved: NDArray[Any] = curve(values)
            return curved
        moved: NDArray[Any] = shift_and_scale(values, self.center_[places], self.scale_[places])
        return moved


def _names(X: Any) -> list[str] | None:
    return X.columns if isinstance(X, pl.DataFrame) else None


def _floats(X: Any) -> NDArray[Any]:
    """Return the array as float32 or float64."""
    array = np.asarray(X)
    if array.dtype.kind not in "fiub":
        message = f"X must hold numbers, got dtype {array.dtype}; select or convert the numeric columns first"
        raise ColumnError(message)
    if array.ndim not in (1, 2):
        message = f"X must have one or two dimensions, got shape {array.shape}; reshape to (rows, columns)"
        raise ArgumentError(message)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _series(series: pl.Series) -> NDArray[Any]:
    """Return the column as float32 or float64, null as NaN."""
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        message = f"column {series.name!r} is {series.dtype}, which cannot be normalised; select the numeric columns first"
        raise ColumnError(message)
    floats = series if series.dtype in (pl.Float32, pl.Float64) else series.cast(pl.Float64)
    return floats.to_numpy()


def _columns(X: Any) -> list[NDArray[Any]]:
    if isinstance(X, pl.DataFrame):
        return [_series(series) for series in X]
    array = _floats(X)
    return [array] if array.ndim == 1 else list(array.T)


def _moments(X: Any) -> list[Moments]:
    if isinstance(X, pl.DataFrame) or _floats(X).ndim == 1:
        return [accumulate(column) for column in _columns(X)]
    return accumulate_columns(_floats(X))


def _triple(column: NDArray[Any], wanted: list[float]) -> Triple:
    low, middle, high = quantiles(column[np.isfinite(column)], wanted).tolist()
    return low, middle, high
