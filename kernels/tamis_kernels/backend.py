"""The one place that decides where a kernel runs.

`auto` may choose, by what was measured on this machine (`tamis_kernels.crossovers`); a backend asked for by name never falls back to
another one.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from tamis_kernels import crossovers
from tamis_kernels.arrays import check_one_of
from tamis_kernels.compiled import simulated
from tamis_kernels.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

BackendName = Literal["auto", "cpu", "cuda", "reference"]

CUDA_INSTALL_LINE = "pip install 'tamis[cuda]'"
ROUNDED_OTHERWISE = ("ranks", "yeo_johnson")
"""Operations whose logarithms and exponentials are NVIDIA's: a run, whose answer is the same everywhere, leaves them to the CPU."""
LEAST_MEMORY = 64_000_000
"""Bytes of a device without which no run is begun: three batches of some megabytes, and their scratch."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend that can run here, and why it was taken.

    Attributes
    ----------
    name
        `cpu`, `cuda` or `reference`: the module that an operation's folder is asked for.
    reason
        One sentence for logs, manifest and report.
    on_cpu
        Operations that run on the CPU all the same.
    memory
        Bytes of a device that may be taken; None for all.
    least
        Of each operation the bytes handed over from which on it runs on CUDA; what is not named runs on the CPU. None: all does, from the
        first byte.
    """

    name: Literal["cpu", "cuda", "reference"]
    reason: str
    on_cpu: tuple[str, ...] = ()
    memory: int | None = None
    least: Mapping[str, float] | None = field(default=None, hash=False)

    def on_gpu(self, operation: str, work: float = math.inf) -> bool:
        """Return whether an operation that so many bytes are handed over to runs on CUDA; see `implementation` for its name."""
        if self.name != "cuda" or operation in self.on_cpu or folder_of(operation) in self.on_cpu:
            return False
        return self.least is None or (operation in self.least and work >= self.least[operation])


AnyBackend: TypeAlias = BackendName | Backend
"""A backend, or the name of one."""


def folder_of(operation: str) -> str:
    """Return the folder of an operation, whose name may go on with a dot and a function's."""
    return operation.partition(".")[0]


def _asked_for(name: Literal["cpu", "cuda", "reference"]) -> Backend:
    return Backend(name, f"{name} was asked for")


@cache
def cuda_problem() -> str | None:
    """Return why CUDA kernels cannot run here, or None when they can: on a device, or in Numba's simulator (NUMBA_ENABLE_CUDASIM=1)."""
    if simulated():
        return None
    if missing := _missing():
        return f"the packages {' and '.join(missing)} are not installed; install them with: {CUDA_INSTALL_LINE}"
    cupy = importlib.import_module("cupy")
    try:
        if cupy.cuda.runtime.getDeviceCount() == 0:
            return "no CUDA device is visible"
        free, total = cupy.cuda.runtime.memGetInfo()  # which fails where another process has the device to itself
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"the CUDA driver answered: {error}"
    if free < LEAST_MEMORY:
        return f"the GPU is busy: {free / 1e6:.0f} of its {total / 1e6:.0f} MB are free, and {LEAST_MEMORY / 1e6:.0f} MB are needed"
    return None


def _missing() -> list[str]:
    """Return the packages of the extra `cuda` that are not installed."""
    return [name for name in ("cupy", "numba_cuda") if importlib.util.find_spec(name) is None]


def wanted() -> bool:
    """Return whether somebody wants a GPU here: the extra is installed."""
    return not _missing()


def devices() -> int:
    """Return how many GPUs this process sees; the simulator is one."""
    return 1 if simulated() else int(importlib.import_module("cupy").cuda.runtime.getDeviceCount())


@cache
def without_cuda() -> tuple[str, ...]:
    """Return the operations that have no CUDA kernels yet."""
    folders = (folder for folder in Path(__file__).parent.iterdir() if (folder / "cpu.py").is_file())
    return tuple(sorted(folder.name for folder in folders if not (folder / "cuda.py").is_file()))


def _auto() -> Backend:
    problem = cuda_problem()
    return Backend("cpu", f"auto: {problem}") if problem else measured(run=False)


@cache
def measured(*, run: bool) -> Backend:
    """Return what `auto` is where CUDA can run, for a call or a run: what was measured on this machine says; it is read once."""
    found = crossovers.load()
    if isinstance(found, str):
        return Backend("cpu", f"auto: {found}")
    stay = (*without_cuda(), *ROUNDED_OTHERWISE)
    least = {name: size for name, size in found.crossovers(run=run).items() if folder_of(name) not in stay}
    source = f"auto: as measured on this machine on {found.day}"
    other = "all threads of the CPU" if run else "a call on the CPU"
    if not least:
        return Backend("cpu", f"{source}, CUDA is no faster than {other} in all operations")
    told = ", ".join(f"{name} from {crossovers.size(size)} on" for name, size in sorted(least.items()))
    never = tuple(dict.fromkeys(name for name in (*found.timings, *stay) if name not in least))
    return Backend("cuda", f"{source}, CUDA is faster than {other} in {told}; all else runs on the CPU", never, least=least)


def _cuda() -> Backend:
    problem = cuda_problem()
    if problem is not None:
        message = f"backend 'cuda' cannot run here: {problem}. Use the backend 'cpu' or 'auto' to run on the CPU."
        raise BackendUnavailableError(message)
    return _asked_for("cuda")


_RESOLVERS: dict[str, Callable[[], Backend]] = {
    "auto": _auto,
    "cpu": partial(_asked_for, "cpu"),
    "cuda": _cuda,
    "reference": partial(_asked_for, "reference"),
}


def resolve(backend: AnyBackend = "auto") -> Backend:
    """Turn a backend's name into a backend that can run here. While a run is on, `auto` is the one that it has chosen.

    Parameters
    ----------
    backend
        `auto`, `cpu`, `cuda`, `reference`, or a Backend, which is returned as it is.

    Raises
    ------
    ArgumentError
        The name is unknown.
    BackendUnavailableError
        `cuda` was asked for and cannot run here.
    """
    if isinstance(backend, Backend):
        return backend
    check_one_of("backend", backend, sorted(_RESOLVERS))
    if _runs and backend in ("auto", _runs[-1].name):
        return _runs[-1]
    return _RESOLVERS[backend]()


def resolve_for_run(backend: AnyBackend = "auto", memory: int | None = None) -> Backend:
    """Return what `resolve` does, for a run that may call every operation; `memory` is what it may take of each device.

    Raises
    ------
    ArgumentError
        The memory is too little for any batch.
    BackendUnavailableError
        As `resolve`.
    """
    chosen = resolve(backend)
    if backend == "auto" and not _runs and not cuda_problem():
        chosen = measured(run=True)
    if memory is not None and memory < LEAST_MEMORY:
        message = f"{memory / 1e6:.0f}MB of GPU memory is too little: give {LEAST_MEMORY / 1e6:.0f}MB or more, or leave it out"
        raise ArgumentError(message)
    if chosen.name != "cuda":
        return chosen
    lacking = [name for name in without_cuda() if name not in chosen.on_cpu]
    reason = f"{chosen.reason}; without CUDA kernels, and so on the CPU: {', '.join(lacking)}" if lacking else chosen.reason
    return replace(chosen, reason=reason, on_cpu=tuple(dict.fromkeys((*chosen.on_cpu, *lacking, *ROUNDED_OTHERWISE))), memory=memory)


_runs: list[Backend] = []


@contextmanager
def running(backend: Backend) -> Iterator[None]:
    """Let `auto`, and the backend's own name, mean this backend for as long as a run lasts, in all threads of the process."""
    _runs.append(backend)
    try:
        yield
    finally:
        _runs.pop()


def resident(backend: AnyBackend, *arrays: NDArray[np.generic], operations: Sequence[str]) -> AbstractContextManager[None]:
    """Keep arrays on the device while several operations look at them: they cross the link once.

    The arrays must be contiguous, and stay as they are. Nothing is kept where none of the operations would run on CUDA with them.
    """
    chosen, size = resolve(backend), sum(array.nbytes for array in arrays)
    if not any(chosen.on_gpu(one, size) for one in operations):
        return nullcontext()
    there: AbstractContextManager[None] = importlib.import_module("tamis_kernels.device").resident(*arrays)
    return there


def give_back() -> None:
    """Give memory of the device that is free, but held for later, to other processes."""
    if device := sys.modules.get("tamis_kernels.device"):
        device.give_back()


def implementation(operation: str, backend: AnyBackend, work: float = math.inf) -> ModuleType:
    """Import and return the module of an operation that runs on this backend.

    Parameters
    ----------
    operation
        The name of its folder; after a dot that of the function, where that is measured apart from the folder's main one.
    backend
        Where to run.
    work
        Bytes handed over, by which `auto` decides; what `tamis_kernels.cases` measures is told in the same bytes.

    Raises
    ------
    BackendUnavailableError
        As `resolve`; also where the operation has no kernels for that backend.
    """
    chosen, folder = resolve(backend), folder_of(operation)
    name = "cpu" if chosen.name == "cuda" and not chosen.on_gpu(operation, work) else chosen.name
    if name == "cuda":
        if folder in without_cuda():
            message = f"{folder} has no CUDA kernel yet; call it with backend='cpu'"
            raise BackendUnavailableError(message)
        importlib.import_module("tamis_kernels.device").bound(chosen.memory)
    return importlib.import_module(f"tamis_kernels.{folder}.{name}")


def doctor() -> dict[str, str]:
    """Return, per backend, whether it can run here; `auto` says which one it takes and why, in a call and in a run."""
    ready = f"ready, but for {', '.join(without_cuda())}" if without_cuda() else "ready"
    call, run = (f"{chosen.name} ({chosen.reason})" for chosen in (resolve(), resolve_for_run()))
    return {"cpu": "ready", "cuda": cuda_problem() or ready, "auto": call, "auto in a run": run}
