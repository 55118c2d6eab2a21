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

    from tamis_kernels.types import Bools, Float64s, Int64s, Uint8s, Uint64s


def describe_files(
    files: Sequence[bytes | memoryview],
    apart: Callable[[Int64s], Bools],
    cosines: Float64s,
    logs: Int64s,
    facts: Int64s,
    hashes: Uint64s,
    qualities: Uint8s,
    small: Uint8s,
    figures: Int64s,
) -> list[Uint8s]:
    """Walk files; hash and measure the pictures of the whole ones that are not kept apart, and return the pictures of those that are."""
    pictures, begins = walk_batch(files, facts)
    kept = apart(facts)
    seen = seen_of(facts, kept)
    found = hash_on_device(pictures, 16, begins[:-1], seen.shapes, seen.extents, cosines, 1)
    told = measure_on_device(pictures, begins[:-1], seen.shapes, pictures, begins[:-1] + seen.cells, seen.chroma, logs)
    to_hosts((found[0][:, 0], hashes), (found[1], qualities), (found[2], small), (told, figures))
    return fetched(pictures, begins, facts, kept)
