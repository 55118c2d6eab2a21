"""The chain in CUDA: files go to the device once, pictures at 1/8 scale stay there, and what is told of them comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.device import to_hosts
from tamis_kernels.jpeg.cuda import fetched, in_groups, walk_batch
from tamis_kernels.perceptual.cuda import hash_on_device
from tamis_kernels.photos.layout import seen_of
from tamis_kernels.quality.cuda import measure_on_device

__all__ = ["describe_files", "in_groups"]

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
    pictures, begins = walk_batch(files, facts)
    kept = apart(facts)
    seen = seen_of(facts, kept)
    found = hash_on_device(pictures, 16, begins[:-1], seen.shapes, seen.extents, cosines, 1)
    told = measure_on_device(pictures, begins[:-1], seen.shapes, pictures, begins[:-1] + seen.cells, seen.chroma, logs)
    to_hosts((found[0][:, 0], hashes), (found[1], qualities), (found[2], small), (told, figures))
    return fetched(pictures, begins, facts, kept)
