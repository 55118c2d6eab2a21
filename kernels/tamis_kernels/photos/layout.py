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
    """The files whose grey picture is there and whole.

    Attributes
    ----------
    rows
        int64[n]: which of the files.
    shapes, extents
        int64[n, 2]: height and width at 1/8 scale, and as the frame declares them.
    cells, chroma
        int64[n]: how many values the grey picture has, and how many chroma values lie behind it: those of three components, or none.
    """

    rows: NDArray[np.int64]
    shapes: NDArray[np.int64]
    extents: NDArray[np.int64]
    cells: NDArray[np.int64]
    chroma: NDArray[np.int64]


def seen_of(facts: NDArray[np.int64]) -> Seen:
    """Return which files were walked without a fault and have their first component sampled the most finely."""
    across, down = facts[:, the.SAMPLING : the.SAMPLING + 4] >> 4, facts[:, the.SAMPLING : the.SAMPLING + 4] & 15
    finest = (across[:, 0] == across.max(axis=1)) & (down[:, 0] == down.max(axis=1))
    rows = np.flatnonzero((facts[:, the.FAULT] == the.NONE) & finest)
    chosen = facts[rows]
    sides = chosen[:, the.SIDES : the.SIDES + 8].reshape(-1, 4, 2)
    cells = sides.prod(axis=2)
    chroma = np.where(chosen[:, the.COMPONENTS] == 3, cells[:, 1] + cells[:, 2], 0)
    return Seen(rows, np.ascontiguousarray(sides[:, 0]), chosen[:, [the.HEIGHT, the.WIDTH]], cells[:, 0], chroma)


def describe_by(
    walk_files: Callable[..., None],
    hash_batch: Callable[..., None],
    measure_all: Callable[..., None],
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
    """Walk, hash and measure by the functions of one backend."""
    planes = np.empty(4 * data.size, np.uint8)
    walk_files(data, offsets, facts, planes)
    seen = seen_of(facts)
    begins = 4 * offsets[seen.rows]
    pixels, pixels_at = _gathered(planes, begins, seen.cells)
    chroma, chroma_at = _gathered(planes, begins + seen.cells, seen.chroma)
    found = np.zeros((seen.rows.size, 4), np.uint64), np.zeros(seen.rows.size, np.uint8), np.zeros((seen.rows.size, 256), np.uint8)
    hash_batch(pixels, pixels_at, seen.shapes, seen.extents, cosines, *found)
    told = np.zeros((seen.rows.size, figures.shape[1]), np.int64)
    measure_all(pixels, pixels_at, seen.shapes, chroma, chroma_at, logs, told)
    hashes[seen.rows], qualities[seen.rows], small[seen.rows], figures[seen.rows] = *found, told


def _gathered(
    values: NDArray[np.uint8], begins: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the values of all spans end to end, and where each begins."""
    parts = [values[begin : begin + size] for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True)]
    return np.concatenate([np.zeros(0, np.uint8), *parts]), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
