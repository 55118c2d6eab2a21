"""Values that are not null in CUDA, by CuPy's boolean index: bound by the values read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.device import in_batches, room, to_device, to_host, xp

if TYPE_CHECKING:
    from tamis_kernels.types import Floats, Uint8s


def compress(values: Floats, bitmap: Uint8s, offset: int, out: Floats) -> int:
    """Copy the values whose bit is set to the beginning of `out`, and return how many there are."""
    many = 0

    def pick(first: int, last: int) -> None:
        nonlocal many
        begin, end = (offset + first) // 8, -(-(offset + last) // 8)
        bits = xp.unpackbits(to_device(bitmap[begin:end]), bitorder="little")[offset + first - 8 * begin :][: last - first]
        found = to_device(values[first:last])[bits == np.uint8(1)]
        to_host(found, out[many : many + found.size])
        many += int(found.size)

    in_batches(pick, values.size, max(1, room() // (4 * values.itemsize)))
    return many
