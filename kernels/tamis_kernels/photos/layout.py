"""Where the pictures of walked files lie, and the chain over them that reference and CPU share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import offsets_of
from tamis_kernels.jpeg import layout as the

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tamis_kernels.types import Bools, Float64s, Int64s, Uint8s, Uint64s


@dataclass(frozen=True, slots=True)
class Seen:
    """The grey pictures of files that are there, whole and wanted; of other files all is 0.

    Attributes
    ----------
    shapes, extents
        int64[n, 2]: height and width at 1/8 scale, and as the frame declares them.
    cells, chroma
        int64[n]: how many values the grey picture has, and how many chroma values lie behind it: those of three components, or none.
    """

    shapes: Int64s
    extents: Int64s
    cells: Int64s
    chroma: Int64s


def seen_of(facts: Int64s, apart: Bools) -> Seen:
    """Return the pictures of files walked without a fault, not kept apart, and with their first component sampled the most finely."""
    factors = np.ascontiguousarray(facts[:, the.SAMPLING : the.SAMPLING + 4].T)  # along which NumPy is fast
    across, down = factors >> 4, factors & 15
    finest = (across[0] == across.max(axis=0)) & (down[0] == down.max(axis=0))
    seen = (facts[:, the.FAULT] == the.NONE) & finest & ~apart
    sides = facts[:, the.SIDES : the.SIDES + 8].reshape(-1, 4, 2) * seen[:, None, None]
    cells = sides[:, :, 0] * sides[:, :, 1]
    chroma = np.where(facts[:, the.COMPONENTS] == 3, cells[:, 1] + cells[:, 2], 0)
    extents = facts[:, [the.HEIGHT, the.WIDTH]] * seen[:, None]  # columns end to end, which kernels would be compiled for once more
    return Seen(np.ascontiguousarray(sides[:, 0]), np.ascontiguousarray(extents), cells[:, 0], chroma)


def describe_by(
    walk_group: Callable[..., list[Uint8s]],
    hash_batch: Callable[..., None],
    measure_all: Callable[..., None],
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
    """Walk, hash and measure by the functions of one backend."""
    pictures = walk_group(files, facts)
    kept = apart(facts)
    seen = seen_of(facts, kept)
    behind = seen.cells + seen.chroma
    pixels, pixels_at = _end_to_end(pictures, np.zeros_like(behind), seen.cells)
    chroma, chroma_at = _end_to_end(pictures, seen.cells, behind)
    hash_batch(pixels, pixels_at, seen.shapes, seen.extents, cosines, hashes, qualities, small)
    measure_all(pixels, pixels_at, seen.shapes, chroma, chroma_at, logs, figures)
    return [picture if one else picture[:0] for picture, one in zip(pictures, kept.tolist(), strict=True)]


def _end_to_end(pictures: Sequence[Uint8s], firsts: Int64s, lasts: Int64s) -> tuple[Uint8s, Int64s]:
    """Return these values of all pictures end to end, and where each begins."""
    parts = [picture[first:last] for picture, first, last in zip(pictures, firsts.tolist(), lasts.tolist(), strict=True)]
    return np.concatenate([np.zeros(0, np.uint8), *parts]), offsets_of(lasts - firsts)
