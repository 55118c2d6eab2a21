"""Copies with different captions, labels or annotations beside them: what counts as different, and what is told and done."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tamis
from images import rough
from tamis.checks.labels.beside import said

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG = "0 0.5 0.5 1 1\n", "1 0.5 0.5 1 1\n"
VOC = (
    "<annotation><folder>{0}</folder><filename>{0}.jpg</filename><path>C:\\{0}.jpg</path><object><name>{1}</name>{2}</object></annotation>"
)
BOX = "<bndbox><xmin>{0}</xmin></bndbox>"


def put(root: Path, **files: tuple[int, int, str, str]) -> Path:
    """Write pictures by seed, quality and the text and the extension of what lies beside: `a=(3, 90, "a cat", "txt")`."""
    root.mkdir(parents=True, exist_ok=True)
    for name, (seed, quality, text, extension) in files.items():
        rough(seed).save(root / f"{name}.jpg", quality=quality)
        if extension:
            (root / f"{name}.{extension}").write_bytes(text.encode())
    return root


def notes(result: tamis.Result) -> dict[str, tuple[str, str | None, str]]:
    rows = result.notes.filter(pl.col("check") == "labels", pl.col("reason") != "similar_label_names").collect()
    return {row["record"]: (row["reason"], row["kept"], row["detail"]) for row in rows.to_dicts()}


@pytest.mark.parametrize(
    ("name", "one", "other", "same", "same_words"),
    [
        ("a.txt", b"a cat\r\non a mat  \r\n", b"\xef\xbb\xbfa cat\non a mat", True, True),
        ("a.txt", b"a cat", b"a dog", False, False),
        ("a.txt", b"0 0.5 0.5 1 1", b"0 0.51 .49 1 1", False, True),
        ("a.txt", b"0 0.5", b"1 0.5", False, False),
        ("a.json", b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],\n"a":1}', True, True),
        (
            "a.json",
            b'{"label": "cat", "imagePath": "a.jpg", "url": 1}',
            b'{"label": "cat", "imagePath": "b.jpg", "url": 2}',
            True,
            True,
        ),
        ("a.json", b'{"label": "cat", "points": [[1, 2.5]]}', b'{"label": "cat", "points": [[2, 3]]}', False, True),
        ("a.json", b'{"label": "cat", "x": {"y": 1}}', b'{"label": "dog", "x": {"y": 1}}', False, False),
        ("a.json", b'{"crowd": true}', b'{"crowd": false}', False, False),
        ("a.json", b'["cat", 1]', b'["cat", 2]', False, True),
        ("a.json", b"no json ", b"no json", True, True),
        ("a.json", b"[" * 100_000, b"[" * 100_000 + b"\n", True, True),
        ("a.xml", VOC.format("a", "cat", "").encode(), VOC.format("b", "cat", "\n").encode(), True, True),
        ("a.xml", VOC.format("a", "cat", "").encode(), VOC.format("a", "dog", "").encode(), False, False),
        ("a.xml", VOC.format("a", "cat", BOX.format(1)).encode(), VOC.format("a", "cat", BOX.format(2)).encode(), False, True),
        ("a.xml", b'<a x="1" y="cat"/>', b'<a y="cat"\n x="1"></a>', True, True),
        ("a.xml", b'<a y="cat"/>', b'<a y="dog"/>', False, False),
        ("a.xml", b"<a>cut", b"<a>cut ", True, True),
        ("A.XML", b"<a>1</a>", b"<a>2</a>", False, True),
        ("a.png", b"one mask", b"other mask", False, True),
    ],
)
def test_what_two_files_say_is_the_same_or_not(name: str, one: bytes, other: bytes, same: bool, same_words: bool) -> None:
    left, right = said(name, one), said(name, other)
    assert (left.whole == right.whole, left.words == right.words) == (same, same_words)


def test_copies_with_other_labels_beside_them_are_told_with_both_files(tmp_path: Path) -> None:
    source = put(
        tmp_path / "in",
        exact=(1, 90, "a cat", "txt"),
        exact_copy=(1, 90, "a dog", "txt"),
        near=(2, 95, CAT, "txt"),
        near_copy=(2, 60, DOG, "txt"),
        agrees=(3, 95, "a bird", "txt"),
        agrees_copy=(3, 60, "a bird\r\n", "txt"),
        voc=(4, 90, VOC.format("voc", "cat", ""), "xml"),
        voc_copy=(4, 90, VOC.format("voc_copy", "cat", ""), "xml"),
        none=(5, 95, "", ""),
        none_copy=(5, 60, "only here", "txt"),
        gone=(6, 95, "only on the one that stays", "txt"),
        gone_copy=(6, 60, "", ""),
        alone=(7, 90, "no copies", "txt"),
    )
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    told = notes(result)
    assert {record: (reason, kept) for record, (reason, kept, _) in told.items()} == {
        "exact_copy.jpg": ("companion_conflict", "exact.jpg"),
        "near_copy.jpg": ("companion_conflict", "near.jpg"),
        "none_copy.jpg": ("companion_conflict", "none.jpg"),
    }
    assert told["exact_copy.jpg"][2] == (
        "labelled as in exact_copy.txt; the copy that stays is labelled as in exact.txt; "
        "all copies: 1 x as in exact.txt, 1 x as in exact_copy.txt"
    )
    assert "the copy that stays is labelled not at all" in told["none_copy.jpg"][2]
    counters = result.manifest["checks"]["labels"]
    assert (counters["companion_conflicts"], counters["label_conflicts"]) == (3, 0)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "exact_copy.txt" in report
    assert "labelled otherwise" in report


def test_positions_are_compared_only_between_pictures_of_one_size(tmp_path: Path) -> None:
    source = put(
        tmp_path / "in",
        same=(1, 95, VOC.format("a", "cat", BOX.format(10)), "xml"),
        same_copy=(1, 60, VOC.format("b", "cat", BOX.format(90)), "xml"),
        large=(2, 95, VOC.format("a", "cat", BOX.format(10)), "xml"),
        small=(2, 90, VOC.format("b", "cat", BOX.format(5)), "xml"),
        wide=(3, 95, VOC.format("a", "cat", BOX.format(10)), "xml"),
        wrong=(3, 90, VOC.format("b", "dog", BOX.format(5)), "xml"),
    )
    for name, seed in (("small", 2), ("wrong", 3)):
        picture = rough(seed)
        picture.resize((picture.width // 2, picture.height // 2)).save(source / f"{name}.jpg", quality=90)
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert result.manifest["counts"]["kept"] == 3
    assert set(notes(result)) == {"same_copy.jpg", "wrong.jpg"}


def test_of_each_kind_of_file_beside_a_picture_a_conflict_is_told(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=(1, 90, "a cat", "txt"), b=(1, 90, "a dog", "txt"))
    (source / "a.jpg.json").write_text(json.dumps({"tag": "x"}))
    (source / "b.json").write_text(json.dumps({"tag": "y"}))
    (source / "a.xmp").write_text("<x>one</x>")
    (source / "b.xmp").write_text("<x>two</x>")
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    details = result.notes.filter(pl.col("reason") == "companion_conflict").collect()["detail"].to_list()
    assert sorted(detail.partition(";")[0] for detail in details) == ["labelled as in b.json", "labelled as in b.txt"]


@pytest.mark.parametrize(("on_conflict", "kept"), [("note", {"a", "tie", "x"}), ("reject_minority", {"b", "x"}), ("reject_all", {"x"})])
def test_the_recipe_settles_conflicts_of_what_lies_beside(tmp_path: Path, on_conflict: str, kept: set[str]) -> None:
    source = put(
        tmp_path / "in",
        a=(1, 95, "a cat", "txt"),
        b=(1, 80, "a dog", "txt"),
        c=(1, 60, "a dog", "txt"),
        tie=(2, 95, "a cat", "txt"),
        tie2=(2, 60, "a dog", "txt"),
        x=(3, 95, "", ""),
        x2=(3, 60, "no conflict, though told", "txt"),
    )
    result = tamis.clean(source, tmp_path / "out", jobs=1, settings={"labels.on_conflict": on_conflict})
    counts = result.manifest["counts"]
    assert counts["read"] == counts["kept"] + counts["rejected"]
    assert {path.stem for path in (tmp_path / "out" / "clean").glob("*.jpg")} == kept
    assert {path.stem for path in (tmp_path / "out" / "clean").glob("*.txt")} == kept - {"x"}


def test_a_group_that_class_folders_settled_is_not_settled_again(tmp_path: Path) -> None:
    put(tmp_path / "in" / "cat", a=(1, 95, "one", "txt"))
    put(tmp_path / "in" / "dog", b=(1, 80, "two", "txt"), c=(1, 60, "one", "txt"))
    result = tamis.clean(tmp_path / "in", tmp_path / "out", jobs=1, settings={"labels.on_conflict": "reject_minority"})
    assert [path.name for path in (tmp_path / "out" / "clean").rglob("*.jpg")] == ["b.jpg"]
    assert {reason for reason, _, _ in notes(result).values()} == {"label_conflict"}


def test_labels_in_an_archive_and_beside_it_are_compared_and_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=(1, 90, "a cat", "txt"), b=(2, 90, "a cat", "txt"))
    with zipfile.ZipFile(source / "more.zip", "w") as archive:
        for name, text in (("a", "a dog"), ("b", "a horse")):
            archive.write(source / f"{name}.jpg", f"{name}.jpg")
            archive.writestr(f"{name}.txt", text)
    (source / "more.zip").write_bytes((source / "more.zip").read_bytes().replace(b"a horse", b"a hOrse", 1))
    result = tamis.clean(source, tmp_path / "out", jobs=2, settings={"shards.files": 1})
    assert notes(result) == {
        "more.zip/a.jpg": (
            "companion_conflict",
            "a.jpg",
            "labelled as in more.zip/a.txt; the copy that stays is labelled as in a.txt; "
            "all copies: 1 x as in a.txt, 1 x as in more.zip/a.txt",
        )
    }


def test_of_many_labels_the_first_few_are_shown(tmp_path: Path) -> None:
    files: dict[str, Any] = {f"copy{number:02}": (1, 90, f"label {number}", "txt") for number in range(12)}
    result = tamis.clean(put(tmp_path / "in", **files), tmp_path / "out", jobs=1)
    details = [detail for _, _, detail in notes(result).values()]
    assert len(details) == 11
    assert all(detail.endswith("1 x as in copy07.txt, 4 others") for detail in details)


def test_what_an_earlier_run_has_kept_is_not_called_unlabelled(tmp_path: Path) -> None:
    tamis.clean(put(tmp_path / "in", a=(1, 95, "a cat", "txt")), tmp_path / "first", jobs=1)
    more = put(tmp_path / "more", b=(1, 60, "a dog", "txt"))
    (more / "table.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(20)) + "0,0\n")
    result = tamis.clean(more, tmp_path / "second", jobs=1, against=[tmp_path / "first"])
    assert notes(result) == {}
