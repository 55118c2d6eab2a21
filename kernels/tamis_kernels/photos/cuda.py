"""The chain in CUDA: files go to the device once, pictures at 1/8 scale stay there, and what is told of them comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.device import in_batches, to_host
from tamis_kernels.jpeg.cuda import GROUP_BYTES, LANES, walk_batch
from tamis_kernels.perceptual.cuda import hash_on_device
from tamis_kernels.photos.layout import seen_of
from tamis_kernels.quality.cuda import measure_on_device

__all__ = ["GROUP_BYTES", "describe_files"]

if TYPE_CHECKING:
    from numpy.typing import NDArray


def describe_files(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    cosines: NDArray[np.float64],
    logs: NDArray[np.int64],
    facts: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
    small: NDArray[np.uint8],
    figures: NDArray[np.int64],
) -> None:
    """Walk the files that lie end to end in `data`; hash and measure the pictures of the whole ones."""

    def work(first: int, last: int) -> None:
        bounds = offsets[first : last + 1]
        pictures, begins = walk_batch(data[bounds[0] : bounds[-1]], bounds - bounds[0], facts[first:last])
        seen = seen_of(facts[first:last])
        at, rows = begins[seen.rows], first + seen.rows
        hashed = hash_on_device(pictures, 16, at, seen.shapes, seen.extents, cosines, 1)
        measured = measure_on_device(pictures, at, seen.shapes, pictures, at + seen.cells, seen.chroma, logs)
        found = np.empty((rows.size, 4), np.uint64), np.empty(rows.size, np.uint8), np.empty((rows.size, 256), np.uint8)
        told = np.empty((rows.size, figures.shape[1]), np.int64)
        to_host(hashed[0][:, 0], found[0])
        to_host(hashed[1], found[1])
        to_host(hashed[2], found[2])
        to_host(measured, told)
        hashes[rows], qualities[rows], small[rows], figures[rows] = *found, told

    in_batches(work, len(facts), LANES)
