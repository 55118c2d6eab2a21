"""Values that are not null, bit by bit: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Floats, Uint8s


def compress(values: Floats, bitmap: Uint8s, offset: int, out: Floats) -> int:
    """Copy the values whose bit is set to the beginning of `out`, and return how many there are."""
    bits = np.unpackbits(bitmap, bitorder="little")[offset : offset + values.size]
    found = values[bits == 1]
    out[: found.size] = found
    return len(found)
