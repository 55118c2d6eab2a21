"""`frame.tamis` on polars frames, eager and lazy; registered by importing this module, or `tamis.namespace`.

Importing `tamis` alone does not import polars, and so cannot register anything.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from tamis.near.deduplicate import near_duplicates
from tamis.near.signatures import signatures


@pl.api.register_dataframe_namespace("tamis")
class FrameNamespace:
    """What tamis does with a frame."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def near_duplicates(self, column: str = "text", **arguments: Any) -> pl.DataFrame:
        """Return row, cluster, keeper and similarity of each row; see `tamis.near_duplicates`."""
        return near_duplicates(self._frame, column, **arguments)

    def drop_near_duplicates(self, column: str = "text", **arguments: Any) -> pl.DataFrame:
        """Return the rows that are kept, in their order."""
        return self._frame.filter(near_duplicates(self._frame, column, **arguments)["keeper"])

    def with_signatures(self, column: str = "text", name: str = "signature", **arguments: Any) -> pl.DataFrame:
        """Return the frame with a column of signatures; see `tamis.signatures`."""
        return self._frame.with_columns(signatures(self._frame[column], **arguments).alias(name))


@pl.api.register_lazyframe_namespace("tamis")
class LazyFrameNamespace:
    """What tamis does with a lazy frame, which is streamed."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    def near_duplicates(self, column: str = "text", **arguments: Any) -> pl.DataFrame:
        """Return row, cluster, keeper and similarity of each row; see `tamis.near_duplicates`."""
        return near_duplicates(self._frame, column, **arguments)

    def drop_near_duplicates(self, column: str = "text", **arguments: Any) -> pl.LazyFrame:
        """Return the rows that are kept, in their order; which they are is found out now, the rows themselves stay lazy."""
        keeper = near_duplicates(self._frame, column, **arguments).lazy().select(pl.col("keeper").alias(_MARK))
        marked = pl.concat([self._frame, keeper], how="horizontal")
        return marked.filter(pl.col(_MARK)).drop(_MARK)

    def with_signatures(self, column: str = "text", name: str = "signature", **arguments: Any) -> pl.LazyFrame:
        """Return the lazy frame with a column of signatures, made batch by batch; see `tamis.signatures`."""
        dtype = pl.Array(pl.UInt32, int(arguments.get("num_perm", 128)))
        made = pl.col(column).map_batches(lambda series: signatures(series, **arguments), return_dtype=dtype, is_elementwise=True)
        return self._frame.with_columns(made.alias(name))


_MARK = "__tamis_keeper"
