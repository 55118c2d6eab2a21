"""Series: tables of readings split by sensor and sorted by time, beside a plain sort in memory."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.api.tables import source_tables
from tamis.errors import ColumnError, SourceError
from tamis.pipeline.forms import form_of
from tamis.recipe import Recipe
from tamis.series import Roles, SeriesWriter, assign_roles, nanoseconds, tally
from tamis.series.sorting import Sorted, SortedFile, lexical_order
from tamis.sources.parsing import distinct
from tamis.sources.schema import ColumnPlan, TableGroup

if TYPE_CHECKING:
    from pathlib import Path

Entry = tuple[Any, ...]
ROLES = Roles("time", ("sensor",), ("a", "b"))


def table(rows: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.choice([1.5, -0.0, 0.0, np.nan, np.inf, -np.inf, 1e300, -7.25], (2, rows))
    return pl.DataFrame(
        {
            "time": pl.Series(rng.integers(-9, 9, rows) * 1_000_000).cast(pl.Datetime("us")),
            "sensor": pl.Series(rng.choice(["x", "y", "zü"], rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "a": pl.Series(values[0]).set(pl.Series(rng.random(rows) < 0.2), None),
            "b": pl.Series(values[1], dtype=pl.Float64),
        }
    )


def found(frame: pl.DataFrame, folder: Path, *, size: int, run: int, rows: Any = None) -> dict[tuple[str | None, str], list[Entry]]:
    out = {}
    numbers = np.arange(len(frame)) if rows is None else rows
    with SeriesWriter(ROLES, folder, run) as writer:
        for start in range(0, len(frame), size):
            writer.add(frame[start : start + size], numbers[start : start + size])
        for series in writer.series():
            chunks = list(series.chunks(max(1, size)))
            values = [repr(v) if ok else None for chunk in chunks for v, ok in zip(chunk.value.tolist(), chunk.valid.tolist(), strict=True)]
            times = [t for chunk in chunks for t in chunk.time.tolist()]
            assert len(times) == series.readings == len(series.read())
            out[series.sensor, series.column] = list(zip(times, values, [r for chunk in chunks for r in chunk.row.tolist()], strict=True))
    assert not list(folder.iterdir())
    return out


def expected(frame: pl.DataFrame) -> dict[tuple[str | None, str], list[Entry]]:
    def order(entry: Entry) -> Entry:
        time, value, row = entry
        nan = value != value if value is not None else False
        size = 0.0 if value is None or nan else value
        return (time, value is None, nan, size, not str(size).startswith("-"), row)

    out: dict[tuple[str | None, str], list[Entry]] = {}
    for row, (time, sensor, a, b) in enumerate(frame.with_columns(pl.col("time").dt.epoch("ns")).iter_rows()):
        out.setdefault((sensor, "a"), []).append((time, a, row))
        out.setdefault((sensor, "b"), []).append((time, b, row))
    ordered = {key: sorted(entries, key=order) for key, entries in out.items()}
    return {key: [(time, None if v is None else repr(v), row) for time, v, row in entries] for key, entries in ordered.items()}


@settings(max_examples=25)
@given(rows=st.integers(0, 400), size=st.sampled_from([1, 7, 400]), run=st.sampled_from([1, 5, 64, 10_000]), seed=st.integers(0, 99))
def test_series_are_those_of_a_plain_sort(tmp_path_factory: pytest.TempPathFactory, rows: int, size: int, run: int, seed: int) -> None:
    frame = table(rows, seed)
    size = max(size, rows // 20)  # few parts, so that the test is quick
    assert found(frame, tmp_path_factory.mktemp("series"), size=size, run=run) == expected(frame)


WHOLE = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1, 2**40, -(2**40)]), st.integers(-(2**63), 2**63 - 1))


@given(rows=st.lists(st.tuples(st.integers(0, 5), WHOLE, WHOLE), max_size=60))
def test_records_are_ordered_by_all_their_keys_and_equal_ones_keep_their_order(rows: list[tuple[int, int, int]]) -> None:
    keys = [np.array([row[place] for row in rows], np.int64) for place in range(3)]
    assert lexical_order(keys).tolist() == np.lexsort(keys[::-1]).tolist()


@settings(max_examples=20)
@given(size=st.integers(0, 700), run=st.sampled_from([1, 16, 100]), seed=st.integers(0, 99))
def test_runs_of_many_blocks_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, size: int, run: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    keys, numbers = random.integers(-4, 4, size), random.permutation(size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.series.sorting.BLOCK", 4)
        dtype = np.dtype([("key", np.int32), ("number", np.int64), ("half", np.float64)])
        with SortedFile(dtype, ("key", "number"), tmp_path_factory.mktemp("sorted") / "file", run) as file:
            for start in range(0, size, 37):
                some = slice(start, start + 37)
                file.add({"key": keys[some], "number": numbers[some], "half": numbers[some] / 2})
            parts = list(file.chunks())
    got = [row for part in parts for row in zip(*(part[name].tolist() for name in ("key", "number", "half")), strict=True)]
    assert got == sorted((key, number, number / 2) for key, number in zip(keys.tolist(), numbers.tolist(), strict=True))


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(0, 200), min_size=1, max_size=4),
    bounds=st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
    seed=st.integers(0, 99),
)
def test_a_range_of_keys_is_read_from_the_runs_of_several_files(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bounds: tuple[int, int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    keys = random.integers(-4, 4, sum(sizes))
    low, high = sorted(bounds)
    folder = tmp_path_factory.mktemp("sorted")
    dtype = np.dtype([("key", np.int32), ("number", np.int64)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.series.sorting.BLOCK", 4)
        whole = Sorted(dtype, ("key", "number"), step=32)
        stop = 0
        for place, size in enumerate(sizes):
            file = SortedFile(dtype, ("key", "number"), folder / str(place), 16)
            file.add({"key": keys[stop : stop + size], "number": np.arange(stop, stop + size)})
            stop += size
            whole = whole.joined([file.sorted()])
        part = pickle.loads(pickle.dumps(whole.between(low, high)))
        got = [row for one in part.chunks() for row in zip(one["key"].tolist(), one["number"].tolist(), strict=True)]
        again = sum(len(one["key"]) for one in whole.chunks())
    assert got == sorted((key, number) for number, key in enumerate(keys.tolist()) if low <= key < high)
    assert again == stop


@given(texts=st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "ä", "b"]))))
def test_distinct_texts_come_in_the_order_in_which_they_come_up(texts: list[str | None]) -> None:
    few, places = distinct(pl.Series("x", texts, dtype=pl.String))
    assert few.to_list() == list(dict.fromkeys(texts))
    assert few.gather(places).to_list() == texts


def test_shuffled_rows_give_the_same_series(tmp_path: Path) -> None:
    frame = table(3_000)
    order = np.random.default_rng(5).permutation(len(frame))
    assert found(frame[order], tmp_path, size=100, run=512, rows=order) == found(frame, tmp_path, size=3_000, run=512)


def test_series_stand_by_sensor_and_column(tmp_path: Path) -> None:
    assert list(found(table(100), tmp_path, size=100, run=1000)) == sorted(expected(table(100)), key=lambda key: (key[0] or "", key[1]))


def test_a_file_is_a_sensor_where_no_column_names_one(tmp_path: Path) -> None:
    frame = table(30)
    with SeriesWriter(Roles("time", (), ("a",), by_file=True), tmp_path) as writer:
        for start in range(0, 30, 10):
            writer.add(frame[start : start + 10], source=f"{start}.csv")
        assert [(one.sensor, sorted(one.read().row)) for one in writer.series()] == [
            (f"{start}.csv", list(range(start, start + 10))) for start in range(0, 30, 10)
        ]


def test_rows_without_a_time_are_told_and_left_out(tmp_path: Path) -> None:
    times = pl.Series([None, datetime(2024, 1, 1), datetime(1500, 1, 1), None], dtype=pl.Datetime("us"))
    frame = pl.DataFrame({"time": times, "sensor": ["x"] * 4, "a": [1.0] * 4, "b": [2.0] * 4})
    with SeriesWriter(ROLES, tmp_path) as writer:
        assert writer.add(frame).tolist() == [0, 2, 3]
        assert writer.timeless == 3
        assert [series.read().row.tolist() for series in writer.series()] == [[1], [1]]


def test_time_that_goes_back_is_told_within_a_file_and_a_sensor(tmp_path: Path) -> None:
    seconds = [1, 5, 2, 3, 6, 4, 0]
    sensors = ["x", "x", "y", "x", "x", "x", "y"]
    frame = pl.DataFrame({"time": pl.Series(seconds) * 10**9, "sensor": sensors, "a": 1.0, "b": 1.0}).with_columns(
        pl.col("time").cast(pl.Datetime("ns"))
    )
    for size in (1, 2, 7):
        with SeriesWriter(ROLES, tmp_path) as writer:
            for start in range(0, 7, size):
                writer.add(frame[start : start + size], source="one")
            writer.add(frame[:1], source="two")
            chunks = [series.read() for series in writer.series()]
        back = {row for chunk in chunks for row in chunk.row[chunk.back].tolist()}
        assert back == {3, 5, 6}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series([datetime(2024, 1, 1, tzinfo=UTC)]), 1_704_067_200_000_000_000),
        (pl.Series([datetime(2024, 1, 1)]).cast(pl.Datetime("ms", "Asia/Tokyo")), 1_704_067_200_000_000_000),
        (pl.Series([1_704_067_200_000_000_001]).cast(pl.Datetime("ns")), 1_704_067_200_000_000_001),
        (pl.Series([date(2024, 1, 1)]), 1_704_067_200_000_000_000),
        (pl.Series([1_704_067_200]), 1_704_067_200_000_000_000),
        (pl.Series([1_704_067_200_500.0]), 1_704_067_200_500_000_000),
        (pl.Series([12]), None),
        (pl.Series([date(9999, 1, 1)]), None),
        (pl.Series([None], dtype=pl.Date), None),
    ],
)
def test_times_of_every_kind_become_nanoseconds(column: pl.Series, expected: int | None) -> None:
    assert nanoseconds(column).to_list() == [expected]


def roles(frame: pl.DataFrame, **named: object) -> Roles | None:
    parts = (frame[:50], frame[50:])
    return assign_roles(frame.schema, lambda columns: [tally([part], columns) for part in parts], **named)  # type: ignore[arg-type]


def test_roles_are_told_by_types_names_and_numbers_of_values() -> None:
    frame = pl.DataFrame(
        {
            "remark": [f"row {i}" for i in range(100)],
            "arrived": [datetime(2024, 1, 1)] * 100,
            "timestamp": [datetime(2024, 1, 1)] * 100,
            "station": ["north", "south"] * 50,
            "sensor_id": [1, 2, 3, 4] * 25,
            "quality": ["good", "bad"] * 50,
            "count": list(range(100)),
            "temperature": [1.0] * 100,
        }
    )
    assert roles(frame) == Roles("timestamp", ("station", "sensor_id"), ("temperature",))
    assert roles(frame.drop("station", "sensor_id")) == Roles("timestamp", (), ("temperature",), by_file=True)
    plots = frame.drop("station", "sensor_id").rename({"quality": "plot"})
    assert roles(plots) == Roles("timestamp", ("plot",), ("temperature",))
    assert roles(frame.drop("temperature")) == Roles("timestamp", ("station", "sensor_id"), ("count",))
    assert roles(frame, sensor=()) == Roles("timestamp", (), ("temperature",))
    assert roles(frame, time="arrived", sensor="quality", values=["count"]) == Roles("arrived", ("quality",), ("count",))


def test_what_names_a_sensor_is_told_by_one_rule_for_tests_and_for_forms() -> None:
    frame = pl.DataFrame(
        {
            "time": [datetime(2024, 1, 1)] * 100,
            "Wind_turbine_name": ["a", "b"] * 50,
            "machine_state": [1, 2] * 50,
            "parameter": ["pm10", "no2"] * 50,
            "value": [1.0] * 100,
        }
    )
    assert roles(frame) == Roles("time", ("Wind_turbine_name", "parameter"), ("value",))
    columns = tuple(
        ColumnPlan(name, dtype, "datetime" if name == "time" else "text" if dtype == pl.String else "number")
        for name, dtype in frame.schema.items()
    )
    form, _ = form_of(Recipe.load(None, settings={"output.tables": "long"}).output, TableGroup("g", columns, {"a.csv": ()}))
    assert form is not None
    assert (form.time, form.sensor, form.channel) == ("time", ("Wind_turbine_name",), "parameter")


def test_a_table_without_times_or_values_has_no_roles() -> None:
    frame = pl.DataFrame({"station": ["x"] * 100, "value": [1.0] * 100})
    assert roles(frame) is None
    assert roles(pl.DataFrame({"time": [datetime(2024, 1, 1)] * 100, "station": ["x"] * 100})) is None
    assert roles(frame.with_columns(epoch=pl.lit(1_704_067_200))) == Roles("epoch", ("station",), ("value",))


def test_a_named_column_that_is_not_there_or_does_not_fit_is_an_error() -> None:
    frame = pl.DataFrame({"time": [datetime(2024, 1, 1)], "text": ["x"], "value": [1.0]})
    with pytest.raises(ColumnError, match=r"no column 'vlaue'. Did you mean 'value'\? The columns are: time, text, value"):
        roles(frame, values=["vlaue"])
    with pytest.raises(ColumnError, match="column 'text' is String, which is no time"):
        roles(frame, time="text")
    with pytest.raises(ColumnError, match="column 'text' is String, which holds no readings"):
        roles(frame, values=["text"])


def test_too_many_sensors_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.series.codes.MOST_NAMES", 2)
    with SeriesWriter(ROLES, tmp_path) as writer, pytest.raises(ColumnError, match="sensor have more than 2 values"):
        writer.add(table(100))


def written(frame: pl.DataFrame, folder: Path, kind: str) -> None:
    half = len(frame) // 2
    for number, part in enumerate((frame[:half], frame[half:])):
        path = folder / f"part-{number}.{kind}"
        text = part.with_columns(pl.col("time").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
        if kind == "parquet":
            part.write_parquet(path, row_group_size=7)
        elif kind == "arrow":
            part.write_ipc(path)
        elif kind == "csv":
            text.write_csv(path)
        else:
            text.write_ndjson(path)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "ndjson"])
def test_every_kind_of_table_gives_the_same_series(tmp_path: Path, kind: str) -> None:
    frame = table(200).with_columns(pl.col("a", "b").fill_nan(None).replace([float("inf"), float("-inf")], None) + 0.0)
    (tmp_path / "source").mkdir()
    written(frame, tmp_path / "source", kind)
    with source_tables([str(tmp_path / "source")]) as ((one,), folder):
        roles = assign_roles(one.schema, lambda columns: [tally(one.frames(columns), columns)])
        assert roles == ROLES
        with SeriesWriter(roles, folder, run=50) as writer:
            for batch in one.batches():
                writer.add(batch.frame, source=batch.source)
            got = {(series.sensor, series.column): series.read() for series in writer.series()}
        assert not one.problems
    for key, entries in expected(frame).items():
        times = [time for time, _, _ in entries]
        values = [None if value is None else float(value) for _, value, _ in entries]
        assert got[key].time.tolist() == times
        assert pl.Series(got[key].value).set(pl.Series(~got[key].valid), None).to_list() == values


def test_a_source_without_tables_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("no table")
    with pytest.raises(SourceError), source_tables([str(tmp_path)]):
        pass
