"""Whole runs on compiled kernels, whose worker processes have the emulator too: what happens in them is seen here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import signatures
from emulator import journal
from running import balanced
from whole_runs import SETTINGS, corpus, told, windows

import tamis
from tamis.errors import WorkerError
from tamis.executors import local
from tamis.pipeline.observe import observe_shards
from tamis_kernels import backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from tamis.executors import Task

    Told = dict[int, dict[str, list[str]]]

SCARCE = 1_300_000
"""Bytes of a device: a little more than the largest table takes, which must fit."""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Told]:
    """Return a function that says what each worker process has written so far."""
    folder = tmp_path / "journal"
    folder.mkdir()
    monkeypatch.setenv("EMULATED_JOURNAL", str(folder))
    return lambda: {process: found for process, found in journal.read(folder).items() if process != os.getpid()}


def cleaned(source: Path, out: Path, where: backend.BackendName, **more: Any) -> dict[str, bytes]:
    """Clean a source, and return what is left."""
    result = tamis.clean(source, out, settings=SETTINGS | {"shards.files": 13}, backend=where, **more)
    assert balanced(result.manifest)
    return told(out)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("source") / "corpus", times=120)


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return cleaned(source, tmp_path_factory.mktemp("cpu") / "out", "cpu", jobs=1)


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("EMULATED_GPUS", "2")


def assert_each_of_two_has_its_own(found: Told) -> None:
    told = found.values()
    assert sorted(one["sees"] for one in told) == [["0"], ["1"]]
    assert all(one["ran"] for one in told)
    assert not any("fault" in one for one in told)


@pytest.mark.usefixtures("two_gpus")
def test_each_of_two_workers_has_a_device_of_its_own_and_goes_on_in_smaller_batches_where_its_memory_ends(
    source: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Callable[[], Told]
) -> None:
    monkeypatch.setenv("EMULATED_MEMORY", str(SCARCE))  # which is not what it says
    assert backend.devices() == 2
    assert differing(cleaned(source, tmp_path / "out", "cuda", jobs=3), expected) == []
    found = workers()
    assert_each_of_two_has_its_own(found)
    assert any("refused" in one for one in found.values())


def test_a_run_keeps_to_the_memory_that_it_may_take(
    source: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Callable[[], Told]
) -> None:
    monkeypatch.setattr(backend, "LEAST_MEMORY", SCARCE)
    assert differing(cleaned(source, tmp_path / "out", "cuda", jobs=2, gpu_memory=SCARCE), expected) == []
    (found,) = workers().values()
    assert found["bounded"] == [str(SCARCE)]
    assert "fault" not in found


WON: dict[str, float | None] = {"photos": 1, "fss.text_signatures": 1, "windows": 1, "moments": 1, "affine": 1, "xxh3": None}


@pytest.fixture
def won(measured_here: Callable[[dict[str, float | None]], None]) -> None:
    measured_here(WON)


def timing(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "manifest.json").read_text())["timing"]
    return told


@pytest.mark.usefixtures("two_gpus", "won")
def test_by_auto_workers_without_a_gpu_stand_beside_those_that_have_one(
    source: Path, expected: dict[str, bytes], tmp_path: Path, workers: Callable[[], Told]
) -> None:
    assert differing(cleaned(source, tmp_path / "out", "auto", jobs=3), expected) == []
    told = timing(tmp_path / "out")
    assert (told["jobs"], [one["gpu"] for one in told["gpus"]]) == (3, ["0", "1"])
    assert min(told["beside"], *(one["tasks"] for one in told["gpus"])) > 0
    assert_each_of_two_has_its_own(workers())  # the third does not even look for one


@pytest.mark.usefixtures("won")
def test_by_auto_the_only_worker_has_a_gpu(source: Path, expected: dict[str, bytes], tmp_path: Path, workers: Callable[[], Told]) -> None:
    assert differing(cleaned(source, tmp_path / "out", "auto", jobs=1), expected) == []
    assert timing(tmp_path / "out")["beside"] == 0
    (found,) = workers().values()
    assert found["ran"]


@pytest.mark.usefixtures("won")
@pytest.mark.parametrize("gpu", [True, False], ids=["with a GPU", "without"])
def test_a_worker_that_dies_leaves_no_trace(
    gpu: bool,
    source: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: Callable[[], Told],
) -> None:
    killed: list[int] = []
    start = local._Worker.start

    def start_and_kill(worker: local._Worker, task: Task) -> None:
        start(worker, task)
        if not killed and task.function is observe_shards and (worker.gpu is not None) is gpu:
            killed.append(worker.process.pid)
            worker.process.kill()

    monkeypatch.setattr(local._Worker, "start", start_and_kill)
    assert differing(cleaned(source, tmp_path / "out", "auto", jobs=2), expected) == []
    assert len(killed) == 1
    assert any("ran" in found for found in workers().values())


SABOTAGE = {
    r"tamis_kernels\.windows\.describe_windows\(.*is launched, but not in SIGNATURES": """
for name in ("f32", "f64"):
    del SIGNATURES["windows", "describe_windows", name]
""",
    r"KernelFault: .*leaves its arrays": """
from emulator import checks

whole = checks.spans_of
checks.spans_of = lambda arrays: whole([array.reshape(-1)[: array.size // 2] for array in arrays])
""",
    r"KernelFault: .*touches what thread .* touches, and nothing orders them": """
from emulator import checks

checks.EPOCH = checks.WORDS - 1  # no barrier is counted
""",
}


@pytest.mark.parametrize("fault", SABOTAGE, ids=["unknown types", "memcheck", "racecheck"])
def test_a_fault_in_a_worker_ends_the_run_and_is_told(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Callable[[], Told]
) -> None:
    (tmp_path / "found first").mkdir()
    (tmp_path / "found first" / "signatures.py").write_text(Path(signatures.__file__).read_text() + SABOTAGE[fault])
    monkeypatch.syspath_prepend(tmp_path / "found first")
    (tmp_path / "corpus").mkdir()
    windows(np.random.default_rng(1), 6).write_parquet(tmp_path / "corpus" / "windows.parquet")
    with pytest.raises(WorkerError, match=fault):
        tamis.clean(tmp_path / "corpus", tmp_path / "out", settings=SETTINGS, backend="cuda", jobs=1)
    (found,) = workers().values()  # one, which nobody started again
    assert ("fault" in found) == ("KernelFault" in fault)
