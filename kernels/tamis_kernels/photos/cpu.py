"""The chain by the compiled functions of each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.jpeg.cpu import walk_files
from tamis_kernels.perceptual.cpu import hash_batch
from tamis_kernels.photos.layout import describe_by
from tamis_kernels.quality.cpu import measure_all

if TYPE_CHECKING:
    import numpy as np
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
    """Walk the files that lie end to end in `data`; hash and measure the pictures of the whole ones that are not kept apart."""
    steps = walk_files, hash_batch, measure_all
    describe_by(*steps, data, offsets, apart, cosines, logs, facts, planes, hashes, qualities, small, figures)
