"""Arrow IPC files and streams: batches are read one by one, and what is damaged costs no more than its own rows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import balanced

import tamis
from tamis.sources.ipc import IpcTable

if TYPE_CHECKING:
    from pathlib import Path

ROWS, BATCH = 1000, 100
VALUES = [f"text {row}" for row in range(ROWS)]
FORMS = {"arrow": pa.ipc.new_file, "arrows": pa.ipc.new_stream}
ALONE = {"near_duplicates.enabled": False, "exact_duplicates.enabled": False}


def written(folder: Path, form: str, **how: Any) -> Path:
    path = folder / f"t.{form}"
    table = pa.table({"number": range(ROWS), "text": VALUES, "word": pa.array(["x", "y"] * (ROWS // 2)).dictionary_encode()})
    with FORMS[form](path, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(table, max_chunksize=BATCH)
    return path


def places(path: Path) -> list[tuple[int, int, int]]:
    """Return where each batch of a stream lies, or of a file: offset, and lengths of head and body."""
    table = IpcTable(pa.OSFile(str(path)))
    messages = [one[-1] for one in table._batches] if table._file is None else table._by_footer()
    return [(one.offset, one.head, one.body) for one in messages if one is not None]


def change(path: Path, place: int, content: bytes) -> None:
    raw = bytearray(path.read_bytes())
    raw[place : place + len(content)] = content
    path.write_bytes(raw)


def kept_and_lost(path: Path, out: Path) -> tuple[list[str], list[int], str]:
    """Clean a file and return the texts that are kept, the rows that are not, and what is told of the first."""
    result = tamis.clean(path, out, settings=ALONE, jobs=1)
    assert balanced(result.manifest)
    rejected = result.rejected.collect()
    assert set(rejected["reason"]) <= {"unreadable_rows"}
    return result.kept.collect()["text"].to_list(), rejected["row"].to_list(), rejected["detail"][0] if len(rejected) else ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", [{}, {"compression": "zstd"}, {"use_legacy_format": True}])
def test_rows_around_damaged_batches_are_kept(tmp_path: Path, form: str, how: dict[str, Any]) -> None:
    path = written(tmp_path, form, **how)
    for batch in (2, 7):
        offset, head, body = places(path)[batch]
        change(path, offset + head, b"\xfe" * body)
    kept, lost, told = kept_and_lost(path, tmp_path / "out")
    assert kept == VALUES[:200] + VALUES[300:700] + VALUES[800:]
    assert lost == [*range(200, 300), *range(700, 800)]
    assert "rows 200 to 300 of t." in told


def test_a_batch_of_a_file_whose_head_is_damaged_counts_as_one_row(tmp_path: Path) -> None:
    path = written(tmp_path, "arrow")
    offset, head, _ = places(path)[4]
    change(path, offset + 8, b"\xff" * (head - 8))
    kept, lost, _ = kept_and_lost(path, tmp_path / "out")
    assert (kept, lost) == (VALUES[:400] + VALUES[500:], [400])


@pytest.mark.parametrize("form", FORMS)
def test_batches_before_a_cut_are_kept_and_one_row_stands_for_the_rest(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)
    offset, head, body = places(path)[6]
    path.write_bytes(path.read_bytes()[: offset + head + body - 1])
    kept, lost, told = kept_and_lost(path, tmp_path / "out")
    assert (kept, lost) == (VALUES[:600], [600])
    assert f"it breaks off at byte {offset}" in told


@pytest.mark.parametrize("form", FORMS)
def test_a_file_or_stream_without_its_end_is_whole(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)
    path.write_bytes(path.read_bytes()[: sum(places(path)[-1])])
    kept, lost, _ = kept_and_lost(path, tmp_path / "out")
    assert (kept, lost) == (VALUES, [])


@pytest.mark.parametrize("deltas", [False, True])
def test_dictionaries_of_a_stream_that_grow_or_change_are_those_of_the_batch(tmp_path: Path, deltas: bool) -> None:
    path = tmp_path / "t.arrows"
    words = [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]] if deltas else [["a", "b"], ["c", "d"], ["b", "a"]]
    kind = pa.dictionary(pa.int8(), pa.string())
    batches = [pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), one), [1, 2]], ["d", "n"]) for one in words]
    schema = pa.schema([("d", kind), ("n", pa.int64())])
    with pa.ipc.new_stream(path, schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    table = IpcTable(pa.OSFile(str(path)))
    assert table.sizes == (2, 2, 2)
    for number in (2, 0, 1):
        assert table.batch(number).to_pydict() == batches[number].to_pydict()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
def test_no_bytes_break_the_reading_of_batches(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, form: str) -> None:
    path = written(tmp_path_factory.mktemp("fuzz"), form)
    size = path.stat().st_size
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, 255)), min_size=1, max_size=6)):
        change(path, place, bytes([value]))
    with suppress(OSError, pa.ArrowException, UnicodeDecodeError):
        table = IpcTable(pa.OSFile(str(path)))
        assert sum(table.sizes) <= 2 * ROWS
        for number, rows in enumerate(table.sizes):
            with suppress(OSError, pa.ArrowException):
                assert table.batch(number).num_rows == rows
