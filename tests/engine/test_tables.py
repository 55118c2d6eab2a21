"""Table readers: any range of rows is the same slice of the whole, and no more than its row groups is decoded."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.sources import tables
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


GROUPS = (7, 7, 7, 4)
PIECES = {262_144: GROUPS, 3: (3, 3, 1, 3, 3, 1, 3, 3, 1, 2, 2), 1: (1,) * 25}


@pytest.mark.parametrize(("kind", "most"), [("arrow", 3), *(("parquet", most) for most in PIECES)])
@given(data=st.data())
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_is_a_slice_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, most: int, data: st.DataObject
) -> None:
    monkeypatch.setattr(tables, "PIECE_ROWS", most)
    reader = TableReader(written(tmp_path, kind))
    assert (reader.rows, reader.row_groups, reader.columns) == (25, GROUPS, tuple(FRAME.columns))
    assert reader.pieces == (PIECES[most] if kind == "parquet" else GROUPS)
    for _ in range(data.draw(st.integers(1, 4))):  # one after the other, back and forth
        start = data.draw(st.integers(0, 25))
        stop = data.draw(st.integers(start, 25))
        columns = data.draw(st.lists(st.sampled_from(FRAME.columns), unique=True, min_size=1))
        part = reader.read(start, stop, columns)
        assert part.with_columns(pl.col(pl.Categorical).cast(pl.String)).equals(
            FRAME[start:stop].select(columns).with_columns(pl.col(pl.Categorical).cast(pl.String))
        )
        assert reader.bad_rows(start, stop) == []


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of the row groups whose decoding begins."""
    begun: list[int] = []
    decode = pq.ParquetFile.iter_batches

    def spy(self: pq.ParquetFile, *arguments: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        begun.extend(options["row_groups"])
        batches: Iterator[pa.RecordBatch] = decode(self, *arguments, **options)
        return batches

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    return begun


def test_only_the_row_groups_of_the_range_are_decoded(tmp_path: Path, decoded: list[int]) -> None:
    reader = TableReader(written(tmp_path, "parquet"))
    assert reader.read(7, 15, ["number"])["number"].to_list() == list(range(7, 15))
    assert decoded == [1, 2]
    assert reader.read(7, 7).height == 0
    assert decoded == [1, 2]


@pytest.mark.parametrize("most", [3, 100])
def test_ranges_that_rise_decode_a_row_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int], most: int) -> None:
    monkeypatch.setattr(tables, "PIECE_ROWS", most)
    reader = TableReader(written(tmp_path, "parquet"))
    read = [reader.read(start, min(start + 2, 25), ["number", "text"]) for start in range(0, 25, 2)]
    assert pl.concat(read).equals(FRAME.select("number", "text"))
    assert decoded == [0, 1, 2, 3]
    assert reader.read(20, 21, ["text"])["text"].to_list() == [None]
    assert decoded == [0, 1, 2, 3, 2]


def test_pieces_have_bytes_as_well_as_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": pa.array(range(1000), pa.int64())}), tmp_path / "t.parquet", use_dictionary=False)
    file = list_source(tmp_path / "t.parquet").files[0]
    assert 8000 <= TableReader(file).bytes < 8200
    monkeypatch.setattr(tables, "PIECE_BYTES", 2100)
    assert TableReader(file).pieces == (250, 250, 250, 250)


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


@pytest.mark.parametrize("order", [range(10), reversed(range(10))], ids=["in order", "backwards"])
def test_damage_in_a_large_row_group_costs_its_piece_and_those_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Iterable[int]
) -> None:
    path = tmp_path / "t.parquet"
    texts = [f"text {number}" for number in range(1000)]
    pq.write_table(pa.table({"a": texts}), path, use_dictionary=False, compression="none", data_page_size=1000, write_batch_size=50)
    content = bytearray(path.read_bytes())
    place = content.index(b"text 550")
    content[place - 4 : place] = bytes([255, 255, 255, 127])  # the length of that text
    path.write_bytes(content)
    monkeypatch.setattr(tables, "PIECE_ROWS", 100)
    reader = TableReader(list_source(path).files[0])
    told: set[str] = set()
    for piece in order:
        start, stop = 100 * piece, 100 * piece + 100
        if piece < 5:
            assert reader.read(start, stop)["a"].to_list() == texts[start:stop]
            continue
        with pytest.raises(ReadFailed, match=f"rows {start} to {stop} of t.parquet cannot be read: ") as caught:
            reader.read(start, stop)
        told.add(caught.value.detail)
    assert len(told) == 1


def test_bad_rows_of_a_range_are_numbered_within_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n5,6\n7,8,9\n")
    file = list_source(tmp_path / "t.csv").files[0]
    staged = stage(file, tmp_path / "staged.parquet")
    assert isinstance(staged, Staged)
    reader = TableReader(file, staged.path)
    assert reader.columns == ("a", "b")
    assert reader.read(1, 4).rows() == [(None, None), ("5", "6"), (None, None)]
    assert [(row.row, row.raw) for row in reader.bad_rows(2, 4)] == [(3, "7,8,9")]
