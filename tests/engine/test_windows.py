"""Sensor windows: copies with another gain, offset, a little noise or a sample of delay are found; others of their shape are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import ArrayLike, NDArray

import tamis
from tamis.near.shingles import accuracy

COUNT, SAMPLES = 150, 256


def signals() -> NDArray[np.float64]:
    """Return slow random walks with three tones each, a few samples longer than a window."""
    random = np.random.default_rng(1)
    walks = np.cumsum(random.normal(size=(COUNT, SAMPLES + 4)), axis=1) * 0.3
    for _ in range(3):
        period, phase, size = random.uniform(10, 120, (COUNT, 1)), random.random((COUNT, 1)), random.normal(size=(COUNT, 1))
        walks += size * np.sin(2 * np.pi * (np.arange(SAMPLES + 4) / period + phase))
    return walks


def gone(tmp_path: Path, windows: NDArray[np.float64], **settings: Any) -> int:
    """Clean windows and return how many go."""
    (tmp_path / "in").mkdir()
    pl.DataFrame({"signal": windows.tolist()}, schema={"signal": pl.List(pl.Float64)}).write_parquet(tmp_path / "in" / "w.parquet")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", settings=settings, jobs=1)
    reasons = result.rejected.group_by("reason").len().collect()
    assert set(reasons["reason"]) <= {"near_duplicate_window"}
    return int(reasons["len"].sum())


@pytest.mark.parametrize(
    ("change", "least"),
    [("gain and offset", 1.0), ("noise of 1 %", 1.0), ("noise of 3 %", 0.98), ("one sample of delay", 0.75), ("all of these", 0.75)],
)
def test_changed_copies_are_found(tmp_path: Path, change: str, least: float) -> None:
    random, long = np.random.default_rng(2), signals()
    windows = long[:, :SAMPLES]
    noise = random.normal(size=windows.shape) * windows.std(axis=1, keepdims=True)
    copies = {
        "gain and offset": 3.7 * windows + 12,
        "noise of 1 %": windows + 0.01 * noise,
        "noise of 3 %": windows + 0.03 * noise,
        "one sample of delay": long[:, 1 : SAMPLES + 1],
        "all of these": 2 * (long[:, 1 : SAMPLES + 1] + 0.01 * noise) - 5,
    }[change]
    assert COUNT >= gone(tmp_path, np.concatenate([windows, copies])) >= least * COUNT


def smooth(random: np.random.Generator, noise: float) -> dict[str, NDArray[np.float64]]:
    """Return windows of curves that have one form and seven sizes each, with noise of their own."""
    time, size = np.arange(SAMPLES) / SAMPLES, np.geomspace(1, 2, 7)[:, None]
    forms = {
        "tone": np.sin(2 * np.pi * time),
        "fast tone": np.sin(2 * np.pi * 12 * time),
        "cooling": np.exp(-3 * time),
        "ramp": time**2,
        "beat": np.sin(2 * np.pi * 5 * time) + np.sin(2 * np.pi * 6 * time),
    }
    made = {name: 20 + size * form for name, form in forms.items()}
    return {name: form + noise * form.std(axis=1, keepdims=True) * random.standard_normal(form.shape) for name, form in made.items()}


@pytest.mark.parametrize("noise", [0.0, 0.002, 0.01, 0.02])
def test_smooth_windows_of_one_form_and_other_sizes_are_no_copies(tmp_path: Path, noise: float) -> None:
    windows = np.concatenate(list(smooth(np.random.default_rng(7), noise).values()))
    assert gone(tmp_path, windows) == 0
    (tmp_path / "again").mkdir()
    copies = np.concatenate([windows, windows + 0.01 * windows.std(axis=1, keepdims=True)])
    assert gone(tmp_path / "again", copies) == len(windows)


def test_level_and_spread_count_in_rough_windows_too_where_that_is_wanted(tmp_path: Path) -> None:
    windows = signals()[:30, :SAMPLES]
    deviation = windows.std(axis=1, keepdims=True)
    copies = [1.5 * windows, windows + deviation, 1.01 * windows + 0.01 * deviation]
    assert gone(tmp_path, np.concatenate([windows, *copies]), **{"near_duplicates.rescaled": False}) == 30


def test_accuracy_and_correlation_make_the_concordance() -> None:
    random = np.random.default_rng(8)
    one, other = random.normal(3, 2, 100), random.normal(3, 2, 100)
    other += one
    figures = [np.array([side.mean(), side.std()]) for side in (one, other)]
    lin = 2 * np.cov(one, other, bias=True)[0, 1] / (one.var() + other.var() + (one.mean() - other.mean()) ** 2)
    assert accuracy(*figures) * np.corrcoef(one, other)[0, 1] == pytest.approx(lin)
    assert accuracy(figures[0], figures[0]) == 1


def test_unlike_windows_stay(tmp_path: Path) -> None:
    assert gone(tmp_path, np.concatenate([signals()[:, :SAMPLES], -signals()[:, :SAMPLES]])) == 0


def test_constant_windows_say_nothing(tmp_path: Path) -> None:
    assert gone(tmp_path, np.repeat(np.arange(20.0)[:, None], SAMPLES, axis=1)) == 0


def padded(random: np.random.Generator, width: int) -> list[int]:
    """Return the numbers of a sentence's words, filled up with zeros."""
    words = random.integers(1_000, 30_000, random.integers(5, 30))
    return [*words.tolist(), *[0] * (width - len(words))]


@pytest.mark.parametrize("what", ["boxes", "classes", "many classes", "tokens", "masks", "spikes", "days"])
def test_lists_that_share_a_shape_and_are_no_copies_stay(tmp_path: Path, what: str) -> None:
    random, rows = np.random.default_rng(4), 200
    time = np.arange(SAMPLES)
    lists: Callable[[], ArrayLike] = {
        "boxes": lambda: random.uniform(0, 500, 4).round(3),
        "classes": lambda: np.eye(10)[random.integers(10)],
        "many classes": lambda: random.random(80) < 0.1,
        "tokens": lambda: padded(random, 128),
        "masks": lambda: np.array(padded(random, 128)) > 0,
        "spikes": lambda: 100 * (abs(time - random.integers(SAMPLES)) < 3) + random.normal(0, 0.5, SAMPLES),
        "days": lambda: random.uniform(3, 8) * np.sin(2 * np.pi * time / SAMPLES) + np.cumsum(random.normal(0, 0.1, SAMPLES)),
    }[what]
    frame = pl.DataFrame({"row": range(rows), "list": [np.array(lists(), np.float64).tolist() for _ in range(rows)]})
    frame.write_parquet(tmp_path / "w.parquet")
    assert len(tamis.clean(tmp_path / "w.parquet", tmp_path / "out", jobs=1).rejected.collect()) == 0


def test_each_channel_of_a_row_must_be_that_of_its_copy(tmp_path: Path) -> None:
    windows = signals()[:, :SAMPLES].reshape(10, 15, SAMPLES)
    copies = 2 * windows
    copies[3] = copies[3, :, ::-1]
    copies[3, :5] = windows[3, :5]
    frame = pl.DataFrame({f"channel {number}": [*windows[number].tolist(), *copies[number].tolist()] for number in range(10)})
    frame.write_parquet(tmp_path / "w.parquet")
    result = tamis.clean(tmp_path / "w.parquet", tmp_path / "out", jobs=1)
    assert result.rejected.select("row").collect().to_series().to_list() == list(range(15, 20))


def test_a_later_batch_of_windows_of_one_shape_is_kept_and_copies_are_not(tmp_path: Path) -> None:
    random, time = np.random.default_rng(5), np.arange(SAMPLES)
    days = [np.sin(2 * np.pi * time / SAMPLES) + np.cumsum(random.normal(0, 0.02, SAMPLES)) for _ in range(40)]
    pl.DataFrame({"day": [day.tolist() for day in days[:20]]}).write_parquet(tmp_path / "first.parquet")
    later = [*days[20:], *(3 * day + 1 for day in days[:20])]
    pl.DataFrame({"day": [day.tolist() for day in later]}).write_parquet(tmp_path / "later.parquet")
    tamis.clean(tmp_path / "first.parquet", tmp_path / "out", jobs=1)
    result = tamis.clean(tmp_path / "later.parquet", tmp_path / "more", against=tmp_path / "out", jobs=1)
    assert result.rejected.select("row").collect().to_series().to_list() == list(range(20, 40))


@pytest.mark.parametrize("change", ["noise of 1 %", "noise of 3 %", "all of these", "two channels"])
def test_copies_of_windows_of_an_earlier_run_are_found_as_within_one_run(tmp_path: Path, change: str) -> None:
    random, long = np.random.default_rng(6), signals()
    windows = long[:, :SAMPLES]
    noise = random.normal(size=windows.shape) * windows.std(axis=1, keepdims=True)
    copies = {
        "noise of 1 %": windows + 0.01 * noise,
        "noise of 3 %": windows + 0.03 * noise,
        "all of these": 2 * (long[:, 1 : SAMPLES + 1] + 0.01 * noise) - 5,
        "two channels": windows + 0.01 * noise,
    }[change]
    others = [-windows, smooth(random, 0.01)["cooling"]]
    halves = [smooth(random, 0.01)["tone"][::2], smooth(random, 0.01)["tone"][1::2]]  # of one form and other sizes
    channels = {"a": slice(None, None, 1), "b": slice(None, None, -1)} if change == "two channels" else {"a": slice(None)}

    def write(name: str, rows: NDArray[np.float64]) -> Path:
        frame = pl.DataFrame({channel: rows[:, order].tolist() for channel, order in channels.items()})
        frame.write_parquet(tmp_path / name)
        return tmp_path / name

    first, later = np.concatenate([windows, halves[0]]), np.concatenate([copies, *others, halves[1]])
    tamis.clean(write("first.parquet", first), tmp_path / "one", jobs=1)
    result = tamis.clean(write("later.parquet", later), tmp_path / "two", against=tmp_path / "one", jobs=1)
    told = result.rejected.select("row", "kept").collect()
    assert COUNT >= len(told) >= (0.75 if change == "all of these" else 0.98) * COUNT
    assert told["kept"].str.extract(r"#(\d+)$").cast(pl.Int64).to_list() == told["row"].to_list()


def test_gaps_are_segments_of_their_own(tmp_path: Path) -> None:
    windows = signals()[:20, :SAMPLES].copy()
    windows[:, 40:80] = np.nan
    assert gone(tmp_path, np.concatenate([windows, windows + 1.0])) == 20
