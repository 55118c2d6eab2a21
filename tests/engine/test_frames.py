"""What the functions for Python take as a table, a column or pictures, and what they say of anything else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import tamis
from tamis import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = pl.DataFrame({"text": ["a", "b"]})
READINGS = pl.DataFrame({"time": pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 2), "1h", eager=True)}).with_columns(
    level=pl.int_range(25) * 0.5
)
TEXTS = ["a fine sieve", "", "keeps what is clean"]


@pytest.mark.parametrize("make", [list, tuple, np.array, pa.array, lambda texts: pa.chunked_array([texts[:1], texts[1:]])])
def test_a_column_of_any_library_has_the_signatures_of_polars_own(make: Callable[[list[str]], Any]) -> None:
    assert tamis.signatures(make(TEXTS)).to_list() == tamis.signatures(pl.Series(TEXTS)).to_list()


@pytest.mark.parametrize("make", [pl.LazyFrame, pa.table])
def test_statistics_take_a_table_of_any_library(make: Callable[[dict[str, list[float]]], Any]) -> None:
    rows = {"a": [1.0, 2.5, 7.0], "b": [3.0, 3.0, -1.0]}
    assert tamis.Statistics().add(make(rows)).frame().equals(tamis.Statistics().add(pl.DataFrame(rows)).frame())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tamis.signatures("a text"), "series is of type str; give a column"),  # type: ignore[arg-type]
        (lambda: tamis.signatures(3), "series is of type int; give a column"),  # type: ignore[arg-type]
        (lambda: tamis.signatures(["a", 1]), r"list of values of one type \(.+\)"),  # type: ignore[arg-type]
        (lambda: tamis.Statistics().add([1, 2]), "frame is of type list; give a polars, pandas or pyarrow table"),  # type: ignore[arg-type]
        (lambda: tamis.image_hashes(3), "pictures is of type int; give paths"),  # type: ignore[arg-type]
        (lambda: tamis.image_hashes(["a.jpg", None]), "pictures holds what is of type NoneType"),  # type: ignore[list-item]
        (lambda: tamis.image_hashes("a.jpg", ["pdq"]), "hash must be one of pdq, phash64"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, threshold="0.8"), "threshold must be a number"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, recall="0.8"), "recall must be a number"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, bands=5), r"bands must be two whole numbers.*\(20, 13\)"),  # type: ignore[arg-type]
        (lambda: tamis.quality_control(READINGS, sigmas=0), "sigmas must be above 0"),
        (lambda: tamis.quality_control(READINGS, sentinels="x"), "sentinels must be a number"),  # type: ignore[arg-type]
        (lambda: tamis.quality_control(READINGS, limits=["x"]), "row 1 of the limits must be limits by name"),  # type: ignore[list-item]
        (lambda: tamis.quality_control(READINGS, settings={"formats.decimal": ","}), "settings say how files are read"),
        (lambda: tamis.discover([3]), "data holds what is of type int"),
        (lambda: tamis.discover(READINGS, zone=3), "there is no time zone 3"),  # type: ignore[arg-type]
        (lambda: tamis.Normalizer().fit(FRAME.lazy()), "X is a lazy frame"),
        (lambda: tamis.clean("here", "there", against=3), "against is of type int"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_is_told_in_one_line(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_list_of_numbers_is_told_as_a_column_that_holds_no_texts() -> None:
    with pytest.raises(tamis.ColumnError, match="it is Int64"):
        tamis.signatures([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("nothing", [[], [None, None]])
def test_a_column_of_nothing_is_one_of_texts(nothing: list[None]) -> None:
    assert tamis.signatures(nothing).to_list() == nothing  # type: ignore[arg-type]
    assert len(tamis.Signatures.of(nothing).values) == len(nothing)  # type: ignore[arg-type]


def test_signatures_that_know_themselves_take_a_list_too() -> None:
    assert tamis.Signatures.of(TEXTS).values.tolist() == tamis.signatures(pl.Series(TEXTS)).to_list()  # type: ignore[arg-type]


def test_paths_may_come_from_a_generator(tmp_path: Path) -> None:
    READINGS.write_csv(tmp_path / "a.csv")
    result = tamis.clean(tmp_path.glob("*.csv"), tmp_path / "out", jobs=1)  # type: ignore[arg-type]
    assert result.manifest["counts"]["kept"] == len(READINGS)
    assert tamis.quality_control(tmp_path.glob("*.csv"), learn=False).summary["readings"].to_list() == [len(READINGS)]


def test_one_word_is_as_good_as_a_list_of_one() -> None:
    alone = tamis.quality_control(READINGS, values="level", learn="spike", sentinels=3, thresholds=pa.table({"fail_high": [5.0]}))
    listed = tamis.quality_control(READINGS, values=["level"], learn=["spike"], sentinels=[3], limits={"fail_high": 5.0})
    assert alone.flags.collect().equals(listed.flags.collect())
    assert alone.limits.equals(listed.limits)
    with pytest.raises(tamis.ColumnError, match=r"there is no column 'levle'\. Did you mean 'level'\?"):
        tamis.discover(READINGS, values="levle")


def test_flags_and_the_confirm_list_go_to_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tamis.quality_control(READINGS, out="~/flags.parquet")
    found = tamis.discover(READINGS)
    found.write_confirm("~/confirm.toml")
    assert tamis.correct(READINGS.lazy(), "~/confirm.toml").equals(READINGS)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confirm.toml", "flags.parquet"]
    with pytest.raises(tamis.OutputError, match=r"the confirm list cannot be written to .*: Is a directory; name another file"):
        found.write_confirm(tmp_path)


def test_a_run_that_is_not_there_is_told_by_each_table_of_it(tmp_path: Path) -> None:
    result = tamis.Result(tmp_path)
    for name in ("manifest", "kept", "files", "tables", "rejected", "notes", "clusters"):
        with pytest.raises(tamis.SourceError, match="holds no finished run"):
            getattr(result, name)


def test_a_sample_goes_to_a_folder_named_by_text(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(tamis.OutputError, match=r"cannot write a sample to .*file/new: Not a directory\. Name another folder\."):
        tamis.write_sample(f"{tmp_path}/file/new")
