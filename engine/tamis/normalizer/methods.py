"""What each method of normalising wants to know of a column, and the curve that it makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tamis.arguments import check_fields
from tamis.errors import ArgumentError, nearest
from tamis.inquiries import finite_of
from tamis_kernels import affine, ranks, yeo_johnson
from tamis_kernels.moments import Moments, accumulate
from tamis_kernels.quantiles import ValueCounts, mad, median, quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tamis.normalizer.inputs import Vector

Method = Literal["zscore", "minmax", "maxabs", "robust", "mad", "quantile", "log1p", "yeo_johnson", "clip"]

METHODS: tuple[Method, ...] = ("zscore", "minmax", "maxabs", "robust", "mad", "quantile", "log1p", "yeo_johnson", "clip")
AFFINE = ("zscore", "minmax", "maxabs", "robust", "mad")
NORMAL_MAD = NormalDist().inv_cdf(0.75)  # median absolute deviation of a standard normal distribution
PIECE = 1 << 16  # values that are moved at a time where a method needs float64 in between


@dataclass(frozen=True, slots=True)
class Power:
    """The lambda of a Yeo-Johnson transform, and the moments of what it makes of the column."""

    lambda_: float
    moments: Moments


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a column, and the median absolute deviation from it."""

    median: float
    mad: float


Known = Moments | Power | Spread | tuple[float, ...]  # what a column is fitted from; the tuple holds quantiles


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a normalizer, checked."""

    method: Method = "zscore"
    quantile_range: tuple[float, float] = (25.0, 75.0)
    n_quantiles: int = 1000
    output_distribution: Literal["uniform", "normal"] = "uniform"
    tails: tuple[float, float] = (1.0, 99.0)
    limits: tuple[float | None, float | None] = (None, None)

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_fields(self)
        if self.method not in METHODS:
            message = f"method must be one of {', '.join(METHODS)}, got {self.method!r}.{nearest(str(self.method), METHODS)}"
            raise ArgumentError(message)
        for name in ("quantile_range", "tails"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 100:
                message = f"{name} must be two ascending percentages, got {getattr(self, name)!r}"
                raise ArgumentError(message)
        if self.n_quantiles < 2:
            message = f"n_quantiles must be 2 or more, got {self.n_quantiles!r}"
            raise ArgumentError(message)
        if self.output_distribution not in ("uniform", "normal"):
            message = f"output_distribution must be uniform or normal, got {self.output_distribution!r}"
            raise ArgumentError(message)
        bounds = [-math.inf if self.limits[0] is None else self.limits[0], math.inf if self.limits[1] is None else self.limits[1]]
        if not bounds[0] <= bounds[1]:
            message = f"limits must be (low, high) with low <= high, either of them None, got {self.limits!r}"
            raise ArgumentError(message)

    def probabilities(self, rows: int | None = None) -> tuple[float, ...]:
        """Return which quantiles of a column are wanted; none where moments are. Of few rows fewer quantiles are taken."""
        if self.method == "robust":
            return self.quantile_range[0] / 100, 0.5, self.quantile_range[1] / 100
        if self.method == "clip" and self.limits == (None, None):
            return self.tails[0] / 100, self.tails[1] / 100
        if self.method == "quantile":
            count = self.n_quantiles if rows is None else max(2, min(self.n_quantiles, rows))
            return tuple(np.linspace(0, 1, count).tolist())
        return ()

    @property
    def merges(self) -> bool:
        """Whether fits of parts can be merged: moments add up, quantiles and lambdas do not."""
        return not self.probabilities() and self.method not in ("yeo_johnson", "mad")

    def wanted(self, rows: int | None = None) -> dict[str, Any]:
        """Return what `Inquiry.start` is asked of a column."""
        quantiles = self.probabilities(rows)
        return {"moments": self.merges, "quantiles": quantiles, "mad": self.method == "mad", "power": self.method == "yeo_johnson"}


def known_of(answers: Mapping[str, Any]) -> Known:
    """Return what an inquiry has found of a column as a method takes it."""
    if "power" in answers:
        return Power(*answers["power"])
    if "mad" in answers:
        return Spread(*answers["mad"])
    return tuple(answers["quantiles"].values()) if "quantiles" in answers else answers["moments"]


def learn(parameters: Parameters, column: Vector) -> Known:
    """Return what the method must know of a column in memory; null, NaN and infinities take no part."""
    if parameters.merges:
        return accumulate(column.values, validity=column.validity)
    finite = finite_of(column.there())
    if parameters.method == "yeo_johnson":
        lambda_ = yeo_johnson.fit(finite)
        parts = (finite[i : i + PIECE] for i in range(0, finite.size, PIECE))
        return Power(lambda_, sum((accumulate(yeo_johnson.transform(part, lambda_)) for part in parts), Moments()))
    if parameters.method == "mad":
        return Spread(median(finite), mad(finite))
    return tuple(quantiles(finite, parameters.probabilities(column.values.size)).tolist())


def from_state(parameters: Parameters, state: Moments | ValueCounts) -> Known:
    """Return what a method is fitted from, given what was gathered batch by batch."""
    if isinstance(state, Moments):
        return state
    if parameters.method == "mad":
        return Spread(state.median(), state.mad())
    return tuple(state.quantiles(parameters.probabilities(state.size + state.skipped)).tolist())


@dataclass(frozen=True, slots=True)
class Curve:
    """What is done to the values of one column, and how it is undone."""

    parameters: Parameters
    centre: float = 0.0
    scale: float = 1.0
    lambda_: float = 1.0
    quantiles: tuple[float, ...] = ()

    @classmethod
    def of(cls, parameters: Parameters, known: Known) -> Curve:
        """Return the curve that a method makes of what is known of a column."""
        if isinstance(known, Power):
            return cls(parameters, known.moments.mean(), _divisor(known.moments.std()), known.lambda_)
        if isinstance(known, Moments):
            return cls(parameters, *_from_moments(parameters, known))
        if isinstance(known, Spread):
            return cls(parameters, known.median, _divisor(known.mad / NORMAL_MAD))
        if parameters.method == "robust":
            low, middle, high = known
            return cls(parameters, middle, _divisor(high - low), quantiles=known)
        return cls(parameters, quantiles=known)

    def apply(self, values: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the values moved, in their dtype; `out`, of their shape, may be strided."""
        method, given = self.parameters.method, values.dtype
        with np.errstate(all="ignore"):
            if method == "log1p":
                moved = np.log1p(values)
            elif method == "clip":
                moved = np.clip(values, *(bound if bound is None else given.type(bound) for bound in self._bounds()))
            elif method == "quantile":
                moved = ranks.transform(values, self.quantiles, normal=self._normal)
            elif method == "yeo_johnson":
                powers = (yeo_johnson.transform(values[i : i + PIECE], self.lambda_) for i in range(0, values.size, PIECE))
                moved = _joined([affine.transform(part, self.centre, self.scale, out=part).astype(given) for part in powers], given)
            else:
                return _affine(affine.transform, values, self.centre, self.scale, out)
        return _placed(moved, out)

    def undo(self, values: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return values in the units of the fitted data; what `clip` has cut stays cut."""
        method, given = self.parameters.method, values.dtype
        with np.errstate(all="ignore"):
            if method == "log1p":
                moved = np.expm1(values)
            elif method == "clip":
                moved = values.copy()
            elif method == "quantile":
                moved = ranks.inverse(values, self.quantiles, normal=self._normal)
            elif method == "yeo_johnson":
                pieces = (values[i : i + PIECE].astype(np.float64) for i in range(0, values.size, PIECE))
                powers = (affine.inverse(piece, self.centre, self.scale) for piece in pieces)
                moved = _joined([yeo_johnson.inverse(part, self.lambda_).astype(given) for part in powers], given)
            else:
                return _affine(affine.inverse, values, self.centre, self.scale, out)
        return _placed(moved, out)

    @property
    def _normal(self) -> bool:
        return self.parameters.output_distribution == "normal"

    def _bounds(self) -> tuple[float | None, float | None]:
        return (self.quantiles[0], self.quantiles[1]) if self.quantiles else self.parameters.limits


def to_json(known: Known) -> dict[str, Any]:
    """Return what is known of a column, JSON-safe and exact."""
    if isinstance(known, Power):
        return {"lambda": known.lambda_, "moments": known.moments.to_dict()}
    if isinstance(known, Moments):
        return {"moments": known.to_dict()}
    if isinstance(known, Spread):
        return {"spread": [_or_none(known.median), _or_none(known.mad)]}
    return {"quantiles": [_or_none(value) for value in known]}


def from_json(state: Mapping[str, Any]) -> Known:
    """Return what `to_json` wrote, bit for bit."""
    for key in ("quantiles", "spread"):
        if key in state:
            values = tuple(math.nan if value is None else float(value) for value in state[key])
            return Spread(*values) if key == "spread" else values
    moments = Moments.from_dict(state["moments"])
    return Power(float(state["lambda"]), moments) if "lambda" in state else moments


def _from_moments(parameters: Parameters, moments: Moments) -> tuple[float, float]:
    """Return centre and scale of a method that is fitted from moments."""
    method = parameters.method
    if method == "zscore":
        return moments.mean(), _divisor(moments.std())
    if method not in ("minmax", "maxabs"):
        return 0.0, 1.0
    if moments.count == 0:
        return (math.nan if method == "minmax" else 0.0), math.nan
    if moments.minimum is None or moments.maximum is None:
        message = f"method {method!r} needs the range, which moments have lost after a subtraction: accumulate again"
        raise ArgumentError(message)
    if method == "maxabs":
        return 0.0, _divisor(max(abs(moments.minimum), abs(moments.maximum)))
    return moments.minimum, _divisor(moments.maximum - moments.minimum)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _divisor(spread: float) -> float:
    return 1.0 if spread == 0 else spread  # a constant column


def _affine(move: Any, values: NDArray[Any], centre: float, scale: float, out: NDArray[Any] | None) -> NDArray[Any]:
    if out is None or out.flags.c_contiguous:
        moved: NDArray[Any] = move(values, centre, scale, out=out)
        return moved
    return _placed(move(values, centre, scale), out)


def _placed(moved: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    if out is None:
        return moved
    out[...] = moved
    return out


def _joined(parts: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype)
