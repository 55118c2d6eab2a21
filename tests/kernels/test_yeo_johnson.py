from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED
from tamis_kernels import yeo_johnson
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import Moments, accumulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAMBDAS = [-1.5, 0.0, 0.3, 1.0, 2.0, 3.5]
RANDOM = np.random.default_rng(4)
SPECIALS = np.array([math.nan, math.inf, -math.inf, 0.0, 1e-12, -1e-12, 1e300, -1e300, 3.0, -3.0])
COLUMNS: dict[str, NDArray[np.float64]] = {
    "lognormal": RANDOM.lognormal(size=300),
    "negative": -RANDOM.lognormal(size=300),
    "both signs": RANDOM.standard_normal(300) ** 3,
    "shifted": 20 + RANDOM.standard_normal(300),
    "far": 1e9 + RANDOM.standard_normal(300),
    "heavy tails": RANDOM.standard_cauchy(300),
}


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backends_agree(lambda_: float, dtype: Any, backend: Any) -> None:
    with np.errstate(over="ignore"):
        values = np.concatenate([SPECIALS, RANDOM.standard_normal(60) * 10]).astype(dtype)
    found = [yeo_johnson.transform(values, lambda_, backend=name) for name in ("reference", backend)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)
    for places in (found[0].astype(dtype), found[0]):
        back = [yeo_johnson.inverse(places, lambda_, backend=name) for name in ("reference", backend)]
        np.testing.assert_allclose(back[1], back[0], rtol=1e-12)
    inside = np.isfinite(found[0]) & (np.abs(values) < 100)
    np.testing.assert_allclose(back[0][inside], values.astype(np.float64)[inside], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_inverse_beyond_the_range_is_no_number(backend: Any) -> None:
    ends = yeo_johnson.inverse(np.array([3.0, 2.0, -3.0, 1e6]), -0.5, backend=backend)
    assert math.isnan(ends[0])
    assert ends[1] == math.inf
    assert ends[2] == pytest.approx(yeo_johnson.inverse(np.array([-3.0]), -0.5)[0])
    assert yeo_johnson.inverse(np.array([1e6]), 0.0, backend=backend)[0] == math.inf


@pytest.mark.parametrize("name", COLUMNS)
def test_lambda_and_transform_are_those_of_scikit_learn(name: str) -> None:
    from sklearn.preprocessing import PowerTransformer

    values = COLUMNS[name]
    peer = PowerTransformer(standardize=False).fit(values[:, None])
    lambda_ = yeo_johnson.fit(values)
    if name == "far":  # so flat a likelihood that rounding moves its top
        assert math.isfinite(lambda_)
        return
    assert lambda_ == pytest.approx(peer.lambdas_[0], rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(yeo_johnson.transform(values, peer.lambdas_[0]), peer.transform(values[:, None])[:, 0], rtol=1e-9)


def test_order_and_chunks_leave_no_trace_in_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    values = COLUMNS["lognormal"]
    expected = yeo_johnson.fit(values)
    monkeypatch.setattr(yeo_johnson, "PIECE", 7)
    assert yeo_johnson.fit(RANDOM.permutation(values)) == expected
    holes = np.concatenate([[math.nan, math.inf], values, [-math.inf]])
    assert yeo_johnson.fit(holes) == expected


@pytest.mark.parametrize("values", [np.full(9, 3.5), np.empty(0), np.array([math.nan])])
def test_a_column_without_spread_stays_as_it_is(values: NDArray[np.float64]) -> None:
    assert yeo_johnson.fit(values) == 1.0


@given(top=st.floats(-30, 30), steepness=st.floats(0.01, 50))
def test_the_search_finds_the_top_of_any_hill(top: float, steepness: float) -> None:
    def hill(lambda_: float) -> float:
        return -math.inf if abs(lambda_) > 90 else -steepness * ((lambda_ - top) ** 2 + abs(lambda_ - top) ** 3)

    assert climb(hill) == pytest.approx(top, abs=1e-6)


@pytest.mark.parametrize("cliff", [1.0, 3.0])
def test_the_search_keeps_away_from_a_cliff(cliff: float) -> None:
    assert climb(lambda lambda_: -math.inf if abs(lambda_ - 3) > cliff else -((lambda_ - 3) ** 2)) == pytest.approx(3, abs=1e-6)
    assert climb(lambda lambda_: -math.inf if lambda_ > cliff else -((lambda_ - 0.05) ** 2)) == pytest.approx(0.05, abs=1e-6)


HILLS: dict[str, tuple[Callable[[float], float], list[float], int]] = {
    "a parabola": (lambda x: -((x - 0.7) ** 2), [-2.0, 2.0, 4.0, 0.472136, -0.472136, 0.7, 0.7, 0.7], 8),
    "lopsided": (
        lambda x: 3 * x - math.exp(x),
        [
            -2.0,
            2.0,
            4.0,
            0.472136,
            -0.472136,
            0.882335,
            0.992419,
            1.139849,
            1.10022,
            1.097862,
            1.098618,
            1.098612,
            1.098612,
            1.098612,
            1.098612,
        ],
        15,
    ),
    "far up": (
        lambda x: -(abs(x - 9) ** 1.5),
        [
            -2.0,
            2.0,
            4.0,
            7.2,
            12.32,
            9.155666,
            10.364334,
            8.948357,
            8.886968,
            9.003777,
            9.031102,
            8.997547,
            8.998955,
            9.000127,
            9.000567,
            8.999945,
        ],
        25,
    ),
    "far down": (
        lambda x: -(abs(x + 5) ** 1.3),
        [
            -2.0,
            2.0,
            -4.0,
            -7.2,
            -5.222291,
            -5.977709,
            -4.996875,
            -4.616103,
            -4.972243,
            -5.030386,
            -5.000423,
            -5.008005,
            -5.000726,
            -4.999633,
            -4.99858,
            -4.999991,
        ],
        24,
    ),
    "a cliff": (
        lambda x: -math.inf if x > 2.5 else -(abs(x - 0.3) ** 1.2),
        [
            -2.0,
            2.0,
            4.0,
            0.472136,
            -0.472136,
            0.443626,
            0.200881,
            -0.056189,
            0.293716,
            0.30861,
            0.295891,
            0.300249,
            0.303443,
            0.299873,
            0.299586,
            0.299984,
        ],
        28,
    ),
    "terraces": (
        lambda x: -round(abs(x - 0.4), 1),
        [
            -2.0,
            2.0,
            4.0,
            0.472136,
            -0.472136,
            0.572568,
            0.240133,
            0.383519,
            0.37595,
            0.379734,
            0.378289,
            0.377395,
            0.376843,
            0.376502,
            0.376291,
            0.376161,
        ],
        34,
    ),
    "even at both ends": (lambda x: -math.cosh(x), [-2.0, 2.0, 4.0, 0.472136, -0.472136, 0.0, -0.0, 0.0], 8),
    "a plain": (
        lambda x: -max(0.0, abs(x - 3) - 4),
        [
            -2.0,
            2.0,
            4.0,
            0.472136,
            -0.472136,
            -1.055728,
            -0.111456,
            0.111456,
            0.249224,
            0.334369,
            0.386991,
            0.419513,
            0.439613,
            0.452036,
            0.459713,
            0.464458,
        ],
        42,
    ),
}


@pytest.mark.parametrize("name", HILLS)
def test_the_search_goes_the_same_way_with_each_version(name: str) -> None:
    """A lambda found is part of what a run writes, to the last bit, and each place tried is a pass over the data."""
    hill, first, many = HILLS[name]
    tried: list[float] = []
    climb(hill, tried)
    assert tried[: len(first)] == pytest.approx(first, abs=1e-6)
    assert len(tried) == many


def climb(hill: Callable[[float], float], places: list[float] | None = None) -> float:
    """Return where a search ends that is told how high each place is; note the places."""
    steps = yeo_johnson.search()
    tried = next(steps)
    while True:
        if places is not None:
            places.append(tried)
        try:
            tried = steps.send(hill(tried))
        except StopIteration as end:
            return float(end.value)


def test_infinite_powers_are_unlikely() -> None:
    logs = accumulate(np.array([1.0, 2.0]))
    assert yeo_johnson.likelihood(1.0, accumulate(np.array([1.0, math.inf])), logs) == -math.inf
    assert yeo_johnson.likelihood(1.0, accumulate(np.array([1.0, 1.0])), logs) == -math.inf
    assert yeo_johnson.likelihood(1.0, Moments(), Moments()) == -math.inf


def test_bad_arguments_say_what_is_wrong() -> None:
    with pytest.raises(ArgumentError, match=r"must be float32 or float64 .* got int64"):
        yeo_johnson.transform(np.arange(3), 1.0)  # type: ignore[arg-type]
