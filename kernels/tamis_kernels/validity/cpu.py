"""Values that are not null: eight at once where all of a byte are there, else without a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.compiled import of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Floats, Uint8s


@of_views
def compress(values: Floats, bitmap: Uint8s, offset: int, out: Floats) -> int:
    """Copy the values whose bit is set to the beginning of `out`, and return how many there are."""
    found = 0
    size = values.shape[0]
    first = min(-offset % 8, size)  # values before a whole byte
    last = first + (size - first) // 8 * 8
    for i in range(first):
        out[found] = values[i]
        found += int(bitmap[(offset + i) >> 3] >> ((offset + i) & 7)) & 1
    for start in range(first, last, 8):
        byte = bitmap[(offset + start) >> 3]
        if byte == 255:
            for i in range(8):
                out[found + i] = values[start + i]
            found += 8
        elif byte != 0:
            for i in range(8):
                out[found] = values[start + i]
                found += int(byte >> i) & 1
    for i in range(last, size):
        out[found] = values[i]
        found += int(bitmap[(offset + i) >> 3] >> ((offset + i) & 7)) & 1
    return found
