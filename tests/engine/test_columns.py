"""Columns that polars does not take, or that have one name: they are read as something that it takes, or told by name; no row is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import balanced

import tamis

ALONE = {"near_duplicates.enabled": False, "exact_duplicates.enabled": False}
LONG = Decimal("12345678901234567890123456789012345678901234567890.25")
WHEN = datetime(2024, 1, 1, tzinfo=UTC)


def as_parquet(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "t.parquet")
    return folder / "t.parquet"


def as_arrow(table: pa.Table, folder: Path) -> Path:
    with pa.ipc.new_file(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "t.arrow"


BOTH = (as_parquet, as_arrow)
KIND_OF_TWO = pa.struct([("a", pa.int64()), ("b", pa.month_day_nano_interval())])
FIELDS_OF_ONE_NAME = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array(["x", "y"])], ["a", "a"])
ODD_COLUMNS: dict[str, tuple[Any, list[Any], str]] = {
    "long decimals": (pa.array([Decimal("1.5"), LONG], pa.decimal256(60, 2)), [1.5, float(LONG)], "text"),
    "few digits of long decimals": (pa.array([Decimal("1.5"), None], pa.decimal256(10, 2)), [1.5, None], "decimal128"),
    "lists of long decimals": (pa.array([[LONG], None], pa.list_(pa.decimal256(60, 2))), [f'["{LONG}"]', None], "text"),
    "negative scale": (pa.array([Decimal(1500), None], pa.decimal128(38, -2)), [1500.0, None], "text"),
    "intervals": (
        pa.array([pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, -1, -1_500_000_000])], pa.month_day_nano_interval()),
        ["P1M2DT0.000000003S", "P0M-1DT-1.500000000S"],
        "text",
    ),
    "intervals in structs": (pa.array([{"a": 1, "b": None}, None], KIND_OF_TWO), ['{"a": 1, "b": null}', None], "text"),
    "a zone of no whole hours": (pa.array([WHEN, None], pa.timestamp("us", "+05:30")), [WHEN, None], "UTC"),
    "no zone at all": (pa.array([WHEN, None], pa.timestamp("us", "Mars/Phobos")), [WHEN, None], "UTC"),
    "list views": (pa.array([[1, 2], None], pa.list_view(pa.int64())), [[1, 2], None], "large_list"),
    "run ends": (pa.RunEndEncodedArray.from_arrays([2], [7]), [7, 7], "int64"),
    "lists of nothing": (pa.array([[], None], pa.list_(pa.int64(), 0)), [[], None], "text"),
    "fields of one name": (FIELDS_OF_ONE_NAME, [{"a": 1, "a_2": "x"}, {"a": 2, "a_2": "y"}], "struct<a: int64, a_2: string>"),
    "lists of fields of one name": (
        pa.ListArray.from_arrays(pa.array([0, 2, 2], pa.int32()), FIELDS_OF_ONE_NAME),
        [[{"a": 1, "a_2": "x"}, {"a": 2, "a_2": "y"}], []],
        "a_2",
    ),
    "a union": (
        pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])]),
        ["1", "a"],
        "text",
    ),
    "a dictionary of long decimals": (
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([LONG], pa.decimal256(60, 2))),
        [float(LONG), None],
        "text",
    ),
}


NOT_IN_PARQUET = {"negative scale", "intervals", "intervals in structs", "run ends", "lists of nothing", "a union"}


@pytest.mark.parametrize(
    ("form", "name"), [(form, name) for form in BOTH for name in ODD_COLUMNS if form is as_arrow or name not in NOT_IN_PARQUET]
)
def test_columns_that_polars_does_not_take_are_kept(tmp_path: Path, form: Callable[[pa.Table, Path], Path], name: str) -> None:
    column, kept, read_as = ODD_COLUMNS[name]
    path = form(pa.table({"n": [1, 2], "odd": column}), tmp_path)
    result = tamis.clean(path, tmp_path / "out", settings=ALONE, jobs=1)
    assert balanced(result.manifest)
    assert result.kept.collect().to_dict(as_series=False) == {"n": [1, 2], "odd": kept}
    (table,) = result.manifest["tables"].values()
    told = [note for note in table["decisions"] if "column 'odd' is" in note]
    assert [read_as in note for note in told] == [True]


@pytest.mark.parametrize("form", BOTH)
def test_a_column_that_cannot_be_read_is_told_by_name_type_and_remedy(tmp_path: Path, form: Callable[[pa.Table, Path], Path]) -> None:
    twice = pa.MapArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["k", "k"]), FIELDS_OF_ONE_NAME)
    result = tamis.clean(form(pa.table({"n": [1, 2], "odd": twice}), tmp_path), tmp_path / "out", jobs=1)
    assert balanced(result.manifest)
    rejected = result.rejected.collect()
    assert rejected["reason"].to_list() == ["unreadable_rows"] * 2
    for said in ("the column 'odd'", "struct<a: int64, a: string", "leave it out"):
        assert said in rejected["detail"][0]


TWICE = pa.table([[1, 2], [3, 4], [5, 6], [7, 8], [9, 0]], names=["x", "x", "", "x_2", "x"])


@pytest.mark.parametrize("form", BOTH)
def test_columns_with_one_name_are_all_kept_under_names_of_their_own(tmp_path: Path, form: Callable[[pa.Table, Path], Path]) -> None:
    result = tamis.clean(form(TWICE, tmp_path), tmp_path / "out", settings=ALONE, jobs=1)
    names = ["x", "x_2", "column_3", "x_2_2", "x_3"]
    assert result.kept.collect().to_dict(as_series=False) == dict(zip(names, map(pa.ChunkedArray.to_pylist, TWICE.columns), strict=True))
    (table,) = result.manifest["tables"].values()
    assert "some column names are missing or repeated and were made unique" in table["decisions"]


@pytest.mark.parametrize("form", BOTH)
def test_texts_that_are_not_utf8_are_read_as_in_delimited_text(tmp_path: Path, form: Callable[[pa.Table, Path], Path]) -> None:
    cells = pa.array([b"caf\xe9", b"th\xc3\xa9", None])
    offsets, content = cells.buffers()[1:]
    column = pa.Array.from_buffers(pa.string(), 3, [cells.buffers()[0], offsets, content])
    result = tamis.clean(form(pa.table({"n": [1, 2, 3], "text": column}), tmp_path), tmp_path / "out", settings=ALONE, jobs=1)
    assert result.kept.collect()["text"].to_list() == ["café", "thé", None]
    (table,) = result.manifest["tables"].values()
    assert "1 cell is not UTF-8: read as Windows-1252" in table["decisions"]


def test_a_few_whole_numbers_that_are_rounded_are_told(tmp_path: Path) -> None:
    pl.DataFrame({"v": [2**53 + 1, *range(500)]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("v\n1.5\n9007199254740993\n")
    for name, source in (("one", tmp_path / "a.parquet"), ("both", tmp_path / "*.*")):
        result = tamis.clean(str(source), tmp_path / name, settings=ALONE, jobs=1)
        (table,) = result.manifest["tables"].values()
        told = "column 'v': 2 values with more digits than a float can hold: rounded, and told in the notes with what the source has"
        assert table["decisions"] == ([told] if name == "both" else [])


def test_whole_numbers_that_floats_of_another_file_would_round_are_text(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    long = 2**53 + 1
    for name, numbers in (("a", pl.Series([1, long])), ("b", pl.Series([1.5, 2.5])), ("c", pl.Series([5, 6], dtype=pl.UInt64))):
        pl.DataFrame({"id": numbers}).write_parquet(source / f"{name}.parquet")
    result = tamis.clean(source, tmp_path / "out", settings=ALONE, jobs=1)
    assert result.kept.collect()["id"].to_list() == ["1", str(long), "1.5", "2.5", "5", "6"]
    (table,) = result.manifest["tables"].values()
    assert table["decisions"] == ["column 'id' holds whole numbers that a fraction beside them would round: it is read as text"]
