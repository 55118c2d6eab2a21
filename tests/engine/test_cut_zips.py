"""Zips whose end is missing: members that are whole are used, and one row of the ledger says where the archive is cut."""

from __future__ import annotations

import io
import signal
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import balanced, outputs
from test_archives import index, payloads, problems
from test_hostile import photo, reasons
from test_zips import copied

import tamis
from tamis.errors import RunInterrupted
from tamis.progress import Silent
from tamis.sources.containers import index_archive
from tamis.sources.listing import SourceFile, list_source
from tamis.sources.members import Indexed
from tamis.sources.payload import PayloadReader, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a.jpg", "b.jpg", "c.jpg")
PHOTOS = {name: photo(number) for number, name in enumerate(NAMES)}
SMALL = {"a.jpg": b"a" * 50, "b.jpg": bytes(range(60)), "c.jpg": b"c"}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


class Stream(io.RawIOBase):
    """Takes bytes and cannot go back, so that sizes and CRC of a member follow its payload."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.taken += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def made(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False, wide: bool = False) -> bytes:
    target = Stream() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10))
            info.compress_type = method
            with archive.open(info, "w", force_zip64=wide) as member:
                member.write(data)
    return bytes(target.taken if isinstance(target, Stream) else target.getvalue())


def listed(path: Path) -> tuple[SourceFile, Path]:
    status = path.stat()
    return SourceFile(path.name, str(path), status.st_size, status.st_mtime_ns, "archive"), path.with_suffix(".unpacked")


def places(data: bytes) -> dict[str, int]:
    """Return where the headers, and the directory, of a whole zip stand."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: info.header_offset for info in archive.infolist()} | {"directory": archive.start_dir}


def written(folder: Path, data: bytes | bytearray) -> Path:
    path = folder / "z.zip"
    path.write_bytes(data)
    return path


CUTS: dict[str, tuple[Callable[[bytes], int], int, str]] = {
    "in a header": (lambda data: places(data)["c.jpg"] + 12, 2, ""),
    "in a header's signature": (lambda data: places(data)["c.jpg"] + 2, 2, ""),
    "at a header": (lambda data: places(data)["c.jpg"], 2, ""),
    "in a name": (lambda data: places(data)["c.jpg"] + 32, 2, ""),
    "in a payload": (lambda data: places(data)["c.jpg"] + 900, 2, "c.jpg"),
    "in what ends a member": (lambda data: places(data)["directory"] - 1, 2, "c.jpg"),
    "at the directory": (lambda data: places(data)["directory"], 3, ""),
    "in the directory's signature": (lambda data: places(data)["directory"] + 3, 3, ""),
    "in the directory": (lambda data: places(data)["directory"] + 60, 3, ""),
    "in the last record": (lambda data: len(data) - 1, 3, ""),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cut", CUTS)
def test_members_before_a_cut_are_read_and_one_row_tells_of_it(tmp_path: Path, cut: str, method: int, streamed: bool, wide: bool) -> None:
    data = made(PHOTOS, method, streamed=streamed, wide=wide)
    find, saved, name = CUTS[cut]
    end = find(data)
    path = written(tmp_path, data[:end])
    found = index(path)
    assert payloads(found) == {f"z.zip/{one}": PHOTOS[one] for one in NAMES[:saved]}
    at = places(data)[(*NAMES, "directory")[saved]]
    [lost] = found.problems
    assert (lost.record, lost.reason) == (f"z.zip/{name}" if name else f"z.zip@{at}", "truncated")
    assert f"ends at byte {end} " in lost.detail
    assert lost.detail.endswith(f"Members before byte {at}, which are read: {saved}")
    assert path.read_bytes() == data[:end]
    with zipfile.ZipFile(copied(found, {"z.zip/a.jpg", "z.zip/b.jpg"})) as archive:
        assert archive.testzip() is None
        assert [(one.filename, one.compress_type, one.date_time) for one in archive.infolist()] == [
            (one, method, (2024, 5, 6, 7, 8, 10)) for one in NAMES[:2]
        ]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", METHODS[:2])
def test_wherever_a_zip_is_cut_just_the_members_before_are_read(tmp_path: Path, method: int, streamed: bool) -> None:
    data = made(SMALL, method, streamed=streamed)
    ends = [*places(data).values()][1:]
    for cut in range(1, len(data)):
        found = index_archive(*listed(written(tmp_path, data[:cut])))
        assert isinstance(found, Indexed)
        saved = sum(end <= cut for end in ends)
        assert payloads(found) == {f"z.zip/{name}": SMALL[name] for name in [*SMALL][:saved]}
        assert [problem.reason for problem in found.problems] == ["truncated" if saved else "unreadable_archive"]


@settings(max_examples=100)
@given(data=st.data())
def test_no_bytes_break_the_walk(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    method, streamed, wide = data.draw(st.tuples(st.sampled_from(METHODS), st.booleans(), st.booleans()))
    content = bytearray(made(SMALL, method, streamed=streamed, wide=wide))
    for place, value in data.draw(st.lists(st.tuples(st.integers(4, len(content) - 1), st.integers(0, 255)), max_size=6)):
        content[place] = value
    path = written(tmp_path_factory.mktemp("cut"), content[: data.draw(st.integers(0, len(content)))])
    found = index_archive(*listed(path))
    assert isinstance(found, Indexed)
    records = [*(file.record for file in found.files), *(problem.record for problem in found.problems)]
    assert len(records) == len(set(records)) > 0
    with PayloadReader(10_000) as reader:
        for file in found.files:
            with suppress(Unavailable):
                assert reader.read(file) in SMALL.values()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_zip_without_a_whole_member_is_one_unreadable_record(tmp_path: Path, streamed: bool) -> None:
    path = written(tmp_path, made(PHOTOS, streamed=streamed)[:900])
    found = index(path)
    assert (problems(found), found.files) == ({"z.zip": "unreadable_archive"}, ())
    assert list(tmp_path.iterdir()) == [path]


def test_what_refuses_a_member_of_a_whole_zip_does_so_in_a_cut_one(tmp_path: Path) -> None:
    members = {"zeros.bmp": bytes(20_000_000), "locked.jpg": photo(8), "../up.jpg": photo(9), "folder/": b"", **PHOTOS}
    data = bytearray(made(members, streamed=True))
    at = places(bytes(data))
    data[at["locked.jpg"] + 6] |= 1
    found = index(written(tmp_path, data[: at["c.jpg"] + 900]))
    assert problems(found) == {
        "z.zip/zeros.bmp": "bomb",
        "z.zip/locked.jpg": "encrypted",
        "z.zip/../up.jpg": "unsafe_path",
        "z.zip/c.jpg": "truncated",
    }
    assert payloads(found) == {f"z.zip/{name}": PHOTOS[name] for name in NAMES[:2]}


@pytest.mark.parametrize(("size", "reason"), [(100, "wrong_size"), (100_000_000, "bomb")])
def test_a_size_behind_a_payload_that_lies_costs_one_member(tmp_path: Path, size: int, reason: str) -> None:
    data = bytearray(made(PHOTOS, streamed=True))
    at = places(bytes(data))
    struct.pack_into("<I", data, at["c.jpg"] - 4, size)
    found = index(written(tmp_path, data[: at["directory"]]))
    assert read(found) == {"z.zip/a.jpg": "", "z.zip/b.jpg": reason, "z.zip/c.jpg": "", f"z.zip@{at['directory']}": "truncated"}


def read(found: Indexed) -> dict[str, str]:
    """Return the reason of every record, which is empty where its payload can be read."""
    told = problems(found)
    with PayloadReader(1 << 30) as reader:
        for file in found.files:
            try:
                reader.read(file)
                told[file.record] = ""
            except Unavailable as error:
                told[file.record] = error.reason
    return told


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_damage_in_a_payload_costs_one_member_and_in_a_header_the_rest(tmp_path: Path, method: int, streamed: bool) -> None:
    data = made(PHOTOS, method, streamed=streamed)
    at = places(data)
    damaged = bytearray(data[: at["directory"]])
    damaged[at["b.jpg"] + 900] ^= 0xFF
    told = read(index(written(tmp_path, damaged)))
    assert told.pop("z.zip/b.jpg") in ("wrong_crc", "wrong_size", "damaged_member")
    assert told == {"z.zip/a.jpg": "", "z.zip/c.jpg": "", f"z.zip@{at['directory']}": "truncated"}
    damaged[at["b.jpg"]] = 0
    assert read(index(written(tmp_path, damaged))) == {"z.zip/a.jpg": "", f"z.zip@{at['b.jpg']}": "damaged_header"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("place", ["b.jpg", "c.jpg", "directory"])
@pytest.mark.parametrize("beyond", [-15, 0, 2, 60])
def test_members_of_a_zip_within_a_cut_one_are_not_taken_for_its_own(
    tmp_path: Path, beyond: int, place: str, method: int, streamed: bool
) -> None:
    inner = made({"x.jpg": photo(5), "y.jpg": photo(6)}, zipfile.ZIP_STORED, streamed=streamed)
    members = {"a.jpg": photo(0), "inner.zip": inner, "b.jpg": photo(1), "c.jpg": photo(2)}
    if place == "directory":
        members = {"a.jpg": photo(0), "b.jpg": photo(1), "c.jpg": photo(2), "inner.zip": inner}
    data = made(members, method, streamed=streamed)
    end = places(data)[place] + beyond
    found = index(written(tmp_path, data[:end]))
    whole = [name for name in members if [*places(data).values(), 0][list(members).index(name) + 1] <= end]
    assert payloads(found) == {f"z.zip/{name}": members[name] for name in whole if name != "inner.zip"}
    told = problems(found)
    assert told.pop("z.zip/inner.zip") == ("nested_archive" if "inner.zip" in whole else "truncated")
    assert list(told.values()) == ["truncated"] * ("inner.zip" in whole)


def test_an_inner_zip_is_not_taken_for_the_cut_one_where_no_member_is_whole(tmp_path: Path) -> None:
    data = made({"inner.zip": made(PHOTOS), **PHOTOS}, zipfile.ZIP_STORED, streamed=True)
    found = index(written(tmp_path, data[: places(data)["a.jpg"] - 1]))
    assert (problems(found), found.files) == ({"z.zip/inner.zip": "truncated"}, ())


def test_bytes_in_front_of_a_whole_zip_and_behind_it_are_no_cut(tmp_path: Path) -> None:
    data, other = made(PHOTOS), made({"first.jpg": photo(7)})
    for front in (b"#!/bin/sh\n", other, other[:-22]):
        found = index(written(tmp_path, front + data + b"\n"))
        assert payloads(found) == {f"z.zip/{name}": content for name, content in PHOTOS.items()}
        assert not found.problems
        assert not found.container.unpacked


def test_members_of_equal_names_keep_their_ids_beside_the_one_that_is_cut(tmp_path: Path) -> None:
    data = made({"a.jpg": photo(0), "b.jpg": photo(1)}).replace(b"b.jpg", b"a.jpg")
    end = data.index(b"PK\x01\x02") - 1
    found = index(written(tmp_path, data[:end]))
    assert payloads(found) == {"z.zip/a.jpg": photo(0)}
    [lost] = found.problems
    assert lost.record.startswith("z.zip/a@")


def test_a_member_without_a_name_has_an_id_beside_that_of_the_cut(tmp_path: Path) -> None:
    data = made({"./": b"one", **PHOTOS})
    found = index(written(tmp_path, data[:-1]))
    at = places(data)["directory"]  # as in the mended copy, where the nameless member's entry stands there
    assert problems(found) == {f"z.zip@{at}": "unsafe_path", f"z.zip@{at}@{at}": "truncated"}


class Press(Silent):
    """Press Ctrl-C at the first thing that is done."""

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:  # noqa: ARG002 - the contract's signature
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    members = {"d/a.jpg": photo(0), "d/b.jpg": photo(1), "copy.jpg": photo(0), "c.jpg": photo(2)}
    written(folder, made(members, streamed=True)[:-400])
    (folder / "loose.jpg").write_bytes(photo(1))
    return folder


def test_a_run_keeps_the_members_of_a_cut_zip_and_says_what_is_lost(source: Path, tmp_path: Path) -> None:
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert balanced(result.manifest)
    assert result.manifest["counts"]["read"] == 5
    assert reasons(tmp_path / "out") == {
        "z.zip/copy.jpg": "exact_duplicate",
        "z.zip/d/b.jpg": "exact_duplicate",
        "z.zip/c.jpg": "truncated",
    }
    [detail] = result.rejected.filter(pl.col("reason") == "truncated").select("detail").collect()["detail"]
    assert detail.endswith("which are read: 3")
    with zipfile.ZipFile(tmp_path / "out" / "clean" / "z.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"d/a.jpg": photo(0)}
    again = tamis.clean(tmp_path / "out" / "clean", tmp_path / "again", jobs=1)
    assert again.rejected.collect().is_empty()
    assert outputs(tmp_path / "again")["clean/z.zip"] == (tmp_path / "out" / "clean" / "z.zip").read_bytes()
    tamis.clean(source, tmp_path / "files", jobs=1, settings={"output.shape": "files"})
    assert (tmp_path / "files" / "clean" / "z.zip" / "d" / "a.jpg").read_bytes() == photo(0)


@pytest.mark.parametrize("copy", ["stays", "is gone"])
def test_a_run_over_a_cut_zip_that_is_stopped_goes_on(source: Path, tmp_path: Path, copy: str) -> None:
    tamis.clean(source, tmp_path / "whole", jobs=1)
    out = tmp_path / "out"
    with pytest.raises(RunInterrupted):
        tamis.clean(source, out, jobs=1, progress=Press())
    [mended] = [path for path in (out / ".tamis" / "staged").iterdir() if not path.suffix]
    if copy == "is gone":
        mended.unlink()
    tamis.clean(source, out, jobs=1)
    assert outputs(out) == outputs(tmp_path / "whole")


def test_a_zip_that_changes_in_the_run_loses_its_members(source: Path) -> None:
    [file] = [file for file in list_source(source).files if file.kind == "archive"]
    found = index(Path(file.path))
    Path(file.path).write_bytes(b"changed")
    with PayloadReader(1 << 30) as reader, pytest.raises(Unavailable, match="changed during the run"):
        reader.read(found.files[0])
