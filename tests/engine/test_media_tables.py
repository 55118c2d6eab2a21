"""Tables with a column of media: how rows are counted and read, and what damage does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archives import payloads
from test_hostile import photo

import tamis
from tamis.sources.containers import index_media_table
from tamis.sources.listing import Problem, list_source
from tamis.sources.payload import PayloadReader, Unavailable
from tamis.sources.staging import stage

if TYPE_CHECKING:
    from pathlib import Path

    from tamis.sources.members import Indexed


def arrow(path: Path, rows: int, **how: object) -> Path:
    pictures = pa.table(
        {"file": pa.array([photo(row) for row in range(rows)]), "word": pa.array(["a", "b"] * rows)[:rows].dictionary_encode()}
    )
    with pa.ipc.new_file(path, pictures.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(pictures, max_chunksize=3)
    return path


def rows_of(path: Path) -> Indexed | None:
    [file] = list_source(path).files
    return index_media_table(file)


@pytest.mark.parametrize("how", [{}, {"compression": "zstd"}, {"use_legacy_format": True}])
@pytest.mark.parametrize("rows", [2, 5])
def test_batches_of_arrow_are_counted_by_their_heads(tmp_path: Path, rows: int, how: dict[str, object]) -> None:
    path = arrow(tmp_path / "a.arrow", rows, **how)
    found = rows_of(path)
    assert found is not None
    with pa.ipc.open_file(path) as file:
        counts = [file.get_batch(number).num_rows for number in range(file.num_record_batches)]
        expected = file.read_all()["file"].to_pylist()
    assert found.container.starts == (0, *np.cumsum(counts).tolist())
    assert list(payloads(found).values()) == expected


@settings(max_examples=100)
@given(data=st.data())
def test_no_bytes_break_the_count_of_arrow_batches(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = arrow(tmp_path_factory.mktemp("fuzz") / "a.arrow", 5)
    content = bytearray(path.read_bytes())
    for place, value in data.draw(st.lists(st.tuples(st.integers(-700, -1), st.integers(0, 255)), min_size=1, max_size=4)):
        content[place] = value
    path.write_bytes(content)
    found = rows_of(path)
    with PayloadReader(1 << 20) as reader:
        for file in found.files if found else ():
            with suppress(Unavailable):
                reader.read(file)


def test_a_table_with_a_column_whose_name_is_no_text_is_one_problem(tmp_path: Path) -> None:
    path = arrow(tmp_path / "a.arrow", 2)
    path.write_bytes(path.read_bytes().replace(b"\0word\0", b"\0wo\xffd\0").replace(b"\0file\0", b"\0\xffile\0"))
    assert rows_of(path) is None
    [file] = list_source(path).files
    told = stage(file, tmp_path / "staged")
    assert isinstance(told, Problem)
    assert told.reason == "unreadable_table"


def test_a_head_that_tells_of_more_rows_than_there_is_room_for_is_left_to_arrow(tmp_path: Path) -> None:
    path = arrow(tmp_path / "a.arrow", 2)
    content = path.read_bytes()
    told = content.index((2).to_bytes(8, "little"), content.index(b"ARROW1") + 600)
    path.write_bytes(content[:told] + (1 << 50).to_bytes(8, "little") + content[told + 8 :])
    assert rows_of(path) is None


def test_a_footer_that_tells_of_less_than_no_bytes_is_left_to_arrow(tmp_path: Path) -> None:
    path = arrow(tmp_path / "a.arrow", 5)
    content = path.read_bytes()
    for place in range(len(content) - 300, len(content) - 10):
        path.write_bytes(content[:place] + b"\x80" + content[place + 1 :])
        rows_of(path)  # raises nothing


def test_rows_in_memory_are_given_though_the_table_changes(tmp_path: Path) -> None:
    found = rows_of(arrow(tmp_path / "a.arrow", 5))
    assert found is not None
    with PayloadReader(1 << 20) as reader:
        first = reader.read(found.files[0])
        (tmp_path / "a.arrow").write_bytes(b"changed")
        assert reader.read(found.files[1]) == photo(1) != first
        with pytest.raises(Unavailable, match="changed during the run"):
            reader.read(found.files[3])


@pytest.mark.parametrize(("column", "groups"), [("file", [1]), ("word", [1]), ("word", [0, 1, 2])])
def test_a_damaged_row_group_costs_its_own_rows(tmp_path: Path, column: str, groups: list[int]) -> None:
    path = tmp_path / "a.parquet"
    pictures = pa.table({"file": [photo(row) for row in range(6)], "word": [f"word {row} " * 50 for row in range(6)]})
    pq.write_table(pictures, path, row_group_size=2, use_dictionary=False, compression="zstd")
    content = bytearray(path.read_bytes())
    for group in groups:
        place = pq.ParquetFile(path).metadata.row_group(group).column(pictures.column_names.index(column)).data_page_offset
        content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    result = tamis.clean(path, tmp_path / "out", settings={"near_duplicates.enabled": False}, jobs=1)
    lost = [row for group in groups for row in (2 * group, 2 * group + 1)]
    assert result.rejected.collect()["record"].to_list() == [f"a.parquet#{row}" for row in lost]
    kept = [row for row in range(6) if row not in lost]
    clean = tmp_path / "out" / "clean" / "a.parquet"
    assert clean.exists() is bool(kept)
    assert not kept or pq.read_table(clean).equals(pictures.take(kept))
    assert result.manifest["counts"]["kept"] == sum(result.files.collect()["rows"]) == len(kept)
