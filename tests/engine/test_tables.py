"""Table readers: any range of rows is the same slice of the whole, and no more than its row groups is decoded."""

from __future__ import annotations

import pickle
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.sources.listing import SourceFile, list_source
from tamis.sources.staging import Staged, stage
from tamis.sources.tables import ReadFailed, TableReader

FRAME = pl.DataFrame(
    {
        "number": range(25),
        "text": [None if row % 5 == 0 else f"täxt {row}" for row in range(25)],
        "window": [[float(row)] * (row % 3) for row in range(25)],
        "time": pl.Series(range(25)).cast(pl.Datetime("us", "UTC")),
        "category": pl.Series([f"c{row % 2}" for row in range(25)], dtype=pl.Categorical),
    }
)


def written(folder: Path, kind: str) -> SourceFile:
    path = folder / f"t.{kind}"
    table = FRAME.to_arrow(compat_level=pl.CompatLevel.oldest())
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=7)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    return list_source(path).files[0]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@given(data=st.data())
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_is_a_slice_of_the_whole(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    reader = TableReader(written(tmp_path, kind))
    assert (reader.rows, reader.row_groups, reader.columns) == (25, (7, 7, 7, 4), tuple(FRAME.columns))
    start = data.draw(st.integers(0, 25))
    stop = data.draw(st.integers(start, 25))
    columns = data.draw(st.lists(st.sampled_from(FRAME.columns), unique=True, min_size=1))
    part = reader.read(start, stop, columns)
    assert part.with_columns(pl.col(pl.Categorical).cast(pl.String)).equals(
        FRAME[start:stop].select(columns).with_columns(pl.col(pl.Categorical).cast(pl.String))
    )
    assert reader.bad_rows(start, stop) == []


def test_only_the_row_groups_of_the_range_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TableReader(written(tmp_path, "parquet"))
    decoded: list[int] = []
    read = pq.ParquetFile.read_row_group

    def spy(self: pq.ParquetFile, group: int, **options: object) -> pa.Table:
        decoded.append(group)
        return read(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    assert reader.read(7, 15, ["number"])["number"].to_list() == list(range(7, 15))
    assert decoded == [1, 2]
    assert reader.read(7, 7).height == 0
    assert decoded == [1, 2]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 26)])
def test_a_range_outside_the_table_is_refused(tmp_path: Path, start: int, stop: int) -> None:
    with pytest.raises(IndexError, match="within the 25 rows"):
        TableReader(written(tmp_path, "parquet")).read(start, stop)


def test_a_corrupt_row_group_fails_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [f"text {number}" for number in range(3000)]})
    pq.write_table(table, path, row_group_size=1000, use_dictionary=False, compression="zstd")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    reader = TableReader(list_source(path).files[0])
    assert reader.read(0, 1000)["a"].to_list() == table["a"].to_pylist()[:1000]
    assert reader.read(2000, 3000)["a"].to_list() == table["a"].to_pylist()[2000:]
    with pytest.raises(ReadFailed, match=r"rows 900 to 1100 of t\.parquet cannot be read") as caught:
        reader.read(900, 1100)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.record, again.start, again.stop, str(again)) == ("t.parquet", 900, 1100, str(caught.value))


def test_bad_rows_of_a_range_are_numbered_within_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n5,6\n7,8,9\n")
    file = list_source(tmp_path / "t.csv").files[0]
    staged = stage(file, tmp_path / "staged.parquet")
    assert isinstance(staged, Staged)
    reader = TableReader(file, staged.path)
    assert reader.columns == ("a", "b")
    assert reader.read(1, 4).rows() == [(None, None), ("5", "6"), (None, None)]
    assert [(row.row, row.raw) for row in reader.bad_rows(2, 4)] == [(3, "7,8,9")]
