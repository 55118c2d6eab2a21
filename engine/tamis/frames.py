"""Tables and columns that a user hands over, as polars has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeAlias, cast, runtime_checkable

import polars as pl
from numpy.typing import NDArray

from tamis.errors import ArgumentError
from tamis.names import AnyPath


@runtime_checkable
class Array(Protocol):
    """What gives its values as an array of NumPy, as a column of pandas does."""

    def __array__(self) -> NDArray[Any]:
        """Return the array."""


@runtime_checkable
class ArrowArray(Protocol):
    """What gives its values by Arrow's interface in one piece, as an array of pyarrow does."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Return capsules with a schema and an array."""


@runtime_checkable
class Arrow(Protocol):
    """What gives its columns, or its values, by Arrow's interface, as what pandas, pyarrow and DuckDB make does."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with a stream of record batches, or of values."""


Frame: TypeAlias = Annotated[pl.DataFrame | pl.LazyFrame | Arrow, "a polars, pandas or pyarrow table"]


Column: TypeAlias = Annotated[
    pl.Series | Arrow | ArrowArray | Array | Sequence[Any],
    "a column of polars, pandas, pyarrow or NumPy, or a list of values of one type",
]


TEXTS = (pl.Null, pl.Categorical, pl.Enum)
"""Types of columns of texts beside String: what is nothing but null, or nothing, has no other."""


def paths_of(data: AnyPath | Iterable[AnyPath], name: str) -> list[str]:
    """Return a path, or several in whatever holds or yields them, as a list.

    Raises
    ------
    ArgumentError
        Something in it is no path. The message calls it by `name`.
    """
    several = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    for one in several:
        if not isinstance(one, (str, os.PathLike)):
            message = f"{name} holds what is of type {type(one).__name__}; give paths"
            raise ArgumentError(message)
    return [os.fspath(one) for one in several]


def frame_of(data: Frame, name: str = "frame") -> pl.DataFrame | pl.LazyFrame:
    """Return a table of polars, pandas or pyarrow, or whatever else tells its columns by Arrow's interface, as polars has it.

    Raises
    ------
    ArgumentError
        Polars can make no frame of it. The message calls it by `name`.
    """
    if isinstance(data, (pl.DataFrame, pl.LazyFrame)):
        return data
    try:
        return pl.DataFrame(data)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"{name} is of type {type(data).__name__}, of which polars makes no frame: {str(error).splitlines()[0]}"
        raise ArgumentError(message) from error


def series_of(data: Column, name: str = "series") -> pl.Series:
    """Return a column of polars, pyarrow or NumPy, or a list of values of one type, as polars has it; of texts where it holds none.

    Raises
    ------
    ArgumentError
        It is none.
    """
    try:
        series = data if isinstance(data, pl.Series) else pl.Series(cast("Any", data))
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"{name} is of type {type(data).__name__}, of which polars makes no column of one type: {str(error).splitlines()[0]}"
        raise ArgumentError(message) from error
    return series.cast(pl.String) if series.dtype in TEXTS else series
