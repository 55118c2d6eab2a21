"""What scikit-learn asks of an estimator that transforms, without it: parameters, tags, names of columns, the kind of output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import signature
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tamis.arguments import checked
from tamis.errors import ArgumentError, nearest
from tamis.normalizer import inputs
from tamis_kernels.arrays import check_one_of


class Conventions:
    """The side of an estimator that scikit-learn looks at; what it has learnt ends in an underscore."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _sklearn_output_config: dict[str, str]  # the name under which scikit-learn gives it to a clone

    def __repr__(self) -> str:
        """Return how it was made, without what is by default so."""
        given, plain = self.get_params(), type(self)().get_params()
        changed = [f"{name}={value!r}" for name, value in given.items() if name != "method" and value != plain[name]]
        return f"{type(self).__name__}({', '.join([repr(given['method']), *changed])})"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of an estimator; it alone calls this, so it is installed."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(allow_nan=True),
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        """Return the constructor's parameters."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters and return self."""
        for name, value in params.items():
            if name not in self.get_params():
                message = f"{type(self).__name__} has no parameter {name!r}.{nearest(name, self.get_params())}"
                raise ArgumentError(message)
            setattr(self, name, value)
        return self

    @checked
    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Choose what transforms return, and return self: by default a polars frame for one, and an array for all else.

        Raises
        ------
        ArgumentError
            There is no such choice.
        """
        if transform is not None:
            check_one_of("transform", transform, ("default", "pandas", "polars"))
            self._sklearn_output_config = {"transform": transform}
        return self

    @checked
    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[np.object_]:
        """Return the names of the columns, which a transform keeps."""
        inputs.check_fitted(self, "n_features_in_")
        if input_features is not None and len(input_features) != self.n_features_in_:
            message = f"input_features should have length equal to number of features ({self.n_features_in_}), got {len(input_features)}"
            raise ArgumentError(message)
        known = list(getattr(self, "feature_names_in_", ())) or [f"x{i}" for i in range(self.n_features_in_)]
        return np.array(known if input_features is None else list(input_features), object)

    def _contained(self, moved: Any, X: Any) -> Any:
        """Return what a transform makes as the frame that `set_output` asks for, or scikit-learn's own setting."""
        told = sys.modules["sklearn"].get_config()["transform_output"] if "sklearn" in sys.modules else "default"
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform", told)
        if wanted == "polars":
            return pl.DataFrame(moved, self.get_feature_names_out().tolist())
        if wanted == "pandas":
            from pandas import DataFrame

            values = moved.to_numpy() if isinstance(moved, pl.DataFrame) else moved
            return DataFrame(values, columns=self.get_feature_names_out(), index=X.index if isinstance(X, DataFrame) else None)
        return moved
