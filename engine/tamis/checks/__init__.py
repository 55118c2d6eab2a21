"""One file a check, or a folder where it has parts. What defines a `Check` here is found, gets a section in every recipe, and runs.

Beside them: the contract (`base`), and what several checks share (`named`, `roles`, `marks`).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from tamis.checks.base import Check


@cache
def registry() -> tuple[type[Check[Any]], ...]:
    """Return all checks in the order in which they give their verdicts."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(Check.__subclasses__(), key=lambda check: (check.order, check.name)))


__all__ = ["Check", "registry"]
