"""Values that types cannot hold exactly: no row is a duplicate of another for it, and none is rounded without being told."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from test_formats import read, values

import tamis
from tamis.sources import exact, parsing
from tamis.sources.profile import profile_numbers

if TYPE_CHECKING:
    from pathlib import Path

LONG = 2**53 + 1  # no float is equal to it, and 2^53 is the nearest
LONGEST = pl.Series([Decimal("1.0000000000000000001"), Decimal("1.0000000000000000002")], dtype=pl.Decimal(38, 19))
ALONE = {"near_duplicates.enabled": False}


def cleaned(folder: Path, *columns: pl.Series, **settings: Any) -> tamis.Result:
    """Clean a column that is stored in a file of its own each time."""
    source = folder / "source"
    source.mkdir()
    for number, column in enumerate(columns):
        column.alias("value").to_frame().write_parquet(source / f"{number}.parquet")
    return tamis.clean(source, folder / "out", settings=ALONE | settings, jobs=1)


PAIRS = {
    "integers beside fractions": (pl.Series([LONG, LONG - 1]), pl.Series([0.5])),
    "integers beside float32": (pl.Series([2**24 + 1, 2**24], dtype=pl.Int32), pl.Series([0.5], dtype=pl.Float32)),
    "unsigned beside signed": (pl.Series([2**64 - 1, 2**64 - 2], dtype=pl.UInt64), pl.Series([-1])),
    "decimals": (
        pl.Series([Decimal("1.0000000000000000001"), Decimal("1.0000000000000000002")], dtype=pl.Decimal(38, 19)),
        pl.Series([0.5]),
    ),
    "lists": (pl.Series([[LONG], [LONG - 1], [5]]), pl.Series([[0.5]])),
    "arrays": (pl.Series([[LONG], [LONG - 1], [5]], dtype=pl.Array(pl.Int64, 1)), pl.Series([[0.5]], dtype=pl.Array(pl.Float64, 1))),
    "lists of lists": (pl.Series([[[LONG]], [[LONG - 1]], [[5]]]), pl.Series([[[0.5]]])),
    "structures": (pl.Series([{"a": LONG}, {"a": LONG - 1}, {"a": 5}]), pl.Series([{"a": 0.5}])),
    "times": (pl.Series([1, 2]).cast(pl.Datetime("ns")), pl.Series([datetime(2014, 1, 1)])),
    "spans": (pl.Series([1, 2]).cast(pl.Duration("ns")), pl.Series([1]).cast(pl.Duration("ms"))),
    "spans beside numbers": (pl.Series([1, 2]).cast(pl.Duration("ns")), pl.Series([1])),
    "times of day beside numbers": (pl.Series([1, 2]).cast(pl.Time), pl.Series([1])),
    "lists of times": (pl.Series([[1], [2]]).cast(pl.List(pl.Datetime("ns"))), pl.Series([[1]]).cast(pl.List(pl.Datetime("us")))),
    "lists of times beside numbers": (pl.Series([[1], [2]]).cast(pl.List(pl.Datetime("ns"))), pl.Series([[1.5]])),
    "lists of spans beside numbers": (pl.Series([[1], [2]]).cast(pl.List(pl.Duration("ns"))), pl.Series([1.5])),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_rows_that_differ_in_their_files_are_no_duplicates_in_a_common_type(tmp_path: Path, pair: tuple[pl.Series, pl.Series]) -> None:
    result = cleaned(tmp_path, *pair)
    rows = sum(map(len, pair))
    assert result.manifest["counts"]["kept"] == rows
    told = [one["reason"] for one in result.manifest["counts"]["notes_by_reason"]]
    assert result.kept.collect()["value"].n_unique() == rows or "rounded" in told


@pytest.mark.parametrize("name", ["integers beside fractions", "lists", "arrays", "lists of lists"])
def test_a_few_values_are_rounded_and_told_with_what_the_source_has(tmp_path: Path, name: str) -> None:
    one, other = PAIRS[name]
    more = one[-1:].new_from_index(0, 300).alias("value")
    result = cleaned(tmp_path, pl.concat([one.alias("value"), more]), other, **{"exact_duplicates.enabled": False})
    assert set(exact.leaves(result.kept.collect_schema()["value"])) <= {pl.Float64(), pl.Int64()}
    notes = result.notes.filter(pl.col("reason") == "rounded").collect()
    assert notes["row"].to_list() == [0]
    assert str(LONG) in notes["value"][0]


def test_rows_that_differ_in_what_could_not_be_parsed_are_no_duplicates(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,v\n" + "".join(f"{n},{n / 8}\n" for n in range(100)) + "7,x\n7,y\n7,x\n")
    result = tamis.clean(tmp_path / "a.csv", tmp_path / "out", settings=ALONE, jobs=1)
    assert result.rejected.select("record", "kept").collect().rows() == [("a.csv#102", "a.csv#100")]


@pytest.mark.parametrize("cell", ["9,007,199,254,740,993", "9.007.199.254.740.993", "9 007 199 254 740 993", f" {LONG} "])
def test_grouped_digits_of_identifiers_are_not_rounded_untold(cell: str) -> None:
    assert read([cell, "1.5"])[0].columns[0].kind == "text"
    group, result = read([cell, *["1.5"] * 200])
    assert group.columns[0].dtype == pl.Float64
    assert result.rounded.rows() == [(0, "value", cell)]


@pytest.mark.parametrize("cell", [f"[{LONG}]", f"[{LONG}, 1]"])
def test_lists_of_text_with_identifiers_stay_text(cell: str) -> None:
    assert read([cell, "[1, 2]"])[0].columns[0].kind == "text"
    group, result = read([cell, *["[1, 2]"] * 200])
    assert group.columns[0].kind == "window"
    assert result.rounded.rows() == [(0, "value", cell)]


@pytest.mark.parametrize(
    ("cell", "nanoseconds"),
    [
        ("2014-01-01 00:00:00.000000001", 1),
        ("2014-01-01T00:00:00.1234567", 123_456_700),
        ("1.1.2014 00:00:00,123456789", 123_456_789),
        ("2014-01-01 00:00:00.1234567891", 123_456_789),
    ],
)
def test_times_of_text_keep_their_nanoseconds(cell: str, nanoseconds: int) -> None:
    group, result = read([cell, "2014-01-01 00:00:00"])
    assert group.columns[0].dtype == pl.Datetime("ns")
    assert result.frame["value"].to_physical().to_list() == [1_388_534_400_000_000_000 + nanoseconds, 1_388_534_400_000_000_000]
    assert result.rounded["value"].to_list() == ([cell] if cell.endswith("7891") else [])


def test_times_before_1970_and_with_a_zone_keep_their_nanoseconds() -> None:
    found = values(["1969-12-31T23:59:59.123456789+01:00", "1970-01-01T00:00:00Z"])
    assert pl.Series(found, dtype=pl.Datetime("us", "UTC"))[1] == datetime(1970, 1, 1, tzinfo=UTC)
    _, result = read(["1969-12-31T23:59:59.123456789+01:00"])
    assert result.frame["value"].to_physical().to_list() == [-3_600_876_543_211]


def test_figures_of_nanoseconds_since_1970_are_exact() -> None:
    _, result = read(["1400000000123456789", "1400000000123456790"], name="timestamp")
    assert result.frame["timestamp"].to_physical().to_list() == [1_400_000_000_123_456_789, 1_400_000_000_123_456_790]


def test_times_that_nanoseconds_cannot_reach_are_told() -> None:
    _, result = read(["2014-01-01 00:00:00.000000001", "9999-12-31 00:00:00", *["2014-01-01 00:00:00"] * 20])
    assert result.unparsed["value"].to_list() == ["9999-12-31 00:00:00"]


DECIMALS = [Decimal("0.1"), Decimal("-1234567890.12"), Decimal(0), None, Decimal("9.999999999999999")]


@pytest.mark.parametrize("precision", [18, 38])
def test_decimals_are_readings(tmp_path: Path, precision: int) -> None:
    result = cleaned(tmp_path, pl.Series(DECIMALS[:4] * 3, dtype=pl.Decimal(precision, 4)), **{"exact_duplicates.enabled": False})
    (table,) = result.manifest["tables"].values()
    assert [(column["kind"], column["type"]) for column in table["columns"]] == [("number", "Float64")]
    assert result.kept.collect()["value"].drop_nulls().to_list() == [float(one) for one in DECIMALS[:3] if one is not None] * 3


def test_decimals_without_fraction_are_whole_numbers_and_text_beyond_them(tmp_path: Path) -> None:
    result = cleaned(tmp_path, pl.Series([2**62 + 1, 2**62], dtype=pl.Decimal(38, 0)))
    assert result.kept.collect()["value"].to_list() == [2**62 + 1, 2**62]


def test_decimals_of_more_digits_than_floats_have_stay_as_they_are(tmp_path: Path) -> None:
    result = cleaned(tmp_path, LONGEST)
    assert result.kept.collect()["value"].equals(LONGEST)
    (table,) = result.manifest["tables"].values()
    assert [column["kind"] for column in table["columns"]] == ["other"]
    assert "they stay decimals" in table["decisions"][0]


def test_lists_of_decimals_are_windows(tmp_path: Path) -> None:
    result = cleaned(tmp_path, pl.Series([[Decimal("0.1"), None], [Decimal("2.5")]], dtype=pl.List(pl.Decimal(10, 2))))
    assert result.kept.collect()["value"].to_list() == [[0.1, None], [2.5]]


def test_what_a_float_gives_back_is_not_inexact() -> None:
    exactly = pl.Series([Decimal("0.1"), Decimal("0.30000000000000004"), Decimal(10) ** 20, None], dtype=pl.Decimal(38, 17))
    assert not exact.inexact(exactly).any()
    assert exact.inexact(pl.Series([Decimal("0.30000000000000003")], dtype=pl.Decimal(38, 17))).all()
    assert profile_numbers(pl.Series([[LONG, 1], [1], [], None])).counts == {"inexact": 1}
    assert exact.inexact(pl.Series([{"a": LONG}, None])).to_list() == [True, False]
    assert parsing.inexact_lists(pl.Series(["[1]", "[]", None, f"[1, {LONG}]"])).to_list() == [False, False, False, True]


def test_times_of_lists_that_python_cannot_hold_are_told_by_their_counts() -> None:
    beyond = pl.Series([[10**18]], dtype=pl.List(pl.Int64)).cast(pl.List(pl.Datetime("ms")))
    assert exact.spelled(beyond).to_list() == [f"[{10**18}]"]
    assert exact.spelled(pl.Series([[0]]).cast(pl.List(pl.Datetime("ms")))).to_list() == ["[datetime.datetime(1970, 1, 1, 0, 0)]"]
