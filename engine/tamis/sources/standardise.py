"""Bring the cells of a table to one form: typed columns in the group's order, and nulls whose reason is known.

Reasons of a null
-----------------
null
    The source has none.
blank
    An empty text, or one of white space alone.
word
    A word for no value. In a text column only those that cannot be a value: `NULL`, `N/A`, `NaN` and their like, but not
    `None`, `NA` or `-`.
code
    A number that stands for no value, such as -9999.
nan
    Not a number. Infinities are values.
unparsed
    The cell held something that its column's type cannot hold; its text is kept.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.sources import parsing
from tamis.sources.exact import rounded, spelled
from tamis.sources.profile import TEXT_TYPES
from tamis.sources.units import conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tamis.sources.options import FormatOptions
    from tamis.sources.schema import ColumnPlan, Reading, TableGroup

TEXT_MISSING_WORDS = ("NULL", "null", "(null)", "NaN", "N/A", "n/a", "#N/A", "<NA>", "#VALUE!", "#DIV/0!")
SAMPLE = 1024  # texts that tell whether a column has few values
FEW = 8  # rows for each of them, at least
UNPARSED_SCHEMA = {"index": pl.Int64, "column": pl.String, "value": pl.String}
ALL_PARSED = pl.DataFrame(schema=UNPARSED_SCHEMA)


@dataclass(frozen=True, slots=True)
class Standardised:
    """Typed rows.

    Attributes
    ----------
    frame
        The values, columns in the group's order and with its types.
    unparsed
        One row for each cell that could not be read: `index` within the frame, `column` and its text as `value`.
    rounded
        The same for each cell whose value is not exactly that of the source: a number that no float is equal to, a time finer than a
        nanosecond.
    nulls
        How many cells of a column are null for which reason: (column, reason) to count.
    """

    frame: pl.DataFrame
    unparsed: pl.DataFrame
    rounded: pl.DataFrame
    nulls: Mapping[tuple[str, str], int]


def standardise(
    frame: pl.DataFrame, record: str, group: TableGroup, options: FormatOptions, only: Collection[str] | None = None
) -> Standardised:
    """Give rows that were read from the file `record` the types of their group; `only` names columns, where not all are wanted."""
    columns: list[_Column] = []
    for plan, reading in zip(group.columns, group.readings[record], strict=True):
        if only is not None and plan.name not in only:
            continue
        cells = frame[reading.source].alias(plan.name)
        if plan.kind == "text":
            columns.append(_by_value(spelled(cells), _text_column))
        elif isinstance(cells.dtype, TEXT_TYPES):
            columns.append(_by_value(cells.cast(pl.String), partial(_parsed_column, plan=plan, reading=reading, options=options)))
        else:
            columns.append(_stored_column(cells, plan, options))
    nulls = {(one.values.name, reason): count for one in columns for reason, count in one.nulls.items() if count}
    unparsed, inexact = _by_row(one.unparsed for one in columns), _by_row(one.rounded for one in columns)
    return Standardised(pl.DataFrame([one.values for one in columns]), unparsed, inexact, nulls)


def _by_row(told: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return what is told of cells of several columns in the order of the rows."""
    found = [cells for cells in told if len(cells)]
    return pl.concat(found).sort("index", maintain_order=True) if found else ALL_PARSED


class _Column:
    """A column on its way to its type, with the reasons of its nulls."""

    def __init__(self, cells: pl.Series) -> None:
        self.values = cells
        self.nulls = Counter(null=cells.null_count())
        self.unparsed = self.rounded = ALL_PARSED

    def drop(self, reason: str, mask: pl.Series) -> None:
        """Make the cells of a mask null for a reason."""
        if mask.any():
            mask = mask.fill_null(value=False)
            self.nulls[reason] += int(mask.sum())
            self.values = parsing.where(~mask, self.values, None)

    def become(self, values: pl.Series, cells: pl.Series) -> None:
        """Take the converted values, and note the text of every cell that was lost in the conversion."""
        lost = _told(self.values.is_not_null() & values.is_null(), cells)
        self.nulls["unparsed"] += len(lost)
        self.unparsed = pl.concat([self.unparsed, lost]) if len(lost) else self.unparsed
        self.values = values

    def drop_codes(self, codes: tuple[float, ...]) -> None:
        """Make numbers that stand for no value null."""
        if not (self.values.dtype.is_float() or self.values.dtype.is_integer()):
            return
        numbers = (self.values.drop_nulls() if self.values.null_count() else self.values).to_numpy()
        if not numbers.size:
            return
        low, high = numbers.min().item(), numbers.max().item()  # which costs a third of what polars takes, let alone with `is_nan`
        if low != low:  # NaN, which numpy hands on
            self.drop("nan", self.values.is_nan())
            low, high = self.values.min(), self.values.max()
            if low is None:
                return
        if numbers.dtype.kind == "f":
            with np.errstate(over="ignore"):  # small types cannot hold every code
                of_type = np.array(codes).astype(numbers.dtype).tolist()
        else:
            of_type = [int(code) for code in codes if code.is_integer()]
        within = [code for code in of_type if low <= code <= high and math.isfinite(code)]  # none, as a rule
        if within:
            self.drop("code", reduce(or_, [self.values == code for code in within]))  # eight times as fast as `is_in`


def _told(mask: pl.Series, cells: pl.Series) -> pl.DataFrame:
    """Return the place, the column and the text of the cells of a mask."""
    if not mask.any():
        return ALL_PARSED
    told = {"index": mask.arg_true().cast(pl.Int64), "column": cells.name, "value": spelled(cells.filter(mask))}
    return pl.DataFrame(told, schema=UNPARSED_SCHEMA)


def _by_value(texts: pl.Series, make: Callable[[pl.Series], _Column]) -> _Column:
    """Make a column of its distinct texts, where these are few and each of them gives a value; else of all texts."""
    if texts.head(SAMPLE).n_unique() > max(1, len(texts.head(SAMPLE)) // FEW):
        return make(texts)
    few, places = parsing.distinct(texts)
    if FEW * len(few) > len(texts):
        return make(texts)
    column = make(few)
    if set(+column.nulls) - {"null"} or len(column.rounded):
        return make(texts)
    column.nulls["null"] = texts.null_count()
    column.values = column.values.gather(places)
    return column


def _text_column(texts: pl.Series) -> _Column:
    column = _Column(texts)
    column.drop("blank", column.values.str.strip_chars() == "")
    column.drop("word", column.values.is_in(TEXT_MISSING_WORDS))
    return column


def _parsed_column(texts: pl.Series, plan: ColumnPlan, reading: Reading, options: FormatOptions) -> _Column:
    words = [word.lower() for word in options.missing_words]
    values = _at_once(texts, plan, reading, words, options)
    column = _Column(texts)
    column.values = values.alias(plan.name)
    if values.null_count() > texts.null_count():  # which in wide tables of numbers costs more than all else
        _read_rest(column, texts, plan, reading, options)
    if plan.rounds:
        column.rounded = _told(parsing.rounded(texts, plan.dtype) & column.values.is_not_null(), texts.alias(plan.name))
    if plan.kind == "number":
        column.drop_codes(options.missing_codes)
    return column


def _read_rest(column: _Column, texts: pl.Series, plan: ColumnPlan, reading: Reading, options: FormatOptions) -> None:
    """Read the cells of a column that one fast pass has left null."""
    words = [word.lower() for word in options.missing_words]
    is_rest = texts.is_not_null() & column.values.is_null()
    rest = _Column(texts.filter(is_rest).str.strip_chars())
    rest.drop("blank", rest.values == "")
    rest.drop("word", rest.values.str.to_lowercase().is_in(words))
    filled = rest.values.is_not_null()
    parsed = _parse(rest.values.filter(filled), plan, reading, options).cast(plan.dtype)
    rest.become(parsing.spread(parsed, filled), texts.filter(is_rest))
    column.nulls.update({reason: count for reason, count in rest.nulls.items() if reason != "null"})
    column.unparsed = rest.unparsed.with_columns(
        index=is_rest.arg_true().gather(rest.unparsed["index"]).cast(pl.Int64), column=pl.lit(plan.name)
    )
    column.values = parsing.where(is_rest, parsing.spread(rest.values, is_rest), column.values).alias(plan.name)


def _at_once(texts: pl.Series, plan: ColumnPlan, reading: Reading, words: list[str], options: FormatOptions) -> pl.Series:
    """Read what one fast pass over the column can; what it leaves null is looked at more closely."""
    as_words = pl.Series(words, dtype=pl.String)
    if plan.kind == "number" and not reading.dot_groups and parsing.plain_numbers(as_words).is_null().all():
        if plan.dtype.is_float():
            return _brought(parsing.plain_numbers(texts).cast(plan.dtype), plan, reading, options)
        return texts.cast(plan.dtype, strict=False)
    if plan.dtype == parsing.NAIVE and parsing.iso_datetimes(as_words).is_null().all():
        return parsing.iso_datetimes(texts)
    return pl.Series(texts.name, [None], dtype=plan.dtype).new_from_index(0, len(texts))


def _stored_column(cells: pl.Series, plan: ColumnPlan, options: FormatOptions) -> _Column:
    column = _Column(cells)
    if isinstance(cells.dtype, pl.Date | pl.Datetime) and (within := parsing.of_calendar(cells)) is not cells:
        column.become(within, cells)
    if cells.dtype != plan.dtype:
        values = _cast(column.values, plan.dtype, options.timezone)
        column.rounded = _told(rounded(column.values, values), column.values)
        column.become(values, column.values)
    if plan.kind == "number":
        column.drop_codes(options.missing_codes)
    return column


def _parse(text: pl.Series, plan: ColumnPlan, reading: Reading, options: FormatOptions) -> pl.Series:
    """Parse stripped texts without nulls; null where that fails."""
    if plan.kind == "number":
        return _numbers(text, plan, reading, options)
    if plan.kind == "datetime":
        return _datetimes(text, plan.dtype, options.timezone, day_first=reading.day_first)
    if plan.kind == "boolean":
        digits = text.replace_strict({"1": True, "0": False}, default=None, return_dtype=pl.Boolean)
        return parsing.where(digits.is_null(), parsing.booleans(text), digits)
    return parsing.number_lists(text)


def _numbers(text: pl.Series, plan: ColumnPlan, reading: Reading, options: FormatOptions) -> pl.Series:
    if plan.dtype.is_integer():
        whole = text.cast(plan.dtype, strict=False)
        if not whole.null_count():
            return whole
        floats = parsing.numbers(text, decimal=reading.decimal, dot_groups=reading.dot_groups)
        exact = parsing.where(floats.floor() == floats, floats, None).cast(plan.dtype, strict=False)
        return parsing.where(whole.is_null(), exact, whole)
    result = _brought(parsing.numbers(text, decimal=reading.decimal, dot_groups=reading.dot_groups), plan, reading, options)
    if plan.unit is None or not result.null_count():
        return result
    is_rest = result.is_null()
    rest = text.filter(is_rest)
    parts = parsing.split_units(rest)
    values = parsing.numbers(parts["number"].fill_null("").str.strip_chars(), decimal=reading.decimal, dot_groups=reading.dot_groups)
    return parsing.where(is_rest, parsing.spread(_converted(values, parts["unit"], plan.unit), is_rest), result)


def _brought(values: pl.Series, plan: ColumnPlan, reading: Reading, options: FormatOptions) -> pl.Series:
    """Convert numbers from the unit that the file's head gives; codes for no value stay, to be found."""
    if plan.unit is None or reading.unit in ("", plan.unit):
        return values
    is_code = values.is_in(pl.Series(options.missing_codes, dtype=pl.Float64).implode())
    units = pl.Series([reading.unit]).new_from_index(0, len(values))
    return parsing.where(is_code, values, _converted(values, units, plan.unit))


def _converted(values: pl.Series, units: pl.Series, target: str) -> pl.Series:
    """Convert numbers to the target unit; one that measures something else becomes null."""
    result = parsing.where(units == target, values, None)
    for unit in sorted(set(units.drop_nulls()) - {target}):
        affine = conversion(unit, target)
        if affine is not None:
            result = parsing.where(units == unit, (values * affine.factor + affine.shift) / affine.divisor, result)
    return result


def _datetimes(text: pl.Series, dtype: pl.DataType, timezone: str, *, day_first: bool) -> pl.Series:
    times = _microseconds(text, dtype, timezone, day_first=day_first)
    return parsing.finer(times, text) if dtype.time_unit == "ns" else times  # type: ignore[attr-defined]


def _microseconds(text: pl.Series, dtype: pl.DataType, timezone: str, *, day_first: bool) -> pl.Series:
    naive = parsing.naive_datetimes(text, day_first=day_first)
    if not dtype.time_zone:  # type: ignore[attr-defined]
        return naive
    result = _localised(naive, timezone)
    rest = result.is_null()
    if rest.any():
        found = parsing.zoned_datetimes(text.filter(rest), day_first=day_first)
        result = parsing.where(rest, parsing.spread(found, rest), result)
    rest = result.is_null()
    if rest.any():
        found = parsing.epochs(parsing.plain_numbers(text.filter(rest)))
        result = parsing.where(rest, parsing.spread(found, rest), result)
    return result


def _localised(naive: pl.Series, timezone: str) -> pl.Series:
    """Read naive times in a zone; the first of a doubled hour is meant, and a skipped hour is null."""
    placed = naive.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return parsing.of_calendar(placed.dt.convert_time_zone("UTC"))


def _cast(cells: pl.Series, dtype: pl.DataType, timezone: str) -> pl.Series:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone and isinstance(cells.dtype, pl.Date | pl.Datetime):
        if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone:
            return cells.dt.convert_time_zone("UTC").cast(dtype)
        return _localised(cells.cast(parsing.NAIVE), timezone).cast(dtype)
    if cells.dtype.is_decimal() and dtype.is_float():
        return cells.cast(pl.String).cast(dtype)  # the nearest, of any number of digits
    return cells.cast(dtype, strict=False)
