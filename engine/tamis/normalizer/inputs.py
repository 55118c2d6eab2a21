"""What a normalizer takes: numpy arrays, what can become one, and polars frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.errors import ColumnError
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK = 1 << 26  # bytes of new memory asked for at once
STRIP = 1 << 15  # values that are turned at once, so that they stay in the cache


def names(X: Any) -> list[str] | None:
    """Return the names of the columns, where there are names."""
    return X.columns if isinstance(X, pl.DataFrame) else None


def table(X: Any) -> pl.DataFrame | NDArray[Any]:
    """Return X as a polars frame, or as an array of float32 or float64 of one or two dimensions.

    Raises
    ------
    ColumnError
        It holds no numbers.
    ArgumentError
        It is sparse or complex, has other dimensions, or no column.
    """
    if isinstance(X, pl.DataFrame):
        return X
    if hasattr(X, "tocsr"):
        message = "X is a sparse matrix, which normalizers do not take: convert it with X.toarray()"
        raise ArgumentError(message)
    array = np.asarray(X)
    if array.dtype.kind == "c":
        message = f"Complex data not supported: X is {array.dtype}; pass real numbers"
        raise ArgumentError(message)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)  # numbers in Python objects; for others numpy says what they are
    if array.dtype.kind not in "fiub":
        message = f"X must hold numbers, got dtype {array.dtype}; select or convert the numeric columns first"
        raise ColumnError(message)
    if array.ndim not in (1, 2):
        message = f"X must have one or two dimensions, got shape {array.shape}; reshape to (rows, columns)"
        raise ArgumentError(message)
    if array.ndim == 2 and array.shape[1] == 0:
        message = f"X has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        raise ArgumentError(message)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def memory(frame: pl.DataFrame) -> Iterator[NDArray[Any]]:
    """Yield an array to write each column of a frame to; some share a block, because the system gives large pieces of memory faster."""
    block, used = np.empty((0, 0)), 0
    for place, series in enumerate(frame):
        dtype = np.dtype(np.float32 if series.dtype == pl.Float32 else np.float64)
        if used == len(block) or block.dtype != dtype:
            most = max(1, BLOCK // max(1, frame.height * dtype.itemsize))
            block, used = np.empty((min(most, frame.width - place), frame.height), dtype), 0
        yield block[used]
        used += 1


def columns(data: pl.DataFrame | NDArray[Any]) -> list[NDArray[Any]]:
    """Return the columns of a table as arrays."""
    if isinstance(data, pl.DataFrame):
        return [floats(series) for series in data]
    return [data] if data.ndim == 1 else list(data.T)


def turned(data: pl.DataFrame | NDArray[Any]) -> list[NDArray[Any]]:
    """Return the columns as arrays that lie in one piece; a row-major array is read once, some rows at a time."""
    if isinstance(data, pl.DataFrame) or data.ndim == 1 or data.flags.f_contiguous:
        return columns(data)
    held = np.empty(data.shape[::-1], data.dtype)
    rows = max(1, STRIP // data.shape[1])
    for start in range(0, len(data), rows):
        held[:, start : start + rows] = data[start : start + rows].T
    return list(held)


def floats(series: pl.Series) -> NDArray[Any]:
    """Return a column as float32 or float64, null as NaN; without a copy where it holds such floats and no null.

    Raises
    ------
    ColumnError
        The column holds no numbers.
    """
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        message = f"column {series.name!r} is {series.dtype}, which cannot be normalised; select the numeric columns first"
        raise ColumnError(message)
    return (series if series.dtype in (pl.Float32, pl.Float64) else series.cast(pl.Float64)).to_numpy()


def column(values: NDArray[Any], like: pl.Series) -> pl.Series:
    """Return an array as a column, without a copy, with the name and the nulls of another."""
    kind = pa.float32() if values.dtype == np.float32 else pa.float64()
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    made = pl.Series(like.name, pa.Array.from_buffers(kind, values.size, [None, buffer]))
    return made.set(like.is_null(), None) if like.null_count() else made
