"""Lets Numba's CUDA kernels run by the emulator: `pytest -p emulator.install -m gpu`.

Whatever Numba and the kernels' launches do up to the driver is what they do on a GPU: arguments get their types, launches are refused or
warned of, a kernel is compiled once for its types. The driver, and CuPy, are not there.

Where all tests of the kernels pass, they must have launched each kernel that `signatures` names, for its types, and no other.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from numba import cuda
from numba.cuda import dispatcher
from numba.cuda.api_util import prepare_shape_strides_dtype
from numba.cuda.cudadrv import devicearray, driver, dummyarray

from emulator import card, checks, grid

if TYPE_CHECKING:
    import pytest

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

    def __init__(self, py_func: Any, argtypes: tuple[Any, ...], *, fastmath: bool = False, **_: Any) -> None:
        ptx, _ = cuda.compile_ptx(py_func, argtypes, cc=grid.ARCHITECTURE, device=False, fastmath=fastmath)
        self.key, self.types = (py_func.__module__.rpartition(".")[0], py_func.__name__), argtypes
        self.program = grid.translated(".".join(self.key), ptx, touch=checks.touch.address)

    def bind(self) -> None:
        """Load it, which there is no device for."""

    def launch(self, arguments: tuple[Any, ...], blocks: tuple[int, ...], threads: tuple[int, ...], _stream: Any, shared: int) -> None:
        """Run a grid, which a GPU would not refuse."""
        name, size = self.program.name, self.program.shared_size + shared
        assert all(blocks), f"{name}: CUDA refuses a launch of no blocks"
        assert blocks[0] < 1 << 31, f"{name}: more blocks than CUDA allows: {blocks}"
        assert max(blocks[1:]) < 1 << 16, f"{name}: more blocks than CUDA allows: {blocks}"
        assert 0 < grid.total(threads) <= MOST_THREADS, f"{name}: a block of {threads} threads"
        assert size <= MOST_SHARED, f"{name}: {size} bytes of shared memory a block"
        launched.setdefault(self.key, set()).add(self.types)
        given = [lowered(one) for one in arguments]
        grid.Grid(self.program, blocks, threads, shared, given, checked=True).run(down=next(_launches) % 2 == 1)


def lowered(value: Any) -> Any:
    """Return an argument with arrays of the host in place of the device's."""
    if isinstance(value, card.Array | Seen):
        return value.host
    if isinstance(value, tuple):
        return type(value)(*map(lowered, value)) if hasattr(value, "_fields") else tuple(map(lowered, value))
    return value


def install() -> None:
    """Stand between Numba and the driver, and for CuPy."""
    sys.modules.update(card.modules())
    dispatcher._Kernel = Kernel
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=grid.ARCHITECTURE)
    driver._to_core_stream = lambda stream: stream
    cuda.as_cuda_array = lambda array, sync: Seen(array)  # noqa: ARG005  # named as by Numba
    cuda.external_stream = lambda pointer: pointer


def unlike_signatures() -> list[str]:
    """Return how the kernels that were launched differ from those that `signatures` names."""
    from signatures import SIGNATURES

    named: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for (package, name, *_), types in SIGNATURES.items():
        named.setdefault((f"tamis_kernels.{package}", name), set()).add(types)
    return [
        f"{'.'.join(key)}{types} {'is launched, but not in SIGNATURES' if types in launched.get(key, ()) else 'is never launched'}"
        for key in sorted(named | launched)
        for types in sorted(named.get(key, set()) ^ launched.get(key, set()), key=str)
    ]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where all tests of the kernels ran, and were not all kernels."""
    option = session.config.option
    whole = [Path(one) for one in session.config.args] == [Path("tests/kernels")] and not option.keyword and not option.collectonly
    found = unlike_signatures() if whole and exitstatus == 0 else []
    if found:
        session.exitstatus = 1
        session.config.get_terminal_writer().write("\n".join(["", *found, ""]), red=True)


install()
