"""Which near-duplicate stays: rules in order, then the record id."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis.checks.near_duplicates.keep import WORST, _column_ranks, _within, check_rules
from tamis.errors import ColumnError, RecipeError

TEXT = " ".join(f"word{number}" for number in range(60))


def kept(tmp_path: Path, rules: list[str], **columns: list[Any]) -> list[int]:
    """Clean four near-duplicates, in two files, and return which stays."""
    frame = pl.DataFrame({"number": range(4), "text": [f"{TEXT} {'more ' * n}" for n in (2, 1, 4, 3)]} | columns)
    for name, part in (("a/x", frame[:2]), ("trusted/y", frame[2:])):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        part.write_parquet(tmp_path / "in" / f"{name}.parquet")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", settings={"near_duplicates.keep": rules}, jobs=1)
    return result.kept.collect()["number"].to_list()


@pytest.mark.parametrize(
    ("rules", "stays"),
    [
        (["longest"], 2),
        (["shortest"], 1),
        (["first"], 0),
        ([], 0),
        (["source:trusted", "shortest"], 3),
        (["source:*/x.parquet", "longest"], 0),
        (["earliest:seen"], 1),
        (["latest:seen"], 3),
        (["highest:score", "longest"], 3),
        (["lowest:score"], 1),
        (["fullest", "longest"], 3),
    ],
)
def test_the_first_rule_that_tells_two_apart_decides(tmp_path: Path, rules: list[str], stays: int) -> None:
    seen = [dt.datetime(2024, 5, day) if day else None for day in (3, 2, 0, 9)]
    assert kept(tmp_path, rules, seen=seen, score=[1.5, -2.0, None, 7.25]) == [stays]


@given(st.lists(st.one_of(st.none(), st.floats(), st.just(-0.0)), max_size=20), st.booleans())
def test_ranks_are_in_the_order_of_values_with_nulls_and_nan_last(values: list[float | None], falling: bool) -> None:
    ranks = _column_ranks(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}), "x", falling=falling).tolist()
    for one, rank in zip(values, ranks, strict=True):
        for other, beside in zip(values, ranks, strict=True):
            if one is None or np.isnan(one):
                assert rank == WORST
            elif other is not None and not np.isnan(other):
                assert (one > other if falling else one < other) == (rank < beside)


def test_values_without_an_order_come_last() -> None:
    assert _column_ranks(pl.DataFrame({"x": ["b", "a"]}), "x", falling=False).tolist() == [WORST, WORST]
    assert _column_ranks(pl.DataFrame({"x": [1, 2]}), "y", falling=False).tolist() == [WORST, WORST]


def test_a_source_is_named_by_file_folder_or_glob() -> None:
    assert _within("trusted/y.parquet", "trusted")
    assert _within("deep/trusted/y.parquet", "trusted")
    assert _within("deep/y.parquet", "deep/*")
    assert not _within("untrusted/y.parquet", "trusted")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("longst", "'longst' is no rule.*longest"),
        ("largest:x", "takes no value"),
        ("earliest", "needs a value"),
        ("source:", "needs a value"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rules([rule])
    with pytest.raises(RecipeError, match=message):
        tamis.Recipe.load(None, settings={"near_duplicates.keep": [rule]})


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match=r"names the column 'sen'.*seen"):
        kept(tmp_path, ["earliest:sen"], seen=[1, 2, 3, 4])
