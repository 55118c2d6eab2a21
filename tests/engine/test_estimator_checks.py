from __future__ import annotations

import pickle
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from tamis.normalizer import METHODS, Normalizer

if TYPE_CHECKING:
    from collections.abc import Iterator

# The checks that do not apply, and why; docs/formats.md has the same list.
NOT_ASKED = {
    "check_fit1d": "an array of one dimension is one column",
    "check_array_api_input": "needs SCIPY_ARRAY_API in the environment; other array types than numpy's are not taken",
    "check_dataframe_column_names_consistency": "needs pandas; names are taken from polars frames",
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
