"""What the defaults take for a duplicate or a missing value must be one: they run on tables nobody looked at."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import tamis


def test_rows_that_share_a_long_label_are_all_kept(tmp_path: Path) -> None:
    stations = ["Blacksmith Fork above the power station", "Franklin Basin at the gauging weir"]
    frame = pl.DataFrame({"station": stations * 20, "value": [float(i) for i in range(40)]})
    frame.write_csv(tmp_path / "levels.csv")
    counts = tamis.check(tmp_path / "levels.csv", tmp_path / "out", jobs=1).manifest["counts"]
    assert (counts["read"], counts["rejected"]) == (40, 0)


def test_a_named_column_of_labels_is_compared(tmp_path: Path) -> None:
    frame = pl.DataFrame({"title": ["a study of sieves and of what they hold back"] * 3, "year": [2001, 2002, 2003]})
    frame.write_csv(tmp_path / "titles.csv")
    settings = {"near_duplicates.columns": ["title"]}
    rejected = tamis.check(tmp_path / "titles.csv", tmp_path / "out", settings=settings, jobs=1).rejected.collect()
    assert rejected["record"].to_list() == ["titles.csv#1", "titles.csv#2"]


@pytest.mark.parametrize("code", ["-999", "-999.9", "-9999", "-9999.0"])
def test_usual_codes_for_no_value_become_null(tmp_path: Path, code: str) -> None:
    (tmp_path / "levels.csv").write_text(f"time,level\n2024-01-01 00:00:00,1.5\n2024-01-01 00:10:00,{code}\n2024-01-01 00:20:00,1.7\n")
    result = tamis.check(tmp_path / "levels.csv", tmp_path / "out", jobs=1)
    (group,) = result.manifest["tables"].values()
    assert {column["name"]: column["nulls"] for column in group["columns"]} == {"time": {}, "level": {"code": 1}}
