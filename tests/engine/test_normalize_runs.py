from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.errors import RecipeError
from tamis.normalizer import GroupNormalizer, Normalizer

if TYPE_CHECKING:
    from pathlib import Path

QUIET: dict[str, Any] = {"near_duplicates.enabled": False, "exact_duplicates.enabled": False, "formats.missing_codes": []}


def readings(rows: int = 900) -> pl.DataFrame:
    random = np.random.default_rng(8)
    which = random.integers(0, 3, rows)
    level = np.array([0.0, 1e5, -300.0])[which]
    return pl.DataFrame(
        {
            "sensor": np.array(["ash", "birch", "cedar"])[which],
            "part": np.where(random.random(rows) < 0.7, "fit", "probe"),
            "value": level + random.lognormal(size=rows),
            "short": (level + random.standard_normal(rows)).astype(np.float32),
        }
    ).with_columns(pl.when(pl.int_range(rows) % 50 == 7).then(None).otherwise(pl.col("value")).alias("value"))


@pytest.mark.parametrize("method", ["robust", "mad", "quantile", "yeo_johnson"])
def test_a_run_fits_to_the_training_rows_of_each_sensor(method: Any, tmp_path: Path) -> None:
    frame = readings()
    (tmp_path / "in").mkdir()
    frame.write_parquet(tmp_path / "in" / "readings.parquet")
    settings = {"normalize.method": method, "normalize.by": "sensor", "normalize.split_column": "part", "normalize.train": "fit"}
    small = {"shards.rows": 250, "normalize.n_quantiles": 30}
    tamis.clean(tmp_path / "in", tmp_path / "out", settings={**QUIET, **settings, **small}, jobs=1, batch_size=101)

    training = frame.filter(pl.col("part") == "fit").drop("part")
    expected = GroupNormalizer("sensor", method, n_quantiles=30).fit(training)
    moved = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "*" / "*.parquet")
    assert_frame_equal(moved.drop("part"), expected.transform(frame.drop("part")), check_exact=True)

    [fitted] = json.loads((tmp_path / "out" / "scaler.json").read_text()).values()
    assert fitted["normalize"]["fitted_to"] == {"column": "part", "value": "fit"}
    saved = GroupNormalizer.from_dict(fitted["normalize"])
    assert saved.to_dict() == expected.to_dict()
    assert "normalize" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_clips_and_keeps_the_type(tmp_path: Path) -> None:
    frame = readings(200).drop("sensor", "part")
    (tmp_path / "in").mkdir()
    frame.write_parquet(tmp_path / "in" / "readings.parquet")
    settings = {"normalize.method": "clip", "normalize.limits": [0.0, float("inf")]}
    tamis.clean(tmp_path / "in", tmp_path / "out", settings={**QUIET, **settings}, jobs=1)
    moved = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "*" / "*.parquet")
    assert_frame_equal(moved, Normalizer("clip", limits=(0, None)).fit(frame).transform(frame))
    assert moved.schema["short"] == pl.Float32


def test_more_sensors_than_memory_is_meant_for_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    readings(50).write_parquet(tmp_path / "in" / "readings.parquet")
    settings = {**QUIET, "normalize.method": "zscore", "normalize.by": "sensor", "normalize.max_groups": 2}
    with pytest.raises(RecipeError, match=r"'sensor' parts the rows into more than 2 groups.*raise max_groups"):
        tamis.clean(tmp_path / "in", tmp_path / "out", settings=settings, jobs=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalize.limits": [1.0]}, "limits must be two numbers"),
        ({"normalize.method": "clip", "normalize.limits": [2.0, 1.0]}, "low <= high"),
        ({"normalize.method": "robust", "normalize.quantile_range": [75, 25]}, "two ascending percentages"),
        ({"normalize.by": ["a", "b"]}, "normalize.by"),
    ],
)
def test_a_senseless_recipe_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        tamis.Recipe.load(None, settings=settings)
