from __future__ import annotations

import pickle
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_global_set_output_transform_polars,
    check_set_output_transform,
    check_set_output_transform_polars,
    estimator_checks_generator,
)

from tamis.errors import ArgumentError, ColumnError
from tamis.normalizer import METHODS, Normalizer

if TYPE_CHECKING:
    from collections.abc import Iterator

# The checks that do not apply, and why; docs/formats.md has the same list.
NOT_ASKED = {
    "check_fit1d": "an array of one dimension is one column",
    "check_array_api_input": "needs SCIPY_ARRAY_API in the environment; other array types than numpy's are not taken",
    "check_dataframe_column_names_consistency": "needs pandas; names that are not those of the fit are told in words of tamis",
}
ONE_BY_ONE = {
    "check_estimators_partial_fit_n_features": "has no partial_fit, as scikit-learn's own of the kind have none",
    "check_n_features_in_after_fitting": "the same",
    "check_fit_score_takes_y": "the same",
}
BY_COUNTS = {"check_fit_score_takes_y": "partial_fit goes on from partial_fit, not from fit, which holds no values"}


def every_check() -> Iterator[Any]:
    for method in METHODS:
        estimator = Normalizer(method)
        passed = NOT_ASKED | (
            ONE_BY_ONE if method == "yeo_johnson" else BY_COUNTS if method in {"robust", "mad", "quantile", "clip"} else {}
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Estimator Normalizer does not inherit")  # tamis runs without scikit-learn
            for given, check in estimator_checks_generator(estimator, mark=None):
                name = getattr(check, "func", check).__name__
                if name not in passed:
                    yield pytest.param(given, check, id=f"{method}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(every_check()))
def test_scikit_learn_s_own_checks(estimator: Normalizer, check: Any) -> None:
    check(estimator)


def test_works_in_a_pipeline_and_travels() -> None:
    values = np.random.default_rng(1).standard_normal((30, 3))
    chain = make_pipeline(Normalizer("robust"), Normalizer("minmax")).fit(values)
    moved = chain.transform(values)
    assert (moved.min(), moved.max()) == (0, 1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(chain)).transform(values), moved)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Normalizer().transform(values)


@pytest.mark.parametrize("check", [check_set_output_transform, check_set_output_transform_polars, check_global_set_output_transform_polars])
def test_the_kind_of_output_can_be_chosen(check: Any) -> None:
    check("Normalizer", Normalizer("robust"))


def test_the_kind_of_output_goes_through_clones_pipelines_and_columns() -> None:
    values = np.random.default_rng(1).standard_normal((30, 3))
    assert isinstance(clone(Normalizer().set_output(transform="polars")).fit(values).transform(values), pl.DataFrame)
    chain = make_pipeline(Normalizer(), Normalizer("minmax")).set_output(transform="polars")
    assert chain.fit_transform(values).columns == ["x0", "x1", "x2"]
    frame = pl.DataFrame(values, ["a", "b", "c"])
    some = ColumnTransformer([("scaled", Normalizer(), ["a", "b"])], remainder="passthrough").set_output(transform="polars")
    assert some.fit_transform(frame).columns == ["scaled__a", "scaled__b", "remainder__c"]
    with pytest.raises(ArgumentError, match="transform must be one of default, pandas, polars, got 'numpy'"):
        Normalizer().set_output(transform="numpy")  # type: ignore[arg-type]


class Pandas:
    """An array with names of columns, as a frame of pandas is to a normalizer."""

    def __init__(self, values: Any, columns: list[str]) -> None:
        self.values, self.columns = values, columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype)


@pytest.mark.parametrize("make", [Pandas, lambda values, names: pa.table(dict(zip(names, values.T, strict=True)))])
def test_columns_of_other_libraries_cannot_change_places(make: Any) -> None:
    values = np.random.default_rng(1).standard_normal((30, 2))
    fitted = Normalizer().fit(make(values, ["a", "b"]))
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(fitted.transform(make(values, ["a", "b"])), Normalizer().fit_transform(values))
    with pytest.raises(ColumnError, match=r"columns must be those of the fit, \['a', 'b'\], in this order, got \['b', 'a'\]"):
        fitted.transform(make(values, ["b", "a"]))


def test_what_is_masked_takes_no_part() -> None:
    masked = np.ma.masked_less(np.arange(6.0).reshape(3, 2), 2)
    fitted = Normalizer("minmax").fit(masked)
    assert fitted.data_min_.tolist() == [2, 3]
    assert np.isnan(fitted.transform(masked)[0]).all()


def test_a_column_of_nothing_becomes_one_of_floats() -> None:
    moved = Normalizer().fit_transform(pl.DataFrame({"a": [None, None], "b": [1, 3]}))
    assert moved.rows() == [(None, -1.0), (None, 1.0)]
    assert moved.dtypes == [pl.Float64, pl.Float64]
