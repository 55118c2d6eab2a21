"""Values that are not null in CUDA, by CuPy's boolean index: bound by the values read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.device import to_device, to_host, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compress(values: NDArray[np.floating[Any]], bitmap: NDArray[np.uint8], offset: int, out: NDArray[np.floating[Any]]) -> int:
    """Copy the values whose bit is set to the beginning of `out`, and return how many there are."""
    first, last = offset // 8, -(-(offset + values.size) // 8)
    bits = xp.unpackbits(to_device(bitmap[first:last]), bitorder="little")[offset - 8 * first :][: values.size]
    found = to_device(values)[bits == np.uint8(1)]
    to_host(found, out[: found.size])
    return int(found.size)
