"""What is handed on of Arrow's columns: names that are there and differ, types that polars takes, and texts that are UTF-8.

A column of another type is read as the one that holds the same values, or as text; polars would refuse the whole table, or die of it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from tamis.sources.rows import free_names
from tamis.sources.text import decode

_TEXT = pa.large_string()
_DECIMAL_DIGITS = 38  # that polars holds


def readable(schema: pa.Schema) -> tuple[pa.Schema, list[str]]:
    """Return the schema that a file's tables are brought to, and notes of what is other than in the file.

    Columns are named as those of delimited text are, but for white space, which stays.
    """
    names = free_names([name or f"column_{place}" for place, name in enumerate(schema.names, 1)], (), "_")
    notes = ["some column names are missing or repeated and were made unique"] if names != schema.names else []
    fields = []
    for name, field in zip(names, schema, strict=True):
        kind = _readable(field.type)
        if kind != field.type:
            notes.append(f"column {name!r} is {field.type}, which polars cannot hold: it is read as {'text' if kind == _TEXT else kind}")
        fields.append(pa.field(name, kind, metadata=field.metadata))
    return pa.schema(fields), notes


def brought(columns: list[pa.ChunkedArray], fields: list[pa.Field]) -> tuple[pa.Table, int]:
    """Return a table of columns as `readable` has their fields, and how many cells of text were not UTF-8.

    Raises
    ------
    pyarrow.ArrowException
        A column cannot be read so; the error names it.
    """
    whole, recoded = [], 0
    for column, field in zip(columns, fields, strict=True):
        try:
            done = column if column.type == field.type else _cast(column, field.type)
            done, changed = _decoded(done)
        except (pa.ArrowException, ValueError, TypeError) as error:
            message = f"the column {field.name!r} ({column.type}) cannot be read: {error}; write it as another type, or leave it out"
            raise pa.ArrowInvalid(message) from error
        whole.append(done)
        recoded += changed
    return pa.table(whole, schema=pa.schema(fields)), recoded


def _readable(kind: Any) -> Any:
    """Return the type that a column is read as: its own, where polars takes that."""
    of = pa.types
    if of.is_decimal(kind):
        fits = 0 <= kind.scale <= kind.precision <= _DECIMAL_DIGITS
        return (kind if kind.bit_width <= 128 else pa.decimal128(kind.precision, kind.scale)) if fits else _TEXT
    if of.is_timestamp(kind):
        return kind if not kind.tz or _is_zone(kind.tz) else pa.timestamp(kind.unit, "UTC")
    if of.is_run_end_encoded(kind):
        return _readable(kind.value_type)
    if of.is_dictionary(kind):
        return kind if _readable(kind.value_type) == kind.value_type else _readable(kind.value_type)
    if of.is_list_view(kind) or of.is_large_list_view(kind):
        return pa.large_list(kind.value_type) if _readable(kind.value_type) == kind.value_type else _TEXT
    if of.is_union(kind) or of.is_interval(kind) or (of.is_fixed_size_list(kind) and not kind.list_size):
        return _TEXT
    if of.is_nested(kind):
        named = _named(kind)
        fields = [named.field(place) for place in range(named.num_fields)]
        return named if all(_readable(field.type) == field.type for field in fields) else _TEXT
    return kind


def _named(kind: Any) -> Any:
    """Return a type whose structs, in lists too, have fields of different names."""
    of = pa.types
    if of.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        names = free_names([field.name for field in fields], (), "_")
        return pa.struct([field.with_name(name).with_type(_named(field.type)) for name, field in zip(names, fields, strict=True)])
    if of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind):
        item = kind.value_field.with_type(_named(kind.value_type))
        return pa.list_(item, kind.list_size) if of.is_fixed_size_list(kind) else (pa.list_ if of.is_list(kind) else pa.large_list)(item)
    return kind


def _is_zone(name: str) -> bool:
    try:
        pl.Series([0]).cast(pl.Datetime("us")).dt.replace_time_zone(name)
    except pl.exceptions.PolarsError:
        return False
    return True


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_decimal(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(kind)
    named = _named(column.type)
    if named != column.type:  # the same buffers: to cast would look for the fields by their names
        chunks = [pa.Array._import_from_c_capsule(named.__arrow_c_schema__(), chunk.__arrow_c_array__()[1]) for chunk in column.chunks]
        column = pa.chunked_array(chunks, named)
    if named == kind:
        return column
    values = column.to_pylist()
    return pa.chunked_array([pa.array(map(_text, values) if kind == _TEXT else values, kind)])


def _text(value: Any) -> str | None:
    """Write a value as JSON, a scalar as its text, and an interval as ISO 8601 does."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, pa.MonthDayNano):
        return f"P{value.months}M{value.days}DT{Decimal(value.nanoseconds).scaleb(-9):f}S"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)


def _decoded(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Return a column with its texts as UTF-8, and how many were not: these are read as Windows-1252, as in delimited text."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        if column.type not in (pa.string(), pa.large_string()):
            raise
    else:
        return column, 0
    as_bytes = [chunk.view(pa.binary() if column.type == pa.string() else pa.large_binary()) for chunk in column.chunks]
    for chunk in as_bytes:
        chunk.validate(full=True)  # that the texts lie within the column
    cells = [cell for chunk in as_bytes for cell in chunk.to_pylist()]
    texts = [None if cell is None else decode(cell) for cell in cells]
    changed = sum(text is not None and text.encode() != cell for text, cell in zip(texts, cells, strict=True))
    return pa.chunked_array([pa.array(texts, column.type)]), changed
