"""Readings are sorted, tested and amended in the workers: any number of them, and any cut of the work, leaves the same bytes."""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import hostile_tasks
import numpy as np
import polars as pl
import pytest
from running import command, outputs

import tamis
from tamis.checks.quality_control import sorting
from tamis.executors import Limits, LocalExecutor
from tamis.pipeline import amend
from tamis.pipeline.judge import Books
from tamis.pipeline.plan import Plan
from tamis.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS: dict[str, Any] = {
    "near_duplicates.enabled": False,
    "shards.rows": 70,
    "quality_control.enabled": True,
    "quality_control.limits": [{"column": "level", "suspect_high": 6.0}, {"sensor": "s3", "gap": 900.0}],
    "quality_control.learn": ["range", "spike", "rate", "flat", "hampel"],
    "quality_control.on_flag": {"range": "impute", "gap": "reject"},
    "quality_control.impute": "linear",
    "quality_control.flags": True,
}


def write(folder: Path, files: int = 5, rows: int = 200, sensor: str = "station") -> Path:
    """Write readings of seven sensors in no order, in several files: some are far off, some have no time."""
    folder.mkdir()
    random = np.random.default_rng(8)
    start = datetime(2025, 3, 1)
    for number in range(files):
        place = random.permutation(rows) + number * rows
        level = np.round(random.normal(2, 0.5, rows), 2)
        level[random.random(rows) < 0.03] = 9.0
        moments = [None if one % 41 == 0 else start + timedelta(seconds=60 * int(one) + (1200 if one > 500 else 0)) for one in place]
        names = [None if one % 97 == 0 else f"s{one % 7}" for one in place]
        columns = {"time": moments, sensor: names, "level": level, "volts": random.normal(12, 0.1, rows), "number": place}
        pl.DataFrame(columns).write_parquet(folder / f"part{number}.parquet")
    return folder


@pytest.mark.parametrize("by_sensor", [True, False])
def test_neither_jobs_nor_shares_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_sensor: bool) -> None:
    source = write(tmp_path / "in", sensor="station" if by_sensor else "remark")
    settings = SETTINGS | {"quality_control.by_sensor": by_sensor}
    tamis.clean(source, tmp_path / "whole", settings=settings, jobs=1)
    monkeypatch.setattr(sorting, "LEAST_READINGS", 100)
    monkeypatch.setattr(sorting, "MOST_SHARES", 6)
    monkeypatch.setattr(amend, "LEAST_ROWS", 250)
    monkeypatch.setattr(amend, "MOST_PARTS", 4)
    for jobs in (1, 3):
        cut = tamis.clean(source, tmp_path / f"jobs{jobs}", settings=settings, jobs=jobs)
        assert outputs(cut.out) == outputs(tmp_path / "whole")
    notes = cut.notes.filter(pl.col("check") == "quality_control").collect()
    assert {"range", "no_time"} <= set(notes["reason"])
    rows = notes.select("source", "row").rows()
    assert rows == sorted(rows)
    assert cut.manifest["checks"]["quality_control"]["series"] == (16 if by_sensor else 2)
    assert set(cut.rejected.collect()["reason"]) >= {"gap"} if by_sensor else True
    assert not list(tmp_path.rglob("scratch"))


def test_a_file_is_a_sensor_whatever_part_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in")
    for path in source.iterdir():
        pl.read_parquet(path).drop("station").write_parquet(path)
    monkeypatch.setattr(amend, "LEAST_ROWS", 1)
    tamis.clean(source, tmp_path / "out", settings=SETTINGS, jobs=1)
    series = pl.read_parquet(tmp_path / "out" / "series.parquet")
    assert series["sensor"].to_list() == [f"part{number}.parquet" for number in range(5) for _ in range(2)]
    assert series["readings"].sum() == 2 * sum(one % 41 != 0 for one in range(1000))


def test_what_is_spread_comes_in_order_also_where_workers_die(tmp_path: Path) -> None:
    plan = Plan("", str(tmp_path), Recipe.load(None), "cpu", None, False, (), {}, {}, ())
    with LocalExecutor(2) as executor:
        executor.setup(plan, Limits(30, 1 << 40))
        books = Books(plan, (), executor.map)
        work = [(place, tmp_path / "mark" if place == 1 else None) for place in range(6)]
        assert list(books.spread(hostile_tasks.slow_first, work)) == list(range(6))
    assert (tmp_path / "mark").exists()


def test_a_run_that_is_stopped_while_readings_are_judged_goes_on(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in", files=8, rows=20_000), tmp_path / "out"
    settings = {"quality_control.enabled": 1, "quality_control.flags": 1, "quality_control.learn": ["range", "spike", "flat", "hampel"]}
    tamis.clean(source, tmp_path / "undisturbed", settings=settings, jobs=1)
    process = subprocess.Popen(command(source, out, settings=settings), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not (out / ".tamis" / "judged" / "scratch").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (out / "manifest.json").exists()
    tamis.clean(source, out, settings=settings, jobs=1)
    assert outputs(out) == outputs(tmp_path / "undisturbed")
