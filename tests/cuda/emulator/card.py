"""Stands for CuPy: NumPy's arrays behind a wall, which arrays of the host pass only where CuPy lets them.

CuPy refuses to mix its arrays with NumPy's, gives arrays of no dimension where NumPy gives numbers, and copies to the host late where it is
told not to wait; so does this.

There are EMULATED_GPUS of it, one where the environment does not say, of which a process sees those that CUDA_VISIBLE_DEVICES names. Each
says that it has 8 GiB free; memory ends before that where EMULATED_MEMORY names fewer bytes, as where another process takes it.
"""

from __future__ import annotations

import gc
import operator
import os
import threading
import weakref
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from itertools import takewhile
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY, STEP = 1 << 33, 512
"""What there is, and what an array takes a multiple of."""
_FUNCTIONS = (
    "append arange argsort ascontiguousarray bincount concatenate count_nonzero cumsum diff empty empty_like flatnonzero full "
    "maximum minimum ones searchsorted sort unique unpackbits where zeros zeros_like"
)  # fmt: skip
_FIGURES = {"shape", "dtype", "size", "ndim", "nbytes", "itemsize", "strides", "flags"}
_BINARY = "add sub mul truediv floordiv mod and or xor lshift rshift eq ne lt le gt ge"
_REFLECTED = "add sub mul truediv floordiv mod and or xor lshift rshift"


class Array:
    """An array on the device."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: Any) -> None:
        self.host = np.asarray(host)
        _pool.hold(self.host)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        told = self.host.__array_interface__
        strides = None if self.host.flags.c_contiguous else self.host.strides
        return {"shape": told["shape"], "typestr": told["typestr"], "data": told["data"], "strides": strides, "version": 3, "stream": 1}

    def __array__(self, *_: Any, **__: Any) -> Any:
        message = "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        raise TypeError(message)

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **options: Any) -> Any:
        return lifted(getattr(ufunc, method))(*given, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # such as NumPy's own protocols
            raise AttributeError(name)
        found = getattr(self.host, name)
        if name in _FIGURES:
            return found
        return lifted(found) if callable(found) else Array(found)

    def __getitem__(self, key: Any) -> Any:
        return Array(self.host[lowered(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[lowered(key)] = lowered(value)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Iterator[Any]:
        return map(Array, self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    __index__ = __int__

    def __float__(self) -> float:
        return float(self.host)

    def set(self, source: Any, stream: Any = None) -> None:  # noqa: ARG002  # named as by CuPy
        """Copy an array of the host over this one, which it must be like."""
        assert isinstance(source, np.ndarray)
        assert (source.dtype, source.shape, source.flags.c_contiguous) == (self.host.dtype, self.host.shape, True)
        self.host[...] = source

    def get(self, stream: Any = None, out: Any = None, *, blocking: bool = True) -> Any:
        """Return a copy of the host, or write over an array of it: at once, or when the stream is waited for."""
        target = np.empty(self.host.shape, self.host.dtype) if out is None else out
        assert (target.dtype, target.shape) == (self.host.dtype, self.host.shape)
        source = self.host.copy()
        if blocking:
            target[...] = source
        else:
            target.reshape(-1).view(np.uint8)[:] = 0xA5
            _late[stream or _entered.streams[-1]].append(lambda: np.copyto(target, source))
        return target


_late: defaultdict[Any, list[Callable[[], None]]] = defaultdict(list)


def lowered(value: Any) -> Any:
    """Return what NumPy works on; an array of the host among what is given is refused."""
    if isinstance(value, Array):
        return value.host
    if isinstance(value, tuple | list):
        return type(value)(map(lowered, value))
    if isinstance(value, np.ndarray) and value.ndim:
        message = f"Unsupported type {type(value)}"
        raise TypeError(message)
    return value


def lifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy as one of the device's arrays."""

    def call(*given: Any, **options: Any) -> Any:
        found = function(*map(lowered, given), **{name: lowered(value) for name, value in options.items()})
        return Array(found) if isinstance(found, np.ndarray | np.generic) else found

    return call


def _operate(name: str, *, reflected: bool) -> Callable[[Any, Any], Any]:
    how = getattr(operator, f"{name}_" if name in ("and", "or") else name)
    return lambda one, other: lifted(how)(other, one) if reflected else lifted(how)(one, other)


for _name in _BINARY.split():
    setattr(Array, f"__{_name}__", _operate(_name, reflected=False))
for _name in _REFLECTED.split():
    setattr(Array, f"__r{_name}__", _operate(_name, reflected=True))
for _name in ("neg", "invert", "abs"):
    setattr(Array, f"__{_name}__", lifted(getattr(operator, _name)))


class Stream:
    """A stream, whose late copies arrive when it is waited for."""

    ptr = 0

    def __enter__(self) -> Stream:
        _entered.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _entered.streams.pop()

    def synchronize(self) -> None:
        """Wait."""
        self.record().synchronize()

    def record(self) -> Event:
        """Return what can be waited for until all is done that was asked for so far."""
        return Event(self, [*_late[self]])


@dataclass(frozen=True, slots=True)
class Event:
    """A place in a stream, and the late copies before it."""

    stream: Stream
    copies: list[Callable[[], None]]

    def synchronize(self) -> None:
        """Wait."""
        for arrive in self.copies:
            if arrive in _late[self.stream]:
                _late[self.stream].remove(arrive)
                arrive()


class Entered(threading.local):
    """The streams that a thread has entered, the default one first."""

    def __init__(self) -> None:
        self.streams = [_DEFAULT]


_DEFAULT = Stream()
_entered = Entered()


class Pool:
    """The memory that arrays come from."""

    def __init__(self) -> None:
        self.limit = 0
        self._held: dict[int, tuple[int, Any]] = {}  # bytes of what is alive, and what tells of its end

    def hold(self, host: Any) -> None:
        """Count an array, or the one that it is a part of, for as long as it lives; where there is no room for it, it is refused."""
        while isinstance(host.base, np.ndarray):
            host = host.base
        if id(host) in self._held:
            return
        size, room = -(-host.nbytes // STEP) * STEP, min(self.limit or MEMORY, int(os.environ.get("EMULATED_MEMORY", MEMORY)))
        if self.used_bytes() + size > room:
            gc.collect()  # as CuPy does
        if (used := self.used_bytes()) + size > room:
            journal.note("refused", size)
            message = f"Out of memory allocating {size:,} bytes (allocated so far: {used:,} bytes, limit set to: {room:,} bytes)."
            raise MemoryError(message)
        self._held[id(host)] = size, weakref.ref(host, partial(self._end, id(host)))

    def _end(self, key: int, _: object) -> None:
        del self._held[key]

    def used_bytes(self) -> int:
        """Return what is alive."""
        return sum(size for size, _ in list(self._held.values()))

    def set_limit(self, size: int) -> None:
        """Bound it."""
        self.limit = size
        journal.note("bounded", size)

    def free_bytes(self) -> int:
        """Return what is held for later."""
        return 0

    def free_all_blocks(self) -> None:
        """Give it back."""


_pool = Pool()


def visible() -> list[str]:
    """Return the devices that this process sees: of those that it is shown, all before the first that there is not."""
    gpus = [str(number) for number in range(int(os.environ.get("EMULATED_GPUS", "1")))]
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if shown is None else [*takewhile(gpus.__contains__, shown.split(","))]


def modules() -> dict[str, ModuleType]:
    """Return what is imported as CuPy."""
    cupy, cupyx = ModuleType("cupy"), ModuleType("cupyx")
    for module in (cupy, cupyx):
        module.__spec__ = ModuleSpec(module.__name__, None)
    known: dict[str, Any] = {name: lifted(getattr(np, name)) for name in _FUNCTIONS.split()}
    known |= {name: getattr(np, name) for name in ("uint8", "uint32", "uint64", "int32", "int64", "float32", "float64", "bool_")}
    known["array"] = lambda value, *given: Array(np.array(value.host if isinstance(value, Array) else value, *given))
    known["asarray"] = lambda value: value if isinstance(value, Array) else Array(np.array(value))
    known["get_default_memory_pool"] = lambda: _pool
    known["ndarray"] = Array
    runtime = SimpleNamespace(
        driverGetVersion=lambda: 0,
        getDeviceCount=lambda: len(visible()),
        getDeviceProperties=lambda _place: {"name": b"the emulator"},
        memGetInfo=lambda: (MEMORY - _pool.used_bytes(), MEMORY),
        deviceSynchronize=lambda: None,
        CUDARuntimeError=RuntimeError,
    )
    known["cuda"] = SimpleNamespace(Stream=Stream, get_current_stream=lambda: _entered.streams[-1], runtime=runtime)
    vars(cupy).update(known)
    vars(cupyx)["empty_pinned"] = lambda shape, dtype: np.empty(shape, dtype)
    return {"cupy": cupy, "cupyx": cupyx}
