"""Which backend runs: `auto` chooses and says why, a backend asked for by name runs or is refused."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tamis_kernels import backend, crossovers, moments
from tamis_kernels.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


class DriverError(Exception):
    """Stands for `cupy.cuda.runtime.CUDARuntimeError`."""


def refuse() -> int:
    message = "driver too old"
    raise DriverError(message)


def cupy_with(devices: Callable[[], int], free: Callable[[], int] = lambda: 10**9) -> Any:
    """Return the part of CuPy that is asked for devices."""
    runtime = SimpleNamespace(getDeviceCount=devices, memGetInfo=lambda: (free(), 10**10), CUDARuntimeError=DriverError)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


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


@pytest.mark.parametrize(
    ("free", "problem"),
    [(refuse, "the CUDA driver answered: driver too old"), (lambda: 10**7, "the GPU is busy: 10 of its 10000 MB are free")],
)
def test_a_gpu_that_others_hold_is_none(monkeypatch: pytest.MonkeyPatch, free: Callable[[], int], problem: str) -> None:
    monkeypatch.setattr(backend, "simulated", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(importlib, "import_module", lambda _name: cupy_with(lambda: 1, free))
    assert problem in str(backend.cuda_problem.__wrapped__())
    assert backend.wanted()
    assert backend.devices() == 1


def test_the_simulator_stands_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "simulated", lambda: True)
    assert backend.cuda_problem.__wrapped__() is None


def test_auto_takes_the_cpu_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    assert backend.resolve("auto") == backend.Backend("cpu", f"auto: {crossovers.NOTHING}")
    assert backend.resolve("cuda").name == "cuda"
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments",))
    assert backend.doctor()["cuda"] == "ready, but for moments"
    monkeypatch.setattr(backend, "without_cuda", lambda: ())
    assert backend.doctor()["cuda"] == "ready"
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    assert backend.resolve("auto") == backend.Backend("cpu", "auto: no card")
    assert backend.doctor() == {
        "cpu": "ready",
        "cuda": "no card",
        "auto": "cpu (auto: no card)",
        "auto in a run": "cpu (auto: no card)",
    }


def test_cuda_asked_for_by_name_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: "no card")
    with pytest.raises(BackendUnavailableError, match="'cuda' cannot run here: no card"):
        backend.resolve("cuda")


def test_what_has_no_cuda_kernels_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments", "symbols"))
    with pytest.raises(BackendUnavailableError, match="moments has no CUDA kernel yet; call it with backend='cpu'"):
        backend.implementation("moments", "cuda")


def test_a_run_leaves_to_the_cpu_what_has_no_kernels_or_other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments",))
    chosen = backend.resolve_for_run("cuda", 10**9)
    assert chosen.reason == "cuda was asked for; without CUDA kernels, and so on the CPU: moments"
    assert (chosen.on_cpu, chosen.memory) == (("moments", "ranks", "yeo_johnson"), 10**9)
    assert backend.implementation("moments", chosen).__name__ == "tamis_kernels.moments.cpu"
    assert backend.implementation("ranks", chosen).__name__ == "tamis_kernels.ranks.cpu"
    assert backend.resolve_for_run("cpu", 10**9) == backend.Backend("cpu", "cpu was asked for")
    monkeypatch.setattr(backend, "without_cuda", lambda: ())
    assert backend.resolve_for_run("cuda").reason == "cuda was asked for"
    with pytest.raises(ArgumentError, match="1MB of GPU memory is too little: give 64MB or more"):
        backend.resolve_for_run("cuda", 10**6)


def test_while_a_run_is_on_auto_is_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    chosen = backend.Backend("cuda", "a run", ("moments",))
    with backend.running(chosen):
        assert backend.resolve() is backend.resolve("cuda") is chosen
        assert backend.resolve("cpu").reason == "cpu was asked for"
        assert backend.implementation("moments", "auto").__name__ == "tamis_kernels.moments.cpu"
    assert backend.resolve().name == "cpu"


def test_on_the_cpu_nothing_is_kept_on_a_device() -> None:
    with backend.resident("cpu", np.ones(3), operations=("moments",)):
        pass
    backend.give_back()


@pytest.mark.gpu
def test_kernels_of_a_run_keep_to_its_memory() -> None:
    from tamis_kernels import device

    chosen = backend.resolve_for_run("cuda", 10**8)
    backend.implementation("moments", chosen)
    assert device.room() <= 10**8
    values = np.arange(100.0)
    with backend.resident(chosen, values, operations=("moments",)):
        assert moments.accumulate(values, backend=chosen) == moments.accumulate(values, backend="cpu")
    backend.implementation("moments", "cuda")
    assert device.room() > 10**8


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
