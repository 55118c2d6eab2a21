"""Names of paths: of what this process has in the making among all that may write into one folder, and of the user's folder; of things."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

PROCESS = uuid4().hex[:16]
"""What names of files in the making carry: processes of two machines that share a folder may have the same number."""


def at_home(path: str | Path) -> Path:
    """Return a path with the user's folder for a `~` in front, which the libraries that write tables would put there, and others not."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of pathlib raises where there is no such user


def counted(number: int, things: str) -> str:
    """Return a number with the name of what is counted, which is given as it is of many and ends in an s."""
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"
