"""Columns that a recipe names: each is in a table and of a kind that fits, or one line says what is wrong."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from running import balanced

import tamis

ROWS = pl.DataFrame(
    {
        "place": ["here", "there"] * 20,
        "placed": [float(row) for row in range(40)],
        "empty": pl.Series([None] * 40, dtype=pl.String),
        "window": [[float(row), 2.0, 3.0] for row in range(40)],
    }
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    ROWS.write_parquet(folder / "rows.parquet")
    return folder


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("normalize.columns", "place", r"which holds no numbers\. Did you mean 'placed'\? The columns that do are: empty, placed"),
        ("normalize.columns", "window", r"which holds no numbers\. The columns that do"),
        ("missing.columns", "place", "which holds no numbers"),
        ("quality_control.columns", "place", "which holds no numbers"),
        ("discovery.columns", "place", "which holds no numbers"),
        ("windows.columns", "placed", r"which holds no windows\. The columns that do are: empty, window"),
        ("labels.column", "window", "which holds no texts or numbers or times or truth values"),
        ("near_duplicates.keep", "latest:place", "names the column 'place', which holds no numbers or times"),
    ],
)
def test_a_column_of_another_kind_is_told_with_those_that_fit(source: Path, tmp_path: Path, key: str, name: str, told: str) -> None:
    value = name if key == "labels.column" else [name]
    needed = {"normalize": {"normalize.method": "zscore"}, "missing": {"missing.impute": "mean"}}
    section = key.partition(".")[0]
    settings = {key: value} | needed.get(section, {f"{section}.enabled": True})
    with pytest.raises(tamis.ColumnError, match=told):
        tamis.check(source, tmp_path / "out", settings=settings, jobs=1)


def test_a_column_without_values_or_of_a_fit_kind_in_one_table_is_none_of_another_kind(source: Path, tmp_path: Path) -> None:
    pl.DataFrame({"place": [1.0, 2.0], "more": [1, 2]}).write_csv(source / "numbers.csv")
    normalize = {"method": "zscore", "windows": "window", "columns": ["empty", "window", "place"]}
    settings = {"normalize": normalize, "missing": {"impute": "mean", "columns": ["empty"]}}
    assert balanced(tamis.check(source, tmp_path / "out", settings=settings, jobs=1).manifest)
