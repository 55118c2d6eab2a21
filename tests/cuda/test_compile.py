"""Every CUDA kernel compiles for sm_80 and sm_90, spills nothing, and takes what `resources.csv` says.

PYTHONPATH=kernels .venv-cuda/bin/python tests/cuda/compiling.py writes the table anew.
"""

from __future__ import annotations

from typing import Any

import pytest
from compiling import compiled, kernels, table
from emulator import grid, kept
from numba import cuda, int64
from signatures import SIGNATURES

KERNELS = kernels()


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
    assert found == [row for row in table() if row.kernel == ".".join(key)]
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
