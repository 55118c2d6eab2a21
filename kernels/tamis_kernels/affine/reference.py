"""Shift and scale as two rounded operations: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tamis_kernels.types import Float32s, Floats, Uint8s


def transform(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with (value - centre) / scale; centres and scales repeat along the flat values."""
    places = np.arange(values.size) % centres.size
    with np.errstate(all="ignore"):
        out[:] = (values - centres[places]) / scales[places]


def inverse(values: Floats, centres: Floats, scales: Floats, out: Floats) -> None:
    """Fill out with value * scale + centre; centres and scales repeat along the flat values."""
    places = np.arange(values.size) % centres.size
    with np.errstate(all="ignore"):
        out[:] = values * scales[places] + centres[places]


def lookup(pixels: Uint8s, tables: Float32s, out: Float32s) -> None:
    """Fill out with what the table of each column says of its bytes."""
    for channel, table in enumerate(tables):
        out[:, channel] = table[pixels[:, channel]]
