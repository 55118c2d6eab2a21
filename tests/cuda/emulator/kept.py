"""Keeps PTX of kernels, and what it is translated to, beside Numba's own cache, for it takes seconds a kernel in each of several processes.

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
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numba.cuda import compiler

import tamis_kernels
from emulator import grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Made = TypeVar("Made")
OURS = tamis_kernels.__name__
ARCHITECTURES = ((8, 0), (9, 0))
_one_at_a_time = RLock()  # what is kept of a kernel is made of what else is kept of it
_VALUES = (bool, int, float, str, bytes, tuple, np.ndarray, np.generic, type(None))


def translation(function: Any, types: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return what the program of a kernel is made of, with every access asked for."""
    return _kept("emulated", function, types, options, lambda: _translated(function, types, options))


def _translated(function: Any, types: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    return grid.translation(assembly(function, types, options)[grid.ARCHITECTURE], touched=True)


def assembly(function: Any, types: tuple[Any, ...], options: dict[str, Any]) -> dict[tuple[int, int], str]:
    """Return the PTX of a kernel for each architecture.

    What Numba makes for NVVM, in nine tenths of the time, is the same for both: it asks for no architecture after 6.0, `tanh` apart.
    """
    return _kept("ptx", function, types, options, lambda: _assembled(function, types, options))


def _assembled(function: Any, types: tuple[Any, ...], options: dict[str, Any]) -> dict[tuple[int, int], str]:
    library, _ = compiler._compile_pyfunc_with_fixup(
        function, types, device=False, abi="numba", cc=grid.ARCHITECTURE, **compiling_options(options)
    )
    return {architecture: library.get_asm_str(cc=architecture) for architecture in ARCHITECTURES}


def compiling_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return those of a kernel's options that its code hangs on, as the compiler takes them."""
    return {"fastmath": bool(options.get("fastmath")), "launch_bounds": options.get("launch_bounds")}


def _kept(what: str, function: Any, types: tuple[Any, ...], options: dict[str, Any], make: Callable[[], Made]) -> Made:
    """Return what was made of a kernel, by another process or now."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder or not function.__module__.startswith(f"{OURS}."):
        return make()
    values = {name: value.tobytes() if isinstance(value, np.ndarray) else repr(value) for name, value in named(function)}
    key = sha256(
        repr((_tools(), function.__module__, function.__name__, str(types), compiling_options(options), sorted(values.items()))).encode()
    )
    place = Path(folder) / what / key.hexdigest()[:32]
    with _one_at_a_time:  # threads of a run come to a new kernel together
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            made = place.with_name(f"{place.name}.{os.getpid()}")
            made.write_bytes(pickle.dumps(make()))
            made.replace(place)
    found: Made = pickle.loads(place.read_bytes())
    return found


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
