from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
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


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (3, 1, 4, 4)], ids=["no row group", "no row", "one", "more"])
def test_the_file_keeps_all_else(sizes: tuple[int, ...], tmp_path: Path) -> None:
    types = [
        pa.string(),
        pa.decimal128(9, 2),
        pa.timestamp("ns", "Europe/Paris"),
        pa.list_(pa.int16()),
        pa.dictionary(pa.int8(), pa.string()),
    ]
    others = [pa.field(f"o{i}", kind, metadata={"told": str(i)}) for i, kind in enumerate(types)]
    numbers = [
        pa.field("x", pa.float32(), nullable=False, metadata={"unit": "K"}),
        pa.field("y", pa.float64()),
        pa.field("n", pa.int32()),
    ]
    schema = pa.schema([others[0], *numbers, *others[1:]], {"made by": "a logger"})
    nan, rows = float("nan"), sum(sizes)
    x: list[Any] = [nan, -0.0, 1.5, np.inf] * 3
    y: list[Any] = [None, nan, -0.0, 1e300] * 3
    n: list[Any] = [None, 1, 2, 3] * 3
    other: list[list[Any]] = [["a", None], [None, 7], [None, 10**12], [[1, None], None], ["b", "c"]]
    columns = [pa.array((values * 6)[:rows], kind) for values, kind in zip(other, types, strict=True)]
    columns[1:1] = [pa.array(values[:rows], field.type) for values, field in zip([x, y, n], numbers, strict=True)]
    table = pa.table(columns, schema=schema)
    with pq.ParquetWriter(tmp_path / "in.parquet", schema) as writer:
        for first, size in zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False):
            writer.write_table(table.slice(first, size), row_group_size=max(1, size))
    fitted = Normalizer("maxabs").fit(pl.DataFrame({"n": [4], "y": [2.0], "x": [2.0]}))
    transform_parquet(fitted, tmp_path / "in.parquet", tmp_path / "out.parquet", compression="snappy")
    written = pq.ParquetFile(tmp_path / "out.parquet")
    groups = [written.metadata.row_group(group) for group in range(written.metadata.num_row_groups)]
    moved = written.read()
    read = pq.read_schema(tmp_path / "in.parquet")
    assert moved.schema.equals(read.set(3, read.field("n").with_type(pa.float64())), check_metadata=True)
    assert (moved.schema.metadata, moved.schema.field("x").metadata[b"unit"]) == ({b"made by": b"a logger"}, b"K")
    assert moved.drop_columns(["x", "y", "n"]).equals(table.drop_columns(["x", "y", "n"]))
    assert [group.num_rows for group in groups if group.num_rows] == [size for size in sizes if size]
    assert all(group.column(0).compression == "SNAPPY" for group in groups)
    for name, values in (("x", x), ("y", y), ("n", n)):
        expected = [None if value is None else value / (4 if name == "n" else 2) for value in values[:rows]]
        assert list(map(repr, moved[name].to_pylist())) == list(map(repr, expected))  # which tell -0.0 from 0.0


def test_a_dictionary_is_written_of_what_repeats(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frame = pl.DataFrame(
        {
            "rounded": random.standard_normal(20_000).round(1),
            "noise": random.standard_normal(20_000),
            "id": random.permutation(20_000),
            "site": ["a", "b"] * 10_000,
        }
    )
    frame.write_parquet(tmp_path / "in.parquet")
    normalize_parquet(Normalizer(), tmp_path / "in.parquet", tmp_path / "out.parquet", ["rounded", "noise"])
    group = pq.read_metadata(tmp_path / "out.parquet").row_group(0)
    assert [group.column(i).has_dictionary_page for i in range(4)] == [True, False, False, True]


def test_bad_use_says_what_is_wrong(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="no column 'z'"):
        fit_parquet(Normalizer(), file, ["z"])
    with pytest.raises(ColumnError, match="no column of numbers"):
        fit_parquet(Normalizer(), file, [])
    with pytest.raises(ArgumentError, match="not fitted"):
        transform_parquet(Normalizer(), file, tmp_path / "out.parquet")
    other = Normalizer().fit(pl.DataFrame({"z": [1.0, 2.0]}))
    with pytest.raises(ColumnError, match="no column 'z'"):
        transform_parquet(other, file, tmp_path / "out.parquet")
    pl.DataFrame({"z": pl.Series([], dtype=pl.Float64)}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ArgumentError, match="no row to fit to"):
        fit_parquet(Normalizer(), tmp_path / "none.parquet")
    with pytest.raises(ArgumentError, match="memory must be"):
        normalize_parquet(Normalizer(), file, tmp_path / "out.parquet", memory="much")
    assert [path.name for path in tmp_path.glob(".*")] == []
