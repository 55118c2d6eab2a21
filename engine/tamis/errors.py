"""What tamis can raise.

TamisError
├── KernelError          a kernel, or a function of the Python interface, cannot do what is asked for
│   ├── ArgumentError             an argument has the wrong value, type or shape; also a ValueError and a TypeError
│   └── BackendUnavailableError   the backend asked for by name cannot run here
├── RecipeError          the recipe is wrong: file, key, value, and the nearest known key
├── SourceError          the source as a whole cannot be read: no such path, nothing in it
├── ColumnError          a column that the recipe or the caller names is not there, or has an unfit type
├── OutputError          the output folder cannot be used or written: not empty, inside the source, disk full
├── RunInterrupted       SIGINT arrived; the message says what to type to go on
├── WorkerError          the worker processes cannot be started or keep dying before any record is read
└── InvariantError       tamis found its own books wrong; a bug, never the user's fault

A single bad record raises nothing: it goes to the ledger with its reason.
"""

from __future__ import annotations

import errno
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tamis_kernels.errors import ArgumentError as ArgumentError
from tamis_kernels.errors import BackendUnavailableError as BackendUnavailableError
from tamis_kernels.errors import KernelError as KernelError
from tamis_kernels.errors import TamisError as TamisError

if TYPE_CHECKING:
    from collections.abc import Iterable

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # what the operating system says when there is no room left


class RecipeError(TamisError, ValueError):
    """The recipe is wrong."""


class SourceError(TamisError):
    """The source as a whole cannot be read."""


class ColumnError(TamisError, KeyError):
    """A named column is missing or has an unfit type."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return str(self.args[0]) if self.args else ""


class OutputError(TamisError):
    """The output folder cannot be used or written."""


class RunInterrupted(TamisError):
    """The run was interrupted on request and can be resumed."""


class WorkerError(TamisError):
    """Worker processes cannot be started or keep dying."""


class InvariantError(TamisError):
    """The books of a run do not balance; please report it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known name nearest to this one, or an empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
