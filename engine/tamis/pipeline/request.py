"""What a run is asked to do, and the time that it takes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tamis.recipe import Recipe
    from tamis_kernels.backend import BackendName


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked to do; the answer depends on source, recipe and seed, never on jobs, cluster, backend or batch size.

    Without `jobs` a run takes one for each processor that this process may use; on a cluster, all that it has.
    """

    source: list[str]
    out: Path
    recipe: Recipe | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    backend: BackendName = "auto"
    jobs: int | None = None
    cluster: str | None = None
    batch_size: int | None = None
    overwrite: bool = False
    dry_run: bool = False
    against: tuple[str, ...] = ()
    memory: int | None = None
    gpu_memory: int | None = None
    resume_line: str = "run it again with the same arguments"


@dataclass(slots=True)
class Clock:
    """Seconds per stage."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.monotonic()
        yield
        self.stages[name] = round(time.monotonic() - start, 3)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.begun
