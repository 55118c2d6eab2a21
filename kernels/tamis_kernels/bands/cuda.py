"""Band keys in CUDA: a thread has one band of one signature. Bound by the bytes of the signatures, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.bands.cpu import splitmix64
from tamis_kernels.device import launch, mapped, xp

if TYPE_CHECKING:
    from tamis_kernels.types import Uint32s, Uint64s

u32, u64 = np.uint32, np.uint64


def keys(signatures: Uint32s, rows: int, out: Uint64s) -> None:
    """Write the key of each band of `rows` slots into `out`."""

    def made(part: Any) -> Any:
        found = xp.empty((len(part), out.shape[1]), np.uint64)
        launch(band_keys, found.size, part, rows, found)
        return found

    mapped(made, signatures, out)


@cuda.jit
def band_keys(signatures: Uint32s, rows: int, out: Uint64s) -> None:
    """Write one key a thread."""
    item, bands = u32(cuda.grid(1)), u32(out.shape[1])  # of 32 bits, as a batch has fewer keys: a quotient of 64 costs as much as two slots
    if item < out.size:
        i = u32(item // bands)
        band = u64(u32(item - u32(i * bands)))
        key, slot, left = splitmix64(band), u64(band * u64(rows)), u32(rows)
        while left > u32(0):
            key = splitmix64(key ^ u64(signatures[u64(i), slot]))
            slot, left = u64(slot + u64(1)), u32(left - u32(1))
        out[u64(i), band] = key
