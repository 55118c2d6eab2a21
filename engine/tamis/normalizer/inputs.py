"""What normalizers take: numpy arrays, what can become one, and polars frames; what they have learnt before; and what was kept of one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.errors import ArgumentError, ColumnError
from tamis_kernels.validity import valid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from tamis_kernels.validity import Validity

BLOCK = 1 << 26  # bytes of new memory asked for at once
STRIP = 1 << 15  # values that are turned at once, so that they stay in the cache


@dataclass(frozen=True, slots=True)
class Vector:
    """A column as it lies in memory: float32 or float64, and the Arrow bitmap of what is not null, with the bit of the first value."""

    values: NDArray[Any]
    validity: Validity | None = None

    def there(self) -> NDArray[Any]:
        """Return the values that are not null."""
        return self.values if self.validity is None else valid(self.values, self.validity)


def check_fitted(normalizer: object, attribute: str) -> None:
    """Raise ArgumentError unless a normalizer has the attribute that a fit leaves; where scikit-learn is in use, its NotFittedError too."""
    if not hasattr(normalizer, attribute):
        message = f"{type(normalizer).__name__} is not fitted yet: call fit first"
        theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
        raise (type("NotFittedError", (ArgumentError, theirs), {}) if theirs else ArgumentError)(message)


def check_format(state: Mapping[str, Any], wanted: str, kind: str = "a normalizer") -> None:
    """Raise ArgumentError unless this is what `to_dict` has written of such a normalizer."""
    if state.get("format") != wanted:
        message = f"not {kind}: format is {state.get('format')!r}, expected {wanted!r}"
        raise ArgumentError(message)


def names(X: Any) -> list[str] | None:
    """Return the names of the columns of a polars, pandas or pyarrow table, where all are texts."""
    found = list(X.column_names if hasattr(X, "column_names") else getattr(X, "columns", ()))
    return found if found and all(isinstance(name, str) for name in found) else None


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
    if isinstance(X, pl.LazyFrame):
        message = "X is a lazy frame, which normalizers do not take: call X.collect() first"
        raise ArgumentError(message)
    try:
        array = np.asarray(np.ma.filled(X.astype(np.float64), np.nan) if isinstance(X, np.ma.MaskedArray) else X)
        array = array.astype(np.float64) if array.dtype.kind == "O" else array  # numbers in Python objects
    except (TypeError, ValueError) as error:
        message = f"X is of type {type(X).__name__}; give a frame or an array of numbers: {error}"
        raise ArgumentError(message) from error
    if array.dtype.kind == "c":
        message = f"Complex data not supported: X is {array.dtype}; pass real numbers"
        raise ArgumentError(message)
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


def columns(data: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the columns of an array."""
    return [data] if data.ndim == 1 else list(data.T)


def turned(data: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the columns of an array so that each lies in one piece; a row-major array is read once, some rows at a time."""
    if data.ndim == 1 or data.flags.f_contiguous:
        return columns(data)
    held = np.empty(data.shape[::-1], data.dtype)
    rows = max(1, STRIP // data.shape[1])
    for start in range(0, len(data), rows):
        held[:, start : start + rows] = data[start : start + rows].T
    return list(held)


def vectors(data: pl.DataFrame | NDArray[Any]) -> Iterator[Vector]:
    """Yield the columns of a table, each in one piece, with what of them is null."""
    return map(vector, data) if isinstance(data, pl.DataFrame) else map(Vector, turned(data))


def vector(series: pl.Series) -> Vector:
    """Return a column as float32 or float64; without a copy where it holds such floats.

    Raises
    ------
    ColumnError
        The column holds no numbers.
    """
    if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
        message = f"column {series.name!r} is {series.dtype}, which cannot be normalised; select the numeric columns first"
        raise ColumnError(message)
    wide = series if series.dtype in (pl.Float32, pl.Float64) else series.cast(pl.Float64)
    if not wide.null_count():
        return Vector(wide.to_numpy())
    array = wide.rechunk().to_arrow()
    bitmap, data = (np.frombuffer(buffer, np.uint8) for buffer in array.buffers())
    values = data.view(np.float32 if wide.dtype == pl.Float32 else np.float64)
    return Vector(values[array.offset : array.offset + len(array)], (bitmap, array.offset))


def column(values: NDArray[Any], like: Vector, name: str) -> pl.Series:
    """Return an array as a column, without a copy, with the nulls of another."""
    kind = pa.float32() if values.dtype == np.float32 else pa.float64()
    bitmap = None if like.validity is None else pa.py_buffer(_from_bit_0(*like.validity, values.size))
    return pl.Series(name, pa.Array.from_buffers(kind, values.size, [bitmap, pa.py_buffer(np.ascontiguousarray(values))]))


def _from_bit_0(bitmap: NDArray[np.uint8], offset: int, size: int) -> NDArray[np.uint8]:
    """Return a bitmap whose first bit is that at an offset."""
    if offset % 8 == 0:
        return bitmap[offset // 8 :]
    return np.packbits(np.unpackbits(bitmap, count=offset + size, bitorder="little")[offset:], bitorder="little")
