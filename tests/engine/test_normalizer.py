from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

from tamis.errors import ColumnError
from tamis.normalizer import METHODS, Normalizer
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import Moments, accumulate
from tamis_kernels.quantiles import quantiles

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PEERS = {"zscore": StandardScaler, "minmax": MinMaxScaler, "maxabs": MaxAbsScaler, "robust": RobustScaler}
MERGING = ["zscore", "minmax", "maxabs", "log1p"]
BY_BATCH: list[Any] = [method for method in METHODS if method != "yeo_johnson"]


def table(rows: int = 500) -> NDArray[np.float64]:
    """Normal, far from zero, wide, constant, and with holes."""
    random = np.random.default_rng(1)
    values = random.standard_normal((rows, 5))
    values[:, 1] += 1e6
    values[:, 2] *= 10.0 ** random.integers(-8, 8, rows)
    values[:, 3] = 0.1
    values[::7, 4] = math.nan
    return values


def state(normalizer: Normalizer) -> list[bytes]:
    return [normalizer.center_.tobytes(), normalizer.scale_.tobytes(), json.dumps(normalizer.to_dict()["columns"]).encode()]


@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equals_scikit_learn_to_rounding(method: Any, dtype: Any) -> None:
    values = table().astype(dtype)
    peer = PEERS[method]().fit(values)
    ours = Normalizer(method)
    moved = ours.fit_transform(values)
    assert moved.dtype == dtype
    tolerance = 1e-7 if dtype == np.float64 else 0.2  # float32 has no digits left at 1e6
    np.testing.assert_allclose(moved, peer.transform(values), rtol=tolerance, atol=tolerance)
    digits = 4 * np.finfo(dtype).eps * np.nanmax(np.abs(values), axis=0)  # what rounding leaves next to the largest value
    back = ours.inverse_transform(moved)
    assert (np.isnan(values) | (np.abs(back - values) <= digits)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("normal", [False, True])
def test_quantile_places_are_those_of_scikit_learn(normal: bool, dtype: Any) -> None:
    values = table()[:, [0, 2, 3, 4]].astype(dtype)
    output: Any = "normal" if normal else "uniform"
    peer = QuantileTransformer(n_quantiles=100, output_distribution=output, subsample=None).fit(values)
    ours = Normalizer("quantile", n_quantiles=100, output_distribution=output).fit(values)
    digits = 1e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours.quantiles_, peer.quantiles_, rtol=digits)
    np.testing.assert_allclose(ours.references_, peer.references_)
    places = peer.transform(values)
    inside = slice(None) if dtype == np.float64 else (np.abs(np.nan_to_num(places)) < 5).all(axis=1)  # else their float32 knots decide
    np.testing.assert_allclose(ours.transform(values)[inside], places[inside], rtol=2e-3 if dtype == np.float32 else 1e-7, atol=1e-6)
    if dtype == np.float64:
        np.testing.assert_allclose(ours.inverse_transform(places), peer.inverse_transform(places), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_yeo_johnson_is_that_of_scikit_learn(dtype: Any) -> None:
    values = np.random.default_rng(2).lognormal(size=(400, 3)).astype(dtype)
    values[:, 1] *= -3
    values[::9, 2] = math.nan
    peer, ours = PowerTransformer().fit(values.astype(np.float64)), Normalizer("yeo_johnson").fit(values)
    np.testing.assert_allclose(ours.lambdas_, peer.lambdas_, rtol=1e-5)
    moved = ours.transform(values)
    assert moved.dtype == dtype
    np.testing.assert_allclose(moved, peer.transform(values.astype(np.float64)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.inverse_transform(moved), values, rtol=1e-4)
    assert Normalizer("yeo_johnson").fit(np.full((5, 1), 2.5)).lambdas_.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mad_is_a_standard_deviation_that_outliers_do_not_move(dtype: Any) -> None:
    values = np.append(np.random.default_rng(4).standard_normal(20_000), [1e6] * 2000).astype(dtype)
    fitted = Normalizer("mad").fit(values)
    assert fitted.median_[0] == np.median(values.astype(np.float64))
    assert fitted.mad_[0] == np.median(np.abs(values.astype(np.float64) - fitted.median_[0]))
    assert fitted.scale_[0] == pytest.approx(1.482602218505602 * fitted.mad_[0], rel=1e-15)
    assert fitted.scale_[0] == pytest.approx(1, abs=0.2)


def test_clip_cuts_at_quantiles_or_limits() -> None:
    values = np.append(np.arange(101.0), [math.nan, math.inf])
    assert np.nanmax(Normalizer("clip", tails=(5, 95)).fit_transform(values)) == 95
    cut = Normalizer("clip", limits=(None, 10.0))
    assert cut.fit(values).merge(cut).moments_[0].count == 202
    moved = cut.transform(values)
    assert (moved[:2].tolist(), np.nanmax(moved)) == ([0, 1], 10)
    assert math.isnan(moved[101])
    np.testing.assert_array_equal(cut.inverse_transform(moved), moved)
    assert Normalizer.from_dict(cut.to_dict()).transform(values.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layout", ["C", "F"])
def test_memory_can_be_used_again(method: Any, layout: Any) -> None:
    values = np.abs(table()) + 1
    fitted = Normalizer(method).fit(values)
    expected = fitted.transform(values)
    out = np.empty_like(values)
    assert fitted.transform(np.array(values, order=layout), out=out) is out
    np.testing.assert_array_equal(out, expected)
    fitted.copy = False
    assert fitted.transform(values) is values
    np.testing.assert_array_equal(values, expected)
    with pytest.raises(ArgumentError, match="out"):
        fitted.transform(values, out=np.empty(3))
    with pytest.raises(ArgumentError, match="polars frame cannot be written"):
        fitted.transform(pl.DataFrame(values), out=out)


def test_fitted_attributes_follow_scikit_learn() -> None:
    values = table()
    ours, peer = Normalizer().fit(values), StandardScaler().fit(values)
    np.testing.assert_allclose(ours.mean_, peer.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.var_, peer.var_, rtol=1e-9, atol=1e-30)
    np.testing.assert_allclose(ours.scale_, peer.scale_, rtol=1e-9)
    assert ours.n_features_in_ == 5
    ranged, ranged_peer = Normalizer("minmax").fit(values), MinMaxScaler().fit(values)
    for name in ("data_min_", "data_max_", "data_range_"):
        np.testing.assert_array_equal(getattr(ranged, name), getattr(ranged_peer, name))
    np.testing.assert_array_equal(Normalizer("maxabs").fit(values).max_abs_, MaxAbsScaler().fit(values).max_abs_)
    np.testing.assert_array_equal(Normalizer("robust").fit(values).center_, RobustScaler().fit(values).center_)


def test_can_be_cloned_by_scikit_learn() -> None:
    copy = clone(Normalizer("robust", quantile_range=(5.0, 95.0)))
    assert copy.get_params() == Normalizer("robust", quantile_range=(5.0, 95.0)).get_params()
    assert copy.set_params(method="minmax").method == "minmax"
    with pytest.raises(ArgumentError, match="Did you mean 'method'"):
        copy.set_params(methode="minmax")


@pytest.mark.parametrize("method", BY_BATCH)
@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_batches_in_any_order_give_the_bits_of_one_fit(method: Any, size: int) -> None:
    values = table(120)
    values[3, 0] = math.inf
    shuffled = np.random.default_rng(size).permutation(values)
    batches = Normalizer(method)
    for start in range(0, len(values), size):
        batches.partial_fit(shuffled[start : start + size])
    assert state(batches) == state(Normalizer(method).fit(values))


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(1, 199), method=st.sampled_from(BY_BATCH))
def test_merging_two_fits_is_one_fit_and_parting_it_undoes_that(cut: int, method: Any) -> None:
    values = table(200)
    parts = [Normalizer(method).partial_fit(part) for part in (values[cut:], values[:cut])]
    merged = parts[0].merge(parts[1])
    assert state(merged) == state(Normalizer(method).fit(values))
    if method not in {"minmax", "maxabs"}:
        left = merged.subtract(parts[1])
        assert left.center_.tobytes() + left.scale_.tobytes() == parts[0].center_.tobytes() + parts[0].scale_.tobytes()
        assert hasattr(left, "counts_") == (method not in MERGING)


@pytest.mark.parametrize("method", METHODS)
def test_fit_does_not_depend_on_the_memory_layout_or_container(method: Any) -> None:
    values = table()
    expected = Normalizer(method).fit(values)
    frame = pl.DataFrame({f"c{i}": values[:, i] for i in range(5)})
    assert state(Normalizer(method).fit(np.asfortranarray(values))) == state(expected)
    fitted = Normalizer(method).fit(frame)
    assert state(fitted) == state(expected)
    np.testing.assert_array_equal(fitted.transform(frame).to_numpy(), expected.transform(values))
    assert fitted.feature_names_in_.tolist() == frame.columns == fitted.get_feature_names_out().tolist()


@pytest.mark.parametrize("method", MERGING)
def test_shards_fit_through_their_moments(method: Any) -> None:
    values = table()
    columns = {f"c{i}": sum((accumulate(shard[:, i]) for shard in np.array_split(values, 7)), Moments()) for i in range(5)}
    assert state(Normalizer.from_statistics(columns, method)) == state(Normalizer(method).fit(values))


def test_shards_fit_through_their_quantiles() -> None:
    values = table()
    columns = {f"c{i}": quantiles(values[:, i], [0.25, 0.5, 0.75]).tolist() for i in range(5)}
    assert state(Normalizer.from_statistics(columns, "robust")) == state(Normalizer("robust").fit(values))


@pytest.mark.parametrize("method", METHODS)
def test_saving_keeps_every_bit(method: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": table()[:, 0], "b": table()[:, 2], "nothing": np.full(500, math.nan)})
    fitted = Normalizer(method).fit(frame)
    fitted.save(tmp_path / "normalizer.json")
    loaded = Normalizer.load(tmp_path / "normalizer.json")
    assert state(loaded) == state(fitted)
    assert loaded.to_dict() == fitted.to_dict()
    assert loaded.feature_names_in_.tolist() == ["a", "b", "nothing"]
    if method in MERGING:
        assert state(loaded.partial_fit(frame)) == state(fitted.partial_fit(frame))


@pytest.mark.parametrize("method", METHODS)
def test_nulls_stay_null_and_nan_stays_nan(method: Any) -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0, math.nan], "b": [1, 2, None, 4]})
    moved = Normalizer(method).fit_transform(frame)
    assert_frame_equal(moved.select(pl.all().is_null()), frame.select(pl.all().is_null()))
    assert math.isnan(moved["a"][3])
    assert moved.dtypes == [pl.Float64, pl.Float64]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", [0, 3, 8, 13])
def test_a_slice_with_nulls_is_read_and_written_by_its_bitmap(method: Any, first: int) -> None:
    values = np.abs(table(60)[:, 0]).astype(np.float32)
    there = np.arange(60) % 5 != 2
    frame = pl.DataFrame({"x": pl.Series(values), "there": there}).select(pl.when("there").then("x").alias("x"))[first:]
    fitted = Normalizer(method).fit(frame)
    assert state(fitted) == state(Normalizer(method).fit(frame.drop_nulls()) if method != "quantile" else fitted)
    for moved in (fitted.transform(frame), Normalizer(method).fit_transform(frame)):
        assert moved["x"].is_null().to_list() == (~there[first:]).tolist()
        np.testing.assert_array_equal(moved["x"].drop_nulls(), fitted.transform(frame.drop_nulls())["x"])


@pytest.mark.parametrize("method", PEERS)
def test_infinities_take_no_part_and_stay(method: Any) -> None:
    values = np.array([1.0, 2.0, 4.0, math.inf, -math.inf])
    fitted = Normalizer(method).fit(values)
    assert state(fitted)[:2] == state(Normalizer(method).fit(values[:3]))[:2]
    assert fitted.transform(values)[3:].tolist() == [math.inf, -math.inf]


@pytest.mark.parametrize("method", PEERS)
def test_constant_and_empty_columns(method: Any) -> None:
    fitted = Normalizer(method).fit(np.array([[3.0, math.nan], [3.0, math.nan]]))
    assert fitted.scale_[0] == (3.0 if method == "maxabs" else 1.0)
    moved = fitted.transform(np.array([[3.0, 1.0]]))
    assert moved[0, 0] == (1.0 if method == "maxabs" else 0.0)
    assert math.isnan(moved[0, 1])


def test_zscore_survives_an_offset_that_ruins_sums_of_squares() -> None:
    noise = np.random.default_rng(3).integers(-8, 9, 4000) / 8
    assert Normalizer().fit(1e12 + noise).scale_[0] == pytest.approx(noise.std(), rel=1e-15)


def test_log1p_has_an_inverse_and_a_domain() -> None:
    values = np.array([-2.0, -1.0, 0.0, 1e-12, 1e6, math.nan])
    fitted = Normalizer("log1p").fit(values)
    moved = fitted.transform(values)
    assert math.isnan(moved[0])
    assert moved[1] == -math.inf
    np.testing.assert_allclose(fitted.inverse_transform(moved)[1:], values[1:], rtol=1e-12)


def test_one_dimension_stays_one_dimension_and_integers_become_floats() -> None:
    moved = Normalizer("minmax").fit_transform(np.array([0, 5, 10]))
    assert moved.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Normalizer().transform(np.zeros(2)), ArgumentError, "not fitted yet"),
        (lambda: Normalizer("zscor").fit(np.zeros(2)), ArgumentError, "Did you mean 'zscore'"),  # type: ignore[arg-type]
        (lambda: Normalizer("yeo_johnson").partial_fit(np.zeros(2)), ArgumentError, "call fit"),
        (lambda: Normalizer("robust").fit(np.zeros(2)).partial_fit(np.zeros(2)), ArgumentError, "call partial_fit from the first batch"),
        (lambda: Normalizer("maxabs").fit(np.zeros(2)).subtract(Normalizer("maxabs").fit(np.ones(1))), ArgumentError, "lost after a subtr"),
        (lambda: Normalizer("robust", quantile_range=(75, 25)).fit(np.zeros(2)), ArgumentError, "two ascending percentages"),
        (lambda: Normalizer().fit(pl.DataFrame({"name": ["x"]})), ColumnError, "column 'name' is String"),
        (lambda: Normalizer().fit(np.array(["x"])), ColumnError, "must hold numbers"),
        (lambda: Normalizer().fit(np.zeros((1, 1, 1))), ArgumentError, "one or two dimensions"),
        (lambda: Normalizer().fit(np.zeros((2, 2))).transform(np.zeros((2, 3))), ArgumentError, "X has 3 features"),
        (
            lambda: Normalizer().fit(pl.DataFrame({"a": [1.0]})).transform(pl.DataFrame({"b": [1.0]})),
            ColumnError,
            "must be those of the fit",
        ),
        (
            lambda: Normalizer.from_statistics({"a": accumulate(np.arange(3.0)) - accumulate(np.ones(1))}, "minmax"),
            ArgumentError,
            "lost after a subtraction",
        ),
        (lambda: Normalizer("quantile", n_quantiles=1).fit(np.zeros(2)), ArgumentError, "2 or more, got 1"),
        (lambda: Normalizer("quantile", output_distribution="x").fit(np.zeros(2)), ArgumentError, "uniform or normal"),  # type: ignore[arg-type]
        (lambda: Normalizer("clip", limits=(3, 1)).fit(np.zeros(2)), ArgumentError, "low <= high"),
        (lambda: Normalizer().fit(np.zeros((0, 2))), ArgumentError, "0 sample"),
        (lambda: Normalizer.from_dict({"format": "other"}), ArgumentError, "not a normalizer"),
        (
            lambda: Normalizer().fit(np.zeros(2)).merge(Normalizer("minmax").fit(np.zeros(2))),
            ArgumentError,
            "method and columns must agree",
        ),
    ],
)
def test_bad_use_says_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
