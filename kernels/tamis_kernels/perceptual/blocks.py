"""PDQ's filter and decimation to 64 x 64 blocks: a few weights per block in place of dense matrices; the same whole numbers."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Float32s, Float64s, Int32s, Int64s, Uint8s

BLOCKS = 64
SMALLEST_SIDE = 5
AT_ONCE = 6  # rows that are weighed in one loop: as many as most blocks have of a photo's cells
ANY_ORDER = {"reassoc"}  # sums of whole numbers below 2⁵³ are the same in any order, so that they may be vector loops


@of_views
def _window_bounds(size: int, centre: int) -> tuple[int, int]:
    width = (size + 2 * BLOCKS - 1) // (2 * BLOCKS)
    half = (width + 2) // 2
    return max(0, centre - width + half), min(size, centre + half)


@njit(cache=True, nogil=True)
def _tent(size: int, starts: Int64s, weights: Int32s) -> None:
    """Fill, per block, the first pixel it weighs and the weights from there on; unused weights stay 0."""
    exact = np.zeros(weights.shape[1], np.int64)
    for block in range(BLOCKS):
        centre = (2 * block + 1) * size // (2 * BLOCKS)
        first, last = _window_bounds(size, centre)
        start = _window_bounds(size, first)[0]
        exact[:] = 0
        share = parts = 0
        for middle in range(first, last):
            low, high = _window_bounds(size, middle)
            if (last - first) * (high - low) != parts:
                parts = (last - first) * (high - low)
                share = (1 << 40) // parts
            for pixel in range(low, high):
                exact[pixel - start] += share
        total = 0
        for tap in range(exact.size):
            rounded = (exact[tap] + (1 << 19)) >> 20
            weights[block, tap] = rounded
            total += rounded
        weights[block, centre - start] += (1 << 20) - total
        starts[block] = start


@njit(cache=True, nogil=True)
def _cubic(cells: int, size: int, starts: Int64s, tent: Int32s, weights: Int32s) -> None:
    """Turn the tent's weights of pixels into weights of cells of 8 pixels, between which Catmull-Rom's cubic draws the pixels."""
    shares = np.empty((8, 4), np.int64)  # of four cells in a pixel, by the sixteenths of a cell that its centre is behind the second
    for number in range(8):
        t = 2 * number + 1
        shares[number, 0], shares[number, 1] = -(t**3) + 32 * t**2 - 256 * t, 3 * t**3 - 80 * t**2 + 8192
        shares[number, 2], shares[number, 3] = -3 * t**3 + 64 * t**2 + 256 * t, t**3 - 16 * t**2
    exact = np.zeros(weights.shape[1], np.int64)
    for block in range(BLOCKS):
        first = max(0, (2 * starts[block] - 7) // 16 - 1)
        exact[:] = 0
        for tap in range(tent.shape[1]):
            weight = int(tent[block, tap])
            if weight == 0:
                continue
            place = 2 * (starts[block] + tap) - 7
            cell = place // 16
            share = shares[(place - 16 * cell) // 2]
            for step in range(4):
                exact[min(cells - 1, max(0, cell - 1 + step)) - first] += weight * share[step]
        total = 0
        for tap in range(exact.size):
            rounded = (exact[tap] + (1 << 12)) >> 13
            weights[block, tap] = rounded
            total += rounded
        weights[block, (2 * block + 1) * size // (2 * BLOCKS) // 8 - first] += (1 << 20) - total
        starts[block] = first


@njit(cache=True, nogil=True)
def _weights(size: int, cells: int, starts: Int64s, weights: Int32s) -> None:
    """Fill, per block, the first cell it weighs, and the weights from there on; a cell is a pixel or stands for 8 of them."""
    reach = _reach(size)
    if cells == size:
        _tent(size, starts, weights[:, :reach])
        return
    tent = np.zeros((BLOCKS, reach), np.int32)
    _tent(size, starts, tent)
    _cubic(cells, size, starts, tent, weights)


@of_views
def _reach(size: int) -> int:
    """Return over how many pixels two windows of half a block reach at most."""
    return 2 * ((size + 127) // 128) + 1


@of_views
def taps(size: int, cells: int) -> int:
    """Return how many weights a block has at most, up to a multiple of `AT_ONCE`."""
    most = _reach(size) if cells == size else _reach(size) // 8 + 5
    return (most + AT_ONCE - 1) // AT_ONCE * AT_ONCE


@partial(of_views, fastmath=ANY_ORDER)
def _weigh(source: Float32s | Float64s, starts: Int64s, weights: Int32s, out: Float64s) -> None:
    """Write the weighted sums of rows that the 64 blocks are; six rows at a time, so that sums seldom go through memory."""
    last = len(source) - 1
    out[:] = 0.0
    for block in range(BLOCKS):
        total = out[block]
        for tap in range(0, weights.shape[1], AT_ONCE):
            a, b, c = weights[block, tap], weights[block, tap + 1], weights[block, tap + 2]
            d, e, f = weights[block, tap + 3], weights[block, tap + 4], weights[block, tap + 5]
            place = starts[block] + tap
            one, two, three = source[min(place, last)], source[min(place + 1, last)], source[min(place + 2, last)]
            four, five, six = source[min(place + 3, last)], source[min(place + 4, last)], source[min(place + 5, last)]
            for x in range(total.size):
                total[x] += a * one[x] + b * two[x] + c * three[x] + d * four[x] + e * five[x] + f * six[x]


@njit(cache=True, nogil=True)
def filter_blocks(
    pixels: Uint8s, scale: int, row_starts: Int64s, row_weights: Int32s, column_starts: Int64s, column_weights: Int32s
) -> Float64s:
    """Filter and decimate: float64[64, 64] in units of 2⁻¹⁶ grey levels."""
    lines = np.empty((BLOCKS, pixels.shape[1]))
    turned, blocks = np.empty((BLOCKS, BLOCKS)), np.empty((BLOCKS, BLOCKS))
    _weigh(pixels.astype(np.float32), row_starts, row_weights, lines)  # once, and not for each block
    _weigh(np.ascontiguousarray(lines.T), column_starts, column_weights, turned)
    unit = scale * 2.0**-28
    for column in range(BLOCKS):
        for row in range(BLOCKS):
            blocks[row, column] = np.floor(turned[column, row] * unit + 0.5)
    return blocks


def tables_of(extents: Int64s, shapes: Int64s) -> tuple[Int64s, Int64s, Int32s]:
    """Return which table the rows and the columns of each picture take, int64[n, 2], and the starts and weights of all tables."""
    sides: dict[tuple[int, int], int] = {}
    pairs = zip(extents.ravel().tolist(), shapes.ravel().tolist(), strict=True)
    tables = np.array([sides.setdefault(pair, len(sides)) for pair in pairs], np.int64).reshape(-1, 2)
    starts = np.zeros((len(sides), BLOCKS), np.int64)
    weights = np.zeros((len(sides), BLOCKS, max((taps(*pair) for pair in sides), default=AT_ONCE)), np.int32)
    for number, pair in enumerate(sides):
        if pair[0] < SMALLEST_SIDE:
            continue  # no hash, and no window where there is no pixel
        starts[number], known = known_weights(*pair)
        weights[number, :, : known.shape[1]] = known
    return tables, starts, weights


@lru_cache(1024)
def known_weights(size: int, cells: int) -> tuple[Int64s, Int32s]:
    """Return starts and weights of a side; kept, since photos have few sizes and weights cost as much as filtering does."""
    starts, weights = np.zeros(BLOCKS, np.int64), np.zeros((BLOCKS, taps(size, cells)), np.int32)
    _weights(size, cells, starts, weights)
    return starts, weights
