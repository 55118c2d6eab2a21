"""What crosses the border between the pipeline and its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """A call of a module-level function `function(setup, argument, lost, context)` in some worker.

    `setup` is what the executor was last given, sent once to every worker. `lost` maps the records that killed earlier
    workers to the reason; `suspected` are those at which one worker died, which may not have been their fault.
    """

    function: Callable[[Any, Any, Mapping[int, Loss], Context], Any]
    argument: Any
    lost: Mapping[int, Loss] = field(default_factory=dict)
    suspected: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task that is done, and what its function returned."""

    task: Task
    value: Any
