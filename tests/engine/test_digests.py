"""Digests of rows: equal for equal values, whatever their types, and different for different ones."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tamis.checks.exact_duplicates.digests import STEP, row_digests

DIFFERENT: dict[str, pl.Series] = {
    "floats": pl.Series([0.0, 1.0, -1.0, 5e-324, float("nan"), float("inf"), float("-inf"), 0.1, None]),
    "float32": pl.Series([0.0, 1.0, -1.0, float("nan"), 0.1, None], dtype=pl.Float32),
    "integers": pl.Series([0, 1, -1, 2**63 - 1, -(2**63), None]),
    "large integers": pl.Series([0, 2**64 - 1, 2**63, None], dtype=pl.UInt64),
    "larger integers": pl.Series([0, 2**64, 2**100, -(2**100), None], dtype=pl.Int128),
    "booleans": pl.Series([True, False, None]),
    "texts": pl.Series(["", "a", "é", "a\x1fb", "~", "x" * 300, None]),
    "bytes": pl.Series([b"", b"\0", b"\0\0", b"a" * 17, None]),
    "days": pl.Series([date(1970, 1, 1), date(2026, 1, 1), None]),
    "times": pl.Series([datetime(1970, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 1), None]),
    "decimals": pl.Series([Decimal("0"), Decimal("0.1"), Decimal("-5"), None]),
    "categories": pl.Series(["a", "b", None], dtype=pl.Categorical),
    "lists": pl.Series([[], [None], [0.0], [0.0, 0.0], [None, 0.0], [0.0, None], None], dtype=pl.List(pl.Float64)),
    "lists of texts": pl.Series([[], [""], ["", ""], ["a\x1eb"], ["a", "b"], ["ab"], None], dtype=pl.List(pl.String)),
    "lists of lists": pl.Series([[], [[]], [[1]], [[1], []], [[], [1]], [None], None], dtype=pl.List(pl.List(pl.Int64))),
    "arrays": pl.Series([[0, 0], [0, 1], [1, 0], [None, 0], None], dtype=pl.Array(pl.Int32, 2)),
    "maps": pl.Series(pa.array([{}, {"a": 1}, {"a": None}, {"b": 1}, {"a": 1, "b": 1}, None], pa.map_(pa.string(), pa.int64()))),
    "extensions": pl.Series(pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", "[]", "", None]))),
    "structs": pl.Series([{"a": 1, "b": "x"}, {"a": None, "b": "x"}, {"a": 1, "b": None}, {"a": None, "b": None}]),
}
CELL = st.one_of(st.none(), st.integers(-3, 3))


def rows(*columns: pl.Series) -> list[tuple[int, int]]:
    return [(upper, lower) for upper, lower in row_digests(columns).tolist()]


@pytest.mark.parametrize("column", DIFFERENT.values(), ids=DIFFERENT)
def test_values_that_differ_have_different_digests_and_equal_ones_the_same(column: pl.Series) -> None:
    found = rows(column)
    assert len(set(found)) == len(column)
    twice = pl.concat([column, column.reverse()])
    assert rows(twice) == found + found[::-1]
    assert rows(twice[1:-1]) == (found + found[::-1])[1:-1]  # a slice, whose buffers begin elsewhere


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=30))
def test_rows_are_equal_where_all_their_values_are(cells: list[tuple[int | None, ...]]) -> None:
    frame = pl.DataFrame(cells, schema=[(name, pl.Int16) for name in "abc"], orient="row")
    found = rows(*frame.get_columns())
    assert [found[i] == found[j] for i in range(len(cells)) for j in range(i)] == [
        cells[i] == cells[j] for i in range(len(cells)) for j in range(i)
    ]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
@pytest.mark.parametrize("length", [1, 2, 100])
def test_rows_that_differ_by_the_sign_of_zero_are_equal(dtype: type[pl.DataType], length: int) -> None:
    positive, negative = (pl.Series([zero] * length, dtype=dtype) for zero in (0.0, -0.0))
    assert rows(positive) == rows(negative)


def test_nans_of_any_bits_are_equal() -> None:
    odd = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001], np.uint64).view(np.float64)
    assert len(set(rows(pl.Series(odd)))) == 1


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int32, pl.UInt8, pl.UInt64])
def test_integers_of_any_width_are_equal(dtype: type[pl.DataType]) -> None:
    assert rows(pl.Series([0, 1, None, 100], dtype=dtype)) == rows(pl.Series([0, 1, None, 100], dtype=pl.Int64))


@pytest.mark.parametrize("rows_more", [-1, 0, 1])
def test_what_is_written_at_a_time_leaves_no_trace(rows_more: int) -> None:
    count = 2 * STEP + rows_more
    numbers = np.random.default_rng(1).integers(-3, 3, (3, count))
    odd = np.array([np.nan, -0.0, 0.0, 1.0, np.inf, -np.inf, 0.1])[numbers[1]]
    texts = pl.Series(numbers[2]).cast(pl.String).replace("-3", None)
    columns = [pl.Series(numbers[0], dtype=pl.Int8).replace(-3, None), pl.Series(odd, dtype=pl.Float32), texts]
    cuts = [0, 1, STEP - 1, STEP + 5, count]
    assert rows(*columns) == [row for first, last in pairwise(cuts) for row in rows(*(column[first:last] for column in columns))]


@pytest.mark.parametrize("place", [0, 63, 64, 99])
def test_a_null_in_any_of_many_columns_tells(place: int) -> None:
    def wide(value: int | None) -> list[pl.Series]:
        return [pl.Series([value if at == place else 0], dtype=pl.Int64) for at in range(100)]

    assert rows(*wide(0)) != rows(*wide(None))


@pytest.mark.parametrize("dtype", [pl.Int64, pl.String, pl.List(pl.Float64), pl.Struct({"a": pl.Int8}), pl.Null, pl.Array(pl.Int8, 3)])
def test_tables_without_rows_have_no_digests(dtype: Any) -> None:
    assert row_digests([pl.Series([], dtype=dtype)]).shape == (0, 2)


def test_the_layout_is_the_documented_one() -> None:
    record = np.array([0b10, np.float64(1.5).view(np.uint64), 0], "<u8").tobytes()
    record += np.array([*divmod(xxhash.xxh3_128_intdigest(b"a"), 2**64)], "<u8").tobytes()
    found = rows(pl.Series([1.5]), pl.Series([None], dtype=pl.Int8), pl.Series(["a"]))
    assert found == [divmod(xxhash.xxh3_128_intdigest(record), 2**64)]
