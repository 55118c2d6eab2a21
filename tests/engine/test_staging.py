"""Staging: every row of a text table is a row of the staged file or a bad row with its reason and its text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import pickle
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.sources import scanner, staging, text
from tamis.sources.delimited import read_delimited
from tamis.sources.listing import Problem, SourceFile, list_source
from tamis.sources.rows import BadRow
from tamis.sources.scanner import scan
from tamis.sources.staging import Staged, stage
from tamis.sources.tables import TableReader


def write(folder: Path, name: str, content: bytes) -> SourceFile:
    path = folder / name
    path.write_bytes(content)
    return list_source(path).files[0]


def staged(folder: Path, name: str, content: bytes) -> tuple[Staged, pl.DataFrame, list[BadRow]]:
    """Stage a file of that content, and return the result, all rows and the bad rows."""
    file = write(folder, name, content)
    result = stage(file, folder / "staged.parquet")
    assert isinstance(result, Staged), result
    reader = TableReader(file, result.path)
    assert (reader.rows, reader.row_groups, reader.columns) == (result.rows, result.row_groups, result.columns)
    bad = reader.bad_rows(0, reader.rows)
    assert len(bad) == result.bad
    assert not list(folder.glob("*.part"))
    return result, reader.read(0, reader.rows), bad


def problem(folder: Path, name: str, content: bytes) -> Problem:
    result = stage(write(folder, name, content), folder / "staged.parquet")
    assert isinstance(result, Problem), result
    assert not list(folder.glob("*.part"))
    return result


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_newlines_are_found(tmp_path: Path, delimiter: str, newline: str) -> None:
    lines = [["a", "b", "c"], ["1,5", "x;y", 'say "hi"'], ["2|3", "p\nq", ""]]
    if newline == "\r":
        lines[2][1] = "p q"
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=newline).writerows(lines)
    _, frame, bad = staged(tmp_path, "t.csv", buffer.getvalue().encode())
    assert frame.columns == lines[0]
    assert [list(row) for row in frame.rows()] == lines[1:]
    assert bad == []


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"], ids=lambda encoding: str(encoding)
)
def test_encodings_with_and_without_a_mark_are_read(tmp_path: Path, encoding: str) -> None:
    content = "name,value\nplain text of latin letters,1\nZürich °C €,2\n"
    _, frame, _ = staged(tmp_path, "t.csv", content.encode(encoding))
    assert frame.to_dict(as_series=False) == {"name": ["plain text of latin letters", "Zürich °C €"], "value": ["1", "2"]}


def test_bytes_that_are_not_utf8_are_read_as_windows_1252_record_by_record(tmp_path: Path) -> None:
    content = "name,value\nZürich,1\n".encode() + "Zürich €,2\n".encode("cp1252") + b"\x81,3\n"
    result, frame, bad = staged(tmp_path, "t.csv", content)
    assert frame["name"].to_list() == ["Zürich", "Zürich €", "\x81"]
    assert bad == []
    assert any("2 records are not UTF-8" in note for note in result.notes)


def test_ragged_rows_keep_their_number_and_their_text(tmp_path: Path) -> None:
    content = b'a,b\n1,2\n\n3\n"x\ny",4\n5,6,"7\n8"\n\n9,\n'
    result, frame, bad = staged(tmp_path, "t.csv", content)
    assert result.rows == 5
    assert frame.rows() == [("1", "2"), (None, None), ("x\ny", "4"), (None, None), ("9", "")]
    assert bad == [
        BadRow(1, "ragged_row", "1 field where the table has 2", "3"),
        BadRow(3, "ragged_row", "3 fields where the table has 2", '5,6,"7\n8"'),
    ]


def test_an_unclosed_quote_costs_one_row(tmp_path: Path) -> None:
    _, frame, bad = staged(tmp_path, "t.csv", b'a,b\n1,2\n3,"oops\n5,6\n7,8\n')
    assert frame["a"].to_list() == ["1", None, "5", "7"]
    assert [(row.row, row.reason, row.raw) for row in bad] == [(1, "unclosed_quote", '3,"oops')]


def test_a_quote_inside_a_field_is_a_plain_character(tmp_path: Path) -> None:
    _, frame, bad = staged(tmp_path, "t.csv", b'a,b\n5" pipe,1\n"x"y,2\n')
    assert (frame["a"].to_list(), bad) == (['5" pipe', "xy"], [])


def test_nul_bytes_stay_in_their_cell(tmp_path: Path) -> None:
    _, frame, bad = staged(tmp_path, "t.csv", b"a,b\n1\x00,2\n\x00\x00,4\n")
    assert (frame["a"].to_list(), bad) == (["1\x00", "\x00\x00"], [])


def test_missing_repeated_and_reserved_names_are_made_unique(tmp_path: Path) -> None:
    result, frame, _ = staged(tmp_path, "t.csv", b" a ,a,,__tamis_raw__,a\n1,2,3,4,5\n")
    assert frame.columns == ["a", "a_2", "column_3", "__tamis_raw___2", "a_3"]
    assert frame.row(0) == ("1", "2", "3", "4", "5")
    assert any("made unique" in note for note in result.notes)


def test_a_file_of_figures_has_no_header(tmp_path: Path) -> None:
    result, frame, _ = staged(tmp_path, "t.csv", b"987|990\n987|991\n")
    assert frame.to_dict(as_series=False) == {"column_1": ["987", "987"], "column_2": ["990", "991"]}
    assert any("no header" in note for note in result.notes)


def test_rows_that_are_all_wider_than_the_header_name_the_columns_it_lacks(tmp_path: Path) -> None:
    _, frame, bad = staged(tmp_path, "t.csv", b"a,b\n1,2,\n3,4,\n")
    assert (frame.columns, len(frame), bad) == (["a", "b", "column_3"], 2, [])


@pytest.mark.parametrize("header", ["P1\tP2", "ID3\tx", "GIF89a\tx"])
def test_a_header_that_begins_like_a_picture_is_one(tmp_path: Path, header: str) -> None:
    result, _, _ = staged(tmp_path, "t.tsv", f"{header}\n1\t2\n".encode())
    assert result.columns == tuple(header.split("\t"))


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    result, frame, _ = staged(tmp_path, "t.csv", b"a,b\r\n")
    assert (result.rows, frame.columns) == (0, ["a", "b"])


@pytest.mark.parametrize("name", ["t.csv", "t.ndjson", "t.parquet", "t.arrow"])
def test_an_empty_file_is_a_problem(tmp_path: Path, name: str) -> None:
    assert problem(tmp_path, name, b"").record == name


def test_a_row_longer_than_a_block_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 1 << 10)
    _, frame, bad = staged(tmp_path, "t.csv", b"a,b\n" + b"x" * 10_000 + b",1\ny,2\n")
    assert (frame["a"].str.len_bytes().to_list(), bad) == ([10_000, 1], [])


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("name", ["t.csv", "t.ndjson"])
@pytest.mark.parametrize("length", [9_000, 9_200, 10_240, 20_000])
def test_a_row_longer_than_the_limit_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, newline: bytes, length: int
) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr("tamis.sources.rows.RECORD_LIMIT", 1 << 12)
    long = b"x" * length
    lines = [b"a,b", b"1,2", long + b",1", b"y,2", b"z,3"]
    if name == "t.ndjson":
        newline = b"\n" if newline == b"\r" else newline
        lines = [b'{"a":"1"}', b'{"a":"%s"}' % long, b'{"a":"y"}', b'{"a":"z"}']
    _, frame, bad = staged(tmp_path, name, newline.join(lines) + newline)
    assert frame["a"].to_list() == ["1", None, "y", "z"]
    assert [(row.row, row.reason) for row in bad] == [(1, "too_long")]


def test_a_header_of_more_columns_than_a_table_may_have_is_told_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.sources.rows.COLUMN_LIMIT", 3)
    made: list[object] = []
    monkeypatch.setattr("tamis.sources.delimited._names", lambda *given: made.append(given))
    told = problem(tmp_path, "t.csv", b"a,b,c,d\n1,2,3,4\n")
    assert (told.reason, told.detail, made) == ("truncated", "the table has more than 3 columns", [])


@given(
    rows=st.lists(st.lists(st.text(st.sampled_from('ab",;\r\n 1é')), min_size=2, max_size=3), max_size=12),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@settings(deadline=None, max_examples=50)
def test_what_was_written_is_read_whatever_the_blocks(rows: list[list[str]], sizes: list[int], quoting: int) -> None:
    buffer = io.StringIO()
    lines = [["first", "second"], ["x", "y"], *rows]
    csv.writer(buffer, lineterminator="\r\n", quoting=quoting).writerows(lines)  # type: ignore[arg-type]
    content = buffer.getvalue().encode()
    begun = content.index(b"y") + 4 if quoting == csv.QUOTE_ALL else content.index(b"y") + 3
    pieces = [content[:begun]]
    while begun < len(content):
        pieces.append(content[begun : begun + sizes[len(pieces) % len(sizes)]])
        begun += len(pieces[-1])
    found: list[list[str] | None] = []
    for chunk in read_delimited(((piece, index == len(pieces) - 1) for index, piece in enumerate(pieces)), notes=[]):
        columns = [column.to_pylist() for column in chunk.columns.values()] or [[None] * chunk.rows]
        found += [None if row[0] is None else list(row) for row in zip(*columns, strict=True)]
        assert {bad.reason for bad in chunk.bad} <= {"ragged_row"}
    assert found == [row if len(row) == 2 else None for row in lines[1:]]


@given(data=st.binary(max_size=60).map(lambda raw: bytes(b'",\n\rab'[byte % 6] for byte in raw)), cut=st.integers(0, 60))
@settings(deadline=None, max_examples=100)
def test_records_found_in_two_parts_are_those_found_at_once(data: bytes, cut: int) -> None:
    whole, _ = scan(data, ",", final=True)
    ends, _ = scan(data[:cut], ",", final=False)
    begun = int(ends[-1]) if len(ends) else 0
    rest, _ = scan(data[begun:], ",", final=True)
    assert [*ends, *(rest + begun)] == list(whole)


@given(data=st.binary(max_size=60).map(lambda raw: bytes(b'",\n\rab'[byte % 6] for byte in raw)), limit=st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_records_found_one_at_a_time_are_those_found_at_once(data: bytes, limit: int) -> None:
    ends, widths = scan(data, ",", final=True, limit=limit)
    begun, found = 0, []
    while begun < len(data):
        first, width = scan(data[begun:], ",", final=True, limit=limit)
        begun += int(first[0])
        found.append((begun, int(width[0])))
    assert found == list(zip(ends.tolist(), widths.tolist(), strict=True))


@pytest.mark.parametrize("line", [b'12"x,"label\n', b'12"x,"y\r\n'])
def test_lines_behind_quotes_that_nothing_closes_are_read_a_few_times_at_most(line: bytes) -> None:
    reads = 0

    class Counted(bytes):
        def __getitem__(self, place: Any) -> Any:
            nonlocal reads
            reads += 1
            return super().__getitem__(place)

    data = Counted(b'1,"open\n' + 2000 * line)
    function: Any = getattr(scanner._scan, "py_func", scanner._scan)
    count = function(data, ord(","), True, len(data) // 2, np.empty(len(data), np.int64), np.empty(len(data), np.int32))
    assert count > 900
    assert reads < 6 * len(data)


def test_blank_unclosed_and_cut_records_are_told_apart() -> None:
    ends, widths = scan(b'a,b\n\n"x\ny', ",", final=True)
    assert (ends.tolist(), widths.tolist()) == ([4, 5, 8, 9], [2, 0, -1, 1])
    assert widths.dtype == np.int32
    ends, _ = scan(b'a,b\n\n"x\ny', ",", final=False)
    assert ends.tolist() == [4, 5]


@pytest.mark.parametrize("bad", [1, 50, 130])
def test_bad_rows_before_the_first_column_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 16)
    monkeypatch.setattr(text, "HEAD_BYTES", 16)
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 64)
    result, frame, told = staged(tmp_path, "t.ndjson", b"not json at all\n" * bad + b'{"a": 1}\n{"a": 2}\n')
    assert result.rows == bad + 2
    assert frame["a"].to_list() == [None] * bad + ["1", "2"]
    assert [row.row for row in told] == list(range(bad))


def test_json_lines_keep_numbers_as_they_are_written(tmp_path: Path) -> None:
    lines = [
        b'{"a": 1.50, "b": true, "c": [1, 2.0, null], "d": {"x": 1e400}}',
        b'{"b": null, "a": 12345678901234567890123, "e": "t\\u00e9xt"}',
        b"",
        b'{"a": NaN, "c": "[not, json]"}',
    ]
    _, frame, bad = staged(tmp_path, "t.ndjson", b"\n".join(lines))
    assert bad == []
    assert frame.to_dict(as_series=False) == {
        "a": ["1.50", "12345678901234567890123", "NaN"],
        "b": ["true", None, None],
        "c": ["[1,2.0,null]", None, "[not, json]"],
        "d": ['{"x":1e400}', None, None],
        "e": [None, "téxt", None],
    }


def test_a_workbook_and_an_array_by_the_name_of_a_table_are_told_with_a_remedy(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "t.csv", "w") as book:
        book.writestr("[Content_Types].xml", "<x/>")
    (tmp_path / "t.jsonl").write_text('[{"a": 1}]')
    for name, reason, remedy in (("t.csv", "not_a_table", "save its sheets as CSV"), ("t.jsonl", "bad_json", "to_json(lines=True)")):
        found = stage(list_source(tmp_path / name).files[0], tmp_path / "staged")
        assert isinstance(found, Problem)
        assert (found.reason, remedy in found.detail) == (reason, True)


def test_bad_json_lines_are_bad_rows(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    lines = [b"oops", b'{"a": 1}', b"[1, 2]", b'{"a": "\\ud800"}', b'{"a": ' + deep, b'{"a": "caf\xe9"}', b'{"a": 2']
    _, frame, bad = staged(tmp_path, "t.jsonl", b"\n".join(lines) + b"\n")
    assert frame["a"].to_list() == [None, "1", None, None, None, "café", None]
    assert [(row.row, row.reason) for row in bad] == [(row, "bad_json") for row in (0, 2, 3, 4, 6)]
    assert bad[0].raw == "oops"
    assert "not an array" in bad[1].detail


def test_keys_that_turn_up_late_become_columns_of_the_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    lines = [f'{{"a": {number}, "k{number // 40}": "x"}}'.encode() for number in range(120)]
    result, frame, _ = staged(tmp_path, "t.ndjson", b"bad\n" + b"\n".join(lines))
    assert result.columns == ("a", "k0", "k1", "k2")
    assert frame["a"].to_list() == [None, *map(str, range(120))]
    assert frame["k2"].count() == 40
    totals = {profile.name: (profile.counts["total"], profile.counts["null"]) for profile in result.profiles}
    assert totals == {"a": (121, 1), "k0": (121, 81), "k1": (121, 81), "k2": (121, 81)}


def test_row_groups_have_one_size_whatever_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 1000)
    content = b"a\n" + b"".join(b"x%d\n" % number for number in range(2500))
    assert staged(tmp_path, "t.csv", content)[0].row_groups == (1000, 1000, 500)
    monkeypatch.setattr(text, "BLOCK_BYTES", 999)
    result, frame, _ = staged(tmp_path, "t.csv", content)
    assert result.row_groups == (1000, 1000, 500)
    assert frame["a"].to_list() == [f"x{number}" for number in range(2500)]


CSV = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number * number) for number in range(50_000))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".zst", lambda raw: pa.compress(raw, codec="zstd", asbytes=True))],
)
def test_compressed_tables_are_read(tmp_path: Path, suffix: str, compress: object) -> None:
    assert callable(compress)
    _, frame, bad = staged(tmp_path, f"t.csv{suffix}", compress(CSV))
    assert (len(frame), bad, frame.row(49_999)) == (50_000, [], ("49999", str(49_999**2)))


def test_gzip_files_of_several_members_are_read_to_the_end(tmp_path: Path) -> None:
    _, frame, _ = staged(tmp_path, "t.csv.gz", gzip.compress(b"a\nx\n") + gzip.compress(b"y\n"))
    assert frame["a"].to_list() == ["x", "y"]


@pytest.mark.parametrize("zeros", [1, 100, 20_000])
def test_zeros_behind_compressed_data_are_no_break(tmp_path: Path, zeros: int) -> None:
    _, frame, bad = staged(tmp_path, "t.csv.gz", gzip.compress(b"a,b\n1,2\n") + bytes(zeros) + gzip.compress(b"3,4\n") + bytes(zeros))
    assert (frame.rows(), bad) == ([("1", "2"), ("3", "4")], [])


@pytest.mark.parametrize("damage", ["cut", "checksum", "garbage"])
def test_rows_before_a_break_in_gzip_are_kept_and_one_bad_row_marks_it(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(CSV)
    damaged = {"cut": whole[: len(whole) // 2], "checksum": whole[:-8] + bytes(8), "garbage": whole + b"garbage"}[damage]
    _, frame, bad = staged(tmp_path, "t.csv.gz", damaged)
    assert len(frame) > 20_000
    assert frame["a"].head(-1).to_list() == [str(number) for number in range(len(frame) - 1)]
    assert [(row.row, row.reason) for row in bad] == [(len(frame) - 1, "truncated")]
    if damage != "checksum":
        assert "the file breaks off" in bad[0].detail


def test_a_file_that_is_not_compressed_at_all_is_a_problem(tmp_path: Path) -> None:
    assert problem(tmp_path, "t.csv.gz", b"a,b\n1,2\n").reason == "truncated"


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "t.arrows"])
def test_native_tables_are_read_in_place(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"a": [1, None, 3], "b": ["1,5", "2,5", None], "c": [[1.0], [], None]})
    buffer = io.BytesIO()
    if name == "t.parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_ipc_stream(buffer) if name == "t.arrows" else frame.write_ipc(buffer)
    result, read, _ = staged(tmp_path, name, buffer.getvalue())
    assert result.path is None
    assert read.equals(frame)
    counts = {profile.name: dict(profile.counts) for profile in result.profiles}
    assert counts["a"] == {"total": 3}
    assert counts["b"] == {"total": 3, "null": 1, "characters": 6, "grouped": 2, "comma": 2}
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize("cut", [4, 100, -4, -100])
@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.arrows"])
def test_cut_native_tables_are_problems(tmp_path: Path, name: str, cut: int) -> None:
    frame = pl.DataFrame({"a": list(range(1000)), "b": ["x"] * 1000})
    buffer = io.BytesIO()
    if name == "t.parquet":
        frame.write_parquet(buffer)
    elif name == "t.arrow":
        frame.write_ipc(buffer)
    else:
        frame.write_ipc_stream(buffer)
    content = buffer.getvalue()[: cut if name != "t.arrows" or cut > 0 else cut - 100]
    assert problem(tmp_path, name, content).reason == "unreadable_table"


def test_a_corrupt_row_group_is_noted_and_the_others_are_profiled(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [f"text {number}" for number in range(3000)]})
    pq.write_table(table, path, row_group_size=1000, use_dictionary=False, compression="zstd")
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 200] = bytes(200)
    result = stage(write(tmp_path, "t.parquet", bytes(content)), tmp_path / "staged.parquet")
    assert isinstance(result, Staged)
    assert (result.rows, result.row_groups) == (3000, (1000, 1000, 1000))
    assert result.profiles[0].counts["total"] == 2000
    assert ["rows 1000 to 2000 of t.parquet cannot be read" in note for note in result.notes] == [True]
