"""What the processes of a run tell a test: the folder that EMULATED_JOURNAL names gets a file for each, by its number."""

from __future__ import annotations

import os
from pathlib import Path


def note(word: str, what: object) -> None:
    """Write a line if anybody reads it: `sees` devices, first `ran` a kernel, was `bounded`, `refused` bytes, met a `fault`."""
    if folder := os.environ.get("EMULATED_JOURNAL"):
        with (Path(folder) / str(os.getpid())).open("a") as file:
            file.write(f"{word} {what}\n")


def read(folder: Path) -> dict[int, dict[str, list[str]]]:
    """Return what each process has written, by word."""
    found: dict[int, dict[str, list[str]]] = {}
    for path in folder.iterdir():
        told = found.setdefault(int(path.name), {})
        for line in path.read_text().splitlines():
            word, _, what = line.partition(" ")
            told.setdefault(word, []).append(what)
    return found
