"""Sensor windows to words of symbols, for near-duplicate search that ignores offset and gain.

Symbolic Aggregate approXimation (SAX; Lin, Keogh, Wei, Lonardi 2007): a window is z-normalised, averaged over segments, and
each average is replaced by the number of its interval among intervals that are equally likely for normal data.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array, check_one_of
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Floats, Int64s, Uint8s


__all__ = ["BREAKPOINTS", "EMPTY", "words"]

EMPTY = 255
"""Symbol of a segment without a finite sample."""

# Quantiles i / alphabet of the standard normal distribution, written out so that no mathematical library can shift them.
_EIGHTHS = (0.31863936396437514, 0.6744897501960818, 1.1503493803760083)
_SIXTEENTHS = (
    0.15731068461017067,
    0.31863936396437514,
    0.4887764111146695,
    0.6744897501960818,
    0.8871465590188757,
    1.1503493803760083,
    1.534120544352546,
)
BREAKPOINTS = {2 * len(half) + 2: np.array([*(-point for point in reversed(half)), 0.0, *half]) for half in (_EIGHTHS, _SIXTEENTHS)}
"""Upper ends of the intervals, per size of the alphabet."""


def words(
    windows: Floats, *, segments: int, alphabet: int = 8, offsets: Int64s | None = None, margin: float = 0.0, backend: AnyBackend = "auto"
) -> Uint8s:
    """Return one word of symbols per window.

    NaN and infinities are ignored in mean and standard deviation (divisor n). A window whose standard deviation is at most
    2^-40 of its largest absolute value is constant: all its symbols are the middle one, alphabet / 2. A segment `j` of a
    window of m samples averages the samples floor(j·m / segments) up to floor((j + 1)·m / segments), at least one, so segments
    differ by a sample in length where m is not divisible, and overlap where m is smaller than segments.

    Parameters
    ----------
    windows
        ndarray of shape (n_windows, n_samples), or, with offsets, of shape (n_values,); float32 or float64.
    segments
        Symbols per word, at least 1.
    alphabet
        8 or 16: how many symbols there are.
    offsets
        ndarray of shape (n_windows + 1,), integers: window i is windows[offsets[i]:offsets[i + 1]].
    margin
        Finite, in standard deviations: added to each average before it is replaced. What lies within it of an interval's end has other
        symbols at `margin` and `-margin`, and is in doubt.
    backend
        Where to run.

    Returns
    -------
    ndarray of shape (n_windows, segments), uint8
        0 (lowest) to alphabet - 1; 255 for a segment without a finite sample.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    check_array("windows", windows, FLOATS, (...,), "convert with windows.astype('float64')")
    if segments < 1:
        message = f"segments must be at least 1, got {segments}"
        raise ArgumentError(message)
    if not math.isfinite(margin):
        message = f"margin must be finite, got {margin}"
        raise ArgumentError(message)
    check_one_of("alphabet", alphabet, BREAKPOINTS)
    if windows.ndim != (2 if offsets is None else 1):
        message = (
            f"windows must have shape (n_windows, n_samples), or (n_values,) with offsets, got shape {windows.shape} "
            f"{'without' if offsets is None else 'with'} offsets"
        )
        raise ArgumentError(message)
    if offsets is None:
        offsets = np.arange(len(windows) + 1, dtype=np.int64) * windows.shape[1]
    else:
        _check_offsets(offsets, windows.size)
    out = np.empty((offsets.size - 1, segments), np.uint8)
    values = np.ascontiguousarray(windows, np.float64).reshape(-1)
    implementation("symbols", backend, values.nbytes).words(values, offsets.astype(np.int64), BREAKPOINTS[alphabet], float(margin), out)
    return out


def _check_offsets(offsets: Int64s, size: int) -> None:
    if offsets.ndim != 1 or offsets.size == 0 or offsets.dtype.kind not in "iu":
        message = f"offsets must be integers of shape (n_windows + 1,), got {offsets.dtype} of shape {offsets.shape}"
        raise ArgumentError(message)
    if offsets[0] < 0 or offsets[-1] > size or (offsets[1:] < offsets[:-1]).any():
        message = f"offsets must ascend within 0 and {size}, the number of values; got {offsets[0]} … {offsets[-1]}"
        raise ArgumentError(message)
