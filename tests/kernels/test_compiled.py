"""Kernels come from Numba's cache without what only compiling needs, and what is not there is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # processes that compile: nothing of them is seen where kernels are interpreted

MODULE = """
from tamis_kernels.compiled import njit

@njit(cache=True)
def plus_one(value):
    return value + 1

@njit()
def plus_two(value):
    return plus_one(plus_one(value))
"""


def said(folder: Path, code: str) -> list[str]:
    """Return what a new process says."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment).stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "added.py").write_text(MODULE)
    return tmp_path


CALLS = """
import sys, added
for call in ("plus_one(1)", "plus_one(1.5)", "plus_two(1)"):
    print(eval(f"added.{call}"), sum(added.plus_one.stats.cache_hits.values()), "numba.np.arraymath" in sys.modules)
"""


def test_what_is_in_the_cache_is_loaded_and_nothing_else(folder: Path) -> None:
    """What was found there how often, and whether Numba is ready to compile, is said of each call."""
    assert said(folder, "import added; print(added.plus_one(1))") == ["2"]
    assert said(folder, CALLS) == ["2", "1", "False", "2.5", "1", "True", "3", "1", "True"]


TOLD = """
import added
from tamis_kernels.compiled import told_of_compiling
told = []
with told_of_compiling(told.append):
    print(added.plus_one(1), added.plus_one(2))
print(added.plus_one(1.5), *told)
"""


PICTURES = """
import sys
import numpy as np
from tamis_kernels import hamming, perceptual
pixels = np.random.default_rng(0).integers(0, 256, 2 * 64 * 64, np.uint8)
hashes, _ = perceptual.pdq_batch(pixels, np.full((2, 2), 64), backend="cpu")
hamming.pairs(hashes, 31, method="index", backend="cpu")
print("numba.np.arraymath" in sys.modules)
"""


def test_to_hash_pictures_and_to_compare_them_needs_no_linear_algebra() -> None:
    """Where it does, each worker loads SciPy: a kernel need only call `min` or `cumsum` of an array."""
    for _ in range(2):  # the first one may have to compile
        answer = subprocess.run([sys.executable, "-c", PICTURES], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["False"]


def test_where_nobody_listens_it_is_logged_once(folder: Path) -> None:
    shown = "import sys, added; sys.stderr = sys.stdout; print(added.plus_one(1), added.plus_one(1.5), added.plus_one(1j))"
    told = said(folder, shown)
    assert " ".join(told) == "tamis: kernels are being compiled, which takes a minute or more, only this once 2 2.5 (1+1j)"
    assert said(folder, shown) == told[-3:]


def test_it_is_told_when_a_kernel_is_compiled_and_a_cache_that_cannot_be_read_is_made_anew(folder: Path) -> None:
    assert said(folder, TOLD) == ["2", "3", "2.5", "True"]
    (index,) = (folder / "cache").rglob("*plus_one*.nbi")
    index.write_bytes(index.read_bytes()[:100])
    assert said(folder, TOLD) == ["2", "3", "2.5", "True"]
    said(folder, TOLD)  # saving failed as well where the index could not be read, and made it empty
    assert said(folder, TOLD) == ["2", "3", "2.5"]


def test_kernels_are_compiled_each_time_where_no_cache_can_be_written(folder: Path) -> None:
    nowhere = "from numba.core.caching import CompileResultCacheImpl as made; made._locator_classes = []\n"
    assert said(folder, nowhere + TOLD) == ["2", "3", "2.5", "False"]
    assert not list(folder.rglob("*.nb?"))


def test_a_cache_on_a_full_disk_costs_no_answer(folder: Path) -> None:
    full = "from numba.core.caching import IndexDataCacheFile as made\ndef save(*_): raise OSError\nmade.save = made.flush = save\n"
    assert said(folder, full + TOLD) == ["2", "3", "2.5", "True"]
    assert not list(folder.rglob("*.nb?"))
