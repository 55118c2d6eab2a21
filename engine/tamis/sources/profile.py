"""Count how the texts of a column can be read; counts of parts add up to the counts of the whole."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tamis.sources import parsing
from tamis.sources.exact import inexact

if TYPE_CHECKING:
    from collections.abc import Collection

# These words stand for "no value" wherever a number, a date or a truth value is expected.
MISSING_WORDS = (
    "na", "n/a", "n.a.", "nan", "null", "none", "nil", "-", "--", "---", "?", "#n/a", "#na", "<na>", "(null)",
    "missing", "undefined", "#value!", "#div/0!",
)  # fmt: skip
TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)  # that cells with words are stored as
PROSE = 256  # bytes: a longer text is no number, time, word or unit; only a list of numbers may be as long
STAMP = re.compile(r"\d{4}-\d\d-\d\d.\d\d:")
TIME_NAME = re.compile(r"time|date|stamp|epoch|^ts$|_ts$|^ts_|^t$|_at$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """How many cells of a column can be read in which way.

    `dtype` is the stored type; only text has other counts than `total`, but for numbers that another type would lose (`inexact`, and
    `unsigned`, beyond Int64). The counts `total`, `null` and `blank` are of all cells; each of the rest is one of `missing` (a word for
    no value), `number`, `grouped` (a number with grouped digits or a decimal comma), `boolean`, `datetime`, `list` and `other`. A
    number with a unit counts as `number` or `grouped` by its number and under `unit:<name>` too.

    Evidence for decisions: `characters` (of what is not blank), `integer`, `identifier` (`007`, `+491234567`, 19 digits), `inexact`
    (holds a number that a float would round), `zero_one`, `epoch`, `finer` (a time with nanoseconds), `fraction` (a point and not three
    digits behind it), `dot_group` (`1.234`), `comma_group` (`1,234`), `dots` (`1.234.567` or `1.234,5`), `commas` (`1,234,567` or
    `1,234.5`), `comma` (`1,5`), `zoned`, `day_first` and `month_first` (dates with only that reading), `either_first`.

    `unit` is that of all numbers which carry none, as the head of the file says; empty where it does not.
    """

    name: str
    dtype: pl.DataType
    counts: Counter[str]
    unit: str = ""

    def __add__(self, other: ColumnProfile) -> ColumnProfile:
        return ColumnProfile(self.name, self.dtype, self.counts + other.counts, self.unit)

    @property
    def units(self) -> dict[str, int]:
        """How many cells have which unit."""
        units = Counter({key.removeprefix("unit:"): count for key, count in self.counts.items() if key.startswith("unit:")})
        if self.unit:
            units[self.unit] += self.counts["number"] + self.counts["grouped"] - units.total()
        return dict(+units)


def profile_column(name: str, column: pl.Series, missing_words: Collection[str] = MISSING_WORDS) -> ColumnProfile:
    """Profile a column of text; `missing_words` are in lower case."""
    counts = Counter(total=len(column), null=column.null_count())
    if counts["null"] == len(column):  # most columns of a part of a sparse table
        return ColumnProfile(name, pl.String(), +counts)
    text, prose = _without_prose(column.drop_nulls())
    is_number = parsing.plain_numbers(text).is_not_null()
    figures, rest = text.filter(is_number), text.filter(~is_number).str.strip_chars()
    filled = rest.filter(rest != "")
    counts["blank"] = len(rest) - len(filled)
    is_number = parsing.plain_numbers(filled).is_not_null()  # now that white space is gone
    figures.append(filled.filter(is_number))
    counts["characters"] = sum(int(cells.str.len_chars().sum()) for cells in (figures, filled.filter(~is_number), prose))
    if len(figures):
        counts += _figures(figures, name)
    texts = filled.filter(~is_number)
    counts["finer"] += _sum(texts.filter(texts.str.len_bytes() > parsing.MICROSECONDS).str.contains(parsing.FINER))
    if not any(STAMP.match(word) for word in missing_words):
        naive, zoned = (times.is_not_null() for times in parsing.stamps(texts))
        counts += Counter(datetime=_sum(naive) + _sum(zoned), zoned=_sum(zoned))
        texts = texts.filter(~naive & ~zoned)
    # What is neither plain number nor time often repeats, and is slower to look at: each distinct text is looked at once.
    cells = texts.alias("cell").value_counts(sort=False, name="times")
    if len(cells):
        counts += _words(cells, missing_words)
    counts["other"] += len(prose)
    return ColumnProfile(name, pl.String(), counts)


def profile_numbers(column: pl.Series) -> ColumnProfile:
    """Profile a column of stored numbers: how many cells a float would round, and Int64 not hold. Their number is known to the caller."""
    beyond = column.dtype == pl.UInt64 or column.dtype.is_decimal()
    unsigned = column.cast(pl.Int64, strict=False).null_count() - column.null_count() if beyond else 0
    return ColumnProfile(column.name, column.dtype, +Counter(inexact=_sum(inexact(column)), unsigned=unsigned))


def _without_prose(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the texts that may be more than words, and the others, which are not looked at any further: most of a corpus of documents."""
    long = text.str.len_bytes() > PROSE
    if not long.any():
        return text, text.clear()
    stripped = text.filter(long).str.strip_chars()
    is_prose = (stripped.str.len_bytes() > PROSE) & ~stripped.str.starts_with("[")
    return text.filter(~long).append(stripped.filter(~is_prose)), stripped.filter(is_prose)


def _figures(text: pl.Series, name: str) -> Counter[str]:
    counts = Counter(
        number=len(text),
        integer=len(text) - text.cast(pl.Int64, strict=False).null_count(),
        identifier=_sum(
            text.filter((text.str.len_bytes() > 18) | text.str.starts_with("0") | text.str.starts_with("+")).str.contains(
                parsing.IDENTIFIER
            )
        ),
        inexact=_sum(parsing.beyond_floats(text.filter(text.str.len_bytes() > 15))),
        zero_one=_sum(text.is_in(["0", "1"])),
    )
    if counts["integer"] < len(text):
        counts["dot_group"] = _sum(text.str.contains(parsing.ONE_DOT_GROUP))
        counts["fraction"] = len(text) - counts["integer"] - counts["dot_group"]
    if TIME_NAME.search(name):
        counts["epoch"] = len(text) - parsing.epochs(parsing.plain_numbers(text)).null_count()
        counts["finer"] = _sum(text.str.contains(parsing.FINER))
    return +counts


def _words(cells: pl.DataFrame, missing_words: Collection[str]) -> Counter[str]:
    """Count texts that are no plain numbers, each distinct one standing for as many cells as it has `times`."""
    counts: Counter[str] = Counter()

    def take(name: str, is_such: pl.Series) -> None:
        nonlocal cells
        counts[name] += int(cells["times"].filter(is_such).sum())
        cells = cells.filter(~is_such)

    take("missing", cells["cell"].str.to_lowercase().is_in(list(missing_words)))
    take("datetime", _count_datetimes(cells, counts))
    take("boolean", parsing.booleans(cells["cell"]).is_not_null())
    is_number, is_plain = _count_numbers(cells, counts)
    counts["number"] += int(cells["times"].filter(is_number & is_plain).sum())
    take("grouped", is_number)
    counts["grouped"] -= counts["number"]
    is_list = cells["cell"].str.contains(parsing.NUMBER_LIST)
    counts["inexact"] += int(cells["times"].filter(is_list).filter(parsing.inexact_lists(cells["cell"].filter(is_list))).sum())
    take("list", is_list)
    counts["other"] = int(cells["times"].sum())
    return +counts


def _count_datetimes(cells: pl.DataFrame, counts: Counter[str]) -> pl.Series:
    """Count the evidence of dates, and say which cells are any."""
    text, times = cells["cell"], cells["times"]
    likely = text.str.contains(parsing.DATE_LIKE)
    if not likely.any():
        return likely
    text, times = text.filter(likely), times.filter(likely)
    zoned, ordered = parsing.has_zone(text), parsing.day_month_ordered(text)
    day = month = _are_datetimes(text, zoned, day_first=True)
    if ordered.any():
        month = _are_datetimes(text, zoned, day_first=False)
    for name, such in (
        ("zoned", zoned & (day | month)),
        ("day_first", ordered & day & ~month),
        ("month_first", ordered & month & ~day),
        ("either_first", ordered & month & day),
    ):
        counts[name] += int(times.filter(such).sum())
    return parsing.spread(day | month, likely).fill_null(value=False)


def _are_datetimes(text: pl.Series, zoned: pl.Series, *, day_first: bool) -> pl.Series:
    with_zone = parsing.zoned_datetimes(text.filter(zoned), day_first=day_first).is_not_null()
    without = parsing.naive_datetimes(text.filter(~zoned), day_first=day_first).is_not_null()
    return parsing.where(zoned, parsing.spread(with_zone, zoned), parsing.spread(without, ~zoned))


def _count_numbers(cells: pl.DataFrame, counts: Counter[str]) -> tuple[pl.Series, pl.Series]:
    """Count the evidence of numbers, and say which cells are numbers and which of them plain but for a unit."""
    parts = parsing.split_units(cells["cell"])
    text = parts.select(pl.when(pl.col("unit").is_null()).then(cells["cell"]).otherwise("number")).to_series()
    text = text.str.strip_chars()
    plain = parsing.plain_numbers(text).is_not_null()
    is_number = parsing.numbers(text).is_not_null()
    times = cells["times"]
    counts["inexact"] += int(times.filter(is_number & parsing.inexact_figures(text)).sum())
    for name, pattern in (
        ("comma_group", parsing.ONE_COMMA_GROUP),
        ("dot_group", parsing.ONE_DOT_GROUP),
        ("commas", parsing.COMMA_GROUPS),
        ("dots", parsing.DOT_GROUPS),
    ):
        counts[name] += int(times.filter(text.str.contains(pattern)).sum())
    counts["fraction"] += int(times.filter(plain & text.str.contains(".", literal=True) & ~text.str.contains(parsing.ONE_DOT_GROUP)).sum())
    counts["comma"] += int(times.filter(text.str.contains(parsing.DECIMAL_COMMA) & ~text.str.contains(parsing.ONE_COMMA_GROUP)).sum())
    for unit, count in (
        pl.DataFrame({"unit": parts["unit"], "times": times})
        .filter(is_number & parts["unit"].is_not_null())
        .group_by("unit")
        .agg(pl.col("times").sum())
        .sort("unit")
        .iter_rows()
    ):
        counts[f"unit:{unit}"] += count
    return is_number, plain


def _sum(mask: pl.Series) -> int:
    return int(mask.sum())
