"""Band keys in CUDA: a thread has one band of one signature. Bound by the bytes of the signatures, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.bands.cpu import splitmix64
from tamis_kernels.device import launch, mapped, xp

if TYPE_CHECKING:
    from numpy.typing import NDArray

u64 = np.uint64


def keys(signatures: NDArray[np.uint32], rows: int, out: NDArray[np.uint64]) -> None:
    """Write the key of each band of `rows` slots into `out`."""

    def made(part: Any) -> Any:
        found = xp.empty((len(part), out.shape[1]), np.uint64)
        launch(band_keys, found.size, part, rows, found)
        return found

    mapped(made, signatures, out)


@cuda.jit
def band_keys(signatures: NDArray[np.uint32], rows: int, out: NDArray[np.uint64]) -> None:
    """Write one key a thread."""
    item = cuda.grid(1)
    if item < out.size:
        i, band = item // out.shape[1], item % out.shape[1]
        key = splitmix64(u64(band))
        for slot in range(band * rows, (band + 1) * rows):
            key = splitmix64(key ^ u64(signatures[i, slot]))
        out[i, band] = key
