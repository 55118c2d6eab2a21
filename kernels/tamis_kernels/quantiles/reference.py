"""Radix histograms of order-preserving keys, one value at a time: the definition of right."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Floats, Int64s, Uint64s


def _key(value: float, width: int) -> int:
    """Return an unsigned integer that orders like the value; -0.0 is 0."""
    kind = "f" if width == 32 else "d"
    pattern = int.from_bytes(struct.pack(f">{kind}", value + 0.0), "big")
    return (1 << width) - 1 - pattern if pattern >> (width - 1) else pattern | 1 << (width - 1)


def count(values: Floats, prefixes: Uint64s, shift: int, histogram: Int64s) -> None:
    """Count the bits above `shift` of each key, as many as the histogram is wide, in the row of the prefix that stands before them."""
    width = histogram.shape[1]
    rows = {prefix: row for row, prefix in enumerate(prefixes.tolist())}
    for value in values.tolist():
        if not math.isnan(value):
            key = _key(value, 8 * values.itemsize)
            row = rows.get((key >> shift) // width)
            if row is not None:
                histogram[row, (key >> shift) % width] += 1


def select(values: Floats, prefixes: Uint64s, shift: int, out: Floats) -> int:
    """Copy the values whose key has one of the prefixes above `shift` to `out` and return how many there are."""
    wanted = set(prefixes.tolist())
    width = 8 * values.itemsize
    found = [value for value in values.tolist() if not math.isnan(value) and _key(value, width) >> shift in wanted]
    out[: len(found)] = found
    return len(found)
