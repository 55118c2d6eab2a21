"""Tables whose columns have types: what NaN, infinities, signed zeros and nulls come to in a whole run."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tamis

if TYPE_CHECKING:
    from pathlib import Path

ODD = [math.nan, math.inf, -math.inf, -0.0, 0.0, None, 1.5, -2.25, 3e38, 1e-40]


def odd_rows(seed: int, rows: int = 500) -> pl.DataFrame:
    """Return rows of odd floats, many of them equal."""
    picks = np.random.default_rng(seed).integers(0, len(ODD), (2, rows))
    doubles, singles = ([ODD[pick] for pick in column] for column in picks)
    names = [f"s{row % 40}" for row in range(rows)]
    return pl.DataFrame(
        {"name": names, "double": doubles, "single": singles}, schema={"name": pl.String, "double": pl.Float64, "single": pl.Float32}
    )


def bits(frame: pl.DataFrame) -> list[tuple[str, float | None, str, float | None, str]]:
    """Return rows that are equal only when their floats have the same bits."""
    return [(name, first, str(first), second, str(second)) for name, first, second in frame.iter_rows()]


@pytest.mark.parametrize(
    ("groups", "parts"),
    [
        ([100] * 7 + [30], [200, 200, 200, 130]),
        ([250, 250, 1, 249], [250, 250, 250]),
        ([600, 10], [200, 200, 200, 10]),
        ([10, 501, 240, 20], [10, 167, 167, 167, 240, 20]),
    ],
)
def test_shards_end_where_row_groups_end(tmp_path: Path, groups: list[int], parts: list[int]) -> None:
    table = pa.table({"number": range(sum(groups))})
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for stop, size in zip(accumulate(groups), groups, strict=True):
            writer.write_table(table.slice(stop - size, size), row_group_size=size)
    tamis.clean(tmp_path / "t.parquet", tmp_path / "out", settings={"shards.rows": 250}, jobs=1)
    written = [pl.read_parquet(path) for path in sorted((tmp_path / "out" / "clean" / "tables").rglob("*.parquet"))]
    assert [len(part) for part in written] == parts
    assert pl.concat(written)["number"].to_list() == list(range(sum(groups)))


@pytest.mark.parametrize("seed", [0, 1])
def test_odd_floats_are_kept_to_the_bit_and_equal_rows_go(tmp_path: Path, seed: int) -> None:
    rows = odd_rows(seed)
    rows.write_parquet(tmp_path / "odd.parquet", row_group_size=77)
    settings = {"shards.rows": 100, "formats.missing_codes": [], "near_duplicates.enabled": False, "normalize.method": "none"}
    result = tamis.clean(tmp_path / "odd.parquet", tmp_path / "out", settings=settings, jobs=1)
    expected = rows.with_columns(pl.col("double", "single").fill_nan(None))
    empty = expected.filter(pl.col("double").is_null() & pl.col("single").is_null())
    valued = expected.filter(pl.col("double").is_not_null() | pl.col("single").is_not_null())
    unique = valued.unique(keep="first", maintain_order=True)  # polars holds -0.0 and 0.0 for equal, as tamis does
    (table,) = result.tables.values()
    assert bits(table.collect().select(rows.columns)) == bits(unique)
    reasons = dict(result.rejected.collect()["reason"].value_counts().iter_rows())
    assert reasons == {"no_values": len(empty), "exact_duplicate": len(rows) - len(empty) - len(unique)}
