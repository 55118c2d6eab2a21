"""Parse columns of text into numbers, dates, words and lists: the one place that says what a cell can mean.

Every function takes a series of stripped texts without nulls and returns a series of the same length, null where the
text is not of that form. Profiling counts with the functions that standardising converts with, so the two agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.sources.stamps import NAIVE as WITHOUT_ZONE
from tamis.sources.stamps import ZONED as WITH_ZONE
from tamis.sources.stamps import read_stamps
from tamis.sources.units import ALIASES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

TRUE_WORDS = ("true", "t", "yes", "y", "on")
FALSE_WORDS = ("false", "f", "no", "n", "off")

SPACE_GROUPS = r"^[+-]?\d{1,3}(?:[ '\u{2019}\u{a0}\u{202f}]\d{3})+(?:[.,]\d+)?$"
DOT_GROUPS = r"^[+-]?[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})$"
COMMA_GROUPS = r"^[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})$"
ONE_COMMA_GROUP = r"^[+-]?[1-9]\d{0,2},\d{3}$"
ONE_DOT_GROUP = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
DECIMAL_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"
IDENTIFIER = r"^(?:0\d+|[+-]?\d{19,}|\+\d{9,})$"  # the last: a telephone number
WITH_UNIT = (
    r"^([+-]?[\d.,][\d.,'\u{2019} \u{a0}\u{202f}]*?(?:[eE][+-]?\d+)?)[ \u{a0}\u{202f}]*([°ºµ℃℉%\p{Alphabetic}][\p{Alphabetic}/%_]*)$"
)
NUMBER_LIST = r"(?i)^\[\s*(?:(?:[+-]?[\d.]+(?:e[+-]?\d+)?|null|nan)\s*(?:,\s*(?:[+-]?[\d.]+(?:e[+-]?\d+)?|null|nan)\s*)*)?\]$"
ZONE = r"(?::\d\d(?:[.,]\d+)?)\s*(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
DATE_LIKE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
DAY_FIRST_DATE = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})"

NANOSECONDS = r"^\d{1,4}[-/.]\d{1,2}[-/.].*:\d\d[.,]\d{6}(\d+)"  # what follows the digits of microseconds
FINER = r"^\d{1,4}[-/.]\d{1,2}[-/.].*:\d\d[.,]\d{6}\d{0,2}[1-9]|^\d{16}(?:[1-9]\d\d|\d[1-9]\d|\d\d[1-9])$"
BEYOND_NANOSECONDS = r"^\d{1,4}[-/.]\d{1,2}[-/.].*:\d\d[.,]\d{9}\d*[1-9]"
MICROSECONDS = len("2014-01-01 00:00:00.000000")  # characters
NAIVE_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %I:%M:%S%.f %p",
    "%Y-%m-%d %I:%M %p",
)
FLOAT_DIGITS = 15  # a float has an equal for any whole number of so many digits, and gives back any decimal of so many
SOON_READ = 8192  # fewer texts than this are read sooner than the compiled reader of times is loaded
ZONED_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")
NAIVE = pl.Datetime("us")
UTC = pl.Datetime("us", "UTC")

# Microseconds of the years 1 to 9999, which are those of Python's dates: a time before or after them could not be handed on.
FIRST_TIME, LAST_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999

# Whole seconds, milliseconds, microseconds and nanoseconds since 1970, each between the years 1980 and 2100.
EPOCH_SECONDS = (315_532_800, 4_102_444_800)
EPOCH_MICROSECONDS = {1: 1_000_000.0, 1_000: 1_000.0, 1_000_000: 1.0, 1_000_000_000: 0.001}


def plain_numbers(text: pl.Series) -> pl.Series:
    """Read numbers with a decimal point and no grouping; `inf` is one, but neither is `nan` nor what no float can hold, such as `1e400`."""
    values = text.cast(pl.Float64, strict=False).fill_nan(None)
    infinite = values.is_infinite()
    return where(infinite & text.str.contains(r"\d"), None, values) if infinite.any() else values


def beyond_floats(cells: pl.Series) -> pl.Series:
    """Say which texts or integers are whole numbers that no float is equal to, such as identifiers of 17 digits."""
    whole = cells.cast(pl.Int128, strict=False)
    return (whole != whole.cast(pl.Float64).cast(pl.Int128, strict=False)).fill_null(value=False)


def rounded(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Say of which texts that are read as this type the value is not exactly the one that is written."""
    if isinstance(dtype, pl.Datetime):
        return texts.str.contains(BEYOND_NANOSECONDS).fill_null(value=False)
    if isinstance(dtype, pl.List):
        return inexact_lists(texts)
    if dtype.is_float():
        return inexact_figures(texts)
    return pl.repeat(False, len(texts), eager=True)


def inexact_figures(texts: pl.Series) -> pl.Series:
    """Say which texts are whole numbers that no float is equal to, also with grouped digits, of which so many have one meaning only."""
    long = (texts.str.len_bytes() > FLOAT_DIGITS).fill_null(value=False)
    return spread(beyond_floats(_plain(texts.filter(long).str.strip_chars(), ".", dot_groups=False)), long).fill_null(value=False)


def inexact_lists(texts: pl.Series) -> pl.Series:
    """Say which JSON lists hold a whole number that no float is equal to."""
    likely = texts.str.contains(r"\d{16}").fill_null(value=False)
    items = texts.filter(likely).str.strip_chars("[] \t\r\n").str.split(",").to_frame("item").with_row_index("list").explode("item")
    rows = items["list"].filter(beyond_floats(items["item"].str.strip_chars()))
    found = pl.int_range(int(likely.sum()), eager=True).is_in(rows.cast(pl.Int64).implode())
    return spread(found, likely).fill_null(value=False)


def finer(times: pl.Series, text: pl.Series) -> pl.Series:
    """Return times of microseconds in nanoseconds, with all digits of the texts that they were read from."""
    dtype = pl.Datetime("ns", times.dtype.time_zone)  # type: ignore[attr-defined]
    digits = text.str.extract(NANOSECONDS).str.slice(0, 3).str.pad_end(3, "0").cast(pl.Int64).fill_null(0)
    figures = text.cast(pl.Int64, strict=False)
    low, high = (second * 1_000_000_000 for second in EPOCH_SECONDS)
    whole = (times.cast(dtype, strict=False).to_physical() + digits).cast(dtype)
    return where(figures.is_between(low, high, closed="left").fill_null(value=False), figures.cast(dtype), whole)


def numbers(text: pl.Series, *, decimal: str = ".", dot_groups: bool = False) -> pl.Series:
    """Read numbers, also with grouped digits or a decimal comma.

    What has one possible meaning is read so. `1,234` is 1.234 if `decimal` is a comma and else 1234; `1.234` is 1234 if
    `dot_groups` and else 1.234.
    """
    result = plain_numbers(text)
    if dot_groups:
        result = where(text.str.contains(ONE_DOT_GROUP), None, result)
    return _on_nulls(result, text, lambda rest: plain_numbers(_plain(rest, decimal, dot_groups=dot_groups)))


def _plain(text: pl.Series, decimal: str, *, dot_groups: bool) -> pl.Series:
    """Rewrite number texts with a decimal point and no grouping."""
    cell = pl.col("cell")
    dots = DOT_GROUPS if not dot_groups else f"(?:{DOT_GROUPS}|{ONE_DOT_GROUP})"
    commas = COMMA_GROUPS if decimal == "," else f"(?:{COMMA_GROUPS}|{ONE_COMMA_GROUP})"
    frame = text.alias("cell").to_frame().with_columns(cell.str.replace(r"\u{2212}", "-"))
    frame = frame.with_columns(
        pl.when(cell.str.contains(SPACE_GROUPS)).then(cell.str.replace_all(r"[ '\u{2019}\u{a0}\u{202f}]", "")).otherwise(cell)
    )
    frame = frame.with_columns(
        pl.when(cell.str.contains(dots))
        .then(cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when(cell.str.contains(commas))
        .then(cell.str.replace_all(",", "", literal=True))
        .when(cell.str.contains(DECIMAL_COMMA))
        .then(cell.str.replace(",", ".", literal=True))
        .otherwise(cell)
    )
    return frame["cell"]


def split_units(text: pl.Series) -> pl.DataFrame:
    """Split `1.8 °C` into its `number` and its `unit` by the unit's chief name; null where there is no known unit."""
    parts = text.alias("cell").to_frame().select(pl.col("cell").str.extract_groups(WITH_UNIT)).unnest("cell")
    parts.columns = ["number", "unit"]
    return parts.with_columns(pl.col("unit").replace_strict(ALIASES, default=None, return_dtype=pl.String))


def booleans(text: pl.Series) -> pl.Series:
    """Read yes and no in their usual English forms."""
    words = text.str.to_lowercase()
    return where(words.is_in(TRUE_WORDS + FALSE_WORDS), words.is_in(TRUE_WORDS), None)


def has_zone(text: pl.Series) -> pl.Series:
    """Say which texts end with a time of day and a zone."""
    return text.str.contains(ZONE)


def day_month_ordered(text: pl.Series) -> pl.Series:
    """Say which texts begin with a date whose year comes last."""
    return text.str.contains(DAY_FIRST_DATE)


def stamps(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Read times in the commonest form by the fastest way: those without a zone, and those with one as UTC; null what is anything else."""
    if len(text) < SOON_READ:
        none = pl.Series(text.name, [None], dtype=pl.Int64).new_from_index(0, len(text))
        return none.cast(NAIVE), none.cast(UTC)
    times, kinds = read_stamps(text)
    values = pl.Series(text.name, times)
    kinds_there = (pl.Series(kinds == kind) for kind in (WITHOUT_ZONE, WITH_ZONE))
    naive, zoned = (values if there.all() else where(there, values, None) for there in kinds_there)
    return naive.cast(NAIVE), zoned.cast(UTC)


def iso_datetimes(text: pl.Series) -> pl.Series:
    """Read `YYYY-MM-DD HH:MM:SS`, also with a `T` and with a decimal fraction."""
    naive, zoned = stamps(text)
    return _on_nulls(naive, text, _iso_datetimes, apart_from=zoned)


def _iso_datetimes(text: pl.Series) -> pl.Series:
    seconds = _parse(text.str.slice(0, 19).str.replace("T", " ", literal=True), "%Y-%m-%d %H:%M:%S", NAIVE)
    tail = text.str.slice(19)
    if not (tail != "").any():
        return seconds
    digits = tail.str.extract(r"^\.(\d+)$").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
    fraction = where(tail == "", pl.Series([0]).new_from_index(0, len(text)), digits)
    return (seconds.cast(pl.Int64) + fraction).cast(NAIVE)


def of_calendar(times: pl.Series) -> pl.Series:
    """Return dates or times without those outside of the years 1 to 9999; themselves, where there are none."""
    of_time = times.dtype.time_unit if isinstance(times.dtype, pl.Datetime) else None
    if of_time == "ns":  # which all lie within
        return times
    unit = {"us": 1, "ms": 1_000, None: 86_400_000_000}[of_time]
    first, last, counts = FIRST_TIME // unit, LAST_TIME // unit, times.to_physical()
    if (counts.min() or 0) >= first and (counts.max() or 0) <= last:  # type: ignore[operator]
        return times
    return where(counts.is_between(first, last), times, None)


def naive_datetimes(text: pl.Series, *, day_first: bool) -> pl.Series:
    """Read dates and times without a zone; a date alone is its midnight."""
    naive, zoned = stamps(text)
    return _on_nulls(naive, text, lambda rest: _naive_datetimes(rest, day_first=day_first), apart_from=zoned)


def _naive_datetimes(text: pl.Series, *, day_first: bool) -> pl.Series:
    return _on_nulls(_iso_datetimes(text), text, lambda rest: _first_of(_iso(rest, day_first=day_first), NAIVE_FORMATS, NAIVE))


def zoned_datetimes(text: pl.Series, *, day_first: bool) -> pl.Series:
    """Read dates and times with a zone, as UTC."""
    naive, zoned = stamps(text)
    return _on_nulls(zoned, text, lambda rest: _zoned_datetimes(rest, day_first=day_first), apart_from=naive)


def _zoned_datetimes(text: pl.Series, *, day_first: bool) -> pl.Series:
    result = _parse(text, "%Y-%m-%dT%H:%M:%S%.f%#z", UTC)
    return _on_nulls(result, text, lambda rest: _first_of(_iso(rest, day_first=day_first), ZONED_FORMATS, UTC))


def epochs(values: pl.Series) -> pl.Series:
    """Read numbers as seconds, milli-, micro- or nanoseconds since 1970, whichever lies between 1980 and 2100."""
    value = pl.col("value")
    low, high = EPOCH_SECONDS
    microseconds = pl.coalesce(
        pl.when(value.is_between(low * per_second, high * per_second, closed="left")).then(value * factor)
        for per_second, factor in EPOCH_MICROSECONDS.items()
    )
    return values.alias("value").to_frame().select(microseconds.round(0).cast(pl.Int64).cast(UTC)).to_series()


def number_lists(text: pl.Series) -> pl.Series:
    """Read JSON lists of numbers; a null or NaN in a list stays null, and one with anything else that no float can hold is none."""
    inner = pl.col("cell").str.strip_chars("[] \t\r\n")
    words, item = inner.str.split(",").list.eval(pl.element().str.strip_chars()), pl.element()
    items = words.list.eval(item.cast(pl.Float64, strict=False).fill_nan(None))
    empty = pl.lit([], pl.List(pl.Float64))
    held = item.cast(pl.Float64, strict=False).is_finite().fill_null(value=False) | item.str.contains("(?i)^(?:null|nan)$")
    is_list = pl.col("cell").str.contains(NUMBER_LIST) & ((inner == "") | words.list.eval(held).list.all())
    frame = (
        text.alias("cell")
        .to_frame()
        .select(pl.when(is_list & (inner == "")).then(empty).when(is_list).then(items).otherwise(None).alias("cell"))
    )
    return frame["cell"]


def _iso(text: pl.Series, *, day_first: bool) -> pl.Series:
    """Rewrite dates and times as `YYYY-MM-DD HH:MM:SS.f+ZZ:ZZ`, as far as they go."""
    order = "${3}-${2}-${1}" if day_first else "${3}-${1}-${2}"
    return (
        text.str.replace(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", "${1}-${2}-${3}")
        .str.replace(DAY_FIRST_DATE, order)
        .str.replace(r"(\d)(?:[Tt]|,?\s+)(\d)", "${1} ${2}")
        .str.replace(r"(:\d\d),(\d+)", "${1}.${2}")
        .str.replace(r"(\d)\s*([AaPp])\.?[Mm]\.?$", "${1} ${2}M")
        .str.replace(r"(\d)\s*(?:[Zz]|UTC|GMT)$", "${1}Z")
        .str.replace(r"(:\d\d(?:\.\d+)?)\s+([+-]\d)", "${1}${2}")
    )


def _first_of(text: pl.Series, formats: Sequence[str], dtype: pl.Datetime) -> pl.Series:
    result = _parse(text, formats[0], dtype)
    for form in formats[1:]:
        result = _on_nulls(result, text, lambda rest, form=form: _parse(rest, form, dtype))  # type: ignore[misc]
    return result


def _parse(text: pl.Series, form: str, dtype: pl.Datetime) -> pl.Series:
    if form == "%Y-%m-%d":
        return of_calendar(text.str.to_date(form, strict=False).cast(dtype))
    return of_calendar(text.str.to_datetime(form, time_unit="us", time_zone=dtype.time_zone, strict=False))


def where(mask: pl.Series, chosen: pl.Series | None, other: pl.Series | None) -> pl.Series:
    """Return the cells of one series where a mask holds and those of the other elsewhere, None meaning nulls."""
    series = chosen if chosen is not None else other
    assert series is not None
    frame = pl.DataFrame([mask.alias("mask"), *(one.alias(name) for one, name in ((chosen, "1"), (other, "0")) if one is not None)])
    first, second = (pl.lit(None) if one is None else pl.col(name) for one, name in ((chosen, "1"), (other, "0")))
    return frame.select(pl.when("mask").then(first).otherwise(second).alias(series.name)).to_series()


def spread(values: pl.Series, mask: pl.Series) -> pl.Series:
    """Put values in the places where a mask holds, nulls elsewhere."""
    if len(values) == len(mask):
        return values
    places = where(mask, mask.cast(pl.UInt32).cum_sum() - 1, None)
    return values.gather(places)


def _on_nulls(
    result: pl.Series, text: pl.Series, parse: Callable[[pl.Series], pl.Series], *, apart_from: pl.Series | None = None
) -> pl.Series:
    """Fill the nulls of a result with what another parser makes of their texts, but for those that have a value in `apart_from`."""
    mask = result.is_null() if apart_from is None else result.is_null() & apart_from.is_null()
    if not mask.any():
        return result
    return where(mask, spread(parse(text.filter(mask)), mask), result)


def distinct(texts: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the distinct texts in the order in which they come up, null among them, and which of these each cell is."""
    physical = texts.cast(pl.Categorical(pl.Categories.random())).to_physical()
    codes = physical.cast(pl.Int64).fill_null(-1).to_numpy() + 1
    first = np.full(int(codes.max(initial=0)) + 1, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several rows the last one written is the first one there is
    rows = np.sort(first[first >= 0])
    numbers = np.empty(len(first), np.int64)
    numbers[codes[rows]] = np.arange(len(rows))
    return texts.gather(rows), np.asarray(numbers[codes])
