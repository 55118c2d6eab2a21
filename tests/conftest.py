"""Fixtures that every test can use, the profiles of hypothesis, and the place of compiled kernels."""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]


def machine_code() -> Path:
    """Return where compiled kernels are kept: together for all tests and their workers, apart for every state of the sources.

    Numba compiles a kernel anew when its own file changes, not when one that it calls does.
    """
    digest = sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "kernels").rglob("*.py"))))
    return ROOT / ".cache" / f"numba-{digest.hexdigest()[:16]}"


os.environ.setdefault("NUMBA_CACHE_DIR", str(machine_code()))  # read when Numba is imported
if "numba" in sys.modules:  # by a plugin
    sys.modules["numba"].config.reload_config()
os.environ["XDG_CACHE_HOME"] = str(ROOT / ".cache" / "nothing measured")  # what was measured on this machine is not asked
if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    import simulator

    simulator.install()

# The compilers come with `make test-cuda` alone, and the emulator takes their place in a process of its own.
emulated = "emulator.install" in sys.modules
collect_ignore = [] if find_spec("numba_cuda") and not emulated else ["cuda/test_compile.py"]
collect_ignore += (
    [] if emulated else [f"cuda/test_{name}.py" for name in ("card", "counts", "emulated_runs", "emulator", "emulator_arithmetic")]
)

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("small", deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
settings.register_profile("emulated", parent=settings.get_profile("default"), max_examples=25)  # a quarter of those the CPU is tried on
settings.load_profile("emulated" if emulated else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """To ask for GPU tests where CUDA does not run is an error, not a skip; where nobody asks they are left out."""
    from tamis_kernels.backend import cuda_problem

    asked = str(config.getoption("-m"))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    problem = cuda_problem() if on_gpu and "not gpu" not in asked else None
    if problem and "gpu" in asked:
        message = f"GPU tests were asked for, but {problem}"
        raise pytest.UsageError(message)
    if problem:
        config.hook.pytest_deselected(items=on_gpu)
        items[:] = [item for item in items if item not in on_gpu]


@pytest.fixture(autouse=True)
def one_job_runs_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker for the only job of a run in the engine's tests: that takes a second, a hundred times."""
    if request.path.parent.name == "engine":
        from running import executor

        for module in ("pipeline.run", "api.tables"):
            monkeypatch.setattr(f"tamis.{module}.LocalExecutor", executor)


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[dict[str, float | None]], None]]:
    """Return a function that lets a machine with a GPU have measured from which size on CUDA is faster; None: never, up to 1 GB."""
    from tamis_kernels import backend, crossovers

    def measure(found: dict[str, float | None]) -> None:
        timings = {
            name: tuple(
                crossovers.Timing(work, 1 if least is not None and work >= least else 3, 2, 2) for work in sorted({1, least or 1, 10**9})
            )
            for name, least in found.items()
        }
        crossovers.save(crossovers.Measurement(crossovers.machine(), "2026-01-02", timings))
        backend.measured.cache_clear()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(backend, "cuda_problem", lambda: None)
    monkeypatch.setattr(crossovers, "machine", lambda: {"GPU": "A", "driver": "1", "CPU": "B", "threads": "2", "tamis": "0"})
    backend.measured.cache_clear()
    yield measure
    backend.measured.cache_clear()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small sample corpus with planted faults: `corpus/` and `truth.parquet`."""
    from tamis.sample import write_sample

    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory, seed=7, images=40, rows=1_500, documents=120)
    return directory
