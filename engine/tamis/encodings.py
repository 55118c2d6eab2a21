"""Which columns of a table are worth a dictionary in Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 8192  # rows


def repeating(table: pa.Table) -> list[str]:
    """Return the names of the columns of whose first values at least one in eight is there more than once.

    To write a dictionary of numbers that seldom repeat takes nine times as long as to write the numbers, and half as much room again. Of a
    nested column no dictionary is written, even if it is named to the writer.
    """
    head = pl.DataFrame(table.slice(0, SAMPLE))
    return [column.name for column in head if 8 * column.n_unique() <= 7 * len(head)]
