"""Stored types: what becomes of columns that files store as numbers, times and structures, of one type or of several."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from test_formats import table

from tamis.sources.options import FormatOptions
from tamis.sources.profile import ColumnProfile, profile_numbers
from tamis.sources.schema import TableGroup, group_tables
from tamis.sources.standardise import Standardised, standardise


def native(*columns: pl.Series, options: FormatOptions | None = None) -> tuple[TableGroup, list[Standardised]]:
    """Unify one column that several files store with different types."""
    options = options or FormatOptions()
    tables = [table(f"{number}.parquet", value=column) for number, column in enumerate(columns)]
    (group,) = group_tables([staged for staged, _ in tables], options)
    return group, [standardise(frame, staged.record, group, options) for staged, frame in tables]


def test_stored_types_of_several_files_become_one() -> None:
    group, results = native(
        pl.Series([1, -9999], dtype=pl.Int32), pl.Series([0.5, math.nan], dtype=pl.Float32), pl.Series(["2,5", "x"] + ["1"] * 30)
    )
    assert group.columns[0].dtype == pl.Float64
    assert group.columns[0].kind == "number"
    assert [result.frame["value"].to_list()[:2] for result in results] == [[1.0, None], [0.5, None], [2.5, None]]
    assert [dict(result.nulls) for result in results] == [
        {("value", "code"): 1},
        {("value", "nan"): 1},
        {("value", "unparsed"): 1},
    ]


def test_stored_numbers_with_and_without_sign_become_signed_and_text_where_many_are_too_large() -> None:
    few = [2**64 - 1, *range(200)]
    for cells, kind, kept in ((few, pl.Int64, [None, *range(200)]), ([2**64 - 1, 7], pl.String, [str(2**64 - 1), "7"])):
        unsigned = pl.Series("value", cells, dtype=pl.UInt64)
        tables = [table("a.parquet", value=unsigned), table("b.parquet", value=pl.Series([-1], dtype=pl.Int64))]
        profiles = (profile_numbers(unsigned) + ColumnProfile("value", unsigned.dtype, Counter(total=len(cells))),)
        (group,) = group_tables([replace(tables[0][0], profiles=profiles), tables[1][0]], FormatOptions())
        result = standardise(unsigned.to_frame(), "a.parquet", group, FormatOptions())
        assert group.columns[0].dtype == kind
        assert result.frame["value"].to_list() == kept
        assert result.unparsed["value"].to_list() == ([str(2**64 - 1)] if kind == pl.Int64 else [])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pl.Series([timedelta(seconds=1), None]), pl.Series([5]), [["PT1S", None], ["5"]]),
        (pl.Series([date(2014, 1, 1)]), pl.Series([5]), [["2014-01-01"], ["5"]]),
        (pl.Series([time(1, 2, 3, 4)]), pl.Series([5]), [["01:02:03.000004"], ["5"]]),
        (pl.Series([2**31 - 1, 0], dtype=pl.Int32).cast(pl.Date), pl.Series(["x"]), [["2147483647", "1970-01-01"], ["x"]]),
        (pl.Series([[2**64 - 1]], dtype=pl.List(pl.UInt64)), pl.Series([[-1]]), [["[18446744073709551615]"], ["[-1]"]]),
        (
            pl.Series([{"a": 2**64 - 1}], dtype=pl.Struct({"a": pl.UInt64})),
            pl.Series([{"a": -1}]),
            [["{'a': 18446744073709551615}"], ["{'a': -1}"]],
        ),
    ],
)
def test_stored_types_of_different_kinds_become_text_that_loses_nothing(
    one: pl.Series, other: pl.Series, expected: list[list[str | None]]
) -> None:
    group, results = native(one, other)
    assert group.columns[0].dtype == pl.String
    assert [result.frame["value"].to_list() for result in results] == expected
    assert "it is read as text" in group.notes[0]


@pytest.mark.parametrize("kind", [pl.Date(), pl.Datetime("us"), pl.Datetime("ms", "Europe/Paris")])
def test_stored_times_outside_of_the_years_1_to_9999_are_told_with_their_figures(kind: pl.DataType) -> None:
    beyond = 2**31 - 1 if kind == pl.Date else 2**62
    column = pl.Series([beyond, 0, None], dtype=pl.Int64).cast(pl.Int32 if kind == pl.Date else pl.Int64).cast(kind)
    _, (result,) = native(column)
    assert result.frame["value"].is_null().to_list() == [True, False, True]
    assert result.unparsed.rows() == [(0, "value", str(beyond))]


def test_one_stored_type_is_kept() -> None:
    for column in (
        pl.Series([1.5, None], dtype=pl.Float32),
        pl.Series([1], dtype=pl.UInt8),
        pl.Series([date(2014, 1, 1)]),
        pl.Series([[1.0]]),
    ):
        group, (result,) = native(column)
        assert result.frame["value"].to_list() == column.to_list()
        assert group.columns[0].dtype == column.dtype


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series([-999.9, 1e20, -9999.0, 2.0, math.inf, -math.inf], dtype=pl.Float32), [None, None, None, 2.0, math.inf, -math.inf]),
        (pl.Series([-9999.0, 2.0, math.inf, -math.inf], dtype=pl.Float16), [None, 2.0, math.inf, -math.inf]),
        (pl.Series([-999.0, None, math.nan], dtype=pl.Float64), [None, None, None]),
        (pl.Series([math.nan, math.nan], dtype=pl.Float64), [None, None]),
        (pl.Series([None, None], dtype=pl.Float32), [None, None]),
        (pl.Series([None, None], dtype=pl.Int32), [None, None]),
        (pl.Series([-9999, -999, 5, None], dtype=pl.Int16), [None, None, 5, None]),
        (pl.Series([-99, 127], dtype=pl.Int8), [-99, 127]),
    ],
)
def test_codes_for_no_value_in_stored_columns(column: pl.Series, expected: list[float | None]) -> None:
    first = column.clear().extend(pl.Series([1, 2, 3], dtype=column.dtype))  # which makes it a column of numbers
    _, (_, result) = native(first, column)
    assert result.frame["value"].to_list() == expected
    assert result.nulls.get(("value", "null"), 0) == column.null_count()
    assert sum(result.nulls.values()) == expected.count(None)


def test_stored_times_with_and_without_zone_become_utc() -> None:
    naive = pl.Series([datetime(2014, 1, 1, 1)], dtype=pl.Datetime("ms"))
    zoned = pl.Series([datetime(2014, 1, 1)]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    _, results = native(naive, zoned, pl.Series([date(2014, 1, 1)]), options=FormatOptions(timezone="Europe/Paris"))
    first, second, third = (result.frame["value"][0] for result in results)
    assert first == second == datetime(2014, 1, 1, tzinfo=UTC)
    assert third == datetime(2013, 12, 31, 23, tzinfo=UTC)


def test_kinds_that_disagree_between_files_become_text_with_a_note() -> None:
    group, (one, two) = native(pl.Series([1, 2]), pl.Series(["a", "b"]))
    assert (one.frame["value"].to_list(), two.frame["value"].to_list()) == (["1", "2"], ["a", "b"])
    assert "read as text" in group.notes[0]
