"""Figures of quality in Numba: one histogram, one pass for the steps, and the borders for as long as they are bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.quality import layout as the

if TYPE_CHECKING:
    from tamis_kernels.types import Int32s, Int64s, Uint8s

CHUNK = 16384  # squares of bytes whose sum is below 2 ** 31


@of_views
def logarithm(count: int, logs: Int64s) -> int:
    """Return the binary logarithm; of a number beyond the table, that of its leading bits."""
    shift = 0
    while count >> shift >= 1 << the.LOG_BITS:
        shift += 1
    return (shift << 24) + int(logs[count >> shift])


@of_views
def _levels(pixels: Uint8s, parts: Int32s, counts: Int64s, logs: Int64s, out: Int64s) -> None:
    n = pixels.size
    parts[:] = 0  # four counts: equal pixels side by side would wait for one another's
    for place in range(0, n - 3, 4):
        for part in range(4):
            parts[part, pixels[place + part]] += 1
    for place in range(n - n % 4, n):
        parts[0, pixels[place]] += 1
    for level in range(256):
        counts[level] = int(parts[0, level]) + int(parts[1, level]) + int(parts[2, level]) + int(parts[3, level])
    out[the.CELLS], out[the.BLACK], out[the.WHITE], out[the.DARKEST] = n, counts[0], counts[255], -1
    below = window = disorder = percentile = 0
    for level in range(256):
        count = counts[level]
        window += count - (counts[level - the.SPAN] if level >= the.SPAN else 0)
        if window > out[the.NEAR]:
            out[the.NEAR] = window
        if count == 0:
            continue
        if out[the.DARKEST] < 0:
            out[the.DARKEST] = level
        out[the.BRIGHTEST] = level
        out[the.MODE] = max(out[the.MODE], count)
        out[the.TOTAL] += count * level
        out[the.SQUARES] += count * level * level
        disorder += count * logarithm(count, logs)
        below += count
        while percentile < len(the.PERCENTILES) and 100 * below >= the.PERCENTILES[percentile] * n:
            out[the.P1 + percentile] = level
            percentile += 1
    out[the.ENTROPY] = (n * logarithm(n, logs) - disorder) // n


@of_views
def _squares(one: Uint8s, other: Uint8s) -> int:
    """Return the sum of the squared differences; summed in 32 bits at a time, which is where the processor is widest."""
    total = 0
    for start in range(0, one.size, CHUNK):
        here, there = one[start : start + CHUNK], other[start : start + CHUNK]
        some = np.int32(0)
        for place in range(here.size):
            step = np.int32(np.int32(there[place]) - np.int32(here[place]))
            some = np.int32(some + np.int32(step * step))
        total += int(some)
    return total


@of_views
def _steps(pixels: Uint8s, height: int, width: int, lag: int) -> int:
    """Return the sum of squared steps over a lag: of the whole picture against itself, less what steps from line to line."""
    cells = height * width
    total = _squares(pixels[: cells - lag * width], pixels[lag * width :]) if height > lag else 0
    if width > lag:
        total += _squares(pixels[: cells - lag], pixels[lag:])
        for line in range(1, height):
            for place in range(line * width - lag, line * width):
                step = int(np.int64(pixels[place + lag]) - np.int64(pixels[place]))
                total -= step * step
    return total


@of_views
def _strays(pixels: Uint8s, first: int, stride: int, cells: int, level: int, most: int) -> int:
    """Count the cells of a line that are off the bar's level, up to a number."""
    strays = 0
    for cell in range(cells):
        if abs(int(np.int64(pixels[first + cell * stride])) - level) > the.BAR_TOLERANCE:
            strays += 1
            if strays == most:
                break
    return strays


@of_views
def _bar(pixels: Uint8s, first: int, line_step: int, lines: int, cell_step: int, cells: int) -> tuple[int, int]:
    """Return how many lines from a border on are a bar, and how many cells of the second line behind it are off its level."""
    level = int(np.int64(pixels[first]))  # of an unsigned number, int alone stays unsigned
    bar = 0
    while bar < lines and _strays(pixels, first + bar * line_step, cell_step, cells, level, 1) == 0:
        bar += 1
    behind = min(bar + 1, lines - 1)
    return bar, _strays(pixels, first + behind * line_step, cell_step, cells, level, cells)


@of_views
def measure_one(picture: Uint8s, height: int, width: int, chroma: Uint8s, parts: Int32s, counts: Int64s, logs: Int64s, out: Int64s) -> None:
    """Write the figures of a picture; `parts`, [4, 256], and `counts`, [256], are room for it."""
    if picture.size > 0:
        _levels(picture, parts, counts, logs, out)
        lag = max(1, max(height, width) // the.LAG_SIDE)
        out[the.NEAR_STEPS] = _steps(picture, height, width, lag)
        out[the.FAR_STEPS] = _steps(picture, height, width, 2 * lag)
        out[the.NEAR_PAIRS] = max(0, height - lag) * width + height * max(0, width - lag)
        out[the.FAR_PAIRS] = max(0, height - 2 * lag) * width + height * max(0, width - 2 * lag)
        last = picture.size - 1
        out[the.TOP], out[the.TOP_EDGE] = _bar(picture, 0, width, height, 1, width)
        out[the.TOP + 1], out[the.TOP_EDGE + 1] = _bar(picture, last, -width, height, -1, width)
        out[the.TOP + 2], out[the.TOP_EDGE + 2] = _bar(picture, 0, 1, width, width, height)
        out[the.TOP + 3], out[the.TOP_EDGE + 3] = _bar(picture, last, -1, width, -width, height)
    largest = total = 0
    for value in chroma:
        away = abs(int(np.int64(value)) - the.NEUTRAL)
        largest = max(largest, away)
        total += away
    out[the.CHROMA], out[the.CHROMA + 1], out[the.CHROMA + 2] = chroma.size, largest, total


@njit(cache=True, nogil=True)
def measure_all(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, chroma: Uint8s, chroma_offsets: Int64s, logs: Int64s, figures: Int64s
) -> None:
    """Write the figures of each picture into its row."""
    parts, counts = np.zeros((4, 256), np.int32), np.zeros(256, np.int64)
    for number in range(len(shapes)):
        picture = pixels[offsets[number] : offsets[number + 1]]
        colour = chroma[chroma_offsets[number] : chroma_offsets[number + 1]]
        measure_one(picture, shapes[number, 0], shapes[number, 1], colour, parts, counts, logs, figures[number])
