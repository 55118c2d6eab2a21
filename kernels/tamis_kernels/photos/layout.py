"""Where the pictures of walked files lie, and the chain over them that reference and CPU share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.jpeg import layout as the

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


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

    shapes: NDArray[np.int64]
    extents: NDArray[np.int64]
    cells: NDArray[np.int64]
    chroma: NDArray[np.int64]


def seen_of(facts: NDArray[np.int64], apart: NDArray[np.bool_]) -> Seen:
    """Return the pictures of files walked without a fault, not kept apart, and with their first component sampled the most finely."""
    across, down = facts[:, the.SAMPLING : the.SAMPLING + 4] >> 4, facts[:, the.SAMPLING : the.SAMPLING + 4] & 15
    finest = (across[:, 0] == across.max(axis=1)) & (down[:, 0] == down.max(axis=1))
    seen = (facts[:, the.FAULT] == the.NONE) & finest & ~apart
    sides = facts[:, the.SIDES : the.SIDES + 8].reshape(-1, 4, 2) * seen[:, None, None]
    cells = sides.prod(axis=2)
    chroma = np.where(facts[:, the.COMPONENTS] == 3, cells[:, 1] + cells[:, 2], 0)
    extents = facts[:, [the.HEIGHT, the.WIDTH]] * seen[:, None]  # columns end to end, which kernels would be compiled for once more
    return Seen(np.ascontiguousarray(sides[:, 0]), np.ascontiguousarray(extents), cells[:, 0], chroma)


def describe_by(
    walk_files: Callable[..., None],
    hash_batch: Callable[..., None],
    measure_all: Callable[..., None],
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
    """Walk, hash and measure by the functions of one backend."""
    walk_files(data, offsets, facts, planes)
    seen = seen_of(facts, apart)
    pixels, pixels_at = _gathered(planes, 4 * offsets[:-1], seen.cells)
    chroma, chroma_at = _gathered(planes, 4 * offsets[:-1] + seen.cells, seen.chroma)
    hash_batch(pixels, pixels_at, seen.shapes, seen.extents, cosines, hashes, qualities, small)
    measure_all(pixels, pixels_at, seen.shapes, chroma, chroma_at, logs, figures)


def _gathered(
    values: NDArray[np.uint8], begins: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the values of all spans end to end, and where each begins."""
    parts = [values[begin : begin + size] for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True)]
    return np.concatenate([np.zeros(0, np.uint8), *parts]), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
