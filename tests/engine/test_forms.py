"""Tables of readings in long and wide form: every kept reading is there once, whatever the shards, ranges and order of rows were."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from running import outputs

import tamis
from tamis.errors import ColumnError, InvariantError, RecipeError
from tamis.pipeline import wide
from tamis.pipeline.forms import form_of
from tamis.pipeline.ledger import balance_rows
from tamis.pipeline.plan import Plan, Shard
from tamis.progress import Silent
from tamis.recipe import Recipe
from tamis.sources.rows import free_names
from tamis.sources.schema import ColumnPlan, TableGroup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tamis.pipeline.forms import Form

NOON = datetime(2024, 5, 1, 12)
KINDS: dict[Any, Any] = {pl.String: "text", pl.Boolean: "boolean", pl.Datetime: "datetime", pl.Date: "datetime"}
QUIET: dict[str, Any] = {"near_duplicates.enabled": False, "exact_duplicates.enabled": False, "formats.missing_codes": []}


def group(frame: pl.DataFrame, files: Sequence[str] = ("a.parquet",)) -> TableGroup:
    columns = tuple(ColumnPlan(name, dtype, KINDS.get(dtype.base_type(), "number")) for name, dtype in frame.schema.items())
    return TableGroup("g", columns, dict.fromkeys(files, ()))


def form(frame: pl.DataFrame, files: Sequence[str] = ("a.parquet",), **options: Any) -> Form | None:
    settings = {f"output.{key}": value for key, value in {"tables": "wide", **options}.items()}
    return form_of(Recipe.load(None, settings=settings).output, group(frame, files))[0]


def long(frame: pl.DataFrame, source: str = "a.parquet", files: Sequence[str] = ("a.parquet",), **options: Any) -> pl.DataFrame:
    chosen = form(frame, files, tables="long", **options)
    assert chosen is not None
    return pl.concat(chosen.long(chosen.keyed(frame, frame, source)))


def widened(shards: Sequence[pl.DataFrame], folder: Path, **options: Any) -> tuple[pl.DataFrame, list[wide.Range]]:
    """Write shards as runs, and return all parts that are made of them, and the ranges."""
    recipe = Recipe.load(None, settings={"output.tables": "wide", **{f"output.{key}": value for key, value in options.items()}})
    tables = {"g": group(shards[0])}
    starts = np.cumsum([0, *map(len, shards)]).tolist()
    cut = tuple(Shard(i, "table", starts[i], len(frame), (), 0, len(frame), "g", i) for i, frame in enumerate(shards))
    plan = Plan("", str(folder), recipe, "cpu", None, False, cut, tables, {}, ())
    chosen, _ = form_of(recipe.output, tables["g"])
    assert chosen is not None
    for shard, frame in zip(cut, shards, strict=True):
        wide.write_run(plan, shard, chosen.keyed(frame, frame, "a.parquet"), len(shards))
    todo = wide.tasks(plan, {shard.name: shard.records for shard in cut})
    for task in todo:
        wide.write_range(plan, task.argument)
    assert not wide.tasks(plan, {shard.name: shard.records for shard in cut})
    told = wide.read_written(plan, "g")
    assert sum(part["records"] for part in told) == starts[-1]
    paths = [folder / output["path"] for part in told for output in part["outputs"]]
    assert paths == sorted(folder.glob("clean/tables/g/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths]), [task.argument for task in todo]


def expected(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the wide form of columns time, sensor, value and value__mark, made row by row."""
    rows: dict[tuple[bool, Any, int], dict[str, Any]] = defaultdict(dict)
    seen: Counter[Any] = Counter()
    for number, (time, sensor, value, mark) in enumerate(frame.rows()):
        turn = number if time is None else seen[time, sensor]
        seen[time, sensor] += 1
        name = sensor or "unnamed"
        rows[time is None, time or NOON, turn] |= {"time": time, f"{name}/value": value, f"{name}/value__mark": mark}
    return [rows[key] for key in sorted(rows)]


READING = st.tuples(
    st.one_of(st.none(), st.integers(0, 6)),
    st.sampled_from(["A", "B", None]),
    st.one_of(st.none(), st.floats(allow_nan=False)),
    st.sampled_from([True, False, None]),
)


@settings(max_examples=60)
@given(st.lists(READING, max_size=60), st.lists(st.integers(0, 60), max_size=4), st.sampled_from([1, 100, 12_000_000]))
def test_wide_form_is_that_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, readings: list[Any], cuts: list[int], size: int
) -> None:
    schema: dict[str, Any] = {"time": pl.Datetime("us"), "sensor": pl.String, "value": pl.Float64, "value__mark": pl.Boolean}
    rows = [(None if time is None else NOON + timedelta(seconds=time), *others) for time, *others in readings]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    shards = [frame[start:stop] for start, stop in pairwise(bounds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide, "RANGE_BYTES", size)
        patch.setattr(wide, "LEAST_BLOCK", 1)
        patch.setattr(wide, "CELLS", max(1, size // 100))
        table, ranges = widened(shards, tmp_path_factory.mktemp("wide"))
    definition = expected(frame)
    names = dict.fromkeys(name for row in definition for name in row if name != "time")
    assert set(table.columns) == {"time", *names}
    if not any(one.alone and one.high != wide.NO_TIME for one in ranges):
        wanted = [{name: row.get(name) for name in table.columns} for row in definition]
        assert table.rows(named=True) == wanted
    assert_frame_equal(table, table.sort("time", nulls_last=True, maintain_order=True))
    for name in names:
        held = Counter((row["time"], row[name]) for row in definition if row.get(name) is not None)
        assert Counter(table.select("time", name).drop_nulls(name).rows()) == held


def test_a_time_with_more_rows_than_fit_is_turned_a_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "RANGE_BYTES", 4_096)
    times = [NOON - timedelta(days=1)] * 2 + [NOON] * 5_000 + [NOON + timedelta(days=1)] * 2
    frame = pl.DataFrame({"time": times, "sensor": ["A", "B"] * 2_502, "value": range(5_004)})
    table, ranges = widened([frame[:1_111], frame[1_111:]], tmp_path)
    assert [one.alone for one in ranges].count(True) == 1
    assert len(table) == 2_502  # both sensors take turns, so that every row is full
    assert table["A/value"].to_list() == list(range(0, 5_004, 2))
    assert table["B/value"].to_list() == list(range(1, 5_004, 2))


def test_ranges_of_shuffled_shards_are_small_and_read_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "RANGE_BYTES", 20_000)
    random = np.random.default_rng(3)
    moment = pl.Series(random.permutation(6_000) * 1_000_000).cast(pl.Datetime("us"))
    frame = pl.DataFrame({"time": moment, "station": ["A"] * 6_000, "value": random.normal(size=6_000)})
    table, ranges = widened([frame[start : start + 500] for start in range(0, 6_000, 500)], tmp_path)
    assert_frame_equal(table, frame.sort("time").select("time", pl.col("value").alias("A/value")))
    assert len(ranges) > 5
    sorted_shards = [frame.sort("time")[start : start + 500] for start in range(0, 6_000, 500)]
    again, ranges = widened(sorted_shards, tmp_path / "sorted")
    assert_frame_equal(again, table)
    assert max(len(one.runs) for one in ranges) <= 6  # of twelve


def test_more_columns_than_can_stand_side_by_side_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"time": [NOON] * 5_000, "sensor": [f"s{i}" for i in range(5_000)], "value": [1.0] * 5_000})
    with pytest.raises(RecipeError, match=r"5000 or more sensors.*more than 4096 columns.*output\.tables = \"long\""):
        widened([frame], tmp_path)
    with pytest.raises(RecipeError, match="5000 or more sensors"):
        widened([frame[:2_500], frame[2_500:]], tmp_path / "parts")


def test_long_form_has_the_readings_by_row_and_channel_with_their_marks() -> None:
    frame = pl.DataFrame(
        {
            "when": [NOON, None],
            "station": ["A", None],
            "hot": pl.Series([1.5, None], dtype=pl.Float32),
            "count": [7, 8],
            "hot__imputed": [True, False],
            "value": ["a text", "in the way"],
        }
    )
    assert long(frame).rows(named=True) == [
        {"time": NOON, "sensor": "A", "channel": "hot", "value": 1.5, "value__imputed": True, "value 2": "a text"},
        {"time": NOON, "sensor": "A", "channel": "count", "value": 7.0, "value__imputed": None, "value 2": "a text"},
        {"time": None, "sensor": None, "channel": "hot", "value": None, "value__imputed": False, "value 2": "in the way"},
        {"time": None, "sensor": None, "channel": "count", "value": 8.0, "value__imputed": None, "value 2": "in the way"},
    ]
    assert long(frame[:0]).columns == long(frame).columns
    assert long(frame, readings=["hot"]).schema["value"] == pl.Float32
    assert long(frame, readings=["hot"])["count"].to_list() == [7, 8]


def test_long_form_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"time": [NOON] * 50, "device_id": range(50), "a": range(50), "b": [0.5] * 50, "c": [None, 1] * 25})
    whole = long(frame)
    monkeypatch.setattr("tamis.pipeline.forms.CELLS", 20)
    assert_frame_equal(long(frame), whole)
    assert whole["sensor"].to_list()[::3] == list(map(str, range(50)))


def test_a_column_may_name_the_channel() -> None:
    frame = pl.DataFrame({"time": [NOON] * 2, "site": ["A", "B"], "parameter": ["pm10", None], "level": [1.0, 2.0]})
    assert long(frame)["channel"].to_list() == ["pm10", None]
    chosen = form(frame)
    assert chosen is not None
    assert chosen.titles([("A", "pm10"), ("B", None)], ["level", "level__flag", "other"]) == [
        *("A/pm10", "A/pm10__flag", "A/pm10/other"),
        *("B/unnamed", "B/unnamed__flag", "B/unnamed/other"),
    ]
    two = frame.with_columns(error=pl.lit(0.1))
    assert long(two)["channel"].to_list() == ["pm10/level", "pm10/error", None, None]


def test_the_file_names_the_sensor_where_no_column_does() -> None:
    frame = pl.DataFrame({"time": [NOON], "value": [1.0]})
    files = ("net/north/a.1.csv", "net/south/b.csv.gz")
    assert long(frame, files[0], files)["sensor"].to_list() == ["north/a.1"]
    assert long(frame, files[1], files)["sensor"].to_list() == ["south/b"]
    assert long(frame)["sensor"].to_list() == [None]
    assert long(frame, files[0], files, by_file="no")["sensor"].to_list() == [None]
    named = frame.with_columns(sensor=pl.lit("x"), node=pl.lit(None, pl.String))
    assert long(named, files[0], files)["sensor"].to_list() == ["x/unnamed"]
    assert long(named, files[0], files, by_file="yes")["sensor"].to_list() == ["north/a.1/x/unnamed"]
    assert long(named, files[0], files, sensor=["node"])["sensor"].to_list() == [None]


def test_roles_are_told_by_types_and_names() -> None:
    frame = pl.DataFrame(
        {
            "made": [NOON],
            "timestamp": [NOON],
            "Wind_turbine_name": ["a"],
            "sensorId": [1],
            "parameters": ["x"],
            "websites": [2],
            "id": ["z"],
        }
    )
    chosen = form(frame)
    assert chosen is not None
    assert chosen.state() == {
        "tables": "wide",
        "time": "timestamp",
        "sensor": ["Wind_turbine_name", "sensorId", "id"],
        "channel": "parameters",
        "by_file": False,
        "readings": ["websites"],
    }
    assert form(frame, channel="id").state()["channel"] == "id"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("columns", "options", "reason"),
    [
        ({"text": ["a"], "number": [1]}, {}, "no column of times"),
        ({"time": [NOON], "text": ["a"]}, {}, "no column of readings"),
        ({"time": [NOON], "number": [1]}, {"time": "other"}, "no column 'other'"),
        ({"time": [NOON], "number": [1], "\x1ftime": [1]}, {}, "control character"),
    ],
)
def test_tables_that_are_none_of_readings_stay_as_they_are(columns: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    settings = {f"output.{key}": value for key, value in {"tables": "long", **options}.items()}
    chosen, told = form_of(Recipe.load(None, settings=settings).output, group(pl.DataFrame(columns)))
    assert chosen is None
    assert reason in told


def test_a_column_of_an_unfit_type_is_an_error() -> None:
    frame = pl.DataFrame({"time": [NOON], "number": [1], "text": ["a"]})
    with pytest.raises(ColumnError, match=r"output\.time names the column 'number', which holds Int64 and no times"):
        form(frame, time="number")
    with pytest.raises(ColumnError, match=r"output\.readings names the column 'text', which holds String"):
        form(frame, readings=["text"])


def test_names_that_clash_are_numbered() -> None:
    assert free_names(["a", "time", "a", "a 2", "a"], ["time"]) == ["a", "time 2", "a 2", "a 2 2", "a 3"]


def test_rows_that_are_not_all_written_are_an_error() -> None:
    with pytest.raises(InvariantError, match="'g' does not balance: 3 rows expected, 2 written"):
        balance_rows("g", 3, 2)


def sensors(rows: int = 1_500) -> pl.DataFrame:
    """Return rows of three stations with gaps, in no order; a station has at most one row a time."""
    random = np.random.default_rng(5)
    place = random.permutation(rows)
    values = np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows).round(3))
    frame = pl.DataFrame(
        {
            "time": pl.Series(place // 3 * 60_000_000 + 19_000 * 86_400_000_000).cast(pl.Datetime("us")),
            "station": np.array(["ash", "birch", "cedar"])[place % 3],
            "temperature": pl.Series(values).fill_nan(None),
            "count": random.integers(0, 9, rows),
            "remark": np.where(place % 5 == 0, "calm", "windy"),
        }
    )
    return frame.with_columns(pl.when(pl.int_range(rows) % 100 == 9).then(None).otherwise(pl.col("count")).alias("count"))


class Pulled(Silent):
    """A plug that is pulled when a stage begins."""

    def stage(self, name: str, total: int, things: str = "records") -> None:  # noqa: ARG002 - the contract's signature
        if name == "widen":
            raise ConnectionAbortedError(total)


def test_runs_write_long_and_wide_tables_and_count_them(tmp_path: Path) -> None:
    frame = sensors()
    (tmp_path / "in").mkdir()
    frame.write_parquet(tmp_path / "in" / "readings.parquet")
    settings = {
        **QUIET,
        "shards.rows": 400,
        "missing.impute": "constant",
        "missing.columns": ["temperature"],
        "missing.required": ["count"],
    }

    result = tamis.clean(tmp_path / "in", tmp_path / "long", settings={**settings, "output.tables": "long"}, jobs=1)
    kept = frame.filter(pl.col("count").is_not_null())
    long = result.kept.collect()
    told = result.manifest["tables"]["readings"]
    assert (told["rows_read"], told["rows_kept"], told["rows_written"]) == (1_500, len(kept), 2 * len(kept)) == (1_500, 1_485, len(long))
    assert told["form"]["readings"] == ["temperature", "count"]
    assert "long form: times in 'time'; sensors named by 'station'; channels the columns 'temperature', 'count'" in told["decisions"]
    assert long.columns == ["time", "sensor", "channel", "value", "value__imputed", "remark"]
    of_one = long.filter(channel="temperature").sort("time", "sensor")
    assert of_one["value__imputed"].to_list() == kept.sort("time", "station")["temperature"].is_null().to_list()

    asked = {**settings, "output.tables": "wide"}
    with pytest.raises(tamis.errors.OutputError):
        tamis.clean(tmp_path / "in", tmp_path / "wide", settings=asked, jobs=1, progress=Pulled())
    with pytest.raises(tamis.errors.OutputError, match="unfinished run that cannot be resumed: it was begun with other keys of output"):
        tamis.clean(tmp_path / "in", tmp_path / "wide", settings={**asked, "output.readings": ["count"]}, jobs=1)
    result = tamis.clean(tmp_path / "in", tmp_path / "wide", settings=asked, jobs=1)
    table = result.kept.collect()
    told = result.manifest["tables"]["readings"]
    assert told["rows_written"] == len(table) == kept["time"].n_unique()
    assert told["form"]["repeated"] == 0
    assert result.files.collect()["rows"].sum() == len(table)
    channels = ["temperature", "count", "remark", "temperature__imputed"]
    assert table.columns == ["time", *(f"{station}/{name}" for station in ("ash", "birch", "cedar") for name in channels)]
    filled = kept.with_columns(temperature__imputed=pl.col("temperature").is_null(), temperature=pl.col("temperature").fill_null(0.0))
    for station in ("ash", "birch", "cedar"):
        mine = table.select("time", *(pl.col(f"{station}/{name}").alias(name) for name in channels)).drop_nulls("count")
        assert_frame_equal(mine, filled.filter(station=station).sort("time").select("time", *channels))
    assert not (tmp_path / "wide" / ".tamis" / "runs").exists()
    tamis.clean(tmp_path / "in", tmp_path / "batches", settings=asked, jobs=2, batch_size=97)
    assert outputs(tmp_path / "batches") == outputs(tmp_path / "wide")

    again = {**QUIET, "output.tables": "wide", "shards.rows": 701, "missing.enabled": False}
    turned = tamis.clean(tmp_path / "long" / "clean", tmp_path / "turned", settings=again, jobs=1).kept.collect()
    assert turned.columns[1:6] == ["ash/count", "ash/count__imputed", "ash/count/remark", "ash/temperature", "ash/temperature__imputed"]
    for station in ("ash", "birch", "cedar"):
        names = [f"{station}/temperature", f"{station}/temperature__imputed", f"{station}/count"]
        assert_frame_equal(turned.select("time", *names), table.select("time", *names), check_dtypes=False)


def test_a_check_writes_no_form_and_an_unknown_column_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sensors(50).write_csv(tmp_path / "in" / "readings.csv")
    with pytest.raises(ColumnError, match=r"output\.sensor names the column 'stations'.*Did you mean 'station'"):
        tamis.clean(tmp_path / "in", tmp_path / "out", settings={"output.tables": "wide", "output.sensor": ["stations"]})
    result = tamis.check(tmp_path / "in", tmp_path / "checked", settings={**QUIET, "output.tables": "wide"}, jobs=1)
    assert result.manifest["tables"]["readings"]["rows_written"] == 0
    assert not (tmp_path / "checked" / "clean").exists()
