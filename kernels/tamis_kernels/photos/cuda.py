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
    apart: NDArray[np.bool_],
    cosines: NDArray[np.float64],
    logs: NDArray[np.int64],
    facts: NDArray[np.int64],
    planes: NDArray[np.uint8],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
    small: NDArray[np.uint8],
    figures: NDArray[np.int64],
) -> None:
    """Walk the files that lie end to end in `data`; hash and measure the pictures of the whole ones that are not kept apart.

    Of those kept apart the pictures come back, as `jpeg.cuda.walk_files` writes them.
    """

    def work(first: int, last: int) -> None:
        bounds = offsets[first : last + 1]
        pictures, begins = walk_batch(data[bounds[0] : bounds[-1]], bounds - bounds[0], facts[first:last])
        seen = seen_of(facts[first:last], apart[first:last])
        found = hash_on_device(pictures, 16, begins[:-1], seen.shapes, seen.extents, cosines, 1)
        told = measure_on_device(pictures, begins[:-1], seen.shapes, pictures, begins[:-1] + seen.cells, seen.chroma, logs)
        to_host(found[0][:, 0], hashes[first:last])
        to_host(found[1], qualities[first:last])
        to_host(found[2], small[first:last])
        to_host(told, figures[first:last])
        for file in np.flatnonzero(apart[first:last]).tolist():
            begin, end, at = begins[file], begins[file + 1], 4 * bounds[file]
            to_host(pictures[begin:end], planes[at : at + end - begin])

    in_batches(work, len(facts), LANES)
