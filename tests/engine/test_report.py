from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tamis.errors import OutputError
from tamis.report import write_report
from tamis.report.formats import duration, number, share, size
from tamis.report.thumbnails import thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = "photos/<script>alert(1)</script>\" onerror='x.jpg"
LONG = "photos/" + "very-long-name-" * 20 + ".jpg"


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


def reject(record: str, check: str, reason: str, **other: Any) -> dict[str, Any]:
    row = {"record": record, "source": record.partition("#")[0], "row": None, "check": check, "reason": reason}
    return {**row, "severity": "reject", "detail": "", "kept": None, "similarity": None, **other}


REJECTS = [
    reject(HOSTILE, "integrity", "truncated", detail="the scan ends at byte 4,096 of 40,000 <b>bold</b>"),
    *(reject(f"photos/cut {at}.jpg", "integrity", "truncated", detail=f"ends at byte {at}") for at in range(7)),
    reject(LONG, "integrity", "not_media", detail="begins with <!DOCTYPE html>"),
    reject("photos/b.jpg", "near_duplicates", "near_duplicate", kept="photos/a.jpg", similarity=0.9726),
    reject("photos/broken.jpg", "near_duplicates", "near_duplicate", kept="photos/a.jpg", similarity=0.9414),
    reject("readings.csv#12", "exact_duplicates", "same_row", row=12, kept="readings.csv#3", similarity=1.0),
    reject("readings.csv#40", "source", "ragged_row", row=40, detail="4 cells for 5 columns"),
]
NOTES = [
    {**reject("readings.csv#5", "missing", "code", row=5), "severity": "note", "column": "temperature", "value": "-9999"},
    {**reject("photos/a.jpg", "integrity", "trailing_bytes", detail="812 bytes"), "severity": "note", "column": None, "value": None},
]
CLUSTERS = [
    ("near_duplicates", "photos/a.jpg", "photos/a.jpg", True, 1.0),
    ("near_duplicates", "photos/a.jpg", "photos/b.jpg", False, 0.9726),
    ("near_duplicates", "photos/a.jpg", "photos/broken.jpg", False, 0.9414),
    ("exact_duplicates", "readings.csv#3", "readings.csv#3", True, None),
    ("exact_duplicates", "readings.csv#3", "readings.csv#12", False, None),
]


def manifest(source: Path) -> dict[str, Any]:
    by_reason = [
        {"check": "integrity", "reason": "truncated", "records": 8},
        {"check": "integrity", "reason": "not_media", "records": 1},
        {"check": "near_duplicates", "reason": "near_duplicate", "records": 2},
        {"check": "exact_duplicates", "reason": "same_row", "records": 1},
        {"check": "source", "reason": "ragged_row", "records": 1},
    ]
    nulls = {"blank": 0, "word": 31, "code": 12, "nan": 0, "unparsed": 4}
    return {
        "tamis": {"version": "0.1.0", "manifest": 1},
        "dry_run": False,
        "source": {"paths": [str(source)], "files": 121, "bytes": 8_412_003, "listing": "5c1d0e1b" * 4},
        "counts": {
            "read": 20_120,
            "kept": 20_107,
            "rejected": 13,
            "noted": 2,
            "clusters": 2,
            "by_kind": {
                "media": {"read": 120, "kept": 109, "rejected": 11},
                "table": {"read": 20_000, "kept": 19_998, "rejected": 2},
            },
            "by_reason": by_reason,
            "notes_by_reason": [
                {"check": "missing", "reason": "code", "records": 1},
                {"check": "integrity", "reason": "trailing_bytes", "records": 1},
            ],
        },
        "tables": {
            "readings": {
                "rows_read": 20_000,
                "rows_kept": 19_998,
                "columns": [
                    {"name": "timestamp", "type": "datetime[us, UTC]", "kind": "time", "nulls": {}, "imputed": 0},
                    {"name": "sensor", "type": "str", "kind": "id", "nulls": {"blank": 0}, "imputed": 0},
                    {"name": "temperature", "type": "f64", "kind": "measure", "nulls": nulls, "imputed": 47},
                ],
                "files": ["readings.csv", "more.parquet"],
                "decisions": ["timestamp is day-first because 20/03/2024 stands in row 0 of readings.csv"],
            }
        },
        "scalers": {"readings": {"method": "zscore", "columns": ["temperature"]}},
        "recipe": {"near_duplicates": {"threshold": 0.8, "keep": ["largest", "record"]}, "missing": {"codes": [-9999]}},
        "recipe_hash": "91b7" * 8,
        "recipe_choice": ["images.toml, because 120 of 121 files are pictures"],
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "polars": "2.1.0"},
        "backend": {"name": "cpu", "reason": "auto: no CUDA device is visible"},
        "seeds": {"minhash": 1},
        "checks": {"near_duplicates": {"candidates": 412, "verified": 2}, "integrity": {"decoded": 120}},
        "dataset_id": "a3f08d77" * 4,
        "timing": {
            "started": "2024-05-01T09:30:00+00:00",
            "seconds": 12.34,
            "stages": {"observe": 9.5, "judge": 0.61, "apply": 2.1},
            "jobs": 2,
            "bytes_per_second": 681_000.0,
            "records_per_second": 1630.5,
        },
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "photos").mkdir(parents=True)
    picture = Image.fromarray(np.add.outer(np.arange(240), np.arange(320)).astype(np.uint8)).convert("RGB")
    picture.save(folder / "photos" / "a.jpg")
    picture.resize((160, 120)).save(folder / "photos" / "b.jpg")
    (folder / "photos" / "broken.jpg").write_bytes((folder / "photos" / "a.jpg").read_bytes()[:400])
    return folder


@pytest.fixture
def run(source: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    finding = {"row": pl.Int64, "kept": pl.String, "similarity": pl.Float64}
    pl.DataFrame(REJECTS, schema_overrides=finding).write_parquet(out / "rejects.parquet")
    pl.DataFrame(NOTES, schema_overrides=finding).write_parquet(out / "notes.parquet")
    columns = ["check", "cluster", "record", "keeper", "similarity"]
    pl.DataFrame(CLUSTERS, schema=columns, orient="row").write_parquet(out / "clusters.parquet")
    write_manifest(out, manifest(source))
    return out


def write_manifest(out: Path, content: dict[str, Any]) -> None:
    (out / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def rewrite(out: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """Change the manifest of a run and return its new report."""
    content = json.loads((out / "manifest.json").read_text())
    change(content)
    write_manifest(out, content)
    return write_report(out).read_text(encoding="utf-8")


def words_of(html: str) -> str:
    return " ".join(Page(html).text.split())


def without_timing(html: str) -> str:
    return re.sub(r"<(span|section) data-timing>.*?</\1>", "", html, flags=re.DOTALL)


def test_the_report_lies_in_the_output_folder_and_begins_as_html(run: Path) -> None:
    report = write_report(run)
    assert report == run / "report.html"
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_headline_counts_reasons_and_examples_are_printed(run: Path) -> None:
    text = words_of(write_report(run).read_text(encoding="utf-8"))
    assert "20,120 records read = 20,107 kept + 13 rejected" in text
    assert "a3f08d77" * 4 in text
    assert "The run took 12.3 s, which is 1,630 records or 681 kB a second." in text
    assert "integrity truncated 8" in text
    assert "photos/cut 3.jpg ends at byte 3" in text
    assert "photos/cut 4.jpg" not in text
    assert "and 3 more" in text
    assert "kept: readings.csv#3 similarity 1.000" in text
    assert "column temperature holds -9999" in text


def test_tables_decisions_recipe_and_versions_are_printed(run: Path) -> None:
    text = words_of(write_report(run).read_text(encoding="utf-8"))
    assert "temperature f64 measure 31 12 4 47 (0.2 %) 47" in text
    assert "19,998 of 20,000 rows kept" in text
    assert "day-first because 20/03/2024" in text
    assert "images.toml, because 120 of 121 files are pictures" in text
    assert '"threshold": 0.8' in text
    assert "numpy 2.4.6" in text
    assert "auto: no CUDA device is visible" in text
    assert "candidates 412" in text
    assert "readings: method zscore; columns temperature; the fitted values are in scaler.json" in text


def test_suspicions_have_a_section_of_their_own_that_names_the_confirm_list(run: Path) -> None:
    def suspect(content: dict[str, Any]) -> None:
        content["counts"]["notes_by_reason"].append({"check": "discovery", "reason": "clock_reset", "records": 1})

    told = {
        **reject("readings.csv#7", "discovery", "clock_reset", row=7, detail="9 rows"),
        "severity": "note",
        "column": None,
        "value": None,
    }
    finding = {"row": pl.Int64, "kept": pl.String, "similarity": pl.Float64}
    pl.DataFrame([*NOTES, told], schema_overrides=finding).write_parquet(run / "notes.parquet")
    assert "suspected" not in words_of(write_report(run).read_text(encoding="utf-8"))
    noted, _, section = words_of(rewrite(run, suspect)).partition("What is suspected of sensors")
    assert "confirm.toml" in section
    assert "clock reset 1 readings.csv#7 9 rows" in section
    assert "clock reset" not in noted


def test_hostile_names_are_inert(run: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["counts"]["by_reason"][0]["reason"] = "truncated"
        content["source"]["paths"].append("</code><script>alert(2)</script>")
        content["tables"]["<img src=x onerror=alert(3)>"] = content["tables"].pop("readings")
        content["counts"]["by_kind"]["<script>alert(4)</script>"] = content["counts"]["by_kind"].pop("media")
        content["counts"]["by_reason"].append({"check": "<script>", "reason": "alert(5)</svg>", "records": 1})
        content["recipe"]["</pre><script>"] = "alert(6)"

    page = Page(rewrite(run, change))
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in page.text
    assert "alert(2)" in page.text


def test_nothing_is_fetched_from_anywhere(run: Path) -> None:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert {"link", "iframe", "object", "embed", "base"}.isdisjoint(page.tags)
    addresses = [value or "" for name, value in page.attributes if name in {"src", "href", "srcset", "xlink:href"}]
    assert addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)


def test_pictures_of_a_cluster_are_shown_and_a_broken_one_has_a_placeholder(run: Path) -> None:
    html = write_report(run).read_text(encoding="utf-8")
    assert 'alt="kept: photos/a.jpg"' in html
    assert 'alt="duplicate: photos/b.jpg"' in html
    assert 'aria-label="duplicate: photos/broken.jpg (no picture)"' in html


def test_a_report_can_be_written_when_the_source_is_gone(run: Path, source: Path) -> None:
    source.rename(source.parent / "moved")
    html = write_report(run).read_text(encoding="utf-8")
    assert "<img" not in html
    assert 'aria-label="kept: photos/a.jpg (no picture)"' in html


def test_the_same_run_gives_the_same_report(run: Path) -> None:
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_other_times_change_only_what_is_marked_as_timing(run: Path) -> None:
    before = write_report(run).read_text(encoding="utf-8")
    after = rewrite(run, lambda content: content["timing"].update(seconds=99.0, stages={"observe": 98.0}, jobs=1))
    assert before != after
    assert without_timing(before) == without_timing(after)


def test_it_tells_what_workers_with_and_without_a_gpu_did(run: Path) -> None:
    assert "GPU" not in words_of(write_report(run).read_text(encoding="utf-8"))
    told = {"gpus": [{"gpu": "0", "tasks": 1200}, {"gpu": "3", "tasks": 7}], "beside": 0}
    text = words_of(rewrite(run, lambda content: content["timing"].update(told)))
    assert "2 jobs. GPU 0 did 1,200 tasks. GPU 3 did 7 tasks. Stage" in text
    text = words_of(rewrite(run, lambda content: content["timing"].update(told | {"beside": 40})))
    assert "GPU 3 did 7 tasks. Workers without a GPU did 40. Stage" in text


def test_a_clean_run_without_findings_says_so(run: Path) -> None:
    for name in ("rejects", "notes", "clusters"):
        (run / f"{name}.parquet").unlink()

    def change(content: dict[str, Any]) -> None:
        content["counts"] = {"read": 0, "kept": 0, "rejected": 0, "by_kind": {}, "by_reason": []}
        for key in ("tables", "scalers", "timing", "checks", "recipe_choice", "dataset_id"):
            del content[key]

    text = words_of(rewrite(run, change))
    assert "0 records read = 0 kept + 0 rejected" in text
    assert "No record was rejected." in text


def test_books_that_do_not_balance_are_pointed_out(run: Path) -> None:
    text = words_of(rewrite(run, lambda content: content["counts"].update(kept=20_100)))
    assert "do not add up: 7 records differ" in text


def test_records_are_found_below_the_root_of_several_sources(run: Path, source: Path) -> None:
    places = {"root": str(source), "paths": [str(source / "photos"), str(source / "other")]}
    assert 'alt="kept: photos/a.jpg"' in rewrite(run, lambda content: content["source"].update(places))


def test_a_table_shows_the_treatments_its_columns_had(run: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for column in content["tables"]["readings"]["columns"]:
            del column["imputed"]
            column["missing"] = 53

    text = words_of(rewrite(run, change))
    assert "Nulls Missing timestamp" in text
    assert "47 (0.2 %) 53" in text
    assert "Imputed" not in text


def test_the_first_of_many_tables_are_shown_and_one_record_is_not_called_records(run: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["tables"] = {f"table {at:03d}": content["tables"]["readings"] for at in range(70)}
        content["counts"].update(read=1)

    html = rewrite(run, change)
    assert html.count("<h3>table") == 50
    assert [one for one in ("1 record read", "and 20 more tables") if one not in words_of(html)] == []


def test_a_dry_run_is_called_one(run: Path) -> None:
    assert "This was a dry run" in words_of(rewrite(run, lambda content: content.update(dry_run=True)))


def test_a_cluster_with_many_members_shows_the_most_similar_and_counts_the_rest(run: Path) -> None:
    rows = [("near_duplicates", "t.csv#0", f"t.csv#{at}", at == 0, 1 - at / 1000) for at in range(300)]
    columns = ["check", "cluster", "record", "keeper", "similarity"]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(run / "clusters.parquet")
    text = words_of(write_report(run).read_text(encoding="utf-8"))
    assert "kept for 300 t.csv#0 similarity 0.999 t.csv#1" in text
    assert "t.csv#4 and 295 more" in text
    assert "t.csv#5 " not in text


@pytest.mark.parametrize("content", [None, b"", b"{not json"])
def test_a_folder_without_a_readable_manifest_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(OutputError, match="output folder of a finished run"):
        write_report(tmp_path)


def test_a_record_cannot_lead_out_of_its_source(source: Path) -> None:
    secret = source.parent / "secret.jpg"
    secret.write_bytes((source / "photos" / "a.jpg").read_bytes())
    (source / "link.jpg").symlink_to(secret)
    assert thumbnail([source], "photos/a.jpg") is not None
    assert thumbnail([source], "../secret.jpg") is None
    assert thumbnail([source], str(secret)) is None
    assert thumbnail([source], "link.jpg") is None


def test_a_picture_that_claims_too_many_pixels_is_not_decoded(source: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(source / "big.png")
    assert thumbnail([source], "big.png") is None


def test_a_source_that_is_one_file_shows_its_picture(source: Path) -> None:
    assert thumbnail([source / "photos" / "a.jpg"], "a.jpg") is not None


@pytest.mark.parametrize("record", ["nul\0.jpg", "n" * 5_000 + ".jpg", "\udcff.jpg", ".jpg", "photos.png"])
def test_names_that_the_file_system_cannot_have_show_no_picture(source: Path, record: str) -> None:
    assert thumbnail([source], record) is None


def test_a_path_that_is_no_text_is_printed_with_escapes(run: Path) -> None:
    html = rewrite(run, lambda content: content["source"]["paths"].append("caf\udce9"))
    assert "<code>caf\\udce9</code>" in html


def test_many_reasons_share_a_chart_and_all_have_a_place_in_the_table(run: Path) -> None:
    reasons = [{"check": "integrity", "reason": f"reason_{at}", "records": 100 - at} for at in range(20)]
    html = rewrite(run, lambda content: content["counts"].update(by_reason=reasons))
    assert ">5 other reasons</span>" in html
    assert '<i class="rejected" style="width: 100%"></i><span class="label">415</span>' in html
    assert '<i class="rejected" style="width: 24.1%"></i><span class="label">100</span>' in html
    assert '<th scope="row">reason 19</th><td class="count">81</td>' in html


def test_numbers_are_printed_as_a_reader_expects() -> None:
    assert [number(value) for value in (0, 1_234_567, 3.0, 0.12345, 1234.5, np.nan)] == [
        "0",
        "1,234,567",
        "3",
        "0.123",
        "1,234",
        "nan",
    ]
    assert [share(*pair) for pair in ((0, 0), (1, 3), (1, 10**6), (10**6 - 1, 10**6), (5, 5))] == [
        "0 %",
        "33.3 %",
        "< 0.1 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [size(count) for count in (0, 999, 1_000, 8_412_003, 999_999, 3e15)] == [
        "0 B",
        "999 B",
        "1 kB",
        "8.41 MB",
        "1 MB",
        "3 PB",
    ]
    assert [duration(seconds) for seconds in (0.5, 59.94, 75, 3_700)] == ["0.5 s", "59.9 s", "1 min 15 s", "1 h 1 min"]
