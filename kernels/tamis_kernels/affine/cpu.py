"""Shift and scale as two rounded operations. Without fast-math, Numba contracts nothing into a fused multiply-add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.compiled import njit, of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Float32s, Floats, Uint8s


@njit(cache=True, nogil=True, error_model="numpy")
def transform(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with (value - centre) / scale; centres and scales repeat along the flat values."""
    for start in range(0, values.size, centres.size):
        block = values[start : start + centres.size]
        target = out[start : start + centres.size]
        for i in range(block.size):
            target[i] = (block[i] - centres[i]) / scales[i]


@njit(cache=True, nogil=True, error_model="numpy")
def inverse(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with value * scale + centre; centres and scales repeat along the flat values."""
    for start in range(0, values.size, centres.size):
        block = values[start : start + centres.size]
        target = out[start : start + centres.size]
        for i in range(block.size):
            target[i] = block[i] * scales[i] + centres[i]


@of_views
def lookup(pixels: Uint8s, tables: Float32s, out: Float32s) -> None:
    """Fill out with what the table of each column says of its bytes."""
    for i in range(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            out[i, j] = tables[j, pixels[i, j]]
