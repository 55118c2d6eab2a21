"""Fixtures that every test can use, and the profiles of hypothesis."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

collect_ignore = [] if find_spec("numba_cuda") else ["cuda/test_compile.py"]  # the compilers come with `make test-cuda` alone

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("small", deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
settings.load_profile("default")


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


@pytest.fixture(scope="session", autouse=True)
def fresh_numba_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep stale machine code out of the tests, also out of the worker processes they start."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(tmp_path_factory.mktemp("numba"))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small sample corpus with planted faults: `corpus/` and `truth.parquet`."""
    from tamis.sample import write_sample

    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory, seed=7, images=40, rows=1_500, documents=120)
    return directory
