"""Tables and columns that a user hands over, as polars has them."""

from __future__ import annotations

from typing import Any

import polars as pl

from tamis.errors import ArgumentError


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
        message = f"{name} is a {type(data).__name__}; give a polars, pandas or pyarrow table{also}"
        raise ArgumentError(message)
    return pl.DataFrame(data)


def series_of(data: Any, name: str = "series") -> pl.Series:
    """Return a column of polars, pyarrow or NumPy, or a list of values of one type, as polars has it.

    Raises
    ------
    ArgumentError
        It is none.
    """
    if isinstance(data, pl.Series):
        return data
    why = ""
    if not isinstance(data, (str, bytes)):
        try:
            return pl.Series(data)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            why = f" ({str(error).splitlines()[0]})"
    message = f"{name} is a {type(data).__name__}; give a column of polars, pyarrow or NumPy, or a list of values of one type{why}"
    raise ArgumentError(message)
