"""How kernels are compiled for the CPU and loaded from Numba's cache, where the default would not do."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import numba
from numba import config
from numba.core.caching import FunctionCache, NullCache
from numba.core.runtime.nrt import rtsys

Function = TypeVar("Function", bound=Callable[..., object])


Tell = Callable[[bool], object]
Done = Callable[[], object]

_UNREADABLE = (OSError, EOFError, pickle.UnpicklingError)
_listeners: list[tuple[Tell, Done]] = []


@contextmanager
def told_of_compiling(listener: Tell, done: Done = lambda: None) -> Iterator[None]:
    """Call a listener whenever this process, or a worker, is about to compile a kernel, with whether it will be found in the cache later.

    `done` is called when this process has compiled it; kernels that it calls are compiled in between. Where nobody is
    told, the logger `tamis` is once a process, by a warning, which Python shows unless logging is set up otherwise.
    """
    _listeners.append((listener, done))
    try:
        yield
    finally:
        _listeners.remove((listener, done))


def in_words(kept: bool) -> str:
    """Say that kernels are being compiled, given whether they are kept."""
    again = "only this once" if kept else "and so each time, because no cache can be written; name a folder for it in NUMBA_CACHE_DIR"
    return f"kernels are being compiled, which takes a minute or more, {again}"


@cache
def _log(kept: bool) -> None:
    logging.getLogger("tamis").warning("tamis: %s", in_words(kept))


def tell(kept: bool) -> None:
    """Tell whoever wants to know that a kernel is about to be compiled, and whether it is kept."""
    for listener, _ in tuple(_listeners) or ((_log, None),):
        listener(kept)


def _tell_done() -> None:
    for _, done in tuple(_listeners):
        done()


class Forgiving:
    """What a cache of Numba's is beside its own: one that cannot be read or written costs time, no answer, and compiling is told of."""

    @classmethod
    def of(cls, function: Function) -> Any:
        """Return a function's cache, or, where neither the package's folder nor one of the user's can be written, none."""
        try:
            return cls(function)  # type: ignore[call-arg]  # as Numba's
        except RuntimeError:
            return _Nowhere()

    def found(self, sig: Any, target_context: Any) -> Any:
        """Return what is kept, or None."""
        return super().load_overload(sig, target_context)  # type: ignore[misc]  # the cache's

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what is kept and can be read, or tell that it is about to be compiled."""
        found = None
        with suppress(*_UNREADABLE):
            found = self.found(sig, target_context)
        if found is None:
            tell(True)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if it can be written."""
        try:
            super().save_overload(sig, data)  # type: ignore[misc]  # the cache's
        except _UNREADABLE:
            with suppress(OSError):
                self.flush()  # type: ignore[attr-defined]  # an index that cannot be read would stand in the way for ever
        _tell_done()


class _Loading(Forgiving, FunctionCache):
    """Numba's cache of compiled functions, but to load one of them nothing is set up that only compiling needs.

    That is all that Numba knows of types and functions, and SciPy where it is installed: 0.3 s of processor time and 25 MB in each process.
    Numba's compiler sets it up itself when a function is not in the cache.
    """

    def found(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


class _Nowhere(NullCache):
    """No cache, where no folder for one can be written."""

    def load_overload(self, sig: Any, target_context: Any) -> None:  # noqa: ARG002 - Numba's signature
        tell(False)

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ARG002 - Numba's signature
        _tell_done()


def njit(*, cache: bool = False, **options: Any) -> Callable[[Function], Function]:
    """Do what `numba.njit` does."""

    def compile_lazily(function: Function) -> Function:
        kernel = numba.njit(**options)(function)
        if cache and kernel is not function:  # which it is where compilation is switched off
            kernel._cache = _Loading.of(function)  # what `cache=True` does, but for the class
        return kernel  # type: ignore[no-any-return]

    return compile_lazily


def of_views(function: Function, **options: Any) -> Function:
    """Compile a function that makes no array, only views of those that it is given, and returns none.

    References to them are not counted. Their atomic additions took a third of the time of quality control, two thirds of that of hashing
    short tokens, and 7 % of the walk over a JPEG. A caller would let go of an array returned that nobody holds for it, and an
    array that it got from another function would never be let go.
    """
    return njit(cache=True, nogil=True, _nrt=False, **options)(function)


def simulated() -> bool:
    """Return whether CUDA kernels run in Numba's simulator, which needs no device and is very slow."""
    return bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]  # set when numba is imported
