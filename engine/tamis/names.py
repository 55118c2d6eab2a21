"""Names of paths: of what this process has in the making among all that may write into one folder, and of the user's folder; of things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias
from uuid import uuid4

from tamis.errors import ArgumentError, OutputError, TamisError

AnyPath: TypeAlias = Annotated[str | os.PathLike[str], "a path"]

PROCESS = uuid4().hex[:16]
"""What names of files in the making carry: processes of two machines that share a folder may have the same number."""


def at_home(path: AnyPath) -> Path:
    """Return a path with the user's folder for a `~` in front, which the libraries that write tables would put there, and others not."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of pathlib raises where there is no such user


def counted(number: int, things: str, do: str = "") -> str:
    """Return a number with the name of what is counted, which ends in an s, and what they do or are; both are given as of many."""
    if number != 1:
        return f"{number:,} {things} {do}".rstrip()
    return f"1 {things.removesuffix('s')} {do and {'are': 'is', 'have': 'has'}.get(do, f'{do}s')}".rstrip()


@contextmanager
def written(what: str, path: AnyPath) -> Iterator[Path]:
    """Give the path that something is written to.

    Raises
    ------
    OutputError
        It cannot be.
    """
    try:
        yield at_home(path)
    except OSError as error:
        message = f"{what} cannot be written to {os.fspath(path)}: {error.strerror or error}; name another file"
        raise OutputError(message) from error


@contextmanager
def read(what: str, path: AnyPath, remedy: str) -> Iterator[Path]:
    """Give the path that something is read from.

    Raises
    ------
    ArgumentError
        It cannot be, or holds something else.
    """
    try:
        yield at_home(path)
    except TamisError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        message = f"{what} cannot be read from {os.fspath(path)}: {why}; {remedy}"
        raise ArgumentError(message) from error
