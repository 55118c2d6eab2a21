"""What crosses the border between the pipeline and its workers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tamis_kernels.backend import Backend


@dataclass(frozen=True, slots=True)
class Loss:
    """Why one record had to be given up: the worker that read it died, hung or grew too large."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record may cost a worker."""

    seconds: float
    resident_bytes: int


class Context(Protocol):
    """What a running task can say to its executor."""

    def at(self, record: int) -> None:
        """Tell which record of the shard is being read: if the worker dies now, that record is the loss."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every later task of a worker is handed, and where its kernels run."""

    value: Any
    backend: Backend | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A call of a module-level function `function(setup, argument, lost, context)`, or of a `Plain` one, in some worker.

    `setup` is what the executor was last given, sent once to every worker. `lost` maps the records that killed earlier
    workers to the reason; `suspected` are those at which one worker died, which may not have been their fault. `gpu` is False where the
    work is the CPU's alone: workers without a GPU take such tasks first, those that have one take them last.
    """

    function: Callable[[Any, Any, Mapping[int, Loss], Context], Any]
    argument: Any
    lost: Mapping[int, Loss] = field(default_factory=dict)
    suspected: frozenset[int] = frozenset()
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class Plain:
    """A function of setup and argument alone, as a task has it: what kills its workers ends the run with their words."""

    function: Callable[[Any, Any], Any]

    def __call__(self, setup: Any, argument: Any, *_: object) -> Any:
        return self.function(setup, argument)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task that is done, and what its function returned."""

    task: Task
    value: Any


class Executor(Protocol):
    """Runs tasks in worker processes; where, and how many, leaves no trace in what they return."""

    @property
    def workers(self) -> int:
        """How many tasks are run at a time, at most."""

    def setup(self, value: Any, limits: Limits) -> None:
        """Hand `value` to every task from now on; `limits` is what one record may cost."""

    def map(self, tasks: Iterable[Task], *, stop: Callable[[], bool] = ...) -> Iterator[Outcome]:
        """Run tasks and yield their outcomes as they come, in no particular order.

        When `stop` turns true no further task is begun; those in hand are finished and yielded.

        Raises
        ------
        TamisError
            A task raised it.
        OSError
            A task could not write (full disk, no permission).
        WorkerError
            A task raised anything else, or workers die before they read a record.
        """

    def told(self) -> dict[str, Any]:
        """Return what the manifest says of where tasks ran: `jobs`, and what else there is to say."""


def sealed(task: Task) -> Task:
    """Return a task that a process can pass on, and whose result it can pass back, without importing what is in them."""
    return Task(_opened, pickle.dumps((task.function, task.argument), protocol=pickle.HIGHEST_PROTOCOL), task.lost, task.suspected)


def _opened(setup: Any, argument: bytes, lost: Mapping[int, Loss], context: Context) -> bytes:
    function, inner = pickle.loads(argument)
    return pickle.dumps(function(setup, inner, lost, context), protocol=pickle.HIGHEST_PROTOCOL)
