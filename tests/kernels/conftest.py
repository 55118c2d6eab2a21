"""What the kernels' tests need when they run interpreted, with NUMBA_DISABLE_JIT=1, so that coverage sees every line of a kernel."""

from __future__ import annotations

import numba
import pytest
from hypothesis import settings

INTERPRETED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]  # set when numba is imported
if INTERPRETED:
    settings.load_profile("small")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let integers wrap and infinities cancel, as in compiled kernels; `np.errstate` would not reach the kernels' helper threads."""
    if INTERPRETED:
        for item in items:
            item.add_marker(pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in:RuntimeWarning"))
