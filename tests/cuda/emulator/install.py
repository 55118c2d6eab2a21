"""Lets Numba's CUDA kernels run by the emulator: `pytest -p emulator.install -m gpu`.

Whatever Numba and the kernels' launches do up to the driver is what they do on a GPU: arguments get their types, launches are refused or
warned of, a kernel is compiled once for its types. The driver, and CuPy, are not there.

A kernel of ours is launched for types that `signatures` names, or not at all, in whichever process; where all tests of the kernels pass,
they must have launched each for all of them.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from numba import cuda
from numba.cuda import codegen, dispatcher
from numba.cuda.api_util import prepare_shape_strides_dtype
from numba.cuda.cudadrv import devicearray, driver, dummyarray
from signatures import SIGNATURES

from emulator import card, checks, grid, journal, kept

if TYPE_CHECKING:
    import pytest

STAND_IN = str(Path(__file__).parents[1] / "emulated_gpu")
"""The folder whose `cupy.py` is this."""
MOST_THREADS, MOST_SHARED = 1024, 48 * 1024
"""What a block may have on any GPU without asking for more."""
launched: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
"""The types that each kernel was launched for, by package and name."""
_launches = count()


class Seen(devicearray.DeviceNDArray):  # type: ignore[misc]  # untyped
    """An array as Numba takes it from CuPy: its type comes from its shape and strides."""

    def __init__(self, array: card.Array) -> None:
        told = array.__cuda_array_interface__
        self.host = array.host
        self.shape, self.strides, self.dtype = prepare_shape_strides_dtype(told["shape"], told["strides"], told["typestr"], order="C")
        self._dummy = dummyarray.Array.from_desc(0, self.shape, self.strides, self.dtype.itemsize)
        self.ndim, self.size = len(self.shape), self._dummy.size


class Kernel:
    """A kernel that Numba has compiled for types, in place of its own."""

    codegen = SimpleNamespace(magic_tuple=lambda: grid.ARCHITECTURE)
    """What Numba's cache asks a kernel for."""

    def __init__(self, py_func: Any, argtypes: tuple[Any, ...], **options: Any) -> None:
        self.remember(py_func, argtypes, options)
        self.key, self.types = (py_func.__module__.rpartition(".")[0], py_func.__name__), argtypes
        name = ".".join(self.key)
        ours = py_func.__module__.startswith(f"{kept.OURS}.")
        assert not ours or argtypes in named().get(self.key, ()), f"{name}{argtypes} is launched, but not in SIGNATURES"
        self.program = grid.Program(name, checks.touch.address, **kept.translation(py_func, argtypes, options))
        self.most_threads = options.get("launch_bounds") or MOST_THREADS

    def remember(self, py_func: Any, argtypes: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Note what it is made of, for Numba's cache."""
        self.again = {"module": py_func.__module__, "name": py_func.__name__, "types": argtypes, "options": options}

    def bind(self) -> None:
        """Load it, which there is no device for."""

    def _reduce_states(self) -> dict[str, Any]:
        """Return what Numba's cache keeps."""
        return self.again

    @classmethod
    def _rebuild(cls, module: str, name: str, types: tuple[Any, ...], options: dict[str, Any]) -> Kernel:
        """Return what Numba's cache has kept."""
        return cls(getattr(import_module(module), name).py_func, types, **options)

    def launch(self, arguments: tuple[Any, ...], blocks: tuple[int, ...], threads: tuple[int, ...], _stream: Any, shared: int) -> None:
        """Run a grid, which a GPU would not refuse."""
        name, size = self.program.name, self.program.shared_size + shared
        assert all(blocks), f"{name}: CUDA refuses a launch of no blocks"
        assert blocks[0] < 1 << 31, f"{name}: more blocks than CUDA allows: {blocks}"
        assert max(blocks[1:]) < 1 << 16, f"{name}: more blocks than CUDA allows: {blocks}"
        assert 0 < grid.total(threads) <= self.most_threads, f"{name}: a block of {threads} threads"
        assert size <= MOST_SHARED, f"{name}: {size} bytes of shared memory a block"
        if self.types not in launched.setdefault(self.key, set()):
            launched[self.key].add(self.types)
            journal.note("ran", name)
        given = [lowered(one) for one in arguments]
        try:
            grid.Grid(self.program, blocks, threads, shared, given, checked=True).run(down=next(_launches) % 2 == 1)
        except grid.KernelFault as fault:
            journal.note("fault", fault)
            raise


def lowered(value: Any) -> Any:
    """Return an argument with arrays of the host in place of the device's."""
    if isinstance(value, card.Array | Seen):
        return value.host
    if isinstance(value, tuple):
        return type(value)(*map(lowered, value)) if hasattr(value, "_fields") else tuple(map(lowered, value))
    return value


def install() -> None:
    """Stand between Numba and the driver, and for CuPy, here and in the processes that this one starts."""
    sys.modules.update(card.modules())
    if STAND_IN not in sys.path:
        sys.path.append(STAND_IN)
    dispatcher._Kernel = Kernel
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=grid.ARCHITECTURE)
    codegen.JITCUDACodegen.magic_tuple = lambda _: grid.ARCHITECTURE
    driver._to_core_stream = lambda stream: stream
    cuda.as_cuda_array = lambda array, sync: Seen(array)  # noqa: ARG005  # named as by Numba
    cuda.external_stream = lambda pointer: pointer
    journal.note("sees", ",".join(card.visible()))


@cache
def named() -> dict[tuple[str, str], set[tuple[Any, ...]]]:
    """Return the types that `signatures` names, by package and kernel."""
    found: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for (package, name, *_), types in SIGNATURES.items():
        found.setdefault((f"{kept.OURS}.{package}", name), set()).add(types)
    return found


def never_launched() -> list[str]:
    """Return the kernels, with types, that `signatures` names and nobody has launched."""
    return [
        f"{'.'.join(key)}{types} is never launched"
        for key, known in sorted(named().items())
        for types in sorted(known - launched.get(key, set()), key=str)
    ]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where all tests of the kernels ran, and were not all kernels."""
    option = session.config.option
    whole = [Path(one) for one in session.config.args] == [Path("tests/kernels")] and not option.keyword and not option.collectonly
    found = never_launched() if whole and exitstatus == 0 else []
    if found:
        session.exitstatus = 1
        session.config.get_terminal_writer().write("\n".join(["", *found, ""]), red=True)


install()
