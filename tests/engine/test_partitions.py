"""Columns in the names of folders: rows that differ in these alone are no duplicates, and the clean table has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import tamis
from tamis.sources.partitions import partitions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("rows_at_a_time", [None, 2])
def test_the_names_of_folders_are_columns(tmp_path: Path, form: str, rows_at_a_time: int | None) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "v": [0.5, 1.5, 2.5]})
    for year in (2023, 2024):
        folder = tmp_path / "in" / f"year={year}" / "site=a%2Fb"
        folder.mkdir(parents=True)
        frame.write_parquet(folder / "part.parquet") if form == "parquet" else frame.write_csv(folder / "part.csv")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", settings={"normalize.method": "minmax"}, batch_size=rows_at_a_time, jobs=1)
    kept = result.kept.collect()
    assert kept.select("id", "year", "site").rows() == [(n, year, "a/b") for year in (0.0, 1.0) for n in (0.0, 0.5, 1.0)]
    (table,) = result.manifest["tables"].values()
    assert table["decisions"] == ["the names of folders give the columns year, site (all files)"]


def test_a_file_without_rows_and_a_partition_of_nothing(tmp_path: Path) -> None:
    for name, rows in (("a", [1, 2]), ("__HIVE_DEFAULT_PARTITION__", [1, 2]), ("b", [])):
        (tmp_path / "in" / f"k={name}").mkdir(parents=True)
        pl.DataFrame({"n": rows}, schema={"n": pl.Int64}).write_parquet(tmp_path / "in" / f"k={name}" / "0.parquet")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", jobs=1)
    assert sorted(result.kept.collect().rows(), key=str) == [(1, "a"), (1, None), (2, "a"), (2, None)]


def test_a_column_of_the_file_stands_before_one_of_its_folder() -> None:
    assert partitions("Year=1/x=2/y=3=4/no/a.csv", ["year"]) == {"x": "2", "y": "3=4"}
    assert partitions("a=1.csv", []) == {}
