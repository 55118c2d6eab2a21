"""Every CUDA kernel compiles for sm_80 and sm_90, spills nothing, and takes what `resources.csv` says.

PYTHONPATH=kernels .venv-cuda/bin/python tests/cuda/compiling.py writes the table anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compiling import PYTHON, compiled, kernels, table
from emulator import grid, kept
from numba import cuda, int64
from signatures import SIGNATURES

KERNELS = kernels()
# Another Python has other bytecode, of which the compilers make a kernel that takes a few registers more or less.
SLACK = 0 if sys.version_info[:2] == PYTHON else 4


# Kernels that call logarithms and exponentials, which NVIDIA's library makes of fused multiply-adds.
LOGARITHMS = {"ranks", "yeo_johnson"}
# What the rounding of a square leaves, of each of the values that a thread asks for at a time, is a fused multiply-add that is asked for.
ASKED: dict[tuple[str, ...], int] = {("moments", "sum_long"): 4}


def test_every_kernel_has_a_signature_and_a_row_for_each_architecture() -> None:
    assert set(KERNELS) == {key[:2] for key in SIGNATURES}
    assert {(one.kernel, one.architecture) for one in table()} == {
        (".".join(key), f"sm_{x}{y}") for key in SIGNATURES for x, y in kept.ARCHITECTURES
    }


@pytest.mark.parametrize("key", SIGNATURES, ids=".".join)
def test_a_kernel_takes_what_the_table_says_and_spills_nothing(key: tuple[str, ...]) -> None:
    found = compiled(key, KERNELS[key[:2]])
    rows = [row for row in table() if row.kernel == ".".join(key)]
    assert [replace(one, registers=0) for one in found] == [replace(row, registers=0) for row in rows]
    assert all(abs(one.registers - row.registers) <= SLACK for one, row in zip(found, rows, strict=True))
    for one in found:
        assert (one.stack_bytes, one.spilled_bytes) == (0, 0)
        assert one.fused == ASKED.get(key[:2], 0) or key[0] in LOGARITHMS


def add_places(out: Any, start: int, stop: int) -> None:
    for i in range(start, stop):
        if out[i]:
            out[i] = 0


def test_a_loop_counts_without_selections() -> None:
    ptx, _ = cuda.compile_ptx(add_places, (int64[::1], int64, int64), cc=grid.ARCHITECTURE, device=False)
    assert "selp" not in ptx


KEEP = """
import sys
from compiling import kernels, without_a_device
from signatures import SIGNATURES
from tamis_kernels.compiled import told_of_compiling
from tamis_kernels.cuda_compiled import keep
from emulator import grid

without_a_device()
compiled, found = [], kernels()
with told_of_compiling(compiled.append):
    for key, kernel in found.items():
        if key[0] in sys.argv[1:]:
            keep(kernel)
            types = next(types for known, types in SIGNATURES.items() if known[:2] == key)
            code = kernel.compile(types)._codelibrary.get_cubin(grid.ARCHITECTURE).code
            print(".".join(key), hash(bytes(code)), len(compiled))
"""


def kept_kernels(folder: Path, *operations: str) -> list[list[str]]:
    """Return name and machine code of kernels, and how many were compiled so far, of a process that keeps them in a folder."""
    here = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = subprocess.run([sys.executable, "-c", KEEP, *operations], env=here, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return [line.split() for line in told.stdout.splitlines()]


def test_a_compiled_kernel_is_kept_for_other_processes(tmp_path: Path) -> None:
    first, again = (kept_kernels(tmp_path, "bands", "moments") for _ in range(2))  # of moments two are made by one function
    assert [row[:2] for row in again] == [row[:2] for row in first]
    assert [row[2] for row in first] == ["1", "2", "3", "4"]
    assert {row[2] for row in again} == {"0"}
    for index in tmp_path.rglob("cuda.*.nbi"):
        index.write_bytes(b"damaged")
    assert kept_kernels(tmp_path, "bands") == first[:1]
