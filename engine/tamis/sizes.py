"""Sizes as people write them."""

from __future__ import annotations

from tamis.errors import ArgumentError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def byte_count(size: float | str, name: str = "memory") -> int:
    """Return a size in bytes, given as such or as text: `500MB`, `2 GiB`.

    Raises
    ------
    ArgumentError
        It is no size; the message says so of the option `name`.
    """
    text = str(size).strip().upper()
    figure = text.rstrip("BKMGTI").strip()
    unit = text.removeprefix(figure).strip()
    try:
        found = int(float(figure) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found < 1:
        message = f"{name} must be a number of bytes or a text such as 500MB or 2GB, got {size!r}"
        raise ArgumentError(message)
    return found
