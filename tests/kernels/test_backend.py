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
    from pathlib import Path


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
        (set(), refuse, "the CUDA driver answered: driver too old"),
        (set(), lambda: 0, "no CUDA device is visible"),
        (set(), lambda: 1, None),
    ],
)
def test_what_keeps_cuda_from_running_is_told(
    monkeypatch: pytest.MonkeyPatch, absent: set[str], devices: Callable[[], int], problem: str | None
) -> None:
    monkeypatch.setattr(backend, "simulated", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else object())
    monkeypatch.setattr(importlib, "import_module", lambda _name: cupy_with(devices))
    told = backend.cuda_problem.__wrapped__()
    assert (problem in told) if problem and told else told == problem


def test_the_simulator_stands_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "simulated", lambda: True)
    assert backend.cuda_problem.__wrapped__() is None


def test_auto_takes_the_cpu_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    assert backend.resolve("auto") == backend.Backend("cpu", f"auto: {backend.UNMEASURED}")
    assert backend.resolve("cuda").name == "cuda"
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments",))
    assert backend.doctor()["cuda"] == "ready, but for moments"
    monkeypatch.setattr(backend, "without_cuda", lambda: ())
    assert backend.doctor()["cuda"] == "ready"
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    assert backend.resolve("auto") == backend.Backend("cpu", "auto: no card")
    assert backend.doctor() == {"cpu": "ready", "cuda": "no card", "auto": "cpu (auto: no card)"}


def test_cuda_asked_for_by_name_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    with pytest.raises(BackendUnavailableError, match="'cuda' cannot run here: no card"):
        backend.resolve("cuda")


def test_what_has_no_cuda_kernels_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments", "symbols"))
    with pytest.raises(BackendUnavailableError, match="moments has no CUDA kernel yet; call it with backend='cpu'"):
        backend.implementation("moments", "cuda")
    with pytest.raises(BackendUnavailableError, match="no CUDA kernels for moments, symbols"):
        backend.resolve_for_run("cuda")
    assert backend.resolve_for_run("cpu").name == "cpu"
    monkeypatch.setattr(backend, "without_cuda", lambda: ())
    assert backend.resolve_for_run("cuda").name == "cuda"


def test_operations_without_cuda_are_those_whose_folder_has_no_such_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert backend.without_cuda.__wrapped__() == ()
    for name in ("jpeg/cpu.py", "jpeg/cuda.py", "png/cpu.py", "other/reference.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(backend, "__file__", str(tmp_path / "backend.py"))
    assert backend.without_cuda.__wrapped__() == ("png",)


def test_a_backend_is_itself_and_an_unknown_name_is_refused() -> None:
    chosen = backend.Backend("reference", "a test")
    assert backend.resolve(chosen) is chosen
    assert backend.resolve("reference").reason == "reference was asked for"
    with pytest.raises(ArgumentError, match="one of auto, cpu, cuda, reference, got 'gpu'"):
        backend.resolve("gpu")  # type: ignore[arg-type]
