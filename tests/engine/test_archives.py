"""Archives and tables of media as sources: what is whole is used, what is not or is hostile is in the ledger."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import outputs
from test_hostile import photo, reasons

import tamis
from tamis.sources.containers import index_archive
from tamis.sources.listing import Problem, SourceFile, as_bytes, as_text, list_source
from tamis.sources.members import Indexed
from tamis.sources.payload import PayloadReader, Unavailable

Members = Iterable[tuple[str, bytes]]
HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def tar(path: Path, members: Members, **how: int) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w", format=how.get("format", tarfile.GNU_FORMAT)) as archive:
        for name, data in members:
            add(archive, name, data)
    return path


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in fields.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def zipped(path: Path, members: Members, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def table(path: Path, pictures: list[bytes | None]) -> Path:
    rows = [None if one is None else {"bytes": one, "path": f"{i}.jpg"} for i, one in enumerate(pictures)]
    columns = {"label": pa.array(range(len(rows))), "image": pa.array(rows, HUGGING_FACE)}
    pq.write_table(pa.table(columns).replace_schema_metadata({"huggingface": "{}"}), path, row_group_size=3)
    return path


def index(path: Path) -> Indexed:
    [file] = list_source(path).files
    result = index_archive(file, path.with_suffix(".unpacked"))
    assert isinstance(result, Indexed), result
    return result


def payloads(found: Indexed) -> dict[str, bytes]:
    with PayloadReader(1 << 30) as reader:
        return {file.record: reader.read(file) for file in found.files}


def problems(found: Indexed) -> dict[str, str]:
    return {problem.record: problem.reason for problem in found.problems}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    shard = [(f"cat/{i}.{kind}", photo(i) if kind == "jpg" else b"{}") for i in range(12) for kind in ("jpg", "json")]
    tar(folder / "a.tar", [*shard, ("cat/12.jpg", photo(0))])
    tar(folder / "b.tar.gz", [("x.jpg", photo(20)), ("y.jpg", photo(1))])
    zipped(folder / "c.zip", [("d/2.jpg", photo(2)), ("d/30.jpg", photo(30)), ("d/e.png", photo(31)[:2000])])
    table(folder / "h.parquet", [photo(40), photo(3), None, photo(41), photo(40)])
    (folder / "loose.jpg").write_bytes(photo(30))
    return folder


FAULTS = {
    "a.tar/cat/12.jpg": "exact_duplicate",
    "b.tar.gz/y.jpg": "exact_duplicate",
    "c.zip/d/2.jpg": "exact_duplicate",
    "c.zip/d/30.jpg": "exact_duplicate",
    "h.parquet#1": "exact_duplicate",
    "h.parquet#2": "missing_payload",
    "h.parquet#4": "exact_duplicate",
}


def test_members_are_records_and_checks_work_across_containers_and_files(source: Path, tmp_path: Path) -> None:
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    found = reasons(tmp_path / "out")
    assert found.pop("c.zip/d/e.png")  # damaged, whatever the check calls it
    assert found == FAULTS
    counts = result.manifest["counts"]
    assert counts["read"] == counts["kept"] + counts["rejected"] == 12 + 1 + 2 + 3 + 5 + 1
    kept = dict(result.rejected.select("record", "kept").collect().iter_rows())
    assert kept["c.zip/d/30.jpg"] == "loose.jpg"
    assert "data:image/jpeg" in (tmp_path / "out" / "report.html").read_text()
    rows = result.rejected.filter(pl.col("source") == "h.parquet").select("record", "row").collect()
    assert rows.rows() == [("h.parquet#1", 1), ("h.parquet#2", 2), ("h.parquet#4", 4)]


def test_kept_members_come_back_in_the_shape_of_the_source_and_are_kept_again(source: Path, tmp_path: Path) -> None:
    tamis.clean(source, tmp_path / "out", jobs=1)
    clean = tmp_path / "out" / "clean"
    with tarfile.open(source / "a.tar") as before, tarfile.open(clean / "a.tar") as after:
        assert after.getnames() == before.getnames()[:-1]
        assert all(after.extractfile(name).read() == before.extractfile(name).read() for name in after.getnames())  # type: ignore[union-attr]
        last = after.getmembers()[-1]
    written = (clean / "a.tar").read_bytes()
    assert written[: last.offset_data] == (source / "a.tar").read_bytes()[: last.offset_data]
    assert len(written) % tarfile.RECORDSIZE == 0
    assert written.endswith(bytes(1024))
    with zipfile.ZipFile(source / "c.zip") as archive:
        assert archive.testzip() is None
    assert not (clean / "c.zip").exists()  # nothing of it is left
    rows = pq.read_table(clean / "h.parquet")
    assert rows.schema.equals(pq.read_schema(source / "h.parquet"), check_metadata=True)
    assert rows["label"].to_pylist() == [0, 3]
    with tarfile.open(clean / "b.tar.gz") as packed:
        assert packed.getnames() == ["x.jpg"]
    again = tamis.clean(clean, tmp_path / "again", jobs=1)
    assert again.rejected.collect().is_empty()
    assert outputs(tmp_path / "again")["clean/a.tar"] == written
    against = tamis.clean(source, tmp_path / "against", jobs=1, against=[tmp_path / "out"])
    assert against.manifest["counts"]["kept"] == 0


def test_members_become_files_where_the_recipe_says_so(source: Path, tmp_path: Path) -> None:
    tamis.clean(source, tmp_path / "out", jobs=1, settings={"output.shape": "files"})
    clean = tmp_path / "out" / "clean"
    names = {path.relative_to(clean).as_posix() for path in clean.rglob("*") if path.is_file()}
    sample = {f"a.tar/cat/{i}.{kind}" for i in range(12) for kind in ("jpg", "json")}
    assert names == sample | {"b.tar.gz/x.jpg", "h.parquet/0.jpg", "h.parquet/3.jpg", "loose.jpg"}
    assert (clean / "h.parquet" / "3.jpg").read_bytes() == photo(41)
    assert set(pl.read_parquet(tmp_path / "out" / "outputs.parquet")["path"]) == {f"clean/{name}" for name in names}


def test_the_answer_hangs_on_no_size(source: Path, tmp_path: Path) -> None:
    tamis.clean(source, tmp_path / "whole", jobs=1)
    tamis.clean(source, tmp_path / "cut", jobs=2, batch_size=3, settings={"shards.files": 2})
    whole, cut = outputs(tmp_path / "whole"), outputs(tmp_path / "cut")
    assert {name for name in whole if whole[name] != cut[name]} == {"manifest.json"}  # which names the sizes


def test_of_a_truncated_tar_every_whole_member_is_used(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", [(f"{i}.jpg", photo(i)) for i in range(4)])
    with tarfile.open(path) as archive:
        second, third = archive.getmembers()[1:3]
    whole = path.read_bytes()
    path.write_bytes(whole[: third.offset_data + 100])
    found = index(path)
    assert payloads(found) == {"t.tar/0.jpg": photo(0), "t.tar/1.jpg": photo(1)}
    [problem] = found.problems
    assert (problem.record, problem.reason) == ("t.tar/2.jpg", "truncated")
    assert str(third.offset_data + 100) in problem.detail
    path.write_bytes(whole[: third.offset + 100])  # within a header
    assert problems(index(path)) == {f"t.tar@{third.offset}": "truncated"}
    path.write_bytes(whole[: third.offset])
    assert [note.reason for note in index(path).notes] == ["no_end_blocks"]
    path.write_bytes(whole[: second.offset_data + second.size])  # within the padding, which holds nothing
    assert len(index(path).files) == 2


def test_after_a_broken_header_reading_goes_on_at_the_next_sound_one(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", [(f"{i}.jpg", photo(i)) for i in range(4)], format=tarfile.PAX_FORMAT)
    with tarfile.open(path) as archive:
        second, third = archive.getmembers()[1:3]
    data = bytearray(path.read_bytes())
    data[second.offset + 5] ^= 1
    path.write_bytes(data)
    found = index(path)
    assert list(payloads(found)) == ["t.tar/0.jpg", "t.tar/2.jpg", "t.tar/3.jpg"]
    [problem] = found.problems
    assert (problem.record, problem.reason) == (f"t.tar@{second.offset}", "damaged_header")
    assert f"bytes {second.offset} to {third.offset} are not read" in problem.detail


def test_a_truncated_compressed_tar_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar.gz", [(f"{i}.jpg", photo(i)) for i in range(6)])
    path.write_bytes(path.read_bytes()[:-9000])
    found = index(path)
    assert len(found.files) >= 3
    assert set(problems(found).values()) == {"truncated"}
    assert all(data in [photo(i) for i in range(6)] for data in payloads(found).values())


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_every_form_are_read(tmp_path: Path, form: int) -> None:
    names = [f"{'d' * 60}/{'e' * 60}/{'f' * 80}.jpg", "grün.jpg"]
    names += [] if form == tarfile.USTAR_FORMAT else [f"{'g' * 200}/a.jpg"]
    path = tar(tmp_path / "t.tar", [(name, photo(1)) for name in names], format=form)
    assert list(payloads(index(path))) == [f"t.tar/{name}" for name in names]


def test_names_as_long_as_a_file_system_takes_are_written_back(tmp_path: Path) -> None:
    long = "x" * 251
    (tmp_path / "in").mkdir()
    tar(tmp_path / "in" / f"{long}.tar", [(f"{long}.jpg", photo(1)), ("b.jpg", photo(2))])
    for shape, path in (("same", f"{long}.tar"), ("files", f"{long}.tar/{long}.jpg")):
        tamis.clean(tmp_path / "in", tmp_path / shape, jobs=1, settings={"output.shape": shape})
        assert reasons(tmp_path / shape) == {}
        assert (tmp_path / shape / "clean" / path).is_file()


def hostile_tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("../out.jpg", "/abs.jpg", "a/../../b.jpg", "a//b.jpg", "n" * 300 + ".jpg", "new\nline.jpg", "./same.jpg", "same.jpg"):
            add(archive, name, photo(len(name)))
        for kind, name in ((tarfile.SYMTYPE, "soft.jpg"), (tarfile.LNKTYPE, "hard.jpg")):
            add(archive, name, type=kind, linkname="/etc/passwd")
        for kind, name in ((tarfile.CHRTYPE, "device.jpg"), (tarfile.FIFOTYPE, "fifo.jpg"), (tarfile.GNUTYPE_SPARSE, "sparse.jpg")):
            add(archive, name, type=kind)
        add(archive, "inner.tar", b"x" * 600)
        add(archive, "rows.csv", b"a,b\n1,2\n")
        add(archive, "folder.jpg", photo(50))
        add(archive, "folder.jpg/below.jpg", photo(51))
        add(archive, "folder", type=tarfile.DIRTYPE)


def test_hostile_members_of_a_tar_are_records_in_the_ledger_and_never_written(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "deep" / "out"
    source.mkdir()
    hostile_tar(source / "t.tar")
    for shape in ("files", "same"):
        tamis.clean(source, out, jobs=1, overwrite=True, settings={"output.shape": shape})
        found = reasons(out)
        unsafe = {record for record, reason in found.items() if reason == "unsafe_path"}
        assert len(unsafe) == 6
        named = {"soft": "link_in_archive", "hard": "link_in_archive", "device": "special_in_archive", "fifo": "special_in_archive"}
        assert {name: found[f"t.tar/{name}.jpg"] for name in named} == named
        assert found["t.tar/sparse.jpg"] == "sparse"
        assert found["t.tar/inner.tar"] == "nested_archive"
        assert found["t.tar/rows.csv"] == "table_in_archive"
        everywhere = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
        assert everywhere == {("source", "t.tar"), ("deep", "out")}
    with tarfile.open(out / "clean" / "t.tar") as archive:
        assert set(archive.getnames()) == {"new\nline.jpg", "./same.jpg", "same.jpg", "folder.jpg"} - (
            {"same.jpg"} if any("same@" in record for record in found) else set()
        )


NEGATIVE, HUGE, BEYOND = b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"\x80" + bytes(3) + b"\xff" * 8


@pytest.mark.parametrize("size", [NEGATIVE, HUGE, BEYOND, b"99999999999\0", b"77777777777\0"])
def test_hostile_sizes_cost_one_member(tmp_path: Path, size: bytes) -> None:
    path = tar(tmp_path / "t.tar", [("0.jpg", photo(0)), ("1.jpg", photo(1))])
    with tarfile.open(path) as archive:
        start = archive.getmembers()[1].offset
    data = bytearray(path.read_bytes())
    data[start + 124 : start + 136] = size
    block = bytearray(data[start : start + 512])
    block[148:156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    path.write_bytes(data)
    found = index(path)
    assert [file.record for file in found.files] == ["t.tar/0.jpg"]
    assert set(problems(found).values()) <= {"truncated", "damaged_header"}
    assert len(found.problems) == 1


def test_members_of_equal_name_have_ids_of_their_own(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", [("a.jpg", photo(1)), ("a.jpg", photo(2)), ("a@7168.jpg", photo(3))])
    found = payloads(index(path))
    assert len(found) == 3
    assert sorted(found.values()) == sorted([photo(1), photo(2), photo(3)])
    assert all(name.endswith(".jpg") for name in found)


def test_samples_ride_along_with_their_media_and_lone_files_do_not(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    members = {"0.jpg": photo(0), "0.seg.png": b"no picture", "0.json": b"{}", "1.jpg": photo(0), "1.cls": b"3", "lone.json": b"{}"}
    tar(source / "t.tar", members.items())
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert sorted(reasons(tmp_path / "out")) == ["t.tar/0.seg.png", "t.tar/1.jpg", "t.tar/lone.json"]
    with tarfile.open(tmp_path / "out" / "clean" / "t.tar") as archive:
        assert archive.getnames() == ["0.jpg", "0.json"]
    notes = result.notes.filter(pl.col("reason") == "partial_sample").collect()
    assert notes["record"].to_list() == ["t.tar/0.jpg"]


@given(name=st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_every_name_has_an_id_that_leads_back_to_it(name: bytes) -> None:
    assert as_bytes(as_text(name)) == name


@settings(max_examples=60)
@given(data=st.data())
def test_no_bytes_break_the_walks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    members = [("a/0.jpg", b"0" * 700), ("1.png", b"1" * 40)]
    make: Callable[[Path], Path] = data.draw(
        st.sampled_from([lambda f: tar(f / "t.tar", members, format=tarfile.PAX_FORMAT), lambda f: zipped(f / "z.zip", members)])
    )
    path = make(folder)
    content = bytearray(path.read_bytes())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)):
        content[place] = value
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    status = path.stat()
    result = index_archive(SourceFile(path.name, str(path), status.st_size, status.st_mtime_ns, "archive"), folder / "target")
    if isinstance(result, Problem):
        return
    records = [*(file.record for file in result.files), *(problem.record for problem in result.problems)]
    assert len(records) == len(set(records))
    with PayloadReader(10_000) as reader:
        for file in result.files:
            with suppress(Unavailable):
                assert len(reader.read(file)) == file.size


NO_ARCHIVES = {"a.zip": b"PK\x05\x06", "b.tar": photo(1), "c.tar.gz": b"no", "d.tar": b"", "e.zip": b""}


@pytest.mark.parametrize("name", NO_ARCHIVES)
def test_what_is_no_archive_is_one_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(NO_ARCHIVES[name])
    [file] = list_source(tmp_path / name).files
    told = index_archive(file, tmp_path / "unpacked")
    [problem] = [told] if isinstance(told, Problem) else told.problems
    assert problem.record == name
    assert problem.reason in ("unreadable_archive", "empty_archive")


def test_a_container_that_changes_in_the_run_loses_its_members(source: Path) -> None:
    files = list_source(source).files
    found = index(source / "a.tar")
    (source / "a.tar").write_bytes(b"changed")
    with PayloadReader(1 << 30) as reader, pytest.raises(Unavailable, match="changed during the run"):
        reader.read(found.files[0])
    assert {file.kind for file in files} == {"archive", "table", "media"}
    with PayloadReader(10) as reader, pytest.raises(Unavailable, match="file_megabytes"):
        reader.read(found.files[0])


def test_tables_without_media_are_tables_and_arrow_is_read_as_parquet(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pl.DataFrame({"value": [1.0, 2.0], "raw": [b"\0\1", b"text"]}).write_parquet(source / "plain.parquet")
    pictures = pa.table({"file": pa.array([photo(1), photo(2), photo(1)]), "n": np.arange(3)})
    for name, make in (("a.arrow", pa.ipc.new_file), ("b.arrow", pa.ipc.new_stream)):
        with make(source / name, pictures.schema) as writer:
            writer.write_table(pictures)
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert result.manifest["counts"]["by_kind"]["table"]["read"] == 2
    assert result.manifest["counts"]["by_kind"]["media"] == {"read": 6, "kept": 2, "rejected": 4}
    with pa.ipc.open_file(tmp_path / "out" / "clean" / "a.arrow") as clean:
        assert clean.read_all()["n"].to_pylist() == [0, 1]
