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
    steps = walk_group, hash_batch, measure_all
    return describe_by(*steps, files, apart, cosines, logs, facts, hashes, qualities, small, figures)
