"""How kernels are compiled for the CPU, where the default would not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def of_views(function: Function, **options: Any) -> Function:
    """Compile a function that makes no array, only views of those that it is given, and returns none.

    References to them are not counted. Their atomic additions took a third of the time of quality control, two thirds of that of hashing
    short tokens, and 7 % of the walk over a JPEG. A caller would let go of an array returned that nobody holds for it, and an
    array that it got from another function would never be let go.
    """
    return njit(cache=True, nogil=True, _nrt=False, **options)(function)  # type: ignore[call-overload,no-any-return]
