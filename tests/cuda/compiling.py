"""Compile every CUDA kernel without a device, and tell what it takes of a multiprocessor.

NVVM makes PTX, nvJitLink machine code; `ptxas` says how many registers and how much stack it uses, and what it spills. Run as a
program it writes `resources.csv` anew.
"""

from __future__ import annotations

import csv
import importlib
import re
import sys
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from emulator import grid, kept
from emulator.machine_code import linked, numbers
from numba.cuda import codegen, dispatcher
from signatures import SIGNATURES

TABLE = Path(__file__).with_name("resources.csv")
PYTHON = (3, 11)
"""The Python that the table was made with."""
dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=grid.ARCHITECTURE)  # there is none


@dataclass(frozen=True, slots=True)
class Resources:
    """What a kernel takes, and how many multiplications NVVM fused with an addition."""

    kernel: str
    architecture: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spilled_bytes: int
    fused: int


def without_a_device() -> None:
    """Let Numba compile, as for a launch, to machine code that nothing loads."""
    codegen.JITCUDACodegen.magic_tuple = lambda _: grid.ARCHITECTURE
    codegen.CUDACodeLibrary._ensure_cc = lambda _, cc: cc or grid.ARCHITECTURE
    dispatcher._Kernel.bind = lambda kernel: kernel._codelibrary.get_cubin(grid.ARCHITECTURE)


def kernels() -> dict[tuple[str, ...], Any]:
    """Return all kernels by operation and name; functions of the device are parts of them."""
    sys.modules.setdefault("cupy", ModuleType("cupy"))  # only arrays come from it, and none is made here
    found: dict[tuple[str, ...], Any] = {}
    folder = Path(importlib.import_module("tamis_kernels").__path__[0])
    for path in sorted(folder.glob("*/cuda.py")):
        module = importlib.import_module(f"tamis_kernels.{path.parent.name}.cuda")
        for name, value in vars(module).items():
            if isinstance(value, dispatcher.CUDADispatcher) and not value.targetoptions.get("device"):
                found[path.parent.name, name] = value
    return found


def compiled(key: tuple[str, ...], kernel: Any) -> list[Resources]:
    """Compile one kernel for both architectures."""
    found = []
    for architecture, ptx in kept.assembly(kernel.py_func, SIGNATURES[key], kernel.targetoptions).items():
        target = "sm_{}{}".format(*architecture)
        _, said = linked(ptx, target)
        stack, stores, loads = numbers(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
        shared = sum(map(int, re.findall(r"\.shared \.align \d+ \.b8 \w+\[(\d+)\]", ptx)))
        (registers,) = numbers(r"Used (\d+) registers", said)
        found.append(Resources(".".join(key), target, registers, shared, stack, stores + loads, len(re.findall(r"fma\.rn\.f", ptx))))
    return found


def table() -> list[Resources]:
    """Return what is committed."""
    with TABLE.open(newline="") as file:
        return [Resources(row[0], row[1], *map(int, row[2:])) for row in list(csv.reader(file))[1:]]


def main() -> None:
    """Write the table anew."""
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Resources))
        found = kernels()
        for key in sorted(SIGNATURES):
            writer.writerows(map(astuple, compiled(key, found[key[:2]])))


if __name__ == "__main__":
    main()
