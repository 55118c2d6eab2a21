from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pdqhash
import polars as pl
import pytest
import simplejpeg
from PIL import Image, ImageOps

from tamis.errors import OutputError
from tamis.sample import SampleSummary, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, ROWS, DOCUMENTS = 60, 1_200, 200
PDQ_MATCH = 31  # bits of 256: the distance up to which PDQ's authors call two pictures the same


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("sample"), images=IMAGES, rows=ROWS, documents=DOCUMENTS)


@pytest.fixture(scope="module")
def truth(sample: SampleSummary) -> pl.DataFrame:
    return pl.read_parquet(sample.truth)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def with_fault(truth: pl.DataFrame, *faults: str) -> list[dict[str, str]]:
    rows = truth.filter(pl.col("fault").is_in(faults)).to_dicts()
    assert rows
    return rows


def data_of(sample: SampleSummary, record: str) -> bytes:
    return (sample.corpus / record).read_bytes()


def row_of(sample: SampleSummary, record: str) -> dict[str, object]:
    """Return a row of a CSV, NDJSON or Parquet file by its record id; cells of CSV files as they are written."""
    path, _, number = record.partition("#")
    if path.endswith(".parquet"):
        return pl.read_parquet(sample.corpus / path).row(int(number), named=True)
    if path.endswith(".ndjson"):
        return dict(json.loads(data_of(sample, path).splitlines()[int(number)]))
    header, *rows = csv.reader(io.StringIO(data_of(sample, path).decode("utf-8-sig")))
    return dict(zip(header, rows[int(number)], strict=True))


def pdq(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(pdqhash.compute(np.asarray(ImageOps.exif_transpose(picture).convert("RGB")))[0])


def shingles(text: object) -> set[str]:
    folded = " ".join(str(text).lower().split())
    return {folded[at : at + 5] for at in range(len(folded) - 4)}


def jaccard(left: set[str], right: set[str]) -> float:
    return len(left & right) / len(left | right)


def test_the_same_seed_gives_the_same_bytes(sample: SampleSummary, tmp_path: Path) -> None:
    write_sample(tmp_path, images=IMAGES, rows=ROWS, documents=DOCUMENTS)
    assert contents(tmp_path) == contents(sample.truth.parent)


def test_another_seed_gives_another_corpus(sample: SampleSummary, tmp_path: Path) -> None:
    other = write_sample(tmp_path, seed=2, images=IMAGES, rows=ROWS, documents=DOCUMENTS)
    ours, theirs = contents(sample.corpus), contents(other.corpus)
    pictures = {data for name, data in ours.items() if name.startswith("photos") and len(set(data)) > 1}
    shared = {data for name, data in theirs.items() if name.startswith("photos")} & pictures
    assert all(data.lstrip().startswith(b"<!DOCTYPE") for data in shared)
    assert all(ours[name] != theirs[name] for name in ours if not name.startswith("photos"))


def test_the_truth_has_one_row_for_each_record_of_the_corpus(sample: SampleSummary, truth: pl.DataFrame) -> None:
    records = []
    for path in sample.corpus.rglob("*"):
        name = str(path.relative_to(sample.corpus))
        match path.suffix:
            case ".parquet":
                records += [f"{name}#{row}" for row in range(pl.read_parquet(path).height)]
            case ".csv":
                records += [f"{name}#{row}" for row in range(len(path.read_bytes().splitlines()) - 1)]
            case ".ndjson":
                records += [f"{name}#{row}" for row in range(len(path.read_bytes().splitlines()))]
            case _ if path.is_file():
                records.append(name)
    assert Counter(truth["record"].to_list()) == Counter(records)
    assert truth.columns == ["record", "kind", "fault", "expected", "group", "original", "detail"]
    assert Counter(truth["kind"].to_list()) == {
        "image": IMAGES,
        "reading": ROWS,
        "series": truth["record"].str.contains("^(series.parquet#|field/)").sum(),
        "window": ROWS // 50,
        "document": DOCUMENTS,
    }


def test_the_summary_counts_what_was_written(sample: SampleSummary, truth: pl.DataFrame) -> None:
    files = contents(sample.corpus)
    assert (sample.files, sample.bytes) == (len(files), sum(map(len, files.values())))
    assert sample.records == truth.height
    assert sample.faults == Counter(truth["fault"].to_list())


def test_a_group_holds_one_clean_original_and_what_was_made_from_it(truth: pl.DataFrame) -> None:
    grouped = truth.filter(pl.col("group").is_not_null())
    kept = grouped.filter(pl.col("original").is_null())
    assert kept["record"].to_list() == kept["group"].to_list()
    assert set(kept["expected"]) == {"keep"}
    made = grouped.filter(pl.col("original").is_not_null())
    assert made["original"].to_list() == made["group"].to_list()
    assert set(made["expected"]) == {"reject"}
    assert set(made["group"]) == set(kept["group"])


def test_the_summary_says_what_lies_where(sample: SampleSummary) -> None:
    told = str(sample)
    assert f"{sample.records:,} records" in told
    assert str(sample.corpus) in told
    assert str(sample.truth) in told
    assert str(sample.planted) in told
    assert len(told.splitlines()) == 3


def test_clean_pictures_decode_and_are_all_different(sample: SampleSummary, truth: pl.DataFrame) -> None:
    clean = truth.filter(pl.col("kind") == "image", pl.col("fault") == "none")["record"].to_list()
    hashes = []
    for record in clean:
        with Image.open(sample.corpus / record) as picture:
            assert 256 <= min(picture.size) <= max(picture.size) <= 640
            hashes.append(pdq(picture))
    distances = [int((left != right).sum()) for at, left in enumerate(hashes) for right in hashes[:at]]
    assert min(distances) > 2 * PDQ_MATCH
    assert {record.rpartition(".")[2] for record in clean} == {"jpg", "png", "webp", "gif"}


def test_exact_copies_have_the_bytes_of_their_original(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "exact_copy"):
        assert data_of(sample, row["record"]) == data_of(sample, row["original"])


def test_near_duplicate_pictures_differ_in_bytes_and_match_in_hash(sample: SampleSummary, truth: pl.DataFrame) -> None:
    near = with_fault(truth, "near_reencoded", "near_resized", "near_grayscale", "near_brightness", "exif_orientation")
    for row in near:
        assert data_of(sample, row["record"]) != data_of(sample, row["original"])
        with Image.open(sample.corpus / row["record"]) as made, Image.open(sample.corpus / row["original"]) as original:
            assert int((pdq(made) != pdq(original)).sum()) <= PDQ_MATCH, row


def test_damaged_scans_are_refused_by_a_strict_decoder(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "truncated", "zeroed_block", "random_bytes"):
        with pytest.raises(ValueError, match=r".+"):
            simplejpeg.decode_jpeg(data_of(sample, row["record"]), strict=True)


def test_damage_lies_where_the_truth_says(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "truncated"):
        data = data_of(sample, row["record"])
        length, whole = (int(word) for word in row["detail"].split() if word.isdigit())
        assert len(data) == length < whole
        assert not data.endswith(b"\xff\xd9")
    for row in with_fault(truth, "zeroed_block"):
        data = data_of(sample, row["record"])
        at = int(row["detail"].split()[-1])
        assert data[at : at + 4096] == bytes(4096)
        assert data.endswith(b"\xff\xd9")


def test_files_that_are_no_pictures_are_what_the_truth_says(sample: SampleSummary, truth: pl.DataFrame) -> None:
    assert all(data_of(sample, row["record"]) == b"" for row in with_fault(truth, "empty_file"))
    assert all(set(data_of(sample, row["record"])) == {0} for row in with_fault(truth, "zero_file"))
    assert all(b"<html>" in data_of(sample, row["record"]) for row in with_fault(truth, "html_page"))
    assert all(data_of(sample, row["record"])[1:4] == b"PNG" for row in with_fault(truth, "wrong_extension"))


def test_the_bomb_claims_more_pixels_than_pillow_allows(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "bomb_header"):
        assert len(data_of(sample, row["record"])) < 1_000_000
        with pytest.raises(Image.DecompressionBombError):
            Image.open(sample.corpus / row["record"])


def test_trailing_bytes_follow_a_whole_picture(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "trailing_bytes"):
        data = data_of(sample, row["record"])
        extra = int(row["detail"].split()[0])
        assert data[:-extra].endswith(b"\xff\xd9")
        assert simplejpeg.decode_jpeg(data[:-extra], strict=True).size > 0


def test_duplicate_rows_and_lines_equal_their_original(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "duplicate_row", "duplicate_line"):
        assert row_of(sample, row["record"]) == row_of(sample, row["original"])


def test_clean_rows_are_all_different(sample: SampleSummary, truth: pl.DataFrame) -> None:
    clean = truth.filter(pl.col("kind") == "reading", pl.col("fault") == "none").sample(100, seed=1)["record"]
    cells = [tuple(sorted(map(str, row_of(sample, record).values()))) for record in clean]
    assert len(set(cells)) == len(cells)


@pytest.mark.parametrize(
    ("fault", "cells"),
    [
        ("missing_word", {"NA", "n/a", "null", "missing", "-", "NaN"}),
        ("blank", {""}),
        ("sentinel", {"-9999", "-9999.0", "-999.9"}),
        ("null", {"None"}),
        ("nan", {"nan"}),
    ],
)
def test_missing_values_are_written_in_the_row(sample: SampleSummary, truth: pl.DataFrame, fault: str, cells: set[str]) -> None:
    for row in with_fault(truth.filter(pl.col("kind") == "reading"), fault):
        assert len(cells & {str(cell) for cell in row_of(sample, row["record"]).values()}) == 1
        assert row["expected"] == "note"


def test_oddly_written_values_are_in_the_row(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "decimal_comma"):
        assert str(row_of(sample, row["record"])["temperature"]).count(",") == 1
    for row in with_fault(truth, "unit_suffix"):
        assert str(row_of(sample, row["record"])["temperature"]).endswith(" °C")
    for row in with_fault(truth, "timestamp_format"):
        assert str(row_of(sample, row["record"])["timestamp"]).endswith("Z")


def test_ragged_rows_have_another_number_of_cells(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "short_row", "long_row"):
        path, _, number = row["record"].partition("#")
        header, *rows = csv.reader(io.StringIO(data_of(sample, path).decode()))
        longer = len(rows[int(number)]) > len(header)
        assert len(rows[int(number)]) != len(header)
        assert longer == (row["fault"] == "long_row")


def test_one_station_begins_with_a_byte_order_mark_and_stations_order_their_columns_differently(
    sample: SampleSummary,
) -> None:
    heads = [data.splitlines()[0] for name, data in contents(sample.corpus).items() if name.endswith(".csv")]
    assert sum(head.startswith(b"\xef\xbb\xbf") for head in heads) == 1
    names = [head.decode("utf-8-sig").split(",") for head in heads]
    assert len({tuple(sorted(columns)) for columns in names}) == 1
    assert len({tuple(columns) for columns in names}) > 1


def test_changed_windows_are_the_original_up_to_gain_offset_and_noise(sample: SampleSummary, truth: pl.DataFrame) -> None:
    samples = pl.read_parquet(sample.corpus / "windows.parquet")["samples"].to_list()
    for row in with_fault(truth, "near_gain", "near_offset", "near_noise", "same_samples"):
        made, original = (np.array(samples[int(row[key].partition("#")[2])]) for key in ("record", "original"))
        assert (made.tolist() == original.tolist()) == (row["fault"] == "same_samples")
        assert np.corrcoef(made, original)[0, 1] > 0.999


def test_faults_of_instruments_are_in_the_readings_that_the_truth_names(sample: SampleSummary, truth: pl.DataFrame) -> None:
    number = pl.col("record").str.split("#").list.last().cast(pl.UInt32).alias("row")
    told = truth.filter(pl.col("record").str.starts_with("series.parquet#")).select(number, "fault", "detail")
    rows = pl.read_parquet(sample.corpus / "series.parquet").with_row_index("row").join(told, on="row", maintain_order="left")
    events = rows.with_columns(pl.col("detail").str.extract(r"^(\w+), event ([\w-]+ \d+)", 1).alias("channel"))
    for (fault, detail, channel), event in events.filter(pl.col("fault") != "none").group_by("fault", "detail", "channel"):
        values = event[str(channel)].to_list() if channel else []
        own = rows.filter(pl.col("logger") == event["logger"][0])
        match fault:
            case "stuck":
                assert 18 <= len(values) < 32
                assert len(set(values)) == 1
            case "saturation":
                assert set(values) == {12.0}
            case "out_of_range":
                assert not any(-40 <= value <= 60 for value in values)
            case "spike":
                place = own["row"].to_list().index(event["row"][0])
                before, at, after = own[str(channel)][place - 1 : place + 2].to_list()
                assert abs(at - (before + after) / 2) > 0.5
            case "gap":
                (missing,) = re.findall(r"^\d+", str(detail))
                place = own["row"].to_list().index(event["row"][0])
                assert own["timestamp"][place] - own["timestamp"][place - 1] == timedelta(minutes=int(missing) + 1)
            case "duplicate_time":
                assert event["timestamp"].n_unique() == 1
                assert len(event) == 2
            case _:
                assert fault == "drift"
                assert len(values) == 30


def test_clean_windows_are_not_alike(sample: SampleSummary, truth: pl.DataFrame) -> None:
    samples = np.array(pl.read_parquet(sample.corpus / "windows.parquet")["samples"].to_list())
    clean = truth.filter(pl.col("kind") == "window", pl.col("fault") == "none")["record"]
    alike = np.abs(np.corrcoef(samples[[int(record.partition("#")[2]) for record in clean]]))
    assert (alike - np.eye(len(alike))).max() < 0.99


def test_copied_documents_are_near_their_original_and_others_are_far(sample: SampleSummary, truth: pl.DataFrame) -> None:
    for row in with_fault(truth, "same_text", "near_edited", "near_prefix", "near_case", "near_whitespace"):
        made, original = row_of(sample, row["record"]), row_of(sample, row["original"])
        assert made["id"] != original["id"]
        assert jaccard(shingles(made["text"]), shingles(original["text"])) > 0.85
        assert (made["text"] == original["text"]) == (row["fault"] == "same_text")
    clean = truth.filter(pl.col("kind") == "document", pl.col("fault") == "none")["record"].head(40)
    sets = [shingles(row_of(sample, record)["text"]) for record in clean]
    assert max(jaccard(left, right) for at, left in enumerate(sets) for right in sets[:at]) < 0.4


def test_odd_documents_are_what_the_truth_says(sample: SampleSummary, truth: pl.DataFrame) -> None:
    assert all(row_of(sample, row["record"])["text"] == "" for row in with_fault(truth, "empty_text"))
    assert not any(str(row_of(sample, row["record"])["text"]).isascii() for row in with_fault(truth, "non_ascii"))
    (broken,) = with_fault(truth, "bad_json")
    with pytest.raises(json.JSONDecodeError):
        row_of(sample, broken["record"])


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"images": 39}, {"rows": 599}, {"documents": 49}])
def test_counts_too_small_for_every_fault_are_refused(tmp_path: Path, arguments: dict[str, int]) -> None:
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name} must be at least .*, got {value}"):
        write_sample(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_the_smallest_sample_holds_every_fault(sample: SampleSummary, tmp_path: Path) -> None:
    smallest = write_sample(tmp_path, images=40, rows=600, documents=50)
    assert smallest.faults.keys() == sample.faults.keys()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        write_sample(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}
