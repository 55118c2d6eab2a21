"""Giving memory back: it works on this system, and on one whose library of C has no `malloc_trim`."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tamis
from tamis.errors import OutputError
from tamis.pipeline import run as pipeline_run
from tamis.pipeline.memory import give_back, workers_within
from tamis.progress import Silent
from tamis_kernels import ArgumentError


def test_memory_in_use_stays_as_it_is() -> None:
    numbers, column = np.arange(100_000), pa.array(range(100_000))
    give_back()
    assert numbers.tolist() == column.to_pylist() == list(range(100_000))


def test_a_system_without_malloc_trim_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back()


@pytest.mark.parametrize(("memory", "jobs", "workers"), [(None, 7, 7), (10**12, 7, 7), (2_000_000_000, 8, 2), (1_100_000_000, 4, 1)])
def test_fewer_workers_run_where_memory_is_scarce(memory: int | None, jobs: int, workers: int) -> None:
    assert workers_within(memory, jobs) == workers


def test_a_budget_is_kept_and_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a,b\n1,2\n3,4\n")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", jobs=4, memory="1.2GB")
    assert result.manifest["timing"]["jobs"] == 1
    with pytest.raises(OutputError, match=r"500MB of memory is too little.*give 1\.1GB or more"):
        tamis.clean(tmp_path / "in", tmp_path / "out", memory="500MB", overwrite=True)


class Heard(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("installed", [True, False])
def test_what_a_gpu_may_give_is_checked_and_auto_says_why_it_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ArgumentError, match="1MB of GPU memory is too little: give 64MB or more"):
        tamis.clean(tmp_path / "in", tmp_path / "out", gpu_memory="1MB")
    with pytest.raises(ArgumentError, match="gpu_memory must be a number of bytes or a text such as 500MB or 2GB, got 'lots'"):
        tamis.clean(tmp_path / "in", tmp_path / "out", gpu_memory="lots")
    monkeypatch.setattr(pipeline_run, "wanted", lambda: installed)
    heard = Heard()
    result = tamis.clean(tmp_path / "in", tmp_path / "out", gpu_memory="1GB", progress=heard)
    reason = result.manifest["backend"]["reason"]
    assert reason.startswith("auto: ")
    assert (f"backend cpu, {reason}" in heard.lines) == installed
