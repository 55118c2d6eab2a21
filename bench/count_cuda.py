"""What each CUDA kernel would cost a GPU, counted on its compiled code without one, and what that bounds it to on an H200.

make test-cuda && PYTHONPATH=tests/cuda:kernels .venv-cuda/bin/python bench/count_cuda.py [words of cases …]

Needs `nvdisasm`, of CUDA's toolkit or of the package `triton`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from emulator import counts, grid, install, kept, machine_code
from numba import cuda
from numba.cuda import dispatcher
from operations import OPERATIONS, Operation

MULTIPROCESSORS, CLOCK, BANDWIDTH = 132, 1.98e9, 4.3e12
"""Of an H200, and the bytes a second that a copy on it reads and writes together."""
COLUMNS = ("cycles", "alone", "slots", "lanes", "requests", "sectors", "bytes", "turns", "atomics", "bound by", "items/s")
"""For an item of work: cycles of a quarter of a multiprocessor, by its units, and by what its warps wait for; instructions issued; the
share of lanes at work; requests to global memory; sectors of 32 bytes in each; bytes of memory that blocks touch at least once; turns of
shared memory; atomic operations. Below: how long the longest warps of all kernels take by themselves, which is the least for a launch."""


counter = counts.Counter()


class Counted(install.Kernel):
    """A kernel some of whose blocks are counted."""

    def __init__(self, py_func: Any, argtypes: tuple[Any, ...], **options: Any) -> None:
        self.remember(py_func, argtypes, options)
        ptx, _ = cuda.compile_ptx(py_func, argtypes, cc=grid.ARCHITECTURE, device=False, **kept.compiling_options(options))
        name = f"{py_func.__module__.split('.')[1]}.{py_func.__name__}"
        self.plain, self.traced = grid.translated(name, ptx), grid.translated(name, ptx, touch=counts.trace.address, visited=True)
        self.machine = machine_code.machine(ptx, self.traced.blocks)

    def launch(self, arguments: tuple[Any, ...], blocks: tuple[int, ...], threads: tuple[int, ...], _stream: Any, shared: int) -> None:
        """Run a grid."""
        counter.run(self.plain, self.traced, blocks, threads, shared, [install.lowered(one) for one in arguments], self.machine)


def bounds(found: counts.Costs) -> dict[str, float]:
    """Return the seconds that each part of an H200 takes for the costs, were it busy all the time."""
    machine = MULTIPROCESSORS * CLOCK
    return {
        "arithmetic": found.cycles / machine_code.QUARTERS / machine,
        "waiting": found.alone / machine_code.QUARTERS / machine,
        "lines": found.lines / machine,
        "shared": found.shared / machine,
        "memory": found.footprint * counts.SECTOR / BANDWIDTH,
    }


def main() -> None:
    """Print a line for each kernel of each case, and what bounds the case."""
    wanted = sys.argv[1:]
    try:
        machine_code.disassembler()
    except FileNotFoundError as error:
        sys.exit(str(error))
    dispatcher._Kernel = Counted
    print(" ".join(f"{name:>11}" for name in COLUMNS), " kernel")
    for name, operation in OPERATIONS.items():
        if operation.counted and (not wanted or any(word in name for word in wanted)):
            print(f"\n{name}", flush=True)
            tell(operation)


def tell(operation: Operation) -> None:
    """Count an operation, and print a line for each of its kernels."""
    counter.found.clear()
    counter.longest.clear()
    case = operation.make(np.random.default_rng(1), operation.counted * operation.width)
    case.call(backend="cuda")
    items, seconds = operation.items(case.work), 0.0
    for name in counter.found:
        one = counter.costs(name)
        part, time = max(bounds(one).items(), key=lambda pair: pair[1])
        seconds += time
        each = (one.cycles, one.alone, one.slots, one.lanes / machine_code.WARP / max(one.slots, 1e-9) * items, one.requests,
                one.sectors / max(one.requests, 1) * items, one.footprint * counts.SECTOR, one.shared, one.atomics)  # fmt: skip
        print(" ".join(f"{value / items:11.4g}" for value in each), f"{part:>11} {items / time:11.3g}  {name}")
    if seconds:
        print(f"at best {items / seconds:.3g} {operation.unit} a second on an H200", flush=True)
        print("longest warps:", ", ".join(f"{name} {most / CLOCK * 1e6:.3g} us" for name, most in counter.longest.items()), flush=True)


if __name__ == "__main__":
    main()
