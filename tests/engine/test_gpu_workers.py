"""Workers with a GPU and workers without one, side by side: who takes what, and how many there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hostile_tasks
import pytest
from hostile_tasks import TOLD

from tamis.executors import Limits, LocalExecutor, Task
from tamis.pipeline import observe
from tamis.pipeline import run as pipeline_run
from tamis.pipeline.plan import Plan, Shard
from tamis.pipeline.request import Request
from tamis.recipe import Recipe
from tamis.sources.listing import SourceFile
from tamis_kernels.backend import Backend, running

if TYPE_CHECKING:
    from collections.abc import Mapping

ON_GPU, BESIDE = Backend("cuda", "has a GPU"), Backend("cpu", "has none")


@pytest.fixture(autouse=True)
def nothing_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def mixed(jobs: int = 2) -> LocalExecutor:
    return LocalExecutor(jobs, backend=ON_GPU, gpus=["7"], beside=BESIDE)


@pytest.mark.parametrize("kinds", [(False, True), (True, False)])
def test_each_worker_begins_with_tasks_of_its_kind(kinds: tuple[bool, bool]) -> None:
    with mixed() as executor:
        told = {one.task.gpu: one.value for one in executor.map(Task(hostile_tasks.told_by, TOLD, gpu=gpu) for gpu in kinds)}
        assert told == {True: ("has a GPU", ["7", "1", "1"]), False: ("has none", [None, "1", "1"])}
        assert executor.told() == {"jobs": 2, "gpus": [{"gpu": "7", "tasks": 1}], "beside": 1}


@pytest.mark.parametrize(("gpu", "first", "last"), [(True, "has a GPU", "has none"), (False, "has none", "has a GPU")])
def test_a_worker_that_has_no_work_of_its_own_takes_the_last_of_the_others(gpu: bool, first: str, last: str) -> None:
    with mixed() as executor:
        tasks = [Task(hostile_tasks.told_by, TOLD[:count], gpu=gpu) for count in range(3)]
        told = {len(one.task.argument): one.value[0] for one in executor.map(tasks)}
    assert (told[0], told[2]) == (first, last)


def test_without_gpus_tasks_are_begun_in_their_order() -> None:
    with LocalExecutor(1) as executor:
        tasks = [Task(hostile_tasks.read_all, range(number), gpu=True) for number in range(4)]
        executor.setup({}, Limits(30, 1 << 40))
        assert [len(one.value) for one in executor.map(tasks)] == [0, 1, 2, 3]


def test_the_only_worker_has_the_gpu_and_does_all() -> None:
    with mixed(1) as executor:
        told = [one.value for one in executor.map(Task(hostile_tasks.told_by, TOLD, gpu=gpu) for gpu in (False, True, False))]
        assert told == [("has a GPU", ["7", "1", "1"])] * 3
        assert executor.told() == {"jobs": 1, "gpus": [{"gpu": "7", "tasks": 3}], "beside": 0}


@pytest.mark.parametrize("gpu", [True, False])
def test_a_worker_that_dies_is_replaced_by_one_of_its_kind(gpu: bool, tmp_path: Path) -> None:
    with mixed() as executor:
        executor.setup({1: "crash", 2: f"once {tmp_path / 'mark'}"}, Limits(30, 1 << 40))
        tasks = [Task(hostile_tasks.read_all, range(4), gpu=gpu), Task(hostile_tasks.told_by, TOLD, gpu=not gpu)]
        read = {one.task.gpu: one.value for one in executor.map(tasks)}
        assert read[gpu] == [0, "decoder_crashed", 2, 3]
        again = {one.task.gpu: one.value for one in executor.map(Task(hostile_tasks.told_by, TOLD, gpu=kind) for kind in (True, False))}
        assert again == {True: ("has a GPU", ["7", "1", "1"]), False: ("has none", [None, "1", "1"])}


def test_a_stop_begins_no_task_of_either_kind() -> None:
    with mixed() as executor:
        tasks = [Task(hostile_tasks.told_by, TOLD, gpu=gpu) for gpu in (True, False) * 10]
        seen: list[object] = []
        for outcome in executor.map(tasks, stop=lambda: bool(seen)):
            seen.append(outcome.value)  # noqa: PERF401 - the loop's own length is the stop
    assert 1 <= len(seen) <= 3


@pytest.mark.parametrize(
    ("jobs", "gpus", "memory", "by_auto", "asked_for"),
    [
        (1, 2, None, (1, 0, 1), (1, 0, 1)),
        (2, 2, None, (2, 0, 1), (2, 0, 1)),
        (3, 2, None, (2, 1, 1), (2, 0, 1)),
        (16, 1, None, (1, 15, 1), (1, 0, 16)),
        (16, 4, 2_200_000_000, (3, 0, 1), (3, 0, 1)),
        (16, 2, 2_200_000_000, (2, 1, 1), (2, 0, 1)),
    ],
)
def test_processes_and_their_threads_are_at_most_as_many_as_jobs(
    jobs: int,
    gpus: int,
    memory: int | None,
    by_auto: tuple[int, int, int],
    asked_for: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline_run, "devices", lambda: gpus)
    request = Request(["in"], Path("out"), None, jobs=jobs, memory=memory)
    for least, (with_gpu, beside, threads) in (({"xxh3": 1.0}, by_auto), (None, asked_for)):
        executor = pipeline_run._here(request, Backend("cuda", "", least=least))
        assert (executor._most, executor._threads) == ({True: with_gpu, False: beside}, threads)


PNG, JPEG, ALSO = (SourceFile(name, f"/{name}", 9, 0, "media") for name in ("a.jpg.png", "b.JPG", "c/d.jpeg"))
SHARDS = (
    Shard(0, "media", 0, 2, (PNG, JPEG)),
    Shard(1, "media", 2, 3, (PNG, JPEG, ALSO)),
    Shard(2, "media", 5, 1, (JPEG,)),
    Shard(3, "table", 6, 9, (PNG,), 0, 9, "rows"),
    Shard(4, "problem", 15, 1),
)


@pytest.mark.parametrize(
    ("least", "first"),
    [
        (None, [1, 2, 3]),
        ({"photos": 1.0}, [1, 2, 3]),
        ({"jpeg": 1e6}, [1, 2, 3]),
        ({"fss.text_signatures": 1e6}, [3]),
        ({"png": 1.0, "hamming": 1.0}, [3]),
    ],
)
def test_a_gpu_may_be_faster_at_rows_and_at_jpegs_where_it_wins_at_these(least: Mapping[str, float] | None, first: list[int]) -> None:
    plan = Plan("", "out", Recipe.load(None), "auto", None, False, SHARDS, {}, {}, ())
    with running(Backend("cuda", "", least=least)):
        assert [task.argument[0][0].index for task in observe.tasks(plan, SHARDS, 1) if task.gpu] == first
