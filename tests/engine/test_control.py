"""Quality control of one series from disk, beside the kernel on the whole series; limits, what is learnt, and imputation."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.qc import Control, Filling, Policy, Thresholds, bit_names, checked_rows, control, learn, read_rows
from tamis.series import Roles, Series, SeriesWriter, runs
from tamis_kernels.errors import ArgumentError
from tamis_kernels.sensor import FAIL, TESTS, hampel, quality, whole_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = 10**9
HOUR = 3600 * SECOND
ROLES = Roles("time", (), ("value",))
LIMITS = {
    "suspect_low": -2.0,
    "fail_high": 9.0,
    "spike": 3.0,
    "spike_differential_fail": 5.0,
    "rate": 2.0,
    "flat": 30.0,
    "flat_fail": 90.0,
    "flat_tolerance": 0.25,
    "attenuated": 0.75,
    "attenuated_window": 80.0,
    "gap": 15.0,
    "rail_high": 10.0,
    "period": 10.0,
    "jitter": 1.0,
    "drift": 4.0,
    "hampel": 3.0,
    "hampel_window": 9.0,
}


def readings(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.choice([0, 10, 10, 10, 10, 10, 11, 40], rows)) * SECOND
    value = np.round(np.cumsum(rng.choice([0, 0, 0, 0.5, -0.5], rows)), 1)
    value[rng.random(rows) < 0.05] = rng.choice([np.nan, 12.0, -9999.0, np.inf])
    return time.astype(np.int64), value


def frame_of(time: np.ndarray, value: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"time": pl.Series(time).cast(pl.Datetime("ns")), "value": value})


def controlled(
    folder: Path, time: np.ndarray, value: np.ndarray, policy: Policy, stated: dict[str, float], chunk: int = 1 << 18
) -> tuple[dict[str, Any], Thresholds]:
    with SeriesWriter(ROLES, folder) as writer:
        writer.add(frame_of(time, value))
        (series,) = writer.series()
        one = Control(series, policy, Thresholds(stated), folder, chunk)
        parts = list(one.readings())
    names = ("bits", "flag", "action", "filled")
    out = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return out | {name: np.concatenate([getattr(part.chunk, name) for part in parts]) for name in ("row", "time", "value")}, one.thresholds


@settings(max_examples=30)
@given(rows=st.integers(1, 900), seed=st.integers(0, 99), chunk=st.sampled_from([64, 65, 4096]), held=st.sampled_from([0, 1 << 20]))
def test_a_series_from_disk_is_tested_as_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: int, seed: int, chunk: int, held: int
) -> None:
    time, value = readings(rows, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "HELD", held)
        policy = Policy(sentinels=(-9999.0,))
        got, _ = controlled(tmp_path_factory.mktemp("control"), time, value, policy, LIMITS, chunk)
    order = np.lexsort((np.where(np.isnan(value), np.inf, value), time))
    gone = ~np.isfinite(value[order]) | (value[order] == -9999)
    bits, flags = quality(time[order], value[order], Thresholds(LIMITS).limits((-9999.0,)))
    bits = whole_runs(bits)
    around = hampel(np.where(gone, np.nan, value[order]), window=9, sigmas=3.0)
    bits |= np.where(around == 3, np.uint32(1 << TESTS.index("hampel")), np.uint32(0))
    expected = np.where(bits >> FAIL, 4, np.where(bits, 3, np.where((flags == 2) & (around == 1), 1, flags)))
    assert got["bits"].tolist() == bits.tolist()
    assert got["flag"].tolist() == np.where(flags == 9, 9, expected).tolist()


def test_what_the_identifier_alone_has_looked_at_counts_as_tested(tmp_path: Path) -> None:
    value = np.sin(np.arange(40.0))
    value[20], value[30] = 50.0, np.nan
    got, _ = controlled(tmp_path, np.arange(40) * SECOND, value, Policy(), {"hampel": 6.0, "hampel_floor": 5.0, "spike": 1e9})
    assert got["flag"].tolist() == [1] * 20 + [3] + [1] * 9 + [9] + [1] * 9
    got, _ = controlled(tmp_path, np.arange(40) * SECOND, value, Policy(), {"spike": 1e9})
    assert np.flatnonzero(got["flag"] == 2).tolist() == [0]


def test_actions_follow_tests_and_grades(tmp_path: Path) -> None:
    time = np.arange(6) * SECOND
    value = np.array([1.0, 20.0, 1.0, 7.0, np.nan, 1.0])
    limits = {"suspect_high": 5.0, "fail_high": 10.0}
    for act_on, expected in (("suspect", [0, 2, 0, 2, 1, 0]), ("fail", [0, 2, 0, 0, 1, 0])):
        policy = Policy(on_flag={"range": "null", "missing": "impute"}, act_on=act_on, fill="linear")  # type: ignore[arg-type]
        got, _ = controlled(tmp_path, time, value, policy, limits)
        assert got["action"].tolist() == expected
        assert got["filled"][4] == (1.0 if act_on == "suspect" else 4.0)
        assert np.isnan(np.delete(got["filled"], 4)).all()


def test_the_strongest_of_several_actions_is_taken(tmp_path: Path) -> None:
    policy = Policy(on_flag={"range": "impute", "spike": "reject"}, fill="median")
    got, _ = controlled(tmp_path, np.arange(5) * SECOND, np.array([1.0, 1, 50, 1, 1]), policy, {"suspect_high": 9.0, "spike": 10.0})
    assert got["action"].tolist() == [0, 3, 3, 3, 0]  # spike by the mean of both neighbours tells on these too


def plain(method: str, gap: float, time: list[int], value: list[float], good: list[bool], hours: int) -> list[float]:
    """Fill every reading by the definition."""
    out = []
    for place, moment in enumerate(time):
        before = [i for i in range(place + 1) if good[i]]
        after = [i for i in range(place, len(time)) if good[i]]
        level = math.nan
        if method == "forward" and before and moment - time[before[-1]] <= gap * SECOND:
            level = value[before[-1]]
        if method == "linear" and before and after and time[after[0]] - time[before[-1]] <= gap * SECOND:
            left, right = before[-1], after[0]
            level = value[left]
            if time[right] > time[left]:
                level += (value[right] - value[left]) * ((moment - time[left]) / (time[right] - time[left]))
        if method in ("median", "seasonal"):
            alike = [
                value[i] for i in range(len(time)) if good[i] and time[i] // (3600 * SECOND) % hours == moment // (3600 * SECOND) % hours
            ]
            level = float(np.median(alike)) if alike else math.nan
        out.append(level)
    return out


@settings(max_examples=25)
@given(
    method=st.sampled_from(["forward", "linear", "median", "seasonal"]),
    season=st.sampled_from(["day", "week"]),
    gap=st.sampled_from([math.inf, 7200.0]),
    rows=st.integers(0, 60),
    size=st.sampled_from([1, 7, 60]),
    seed=st.integers(0, 99),
)
def test_filling_is_that_of_the_definition(method: Any, season: Any, gap: float, rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.integers(0, 5, rows)) * 1800 * SECOND - 10**15
    value, good = rng.normal(size=rows), rng.random(rows) < 0.6

    def parts() -> Iterator[Any]:
        return ((time[s : s + size], value[s : s + size], good[s : s + size]) for s in range(0, rows, size))

    filling = Filling(method, gap, season)
    filling.learn(parts)
    wanted = ~good
    got: list[float] = []
    for start, (moments, values, sound) in zip(range(0, rows, size), parts(), strict=True):
        got += filling.fill(moments, values, sound, wanted[start : start + size]).tolist()
    hours = {"median": 1, "seasonal": 24 if season == "day" else 168}.get(method, 1)
    expected = plain(method, gap, time.tolist(), value.tolist(), good.tolist(), hours)
    np.testing.assert_allclose(got, np.where(wanted, expected, np.nan), rtol=1e-13)


def series_of(value: np.ndarray, folder: Path) -> tuple[Series, SeriesWriter]:
    writer = SeriesWriter(ROLES, folder)
    writer.add(frame_of(np.arange(len(value)) * 60 * SECOND, value))
    (series,) = writer.series()
    return series, writer


def test_learnt_limits_follow_the_stated_rule(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    value = np.round(20 + rng.normal(size=2_000) ** 3, 2)
    value[rng.permutation(2_000)[:40]] = [-9999.0, 1e20] * 20
    series, writer = series_of(value, tmp_path)
    with writer:
        found = learn.learn(learn.Readings(series, (-9999.0, 1e20)), frozenset(learn.LEARNABLE), 6.0)
    good = np.where(np.isin(value, (-9999.0, 1e20)), np.nan, value)
    centre = np.nanmedian(good)
    change = np.abs(np.diff(good))
    moved = change[change > 1e-6]
    middle, upper = np.quantile(moved, [0.5, 0.95])
    half, far = (statistics.NormalDist().inv_cdf(share) for share in (0.75, 0.975))  # as half-normal sizes have these
    size = middle * (6 / half) ** (math.log(upper / middle) / math.log(far / half))
    assert size > 6 * middle / half  # the changes have a heavy tail
    assert found["suspect_low"] == pytest.approx(centre - 6 / half * np.median(centre - good[good < centre]), rel=1e-12)
    assert found["suspect_high"] == pytest.approx(centre + 6 / half * np.median(good[good > centre] - centre), rel=1e-12)
    assert found["spike_differential"] == found["hampel_floor"] == pytest.approx(size, rel=1e-9)
    assert found["rate"] == pytest.approx(size / 60, rel=1e-9)
    assert found["flat_tolerance"] == pytest.approx(0.005)
    text = "".join("=" if equal else "." for equal in np.diff(good[~np.isnan(good)]) == 0)
    lengths = np.array([len(run) + 1 for run in text.split(".")])
    assert found["flat"] == 60 * ((runs.odd_length(*np.unique(lengths, return_counts=True)) or 0) - 1)
    assert "rest" not in found
    assert (found["gap"], found["period"], found["jitter"], found["hampel"]) == (90.0, 60.0, 3.0, 6.0)


def test_normal_changes_are_limited_by_deviations(tmp_path: Path) -> None:
    series, writer = series_of(np.random.default_rng(5).normal(size=20_000), tmp_path)
    with writer:
        found = learn.learn(learn.Readings(series), frozenset(["range", "spike"]), 6.0)
    assert found["suspect_high"] == pytest.approx(6, rel=0.05)
    assert found["spike_differential"] == pytest.approx(6 * math.sqrt(2), rel=0.1)


@pytest.fixture
def power() -> np.ndarray:
    """Return the power of a plant by quarters of an hour: nothing at night, and two days on which the logger stood still."""
    rng = np.random.default_rng(1)
    moment = np.arange(96 * 30)
    value = np.round(np.maximum(0, np.sin(moment / 96 * 2 * np.pi)) * rng.uniform(0.2, 1, len(moment)), 6)
    value[96 * 12 + 30 : 96 * 12 + 80] = 0.377
    value[96 * 20 + 20 : 96 * 20 + 40] = 0.5
    return value


def test_a_value_at_which_a_sensor_rests_has_a_limit_of_its_own(tmp_path: Path, power: np.ndarray) -> None:
    time = np.arange(len(power)) * HOUR // 4
    got, thresholds = controlled(tmp_path, time, power, Policy(learn=frozenset(["flat"])), {})
    flat = got["bits"] >> TESTS.index("flat") & 1 != 0
    assert thresholds.values["rest"] == 0.0
    assert flat.tolist() == np.isin(power, (0.377, 0.5)).tolist()
    assert set(got["flag"][~flat]) == {1}
    assert "rest 0 (learnt)" in thresholds.described("flat")
    dead = power.copy()
    dead[96 * 22 :] = 0  # and no day comes after eight nights' length
    got, _ = controlled(tmp_path, time, dead, Policy(learn=frozenset(["flat"])), {})
    assert (got["bits"] >> TESTS.index("flat") & 1)[96 * 22 :].all()


@settings(max_examples=20)
@given(seed=st.integers(0, 99), chunk=st.sampled_from([64, 65, 4096]), longest=st.sampled_from([None, 60.0, 200.0]))
def test_runs_at_rest_are_tested_apart_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, seed: int, chunk: int, longest: float | None
) -> None:
    time, value = readings(500, seed)
    others = {"flat_tolerance": 0.25, "suspect_high": 9.0, "rate": 0.03, "suspect_low": -0.1, "gap": 30.0}
    every = {**others, "flat": 30.0, "flat_fail": 90.0}
    limits = {**every, "rest": 0.0} | ({} if longest is None else {"flat_at_rest": longest})
    got, every, alone = (
        controlled(tmp_path_factory.mktemp("rest"), time, value, Policy(sentinels=(-9999.0,)), one, chunk)[0]
        for one in (limits, every, {**others, "flat": longest or 1e9})
    )
    at_rest = np.abs(got["value"]) <= 0.25
    assert got["bits"].tolist() == np.where(at_rest, alone["bits"], every["bits"]).tolist()
    assert got["flag"].tolist() == np.where(at_rest, alone["flag"], every["flag"]).tolist()


def test_what_is_learnt_is_the_same_for_a_long_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = np.random.default_rng(3).normal(size=1_000)
    series, writer = series_of(value, tmp_path)
    with writer:
        tests = frozenset(learn.LEARNABLE)
        short = learn.learn(learn.Readings(series), tests, 5.0)
        monkeypatch.setattr(learn, "HELD", 10)
        monkeypatch.setattr(Series, "chunks", lambda self, size=70, chunks=Series.chunks: chunks(self, size))
        assert learn.learn(learn.Readings(series), tests, 5.0) == short


@pytest.mark.parametrize(
    "value",
    [np.full(500, 3.0), np.full(500, np.nan), np.arange(10.0), np.repeat([0.0, 5.0], [480, 20])],
    ids=["constant", "nothing", "short", "nearly constant"],
)
def test_nothing_is_learnt_where_the_readings_do_not_allow_it(tmp_path: Path, value: np.ndarray) -> None:
    series, writer = series_of(value, tmp_path)
    with writer:
        found = learn.learn(learn.Readings(series), frozenset(["range", "flat"]), 6.0)
    assert found == {}


def test_stated_limits_stand_before_learnt_ones_and_special_before_general() -> None:
    rows = checked_rows(
        [
            {"sensor": "a", "column": "t", "fail_low": 3},
            {"fail_low": 0, "rate": 9},
            {"column": "t", "fail_low": 1},
            {"sensor": "a", "fail_low": 2},
            {"sensor": "b", "spike": 1},
        ]
    )
    cases = [("a", "t", 3.0), ("a", "p", 2.0), ("b", "t", 1.0), (None, "p", 0.0)]
    assert [Thresholds.of(rows, sensor, column).values["fail_low"] for sensor, column, _ in cases] == [low for _, _, low in cases]
    stated = Thresholds.of(rows, "a", "t").with_learnt({"suspect_high": 1.0, "gap": 5.0})
    assert stated.values == {"fail_low": 3.0, "rate": 9.0, "gap": 5.0}
    assert stated.described("gap") == "gap 5 s (learnt)"


def test_thresholds_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"sensor": "7", "column": "t", "fail_low": -40.0}, {"column": "p", "gap": 60.0}]
    frame = pl.DataFrame(rows, schema={"sensor": pl.String, "column": pl.String, "fail_low": pl.Float64, "gap": pl.Float64})
    frame.write_csv(tmp_path / "limits.csv")
    frame.write_parquet(tmp_path / "limits.parquet")
    (tmp_path / "limits.toml").write_text(
        '[[limits]]\nsensor = "7"\ncolumn = "t"\nfail_low = -40.0\n[[limits]]\ncolumn = "p"\ngap = 60.0\n'
    )
    for kind in ("csv", "parquet", "toml"):
        assert checked_rows(read_rows(tmp_path / f"limits.{kind}")) == tuple(rows)
    with pytest.raises(ArgumentError, match=r"none.csv' cannot be read"):
        read_rows(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"fial_low": 1}, "row 1 of the limits has the unknown key 'fial_low'. Did you mean 'fail_low'"),
        ({"rate": "fast"}, "rate = 'fast', which is no number"),
        ({"fail_low": 2, "fail_high": 1}, "fail_span must go from low to high"),
        ({"flat": 60.0, "flat_at_rest": 600.0}, "flat_at_rest needs rest"),
        ({"flat": 60.0, "rest": 0.0, "flat_at_rest": -1.0}, "must not be negative"),
        ({"attenuated": 1.0}, "attenuated needs attenuated_window"),
        ({"hampel": 3.0, "hampel_window": 4}, "hampel_window must be odd"),
    ],
)
def test_wrong_limits_are_told(row: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        checked_rows([row])


def test_bits_have_names() -> None:
    bits = pl.Series("x__qc", [0, 1 << 3, (1 << 2) | (1 << (2 + FAIL)) | 1 << 4, None], dtype=pl.UInt32)
    assert bit_names(bits).to_list() == [[], ["spike"], ["range:fail", "rate"], None]
