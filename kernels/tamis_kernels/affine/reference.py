"""Shift and scale as two rounded operations: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def transform(
    values: NDArray[np.floating[Any]],
    centres: NDArray[np.floating[Any]],
    scales: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Fill out with (value - centre) / scale; centres and scales repeat along the flat values."""
    places = np.arange(values.size) % centres.size
    with np.errstate(all="ignore"):
        out[:] = (values - centres[places]) / scales[places]


def inverse(
    values: NDArray[np.floating[Any]],
    centres: NDArray[np.floating[Any]],
    scales: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Fill out with value * scale + centre; centres and scales repeat along the flat values."""
    places = np.arange(values.size) % centres.size
    with np.errstate(all="ignore"):
        out[:] = values * scales[places] + centres[places]


def lookup(pixels: NDArray[np.uint8], tables: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Fill out with what the table of each column says of its bytes."""
    for channel, table in enumerate(tables):
        out[:, channel] = table[pixels[:, channel]]
