"""Zip archives: every method is read and copied, and entries that lie cost one member."""

from __future__ import annotations

import io
import resource
import struct
import zipfile
from pathlib import Path

import pytest
from test_archives import index, payloads, problems, tar, zipped
from test_hostile import photo

from tamis.sources.containers import index_archive
from tamis.sources.listing import Problem, list_source
from tamis.sources.members import Indexed
from tamis.sources.payload import PayloadReader, Unavailable
from tamis.sources.zips import copy_zip


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_of_every_method_are_read_and_copied(tmp_path: Path, method: int) -> None:
    members = {"a.jpg": photo(1), "b.jpg": photo(2), "c.jpg": photo(3)}
    found = index(zipped(tmp_path / "z.zip", members.items(), method))
    assert payloads(found) == {f"z.zip/{name}": data for name, data in members.items()}
    with zipfile.ZipFile(copied(found, {"z.zip/a.jpg", "z.zip/c.jpg"})) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.jpg": photo(1), "c.jpg": photo(3)}
        assert {info.compress_type for info in archive.infolist()} == {method}


def copied(found: Indexed, kept: set[str]) -> io.BytesIO:
    target = io.BytesIO()
    copy_zip(found.container, [file.offset for file in found.files if file.record in kept], target)
    return target


def patched(path: Path, field: int, form: str, value: int, entry: int = 0) -> None:
    """Change a field of an entry of a zip's directory."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(entry + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    struct.pack_into(form, data, at + field, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "form", "value", "reason"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 97, "unsupported_method"),
        (16, "<I", 1, "wrong_crc"),
        (20, "<I", 1 << 30, "truncated"),
        (24, "<I", 3_000_000_000, "bomb"),
        (24, "<I", 100, "wrong_size"),
        (24, "<I", 7_000, "wrong_size"),
        (38, "<I", 0xA1FF0000, "link_in_archive"),
        (42, "<I", 0, "overlapping"),
        (42, "<I", 5, "overlapping"),
    ],
)
def test_zip_entries_that_lie_cost_one_member(tmp_path: Path, field: int, form: str, value: int, reason: str) -> None:
    path = zipped(tmp_path / "z.zip", [("a.jpg", photo(1)), ("b.jpg", photo(2)), ("c.jpg", photo(3))])
    patched(path, field, form, value, 1)
    found = index(path)
    told, sound = list(problems(found).values()), set()
    with PayloadReader(1 << 30) as reader:
        for file in found.files:
            try:
                reader.read(file)
                sound.add(file.record)
            except Unavailable as error:
                told.append(error.reason)
    assert reason in told
    assert len(told) + len(sound) == 3
    with zipfile.ZipFile(copied(found, sound)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(sound) >= 1


def test_a_zip_bomb_is_told_by_what_is_declared_and_by_what_comes_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "z.zip", [("zeros.bmp", bytes(20_000_000)), ("a.jpg", photo(1))])
    assert problems(index(path)) == {"z.zip/zeros.bmp": "bomb"}
    patched(path, 24, "<I", 1000)
    found = index(path)
    with PayloadReader(1 << 30) as reader, pytest.raises(Unavailable, match="more than 1000") as caught:
        reader.read(found.files[0])
    assert caught.value.reason == "wrong_size"
    [packed] = list_source(tar(tmp_path / "t.tar.gz", [("0.bmp", bytes(80_000_000))])).files
    told = index_archive(packed, tmp_path / "unpacked")
    assert isinstance(told, Problem)
    assert told.reason == "bomb"
    assert not (tmp_path / "unpacked").exists()


def test_a_dictionary_is_no_larger_than_what_is_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "z.zip", [("a.jpg", photo(1))], zipfile.ZIP_LZMA)
    data = bytearray(path.read_bytes())
    at = 30 + len("a.jpg") + 4 + 1
    data[at : at + 4] = b"\xff\xff\xff\xff"  # 4 GiB, which a decoder takes at once
    path.write_bytes(data)
    room = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), room[1]))
    try:
        assert payloads(index(path)) == {"z.zip/a.jpg": photo(1)}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, room)


def test_a_broken_directory_is_a_record_beside_a_member_without_a_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "z.zip", [("./", b"one"), ("b.jpg", photo(1))])
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02")] = 0
    path.write_bytes(data)
    told = [(problem.record.partition("@")[0], problem.reason) for problem in index(path).problems]
    assert sorted(told) == [("z.zip", "damaged_directory"), ("z.zip", "unsafe_path")]
    assert len(problems(index(path))) == 2
