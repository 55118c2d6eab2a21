"""Sensor windows: copies with another gain, offset, a little noise or a sample of delay are found; unlike, constant and empty ones not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import tamis

COUNT, SAMPLES = 150, 256


def signals() -> NDArray[np.float64]:
    """Return slow random walks with three tones each, a few samples longer than a window."""
    random = np.random.default_rng(1)
    walks = np.cumsum(random.normal(size=(COUNT, SAMPLES + 4)), axis=1) * 0.3
    for _ in range(3):
        period, phase, size = random.uniform(10, 120, (COUNT, 1)), random.random((COUNT, 1)), random.normal(size=(COUNT, 1))
        walks += size * np.sin(2 * np.pi * (np.arange(SAMPLES + 4) / period + phase))
    return walks


def gone(tmp_path: Path, windows: NDArray[np.float64]) -> int:
    """Clean windows and return how many go."""
    (tmp_path / "in").mkdir()
    pl.DataFrame({"signal": windows.tolist()}, schema={"signal": pl.List(pl.Float64)}).write_parquet(tmp_path / "in" / "w.parquet")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", jobs=1)
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


def test_unlike_windows_stay(tmp_path: Path) -> None:
    assert gone(tmp_path, np.concatenate([signals()[:, :SAMPLES], -signals()[:, :SAMPLES]])) == 0


def test_constant_windows_say_nothing(tmp_path: Path) -> None:
    assert gone(tmp_path, np.repeat(np.arange(20.0)[:, None], SAMPLES, axis=1)) == 0


def test_gaps_are_segments_of_their_own(tmp_path: Path) -> None:
    windows = signals()[:20, :SAMPLES].copy()
    windows[:, 40:80] = np.nan
    assert gone(tmp_path, np.concatenate([windows, windows + 1.0])) == 20
