"""The chain by the compiled functions of each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.jpeg.cpu import in_groups as in_groups
from tamis_kernels.jpeg.cpu import walk_group
from tamis_kernels.perceptual.cpu import hash_batch
from tamis_kernels.photos.layout import describe_by
from tamis_kernels.quality.cpu import measure_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def describe_files(
    files: Sequence[bytes | memoryview],
    apart: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
    cosines: NDArray[np.float64],
    logs: NDArray[np.int64],
    facts: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    qualities: NDArray[np.uint8],
    small: NDArray[np.uint8],
    figures: NDArray[np.int64],
) -> list[NDArray[np.uint8]]:
    """Walk files; hash and measure the pictures of the whole ones that are not kept apart, and return the pictures of those that are."""
    steps = walk_group, hash_batch, measure_all
    return describe_by(*steps, files, apart, cosines, logs, facts, hashes, qualities, small, figures)
