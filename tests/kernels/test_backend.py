"""Which backend runs: `auto` chooses and says why, a backend asked for by name runs or is refused."""

from __future__ import annotations

import importlib
import importlib.util
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tamis_kernels import backend
from tamis_kernels.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


class DriverError(Exception):
    """Stands for `cupy.cuda.runtime.CUDARuntimeError`."""


def refuse() -> int:
    message = "driver too old"
    raise DriverError(message)


def cupy_with(devices: Callable[[], int]) -> Any:
    """Return the part of CuPy that is asked for devices."""
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=devices, CUDARuntimeError=DriverError)))


@pytest.mark.parametrize(
    ("absent", "devices", "problem"),
    [
        ({"cupy", "numba_cuda"}, lambda: 1, "packages cupy and numba_cuda are not installed"),
        ({"numba_cuda"}, lambda: 1, "packages numba_cuda are not installed"),
        ({"tamis_kernels.minhash.cuda"}, lambda: 1, "no CUDA kernels yet"),
        (set(), refuse, "the CUDA driver answered: driver too old"),
        (set(), lambda: 0, "no CUDA device is visible"),
        (set(), lambda: 1, None),
    ],
)
def test_what_keeps_cuda_from_running_is_told(
    monkeypatch: pytest.MonkeyPatch, absent: set[str], devices: Callable[[], int], problem: str | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else object())
    monkeypatch.setattr(importlib, "import_module", lambda _name: cupy_with(devices))
    told = backend.cuda_problem.__wrapped__()
    assert (problem in told) if problem and told else told == problem


def test_auto_takes_cuda_where_it_runs_and_the_cpu_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    assert backend.resolve("auto") == backend.Backend("cuda", "auto: a CUDA device answers")
    assert backend.resolve("cuda").name == "cuda"
    assert backend.doctor() == {"cpu": "ready", "cuda": "ready", "auto": "cuda (auto: a CUDA device answers)"}
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    assert backend.resolve("auto") == backend.Backend("cpu", "auto: no card")
    assert backend.doctor() == {"cpu": "ready", "cuda": "no card", "auto": "cpu (auto: no card)"}


def test_cuda_asked_for_by_name_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    with pytest.raises(BackendUnavailableError, match="'cuda' cannot run here: no card"):
        backend.resolve("cuda")


def test_a_backend_is_itself_and_an_unknown_name_is_refused() -> None:
    chosen = backend.Backend("reference", "a test")
    assert backend.resolve(chosen) is chosen
    assert backend.resolve("reference").reason == "reference was asked for"
    with pytest.raises(ArgumentError, match="one of auto, cpu, cuda, reference, got 'gpu'"):
        backend.resolve("gpu")  # type: ignore[arg-type]
