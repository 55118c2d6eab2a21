"""What the kernels' tests need when they run interpreted, with NUMBA_DISABLE_JIT=1, so that coverage sees every line of a kernel."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import settings

from backends import INTERPRETED, at_most
from tamis_kernels.compiled import simulated
from tamis_kernels.fss import cpu as fss_cpu
from tamis_kernels.ngram_keys import cpu as keys_cpu

if INTERPRETED:
    settings.load_profile("small")


@pytest.hookimpl(trylast=True)  # when slow cases are gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let integers wrap and infinities cancel, as in compiled kernels; `np.errstate` would not reach the kernels' helper threads."""
    if not INTERPRETED:
        return
    if simulated():
        leave_out_what_the_emulator_sees(config, items)
    cases: dict[tuple[str, ...], list[pytest.Item]] = {}
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered in:RuntimeWarning"))
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if "backend" in parameters:  # else each case may be of lines of its own, as those of wrong arguments are; as may one with a name
            names = [value for value in parameters.values() if isinstance(value, str)]
            cases.setdefault((item.nodeid.partition("[")[0], *names), []).append(item)
    for alike in cases.values():
        for item in alike[2:-1]:  # coverage doubles the time of a test
            item.add_marker(pytest.mark.no_cover)


def leave_out_what_the_emulator_sees(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the first and the last case of each CUDA test in the simulator, for the lines reached; the emulator runs all, and sees more."""
    left_out: set[pytest.Item] = set()
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("gpu") and item.get_closest_marker("emulated"):
            left_out.add(item)
        elif item.get_closest_marker("gpu") and not item.get_closest_marker("simulator"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out.update(item for alike in cases.values() for item in alike[1:-1])
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many n-gram keys are held at a time; few where kernels are interpreted, which would take minutes for all."""
    if INTERPRETED:
        for module in (fss_cpu, keys_cpu):
            monkeypatch.setattr(module, "HELD", 64)
    return keys_cpu.HELD


@pytest.fixture
def texts_at_block_ends() -> list[bytes]:
    """Return texts that begin and end where blocks of threads do, and beside it, with empty and short ones between."""
    sizes = [0, 0, 255, 1, 0, 256, 257, 0, 0, *[3] * 200, 700, *[0] * 40, 5, 0]
    text = "ab é  c\u3000d ".encode() * 60
    return [text[i % 9 :][: at_most(size, 40)] for i, size in enumerate(sizes)]


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the simulator a thread is one of Python's, so that blocks are small there, and small inputs span several of them."""
    if not simulated():
        return
    sizes = {
        "device": {"THREADS": 16, "BATCH": 4096},
        "cuda_tiles": {"MATES": 2},
        "affine": {"THREADS": 16, "ITEMS": 40},
        "fss": {"THREADS": 4, "DOUBLINGS": 2, "PLACES": 40, "ROW_PLACES": 9, "LONG": 30, "TILE": 8, "STRIP": 6, "LIST": 7},
        "hamming": {"THREADS": 2, "TILE": 5, "STRIP": 16, "WARP": 3, "WARPS": 2, "HELD": 9},
        "histogram": {"THREADS": 8, "BLOCKS": 2, "MOST_HELD": 40},
        "jaccard": {"WARP": 2, "WARPS": 2},
        "jpeg": {"BATCH": 450_000, "GAP": 100, "THREADS": 2, "MATES": 4, "ROWS": 3},
        "minhash": {"THREADS": 4, "PLACES": 40, "TILE": 16},
        "moments": {"STRIPS": 7, "THREADS": 4, "LANES": 2},
        "perceptual": {"THREADS": 16, "SMALL_THREADS": 8, "PICTURES": 2},
        "png": {"THREADS": 3, "CHUNK": 5},
        "quality": {"PICTURES": 2, "THREADS": 12},
        "quantiles": {"ITEMS": 5, "THREADS": 4, "TURNS": 2, "MAGNITUDES": 300, "WORDS": 301},
        "sensor": {"STRETCH": 6, "THREADS": 4, "MATES": 2, "HELD": 4, "PITCH": 5},
        "symbols": {"WINDOWS": 4, "THREADS": 8, "HELD": 5, "PITCH": 6},
        "viterbi": {"THREADS": 3, "TILE": 8},
        "windows": {"THREADS": 4, "HELD": 5, "PITCH": 6},
        "xxh3": {"THREADS": 4, "RECORDS": 2, "NEAR": 90},
    }
    for place, values in sizes.items():
        for name, value in values.items():
            holders = [module for module in cuda_modules(place) if hasattr(module, name)]
            assert holders, f"{place} has no {name}"
            for module in holders:  # each has a name of its own for what it imports
                monkeypatch.setattr(module, name, value)


@cache
def cuda_modules(place: str) -> list[ModuleType]:
    """Return the modules of an operation that hold CUDA code, or one module."""
    found = import_module(f"tamis_kernels.{place}")
    names = [one.name for one in pkgutil.iter_modules(getattr(found, "__path__", [])) if one.name.startswith("cuda")]
    return [import_module(f"{found.__name__}.{name}") for name in names] or [found]
