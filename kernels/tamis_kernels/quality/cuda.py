"""Figures of quality in CUDA: a picture a thread, by the function of the CPU. The counts of a thread lie in global memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda

from tamis_kernels.device import in_batches, launch, on_device, to_device, to_host, xp
from tamis_kernels.quality.cpu import measure_one
from tamis_kernels.quality.layout import FIGURES

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

    def measure(first: int, last: int) -> None:
        begin, end = offsets[first], offsets[last]
        chroma_begin, chroma_end = chroma_offsets[first], chroma_offsets[last]
        sizes = chroma_offsets[first + 1 : last + 1] - chroma_offsets[first:last]
        pictures = to_device(pixels[begin:end]), offsets[first:last] - begin, shapes[first:last]
        colours = to_device(chroma[chroma_begin:chroma_end]), chroma_offsets[first:last] - chroma_begin, sizes
        to_host(measure_on_device(*pictures, *colours, logs), figures[first:last])

    in_batches(measure, len(shapes), PICTURES)


def measure_on_device(
    pixels: Any,
    begins: NDArray[np.int64],
    shapes: NDArray[np.int64],
    chroma: Any,
    chroma_begins: NDArray[np.int64],
    chroma_sizes: NDArray[np.int64],
    logs: NDArray[np.int64],
) -> Any:
    """Return the figures on the device, of pictures and chroma values there that begin at the given places."""
    count = len(shapes)
    found = xp.zeros((count, len(FIGURES)), np.int64)
    parts, counts = xp.empty((count, 4, 256), np.int32), xp.empty((count, 256), np.int64)
    places = [on_device(one) for one in (begins, shapes, chroma_begins, chroma_sizes, logs)]
    launch(measure_pictures, count, pixels, chroma, *places, parts, counts, found)
    return found


@cuda.jit
def measure_pictures(
    pixels: NDArray[np.uint8],
    chroma: NDArray[np.uint8],
    begins: NDArray[np.int64],
    shapes: NDArray[np.int64],
    chroma_begins: NDArray[np.int64],
    chroma_sizes: NDArray[np.int64],
    logs: NDArray[np.int64],
    parts: NDArray[np.int32],
    counts: NDArray[np.int64],
    figures: NDArray[np.int64],
) -> None:
    """Measure a picture a thread."""
    i = cuda.grid(1)
    if i < shapes.shape[0]:
        height, width = shapes[i, 0], shapes[i, 1]
        picture = pixels[begins[i] : begins[i] + height * width]
        colour = chroma[chroma_begins[i] : chroma_begins[i] + chroma_sizes[i]]
        measure_one(picture, height, width, colour, parts[i], counts[i], logs, figures[i])
