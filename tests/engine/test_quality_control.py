"""The check `quality_control` in whole runs: what it notes, changes and rejects, whatever the cut of the work."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.errors import ColumnError, RecipeError
from tamis.normalizer import Normalizer
from tamis.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

QUIET: dict[str, Any] = {
    "near_duplicates.enabled": False,
    "formats.missing_codes": [],
    "quality_control.enabled": True,
    "quality_control.limits": [{"column": "level", "suspect_high": 5.0, "fail_high": 9.0}, {"sensor": "south", "gap": 90.0}],
}


def table(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    level = np.round(rng.normal(2, 0.3, rows), 3)
    level[[10, 20, 21]] = 7.0, 12.0, 7.5
    start = datetime(2024, 5, 1)
    minutes = [int(row // 2) + (5 if row > 100 else 0) for row in range(rows)]
    return pl.DataFrame(
        {
            "time": [start + timedelta(minutes=minute) for minute in minutes],
            "station": ["north", "south"] * (rows // 2),
            "level": pl.Series(level).set(pl.Series(np.arange(rows) == 40), None),
            "volts": pl.Series(rng.normal(12, 0.1, rows), dtype=pl.Float32),
            "number": pl.int_range(rows, eager=True),
        }
    )


def run(folder: Path, frame: pl.DataFrame, more: dict[str, Any], **arguments: Any) -> tamis.Result:
    source = folder / "in"
    source.mkdir(exist_ok=True)
    half = len(frame) // 2
    frame[:half].write_parquet(source / "a.parquet")
    frame[half:].write_parquet(source / "b.parquet")
    return tamis.clean(source, folder / "out", settings={**QUIET, **more}, jobs=1, overwrite=True, **arguments)


def test_flagged_readings_are_noted_and_otherwise_kept(tmp_path: Path) -> None:
    frame = table()
    result = run(tmp_path, frame, {})
    assert_frame_equal(result.kept.collect().sort("number"), frame)
    notes = result.notes.filter(pl.col("check") == "quality_control").select("record", "reason", "detail", "column", "value").collect()
    range_ = "outside of its range (suspect_high 5, fail_high 9)"
    gap = "2024-05-01 00:55:00 south: comes too long after the reading before it (gap 90 s), suspect"
    assert notes.rows() == [
        ("a.parquet#10", "range", f"2024-05-01 00:05:00 north: {range_}, suspect", "level", "7.0"),
        ("a.parquet#20", "range", f"2024-05-01 00:10:00 north: {range_}, fails", "level", "12.0"),
        ("a.parquet#21", "range", f"2024-05-01 00:10:00 south: {range_}, suspect", "level", "7.5"),
        ("a.parquet#101", "gap", gap, "time", "2024-05-01 00:55:00"),
    ]
    manifest = result.manifest
    counts = {"series": 4, "readings": 480, "suspect": 4, "fail": 1, "missing": 1, "not_evaluated": 2}
    assert manifest["checks"]["quality_control"] == counts
    (one,) = manifest["tables"].values()
    assert "quality control: time time; sensor station; readings level, volts" in one["decisions"]
    series = pl.read_parquet(tmp_path / "out" / "series.parquet")
    report = (tmp_path / "out" / "report.html").read_text()
    assert "4 series of readings were tested" in report
    assert '<tr><th scope="row">north</th><td>level</td>' in report
    assert series.select("sensor", "column", "readings", "range", "gap", "limits").rows() == [
        ("north", "level", 120, 2, 0, "suspect_high 5, fail_high 9"),
        ("north", "volts", 120, 0, 0, ""),
        ("south", "level", 120, 1, 1, "suspect_high 5, fail_high 9, gap 90 s"),
        ("south", "volts", 120, 0, 1, "gap 90 s"),
    ]


def test_what_is_done_follows_the_recipe(tmp_path: Path) -> None:
    frame = table()
    actions = {"range": "null", "missing": "impute", "gap": "reject"}
    more = {"quality_control.on_flag": actions, "quality_control.impute": "linear", "quality_control.flags": True}
    result = run(tmp_path, frame, more)
    kept = result.kept.collect().sort("number")
    assert sorted(set(range(240)) - set(kept["number"].to_list())) == [101]
    assert result.rejected.select("record", "check", "reason").collect().rows() == [("a.parquet#101", "quality_control", "gap")]
    north = frame["level"]
    changed = kept.filter(pl.col("number").is_in([10, 20, 21, 40])).select("level", "level__imputed", "level__flag", "level__qc")
    expected = [
        (None, False, 3, 4),
        (None, False, 4, 4 | 4 << 16),
        (None, False, 3, 4),
        ((north[38] + north[42]) / 2, True, 9, 1 | 1 << 16),
    ]
    assert changed.rows() == expected
    assert kept["volts"].dtype == pl.Float32
    others = kept.filter(~pl.col("number").is_in([10, 20, 21, 40, 101])).select(frame.columns)
    assert_frame_equal(others, frame.filter(~pl.col("number").is_in([10, 20, 21, 40, 101])))
    (one,) = result.manifest["tables"].values()
    assert {column["name"]: column["nulls"].get("quality_control") for column in one["columns"]}["level"] == 3
    told = result.notes.filter(pl.col("record") == "a.parquet#20", pl.col("reason") == "range").collect()
    assert told["detail"].to_list() == ["2024-05-01 00:10:00 north: outside of its range (suspect_high 5, fail_high 9), fails; set to null"]


def outcome(result: tamis.Result) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    named = pl.col("record")
    findings = pl.concat([result.notes.collect(), result.rejected.collect()]).filter(pl.col("reason") != "reversed")
    told = findings.select(named, "reason", "severity", "detail").sort(pl.all())
    return result.kept.collect(), told, pl.read_parquet(result.out / "series.parquet")


EVERYTHING = {
    "quality_control.learn": ["range", "spike", "rate", "flat", "gap", "jitter", "hampel"],
    "quality_control.on_flag": {"range": "impute", "spike": "null", "hampel": "null", "missing": "impute"},
    "quality_control.impute": "seasonal",
    "quality_control.flags": True,
    "quality_control.sigmas": 3.0,
    "normalize.method": "zscore",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tamis.Result:
    return run(tmp_path_factory.mktemp("plain"), table(120), EVERYTHING)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_neither_batches_nor_shards_change_an_answer(tmp_path: Path, plain: tamis.Result, size: int) -> None:
    cut = run(tmp_path, table(120), {**EVERYTHING, "shards.rows": max(size, 25)}, batch_size=size)
    for one, other in zip(outcome(plain), outcome(cut), strict=True):
        assert_frame_equal(one, other)


def test_shuffled_rows_give_the_same_cells(tmp_path: Path, plain: tamis.Result) -> None:
    mixed = run(tmp_path, table(120).sample(fraction=1.0, shuffle=True, seed=3), EVERYTHING)
    ignored = 1 << 9  # that a row stands below a later one is told of the order of the rows
    bits = (pl.col("level__qc") & ~ignored).alias("level__qc"), (pl.col("volts__qc") & ~ignored).alias("volts__qc")
    one, other = (result.kept.collect().sort("number").drop("level__flag", "volts__flag").with_columns(bits) for result in (plain, mixed))
    assert_frame_equal(one, other)
    same = ["sensor", "column", "limits", "range", "spike", "hampel"]
    left, right = (pl.read_parquet(result.out / "series.parquet", columns=same) for result in (plain, mixed))
    assert_frame_equal(left, right)


def test_scalers_are_fitted_to_measured_values_alone(tmp_path: Path) -> None:
    frame = table().drop("volts", "number")
    more = {
        "quality_control.on_flag": {"range": "impute", "missing": "impute"},
        "quality_control.impute": "median",
        "normalize.method": "minmax",
    }
    result = run(tmp_path, frame, more)
    measured = frame["level"].filter((frame["level"] <= 5.0).fill_null(value=False))
    (scaler,) = json.loads((tmp_path / "out" / "scaler.json").read_text()).values()
    fitted = Normalizer.from_dict(scaler["normalize"])
    assert fitted.to_dict() == Normalizer("minmax").fit(pl.DataFrame({"level": measured})).to_dict()
    kept = result.kept.collect()
    assert kept["level"].max() == 1.0
    assert kept["level"].min() == 0.0
    assert kept["level__imputed"].sum() == 3  # the row without any value is rejected by `missing`


def test_a_cell_that_missing_fills_is_marked_beside_those_that_were_imputed_before(tmp_path: Path) -> None:
    more = {
        "quality_control.on_flag": {"range": "impute"},
        "quality_control.impute": "forward",
        "missing.impute": "constant",
        "missing.columns": ["level"],
    }
    kept = run(tmp_path, table(), more).kept.collect().sort("number")
    assert kept.filter(pl.col("level__imputed"))["number"].to_list() == [10, 20, 21, 40]


def test_rows_without_time_and_tables_without_times_are_passed_over_with_a_note(tmp_path: Path) -> None:
    frame = table().with_columns(pl.when(pl.col("number") == 5).then(None).otherwise("time").alias("time"))
    (tmp_path / "in").mkdir()
    frame.select("station", "level").write_parquet(tmp_path / "in" / "c.parquet")
    result = run(tmp_path, frame, {"quality_control.flags": True, "exact_duplicates.enabled": False})
    noted = result.notes.filter(pl.col("reason") == "no_time").select("record", "detail").collect()
    assert noted.rows() == [("a.parquet#5", "without a time, its readings were not evaluated")]
    tables = result.manifest["tables"]
    assert "quality control: passed over, there is no column of times, or none of numbers beside it" in tables["c"]["decisions"]
    (kept,) = (rows.collect() for name, rows in result.tables.items() if name != "c")
    assert kept.filter(pl.col("number") == 5)["level__flag"].to_list() == [2]


def test_thresholds_of_a_file_become_part_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "limits.csv").write_text("sensor,column,fail_high,gap\nnorth,level,9,\n,,,60\n")
    keys = {"enabled": True, "thresholds": str(tmp_path / "limits.csv"), "limits": [{"rate": 3}]}
    settings = {"quality_control": keys}
    recipe = Recipe.load(settings=settings)
    (tmp_path / "limits.csv").unlink()
    expected = [{"rate": 3.0}, {"sensor": "north", "column": "level", "fail_high": 9.0}, {"gap": 60.0}]
    assert recipe.canonical()["quality_control"]["limits"] == expected
    assert Recipe.from_tree(recipe.canonical()).digest() == recipe.digest()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"limits": [{"rats": 1}]}, "unknown key 'rats'. Did you mean 'rate'"),
        ({"limits": [{"rate": "x"}]}, "rate = 'x', which is no number"),
        ({"thresholds": "none.csv"}, "'none.csv' cannot be read"),
        ({"on_flag": {"range": "impute"}}, 'on_flag imputes, but impute is "none"'),
        ({"on_flag": {"rnage": "null"}}, r"quality_control\.on_flag\.rnage"),
    ],
)
def test_a_wrong_recipe_is_told(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.load(settings={"quality_control": {"enabled": True} | settings})


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match=r"quality_control\.columns names the column 'lvel'"):
        run(tmp_path, table(), {"quality_control.columns": ["lvel"]})


def test_marks_do_not_take_the_place_of_columns(tmp_path: Path) -> None:
    frame = table().with_columns(pl.lit("mine").alias("level__flag"))
    kept = run(tmp_path, frame, {"quality_control.flags": True}).kept.collect()
    assert set(kept["level__flag"]) == {"mine"}
    assert set(kept["level__flag_"]) == {1, 3, 4, 9}
