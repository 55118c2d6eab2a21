"""Arrays of JSON objects are read as tables, an element a row, whatever their layout and wherever blocks end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis.sources import jsonarrays
from tamis.sources.jsonarrays import array_lines
from tamis.sources.listing import list_source

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"', "],[", "{", "},{", "a\nb", "ü"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ELEMENTS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=5)


def lines(text: bytes, cut: int) -> list[bytes]:
    """Return the lines of an array that comes in blocks of so many bytes."""
    parts = [text[at : at + cut] for at in range(0, len(text), cut)]
    blocks = ((part, number == len(parts) - 1) for number, part in enumerate(parts))
    return [line for line in b"".join(block for block, _ in array_lines(blocks)).split(b"\n") if line.strip()]


@given(ELEMENTS, st.sampled_from([None, 0, 2, "\t"]), st.booleans(), st.integers(1, 40))
def test_each_element_is_a_line(elements: list[dict[str, Any]], indent: int | str | None, ascii_only: bool, cut: int) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_only)
    assert [json.loads(line) for line in lines(text.encode(), cut)] == elements
    assert [json.loads(line) for line in lines(text.replace("\n", "\r\n").encode(), cut)] == elements


def test_the_compiled_function_is_the_interpreted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([{"a": 'q"\\[{', "b": [1, {"c": "]"}]}, {"a": None}], indent=1).encode()
    told = lines(text, 7)
    monkeypatch.setattr(jsonarrays, "COMPILED_BYTES", 0)
    assert lines(text, 7) == told == [line for line in told if json.loads(line)]
    assert len(told) == 2


def test_an_array_is_a_table_and_a_bad_element_is_one_row(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.json").write_text('[\n {"text": "one, [two]",\n  "n": 1},\n {"text": "three" "n": 2},\n {"text": "four", "n": 3}\n]\n')
    (source / "more.json.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf [ {"text": "five", "n": 4} ]'))
    (source / "cut.json").write_text('[{"text": "six", "n": 5}, {"text": "sev')
    (source / "tail.json").write_text('[{"text": "eight", "n": 6}] and more')
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    told = sorted(result.rejected.select("record", "reason").collect().rows())
    assert told == [("cut.json#1", "bad_json"), ("tail.json#1", "bad_json"), ("train.json#1", "bad_json")]
    kept = pl.concat([pl.read_parquet(path) for path in (tmp_path / "out" / "clean").rglob("*.parquet")])
    assert sorted(kept.select("text", "n").rows()) == [("eight", 6), ("five", 4), ("four", 3), ("one, [two]", 1), ("six", 5)]


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", "[]", "", "[[{}]]", 'x [{"a": 1}]'])
def test_other_json_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert [file.kind for file in list_source(tmp_path).files] == ["media"]


@pytest.mark.parametrize("beside", ["a.jpg", "set.tar"])
def test_beside_media_an_array_belongs_to_them(tmp_path: Path, beside: str) -> None:
    (tmp_path / "captions.json").write_text('[{"image": "a.jpg"}]')
    assert [file.kind for file in list_source(tmp_path).files] == ["table"]
    (tmp_path / beside).write_bytes(b"\xff\xd8\xff")
    assert {file.record: file.kind for file in list_source(tmp_path).files}["captions.json"] == "media"


def test_encodings_of_arrays(tmp_path: Path) -> None:
    (tmp_path / "wide.json").write_text('[{"a": "ü"}]', encoding="utf-16")
    (tmp_path / "broken.json.gz").write_bytes(b"\x1f\x8b")
    assert {file.record: file.kind for file in list_source(tmp_path).files} == {"broken.json.gz": "media", "wide.json": "table"}
