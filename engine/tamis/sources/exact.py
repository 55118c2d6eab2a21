"""What a type cannot hold exactly: which cells a conversion rounds, the finest of several types, and texts that lose nothing."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Literal, cast

import polars as pl

from tamis.sources import parsing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WHOLE = (pl.Int64, pl.UInt64, pl.Int128, pl.UInt128)


def leaves(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """Yield the types of what lists, arrays and structs hold at last; a type that holds no other is its own."""
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from leaves(_instance(field.dtype))
    elif isinstance(dtype, pl.List | pl.Array):
        yield from leaves(_instance(dtype.inner))
    else:
        yield dtype


def with_leaves(dtype: pl.DataType, change: Callable[[pl.DataType], pl.DataType]) -> pl.DataType:
    """Return a type with others for its leaves."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(field.name, with_leaves(_instance(field.dtype), change)) for field in dtype.fields])
    if isinstance(dtype, pl.List):
        return pl.List(with_leaves(_instance(dtype.inner), change))
    if isinstance(dtype, pl.Array):
        return pl.Array(with_leaves(_instance(dtype.inner), change), dtype.size)
    return change(dtype)


def _instance(dtype: Any) -> pl.DataType:
    """Return a type that polars allows to be given as its class."""
    return dtype if isinstance(dtype, pl.DataType) else cast("pl.DataType", dtype())


def of_one_unit(dtypes: Iterable[pl.DataType]) -> list[pl.DataType]:
    """Return types that differ with the finest unit that their times and spans have: polars would take the coarsest."""
    dtypes = list(dtypes)
    units = {leaf.time_unit for dtype in dtypes for leaf in leaves(dtype) if isinstance(leaf, pl.Datetime | pl.Duration)}
    unit: Literal["ns", "us"] = "ns" if "ns" in units else "us"

    def finer(leaf: pl.DataType) -> pl.DataType:
        if isinstance(leaf, pl.Datetime):
            return pl.Datetime(unit, leaf.time_zone)
        return pl.Duration(unit) if isinstance(leaf, pl.Duration) else leaf

    return [with_leaves(dtype, finer) for dtype in dtypes] if len(set(dtypes)) > 1 else dtypes


def may_be_inexact(dtype: pl.DataType) -> bool:
    """Whether a type has numbers, be it in lists, that a float would round."""
    while isinstance(dtype, pl.List | pl.Array):
        dtype = _instance(dtype.inner)
    return dtype in WHOLE or (isinstance(dtype, pl.Decimal) and dtype.precision > parsing.FLOAT_DIGITS)


def inexact(cells: pl.Series) -> pl.Series:
    """Say which stored cells hold a number that a float would round: a whole one that none is equal to, a decimal that none gives back."""
    if cells.dtype.is_decimal():
        return _inexact_decimals(cells)
    if isinstance(cells.dtype, pl.Struct):
        return reduce(or_, map(inexact, cells.struct.unnest()), pl.repeat(False, len(cells), eager=True))
    if isinstance(cells.dtype, pl.List | pl.Array):
        lists = cells.arr.to_list() if isinstance(cells.dtype, pl.Array) else cells
        frame = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "item": lists}).explode("item")
        rows = frame["row"].filter(inexact(frame["item"]))
        return pl.int_range(len(lists), eager=True).is_in(rows.implode())
    if cells.dtype in WHOLE:
        return parsing.beyond_floats(cells)
    return pl.repeat(False, len(cells), eager=True)


def _inexact_decimals(cells: pl.Series) -> pl.Series:
    texts = cells.cast(pl.String)
    digits = texts.str.strip_chars_end("0").str.replace_all(r"^-?[0.]*|\.", "")
    long = (digits.str.len_bytes() > parsing.FLOAT_DIGITS).fill_null(value=False)
    told = [Decimal(text) != Decimal(repr(float(text))) for text in texts.filter(long)]
    return parsing.spread(pl.Series(told, dtype=pl.Boolean), long).fill_null(value=False)


def rounded(cells: pl.Series, values: pl.Series) -> pl.Series:
    """Say which stored cells were converted to values that are not equal to them; nulls in their place are not meant."""
    if isinstance(cells.dtype, pl.Decimal) or isinstance(values.dtype, pl.Decimal):
        changed = inexact(cells) if values.dtype.is_float() else pl.repeat(False, len(cells), eager=True)
    elif isinstance(cells.dtype, pl.Date | pl.Datetime):
        changed = pl.repeat(False, len(cells), eager=True)  # which go to the finest unit
    else:
        changed = values.cast(cells.dtype, strict=False).ne_missing(cells)
        if any(leaf.is_decimal() for leaf in leaves(cells.dtype)):  # that polars does not give back as they were
            changed &= inexact(cells)
    return changed & values.is_not_null()


def spelled(cells: pl.Series) -> pl.Series:
    """Return stored cells as texts, each of which tells all that its cell holds."""
    dtype = cells.dtype
    if isinstance(dtype, pl.Date | pl.Datetime):
        texts = parsing.of_calendar(cells).cast(pl.String)
        return texts.zip_with(texts.is_not_null(), cells.to_physical().cast(pl.String))  # the years beyond have no other
    if dtype in (pl.Duration, pl.Time):
        return cells.dt.to_string("iso")
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        plain = cells if all(map(_is_of_python, _flat(cells))) else cells.cast(with_leaves(dtype, _plain))
        return pl.Series(cells.name, [None if value is None else str(value) for value in plain.to_list()], dtype=pl.String)
    return cells.cast(pl.String)


def _flat(cells: pl.Series) -> Iterator[pl.Series]:
    """Yield what lists, arrays and structs hold at last."""
    if isinstance(cells.dtype, pl.Struct):
        for field in cells.struct.unnest():
            yield from _flat(field)
    elif isinstance(cells.dtype, pl.List | pl.Array):
        yield from _flat(cells.explode())
    else:
        yield cells


def _is_of_python(cells: pl.Series) -> bool:
    """Whether Python has all of these values: it knows neither nanoseconds nor all years."""
    if isinstance(cells.dtype, pl.Date | pl.Datetime):
        return parsing.of_calendar(cells) is cells and getattr(cells.dtype, "time_unit", "us") != "ns"
    return cells.dtype != pl.Time and not (isinstance(cells.dtype, pl.Duration) and cells.dtype.time_unit == "ns")


def _plain(leaf: pl.DataType) -> pl.DataType:
    """Return the type of the counts that stand for times and spans."""
    if leaf.is_temporal():
        return pl.Int32() if leaf == pl.Date else pl.Int64()
    return leaf
