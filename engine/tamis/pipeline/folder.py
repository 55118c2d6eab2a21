"""The output folder: may it be used, what in it is ours, and who is using it now."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tamis.errors import OutputError
from tamis.files import UNFINISHED
from tamis.pipeline.plan import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS = (
    "clean",
    ".tamis",
    "manifest.json",
    "rejects.parquet",
    "notes.parquet",
    "clusters.parquet",
    "series.parquet",
    "confirm.toml",
    "inputs.parquet",
    "outputs.parquet",
    "scaler.json",
    "report.html",
)


@contextmanager
def prepared(out: Path, sources: Sequence[Path], *, overwrite: bool) -> Iterator[None]:
    """Make sure that the output folder can be used, and hold it while the run lasts.

    Raises
    ------
    OutputError
        It is a file, holds things that are not tamis's, holds a finished run, is in use, cannot be written, or holds the source.
    """
    _check_place(out, sources)
    try:
        _check_content(out, overwrite=overwrite)
        state_folder(out).mkdir(parents=True, exist_ok=True)
        lock = (state_folder(out) / "lock").open("w")
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror or error}"
        raise OutputError(message) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another run is writing to {out}; wait for it, or name another output folder"
            raise OutputError(message) from None
        if overwrite:
            clear(out)
        _sweep(out)
        try:
            yield
        finally:
            _sweep(out)  # a run that fails stops its other workers wherever they are


def _check_place(out: Path, sources: Sequence[Path]) -> None:
    """Refuse a folder that lies where the source does, cannot be named in tables, or is no folder."""
    for source in sources:
        if source.resolve() == out.resolve():
            message = f"the output folder {out} is the source itself; name another output folder"
            raise OutputError(message)
        if source.resolve().is_relative_to(out.resolve()):
            message = f"the source {source} lies inside the output folder {out}; name another output folder"
            raise OutputError(message)
    if any("\ud800" <= sign <= "\udfff" for sign in str(out)):
        message = f"the name {str(out)!a} of the output folder is no UTF-8, which the tables written need; name another output folder"
        raise OutputError(message)
    if out.is_symlink() and not out.exists():
        message = f"{out} is a link to {out.readlink()}, which is not there; make that folder, or name another one"
        raise OutputError(message)
    if out.exists() and not out.is_dir():
        message = f"{out} is not a folder; name one for the output"
        raise OutputError(message)


def clear(out: Path) -> None:
    """Remove what an earlier run left; the lock stays."""
    for name in OURS:
        path = out / name
        if name == ".tamis":
            for child in path.iterdir():
                if child.name != "lock":
                    _remove(child)
        elif path.exists() or path.is_symlink():
            _remove(path)


def _sweep(out: Path) -> None:
    """Remove the half-made files of a run that was killed; none of them lies among the files of the clean corpus."""
    for path in (*out.glob(f"*{UNFINISHED}"), *state_folder(out).rglob(f"*{UNFINISHED}")):
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _check_content(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds what is not of tamis, or a finished run that is to stay."""
    names = set(os.listdir(out)) if out.exists() else set()  # noqa: PTH208 - names alone
    if names and ".tamis" not in names:
        message = f"{out} is not empty and holds no run of tamis ({', '.join(sorted(names)[:3])} …); name a new folder for the output"
        raise OutputError(message)
    if "manifest.json" in names and not overwrite:
        message = f"{out} holds a finished run; use --overwrite (overwrite=True) to replace it, or name another output folder"
        raise OutputError(message)
