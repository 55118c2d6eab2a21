"""What the functions for Python take as a table, a column or pictures, and what they say of anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import tamis
from tamis_kernels import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

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
        (lambda: tamis.signatures("a text"), "series is a str; give a column"),  # type: ignore[arg-type]
        (lambda: tamis.signatures(3), "series is a int; give a column"),  # type: ignore[arg-type]
        (lambda: tamis.signatures(["a", 1]), r"list of values of one type \(.+\)"),  # type: ignore[arg-type]
        (lambda: tamis.Statistics().add([1, 2]), "frame is a list; give a polars, pandas or pyarrow table"),  # type: ignore[arg-type]
        (lambda: tamis.image_hashes(3), "pictures is a int; give paths"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_is_told_in_one_line(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_list_of_numbers_is_told_as_a_column_that_holds_no_texts() -> None:
    with pytest.raises(tamis.ColumnError, match="it is Int64"):
        tamis.signatures([1, 2])  # type: ignore[arg-type]
