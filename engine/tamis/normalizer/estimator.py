"""Scalers whose fit is exact: the same bits for any order, batch size, number of threads or machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tamis.arguments import checked, plain
from tamis.errors import ArgumentError, ColumnError
from tamis.names import AnyPath, read, written
from tamis.normalizer import inputs
from tamis.normalizer.conventions import Conventions
from tamis.normalizer.methods import AFFINE, Curve, Known, Method, Parameters, Power, Spread, from_json, from_state, learn, to_json
from tamis_kernels import affine
from tamis_kernels.moments import Moments, accumulate_columns
from tamis_kernels.quantiles import ValueCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "tamis-normalizer/2"


class Normalizer(Conventions):
    """Bring the columns of a table to a common scale; follows scikit-learn's conventions for estimators.

    ===========  ======================================  =============================================
    method       transform                               fitted attributes beside `center_`, `scale_`
    ===========  ======================================  =============================================
    zscore       (x - mean) / standard deviation         `mean_`, `var_` (divisor n)
    minmax       (x - minimum) / (maximum - minimum)     `data_min_`, `data_max_`, `data_range_`
    maxabs       x / largest absolute value              `max_abs_`
    robust       (x - median) / interquartile range      `quantiles_`
    mad          (x - median) / (1.4826 · median         `median_`, `mad_`
                 absolute deviation)
    quantile     place among the quantiles               `quantiles_`, `references_`
    yeo_johnson  z-score of the Yeo-Johnson power        `lambdas_`
    log1p        log(1 + x); NaN below -1, -inf at -1
    clip         what lies outside becomes the bound     `quantiles_`, where bounds are quantiles
    ===========  ======================================  =============================================

    The first five compute `(x - center_) / scale_`, two operations rounded one by one, so `scale_` is always the divisor. A
    constant column has scale 1. NaN and null are skipped by the fit and kept by the transform; a column of nothing else becomes
    NaN. Infinities take no part in the fit; where the method shifts and scales they stay infinite. float32 stays float32; integers
    and booleans become float64.

    Parameters
    ----------
    method
        One of the above.
    quantile_range
        Percentages between which `robust` takes its range.
    n_quantiles
        Quantiles that `quantile` goes by, at most as many as there are rows. All rows are looked at, not a sample.
    output_distribution
        Whether the places of `quantile` are 0 … 1 or those of a standard normal distribution.
    tails
        Percentages beyond which `clip` cuts.
    limits
        Numbers beyond which `clip` cuts, in place of the percentages; None for an open end.
    copy
        False: `transform` and `inverse_transform` write into X where it is a C-contiguous array of float32 or float64.

    Attributes
    ----------
    n_features_in_
        Number of columns.
    feature_names_in_
        Names of the columns, where the fit saw a table of polars, pandas or pyarrow whose names are all texts.
    moments_
        Exact moments per column, of zscore, minmax, maxabs, log1p and clip with limits; later batches are added to them.
    counts_
        How often each value of a column occurs, after `partial_fit` with robust, mad, quantile and clip.
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
    median_: NDArray[np.float64]
    mad_: NDArray[np.float64]
    lambdas_: NDArray[np.float64]
    quantiles_: NDArray[np.float64]
    references_: NDArray[np.float64]
    moments_: list[Moments]
    counts_: list[ValueCounts]
    known_: list[Known]
    curves_: list[Curve]

    def __init__(
        self,
        method: Method = "zscore",
        *,
        quantile_range: tuple[float, float] = (25.0, 75.0),
        n_quantiles: int = 1000,
        output_distribution: Literal["uniform", "normal"] = "uniform",
        tails: tuple[float, float] = (1.0, 99.0),
        limits: tuple[float | None, float | None] = (None, None),
        copy: bool = True,
    ) -> None:
        self.method = method
        self.quantile_range = quantile_range
        self.n_quantiles = n_quantiles
        self.output_distribution = output_distribution
        self.tails = tails
        self.limits = limits
        self.copy = copy

    # Fitting

    def fit(self, X: Any, y: object = None) -> Normalizer:  # noqa: ARG002 - scikit-learn's signature
        """Learn from a table of polars, pandas or pyarrow, or an array of one or two dimensions, or what can become one."""
        parameters, data = self._parameters(), _rows(X)
        return self._finish(inputs.names(X), _learned(parameters, data))

    def partial_fit(self, X: Any, y: object = None) -> Normalizer:  # noqa: ARG002 - scikit-learn's signature
        """Learn from one more batch; any cutting into batches, in any order, gives the same bits as `fit`.

        robust, mad, quantile and clip hold how often each value occurs (`counts_`): 16 bytes for each different one, of which 2^24 may be.
        yeo_johnson cannot learn so.
        """
        parameters, data = self._parameters(), _rows(X)
        states = _gathered(parameters, data)
        if hasattr(self, "n_features_in_"):
            self._check_columns(inputs.names(X), len(states))
            states = [a + b for a, b in zip(self._states(), states, strict=True)]
        return self._keep(inputs.names(X), states)

    @classmethod
    @checked
    def from_statistics(
        cls, columns: Mapping[str, Moments | Power | Spread | Sequence[float]], method: Method = "zscore", **params: Any
    ) -> Normalizer:
        """Return a fitted normalizer from what was gathered of named columns elsewhere.

        This is how a parallel run fits: every shard accumulates, `sum(parts, Moments())` merges, and this finishes. minmax and
        maxabs need the range, which moments have lost after a subtraction. robust wants the quantiles at the ends of its range and
        the median between, clip those at its tails, quantile those at even steps from 0 to 1, mad a `Spread`, yeo_johnson a
        `Power`.
        """
        known = [each if isinstance(each, (Moments, Power, Spread)) else tuple(float(value) for value in each) for each in columns.values()]
        return cls(method, **params)._finish(list(columns), known)

    @checked
    def merge(self, other: Normalizer) -> Normalizer:
        """Return a normalizer fitted to the data of both; those of methods without moments must be fitted with `partial_fit`."""
        states = [a + b for a, b in self._pairs(other)]
        return Normalizer(**self.get_params())._keep(self._feature_names(), states)

    @checked
    def subtract(self, other: Normalizer) -> Normalizer:
        """Return a normalizer fitted to this one's data without that of another, which is part of it: the bits of a fit to the rest.

        minmax and maxabs cannot be parted, because the next value after the largest is not known.
        """
        states = [a - b for a, b in self._pairs(other)]
        return Normalizer(**self.get_params())._keep(self._feature_names(), states)

    # Transforming

    @overload
    def transform(self, X: pl.DataFrame, *, out: NDArray[Any] | None = None) -> pl.DataFrame: ...
    @overload
    def transform(self, X: Any, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    @checked
    def transform(self, X: Any, *, out: NDArray[Any] | None = None) -> Any:
        """Return X normalised: a polars frame of the same columns for one, else an array of the same shape; see `set_output`.

        Parameters
        ----------
        X
            Columns of the fit.
        out
            For an array: C-contiguous array of its shape and dtype to write to. Memory used again is filled faster than new memory.
        """
        return self._contained(self._moved(X, "apply", out), X)

    @overload
    def inverse_transform(self, X: pl.DataFrame, *, out: NDArray[Any] | None = None) -> pl.DataFrame: ...
    @overload
    def inverse_transform(self, X: Any, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    @checked
    def inverse_transform(self, X: Any, *, out: NDArray[Any] | None = None) -> Any:
        """Return X in the units of the data that was fitted; what `clip` has cut stays cut. `out` as for `transform`."""
        return self._moved(X, "undo", out)

    @overload
    def fit_transform(self, X: pl.DataFrame, y: object = None) -> pl.DataFrame: ...
    @overload
    def fit_transform(self, X: Any, y: object = None) -> NDArray[Any]: ...
    def fit_transform(self, X: Any, y: object = None) -> Any:  # noqa: ARG002 - scikit-learn's signature
        """Fit to X and return X normalised. Each column of a frame is moved at once, while it is still in the cache."""
        if not isinstance(X, pl.DataFrame):
            return self.fit(X).transform(X)
        parameters = self._parameters()
        known, moved = [], []
        for series, out in zip(_rows(X), inputs.memory(X), strict=True):
            vector = inputs.vector(series)
            known.append(learn(parameters, vector))
            moved.append(inputs.column(Curve.of(parameters, known[-1]).apply(vector.values, out), vector, series.name))
        self._finish(inputs.names(X), known)
        return self._contained(pl.DataFrame(moved), X)

    # Keeping

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict of parameters and state, from which `from_dict` makes an equal normalizer, bit for bit."""
        self._check_fitted()
        parameters = asdict(self._parameters())
        return {
            "format": FORMAT,
            "method": parameters.pop("method"),
            "parameters": {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()},
            "features": self._feature_names(),
            "columns": [to_json(known) for known in self.known_],
        }

    @classmethod
    @checked
    def from_dict(cls, state: Mapping[str, Any]) -> Normalizer:
        """Return the normalizer that `to_dict` wrote."""
        inputs.check_format(state, FORMAT)
        params: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in state["parameters"].items()}
        return cls(state["method"], **params)._finish(state["features"], [from_json(each) for each in state["columns"]])

    @checked
    def save(self, path: AnyPath) -> None:
        """Write the normalizer as JSON.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        with written("the normalizer", path) as file:
            file.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    @checked
    def load(cls, path: AnyPath) -> Normalizer:
        """Read a normalizer that `save` wrote.

        Raises
        ------
        ArgumentError
            The file cannot be read, or holds something else.
        """
        with read("the normalizer", path, "give a file that Normalizer.save has written") as file:
            return cls.from_dict(json.loads(file.read_text(encoding="utf-8")))

    # Inside

    def _parameters(self) -> Parameters:
        return Parameters(**{field.name: plain(getattr(self, field.name)) for field in fields(Parameters)})

    def _check_fitted(self) -> None:
        inputs.check_fitted(self, "n_features_in_")

    def _feature_names(self) -> list[str] | None:
        return list(self.feature_names_in_) if hasattr(self, "feature_names_in_") else None

    def _check_columns(self, names: list[str] | None, count: int) -> None:
        fitted = self._feature_names()
        if names is not None and fitted is not None and names != fitted:
            message = f"columns must be those of the fit, {fitted}, in this order, got {names}; select them first"
            raise ColumnError(message)
        if count != self.n_features_in_:
            message = (
                f"X has {count} features, but Normalizer is expecting {self.n_features_in_} features as input, those of the fit. "
                "Reshape your data if it has one dimension"
            )
            raise ArgumentError(message)

    def _pairs(self, other: Normalizer) -> Iterable[tuple[Any, Any]]:
        """Return what both have gathered, column by column."""
        self._check_fitted()
        other._check_fitted()
        names = self._feature_names()
        if (self._parameters(), names, self.n_features_in_) != (other._parameters(), other._feature_names(), other.n_features_in_):
            message = f"cannot merge {self!r} of {names} with {other!r} of {other._feature_names()}: method and columns must agree"
            raise ArgumentError(message)
        return zip(self._states(), other._states(), strict=True)

    def _states(self) -> Sequence[Any]:
        """Return what was gathered of the columns and adds up."""
        if not self._parameters().merges and not hasattr(self, "counts_"):
            message = f"{self!r} does not hold the values that it was fitted to: call partial_fit from the first batch on, or fit anew"
            raise ArgumentError(message)
        return self.known_ if self._parameters().merges else self.counts_

    def _keep(self, names: list[str] | None, states: Sequence[Any]) -> Normalizer:
        """Finish with what was gathered of the columns, and hold it for the next batch."""
        parameters = self._parameters()
        self._finish(names, [from_state(parameters, state) for state in states])
        if not parameters.merges:
            self.counts_ = list(states)
        return self

    def _finish(self, names: list[str] | None, known: Sequence[Known]) -> Normalizer:
        """Turn what is known of the columns into curves and attributes."""
        parameters = self._parameters()
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.known_ = list(known)
        self.curves_ = [Curve.of(parameters, each) for each in known]
        self.n_features_in_ = len(self.known_)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        self.center_ = np.array([curve.centre for curve in self.curves_], np.float64)
        self.scale_ = np.array([curve.scale for curve in self.curves_], np.float64)
        moments = [each for each in known if isinstance(each, Moments)]
        if parameters.merges:
            self.moments_ = moments
        if parameters.method == "zscore":
            self.mean_, self.var_ = self.center_, np.array([each.variance() for each in moments])
        elif parameters.method == "mad":
            self.median_, self.mad_ = np.array([(each.median, each.mad) for each in known if isinstance(each, Spread)]).reshape(-1, 2).T
        elif parameters.method == "yeo_johnson":
            self.lambdas_ = np.array([curve.lambda_ for curve in self.curves_])
        elif parameters.method == "maxabs":
            self.max_abs_ = np.abs([_range(each) for each in moments]).reshape(-1, 2).max(axis=1)
        elif parameters.method == "minmax":
            self.data_min_, self.data_max_ = np.array([_range(each) for each in moments]).reshape(-1, 2).T
            self.data_range_ = self.data_max_ - self.data_min_
        if parameters.probabilities():
            self.quantiles_ = np.array([curve.quantiles for curve in self.curves_], np.float64).T
            self.references_ = np.array(parameters.probabilities(len(self.quantiles_)))
        return self

    def _moved(self, X: Any, direction: Literal["apply", "undo"], out: NDArray[Any] | None) -> Any:
        self._check_fitted()
        data = inputs.table(X)
        self._check_columns(inputs.names(X), data.shape[1] if len(data.shape) == 2 else 1)
        if isinstance(data, pl.DataFrame):
            if out is not None:
                message = "out is for arrays: a polars frame cannot be written to; leave it out"
                raise ArgumentError(message)
            moves = zip(self.curves_, data.columns, inputs.vectors(data), inputs.memory(data), strict=True)
            return pl.DataFrame(
                [inputs.column(getattr(curve, direction)(one.values, place), one, name) for curve, name, one, place in moves]
            )
        if out is None and not self.copy and data is X and data.flags.c_contiguous and data.flags.writeable:
            out = data
        if self.method in AFFINE and data.ndim == 2 and (out is not None or not data.flags.f_contiguous):
            move = affine.transform if direction == "apply" else affine.inverse
            return move(data, self.center_, self.scale_, out=out)
        target = np.empty_like(data) if out is None else out
        if (target.shape, target.dtype) != (data.shape, data.dtype):
            message = f"out must be {data.dtype} of shape {data.shape}, got {target.dtype} of shape {target.shape}"
            raise ArgumentError(message)
        for curve, source, place in zip(self.curves_, inputs.turned(data), inputs.columns(target), strict=True):
            getattr(curve, direction)(source, place)
        return target


def _rows(X: Any) -> Any:
    """Return X as a table to learn from, which has rows."""
    data = inputs.table(X)
    if len(data) == 0:
        message = f"X has 0 sample(s) (shape={data.shape}) while a minimum of 1 is required."
        raise ArgumentError(message)
    return data


def _learned(parameters: Parameters, data: Any) -> list[Known]:
    """Return what is known of each column; a row-major array is read once."""
    if parameters.merges and not isinstance(data, pl.DataFrame) and data.ndim == 2:
        return list(accumulate_columns(data))
    return [learn(parameters, vector) for vector in inputs.vectors(data)]


def _gathered(parameters: Parameters, data: Any) -> list[Any]:
    """Return what of each column adds up with that of other batches."""
    if parameters.method == "yeo_johnson":
        message = (
            "yeo_johnson cannot learn batch by batch, because it looks at all values some fifteen times: call fit, of a file "
            "tamis.normalizer.fit_parquet, or gather with tamis_kernels.yeo_johnson.search and call Normalizer.from_statistics"
        )
        raise ArgumentError(message)
    return _learned(parameters, data) if parameters.merges else [ValueCounts.of(vector.there()) for vector in inputs.vectors(data)]


def _range(moments: Moments) -> tuple[float, float]:
    return (np.nan, np.nan) if moments.minimum is None or moments.maximum is None else (moments.minimum, moments.maximum)
