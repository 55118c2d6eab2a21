"""Which columns of a table are worth a dictionary in Parquet, and which a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Collection

SAMPLE = 8192  # rows


def repeating(table: pa.Table) -> list[str]:
    """Return the names of the columns of whose first values at least one in eight is there more than once.

    To write a dictionary of numbers that seldom repeat takes nine times as long as to write the numbers, and half as much room again. Of a
    nested column no dictionary is written, even if it is named to the writer.
    """
    head = pl.DataFrame(table.slice(0, SAMPLE))
    return [column.name for column in head if 8 * column.n_unique() <= 7 * len(head)]


def encoding(table: pa.Table, compression: str, plain: Collection[str] = ()) -> dict[str, Any]:
    """Return how the writer is to write tables that begin like this one: dictionaries and codecs, as its arguments.

    A codec is used but for numbers and the like of whose first values it takes off less than an eighth: where these are mostly noise, zstd
    saves some hundredths, and to write them takes twice as long. The columns in `plain` get no dictionary.
    """
    told = {"use_dictionary": [name for name in repeating(table) if name not in plain]}
    if compression == "none":
        return {**told, "compression": compression}
    numbers = [field.name for field in table.schema if pa.types.is_primitive(field.type) or pa.types.is_fixed_size_binary(field.type)]
    tried = _written(table.slice(0, SAMPLE).select(numbers), compression=compression, **told)
    noise = {one.path_in_schema for one in tried if _is_noise(one.total_uncompressed_size, one.total_compressed_size)}
    rest = [one.path_in_schema for one in _written(table.slice(0, 0)) if one.path_in_schema not in noise]
    return {**told, "compression": dict.fromkeys(rest, compression) or "none"}


def _written(table: pa.Table, **options: Any) -> list[pq.ColumnChunkMetaData]:
    """Write a table to memory, and return what is told of its columns and of the leaves of nested ones."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    group = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0)
    return [group.column(place) for place in range(group.num_columns)]


def _is_noise(whole: int, compressed: int) -> bool:
    """Say whether a codec has hardly made a column smaller; less than a byte a row is too little to tell by."""
    return whole > SAMPLE and 8 * compressed > 7 * whole
