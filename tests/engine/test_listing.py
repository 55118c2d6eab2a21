"""Listing: every name in a source is a file or a problem with a reason, in an order that depends on the names alone."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import pyarrow as pa
import pytest

from tamis.errors import SourceError
from tamis.sources.listing import is_table, list_source, record_id


def reasons(source: Path) -> dict[str, str]:
    return {problem.record: problem.reason for problem in list_source(source).problems}


def test_folder_is_listed_recursively_in_the_order_of_the_record_ids(tmp_path: Path) -> None:
    for name in ("b.csv", "a/z.png", "a/.hidden", "a b.parquet", "a/c/ü.csv.gz"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    listing = list_source(tmp_path)
    assert [(file.record, file.kind) for file in listing.files] == [
        ("a b.parquet", "table"),
        ("a/.hidden", "media"),
        ("a/c/ü.csv.gz", "table"),
        ("a/z.png", "media"),
        ("b.csv", "table"),
    ]
    assert listing.root == tmp_path
    assert listing.problems == ()
    first = listing.files[0]
    assert (first.size, first.mtime_ns) == (5, (tmp_path / "a b.parquet").stat().st_mtime_ns)
    assert pickle.loads(pickle.dumps(listing)) == listing


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.CSV", True),
        ("a.csv.zst", True),
        ("a.ndjson.bz2", True),
        ("a.arrows", True),
        ("a.parquet.gz", False),
        ("a.gz", False),
        ("csv", False),
    ],
)
def test_tables_are_told_by_their_names(name: str, expected: bool) -> None:
    assert is_table(name) is expected


def test_names_that_are_not_text_get_distinct_ids_that_can_be_written_as_text(tmp_path: Path) -> None:
    names = [b"\xff.png", b"\xfe.png", b"bytes:%FF.png", b"new\nline.png", b"%FF.png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    listing = list_source(tmp_path)
    records = [file.record for file in listing.files]
    assert sorted(records) == ["%FF.png", "bytes:%FE.png", "bytes:%FF.png", "bytes:bytes%3A%25FF.png", "new\nline.png"]
    assert pa.array(records, pa.string()).to_pylist() == records
    for file in listing.files:
        assert Path(file.path).exists()
        assert record_id(file.path, str(tmp_path)) == file.record


def test_what_is_no_file_is_a_problem_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").touch()
    (source / "good.png").touch()
    os.mkfifo(source / "fifo.csv")
    (source / "loop").symlink_to("loop")
    (source / "broken").symlink_to("nowhere")
    (source / "folder" / "up").symlink_to(source, target_is_directory=True)
    (source / "out").symlink_to(outside, target_is_directory=True)
    (source / "device").symlink_to("/dev/null")
    (source / "link.png").symlink_to("good.png")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(source)  # the path of a socket must be short
        server.bind("socket")
    assert reasons(source) == {
        "broken": "broken_link",
        "device": "device",
        "fifo.csv": "fifo",
        "folder/up": "directory_link",
        "loop": "link_loop",
        "out": "directory_link",
        "socket": "socket",
    }
    assert [file.record for file in list_source(source).files] == ["good.png", "link.png"]
    told = {problem.record: problem.detail for problem in list_source(source).problems}
    assert told["broken"] == "the link leads to 'nowhere', which is not there"


def test_a_folder_that_cannot_be_opened_is_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.png").touch()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_source(tmp_path)
    assert [(one.record, one.reason, one.detail) for one in listing.problems] == [("closed", "unreadable", "Permission denied")]
    assert [file.record for file in listing.files] == ["open.png"]
    with pytest.raises(SourceError, match=r"the source .*closed cannot be read: Permission denied"):
        list_source(tmp_path / "closed")


def test_a_file_without_read_permission_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert reasons(tmp_path) == {"a.png": "unreadable"}


def test_output_folder_inside_the_source_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()
    (tmp_path / "output.png").touch()
    assert [file.record for file in list_source(tmp_path, exclude=tmp_path / "out").files] == ["output.png"]


def test_one_file_several_and_a_pattern(tmp_path: Path) -> None:
    for name in ("x/a.csv", "x/b.csv", "y/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    single = list_source(str(tmp_path / "x" / "a.csv"))
    assert (single.root, [file.record for file in single.files]) == (tmp_path / "x", ["a.csv"])
    several = list_source([tmp_path / "y", tmp_path / "x" / "b.csv", tmp_path / "x"])
    assert (several.root, [file.record for file in several.files]) == (tmp_path, ["x/a.csv", "x/b.csv", "y/c.png"])
    pattern = list_source(f"{tmp_path}/**/*.csv")
    assert (pattern.root, [file.record for file in pattern.files]) == (tmp_path, ["x/a.csv", "x/b.csv"])


def test_a_name_with_pattern_characters_is_taken_literally_if_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").touch()
    assert [file.record for file in list_source(tmp_path / "a[1].csv").files] == ["a[1].csv"]


def test_a_link_to_a_folder_can_be_the_source(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "link").symlink_to("real")
    assert [file.record for file in list_source(tmp_path / "link").files] == ["a.png"]


def test_wrong_sources_say_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(SourceError, match=r"there is no file or folder.*Did you mean 'photos'"):
        list_source(tmp_path / "photo")
    with pytest.raises(SourceError, match="nothing to clean in"):
        list_source(tmp_path / "photos")
    with pytest.raises(SourceError, match="no file matches the pattern"):
        list_source(f"{tmp_path}/*.csv")
    with pytest.raises(SourceError, match="empty list"):
        list_source([])
