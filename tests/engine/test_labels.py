"""Labels through whole runs: copies in several class folders, rows with several labels, and names that are nearly equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tamis
from images import encoded, rough
from tamis.checks.labels import label_of
from tamis.checks.labels.names import alike
from tamis.errors import ColumnError, RecipeError

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, **files: tuple[int, int]) -> None:
    """Write pictures: `cat__a=(3, 90)` is picture 3 at JPEG quality 90 as cat/a.jpg."""
    for name, (seed, quality) in files.items():
        path = root / f"{name.replace('__', '/')}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        rough(seed).save(path, quality=quality)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Five groups of copies: one of one label, a clear majority against the one kept, a majority with it, a tie, and three exact copies."""
    root = tmp_path / "in"
    put(root, cat__same=(1, 95), cat__same2=(1, 60))
    put(root, dog__most=(2, 95), cat__most1=(2, 70), cat__most2=(2, 60))
    put(root, cat__with=(3, 95), cat__with2=(3, 60), dog__with=(3, 70))
    put(root, cat__tie=(4, 95), dog__tie=(4, 60))
    put(root, bird__equal=(5, 90), dog__equal=(5, 90), dog__equal2=(5, 90))
    put(root, dog__alone=(6, 90), bird__alone=(7, 90))
    return root


def ledger(result: tamis.Result, what: str) -> dict[str, tuple[str, str, str | None]]:
    """Return check, reason and kept record by record; of notes, those of this check."""
    rows = (result.rejected if what == "rejected" else result.notes.filter(pl.col("check") == "labels")).collect()
    return {row["record"]: (row["check"], row["reason"], row["kept"]) for row in rows.to_dicts()}


def test_conflicts_are_noted_with_both_labels_and_nothing_else_changes(corpus: Path, tmp_path: Path) -> None:
    result = tamis.clean(corpus, tmp_path / "out", jobs=1)
    noted = ledger(result, "notes")
    assert {record: kept for record, (_, _, kept) in noted.items()} == {
        "cat/most1.jpg": "dog/most.jpg",
        "cat/most2.jpg": "dog/most.jpg",
        "dog/with.jpg": "cat/with.jpg",
        "dog/tie.jpg": "cat/tie.jpg",
        "dog/equal.jpg": "bird/equal.jpg",
        "dog/equal2.jpg": "bird/equal.jpg",
    }
    told = result.notes.filter(pl.col("record") == "cat/most1.jpg", pl.col("check") == "labels").collect().row(0, named=True)
    assert told["detail"] == "labelled cat; the copy that stays is labelled dog; all copies: 2 x cat, 1 x dog"
    assert 0.87 < told["similarity"] <= 1
    assert result.manifest["checks"]["labels"]["label_conflicts"] == 4
    assert not any(check == "labels" for check, _, _ in ledger(result, "rejected").values())


def test_tables_without_labels_change_nothing_beside_pictures_that_have_some(corpus: Path, tmp_path: Path) -> None:
    alone = ledger(tamis.clean(corpus, tmp_path / "alone", jobs=1), "notes")
    pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", "y"]}).write_csv(corpus / "table.csv")
    result = tamis.clean(corpus, tmp_path / "out", jobs=1)
    assert ledger(result, "notes") == alone
    assert ("exact_duplicates", "table.csv#0") in {(check, kept) for check, _, kept in ledger(result, "rejected").values()}


def test_the_majority_stays_and_a_tie_keeps_nothing(corpus: Path, tmp_path: Path) -> None:
    result = tamis.clean(corpus, tmp_path / "out", settings={"labels.on_conflict": "reject_minority"}, jobs=1)
    rejected = ledger(result, "rejected")
    ours = {record: kept for record, (check, _, kept) in rejected.items() if check == "labels"}
    assert ours["cat/tie.jpg"] is None
    assert ours["bird/equal.jpg"] == "dog/equal.jpg"
    assert ours["dog/most.jpg"] in {"cat/most1.jpg", "cat/most2.jpg"}
    assert len(ours) == 3
    assert "cat/with.jpg" not in rejected
    clean = {path.relative_to(tmp_path / "out" / "clean").as_posix() for path in (tmp_path / "out" / "clean").rglob("*.jpg")}
    assert clean == {"cat/same.jpg", ours["dog/most.jpg"], "cat/with.jpg", "dog/equal.jpg", "dog/alone.jpg", "bird/alone.jpg"}
    counts = result.manifest["counts"]
    assert (counts["read"], counts["kept"], counts["rejected"]) == (15, 6, 9)


def test_no_copy_stays_if_all_are_to_go(corpus: Path, tmp_path: Path) -> None:
    result = tamis.clean(corpus, tmp_path / "out", settings={"labels.on_conflict": "reject_all"}, jobs=1)
    ours = {record for record, (check, reason, _) in ledger(result, "rejected").items() if (check, reason) == ("labels", "label_conflict")}
    assert ours == {"dog/most.jpg", "cat/with.jpg", "cat/tie.jpg", "bird/equal.jpg"}
    assert result.manifest["counts"]["kept"] == 3


def test_an_exact_copy_of_a_record_that_a_near_copy_replaced_belongs_to_the_same_conflict(tmp_path: Path) -> None:
    root = tmp_path / "in"
    put(root, a__small=(1, 60), b__small=(1, 60), b__small2=(1, 60), a__large=(1, 95))
    result = tamis.clean(
        root, tmp_path / "out", settings={"labels.on_conflict": "reject_minority", "near_duplicates.keep": ["largest"]}, jobs=1
    )
    assert result.manifest["checks"]["labels"]["label_conflicts"] == 1
    assert ledger(result, "rejected")["a/large.jpg"] == ("labels", "label_conflict", None)  # two against two


def test_the_ledger_does_not_depend_on_jobs_batches_and_shards(corpus: Path, tmp_path: Path) -> None:
    ledgers = []
    for number, (jobs, batch, files) in enumerate([(1, None, 256), (2, 1, 3)]):
        settings = {"labels.on_conflict": "reject_minority", "shards.files": files}
        out = tmp_path / str(number)
        tamis.clean(corpus, out, settings=settings, jobs=jobs, batch_size=batch)
        ledgers.append([pl.read_parquet(out / name).rows() for name in ("rejects.parquet", "notes.parquet", "clusters.parquet")])
    assert ledgers[0] == ledgers[1]


def test_what_an_earlier_run_kept_stays_and_the_conflict_with_it_is_noted(corpus: Path, tmp_path: Path) -> None:
    settings = {"labels.on_conflict": "reject_minority"}
    tamis.clean(corpus, tmp_path / "first", settings=settings, jobs=1)
    more = tmp_path / "more"
    put(more, bird__new=(6, 80), bird__new2=(6, 60), dog__other=(9, 90))
    result = tamis.clean(more, tmp_path / "second", settings=settings, against=[tmp_path / "first"], jobs=1)
    assert {record: str(kept).rpartition("::")[2] for record, (_, _, kept) in ledger(result, "notes").items()} == {
        "bird/new.jpg": "dog/alone.jpg",
        "bird/new2.jpg": "dog/alone.jpg",
    }
    assert {check for check, _, _ in ledger(result, "rejected").values()} == {"near_duplicates"}


def texts(tmp_path: Path) -> Path:
    text = " ".join(f"word{number}" for number in range(40))
    rows = [(text, "spam"), (f"{text} end", "ham"), (" ".join(f"other{i}" for i in range(40)), None), (f"{text} stop", "spam")]
    pl.DataFrame(rows, schema=["text", "class"], orient="row").write_parquet(tmp_path / "texts.parquet")
    return tmp_path / "texts.parquet"


def test_near_equal_rows_with_different_labels_conflict(tmp_path: Path) -> None:
    settings = {"labels.column": "class", "labels.on_conflict": "reject_minority"}
    result = tamis.check(texts(tmp_path), tmp_path / "out", settings=settings, jobs=1)
    noted, rejected = ledger(result, "notes"), ledger(result, "rejected")
    assert result.manifest["checks"]["labels"]["label_conflicts"] == 1
    assert len(noted) + sum(check == "labels" for check, _, _ in rejected.values()) >= 1
    alive = {f"texts.parquet#{row}" for row in range(4)} - rejected.keys()
    assert "texts.parquet#2" in alive
    assert alive & {"texts.parquet#0", "texts.parquet#3"}
    assert "texts.parquet#1" not in alive


def test_a_column_that_no_table_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match=r"labels.column names the column 'clas'"):
        tamis.check(texts(tmp_path), tmp_path / "out", settings={"labels.column": "clas"}, jobs=1)


def test_folders_with_nearly_equal_names_are_noted_once_on_the_smaller(tmp_path: Path) -> None:
    root = tmp_path / "in"
    put(root, Cats__a=(1, 90), Cats__b=(2, 90), Cats__c=(3, 90), train__x=(7, 90), grain__x=(8, 90))
    for number, name in enumerate(["cats ", "cat"]):
        put(root, **{f"{name}__z": (10 + number, 90)})
    result = tamis.check(root, tmp_path / "out", jobs=1)
    told = result.notes.filter(pl.col("reason") == "similar_label_names").select("record", "detail").collect().rows()
    assert told == [
        ("cat/z.jpg", "the label 'cat' (1 record) is nearly 'Cats' (3 records)"),
        ("cats /z.jpg", "the label 'cats ' (1 record) is nearly 'Cats' (3 records)"),
    ]
    assert result.manifest["checks"]["labels"]["similar_label_names"] == 2


@pytest.mark.parametrize(
    "names",
    [
        ("Cats", "cats "),
        ("cat", "Cat_"),
        ("Cats", "cat"),
        ("Café", "cafe\u0301"),
        ("ﬁnch", "finch"),
        ("boxes", "box"),
        ("harbour", "harbor"),
        ("harbour", "harbuor"),
        ("orchard", "orchardd"),
        ("caterpillar", "catarpillar"),
        ("class 1", "Class-1"),
    ],
)
def test_names_that_are_nearly_equal(names: tuple[str, str]) -> None:
    assert {frozenset(pair) for pair in alike(dict.fromkeys(names, 1))} == {frozenset(names)}


@pytest.mark.parametrize(
    "names",
    [
        ("train", "grain"),
        ("house", "horse"),
        ("house", "mouse"),
        ("n02085620", "n02085782"),
        ("n02085620", "n02085621"),
        ("1", "11"),
        ("01", "1"),
        ("cat", "car"),
        ("glass", "grass"),
        ("bus", "bu"),
        ("plate", "plane"),
        ("2020-01", "2020-02"),
        ("+", "-"),
        ("猫", "犬"),
    ],
)
def test_names_of_different_things(names: tuple[str, str]) -> None:
    assert alike(dict.fromkeys(names, 1)) == []


@pytest.mark.parametrize(
    ("record", "level", "label"),
    [
        ("train/cat/1.jpg", "parent", "cat"),
        ("1.jpg", "parent", ""),
        ("shards/000.tar/cat/1.jpg", "parent", "cat"),
        ("shards/000.tar/1.jpg", "parent", ""),
        ("a.ZIP/1.jpg", "parent", ""),
        ("train/images.parquet#7", "parent", ""),
        ("train/cat/1.jpg", "1", "train"),
        ("shards/000.tar/cat/1.jpg", "2", "cat"),
        ("cat/1.jpg", "2", ""),
        ("pics/dog_17.jpg", r"/([^/_]+)_\d+\.", "dog"),
        ("pics/17.jpg", r"/([^/_]+)_\d+\.", ""),
        ("pics/17.jpg", r"x(a)?|17", ""),
    ],
)
def test_the_label_is_the_part_of_the_path_that_is_asked_for(record: str, level: str, label: str) -> None:
    assert label_of(record, level) == label


@pytest.mark.parametrize(("level", "said"), [("0", "counted from 1"), ("(", "neither parent nor a number"), ("abc", "needs a group")])
def test_a_level_that_gives_no_label_is_refused(tmp_path: Path, level: str, said: str) -> None:
    settings: dict[str, Any] = {"labels.level": level}
    with pytest.raises(RecipeError, match=re.escape("labels.level") + f".*{said}"):
        tamis.check(tmp_path, tmp_path / "out", settings=settings)


def test_a_column_beside_media_labels_their_rows(tmp_path: Path) -> None:
    pictures = [encoded(rough(seed), "JPEG") for seed in range(6)]
    rows = [*((data, 1) for data in pictures), (pictures[2], 2), (pictures[4], 1), (pictures[5], None)]
    image = pa.array([{"bytes": data, "path": f"{place}.jpg"} for place, (data, _) in enumerate(rows)])
    table = pa.table({"image": image, "label": pa.array([label for _, label in rows]).dictionary_encode(), "box": [[1.0, 2.0]] * len(rows)})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=4)
    result = tamis.clean(tmp_path / "train.parquet", tmp_path / "out", settings={"labels.column": "label", "shards.files": 3}, jobs=1)
    assert ledger(result, "notes") == {"train.parquet#6": ("labels", "label_conflict", "train.parquet#2")}
    for column, near in (("lable", "Did you mean 'label'"), ("nothing", "The columns are: box, image, label")):
        with pytest.raises(ColumnError, match=near):
            tamis.clean(tmp_path / "train.parquet", tmp_path / column, settings={"labels.column": column}, jobs=1)
