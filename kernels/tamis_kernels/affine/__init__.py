"""Shift and scale columns: (x - centre) / scale and back; and tables for bytes.

Both are two operations, each rounded on its own and never contracted into a fused multiply-add, so that every backend gives
the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float32s, Floats, Uint8s

__all__ = ["inverse", "lookup", "transform"]

TILE = 1024  # parameters are repeated to about this length, so that narrow matrices vectorise like long columns


def transform(values: Floats, centre: ArrayLike, scale: ArrayLike, *, out: Floats | None = None, backend: AnyBackend = "auto") -> Floats:
    """Return (values - centre) / scale.

    Parameters
    ----------
    values
        ndarray of shape (n_rows,) or (n_rows, n_columns), float32 or float64. NaN stays NaN, infinities follow IEEE 754; what lies under
        a null of an Arrow column is moved like any value, and the column's bitmap goes on to the result.
    centre, scale
        Numbers, or ndarrays of shape (n_columns,). They are rounded to the dtype of values first, and all arithmetic is done in
        it. A scale must not be 0.
    out
        C-contiguous ndarray of the shape and dtype of values to write to; it may be values itself. None: a new one.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    return _apply("transform", values, centre, scale, out, backend)


def inverse(values: Floats, centre: ArrayLike, scale: ArrayLike, *, out: Floats | None = None, backend: AnyBackend = "auto") -> Floats:
    """Return values * scale + centre; parameters, rules and errors are those of `transform`."""
    return _apply("inverse", values, centre, scale, out, backend)


def lookup(pixels: Uint8s, tables: Float32s, *, out: Float32s | None = None, backend: AnyBackend = "auto") -> Float32s:
    """Return what a table of 256 numbers a channel says of each byte: any function of a byte, with the same bits everywhere.

    Parameters
    ----------
    pixels
        uint8 of shape (…, n_channels).
    tables
        float32 of shape (n_channels, 256).
    out
        C-contiguous float32 array of the shape of pixels to write to. None: a new one.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype or shape.
    """
    check_array("pixels", pixels, np.uint8, (..., "n_channels"))
    channels = pixels.shape[-1]
    check_array("tables", tables, np.float32, (channels, 256), "give one a channel")
    out = _output(out, pixels.shape, np.dtype(np.float32))
    if pixels.size:
        flat = np.ascontiguousarray(pixels).reshape(-1, channels)
        implementation("affine.lookup", backend, flat.nbytes).lookup(flat, np.ascontiguousarray(tables), out.reshape(-1, channels))
    return out


def _apply(
    direction: Literal["transform", "inverse"], values: Floats, centre: ArrayLike, scale: ArrayLike, out: Floats | None, backend: AnyBackend
) -> Floats:
    check_array("values", values, FLOATS, (...,), "convert with values.astype('float64')")
    if values.ndim not in (1, 2):
        message = f"values must have one or two dimensions, got shape {values.shape}; reshape to (rows, columns)"
        raise ArgumentError(message)
    out = _output(out, values.shape, values.dtype)
    centres, scales = (_tiled(name, given, values) for name, given in (("centre", centre), ("scale", scale)))
    if (scales == 0).any():
        message = f"scale must not be 0 in {values.dtype}, got {scale!r}; use 1 for a constant column"
        raise ArgumentError(message)
    if values.size:
        kernel = implementation("affine", backend, values.nbytes)
        getattr(kernel, direction)(np.ascontiguousarray(values).reshape(-1), centres, scales, out.reshape(-1))
    return out


def _output(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array to write to: the one given, or a new one."""
    if out is None:
        return np.empty(shape, dtype)
    if (out.shape, out.dtype) != (shape, dtype) or not out.flags.c_contiguous:
        message = f"out must be C-contiguous {dtype} of shape {shape}, got {out.dtype} of shape {out.shape}; leave it out for a new one"
        raise ArgumentError(message)
    return out


def _tiled(name: str, given: ArrayLike, values: Floats) -> Floats:
    """Return the parameter in the dtype of values, one per column, repeated over whole rows."""
    columns = values.shape[1] if values.ndim == 2 else 1
    with np.errstate(over="ignore"):
        parameter = np.asarray(given, np.float64).astype(values.dtype)
    if parameter.shape not in ((), (columns,)):
        message = f"{name} must be a number or of shape ({columns},), got shape {parameter.shape}; give one per column"
        raise ArgumentError(message)
    return np.tile(np.broadcast_to(parameter, (columns,)), -(-TILE // max(1, columns)))
