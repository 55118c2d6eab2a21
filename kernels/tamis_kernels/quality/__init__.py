"""What the grey levels of small pictures tell about their quality: all figures in one pass, in whole numbers.

A picture is a grey picture of any size, as the walk over a JPEG gives it at 1/8 scale, and its chroma values where there are some.
Every figure is an integer, so that a verdict is the same on every machine. What the figures mean:

* Levels: sum and sum of squares, percentiles (the smallest level with at least that share of the cells at or below it), entropy of the
  histogram (Shannon 1948), the most frequent level, the most frequent five neighbouring levels, how many cells are clipped at 0 and 255.
* Blur: the sums of squared steps over a lag of a 64th of the longer side (at least one cell) and over twice that lag, along rows and
  columns: the second-order structure function at two scales (Kolmogorov 1941). From the one to the other the mean squared step of a smooth
  picture grows fourfold, that of an edge twofold, that of noise not at all; contrast cancels out.
* Bars: how many rows and columns at each border stray by at most four levels from the corner (letterboxing), and how many cells of the
  second line behind the bar do not have its level: most, where a straight bar ends, few where a thing reaches towards the border.
* Chroma: how many values there are, and the largest and the sum of their distances from neutral, 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_end_to_end, check_pictures
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError
from tamis_kernels.quality.layout import FIGURES, LOGS

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Int64s, Uint8s

__all__ = ["ENTROPY_UNIT", "FIGURES", "measure"]

ENTROPY_UNIT = 2.0**-24
"""Bits that one unit of the figure `entropy` stands for."""


def measure(
    pixels: Uint8s, shapes: Int64s, chroma: Uint8s | None = None, chroma_sizes: Int64s | None = None, *, backend: AnyBackend = "auto"
) -> dict[str, Int64s]:
    """Measure many pictures, on one thread that holds no lock.

    Parameters
    ----------
    pixels
        uint8[sum of height · width]: the pictures' rows, end to end, as `perceptual.pack` lays them.
    shapes
        int64[n, 2]: height and width of each picture.
    chroma, chroma_sizes
        uint8[sum of sizes] and int64[n]: the chroma values (Cb and Cr, in any order) of each picture, end to end; 0 values where unknown.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    figures
        int64[n] for each name in `FIGURES`; all 0 for a picture without cells. `entropy` is in units of `ENTROPY_UNIT`.

    Raises
    ------
    ArgumentError
        An array has another shape or dtype, or the sizes do not add up to the values.
    """
    offsets = check_pictures(pixels, shapes)
    if chroma is None or chroma_sizes is None:
        chroma, chroma_sizes = np.zeros(0, np.uint8), np.zeros(len(shapes), np.int64)
    if chroma_sizes.shape != (len(shapes),) or (chroma_sizes.size and chroma_sizes.min() < 0):
        message = f"chroma_sizes must be int64[{len(shapes)}], one of 0 or more for each picture, got shape {chroma_sizes.shape}"
        raise ArgumentError(message)
    chroma_offsets = check_end_to_end("chroma", chroma, chroma_sizes)
    figures = np.zeros((len(shapes), len(FIGURES)), np.int64)
    implementation("quality", backend, pixels.nbytes).measure_all(
        np.ascontiguousarray(pixels),
        offsets,
        np.ascontiguousarray(shapes, np.int64),
        np.ascontiguousarray(chroma),
        chroma_offsets,
        LOGS,
        figures,
    )
    return dict(zip(FIGURES, np.ascontiguousarray(figures.T), strict=True))
