"""The compiled scanner of NDJSON lines and Python's json read the same table from any bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tamis.sources import ndjson
from tamis.sources.ndjson import read_ndjson
from tamis.sources.rows import free_names

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = st.sampled_from(["id", "text", "value", "größe", "", "a b", 'quo"te', "id2"])
NUMBERS = st.sampled_from(
    ["0", "-0", "12", "-3.50", "1e5", "1E-07", "2.5e+10", "01", "1.", ".5", "-", "+1", "1e", "NaN", "Infinity", "-Infinity"]
)
SCALARS = st.one_of(
    NUMBERS,
    st.text(max_size=12).map(json.dumps),
    st.text(max_size=12).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        ["true", "false", "null", "tru", "nul", "True", '"a\\u00e9"', '"tab\\t"', '"raw\ttab"', '"open', "[1, 2.50]", '{"b": [null]}', ""]
    ),
)
SPACE = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def lines(draw: Any) -> bytes:
    cells = draw(st.lists(st.tuples(KEYS, SCALARS), max_size=4))
    space = draw(SPACE)
    body = f"{space},{space}".join(f"{json.dumps(key, ensure_ascii=False)}{space}:{space}{value}" for key, value in cells)
    line = f"{space}{{{space}{body}{space}}}{draw(SPACE)}"
    text: str = draw(st.sampled_from([line, f"{line},", line[:-1], "[1]", "", "   ", "null"]))
    return text.encode() + (b"\r" if draw(st.booleans()) else b"")


FILES = st.one_of(
    st.tuples(st.lists(lines(), max_size=8), st.booleans()).map(lambda pair: b"\n".join(pair[0]) + b"\n" * pair[1]),
    st.binary(max_size=60),
    st.lists(st.sampled_from([b'{"a": 1}\n', b'{"a": "\xff"}\n', b'{"b": "x", "a": 2}\n', b'{"a": 1, "a": 2}\n', b"\x00\n"])).map(b"".join),
)


def blocks(data: bytes, size: int) -> Iterator[tuple[bytes, bool]]:
    for start in range(0, max(1, len(data)), size):
        yield data[start : start + size], start + size >= len(data)


def table(data: bytes, size: int) -> tuple[list[dict[str, str | None]], list[tuple[int, str, str]], list[str]]:
    """Return rows, bad rows numbered within the file, and notes."""
    notes: list[str] = []
    rows: list[dict[str, str | None]] = []
    bad: list[tuple[int, str, str]] = []
    for chunk in read_ndjson(blocks(data, size), notes=notes):
        bad += [(len(rows) + one.row, one.reason, one.raw) for one in chunk.bad]
        cells = {name: column.to_pylist() for name, column in chunk.columns.items()}
        rows += [{name: column[row] for name, column in cells.items() if column[row] is not None} for row in range(chunk.rows)]
    return rows, bad, notes


@given(data=FILES, size=st.sampled_from([1, 7, 64, 1 << 20]))
def test_the_scanner_reads_what_python_reads(data: bytes, size: int) -> None:
    found = []
    for least in (0, 1 << 60):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ndjson, "SCANNED_BYTES", least)
            found.append(table(data, size))
    assert found[0] == found[1]


@given(data=FILES, least=st.sampled_from([0, 1 << 60]), room=st.sampled_from([1, 8, 20]))
def test_how_many_cells_a_chunk_has_changes_nothing(data: bytes, least: int, room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "SCANNED_BYTES", least)
        expected = table(data, 1 << 20)
        patch.setattr(ndjson, "CELLS", room)
        assert table(data, 1 << 20) == expected


def test_rows_with_more_keys_than_a_table_may_have_are_bad_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "COLUMN_LIMIT", 3)
    rows, bad, _ = table(b'{"a": 1, "b": 2}\n{"c": 3}\n{"d": 4}\n{"a": 5}\n', 1 << 20)
    assert rows == [{"a": "1", "b": "2"}, {"c": "3"}, {}, {"a": "5"}]
    assert bad == [(2, "too_many_columns", '{"d": 4}')]


@given(data=FILES, size=st.sampled_from([1, 7, 64]))
@example(data=b'{}\n{"id":0}\n{"":0}', size=1)  # a nameless column is numbered by its place in the file, not in the block
def test_where_a_file_is_cut_into_blocks_changes_nothing(data: bytes, size: int) -> None:
    assert table(data, size)[:2] == table(data, 1 << 20)[:2]


def test_flat_lines_keep_their_spelling_and_others_are_read_in_full() -> None:
    data = b'{"a": 1.50, "b": "x"}\n{"b": null, "a": "\\u00e9"}\n{"c": {"d": 2.0}, "a": true}\n{"a": 01}\n'
    rows, bad, notes = table(data * 3000, 1 << 16)
    assert rows[:4] == [{"a": "1.50", "b": "x"}, {"a": "é"}, {"a": "true", "c": '{"d":2.0}'}, {}]
    assert rows[4:8] == rows[:4]
    assert [row for row, _, _ in bad] == list(range(3, 12_000, 4))
    assert notes == []


@pytest.mark.parametrize("times", [1, 5000])
def test_a_key_that_an_object_repeats_loses_no_value(times: int) -> None:
    line = b'{"a": 1, "b": {"c": 1, "c": 2}, "a": null, "a": 3}\n{"a": 4}\n{"b": "x", "b": "y"}\n'
    rows, bad, notes = table(line * times, 1 << 20)
    assert rows == [{"a": "1", "b": '{"c":1,"c_2":2}', "a_3": "3"}, {"a": "4"}, {"b": "x", "b_2": "y"}] * times
    assert bad == []
    assert notes == [f"{3 * times:,} objects repeat a key: the second is NAME_2"]


def test_many_keys_of_one_name_are_told_apart_one_after_the_other() -> None:
    tried = 0

    class Mark(str):
        __slots__ = ()

        def __format__(self, form: str) -> str:
            nonlocal tried
            tried += 1
            return super().__format__(form)

    assert free_names(["a"] * 3000, (), Mark(" "))[-1] == "a 3000"
    assert tried == 2999
