"""Figures of quality in CUDA: a picture a thread, by the function of the CPU. The counts of a thread lie in global memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import cuda

from tamis_kernels.device import in_batches, launch, to_device, to_host, xp
from tamis_kernels.quality.cpu import measure_one

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = 1 << 16  # at a time: a picture's counts take 6 KB


def measure_all(
    pixels: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    chroma: NDArray[np.uint8],
    chroma_offsets: NDArray[np.int64],
    logs: NDArray[np.int64],
    figures: NDArray[np.int64],
) -> None:
    """Write the figures of each picture into its row."""
    table = to_device(logs)

    def measure(first: int, last: int) -> None:
        begin, end = offsets[first], offsets[last]
        chroma_begin, chroma_end = chroma_offsets[first], chroma_offsets[last]
        found = xp.zeros((last - first, figures.shape[1]), np.int64)
        parts, counts = xp.empty((last - first, 4, 256), np.int32), xp.empty((last - first, 256), np.int64)
        pictures = to_device(pixels[begin:end]), to_device(offsets[first : last + 1] - begin), to_device(shapes[first:last])
        colours = to_device(chroma[chroma_begin:chroma_end]), to_device(chroma_offsets[first : last + 1] - chroma_begin)
        launch(measure_pictures, last - first, *pictures, *colours, table, parts, counts, found)
        to_host(found, figures[first:last])

    in_batches(measure, len(shapes), PICTURES)


@cuda.jit
def measure_pictures(
    pixels: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    chroma: NDArray[np.uint8],
    chroma_offsets: NDArray[np.int64],
    logs: NDArray[np.int64],
    parts: NDArray[np.int32],
    counts: NDArray[np.int64],
    figures: NDArray[np.int64],
) -> None:
    """Measure a picture a thread."""
    i = cuda.grid(1)
    if i < shapes.shape[0]:
        picture = pixels[offsets[i] : offsets[i + 1]]
        colour = chroma[chroma_offsets[i] : chroma_offsets[i + 1]]
        measure_one(picture, shapes[i, 0], shapes[i, 1], colour, parts[i], counts[i], logs, figures[i])
