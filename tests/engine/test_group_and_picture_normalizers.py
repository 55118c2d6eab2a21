from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.errors import ColumnError
from tamis.normalizer import METHODS, GroupNormalizer, Normalizer, PictureNormalizer
from tamis_kernels.errors import ArgumentError
from tamis_kernels.histogram import byte_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def readings(rows: int = 300) -> pl.DataFrame:
    """Three sensors in turn, of different level and spread, and a row without one."""
    random = np.random.default_rng(5)
    which = random.integers(0, 3, rows)
    values = np.array([0.0, 1e6, -40.0])[which] + random.lognormal(size=rows) * np.array([1.0, 30.0, 0.1])[which]
    names = [["ash", "birch", "cedar"][place] for place in which]
    return pl.DataFrame({"sensor": [None, *names], "value": [7.0, *values], "other": [None, *(values / 3)]})


@pytest.mark.parametrize("method", METHODS)
def test_each_group_is_fitted_on_its_own(method: Any) -> None:
    frame = readings()
    fitted = GroupNormalizer("sensor", method, n_quantiles=20).fit(frame)
    moved = fitted.transform(frame)
    assert moved.columns == frame.columns
    for name in ("ash", "birch", "cedar"):
        part = frame.filter(pl.col("sensor") == name)
        expected = Normalizer(method, n_quantiles=20).fit_transform(part.drop("sensor"))
        assert_frame_equal(moved.filter(pl.col("sensor") == name).drop("sensor"), expected, check_exact=True)
    alone = Normalizer(method, n_quantiles=20).fit(frame.drop("sensor")).transform(frame.drop("sensor")[:1])
    assert_frame_equal(moved[:1].drop("sensor"), alone, check_exact=True)
    loaded = GroupNormalizer.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert_frame_equal(loaded.transform(frame), moved, check_exact=True)
    if method in {"zscore", "minmax", "maxabs", "robust"}:
        assert_frame_equal(loaded.inverse_transform(moved), frame, rel_tol=1e-6)


def test_a_group_that_the_fit_has_not_seen_goes_by_all_rows() -> None:
    frame = readings()
    fitted = GroupNormalizer("sensor").fit(frame)
    new = pl.DataFrame({"sensor": ["oak"], "value": [3.0], "other": [1.0]})
    assert_frame_equal(fitted.transform(new).drop("sensor"), fitted.pooled_.transform(new.drop("sensor")))
    assert fitted.transform(frame.clear()).is_empty()


def test_tables_of_other_libraries_are_taken_too() -> None:
    frame = readings()
    fitted = GroupNormalizer("sensor").fit(frame.to_arrow())
    assert fitted.to_dict() == GroupNormalizer("sensor").fit(frame).to_dict()
    assert_frame_equal(
        fitted.inverse_transform(fitted.transform(frame.lazy()).to_arrow()), fitted.inverse_transform(fitted.transform(frame))
    )


def test_order_leaves_no_trace() -> None:
    frame = readings()
    state = GroupNormalizer("sensor").fit(frame).to_dict()
    assert GroupNormalizer("sensor").fit(frame.sample(fraction=1, shuffle=True, seed=3)).to_dict() == state


def pictures() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(6)
    return [random.integers(0, 256, (height, 9, 3), np.uint8) // np.array([1, 2, 255], np.uint8) for height in (4, 7, 1)]


def test_pictures_have_the_mean_and_deviation_of_their_pixels() -> None:
    fitted = tamis.PictureNormalizer()
    for picture in reversed(pictures()):
        fitted.partial_fit(picture)
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures()]).astype(np.float64)
    np.testing.assert_allclose(fitted.mean_, pixels.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(fitted.std_, pixels.std(axis=0), rtol=1e-14)
    picture = pictures()[0]
    moved = fitted.transform(picture)
    expected = (picture.astype(np.float32) - fitted.mean_.astype(np.float32)) / fitted.std_.astype(np.float32)
    np.testing.assert_array_equal(moved, expected)
    np.testing.assert_array_equal(fitted.inverse_transform(moved), picture)
    loaded = PictureNormalizer.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(loaded.tables(), fitted.tables())


def test_pictures_can_be_taken_out_again() -> None:
    first, second, third = pictures()
    kept = PictureNormalizer().fit(first).partial_fit(third)
    undone = PictureNormalizer().fit(first).partial_fit(second).partial_fit(third).add(-byte_counts(second))
    assert undone.to_dict() == kept.to_dict()
    flat = PictureNormalizer().fit(np.full((2, 2, 1), 7, np.uint8))
    assert flat.transform(np.full((1, 1), 7, np.uint8)).item() == 0
    assert math.isnan(PictureNormalizer().fit(np.empty((0, 3), np.uint8)).mean_[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GroupNormalizer("x").fit(readings()), ColumnError, "which tells the groups"),
        (lambda: GroupNormalizer("sensor").transform(readings()), ArgumentError, "not fitted yet"),
        (lambda: GroupNormalizer.from_dict({}), ArgumentError, "not a normalizer of groups"),
        (lambda: PictureNormalizer().transform(pictures()[0]), ArgumentError, "not fitted yet"),
        (lambda: PictureNormalizer.from_dict({}), ArgumentError, "not a normalizer of pictures"),
        (lambda: PictureNormalizer().fit(pictures()[0]).partial_fit(np.zeros((2, 2), np.uint8)), ArgumentError, "equal channels"),
        (lambda: PictureNormalizer().add(-byte_counts(pictures()[0])), ArgumentError, "no byte below 0"),
        (
            lambda: PictureNormalizer().add(np.full((1, 256), 0.5)),
            ArgumentError,
            "counts must be whole numbers, got float64",
        ),
        (lambda: PictureNormalizer().add("x"), ArgumentError, "counts must be whole numbers"),
        (lambda: PictureNormalizer().fit(pictures()), ArgumentError, "pixels is of type list; give a NumPy array of uint8"),  # type: ignore[arg-type]
    ],
)
def test_bad_use_says_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
