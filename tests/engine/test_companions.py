"""Captions, labels and annotations stay with their media, go with them, and are no records."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from running import balanced
from test_hostile import At, photo

import tamis
from tamis.errors import OutputError
from tamis.sources.companions import with_companions
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


def test_a_changed_companion_is_another_source_for_a_run_that_was_stopped(tmp_path: Path) -> None:
    source = put(tmp_path / "source", {"a.jpg": photo(1), "a.txt": b"a caption"})

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tamis.clean(source, tmp_path / "out", jobs=1, progress=At("judge", stop))
    (source / "a.txt").write_bytes(b"another caption")
    with pytest.raises(OutputError, match="added, removed or changed"):
        tamis.clean(source, tmp_path / "out", jobs=1)
