"""Files that are whole or not there, made under names that no other process has."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tamis.names import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED = ".part"
"""What the names of files in the making end with, by which they are found when a run was killed."""


@contextmanager
def whole(path: Path, room: Path | None = None, *, flush: bool = True) -> Iterator[Path]:
    """Give a name for a file or link in the making, which takes the name `path` on success and is removed on failure.

    Parameters
    ----------
    path
        Where it is to be; the folder is made if it must be.
    room
        Folder of the name in the making, on the same file system, for one file of this process at a time. None for that of `path`. Where
        files of users lie, what a killed run has left could not be told from them.
    flush
        Whether the file must be on the disk before it takes its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if room is None:
        unfinished = path.with_name(f"{path.name}.{PROCESS}{UNFINISHED}")
    else:
        room.mkdir(parents=True, exist_ok=True)
        unfinished = room / f"{PROCESS}{UNFINISHED}"  # the name of a user's file may be as long as a name can be
    try:
        yield unfinished
        if flush:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # also after success: one hard link renamed onto another of the same file leaves both names
