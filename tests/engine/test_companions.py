"""Captions, labels and annotations stay with their media, go with them, and are no records; what belongs to a whole set stays."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from running import balanced
from test_hostile import At, photo

import tamis
from tamis.errors import OutputError
from tamis.sources.companions import part, with_companions
from tamis.sources.listing import SourceFile


def listed(*records: str) -> list[SourceFile]:
    return [SourceFile(record, f"/{record}", 1, 1, "media") for record in sorted(records)]


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def clean(out: Path) -> set[str]:
    return {path.relative_to(out / "clean").as_posix() for path in (out / "clean").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("medium", "along"),
    [
        ("cat.jpg", "cat.txt"),
        ("cat.JPG", "cat.TXT"),
        ("a/cat.v2.png", "a/cat.v2.caption"),
        ("cat.jpg", "cat.jpg.json"),
        ("images/train/cat.jpg", "labels/train/cat.txt"),
        ("train/images/cat.jpg", "train/labels/cat.txt"),
        ("VOC2012/JPEGImages/cat.jpg", "VOC2012/Annotations/cat.xml"),
        ("talk.wav", "talk.srt"),
        ("images/training/cat.jpg", "annotations/training/cat.png"),
        ("VOC/JPEGImages/cat.jpg", "VOC/SegmentationClass/cat.png"),
        ("images/cat.png", "masks/cat.png"),
        ("image/cat.png", "mask/cat.tif"),
    ],
)
def test_a_companion_is_known_by_the_name_of_its_medium(medium: str, along: str) -> None:
    (file,) = with_companions(listed(medium, along))
    assert (file.record, [one.record for one in file.companions]) == (medium, [along])


@pytest.mark.parametrize(
    "records",
    [
        ("cat.jpg", "dog.txt"),
        ("a/cat.jpg", "b/cat.txt"),
        ("cat.jpg", "cat.png"),
        ("cat.jpg", "cat.v2.txt"),
        ("cat", "cat.txt"),
        ("cat.bin", "cat.txt"),
        ("cat.jpg", "cat.bin"),
        ("cat.txt", "cat.json"),
        ("labels/cat.jpg", "images/cat.txt"),
        ("images/cat.jpg", "masks/cat.jpg"),
        ("images/cat.jpg", "masks/dog.png"),
        ("photos/cat.jpg", "masks/cat.png"),
        ("masks/cat.jpg", "masks/cat.png"),
        ("labels.txt",),
        (),
    ],
)
def test_others_are_files_of_their_own(records: tuple[str, ...]) -> None:
    assert with_companions(listed(*records)) == listed(*records)


def test_a_companion_stays_as_long_as_one_of_its_media_does(tmp_path: Path) -> None:
    whole = photo(1)
    source = put(
        tmp_path / "source",
        {
            "images/a.jpg": whole,
            "labels/a.txt": b"0 0.5 0.5 1 1",
            "images/a.jpg.json": b"{}",
            "images/copy.jpg": whole,
            "labels/copy.txt": b"1 0.5 0.5 1 1",
            "cut.jpg": photo(2)[:-300],
            "cut.txt": b"half of a picture",
            "two.jpg": photo(3)[:-300],
            "two.jpeg": photo(4),
            "two.txt": b"stays with the whole one",
            "lone.txt": b"no picture has this name",
        },
    )
    result = tamis.clean(source, tmp_path / "out", jobs=2, settings={"shards.files": 1})
    counts = result.manifest["counts"]
    assert balanced(result.manifest)
    assert (counts["read"], counts["kept"]) == (6, 2)
    assert result.manifest["source"]["companions"] == 5
    assert clean(tmp_path / "out") == {"images/a.jpg", "images/a.jpg.json", "labels/a.txt", "two.jpeg", "two.txt"}
    assert dict(result.rejected.select("record", "reason").collect().iter_rows()) == {
        "cut.jpg": "truncated",
        "images/copy.jpg": "exact_duplicate",
        "lone.txt": "text",
        "two.jpg": "truncated",
    }
    assert "5 captions, labels or annotations ride along." in (tmp_path / "out" / "report.html").read_text()
    written = pl.read_parquet(tmp_path / "out" / "outputs.parquet")
    assert set(written["record"]) == clean(tmp_path / "out")
    assert written["xxh3_128"].str.len_chars().to_list() == [32] * 5
    tamis.clean(source, tmp_path / "again", jobs=1, settings={"output.materialise": "copy"})
    assert pl.read_parquet(tmp_path / "again" / "outputs.parquet").equals(written)


@pytest.mark.parametrize(("harm", "reason"), [("unlink", "listed at the start"), ("touch", "changed during the run")])
def test_one_that_is_lost_in_the_run_is_told_at_its_medium(tmp_path: Path, harm: str, reason: str) -> None:
    source = put(tmp_path / "source", {"a.jpg": photo(1), "a.txt": b"a caption"})
    result = tamis.clean(source, tmp_path / "out", jobs=1, progress=At("apply", getattr(source / "a.txt", harm)))
    assert clean(tmp_path / "out") == {"a.jpg"}
    notes = pl.read_parquet(tmp_path / "out" / "notes.parquet").filter(pl.col("check") == "source")
    ((record, told, detail),) = notes.select("record", "reason", "detail").rows()
    assert (record, told) == ("a.jpg", "companion_lost")
    assert detail.startswith("a.txt: ")
    assert reason in detail
    assert balanced(result.manifest)


@pytest.mark.parametrize("beside", ["a.txt", "data.yaml"])  # a companion, and what belongs to the set
def test_a_changed_file_that_rides_along_is_another_source_for_a_run_that_was_stopped(tmp_path: Path, beside: str) -> None:
    source = put(tmp_path / "source", {"a.jpg": photo(1), beside: b"a caption"})

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tamis.clean(source, tmp_path / "out", jobs=1, progress=At("judge", stop))
    (source / beside).write_bytes(b"another caption")
    with pytest.raises(OutputError, match="added, removed or changed"):
        tamis.clean(source, tmp_path / "out", jobs=1)


YOLO = {
    "data.yaml": b"names: [cat]",
    "train/images/a.jpg": photo(1),
    "train/labels/a.txt": b"0 0.5 0.5 1 1",
    "train/images/cut.jpg": photo(2)[:-300],
    "train/labels/cut.txt": b"0 0.5 0.5 1 1",
    "train/labels/classes.txt": b"cat",
    "train/labels/missing.txt": b"0 0.5 0.5 1 1",
    "train/metadata.jsonl": b'{"file_name": "images/a.jpg"}',
    "README": b"A set.",
    "junk.bin": b"\xfe\x00\x01",
}
KEPT = {"data.yaml", "train/images/a.jpg", "train/labels/a.txt", "train/labels/classes.txt", "train/metadata.jsonl", "README"}
LOST = {"train/images/cut.jpg": "truncated", "train/labels/missing.txt": "text", "junk.bin": "unknown_content"}


@pytest.mark.parametrize(
    "record",
    [
        "data.yaml",
        "classes.txt",
        "obj.names",
        "LICENSE",
        "README.md",
        "annotations/instances_train2017.json",
        "train/_annotations.coco.json",
        "ImageSets/Main/train.txt",
        "labels/classes.txt",
        "metadata.csv",
        "a/metadata.jsonl",
        "_annotations.csv",
    ],
)
def test_text_that_goes_with_no_one_medium_goes_with_all_of_a_set(record: str) -> None:
    files = listed("images/cat.jpg", "labels/cat.txt", record)
    records, whole = part(files, of_media=True)
    assert [one.record for one in records] == ["images/cat.jpg"]
    assert [one.record for one in whole] == [record]
    assert record in {one.record for one in part(files, of_media=False)[0]}


@pytest.mark.parametrize("record", ["labels/dog.txt", "readme.jpg", "cat.bin", "error.html", ".DS_Store", "rows.csv"])
def test_what_is_no_text_or_a_label_whose_medium_is_missing_is_a_record(record: str) -> None:
    records, whole = part(listed("images/cat.jpg", "labels/cat.txt", record), of_media=True)
    assert record in {one.record for one in records}
    assert not whole


def test_the_files_of_a_set_are_written_unchanged_and_counted(tmp_path: Path) -> None:
    source = put(tmp_path / "source", YOLO)
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert clean(tmp_path / "out") == KEPT
    assert all((tmp_path / "out" / "clean" / name).read_bytes() == YOLO[name] for name in KEPT)
    assert dict(result.rejected.select("record", "reason").collect().iter_rows()) == LOST
    assert (result.manifest["counts"]["read"], result.manifest["counts"]["kept"]) == (4, 1)
    assert (result.manifest["source"]["companions"], result.manifest["source"]["whole_set"]) == (2, 4)
    assert set(pl.read_parquet(tmp_path / "out" / "outputs.parquet")["record"]) == KEPT
    assert "4 files belong to no one medium and are carried along" in (tmp_path / "out" / "report.html").read_text()


def archived(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def members(path: Path) -> dict[str, bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_labels_in_an_archive_ride_along_as_in_a_folder(tmp_path: Path, name: str) -> None:
    archived(tmp_path / "source" / name, YOLO)
    (tmp_path / "source" / "README.md").write_text("beside the archive")
    for shape in ("same", "files"):
        out = tmp_path / shape
        result = tamis.clean(tmp_path / "source", out, jobs=1, settings={"output.shape": shape})
        assert dict(result.rejected.select("record", "reason").collect().iter_rows()) == {f"{name}/{one}": why for one, why in LOST.items()}
        assert result.manifest["source"]["whole_set"] == 5
        if shape == "same":
            assert members(out / "clean" / name) == {one: YOLO[one] for one in KEPT}
            assert clean(out) == {name, "README.md"}
        else:
            assert clean(out) == {f"{name}/{one}" for one in KEPT} | {"README.md"}


@pytest.mark.parametrize("shape", ["same", "files"])
def test_a_companion_in_a_zip_that_is_damaged_is_told_and_costs_nothing_else(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "source" / "set.zip"
    archived(path, {"a.jpg": photo(1), "a.txt": b"a caption", "data.yaml": b"names"})
    path.write_bytes(path.read_bytes().replace(b"a caption", b"a cAption", 1))
    result = tamis.clean(tmp_path / "source", tmp_path / "out", jobs=1, settings={"output.shape": shape})
    ((record, detail),) = result.notes.filter(pl.col("reason") == "companion_lost").select("record", "detail").collect().rows()
    assert record == "set.zip/a.jpg"
    assert detail.startswith("set.zip/a.txt: the CRC")
    assert balanced(result.manifest)
    kept = {f"set.zip/{one}" for one in members(tmp_path / "out" / "clean" / "set.zip")} if shape == "same" else clean(tmp_path / "out")
    assert kept == {"set.zip/a.jpg", "set.zip/data.yaml"}


def test_a_source_of_texts_has_no_files_of_a_set(tmp_path: Path) -> None:
    source = put(tmp_path / "source", {"README.md": b"text", "a.txt": b"more"})
    archived(tmp_path / "source" / "in" / "none.zip", {})
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert set(result.rejected.select("record").collect()["record"]) == {"README.md", "a.txt", "in/none.zip"}


def test_a_table_of_labels_beside_no_media_is_a_table(tmp_path: Path) -> None:
    source = put(tmp_path / "source", {"stations/metadata.csv": b"station,height\na,1\nb,2\n", "pictures/of/a.jpg": photo(1)})
    (source / "pictures" / "labels.csv").write_bytes(b"file,label\na.jpg,cat\n")
    archived(tmp_path / "source" / "in" / "tables.zip", {"a.csv": b"x,y\n1,2\n"})
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert result.rejected.select("record", "reason").collect().rows() == [("in/tables.zip/a.csv", "table_in_archive")]
    assert clean(tmp_path / "out") == {"tables/metadata/part-00000.parquet", "pictures/labels.csv", "pictures/of/a.jpg"}


def test_masks_stay_with_their_pictures_though_they_are_equal(tmp_path: Path) -> None:
    mask = io.BytesIO()
    Image.new("L", (64, 64)).save(mask, "PNG")
    files = {f"masks/{name}.png": mask.getvalue() for name in ("a", "b", "copy", "cut")}
    files |= {"images/a.jpg": photo(1), "images/b.jpg": photo(2), "images/copy.jpg": photo(1), "images/cut.jpg": photo(3)[:-300]}
    files |= {"masks/a.png.json": b"{}", "masks/lone.png": mask.getvalue()}
    result = tamis.clean(put(tmp_path / "source", files), tmp_path / "out", jobs=1)
    stay = {"images/a.jpg", "images/b.jpg", "masks/a.png", "masks/a.png.json", "masks/b.png", "masks/lone.png"}
    assert clean(tmp_path / "out") == stay
    assert not result.notes.filter(pl.col("reason") == "companion_conflict").collect().height
    assert result.manifest["counts"]["read"] == 5
