"""`tamis.quality_control`: flags of frames and files, whatever the order of rows and the cut of the files."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.api import tables
from tamis.errors import ColumnError, OutputError
from tamis.series import Roles
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

LIMITS: list[dict[str, Any]] = [
    {"column": "level", "fail_high": 9.0, "suspect_high": 5.0},
    {"gap": 90.0},
    {"sensor": "north", "column": "flow", "spike": 3.0},
]


def table(rows: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    start = datetime(2024, 5, 1)
    minutes = np.arange(rows) // 2
    level = rng.normal(2, 0.3, rows)
    level[[10, 20]] = 7.0, 12.0
    flow = rng.normal(0, 0.3, rows)
    flow[[30, 31]] = 8.0
    return pl.DataFrame(
        {
            "time": [start + timedelta(minutes=int(minute) + (5 if minute > 100 else 0)) for minute in minutes],
            "station": ["north", "south"] * (rows // 2),
            "level": pl.Series(level).set(pl.Series(np.arange(rows) == 40), None),
            "flow": flow,
        }
    )


def test_flags_limits_and_counts() -> None:
    result = tamis.quality_control(table(), limits=LIMITS, learn=False)
    assert result.roles == {"table": Roles("time", ("station",), ("level", "flow"))}
    flags = result.named().collect()
    assert len(flags) == 600
    told = flags.filter(pl.col("tests").list.len() > 0).select("row", "sensor", "column", "flag", "tests").sort("column", "row")
    expected = [
        (28, "north", "flow", 3, ["spike"]),
        (30, "north", "flow", 3, ["spike"]),
        (32, "north", "flow", 3, ["spike"]),
        (202, "north", "flow", 3, ["gap"]),
        (203, "south", "flow", 3, ["gap"]),
        (10, "north", "level", 3, ["range"]),
        (20, "north", "level", 4, ["range:fail"]),
        (40, "north", "level", 9, ["missing:fail"]),
        (202, "north", "level", 3, ["gap"]),
        (203, "south", "level", 3, ["gap"]),
    ]
    assert told.rows() == expected
    summary = result.summary.row(by_predicate=(pl.col("sensor") == "north") & (pl.col("column") == "level"), named=True)
    assert (summary["readings"], summary["suspect"], summary["fail"], summary["missing"], summary["range"]) == (150, 2, 1, 1, 2)
    assert result.tests.filter(pl.col("test") == "range").row(0) == ("range", 2, 1)
    assert result.limits.filter(pl.col("limit") == "spike").rows() == [("north", "flow", "spike", 3.0, False)]
    assert repr(result) == "QualityControl(4 series, 600 readings: 588 good, 2 not evaluated, 8 suspect, 1 fail, 1 missing)"


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 4096])
def test_neither_order_nor_parts_of_the_rows_change_a_flag(monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int) -> None:
    frame = table()
    whole = tamis.quality_control(frame, limits=LIMITS)
    monkeypatch.setattr(tables, "ROWS_AT_A_TIME", rows_at_a_time)
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = tamis.quality_control(frame[order].lazy(), limits=LIMITS)
    named = shuffled.flags.collect().with_columns(pl.col("row").replace_strict(list(range(len(frame))), order.tolist()))
    reversed_ = pl.col("bits") & ~(1 << 9)  # that a row stands below a later one is told of the order of the rows
    same = ["row", "sensor", "column", "time", "value"]
    assert_frame_equal(named.select(*same, reversed_), whole.flags.collect().select(*same, reversed_))
    assert_frame_equal(shuffled.limits, whole.limits)


def test_frames_files_and_arrow_tables_give_the_same(tmp_path: Path) -> None:
    frame = table()
    expected = tamis.quality_control(frame, limits=LIMITS)
    assert_frame_equal(tamis.quality_control(frame.to_arrow(), limits=LIMITS).flags.collect(), expected.flags.collect())
    (tmp_path / "in").mkdir()
    frame[:120].write_parquet(tmp_path / "in" / "a.parquet")
    frame[120:].write_csv(tmp_path / "in" / "b.csv")
    frame.select("station", "level").write_parquet(tmp_path / "in" / "timeless.parquet")
    got = tamis.quality_control(tmp_path / "in", limits=LIMITS, out=tmp_path / "flags.parquet")
    flags = pl.read_parquet(tmp_path / "flags.parquet")
    assert_frame_equal(
        flags.select("sensor", "column", "flag", "bits"), expected.flags.collect().select("sensor", "column", "flag", "bits")
    )
    row = flags["row"] + pl.Series(np.where(flags["file"] == "b.csv", 120, 0))
    assert row.to_list() == expected.flags.collect()["row"].to_list()
    assert_frame_equal(got.summary, expected.summary)
    (note,) = got.notes
    assert note.startswith("timeless: passed over, there is no column of times, or none of numbers beside it; the columns are: station")


def test_each_table_that_is_passed_over_has_its_own_reason(tmp_path: Path) -> None:
    table().write_parquet(tmp_path / "c.parquet")
    table().rename({"level": "depth"}).write_parquet(tmp_path / "a.parquet")
    table().select("station", "level").write_parquet(tmp_path / "b.parquet")
    found = tamis.quality_control(tmp_path, values=["level"])
    assert found.roles.keys() == {"c"}
    of_a, of_b = found.notes
    assert of_a.startswith("a: passed over, there is no column 'level'.")
    assert of_b.startswith("b: passed over, there is no column of times, or none of numbers beside it")


def test_thresholds_come_from_a_file_or_a_frame(tmp_path: Path) -> None:
    rows = pl.DataFrame({"sensor": [None, "south"], "column": ["level", None], "fail_high": [9.0, None], "gap": [None, 90.0]})
    rows.write_csv(tmp_path / "limits.csv")
    for given in (tmp_path / "limits.csv", rows):
        result = tamis.quality_control(table(), thresholds=given, learn=False)
        assert result.tests.filter(pl.col("suspect") > 0).rows() == [("range", 1, 1), ("gap", 2, 0)]


def test_rows_without_a_time_are_not_evaluated() -> None:
    frame = table()[:40].with_columns(pl.when(pl.int_range(40) == 6).then(None).otherwise("time").alias("time"))
    result = tamis.quality_control(frame, limits={"fail_high": 1.0}, learn=False)
    assert result.flags.collect().filter(pl.col("row") == 6)["flag"].to_list() == [2, 2]
    assert result.notes == ("1 row has no time: the readings there were not evaluated",)


def test_nan_and_null_and_sentinels_are_missing() -> None:
    frame = table()[:40].with_columns(pl.when(pl.int_range(40) == 8).then(float("nan")).otherwise("flow").alias("flow"))
    frame = frame.with_columns(pl.when(pl.int_range(40) == 9).then(-9999.0).otherwise("flow").alias("flow"))
    result = tamis.quality_control(frame, sentinels=[-9999], values=["flow"], learn=False)
    missing = result.named().filter(pl.col("flag") == 9).select("row", "tests").collect().sort("row")
    assert missing.rows() == [(8, ["missing:fail"]), (9, ["missing:fail", "sentinel:fail"])]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"data": pl.DataFrame({"a": [1.0]})}, ColumnError, r"no column of times.*the columns are: a \(Float64\); name them with time="),
        ({"data": table()[:4], "time": "tiem"}, ColumnError, "no column 'tiem'. Did you mean 'time'"),
        ({"data": table()[:4], "limits": {"rates": 1}}, ArgumentError, "unknown key 'rates'. Did you mean 'rate'"),
        ({"data": table()[:4], "learn": ["range", "drift"]}, ArgumentError, "learn names 'drift'"),
        ({"data": 5}, ArgumentError, "data is of type int; give a polars, pandas or pyarrow table"),
        ({"data": table()[:4], "thresholds": "none.csv"}, ArgumentError, "'none.csv' cannot be read"),
    ],
)
def test_wrong_arguments_are_told_with_the_remedy(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tamis.quality_control(**arguments)


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the flags cannot be written"):
        tamis.quality_control(table()[:4], out=tmp_path / "file" / "flags.parquet")


def test_flags_of_a_table_without_sensors_are_written(tmp_path: Path) -> None:
    north = table()[::2].drop("station")
    written = tamis.quality_control(north, out=tmp_path / "flags.parquet").flags.collect()
    assert_frame_equal(written, tamis.quality_control(north).flags.collect())


def test_a_table_without_rows_has_no_flags() -> None:
    result = tamis.quality_control(table()[:0])
    assert result.flags.collect().is_empty()
    assert result.summary.is_empty()
