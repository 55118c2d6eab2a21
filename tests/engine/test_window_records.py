"""Windows as records: what is wrong with them is found, and they are normalised by window, by position and by channel."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.errors import ColumnError, RecipeError
from tamis.normalizer import Normalizer, WindowNormalizer
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COUNT, LENGTH = 60, 48
QUIET: dict[str, Any] = {"near_duplicates.enabled": False}


def signals() -> NDArray[np.float64]:
    random = np.random.default_rng(4)
    return np.cumsum(random.standard_normal((COUNT, LENGTH)), axis=1) + random.normal(0, 20, (COUNT, 1))


PLANTED = {0: "empty", 7: "gaps", 11: "infinite", 23: "constant", 31: "clipped", 47: "odd_length"}


def broken() -> list[Any]:
    windows: list[Any] = signals().tolist()
    windows[0] = [math.nan] * LENGTH
    windows[7][5] = None
    windows[7][6] = math.nan
    windows[11][3] = -math.inf
    windows[23] = [4.25] * LENGTH
    top = float(np.quantile(windows[31], 0.8))
    windows[31] = [min(sample, top) for sample in windows[31]]
    windows[47] = windows[47][:-1]
    windows[50] = None
    return windows


def run(tmp_path: Path, frame: pl.DataFrame, **settings: Any) -> tamis.Result:
    (tmp_path / "in").mkdir()
    frame.write_parquet(tmp_path / "in" / "windows.parquet", row_group_size=17)
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return tamis.clean(tmp_path / "in", tmp_path / "out", settings=QUIET | named, jobs=1, batch_size=7)


def frame_of(windows: list[Any], dtype: Any = pl.Float64) -> pl.DataFrame:
    return pl.DataFrame({"number": range(len(windows)), "signal": windows}, schema_overrides={"signal": pl.List(dtype)})


def test_each_fault_is_noted_and_sound_windows_are_not(tmp_path: Path) -> None:
    coarse = [[float(round(sample)) for sample in window] for window in (signals() / 4).tolist()]  # steps, but no rail
    result = run(tmp_path, frame_of(broken()).with_columns(coarse=pl.Series(coarse)), windows__length=LENGTH)
    every = pl.read_parquet(tmp_path / "out" / "notes.parquet").filter(pl.col("check") == "windows")
    assert len(every.filter(pl.col("column") == "coarse")) <= 0.05 * COUNT
    notes = every.filter(pl.col("column") == "signal")
    found = {(int(record.rsplit("#", 1)[1]), reason) for record, reason in notes.select("record", "reason").iter_rows()}
    assert found == {(row, f"{issue}_window") for row, issue in PLANTED.items()}
    assert result.rejected.collect().filter(pl.col("check") == "windows").is_empty()


def test_issues_hold_rows_back_where_wanted_and_limits_are_kept(tmp_path: Path) -> None:
    settings = {"windows__reject": ["gaps", "clipped"], "windows__issues": ["gaps", "clipped"], "windows__max_missing": 0.05}
    result = run(tmp_path, frame_of(broken()), **settings)
    rejected = result.rejected.collect().filter(pl.col("check") == "windows")
    assert rejected["reason"].to_list() == ["clipped_window"]
    assert "of 48 samples stand still at the window's ends" in rejected["detail"][0]


def expected(per: str, method: Any, windows: NDArray[Any]) -> NDArray[Any]:
    if per == "position":
        return Normalizer(method).fit_transform(windows)
    if per == "channel":
        return Normalizer(method).fit_transform(windows.reshape(-1)).reshape(windows.shape)
    return np.array([Normalizer(method).fit_transform(window) for window in windows])


@pytest.mark.parametrize("per", ["window", "position", "channel"])
@pytest.mark.parametrize(
    ("method", "dtype"), [("zscore", pl.Float64), ("minmax", pl.Float32), ("maxabs", pl.Float64), ("robust", pl.Float32)]
)
@pytest.mark.parametrize("fixed", [False, True])
def test_windows_are_brought_to_a_scale(per: Any, method: Any, dtype: Any, fixed: bool) -> None:
    if (per, method) == ("window", "robust"):
        with pytest.raises(ArgumentError, match="per = window goes with zscore, minmax, maxabs, got method 'robust'"):
            WindowNormalizer(per, method)
        return
    values = signals().astype(np.float32 if dtype == pl.Float32 else np.float64)
    frame = frame_of(values.tolist(), dtype).select("signal")
    if fixed:
        frame = frame.with_columns(pl.col("signal").cast(pl.Array(dtype, LENGTH)))
    fitted = WindowNormalizer(per, method).fit(frame)
    moved = fitted.transform(frame)
    assert moved.schema == frame.schema
    np.testing.assert_allclose(np.array(moved["signal"].to_list()), expected(per, method, values), rtol=1e-5, atol=1e-6)
    loaded = WindowNormalizer.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert_frame_equal(loaded.transform(frame), moved, check_exact=True)


@pytest.mark.parametrize("per", ["window", "position", "channel"])
def test_null_windows_and_samples_stay_null(per: Any) -> None:
    frame = pl.DataFrame({"signal": [[1.0, 2.0, None], None, [3.0, math.nan, 5.0], [2.0, 2.0, 2.0]]})
    moved = WindowNormalizer(per, "minmax").fit(frame).transform(frame)["signal"].to_list()
    assert moved[1] is None
    assert moved[0][2] is None
    assert math.isnan(moved[2][1])
    assert moved[0][0] == 0


@pytest.mark.parametrize("per", ["window", "position", "channel"])
def test_a_run_normalises_windows_and_saves_how(per: Any, tmp_path: Path) -> None:
    windows = broken()
    settings = {
        "normalize__method": "zscore",
        "normalize__windows": per,
        "normalize__ignore": ["number"],
        "exact_duplicates__enabled": False,
    }
    more = {"windows__reject": ["empty", "infinite", "constant"], "normalize__window_length": LENGTH}
    result = run(tmp_path, frame_of(windows), **settings, **more)
    gone = {"position": [0, 11, 23, 47], "window": [0, 11, 23], "channel": [0, 11, 23]}[per]
    rejected = result.rejected.collect()
    assert sorted(int(record.rsplit("#", 1)[1]) for record in rejected["record"]) == gone
    assert (per == "position") == ("odd_length_window" in rejected["reason"].to_list())
    kept = frame_of([window for row, window in enumerate(windows) if row not in gone])
    moved = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "*" / "*.parquet")
    fitted = WindowNormalizer(per).fit(kept.select("signal"))
    assert_frame_equal(moved.select("signal"), fitted.transform(kept.select("signal")), check_exact=True)
    [saved] = json.loads((tmp_path / "out" / "scaler.json").read_text()).values()
    loaded = WindowNormalizer.from_dict(saved["normalize"]["windows"])
    assert_frame_equal(loaded.transform(kept.select("signal")), moved.select("signal"), check_exact=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: WindowNormalizer("row"), ArgumentError, "per must be window, position or channel"),  # type: ignore[arg-type]
        (lambda: WindowNormalizer().fit(pl.DataFrame({"a": [1.0]})), ColumnError, "'a' is Float64, which holds no windows"),
        (lambda: WindowNormalizer("position").fit(frame_of([[1.0], [1.0, 2.0]]).select("signal")), ColumnError, "windows of 1, 2 samples"),
        (lambda: WindowNormalizer().transform(pl.DataFrame()), ArgumentError, "not fitted yet"),
        (lambda: WindowNormalizer().to_dict(), ArgumentError, "not fitted yet"),
        (
            lambda: WindowNormalizer().fit(pl.DataFrame()).transform(frame_of([[1.0]]).select("signal")),
            ColumnError,
            "'signal' was not fitted",
        ),
        (lambda: WindowNormalizer.from_dict({}), ArgumentError, "not a normalizer of windows"),
    ],
)
def test_bad_use_says_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_fit_decides_how_long_windows_are() -> None:
    fitted = WindowNormalizer("position").fit(frame_of([[1.0, 2.0]]).select("signal"))
    with pytest.raises(ColumnError, match="all must have the 2 of the fit"):
        fitted.transform(frame_of([[1.0]]).select("signal"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalize.method": "robust", "normalize.windows": "window"}, "per = window goes with"),
        ({"normalize.method": "zscore", "normalize.windows": "position"}, "needs window_length"),
        ({"windows.issues": ["clip"]}, "windows.issues"),
    ],
)
def test_a_senseless_recipe_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        tamis.Recipe.load(None, settings=settings)
