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
    code = f"import sys, added; print(*{calls}, sum(added.plus_one.stats.cache_hits.values()), {NEEDED_TO_COMPILE!r} in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment).stdout.split()


def test_what_is_in_the_cache_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "added.py").write_text(MODULE)
    assert run(tmp_path, "[added.plus_one(1)]") == ["2", "0", "True"]
    assert run(tmp_path, "[added.plus_one(1)]") == ["2", "1", "False"]
    assert run(tmp_path, "[added.plus_one(1), added.plus_one(1.5)]") == ["2", "2.5", "1", "True"]
    assert run(tmp_path, "[added.plus_one(1), added.plus_two(1)]") == ["2", "3", "1", "True"]
