"""Sources and folders that are not what they should be: a clear line or a row of the ledger, never a traceback or a lost record."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from running import TAMIS, balanced, buffering, call, started

import tamis
from images import encoded
from tamis.errors import ColumnError, OutputError, SourceError
from tamis.pipeline.folder import prepared
from tamis.progress import Silent
from tamis_kernels import ArgumentError, backend, crossovers
from tamis_kernels.crossovers import Measurement, Timing

OUTSIDE = Path(__file__)


def photo(seed: int) -> bytes:
    """Return a small JPEG of soft shapes, so that every seed is another picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return encoded(Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC), "JPEG")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder with four pictures, two of them the same, and a table of each kind."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name, seed in (("a.jpg", 1), ("b.jpg", 2), ("c.jpg", 3), ("twin.jpg", 1)):
        (folder / name).write_bytes(photo(seed))
    rows = pl.DataFrame({"time": [f"2024-01-0{day}T00:00:00" for day in range(1, 6)], "value": [1.0, 2.0, 3.0, 4.0, 5.0]})
    rows.write_csv(folder / "text.csv")
    rows.with_columns(pl.col("value") + 10).write_parquet(folder / "native.parquet")
    return folder


class At(Silent):
    """Do something to the source when a stage begins."""

    def __init__(self, stage: str, act: Callable[[], object]) -> None:
        self._stage, self._act = stage, act

    def stage(self, name: str, total: int, things: str = "records") -> None:  # noqa: ARG002 - the contract's signature
        if name == self._stage:
            self._act()


def reasons(out: Path) -> dict[str, str]:
    return dict(tamis.Result(out).rejected.select("record", "reason").collect().iter_rows())


def vanish(path: Path) -> Callable[[], object]:
    return path.unlink


def change(path: Path) -> Callable[[], object]:
    return lambda: path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("stage", ["observe", "apply"])
@pytest.mark.parametrize(("harm", "reason"), [(vanish, "vanished"), (change, "changed")])
@pytest.mark.parametrize("name", ["b.jpg", "native.parquet"])
def test_a_file_that_vanishes_or_changes_in_the_run_is_in_the_ledger(
    source: Path, tmp_path: Path, stage: str, harm: Callable[[Path], Callable[[], object]], reason: str, name: str
) -> None:
    how = {"output.materialise": "copy"}
    result = tamis.clean(source, tmp_path / "out", jobs=1, settings=how, progress=At(stage, harm(source / name)))
    rows = {name} if name.endswith("jpg") else {f"{name}#{row}" for row in range(5)}
    assert balanced(result.manifest)
    assert result.manifest["counts"]["read"] == 14
    assert reasons(tmp_path / "out") == {"twin.jpg": "exact_duplicate", **dict.fromkeys(rows, reason)}


def test_a_keeper_lost_while_writing_leaves_its_duplicate_rejected_and_names_both(source: Path, tmp_path: Path) -> None:
    result = tamis.clean(source, tmp_path / "out", jobs=1, progress=At("apply", (source / "a.jpg").unlink))
    assert balanced(result.manifest)
    assert reasons(tmp_path / "out") == {"a.jpg": "vanished", "twin.jpg": "exact_duplicate"}
    kept, detail = result.rejected.filter(pl.col("record") == "twin.jpg").select("kept", "detail").collect().row(0)
    assert kept == "a.jpg"
    assert "could not be written in the end" in detail


def test_a_text_table_that_changes_after_it_was_read_is_used_as_it_was(source: Path, tmp_path: Path) -> None:
    result = tamis.clean(source, tmp_path / "out", jobs=1, progress=At("observe", (source / "text.csv").unlink))
    assert balanced(result.manifest)
    assert reasons(tmp_path / "out") == {"twin.jpg": "exact_duplicate"}


def write_cut_parquet(path: Path) -> None:
    pl.DataFrame({"a": range(100)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])


def write_cut_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % row for row in range(5000)))[:-20])


def write_no_column(path: Path) -> None:
    pq.write_table(pa.table({}), path)


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("cut.parquet", write_cut_parquet, "unreadable_table"),
        ("cut.csv.gz", write_cut_gzip, "truncated"),
        ("no.csv.zst", lambda path: path.write_bytes(b"not zstd at all"), "truncated"),
        ("empty.csv", Path.touch, "empty_table"),
        ("empty.ndjson", Path.touch, "empty_table"),
        ("empty.parquet", Path.touch, "unreadable_table"),
        ("empty.arrow", Path.touch, "unreadable_table"),
        ("empty.jpg", Path.touch, "empty"),
        ("empty.tsv", Path.touch, "empty_table"),
        ("no column.parquet", write_no_column, "empty_table"),
        ("zeros.csv", lambda path: path.write_bytes(bytes(5000)), "not_a_table"),
        ("page.csv", lambda path: path.write_text("<!DOCTYPE html>\n<html>a, b</html>\n"), "not_a_table"),
        ("page.jsonl", lambda path: path.write_text("<html></html>\n"), "not_a_table"),
        ("picture.tsv", lambda path: path.write_bytes(photo(9)), "not_a_table"),
        ("packed.csv", lambda path: path.write_bytes(gzip.compress(b"a,b\n1,2\n")), "not_a_table"),
        ("other.csv", lambda path: pl.DataFrame({"a": [1]}).write_parquet(path), "not_a_table"),
        ("page.tar.gz", lambda path: path.write_bytes(b"<html>gone</html>"), "unreadable_archive"),
        ("empty.jsonl", Path.touch, "empty_table"),
        ("outside link", lambda path: path.symlink_to(OUTSIDE), "outside_source"),
        ("broken link", lambda path: path.symlink_to("nowhere"), "broken_link"),
        ("folder link", lambda path: path.symlink_to("/", target_is_directory=True), "directory_link"),
        ("line\nbreak 'and\" quotes.jpg", Path.touch, "empty"),
        (f"{'long' * 60}.jpg", Path.touch, "empty"),
    ],
)
def test_what_cannot_be_read_has_its_reason(source: Path, tmp_path: Path, name: str, write: Callable[[Path], object], reason: str) -> None:
    write(source / name)
    result = tamis.check(source, tmp_path / "out", jobs=1)
    assert balanced(result.manifest)
    told = {record: why for record, why in reasons(tmp_path / "out").items() if record.startswith(name)}
    assert set(told.values()) == {reason}


PAIRS = pa.map_(pa.string(), pa.int64())
ODD_TABLES = {
    "a column without a name": (pa.table({"": [1, 2], "x": ["a", "b"]}), {"column_1": [1, 2], "x": ["a", "b"]}),
    "maps": (pa.table({"m": pa.array([{"k": 1}, {"k": 2}], PAIRS)}), {"m": [{"k": 1}, {"k": 2}]}),
    "lists of maps": (pa.table({"m": pa.array([[{"k": 1}], [{}]], pa.list_(PAIRS))}), {"m": [[{"k": 1}], [{}]]}),
    "an extension": (
        pa.table({"j": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", "[]"]))}),
        {"j": ["{}", "[]"]},
    ),
    "a name of ours": (pa.table({"__tamis_reason__": ["a", "b"]}), {"__tamis_reason__": ["a", "b"]}),
}


@pytest.mark.parametrize(("table", "kept"), ODD_TABLES.values(), ids=ODD_TABLES)
def test_tables_of_odd_columns_are_kept_as_they_are(tmp_path: Path, table: pa.Table, kept: dict[str, list[Any]]) -> None:
    pq.write_table(table, tmp_path / "odd.parquet")
    result = tamis.clean(tmp_path / "odd.parquet", tmp_path / "out", jobs=1)
    assert result.kept.collect().to_dict(as_series=False) == kept


def test_rows_around_a_damaged_row_group_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    values = [f"text {number}" for number in range(4000)]
    pq.write_table(pa.table({"a": values}), path, row_group_size=1000, use_dictionary=False, compression="zstd")
    content = bytearray(path.read_bytes())
    for group in (1, 3):
        start = pq.ParquetFile(path).metadata.row_group(group).column(0).data_page_offset
        content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    result = tamis.clean(path, tmp_path / "out", settings={"near_duplicates.enabled": False}, jobs=1)
    assert result.kept.collect()["a"].to_list() == values[:1000] + values[2000:3000]
    rejected = result.rejected.collect()
    assert rejected["row"].to_list() == [*range(1000, 2000), *range(3000, 4000)]
    assert set(rejected["reason"]) == {"unreadable_rows"}
    assert "rows 1000 to 2000" in rejected["detail"][0]
    assert "rows 3000 to 4000" in rejected["detail"][0]


def test_outputs_inside_the_source_are_not_read(source: Path) -> None:
    first = tamis.clean(source, source / "out", jobs=1).manifest["counts"]
    second = tamis.clean(source, source / "again", jobs=1)
    assert (first["read"], second.manifest["counts"]["read"]) == (14, 15)
    assert reasons(source / "again")["out"] == "tamis_output"


def test_a_folder_in_use_is_refused(source: Path, tmp_path: Path) -> None:
    with prepared(tmp_path / "out", [source], overwrite=False), pytest.raises(OutputError, match="another run is writing"):
        tamis.clean(source, tmp_path / "out")


def test_a_wrong_earlier_run_leaves_nothing_that_is_in_the_way(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no finished run"):
        tamis.clean(source, tmp_path / "out", against=tmp_path / "typo", jobs=1)
    assert balanced(tamis.clean(source, tmp_path / "out", jobs=1).manifest)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"jobs": -1}, "jobs must be at least 0, got -1"),
        ({"batch_size": -5}, "batch_size must be at least 0, got -5"),
        ({"recipe": [2]}, "recipe is of type list; give a Recipe, a dictionary, a path or None"),
        ({"source": pl.DataFrame({"a": [1]})}, "source is of type DataFrame; give a path"),
    ],
)
def test_wrong_arguments_are_told(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    arguments: dict[str, Any] = {"source": "x", "out": tmp_path / "out"} | wrong
    with pytest.raises(ArgumentError, match=said):
        tamis.clean(**arguments)


def test_no_jobs_and_no_batch_size_are_chosen(source: Path, tmp_path: Path) -> None:
    assert balanced(tamis.clean(source / "native.parquet", tmp_path / "out", jobs=0, batch_size=0).manifest)


def test_an_empty_folder_and_a_foreign_output_are_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").touch()
    with pytest.raises(SourceError, match="empty text"):
        tamis.clean("", tmp_path / "out")
    with pytest.raises(SourceError, match="nothing to clean"):
        tamis.clean(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(OutputError, match="holds no run of tamis"):
        tamis.clean(source / "text.csv", tmp_path / "foreign")
    with pytest.raises(OutputError, match="not a folder"):
        tamis.clean(source, source / "text.csv")


@pytest.mark.parametrize("key", ["near_duplicates.columns", "missing.required", "exact_duplicates.ignore", "normalize.columns"])
def test_a_column_that_no_table_has_is_told_with_the_nearest(source: Path, tmp_path: Path, key: str) -> None:
    with pytest.raises(ColumnError, match=rf"{key} names the column 'valeu'.*'value'"):
        tamis.clean(source, tmp_path / "out", settings={key: ["valeu"], "normalize.method": "zscore"}, jobs=1)


def test_the_command_prints_one_document_or_nothing(source: Path, tmp_path: Path) -> None:
    told = started("clean", source, "-o", tmp_path / "one", "--json", "-j", 1)
    assert (told.returncode, told.stderr) == (0, "")
    assert balanced(json.loads(told.stdout))
    quiet = call("check", source, "-o", tmp_path / "two", "--quiet", "-j", 1)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    spoken = call("clean", source, "-o", tmp_path / "three", "-j", 1)
    assert "14 read = 13 kept + 1 rejected" in spoken.stdout
    assert "observe: 14 records" in spoken.stderr


def test_a_tilde_is_the_users_folder_and_a_link_to_nothing_no_output(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("seed = 2")
    result = tamis.clean("~/source/text.csv", "~/out", "~/mine.toml", jobs=1)
    assert (result.out, (tmp_path / "out" / "report.html").exists()) == (tmp_path / "out", True)
    assert call("check", "~/source/text.csv", "-o", "~/two", "--against", "~/out", "-r", "~/mine.toml", "-j", 1).stdout.endswith(
        f"{tmp_path}/two/rejects.parquet\n"
    )
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputError, match="is a link to nowhere, which is not there"):
        tamis.clean(source, tmp_path / "link")
    with pytest.raises(OutputError, match=r"the name '.*\\udcff' of the output folder is no UTF-8"):
        tamis.clean(source, os.fsdecode(b"out\xff"))


def test_a_run_and_an_error_need_no_standard_error(source: Path, tmp_path: Path) -> None:
    for status, text in ((0, "read = "), (2, "")):
        words = [*TAMIS, "check", str(source / "text.csv"), "-o", str(tmp_path / "out"), "-j", "1", *(["--set", "x"] if status else [])]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=full, text=True, check=False, env=buffering())
        assert (done.returncode, text in done.stdout) == (status, True)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["clean", "x", "-o", "y", "--backend", "gpu"], 2, "auto, cpu, cuda"),
        (["clean", "x", "-o", "y", "--jobs", "-2"], 2, "'--jobs'"),
        (["clean", "x", "-o", "y", "--recipe", "imges"], 2, "'images'"),
        (["clean", "x", "-o", "y", "--set", "near_duplicates.threshold=2"], 2, "near_duplicates.threshold"),
        (["clean", "x", "-o", "y", "--set", "nonsense"], 2, "KEY=VALUE"),
        (["clean", "x"], 2, "'--out'"),
        (["recipe", "show", "text.toml"], 2, "text.toml"),
        (["sample", "corpus", "--images", "3"], 2, "images"),
        (["doctr"], 2, "doctr"),
    ],
)
def test_wrong_commands_are_one_line(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    run = call(*words, cwd=tmp_path)
    assert run.returncode == status
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_doctor_measures_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch, measured_here: Any) -> None:  # noqa: ARG001 - an empty cache
    found = Measurement({"GPU": "A"}, "2026-01-02", {"moments": (Timing(80, 1.0, 2.0, 0.5),)})
    monkeypatch.setattr(crossovers, "machine", lambda: {"GPU": "A"})
    monkeypatch.setattr("tamis_kernels.measure.measure", lambda say: say("a table") or found)
    before = json.loads(call("doctor", "--json").stdout)
    assert (before["backend auto"], "auto in a call" in before) == (f"cpu (auto: {crossovers.NOTHING})", False)
    by = "auto: as measured on this machine on 2026-01-02, CUDA is"
    one = f"cuda ({by} faster than a call on the CPU in moments from 80 B on; all else runs on the CPU)"
    run = f"cpu ({by} no faster than all threads of the CPU in all operations)"
    told = call("doctor", "--measure").stdout.splitlines()
    assert told == ["a table", f"kept in {crossovers.path()}", f"backend auto in a call: {one}", f"backend auto in a run: {run}"]
    after = json.loads(call("doctor", "--json").stdout)
    assert (after["backend auto"], after["auto in a call"]) == (run, one)
    as_json = json.loads(call("doctor", "--measure", "--json").stdout)
    kept = {"file": str(crossovers.path()), "crossovers": {"call": {"moments": 80}, "run": {}}}
    assert as_json == kept | json.loads(json.dumps(found.to_json()))


def test_doctor_without_a_gpu_measures_nothing_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: f"no packages; install them with: {backend.CUDA_INSTALL_LINE}")
    run = call("doctor", "--measure")
    assert (run.returncode, run.stdout) == (2, "")
    said = "tamis: there is nothing to measure: CUDA cannot run here: no packages; install them with: pip install 'tamis[cuda]'"
    assert run.stderr.splitlines() == [said]


def test_doctor_and_recipe_speak() -> None:
    report = json.loads(call("doctor", "--json").stdout)
    assert {"cores", "python", "numpy"} <= report.keys()
    schema = json.loads(call("recipe", "schema").stdout)
    assert "near_duplicates" in schema["properties"]
    assert "[near_duplicates]" in call("recipe", "show", "images").stdout


WORDS = ["-0.0", "nan", "inf", "NA", "-9999", "1,5", "3 km", "2024-01-02", "é", "", " "]
CELLS = st.one_of(st.none(), st.floats(width=32), st.sampled_from(WORDS), st.text(max_size=6))


@settings(max_examples=6, deadline=None)
@given(table=st.lists(st.tuples(CELLS, CELLS, st.integers(0, 3)), min_size=1, max_size=12), batch=st.integers(1, 5))
def test_any_table_balances(tmp_path_factory: pytest.TempPathFactory, table: list[tuple[Any, Any, int]], batch: int) -> None:
    folder = tmp_path_factory.mktemp("any")
    text = [[None if cell is None else str(cell) for cell in row] for row in table]
    pl.DataFrame(text, schema={"a": pl.String, "b": pl.String, "c": pl.String}, orient="row").write_parquet(folder / "t.parquet")
    result = tamis.check(folder / "t.parquet", folder / "out", jobs=1, batch_size=batch)
    rejected = result.rejected.collect()
    assert balanced(result.manifest)
    assert result.manifest["counts"]["read"] == len(table)
    assert rejected["record"].n_unique() == len(rejected) == result.manifest["counts"]["rejected"]
    shutil.rmtree(folder)


def test_names_that_are_not_utf8_are_kept_byte_for_byte(source: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (source / name).write_bytes(photo(9))
    result = tamis.clean(source, tmp_path / "out", jobs=1)
    assert balanced(result.manifest)
    assert (tmp_path / "out" / "clean" / name).read_bytes() == photo(9)


def test_names_beyond_the_locale_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "\u00fc.jpg").write_bytes(photo(1))
    ascii_alone = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*TAMIS, "clean", "in", "-o", "out", "-q"], cwd=tmp_path, env=ascii_alone, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "clean" / "\u00fc.jpg").exists()
