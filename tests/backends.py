"""The backends that the tests of an operation with CUDA kernels run on.

CUDA is marked `gpu`: it runs on a device (`pytest -m gpu`) or in Numba's simulator (`make coverage`).

Packages that are asked what is right are imported by the tests that ask them: where a machine with a GPU lacks one, these alone fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tamis_kernels.backend import simulated

if TYPE_CHECKING:
    from tamis_kernels.backend import BackendName

CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
BACKENDS = ("reference", "cpu", CUDA)
COMPILED = ("cpu", CUDA)
"""Those that are compared with the reference."""


def at_most(size: int, limit: int, backend: BackendName) -> int:
    """Return the size, in the simulator at most the limit: there a step takes a tenth of a millisecond."""
    return min(size, limit) if backend == "cuda" and simulated() else size
