"""The one place that decides where a kernel runs.

`auto` may choose; a backend asked for by name never falls back to another one.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from numba import config

from tamis_kernels.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

BackendName = Literal["auto", "cpu", "cuda", "reference"]

CUDA_INSTALL_LINE = "pip install 'tamis[cuda]'"
UNMEASURED = "the CUDA kernels have not been measured on a GPU yet, so they run only where they are asked for"


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend that can run here, and why it was taken.

    Attributes
    ----------
    name
        `cpu`, `cuda` or `reference`: the module that an operation's folder is asked for.
    reason
        One sentence for logs, manifest and report.
    """

    name: Literal["cpu", "cuda", "reference"]
    reason: str


def _asked_for(name: Literal["cpu", "cuda", "reference"]) -> Backend:
    return Backend(name, f"{name} was asked for")


@cache
def cuda_problem() -> str | None:
    """Return why CUDA kernels cannot run here, or None when they can: on a device, or in Numba's simulator (NUMBA_ENABLE_CUDASIM=1)."""
    if simulated():
        return None
    missing = [name for name in ("cupy", "numba_cuda") if importlib.util.find_spec(name) is None]
    if missing:
        return f"the packages {' and '.join(missing)} are not installed; install them with: {CUDA_INSTALL_LINE}"
    cupy = importlib.import_module("cupy")
    try:
        if cupy.cuda.runtime.getDeviceCount() > 0:
            return None
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"the CUDA driver answered: {error}"
    return "no CUDA device is visible"


def simulated() -> bool:
    """Return whether CUDA kernels run in Numba's simulator, which needs no device and is very slow."""
    return bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]  # set when numba is imported


@cache
def without_cuda() -> tuple[str, ...]:
    """Return the operations that have no CUDA kernels yet."""
    folders = (folder for folder in Path(__file__).parent.iterdir() if (folder / "cpu.py").is_file())
    return tuple(sorted(folder.name for folder in folders if not (folder / "cuda.py").is_file()))


def _auto() -> Backend:
    problem = cuda_problem()
    return Backend("cpu", f"auto: {problem or UNMEASURED}")


def _cuda() -> Backend:
    problem = cuda_problem()
    if problem is not None:
        message = f"backend 'cuda' cannot run here: {problem}. Use --backend cpu or --backend auto to run on the CPU."
        raise BackendUnavailableError(message)
    return _asked_for("cuda")


_RESOLVERS: dict[str, Callable[[], Backend]] = {
    "auto": _auto,
    "cpu": partial(_asked_for, "cpu"),
    "cuda": _cuda,
    "reference": partial(_asked_for, "reference"),
}


def resolve(backend: BackendName | Backend = "auto") -> Backend:
    """Turn a backend's name into a backend that can run here.

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
    if backend not in _RESOLVERS:
        message = f"backend must be one of {', '.join(sorted(_RESOLVERS))}, got {backend!r}"
        raise ArgumentError(message)
    return _RESOLVERS[backend]()


def resolve_for_run(backend: BackendName | Backend = "auto") -> Backend:
    """Return what `resolve` does, for a run that may call every operation.

    Raises
    ------
    BackendUnavailableError
        As `resolve`; also where some operations have no kernels for that backend.
    """
    chosen = resolve(backend)
    if chosen.name == "cuda" and without_cuda():
        message = f"a whole run cannot take the backend 'cuda' yet: no CUDA kernels for {', '.join(without_cuda())}. Use --backend cpu."
        raise BackendUnavailableError(message)
    return chosen


def implementation(operation: str, backend: BackendName | Backend) -> ModuleType:
    """Import and return the module of an operation that runs on this backend.

    Raises
    ------
    BackendUnavailableError
        As `resolve`; also where the operation has no kernels for that backend.
    """
    chosen = resolve(backend)
    if chosen.name == "cuda" and operation in without_cuda():
        message = f"{operation} has no CUDA kernel yet; call it with backend='cpu'"
        raise BackendUnavailableError(message)
    return importlib.import_module(f"tamis_kernels.{operation}.{chosen.name}")


def doctor() -> dict[str, str]:
    """Return, per backend, whether it can run here; `auto` says which one it takes and why."""
    chosen = resolve("auto")
    ready = f"ready, but for {', '.join(without_cuda())}" if without_cuda() else "ready"
    return {"cpu": "ready", "cuda": cuda_problem() or ready, "auto": f"{chosen.name} ({chosen.reason})"}
