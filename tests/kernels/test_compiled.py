"""Kernels come from Numba's cache without what only compiling needs, and what is not there is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
from tamis_kernels.compiled import njit

@njit(cache=True)
def plus_one(value):
    return value + 1

@njit()
def plus_two(value):
    return plus_one(plus_one(value))
"""
NEEDED_TO_COMPILE = "numba.np.arraymath"


def run(folder: Path, calls: str) -> list[str]:
    """Return what a new process says: what calls give, how often the cache had the first kernel, whether Numba is ready to compile."""
    return said(
        folder, f"import sys, added; print(*{calls}, sum(added.plus_one.stats.cache_hits.values()), {NEEDED_TO_COMPILE!r} in sys.modules)"
    )


def said(folder: Path, code: str) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment).stdout.split()


def test_what_is_in_the_cache_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    assert run(tmp_path, "[added.plus_one(1)]") == ["2", "0", "True"]
    assert run(tmp_path, "[added.plus_one(1)]") == ["2", "1", "False"]
    assert run(tmp_path, "[added.plus_one(1), added.plus_one(1.5)]") == ["2", "2.5", "1", "True"]
    assert run(tmp_path, "[added.plus_one(1), added.plus_two(1)]") == ["2", "3", "1", "True"]


TOLD = """
import added
from tamis_kernels.compiled import njit, told_of_compiling
told = []
with told_of_compiling(told.append):
    print(added.plus_one(1), added.plus_one(2))
print(added.plus_one(1.5), *told)
"""


def test_it_is_told_when_a_kernel_is_compiled_and_when_not(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    assert said(tmp_path, TOLD) == ["2", "3", "2.5", "True"]
    assert said(tmp_path, TOLD) == ["2", "3", "2.5"]


PICTURES = f"""
import sys
import numpy as np
from tamis_kernels import hamming, perceptual
pixels = np.random.default_rng(0).integers(0, 256, 2 * 64 * 64, np.uint8)
hashes, _ = perceptual.pdq_batch(pixels, np.full((2, 2), 64), backend="cpu")
hamming.pairs(hashes, 31, method="index", backend="cpu")
print({NEEDED_TO_COMPILE!r} in sys.modules)
"""


def test_to_hash_pictures_and_to_compare_them_needs_no_linear_algebra() -> None:
    """Where it does, each worker loads SciPy: a kernel need only call `min` or `cumsum` of an array."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    for _ in range(2):  # the first one may have to compile
        answer = subprocess.run([sys.executable, "-c", PICTURES], check=True, capture_output=True, text=True, env=environment)
    assert answer.stdout.split() == ["False"]


def test_where_nobody_listens_it_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    shown = "import sys, added; sys.stderr = sys.stdout; print(added.plus_one(1), added.plus_one(1.5), added.plus_one(1j))"
    told = said(tmp_path, shown)
    assert " ".join(told) == "tamis: kernels are being compiled, which takes a minute or more, only this once 2 2.5 (1+1j)"
    assert said(tmp_path, shown) == told[-3:]


def test_a_cache_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    said(tmp_path, TOLD)
    (index,) = (tmp_path / "cache").rglob("*plus_one*.nbi")
    index.write_bytes(index.read_bytes()[:100])
    assert said(tmp_path, TOLD) == ["2", "3", "2.5", "True"]
    said(tmp_path, TOLD)  # saving failed as well where the index could not be read, and made it empty
    assert said(tmp_path, TOLD) == ["2", "3", "2.5"]


def test_kernels_are_compiled_each_time_where_no_cache_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    nowhere = "from numba.core.caching import CompileResultCacheImpl as made; made._locator_classes = []\n"
    for _ in range(2):
        assert said(tmp_path, nowhere + TOLD) == ["2", "3", "2.5", "False"]


def test_a_cache_on_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    full = "from numba.core.caching import IndexDataCacheFile as made\ndef save(*_): raise OSError\nmade.save = made.flush = save\n"
    for _ in range(2):
        assert said(tmp_path, full + TOLD) == ["2", "3", "2.5", "True"]
