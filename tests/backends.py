"""The backends that the tests of an operation with CUDA kernels run on.

CUDA is marked `gpu`: it runs on a device (`pytest -m gpu`) or in Numba's simulator (`make coverage`).

Packages that are asked what is right are imported by the tests that ask them: where a machine with a GPU lacks one, these alone fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba import config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
BACKENDS = ("reference", "cpu", CUDA)
COMPILED = ("cpu", CUDA)
"""Those that are compared with the reference."""
INTERPRETED = bool(config.DISABLE_JIT)  # type: ignore[attr-defined]  # set when numba is imported


def at_most(size: int, limit: int) -> int:
    """Return the size, at most the limit where kernels are interpreted: a step takes up to a tenth of a millisecond there."""
    return min(size, limit) if INTERPRETED else size


def arrow(rows: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as Arrow lays them: all their bytes, and where each text begins and the last one ends."""
    return np.frombuffer(b"".join(rows), np.uint8), np.cumsum([0, *map(len, rows)])


def assert_like_reference(backend: Any, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
    """Check that a function gives the array, or the tuple of arrays, that it gives by the reference."""
    found, wanted = (function(*arguments, **settings, backend=each) for each in (backend, "reference"))
    if not isinstance(wanted, tuple):
        found, wanted = (found,), (wanted,)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
