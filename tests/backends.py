"""The backends that the tests of an operation with CUDA kernels run on.

CUDA is marked `gpu`: it runs on a device (`pytest -m gpu`) or in Numba's simulator (`make coverage`).

Packages that are asked what is right are imported by the tests that ask them: where a machine with a GPU lacks one, these alone fail.
"""

from __future__ import annotations

import pytest
from numba import config

CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
BACKENDS = ("reference", "cpu", CUDA)
COMPILED = ("cpu", CUDA)
"""Those that are compared with the reference."""
INTERPRETED = bool(config.DISABLE_JIT)  # type: ignore[attr-defined]  # set when numba is imported


def at_most(size: int, limit: int) -> int:
    """Return the size, at most the limit where kernels are interpreted: a step takes up to a tenth of a millisecond there."""
    return min(size, limit) if INTERPRETED else size
