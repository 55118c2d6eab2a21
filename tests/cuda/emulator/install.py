"""Lets Numba's CUDA kernels run by the emulator: `pytest -p emulator.install -m gpu`.

Whatever Numba and the kernels' launches do up to the driver is what they do on a GPU: arguments get their types, launches are refused or
warned of, a kernel is compiled once for its types. The driver, and CuPy, are not there.
"""

from __future__ import annotations

import sys
import warnings
from itertools import count
from types import SimpleNamespace
from typing import Any

from numba import cuda
from numba.cuda import dispatcher
from numba.cuda.cudadrv import driver

from emulator import card, checks, grid

_programs: dict[tuple[Any, ...], grid.Program] = {}
_launches = count()
launched: set[tuple[str, tuple[Any, ...]]] = set()
"""Name and types of each kernel that ran."""
MOST_THREADS, MOST_SHARED = 1024, 232_448 - 1024  # a block's on sm_90; what a launch takes beyond 48 KB must be asked for


class Seen:
    """An array as Numba takes it from CuPy."""

    def __init__(self, array: card.Array) -> None:
        self.host = array.host
        self._numba_type_ = grid.type_of(array.host)


def lowered(value: Any) -> Any:
    """Return an argument with arrays of the host in place of the device's."""
    if isinstance(value, card.Array | Seen):
        return value.host
    if isinstance(value, tuple):
        return type(value)(*map(lowered, value)) if hasattr(value, "_fields") else tuple(map(lowered, value))
    return value


def call(self: Any, arguments: tuple[Any, ...], configuration: Any) -> None:
    """Compile a kernel for its arguments, and run its grid."""
    types = tuple(self.typeof_pyval(one) for one in arguments)
    key = self, types
    if key not in _programs:
        with warnings.catch_warnings():
            ptx, _ = cuda.compile_ptx(self.py_func, types, cc=grid.ARCHITECTURE, device=False)
        name = f"{self.py_func.__module__}.{self.py_func.__name__}"
        _programs[key] = grid.translated(name, ptx, touch=checks.touch.address)
        launched.add((name, types))
    program = _programs[key]
    blocks, threads, shared = configuration.griddim, configuration.blockdim, configuration.sharedmem
    assert all(blocks), f"{program.name}: CUDA refuses a launch of no blocks"
    assert blocks[0] < 1 << 31 and max(blocks[1:]) < 1 << 16, f"{program.name}: more blocks than CUDA allows: {blocks}"
    assert 0 < grid.total(threads) <= MOST_THREADS, f"{program.name}: a block of {threads} threads"
    assert program.shared_size + shared <= 48 * 1024, f"{program.name}: {program.shared_size + shared} bytes of shared memory a block"
    grid.Grid(program, blocks, threads, shared, [lowered(one) for one in arguments], checked=True).run(down=next(_launches) % 2 == 1)


def install() -> None:
    """Stand between Numba and the driver, and for CuPy."""
    sys.modules.update(card.modules())
    dispatcher.CUDADispatcher.call = call
    dispatcher._LaunchConfiguration._push_args = lambda *_: None
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=grid.ARCHITECTURE)
    driver._to_core_stream = lambda stream: stream
    cuda.as_cuda_array = lambda array, sync=True: Seen(array)
    cuda.external_stream = lambda pointer: pointer


install()
