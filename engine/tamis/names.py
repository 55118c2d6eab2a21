"""The name of this process among all that may write into one folder, and of what it has in the making."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from pathlib import Path

PROCESS = uuid4().hex[:16]
"""What names of files in the making carry: processes of two machines that share a folder may have the same number."""


def in_the_making(target: Path) -> Path:
    """Return the path beside a target under which this process writes what takes the target's name when it is whole."""
    return target.with_name(f"{target.name}.{PROCESS}.tmp")
