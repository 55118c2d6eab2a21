"""XXH3 of 128 bits in CUDA: a record a thread, by the processor's own functions. Long records make their neighbours wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint64

from tamis_kernels.device import launch, streamed, xp
from tamis_kernels.xxh3.cpu import ACCUMULATORS, long_hash, middle_hash, short_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

u64 = np.uint64


def hash128(data: NDArray[np.uint8], offsets: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    """Write the upper and the lower half of the hash of each record."""
    streamed(
        offsets + (8 + 16) * np.arange(offsets.size),
        lambda first, last: (data[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first]),
        _hashed,
        lambda first, last: (out[first:last],),
    )


def _hashed(first: int, last: int, data: Any, offsets: Any) -> tuple[Any]:
    found = xp.empty((last - first, 2), u64)
    launch(hash_records, last - first, data, offsets, found)
    return (found,)


@cuda.jit
def hash_records(data: NDArray[np.uint8], offsets: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    """Hash a record a thread."""
    row = cuda.grid(1)
    if row < out.shape[0]:
        start, size = offsets[row], offsets[row + 1] - offsets[row]
        if size <= 16:
            high, low = short_hash(data, u64(start), size)
        elif size <= 240:
            high, low = middle_hash(data, u64(start), size)
        else:
            sums = cuda.local.array(8, uint64)
            for lane in range(8):
                sums[lane] = ACCUMULATORS[lane]
            high, low = long_hash(data, u64(start), size, sums)
        out[row, 0], out[row, 1] = high, low
