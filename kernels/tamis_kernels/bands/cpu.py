"""Band keys in Numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from tamis_kernels.types import Uint32s, Uint64s

u64 = np.uint64


def keys(signatures: Uint32s, rows: int, out: Uint64s) -> None:
    """Write the key of each band of `rows` slots into `out`."""
    work = np.arange(signatures.shape[0] + 1) * (out.shape[1] * rows)
    for_rows(_keys, work, signatures, rows, out)


@of_views
def _keys(first: int, last: int, signatures: Uint32s, rows: int, out: Uint64s) -> None:
    for i in range(first, last):
        for band in range(out.shape[1]):
            key = splitmix64(u64(band))
            for slot in range(band * rows, (band + 1) * rows):
                key = splitmix64(key ^ u64(signatures[i, slot]))
            out[i, band] = key


@of_views
def splitmix64(value: np.uint64) -> np.uint64:
    """Return the output that splitmix64 gives for a state."""
    value = value + u64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> u64(27))) * u64(0x94D049BB133111EB)
    return value ^ (value >> u64(31))
