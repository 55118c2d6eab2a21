"""Photos in one pass: a JPEG is walked, and of the picture that its DC terms make come hash and figures of quality.

It is `jpeg.walk_many`, `perceptual.describe` and `quality.measure` one after the other, with the same results. On CUDA a file's bytes cross
the link once, and its picture does not, unless it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels import jpeg, perceptual
from tamis_kernels.backend import Backend, BackendName, implementation
from tamis_kernels.errors import ArgumentError
from tamis_kernels.jpeg.layout import FACTS
from tamis_kernels.photos.layout import seen_of
from tamis_kernels.quality.layout import FIGURES, LOGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Photos", "describe"]


@dataclass(frozen=True, slots=True)
class Photos:
    """What is told of files.

    Attributes
    ----------
    walks
        One for each file, as `jpeg.walk_many` gives them, but with planes only where the file was kept apart.
    seen
        bool[n]: whether the file is whole, not kept apart, and has a grey picture. Where not, all that follows is 0.
    hashes, qualities, small
        uint64[n, 4], uint8[n] and uint8[n, 256], as `perceptual.describe` gives them of cells.
    figures
        int64[n] for each name in `quality.FIGURES`, with the chroma values of files of three components.
    """

    walks: list[jpeg.Walk]
    seen: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    qualities: NDArray[np.uint8]
    small: NDArray[np.uint8]
    figures: dict[str, NDArray[np.int64]]


def describe(
    files: Sequence[bytes | memoryview], *, apart: NDArray[np.bool_] | None = None, backend: BackendName | Backend = "auto"
) -> Photos:
    """Walk, hash and measure JPEG files.

    Parameters
    ----------
    files
        The whole content of each, as for `jpeg.walk_many`.
    apart
        bool[n]: files that are walked alone, and whose pictures are returned; none where None.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    photos
        What is told of the files, in their order.

    Raises
    ------
    ArgumentError
        `apart` is not bool[n].
    """
    module = implementation("photos", backend)
    count, done = len(files), 0
    apart = np.zeros(count, np.bool_) if apart is None else apart
    if apart.shape != (count,) or apart.dtype != np.bool_:
        message = f"apart must be bool[{count}], one for each file, got {apart.dtype}{list(apart.shape)}"
        raise ArgumentError(message)
    walks: list[jpeg.Walk] = []
    facts, figures = np.zeros((count, FACTS), np.int64), np.zeros((count, len(FIGURES)), np.int64)
    hashes, qualities, small = np.zeros((count, 4), np.uint64), np.zeros(count, np.uint8), np.zeros((count, 256), np.uint8)
    for group in jpeg.grouped(files, getattr(module, "GROUP_BYTES", jpeg.GROUP_BYTES)):
        rows = slice(done, done + len(group))
        done += len(group)
        offsets = np.concatenate([[0], np.cumsum([len(file) for file in group])]).astype(np.int64)
        data = np.concatenate([np.zeros(0, np.uint8), *(np.frombuffer(file, np.uint8) for file in group)])
        planes = np.empty(4 * data.size, np.uint8)
        out = facts[rows], planes, hashes[rows], qualities[rows], small[rows], figures[rows]
        module.describe_files(data, offsets, apart[rows], perceptual.COSINES, LOGS, *out)
        told = zip(facts[rows].tolist(), apart[rows].tolist(), (4 * offsets).tolist(), strict=False)
        walks += [jpeg.walk_of(row, planes[start:] if kept else None) for row, kept, start in told]
    seen = seen_of(facts, apart).cells > 0
    named = {name: figures[:, place].copy() for place, name in enumerate(FIGURES)}
    return Photos(walks, seen, hashes, qualities, small, named)
