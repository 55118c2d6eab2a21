"""Photos in one pass: a JPEG is walked, and of the picture that its DC terms make come hash and figures of quality.

It is `jpeg.walk_many`, `perceptual.describe` and `quality.measure` one after the other, with the same results. On CUDA a file's bytes cross
the link once, and its picture does not, unless it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels import jpeg, perceptual
from tamis_kernels.arrays import check_array
from tamis_kernels.backend import implementation
from tamis_kernels.jpeg.layout import FACTS
from tamis_kernels.photos.layout import seen_of
from tamis_kernels.quality.layout import FIGURES, LOGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint64s

    Apart = Callable[[int, Sequence[jpeg.Walk]], Bools]

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
    seen: Bools
    hashes: Uint64s
    qualities: Uint8s
    small: Uint8s
    figures: dict[str, Int64s]


def describe(files: Sequence[bytes | memoryview], *, apart: Apart | None = None, backend: AnyBackend = "auto") -> Photos:
    """Walk, hash and measure JPEG files.

    Parameters
    ----------
    files
        The whole content of each, as for `jpeg.walk_many`.
    apart
        `apart(first, walks)` returns bool[n]: which of the files from number `first` on are walked alone, so that their pictures are
        returned. It is called for some files at a time, on any thread, once or more, with their walks as they are without a picture; it
        must not walk files on CUDA itself, whose threads wait for it. None: no file is.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    photos
        What is told of the files, in their order.

    Raises
    ------
    ArgumentError
        `apart` returns no bool[n].
    """
    module = implementation("photos", backend, sum(map(len, files)))
    count = len(files)
    walks: list[Any] = [None] * count
    facts, figures, seen = np.zeros((count, FACTS), np.int64), np.zeros((count, len(FIGURES)), np.int64), np.zeros(count, np.bool_)
    hashes, qualities, small = np.zeros((count, 4), np.uint64), np.zeros(count, np.uint8), np.zeros((count, 256), np.uint8)

    def describe_some(first: int, last: int) -> None:
        rows = slice(first, last)
        kept = np.zeros(last - first, np.bool_)

        def keep(told: Int64s) -> Bools:
            walks[rows] = jpeg.walks_of(told)
            if apart is not None:
                chosen = apart(first, walks[rows])
                check_array("what apart returns", chosen, np.bool_, (last - first,))
                kept[:] = chosen
            return kept

        out = hashes[rows], qualities[rows], small[rows], figures[rows]
        pictures = module.describe_files(files[rows], keep, perceptual.COSINES, LOGS, facts[rows], *out)
        seen[rows] = seen_of(facts[rows], kept).cells > 0
        for row, sides in zip(np.flatnonzero(kept).tolist(), jpeg.sides_of(facts[rows][kept].T.tolist()), strict=True):
            walks[first + row] = walks[first + row]._replace(sides=sides, values=pictures[row])

    module.in_groups(describe_some, files)
    named = {name: figures[:, place].copy() for place, name in enumerate(FIGURES)}
    return Photos(walks, seen, hashes, qualities, small, named)
