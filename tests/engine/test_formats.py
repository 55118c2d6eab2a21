"""Formats: what every spelling of a value becomes, and why a cell is null."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tamis.sources import parsing
from tamis.sources.options import FormatOptions
from tamis.sources.profile import ColumnProfile, profile_column
from tamis.sources.schema import TableGroup, group_tables
from tamis.sources.staging import Staged
from tamis.sources.standardise import Standardised, standardise
from tamis.sources.units import UNITS, conversion


def table(record: str, **columns: list[Any] | pl.Series) -> tuple[Staged, pl.DataFrame]:
    """Return what staging returns for a table, and its rows."""
    frame = pl.DataFrame(columns)
    profiles = [
        profile_column(series.name, series) if series.dtype == pl.String else ColumnProfile(series.name, series.dtype, Counter())
        for series in frame
    ]
    return Staged(record, None, len(frame), (len(frame),), 0, tuple(profiles), 0, ()), frame


def read(cells: list[Any], options: FormatOptions | None = None, *, name: str = "value") -> tuple[TableGroup, Standardised]:
    """Decide what a column of texts holds and read it."""
    options = options or FormatOptions()
    staged, frame = table("t.csv", **{name: pl.Series(cells, dtype=pl.String)})
    (group,) = group_tables([staged], options)
    return group, standardise(frame, "t.csv", group, options)


def values(cells: list[Any], options: FormatOptions | None = None, *, name: str = "value") -> list[Any]:
    """Read a column of texts in which every cell is a value."""
    _, result = read(cells, options, name=name)
    assert result.nulls == {}
    return result.frame[name].to_list()


FORTY = [str(number) for number in range(40)]


@pytest.mark.parametrize("beyond", ["1e400", "-1e400", " 1e999", "9" * 400, "1e400 m"])
@pytest.mark.parametrize(
    "others", [FORTY, [f"{cell}.5" for cell in FORTY], [f"{cell},5" for cell in FORTY], [f"{cell} m" for cell in FORTY]]
)
def test_numbers_that_no_float_can_hold_are_told_and_no_infinities(beyond: str, others: list[str]) -> None:
    group, result = read([*others, beyond])
    assert group.columns[0].kind == "number"
    assert result.frame["value"].to_list()[-1] is None
    assert result.unparsed.rows() == [(40, "value", beyond)]


@pytest.mark.parametrize("beyond", ["[1, 1e400]", "[1.2.3, 4]"])
def test_lists_with_a_number_that_cannot_be_held_are_told(beyond: str) -> None:
    _, result = read([*(f"[{cell}, nan, null]" for cell in FORTY), beyond])
    assert result.frame["value"].to_list() == [*([float(cell), None, None] for cell in FORTY), None]
    assert result.unparsed.rows() == [(40, "value", beyond)]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["1", " 2 ", "-3", "+4"], pl.Int64, [1, 2, -3, 4]),
        (["1", "2.5", ".5", "1e3", "-0"], pl.Float64, [1.0, 2.5, 0.5, 1000.0, -0.0]),
        (["1,5", "2,25", "-0,5"], pl.Float64, [1.5, 2.25, -0.5]),
        (["1.234,5", "2.000.000"], pl.Float64, [1234.5, 2_000_000.0]),
        (["1,234.5", "2,000,000"], pl.Float64, [1234.5, 2_000_000.0]),
        (["1 234,5", "2\u00a0000", "3'000.5", "\u22124"], pl.Float64, [1234.5, 2000.0, 3000.5, -4.0]),
        (["inf", "-Infinity", "1"], pl.Float64, [math.inf, -math.inf, 1.0]),
        (["yes", "No", "TRUE", "f", "1", "0"], pl.Boolean, [True, False, True, False, True, False]),
        (["[1, 2.5]", "[]", "[null, -1e3]"], pl.List(pl.Float64), [[1.0, 2.5], [], [None, -1000.0]]),
        (["00123", "04567", "12345"], pl.String, ["00123", "04567", "12345"]),
        (["1234567890123456789012", "1"], pl.String, ["1234567890123456789012", "1"]),
        (["12345678901234567", "12345678901234568"], pl.Int64, [12345678901234567, 12345678901234568]),
        (["12345678901234567", "12345678901234568", "1.5"], pl.String, ["12345678901234567", "12345678901234568", "1.5"]),
        (["100000000000000000", "1.5"], pl.Float64, [1e17, 1.5]),
        (["None", "NA", "-"], pl.String, ["None", "NA", "-"]),
    ],
)
def test_spellings_of_values(cells: list[str], kind: pl.DataType, expected: list[Any]) -> None:
    if expected[0] == "None":
        cells, expected = [*cells, "a", "b"], [*expected, "a", "b"]
    assert values(cells) == expected
    assert read(cells)[0].columns[0].dtype == kind


@pytest.mark.parametrize(
    ("others", "meaning"),
    [(["2,5"], 1.234), (["1.000.000"], 1.234), (["2,000,000"], 1234.0), (["2.5"], 1234.0), ([], 1234.0)],
)
def test_what_a_comma_means_is_told_by_the_other_cells(others: list[str], meaning: float) -> None:
    group, result = read(["1,234", *others])
    assert result.frame["value"][0] == meaning
    assert bool(group.notes) is (others == [])


def test_a_point_groups_digits_where_the_comma_is_the_decimal_mark() -> None:
    assert values(["1.234", "0,5"]) == [1234.0, 0.5]
    assert values(["1.234", "0,5", "0,25", "2.5"]) == [1.234, 0.5, 0.25, 2.5]
    assert values(["1.234", "1,234"], FormatOptions(decimal=",")) == [1234.0, 1.234]
    assert values(["1.234", "1,234"], FormatOptions(decimal=".")) == [1.234, 1234.0]


ISO = [
    ("2014-06-20 13:00:00.000", datetime(2014, 6, 20, 13)),
    ("2014-06-20T13:00:00.25", datetime(2014, 6, 20, 13, 0, 0, 250_000)),
    ("2014-06-20 13:00:00,5", datetime(2014, 6, 20, 13, 0, 0, 500_000)),
    ("2014-06-20 13:00", datetime(2014, 6, 20, 13)),
    ("2014-06-20", datetime(2014, 6, 20)),
    ("2014/6/2 1:00:00", datetime(2014, 6, 2, 1)),
    ("20.06.2014 13:00", datetime(2014, 6, 20, 13)),
    ("20/06/2014", datetime(2014, 6, 20)),
    ("20-6-2014 1:02:03 pm", datetime(2014, 6, 20, 13, 2, 3)),
    ("20/06/2014 12:30 AM", datetime(2014, 6, 20, 0, 30)),
]


def test_dates_and_times_of_many_forms_in_one_column() -> None:
    group, result = read([cell for cell, _ in ISO])
    assert group.columns[0].dtype == pl.Datetime("us")
    assert result.frame["value"].to_list() == [expected for _, expected in ISO]
    assert result.nulls == {}


def test_times_with_and_without_zones_and_epochs_become_utc() -> None:
    cells = [
        "2014-01-01T01:00:00+01:00",
        "2014-01-01 00:00:00Z",
        "2014-01-01 00:00 UTC",
        "2013-12-31T19:00:00.0-0500",
        "2014-01-01 01:00:00",
    ]
    cells += ["2014-01-01 01:00:00 +01", "1388534400", "1388534400000", "1388534400000000", "1388534400000000000", "1388534400.0"]
    group, result = read(cells, FormatOptions(timezone="Europe/Paris"), name="timestamp")
    assert group.columns[0].dtype == pl.Datetime("us", "UTC")
    assert result.frame["timestamp"].to_list() == [datetime(2014, 1, 1, tzinfo=UTC)] * len(cells)


@pytest.mark.parametrize(
    ("good", "beyond", "zone"),
    [
        ("2014-01-01T05:00:00", ["0000-01-01T00:00:00", "-001-01-01 00:00:00", "0000-12-31"], "UTC"),
        ("2014-01-01T05:00:00Z", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"], "UTC"),
        ("2014-01-01T05:00:00Z", ["0001-01-01T00:00:00"], "Asia/Tokyo"),
    ],
)
def test_times_outside_of_the_years_1_to_9999_cannot_be_parsed(good: str, beyond: list[str], zone: str) -> None:
    _, result = read([*beyond, *[good] * 80], FormatOptions(timezone=zone))
    assert result.frame["value"].null_count() == len(beyond)
    assert result.unparsed["value"].to_list() == beyond


def test_figures_are_epochs_only_in_columns_named_for_time() -> None:
    assert values(["1388534400", "1388534401"], name="count") == [1388534400, 1388534401]


def test_the_doubled_and_the_skipped_hour_of_a_zone() -> None:
    cells = ["2014-10-26 02:30:00", "2014-03-30 02:30:00", "2014-01-01T00:00:00Z", *["2014-01-01 00:00:00"] * 30]
    _, result = read(cells, FormatOptions(timezone="Europe/Paris"))
    assert result.frame["value"].to_list()[:2] == [datetime(2014, 10, 26, 0, 30, tzinfo=UTC), None]
    assert result.unparsed.rows() == [(1, "value", "2014-03-30 02:30:00")]


@pytest.mark.parametrize(
    ("others", "expected"), [(["13/01/2014"], date(2014, 4, 3)), (["01/13/2014"], date(2014, 3, 4)), ([], date(2014, 4, 3))]
)
def test_day_and_month_are_told_by_the_other_dates(others: list[str], expected: date) -> None:
    group, result = read(["03/04/2014", *others])
    assert result.frame["value"][0].date() == expected
    assert bool(group.notes) is (others == [])


def test_day_and_month_and_decimal_marks_are_told_file_by_file() -> None:
    options = FormatOptions()
    files = {
        "x/a.csv": {"when": ["13/01/2014", "03/04/2014"], "v": ["1,234", "0,5"]},
        "x/b.csv": {"V": ["1,234", "0.5"], " When": ["01/13/2014", "03/04/2014"]},
    }
    tables = [table(record, **columns) for record, columns in files.items()]
    (group,) = group_tables([staged for staged, _ in tables], options)
    one, two = (standardise(frame, staged.record, group, options).frame for staged, frame in tables)
    assert one.schema == two.schema == {"when": pl.Datetime("us"), "v": pl.Float64}
    assert (one.row(1), one.row(0)[1]) == ((datetime(2014, 4, 3), 0.5), 1.234)
    assert (two.row(1), two.row(0)[1]) == ((datetime(2014, 3, 4), 0.5), 1234.0)
    assert (group.name, group.files) == ("x", ("x/a.csv", "x/b.csv"))
    assert pickle.loads(pickle.dumps(group)) == group


def test_units_are_brought_to_the_one_that_most_cells_have() -> None:
    group, result = read(["20 °C", "21,5°C", "68 °F", "300 K", "22", "5 kg", *["20 C"] * 20], FormatOptions(min_share=0.9))
    assert group.columns[0].unit == "°C"
    assert result.frame["value"].to_list()[:6] == [20.0, 21.5, 20.0, 26.85, 22.0, None]
    assert result.unparsed.rows() == [(5, "value", "5 kg")]
    assert any("without a unit" in note for note in group.notes)


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("km/h", "m/s", 36.0, 10.0),
        ("hPa", "kPa", 1013.25, 101.325),
        ("°C", "K", 0.0, 273.15),
        ("in", "mm", 1.0, 25.4),
        ("kn", "km/h", 1.0, 1.852),
    ],
)
def test_conversions_of_round_values_are_exact(source: str, target: str, value: float, expected: float) -> None:
    affine = conversion(source, target)
    assert affine is not None
    assert (value * affine.factor + affine.shift) / affine.divisor == expected


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)), st.floats(-1e6, 1e6))
@settings(deadline=None, max_examples=50)
def test_conversions_can_be_undone(source: str, target: str, value: float) -> None:
    there, back = conversion(source, target), conversion(target, source)
    if there is None or back is None:
        assert UNITS[source].quantity != UNITS[target].quantity
        return
    moved = (value * there.factor + there.shift) / there.divisor
    assert (moved * back.factor + back.shift) / back.divisor == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_every_null_has_its_reason() -> None:
    cells = [*FORTY, "2.5", "", "  ", "NULL", "n/a", "-", None, "-9999", "-9999.0", "nan", "oops"]
    group, result = read(cells)
    assert group.columns[0].kind == "number"
    assert result.frame["value"].null_count() == 10
    assert result.nulls == {
        ("value", "null"): 1,
        ("value", "blank"): 2,
        ("value", "word"): 4,
        ("value", "code"): 2,
        ("value", "unparsed"): 1,
    }
    assert result.unparsed.rows() == [(50, "value", "oops")]


def test_text_loses_only_words_that_cannot_be_text() -> None:
    _, result = read(["Null", "NULL", "NaN", "nan", "", " ", " a ", "Inf", None, "None"])
    assert result.frame["value"].to_list() == ["Null", None, None, "nan", None, None, " a ", "Inf", None, "None"]
    assert result.nulls == {("value", "null"): 1, ("value", "word"): 2, ("value", "blank"): 2}


def test_missing_words_and_codes_can_be_chosen() -> None:
    options = FormatOptions(missing_words=("KEIN",), missing_codes=(7.0,))
    staged, _ = table("t.csv", value=["1", "7", "kein", "-9999"])
    profile = profile_column("value", pl.Series(["1", "7", "kein", "-9999"]), frozenset({"kein"}))
    (group,) = group_tables([Staged("t.csv", None, 4, (4,), 0, (profile,), 0, ())], options)
    result = standardise(pl.DataFrame({"value": ["1", "7", "kein", "-9999"]}), "t.csv", group, options)
    assert result.frame["value"].to_list() == [1, None, None, -9999]
    assert staged.columns == ("value",)


def test_a_missing_word_wins_over_what_it_could_be_read_as() -> None:
    options = FormatOptions(missing_words=("1900-01-01 00:00:00", "77", "no"))
    assert read(["1900-01-01 00:00:00", "2014-01-01 00:00:00"], options)[1].frame["value"].to_list() == [None, datetime(2014, 1, 1)]
    assert read(["77", "78", "77.5"], options)[1].frame["value"].to_list() == [None, 78.0, 77.5]
    assert read(["yes", "no"], options)[1].nulls == {("value", "word"): 1}


def test_fewer_values_than_the_share_leave_a_column_text() -> None:
    assert read([*FORTY[:18], "x", "y"])[0].columns[0].kind == "text"
    assert read([*FORTY[:38], "x", "y"])[0].columns[0].kind == "number"


@pytest.mark.parametrize("cells", [[], [""], ["NULL", None]])
def test_a_column_without_values_is_text(cells: list[str | None]) -> None:
    group, result = read(cells)
    assert group.columns[0].kind == "text"
    assert result.frame["value"].null_count() == len(cells)


def test_files_with_other_columns_are_other_groups_with_names_of_their_own() -> None:
    options = FormatOptions()
    records = {"a/x.csv": "v", "b/x.csv": "w", "c/deep/1.csv": "u", "c/other/2.csv": "u", "p.csv": "t", "q.csv": "t"}
    groups = group_tables([table(record, **{column: ["1"]})[0] for record, column in records.items()], options)
    assert {group.name: group.files for group in groups} == {
        "x": ("a/x.csv",),
        "x-2": ("b/x.csv",),
        "c": ("c/deep/1.csv", "c/other/2.csv"),
        "tables": ("p.csv", "q.csv"),
    }


def test_columns_alike_but_for_case_are_told_apart_by_their_order() -> None:
    options = FormatOptions()
    staged, frame = table("t.csv", a=["1"], A=["2"])
    (group,) = group_tables([staged], options)
    assert standardise(frame, "t.csv", group, options).frame.row(0) == (1, 2)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_numbers_come_back_as_they_were_written(numbers: list[float]) -> None:
    text = pl.Series([repr(number) for number in numbers])
    assert parsing.numbers(text).to_list() == numbers
    commas = pl.Series([repr(number).replace(".", ",") for number in numbers])
    assert parsing.numbers(commas, decimal=",").to_list() == numbers


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20), st.sampled_from([",", ".", " ", "'", "\u00a0", "\u202f"]))
@settings(deadline=None, max_examples=50)
def test_grouped_digits_come_back_as_they_were_written(numbers: list[int], mark: str) -> None:
    text = pl.Series([f"{number:,}".replace(",", mark) for number in numbers])
    decimal = "," if mark == "." else "."
    assert parsing.numbers(text, decimal=decimal, dot_groups=mark == ".").to_list() == [float(number) for number in numbers]


WRITTEN = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%d/%m/%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f", "%Y/%m/%d %I:%M:%S.%f %p")


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=20), st.sampled_from(WRITTEN))
@settings(deadline=None, max_examples=50)
def test_times_come_back_as_they_were_written(times: list[datetime], form: str) -> None:
    text = pl.Series([time.strftime(form) for time in times])
    assert parsing.naive_datetimes(text, day_first=True).to_list() == times
    zoned = pl.Series([time.strftime(form) + "+02:00" for time in times if "%p" not in form], dtype=pl.String)
    expected = [(time - timedelta(hours=2)).replace(tzinfo=UTC) for time in times if "%p" not in form]
    assert parsing.zoned_datetimes(zoned, day_first=True).to_list() == expected


CELLS = st.one_of(
    st.text(max_size=6), st.sampled_from(["1", "1,5", "1,234", "20 °C", "yes", "NULL", "2014-01-01", "03/04/2014", "[1]", ""])
)


@given(st.lists(st.none() | CELLS, max_size=30), st.integers(0, 30))
@settings(deadline=None, max_examples=50)
def test_profiles_of_parts_add_up_and_every_cell_is_accounted_for(cells: list[str | None], cut: int) -> None:
    column = pl.Series(cells, dtype=pl.String)
    whole = profile_column("time", column)
    assert (profile_column("time", column[:cut]) + profile_column("time", column[cut:])).counts == whole.counts
    parts = ("null", "blank", "missing", "number", "grouped", "boolean", "datetime", "list", "other")
    assert sum(whole.counts[part] for part in parts) == whole.counts["total"] == len(cells)
    _, result = read(cells)
    assert result.frame["value"].null_count() == sum(result.nulls.values())
    assert len(result.unparsed) == result.nulls.get(("value", "unparsed"), 0)


@pytest.mark.parametrize("wrong", [{"min_share": 0.2}, {"decimal": ";"}, {"timezone": "Mars/Olympus"}, {"unknown": 1}])
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FormatOptions(**wrong)


def test_long_texts_are_prose_but_for_lists_and_what_is_short_without_its_padding() -> None:
    prose, numbers = "word " * 90, "[" + "1.5, " * 90 + "2]"
    cells = pl.Series([prose, numbers, " " * 300 + "7" + " " * 300, " " * 600, "\u00e9" * 300, None, "12"])
    characters = len(prose.strip()) + len(numbers) + 1 + 300 + 2
    found = +profile_column("value", cells).counts
    assert found == Counter(total=7, null=1, blank=1, other=2, list=1, number=2, integer=2, characters=characters)
