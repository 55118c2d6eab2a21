from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels import ranks
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM = np.random.default_rng(3)
COLUMNS: dict[str, NDArray[Any]] = {
    "normal": RANDOM.standard_normal(400),
    "lognormal f32": RANDOM.lognormal(size=400).astype(np.float32),
    "offset 1e9": 1e9 + RANDOM.standard_normal(400),
    "ties": RANDOM.integers(-3, 4, 400).astype(np.float64),
    "ties at both ends": np.clip(RANDOM.standard_normal(400), -0.5, 0.5),
    "wide": RANDOM.standard_normal(400) * 10.0 ** RANDOM.integers(-200, 200, 400),
    "constant": np.full(20, -7.25),
    "zeros of both signs": np.array([-0.0, 0.0, -0.0, -5e-324, 5e-324, 1.0]),
}


def knots_of(values: NDArray[Any], count: int = 50) -> NDArray[np.float64]:
    quantiles: NDArray[np.float64] = np.nanquantile(values.astype(np.float64), np.linspace(0, 1, count))
    return quantiles


def asked(values: NDArray[Any]) -> NDArray[Any]:
    """The values, the knots, what lies between and beyond them, and no numbers."""
    knots = knots_of(values)
    middle = knots[:-1] + np.diff(knots) / 2
    outside = [knots[0] - 1, knots[-1] + 1, math.nan, math.inf, -math.inf, 0.0]
    return np.concatenate([values.astype(np.float64), knots, middle, outside]).astype(values.dtype)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("name", COLUMNS)
def test_backends_agree(name: str, normal: bool, backend: Any) -> None:
    values, knots = asked(COLUMNS[name]), knots_of(COLUMNS[name])
    values = values[:: -(-values.size // at_most(values.size, 500))]
    places = ranks.transform(values, knots, normal=normal, backend="reference")
    found = ranks.transform(values, knots, normal=normal, backend=backend)
    assert found.dtype == values.dtype
    if normal:
        np.testing.assert_allclose(found, places, rtol=4 * np.finfo(values.dtype).eps, atol=1e-15)
    else:
        np.testing.assert_array_equal(found, places)
    back = ranks.inverse(places, knots, normal=normal, backend="reference")
    error = np.abs(ranks.inverse(places, knots, normal=normal, backend=backend) - back)
    after = np.searchsorted(knots, back)
    gaps = knots[np.minimum(after + 1, knots.size - 1)] - knots[np.maximum(after - 2, 0)]  # what a unit in the last place moves a value by
    np.testing.assert_array_equal(np.isnan(error), np.isnan(back))
    assert not (error > 1e-12 * np.abs(back) + 1e-13 * gaps * normal).any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"wide"}))
def test_places_are_those_of_scikit_learn(name: str, normal: bool, backend: Any) -> None:
    from sklearn.preprocessing import QuantileTransformer

    values = COLUMNS[name]
    peer = QuantileTransformer(n_quantiles=min(50, values.size), output_distribution="normal" if normal else "uniform", subsample=None)
    peer.fit(values[:, None].astype(np.float64))
    knots = peer.quantiles_[:, 0]
    probe = values.astype(np.float64)[: at_most(400, 60)]
    expected = peer.transform(probe[:, None])[:, 0]
    np.testing.assert_allclose(ranks.transform(probe, knots, normal=normal, backend=backend), expected, rtol=1e-9, atol=1e-9)
    if name != "constant":
        back = peer.inverse_transform(expected[:, None])[:, 0]
        np.testing.assert_allclose(ranks.inverse(expected, knots, normal=normal, backend=backend), back, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backend", COMPILED)
@given(
    values=npst.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32)),
    knots=st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=12),
)
def test_any_float32_among_any_knots(values: NDArray[np.float32], knots: list[float], backend: Any) -> None:
    points = sorted(knots)
    expected = ranks.transform(values, points, backend="reference")
    np.testing.assert_array_equal(ranks.transform(values, points, backend=backend), expected)
    assert ((expected >= 0) & (expected <= 1) | np.isnan(values)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_quantiles_give_no_places(backend: Any) -> None:
    assert np.isnan(ranks.transform(np.zeros((2, 2)), [math.nan, math.nan], backend=backend)).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("normal", [False, True])
def test_places_beyond_the_ends_are_the_ends_and_nan_stays(normal: bool, backend: Any) -> None:
    found = ranks.inverse(np.array([math.nan, -math.inf, -9.0, 9.0, math.inf]), [1.0, 2.0, 4.0], normal=normal, backend=backend)
    np.testing.assert_array_equal(found, [math.nan, 1.0, 1.0, 4.0, 4.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranks.transform(np.arange(3), [0, 1]), "must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: ranks.transform(np.zeros(3), [1, 0]), "two or more numbers that do not fall"),
        (lambda: ranks.inverse(np.zeros(3), [1]), "two or more numbers"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
