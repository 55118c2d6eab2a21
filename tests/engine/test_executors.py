"""Worker processes: what a hostile record costs is that record."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_tasks
import pytest

from tamis.errors import SourceError, WorkerError
from tamis.executors import Limits, LocalExecutor, Task, local, start_ahead, visible
from tamis_kernels.backend import Backend
from tamis_kernels.compiled import told_of_compiling

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOMY = Limits(seconds=30, resident_bytes=1 << 40)


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(2) as running:
        yield running


def run(executor: LocalExecutor, misdeeds: dict[int, str], limits: Limits, shards: int = 3) -> dict[int, list[object]]:
    executor.setup(misdeeds, limits)
    tasks = [Task(hostile_tasks.read_all, range(4 * shard, 4 * shard + 4)) for shard in range(shards)]
    return {outcome.task.argument.start: outcome.value for outcome in executor.map(tasks)}


@pytest.mark.parametrize("misdeed", ["crash", "exit"])
def test_a_dead_worker_costs_the_record_it_was_at(executor: LocalExecutor, misdeed: str) -> None:
    values = run(executor, {1: misdeed, 2: misdeed, 9: misdeed}, ROOMY)
    lost = "decoder_crashed"
    assert values == {0: [0, lost, lost, 3], 4: [4, 5, 6, 7], 8: [8, lost, 10, 11]}


def test_a_record_whose_worker_something_else_has_killed_is_read_again(executor: LocalExecutor, tmp_path: Path) -> None:
    assert run(executor, {5: f"once {tmp_path / 'mark'}"}, ROOMY)[4] == [4, 5, 6, 7]
    assert (tmp_path / "mark").exists()


def test_a_hanging_record_is_given_up(executor: LocalExecutor) -> None:
    assert run(executor, {5: "hang"}, Limits(0.5, 1 << 40))[4] == [4, "decoder_timeout", 6, 7]


def test_a_bloated_record_is_given_up(executor: LocalExecutor) -> None:
    assert run(executor, {5: "bloat"}, Limits(30, 400_000_000))[4] == [4, "decoder_memory", 6, 7]


def test_what_a_library_prints_does_not_enter_the_protocol(executor: LocalExecutor) -> None:
    assert run(executor, {5: "print"}, ROOMY)[4] == [4, 5, 6, 7]


def test_known_errors_pass_through_and_unknown_ones_are_wrapped(executor: LocalExecutor) -> None:
    with pytest.raises(SourceError, match="no such thing"):
        list(executor.map([Task(hostile_tasks.fail, SourceError("no such thing"))]))
    with pytest.raises(OSError, match="full") as caught:
        list(executor.map([Task(hostile_tasks.fail, OSError(errno.ENOSPC, "full"))]))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        list(executor.map([Task(hostile_tasks.fail, ZeroDivisionError("x"))]))


def test_workers_that_die_before_any_record_end_the_run_with_a_word(executor: LocalExecutor) -> None:
    with pytest.raises(WorkerError, match="before they read a record"):
        list(executor.map([Task(hostile_tasks.die_silently, None)]))


def test_each_worker_sees_a_gpu_of_its_own_and_has_its_share_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    assert visible(2) == ["3", "5"]
    names = ("CUDA_VISIBLE_DEVICES", "NUMBA_NUM_THREADS")
    with LocalExecutor(2, backend=Backend("cpu", "the run's"), threads=4, gpus=visible(3)) as executor:
        told = [outcome.value for outcome in executor.map([Task(hostile_tasks.told_by, names)] * 4)]
    assert {reason for reason, _ in told} == {"the run's"}
    assert {tuple(values) for _, values in told} == {("3", "4"), ("5", "4")}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible(2) == ["0", "1"]


def test_a_worker_that_was_started_ahead_takes_the_first_task() -> None:
    start_ahead("hostile_tasks")
    start_ahead("hostile_tasks")  # one is enough
    (ahead,) = local._ahead
    with LocalExecutor(1) as executor:
        executor.setup({}, ROOMY)
        assert [outcome.value for outcome in executor.map([Task(hostile_tasks.process, None)] * 2)] == [ahead.process.pid] * 2
    assert not local._ahead


def test_a_worker_that_was_started_ahead_for_nothing_ends_with_the_executor() -> None:
    start_ahead()
    (ahead,) = local._ahead
    with LocalExecutor(1, threads=2) as executor:
        assert [outcome.value for outcome in executor.map([Task(hostile_tasks.process, None)])] != [ahead.process.pid]
    assert ahead.process.poll() is not None
    assert not local._ahead


def test_a_worker_that_was_started_ahead_and_died_is_replaced(executor: LocalExecutor) -> None:
    start_ahead("no_such_module")
    (ahead,) = local._ahead
    assert ahead.process.wait(timeout=60) == 1
    assert run(executor, {}, ROOMY) == {0: [0, 1, 2, 3], 4: [4, 5, 6, 7], 8: [8, 9, 10, 11]}


def test_a_stop_finishes_what_is_in_hand(executor: LocalExecutor) -> None:
    executor.setup({}, ROOMY)
    tasks = [Task(hostile_tasks.read_all, range(shard, shard + 1)) for shard in range(50)]
    seen: list[object] = []
    for outcome in executor.map(tasks, stop=lambda: len(seen) >= 3):
        seen.append(outcome.value)  # noqa: PERF401 - the loop's own length is the stop
    assert 3 <= len(seen) <= 6


def test_the_first_process_hears_of_kernels_that_workers_compile() -> None:
    heard: list[bool] = []
    with told_of_compiling(heard.append), LocalExecutor(1) as executor:
        executor.setup(None, ROOMY)
        tasks = [Task(hostile_tasks.compile_anew, number) for number in range(2)]
        assert [outcome.value for outcome in executor.map(tasks)] == [1, 2]
    assert heard == [False]  # once


def test_what_kernels_take_to_compile_is_laid_to_no_record_and_what_comes_after_is() -> None:
    with LocalExecutor(1) as executor:
        executor.setup(None, Limits(seconds=1, resident_bytes=1 << 40))
        tasks = [Task(hostile_tasks.compile_long, hangs) for hangs in (False, True)]
        assert [outcome.value for outcome in executor.map(tasks)] == [{}, {0: "decoder_timeout"}]
