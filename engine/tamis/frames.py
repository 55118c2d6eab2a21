"""Tables and columns that a user hands over, as polars has them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from tamis.errors import ArgumentError


def paths_of(data: Any, name: str, wanted: str) -> list[str | Path]:
    """Return a path, or several in whatever holds or yields them, as a list.

    Raises
    ------
    ArgumentError
        Something in it is no path. The message calls it by `name`, and ends with what is `wanted`.
    """
    several = [data] if isinstance(data, (str, Path)) or not isinstance(data, Iterable) else list(data)
    odd = [type(one).__name__ for one in several if not isinstance(one, (str, Path))]
    if odd:
        what = f"holds what is of type {odd[0]}" if isinstance(data, (list, tuple, set)) else f"is of type {type(data).__name__}"
        message = f"{name} {what}; give {wanted}"
        raise ArgumentError(message)
    return several


def frame_of(data: Any, name: str = "frame", also: str = "") -> pl.DataFrame | pl.LazyFrame:
    """Return a table of polars, pandas or pyarrow, or whatever else tells its columns by Arrow's interface, as polars has it.

    Raises
    ------
    ArgumentError
        It is none. The message calls it by `name`, and ends with what else could be given.
    """
    if isinstance(data, (pl.DataFrame, pl.LazyFrame)):
        return data
    if not hasattr(data, "__arrow_c_stream__"):
        message = f"{name} is of type {type(data).__name__}; give a polars, pandas or pyarrow table{also}"
        raise ArgumentError(message)
    return pl.DataFrame(data)


def series_of(data: Any, name: str = "series") -> pl.Series:
    """Return a column of polars, pyarrow or NumPy, or a list of values of one type, as polars has it; of texts where it holds none.

    Raises
    ------
    ArgumentError
        It is none.
    """
    why = ""
    if not isinstance(data, (str, bytes)):
        try:
            series = data if isinstance(data, pl.Series) else pl.Series(data)
            return series.cast(pl.String) if series.dtype == pl.Null else series  # nothing but nulls, or nothing, has no other type
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            why = f" ({str(error).splitlines()[0]})"
    message = f"{name} is of type {type(data).__name__}; give a column of polars, pyarrow or NumPy, or a list of values of one type{why}"
    raise ArgumentError(message)
