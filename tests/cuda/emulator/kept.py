"""Keeps what kernels are translated to beside Numba's own cache, for it takes seconds a kernel, and a run has several processes.

A kernel is what its types, all sources of the kernels, the values that its functions name, the emulator and the compilers make of it: where
one of these differs it is translated anew. Kernels that tests define are never kept.
"""

from __future__ import annotations

import os
import pickle
from functools import cache
from hashlib import sha256
from importlib import metadata
from inspect import getclosurevars, isfunction, ismodule
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

import tamis_kernels
from emulator import grid

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = tamis_kernels.__name__
_one_at_a_time = Lock()
_VALUES = (bool, int, float, str, bytes, tuple, np.ndarray, np.generic, type(None))


def translation(function: Any, types: tuple[Any, ...], *, fastmath: bool) -> dict[str, Any]:
    """Return what the program of a kernel is made of, with every access asked for."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder or not function.__module__.startswith(f"{OURS}."):
        return _translated(function, types, fastmath=fastmath)
    values = {name: value.tobytes() if isinstance(value, np.ndarray) else repr(value) for name, value in named(function)}
    key = sha256(repr((_tools(), function.__module__, function.__name__, str(types), fastmath, sorted(values.items()))).encode())
    place = Path(folder) / "emulated" / key.hexdigest()[:32]
    with _one_at_a_time:  # threads of a run come to a new kernel together
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            made = place.with_name(f"{place.name}.{os.getpid()}")
            made.write_bytes(pickle.dumps(_translated(function, types, fastmath=fastmath)))
            made.replace(place)
    found: dict[str, Any] = pickle.loads(place.read_bytes())
    return found


def _translated(function: Any, types: tuple[Any, ...], *, fastmath: bool) -> dict[str, Any]:
    ptx, _ = cuda.compile_ptx(function, types, cc=grid.ARCHITECTURE, device=False, fastmath=fastmath)
    return grid.translation(ptx, touched=True)


def named(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values that a function, and those of the kernels' that it calls, find outside themselves, by their names there."""
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        outside = getclosurevars(one)
        found = {**outside.globals, **outside.nonlocals}
        for module in [value for value in found.values() if ismodule(value) and value.__name__.startswith(OURS)]:
            found |= {f"{module.__name__}.{name}": getattr(module, name) for name in one.__code__.co_names if hasattr(module, name)}
        for name, value in found.items():
            inner = getattr(value, "py_func", value)
            if isfunction(inner) and inner.__module__.startswith(OURS):
                waiting.append(inner)
            elif isinstance(value, _VALUES):
                yield f"{one.__module__}.{one.__qualname__}.{name}", value


@cache
def _tools() -> str:
    """Return what stands for all sources of the kernels and the emulator, and the compilers."""
    folders = Path(tamis_kernels.__path__[0]), Path(__file__).parent
    sources = b"".join(path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.py")))
    versions = [metadata.version(name) for name in ("numba", "numba-cuda", "llvmlite", "nvidia-nvvm")]
    return f"{sha256(sources).hexdigest()} {versions}"
