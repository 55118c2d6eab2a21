from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfoNotFoundError

import numpy as np
import polars as pl
import pytest

import tamis
from planted import trials
from tamis.discovery import Signal, clocks, search
from tamis.discovery.base import suspicion
from tamis.discovery.clocks import find_clock_resets
from tamis.discovery.confirm import read_confirmed, write_confirm
from tamis.discovery.instruments import resolution
from tamis.discovery.lines import find_interpolated
from tamis.discovery.peers import bins
from tamis.discovery.positions import find_swapped
from tamis.discovery.sentinels import find_sentinels
from tamis.sample import faults
from tamis.sample.faults import FAULTS, PEER_FAULTS, SECOND
from tamis.series import Roles
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(2000, 2014)


def readings(seed: int = 1, rows: int = 1500) -> pl.DataFrame:
    """Return two sensors, one of which has a code and a spell in °F."""
    rng = np.random.default_rng(seed)
    frames = []
    for name in ("a", "b"):
        series = faults.clean_series("temperature", rows, rng)
        value = series.value.copy()
        if name == "a":
            value[[40, 41, 300, 800]] = 65535.0
            value[1000:1200] = np.round(value[1000:1200] * 1.8 + 32, 2)
        stamps = pl.Series("time", series.time).cast(pl.Datetime("ns")).cast(pl.Datetime("us"))
        frames.append(pl.DataFrame({"time": stamps, "sensor": [name] * rows, "temperature": value}))
    return pl.concat(frames)


def confirm(path: Path, *kinds: str) -> None:
    text = path.read_text(encoding="utf-8")
    for kind in kinds:
        text = text.replace(f'confirmed = false\nkind = "{kind}"', f'confirmed = true\nkind = "{kind}"')
    path.write_text(text, encoding="utf-8")


def test_planted_faults_are_found_and_sound_series_are_left_alone() -> None:
    done = [trial for seed in SEEDS for trial in trials(seed)]
    assert [one for trial in done if not trial.kind for one in trial.others] == []
    for kind in (*FAULTS, *PEER_FAULTS, "swapped"):
        tried = [trial for trial in done if trial.kind == kind]
        missed = [trial.quantity for trial in tried if not trial.right]
        assert len(tried) == len(SEEDS)
        assert len(missed) <= (3 if kind in {"unit", "peer_unit"} else 0), (kind, missed)  # wind is noise by a tenth: a knot hides in it


def test_an_export_that_comes_before_the_rows_that_it_repeats_is_no_reset_clock() -> None:
    rng = np.random.default_rng(8)
    sound = faults.clean_series("level", 1000, rng)
    again = np.concatenate([np.arange(700, 800), np.arange(1000)])
    series = Signal.of(sound.time[again], sound.value[again])
    assert [one.kind for one in search(lambda: [[series]])] == ["duplicate_time"]


@pytest.mark.parametrize("value", [[], [1.0], [np.nan] * 40, [np.inf] * 40, [5.0] * 40, [0.0, -0.0] * 30, [1e308, -1e308] * 30])
def test_nothing_is_suspected_of_values_that_say_nothing(value: list[float]) -> None:
    series = Signal.of(np.arange(len(value)) * 60 * SECOND, np.array(value))
    assert search(lambda: [[series]]) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_noise_of_any_kind_raises_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    draws: list[Any] = [rng.standard_cauchy(800), rng.integers(0, 3, 800), rng.integers(-5, 5, 800).cumsum(), rng.lognormal(0, 3, 800)]
    time = np.sort(rng.integers(0, 10**6, 800)) * SECOND
    columns = [Signal.of(time, np.asarray(one, float), column=f"c{place}") for place, one in enumerate(draws)]
    assert not [one for one in search(lambda: [columns]) if one.kind == "sentinel" and abs(one.remedy["value"]) < 3]


def test_a_value_that_a_sensor_often_takes_is_no_code() -> None:
    rng = np.random.default_rng(3)
    sun = np.maximum(0, np.sin(np.arange(4000) / 30) * 900 + rng.normal(0, 20, 4000))
    switch = np.where(rng.random(4000) < 0.3, 100.0, 0.0)
    for value in (np.round(sun, 1), switch):
        assert find_sentinels(Signal.of(np.arange(4000) * SECOND, value)) == []


@pytest.mark.parametrize(("step", "offset"), [(0.01, 0.0), (0.25, 3.1), (5 / 1023, 0.0), (10.0, 1e6)])
def test_the_resolution_is_the_greatest_common_step(step: float, offset: float) -> None:
    value = offset + step * np.random.default_rng(4).integers(0, 400, 64).astype(np.float64)
    assert resolution(value) == pytest.approx(step, rel=1e-3)
    assert resolution(value.astype(np.float32).astype(np.float64)) == pytest.approx(step, rel=1e-2)
    assert resolution(np.random.default_rng(5).random(64)) == 0


def test_gaps_that_were_filled_in_are_told_to_the_row() -> None:
    rng = np.random.default_rng(2)
    value = np.cumsum(rng.normal(size=3_000))
    time = np.cumsum(rng.integers(50, 70, 3_000)) * SECOND
    filled = np.zeros(3_000, bool)
    for first, last in ((400, 430), (900, 1_000), (2_000, 2_012)):
        filled[first:last] = True
    holes = np.interp(time, time[~filled], value[~filled])
    (one,) = find_interpolated(Signal.of(time, holes))
    assert (one.count, one.row) == (filled.sum(), 400)
    inside = np.zeros(3_000, bool)
    for first, last in one.remedy["spans"]:
        inside |= (time >= first) & (time <= last)
    assert inside.tolist() == filled.tolist()


@pytest.mark.parametrize("span", [10**9, 400 * 86_400 * SECOND, (1 << 63) - 3], ids=["a second", "a year", "all of time"])
def test_bins_of_time_rise_however_long_it_is(span: int) -> None:
    low = -(1 << 62) + 1
    edges = bins([(low, low + span - 1, 100_000)] * 3)
    assert len(edges) == 2049
    assert (np.diff(edges) > 0).all()
    assert abs(int(edges[0]) - low) <= 1024  # medians of times are rounded to float64
    assert abs(int(edges[-1]) - low - span) <= 2048


def test_sensors_that_share_no_time_are_not_compared() -> None:
    value = np.random.default_rng(1).normal(size=200)
    apart = [Signal.of(np.full(200, place * SECOND), value, sensor=str(place)) for place in range(4)]
    assert {one.kind for one in search(lambda: [[one] for one in apart])} == {"conflicting_time"}


def test_rows_in_no_order_are_no_clock_that_began_anew() -> None:
    time = np.random.default_rng(1).permutation(np.arange(4_000).reshape(-1, 20)).ravel() * 600 * SECOND
    assert find_clock_resets(Signal.of(time, np.random.default_rng(2).normal(size=4_000))) == []


@pytest.mark.parametrize(
    "value",
    [
        np.arange(500.0),
        np.round(np.sin(np.arange(5_000) / 500), 2),  # slow on a coarse grid
        np.repeat(np.random.default_rng(1).normal(size=100), 30),  # flat is no line
        np.zeros(500),
        np.empty(0),
    ],
    ids=["counter", "slow", "flat", "constant", "empty"],
)
def test_what_is_a_line_by_nature_is_no_filled_gap(value: np.ndarray) -> None:
    assert find_interpolated(Signal.of(np.arange(len(value)) * SECOND, value)) == []
    assert find_interpolated(Signal.of(np.zeros(len(value), np.int64), value)) == []


def test_swapped_coordinates_are_found_by_their_names() -> None:
    rng = np.random.default_rng(6)
    latitude, longitude = 52.5 + rng.normal(0, 0.01, 300), 13.4 + rng.normal(0, 0.01, 300)
    latitude[50:60], longitude[50:60] = longitude[50:60].copy(), latitude[50:60].copy()
    time = np.arange(300) * SECOND
    columns = [Signal.of(time, one, column=name) for one, name in ((latitude, "lat"), (longitude, "lon"))]
    (told,) = find_swapped(columns)
    assert (told.count, told.row, told.remedy["spans"]) == (10, 50, [[50 * SECOND, 59 * SECOND]])
    assert find_swapped([columns[0], Signal.of(time, longitude, column="other")]) == []


def test_swapped_rows_tell_nothing_of_their_columns_resolution() -> None:
    def kinds(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        track = faults.swapped(*faults.track(3000, rng), rng)
        return [one.kind for one in search(lambda: [[Signal.of(one.time, one.value, column=one.quantity) for one in track]])]

    assert {tuple(kinds(seed)) for seed in range(12)} == {("swapped",)}


def test_a_confirm_list_takes_any_name(tmp_path: Path) -> None:
    name = 'a "b"\\\t\x01\x7f\u00e9 \U0001f600\nc'
    told = suspicion(
        "sentinel",
        Signal.of(np.arange(3), np.zeros(3), column=name, sensor=name),
        np.arange(2),
        2,
        1,
        name,
        remedy={"action": "null", "value": -1.0},
    )
    write_confirm(tmp_path / "confirm.toml", [(name, told)], {name: Roles(name, (name,), (name,))})
    confirm(tmp_path / "confirm.toml", "sentinel")
    (row,) = read_confirmed(tmp_path / "confirm.toml")
    assert row == {"table": name, "clock": name, "by": [name], "sensor": name, "column": name, "remedy": {"action": "null", "value": -1.0}}


def test_discover_tells_a_frame_and_files_the_same(tmp_path: Path) -> None:
    frame = readings()
    frame.write_parquet(tmp_path / "readings.parquet")
    found = tamis.discover(frame)
    of_files = tamis.discover(tmp_path / "readings.parquet")
    assert found.findings["kind"].to_list() == ["sentinel", "unit"]
    assert found.findings["rows"].to_list() == [4, 200]
    assert found.findings["row"].to_list() == [40, 1000]
    assert found.findings.drop("row").equals(of_files.findings.drop("table", "file", "row"))
    assert "65535" in str(found)
    assert set(found.findings["score"] > 0.5) == {True}


def test_the_order_of_sensors_in_a_table_makes_no_difference() -> None:
    frame = readings()
    mixed = frame.sort("time", "sensor")
    assert tamis.discover(frame).findings.drop("row").equals(tamis.discover(mixed).findings.drop("row"))


def test_only_what_is_confirmed_is_corrected(tmp_path: Path) -> None:
    frame, path = readings(), tmp_path / "confirm.toml"
    tamis.discover(frame).write_confirm(path)
    assert tamis.correct(frame, path).equals(frame)
    confirm(path, "sentinel")
    some = tamis.correct(frame, path)
    assert some["temperature"].null_count() == 4
    assert some["temperature"][1000:1200].equals(frame["temperature"][1000:1200])
    confirm(path, "unit")
    assert tamis.correct(frame, path)["temperature"].drop_nulls().max() < 45  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["clock_reset", "clock_drift", "epoch_unit"])
def test_confirmed_clocks_are_put_right(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    sound = faults.clean_series("pressure", 2000, rng)
    faulty = FAULTS[kind](sound, rng)
    frame = pl.DataFrame({"time": pl.Series(faulty.time).cast(pl.Datetime("ns")), "pressure": faulty.value})
    path = tmp_path / "confirm.toml"
    tamis.discover(frame).write_confirm(path)
    confirm(path, kind)
    off = tamis.correct(frame, path)["time"].cast(pl.Int64).to_numpy() - sound.time
    assert np.abs(off).max() <= (60 * SECOND if kind == "clock_drift" else 600 * SECOND)
    assert np.abs(faulty.time - sound.time).max() > np.abs(off).max()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no toml", "cannot be read"),
        ("[[suspicion]]\nconfirmed = 1", "must be true or false"),
        ('[[suspicion]]\nconfirmed = true\nremedy = { action = "null" }', "correction 1 must have"),
        (
            '[[table]]\nname = "t"\ntime = "x"\nsensor = []\n[[suspicion]]\nconfirmed = true\ntable = "t"\nsensor = ""\ncolumn = "y"\n'
            'remedy = { action = "burn" }',
            "must be one of null",
        ),
    ],
)
def test_a_confirm_list_that_is_wrong_says_where(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "confirm.toml"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        tamis.correct(readings(), path)


def test_a_file_that_is_a_sensor_is_corrected_alone(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    frame = readings().drop("sensor")
    for name in ("one", "two"):
        broken = frame[:1500] if name == "one" else frame[:1500].with_columns(pl.col("temperature").replace(65535.0, 21.0))
        broken.write_parquet(tmp_path / "source" / f"{name}.parquet")
    first = tamis.clean(tmp_path / "source", tmp_path / "first", settings={"discovery.enabled": True}, jobs=1)
    assert first.notes.filter(pl.col("reason") == "unit").collect().height == 2
    path = tmp_path / "first" / "confirm.toml"
    text = path.read_text().replace("confirmed = false", "confirmed = true", 2)  # those of the first file
    path.write_text(text)
    settings = {"discovery.enabled": True, "discovery.confirmed": str(path)}
    second = tamis.clean(tmp_path / "source", tmp_path / "second", settings=settings, jobs=1)
    assert second.notes.filter(pl.col("reason") == "unit").collect().height == 1
    assert second.kept.collect().height == 2996  # the four rows with the code have no value left


def test_a_run_notes_suspicions_and_a_second_one_corrects_what_was_confirmed(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    readings().write_parquet(tmp_path / "source" / "readings.parquet")
    first = tamis.clean(tmp_path / "source", tmp_path / "first", settings={"discovery.enabled": True}, jobs=1)
    told = first.notes.filter(pl.col("check") == "discovery").collect()
    assert sorted(told["reason"].to_list()) == ["sentinel", "unit"]
    assert first.kept.collect()["temperature"].max() == 65535.0
    path = tmp_path / "first" / "confirm.toml"
    confirm(path, "sentinel", "unit")
    settings = {"discovery.enabled": True, "discovery.confirmed": str(path)}
    second = tamis.clean(tmp_path / "source", tmp_path / "second", settings=settings, jobs=1)
    clean = second.kept.collect()
    assert clean["temperature"].max() < 45  # type: ignore[operator]
    (table,) = second.manifest["tables"].values()
    assert {one["name"]: one["nulls"] for one in table["columns"]}["temperature"]["confirmed"] == 4
    assert second.manifest["checks"]["discovery"] == {"suspicions": 0, "corrections": 2}


def test_a_zone_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="there is no time zone 'Mars/Base'; name one like 'Europe/Paris'"):
        tamis.discover(readings(), zone="Mars/Base")
    with pytest.raises(tamis.RecipeError, match=r"discovery\.zone = \"../x\" is wrong: there is no time zone '../x'"):
        tamis.Recipe.load(settings={"discovery.zone": "../x"})

    def missing(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr("tamis.discovery.clocks.ZoneInfo", missing)  # as on a machine without a database of zones
    clocks._changes.cache_clear()
    assert clocks._changes("Europe/Berlin", 2020, 2021) == []
    clocks._changes.cache_clear()
