"""Runs with one job take place in the process of the test."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tamis.executors import LocalExecutor, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Here(LocalExecutor):
    """Runs tasks in this process, handed over by pickle as to a worker."""

    def map(self, tasks: Iterable[Task], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        setup = pickle.loads(self._setup)
        for task in list(tasks):
            if stop():
                return
            function, argument, lost = pickle.loads(pickle.dumps((task.function, task.argument, task.lost)))
            yield Outcome(task, pickle.loads(pickle.dumps(function(setup.value, argument, lost, self))))

    def at(self, record: int) -> None:
        """Keep nothing: a record that ends its worker is a test of its own, with two jobs."""


@pytest.fixture(autouse=True)
def one_job_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for a single job: that takes a second, a hundred times. Runs with more jobs and the command start their own."""

    def executor(jobs: int, **more: Any) -> LocalExecutor:
        return Here(jobs, **more) if jobs == 1 and not more.get("gpus") else LocalExecutor(jobs, **more)

    for module in ("run", "readings"):
        monkeypatch.setattr(f"tamis.pipeline.{module}.LocalExecutor", executor)
