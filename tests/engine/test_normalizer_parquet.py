from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from tamis.errors import ColumnError
from tamis.normalizer import METHODS, Normalizer, fit_parquet, normalize_parquet, transform_parquet
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    random = np.random.default_rng(9)
    frame = pl.DataFrame(
        {"name": ["a", "b"] * 500, "x": 1e9 + random.standard_normal(1000), "y": random.standard_normal(1000).astype(np.float32)}
    ).with_columns(pl.when(pl.int_range(1000) % 9 == 1).then(None).otherwise(pl.col("x")).alias("x"))
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=130)
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_the_bits_of_a_frame(method: Any, file: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(file)
    fitted = fit_parquet(Normalizer(method), file)
    expected = Normalizer(method).fit(frame.drop("name"))
    assert fitted.to_dict() == expected.to_dict()
    transform_parquet(fitted, file, tmp_path / "out.parquet")
    moved = pl.read_parquet(tmp_path / "out.parquet")
    assert_frame_equal(moved, frame.with_columns(expected.transform(frame.drop("name"))), check_exact=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "rows.parquet"]


@pytest.mark.parametrize("method", ["zscore", "robust"])
@pytest.mark.parametrize(("memory", "reads"), [("1GB", 1), (5_000, 2), (1, None)])
def test_what_fits_into_memory_is_read_once(
    method: Any, memory: Any, reads: int | None, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Normalizer(method).fit(pl.read_parquet(file).drop("name"))
    transform_parquet(expected, file, tmp_path / "expected.parquet")
    read: list[int] = []
    one = pq.ParquetFile.read_row_group

    def counted(self: pq.ParquetFile, group: int, **more: Any) -> Any:
        read.append(group)
        return one(self, group, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    fitted = normalize_parquet(Normalizer(method), file, tmp_path / "out.parquet", memory=memory)
    assert fitted.to_dict() == expected.to_dict()
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), pl.read_parquet(tmp_path / "expected.parquet"), check_exact=True)
    again = len(read) - 8
    assert (again == 0) == (reads == 1)
    passes = 1 if method == "zscore" else 4  # of float64 by 16 bits
    assert reads != 2 or again < 8 * passes
    assert reads is not None or again == 8 * passes


def test_bad_use_says_what_is_wrong(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="no column 'z'"):
        fit_parquet(Normalizer(), file, ["z"])
    with pytest.raises(ColumnError, match="no column of numbers"):
        fit_parquet(Normalizer(), file, [])
    with pytest.raises(ArgumentError, match="not fitted"):
        transform_parquet(Normalizer(), file, tmp_path / "out.parquet")
    other = Normalizer().fit(pl.DataFrame({"z": [1.0, 2.0]}))
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        transform_parquet(other, file, tmp_path / "out.parquet")
    pl.DataFrame({"z": pl.Series([], dtype=pl.Float64)}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ArgumentError, match="no row to fit to"):
        fit_parquet(Normalizer(), tmp_path / "none.parquet")
    with pytest.raises(ArgumentError, match="memory must be"):
        normalize_parquet(Normalizer(), file, tmp_path / "out.parquet", memory="much")
    assert [path.name for path in tmp_path.glob(".*")] == []
