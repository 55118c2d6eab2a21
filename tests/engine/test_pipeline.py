"""The whole path: books that balance, answers that do not depend on how they were computed, runs that survive being killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from running import SMALL, call, outputs

import tamis
from tamis.errors import OutputError, SourceError
from tamis.progress import Silent


@pytest.fixture(scope="module")
def cleaned(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cleaned") / "out"
    tamis.clean(sample / "corpus", out, settings=SMALL, jobs=2)
    return out


def test_every_record_of_the_truth_is_kept_or_rejected_once(sample: Path, cleaned: Path) -> None:
    result = tamis.Result(cleaned)
    truth = pl.read_parquet(sample / "truth.parquet")
    counts = result.manifest["counts"]
    rejected = result.rejected.collect()
    assert counts["read"] == len(truth) == counts["kept"] + counts["rejected"]
    assert len(rejected) == rejected["record"].n_unique() == counts["rejected"]
    assert set(rejected["record"]) <= set(truth["record"])
    assert rejected.select(pl.col("check", "reason", "detail").is_null().any()).row(0) == (False, False, False)
    rows = sum(frame.select(pl.len()).collect().item() for frame in result.tables.values())
    files = result.files.filter(pl.col("record").is_not_null()).select(pl.len()).collect().item()
    assert rows + files == counts["kept"]


def test_each_planted_fault_is_judged_as_the_truth_expects(sample: Path, cleaned: Path) -> None:
    gone = tamis.Result(cleaned).rejected.select("record", rejected=pl.lit(True)).collect()
    judged = pl.read_parquet(sample / "truth.parquet").join(gone, on="record", how="left").with_columns(pl.col("rejected").fill_null(False))
    alone = judged.filter(pl.col("group").is_null())
    wrong = alone.filter(pl.col("rejected") != (pl.col("expected") == "reject"))
    assert wrong.is_empty(), wrong
    groups = judged.filter(pl.col("group").is_not_null()).group_by("group").agg(kept=(~pl.col("rejected")).sum())
    kept = groups["kept"].to_list()
    assert min(kept) == 1
    assert kept.count(1) >= 0.95 * len(kept)  # an edited text may fall below the threshold


def test_kept_files_are_those_of_the_source(sample: Path, cleaned: Path) -> None:
    kept = [path for path in (cleaned / "clean" / "photos").rglob("*") if path.is_file()]
    assert kept
    assert all(path.read_bytes() == (sample / "corpus" / path.relative_to(cleaned / "clean")).read_bytes() for path in kept)


def test_the_keeper_of_every_duplicate_is_kept(cleaned: Path) -> None:
    rejected = tamis.Result(cleaned).rejected.collect()
    near = rejected.filter(pl.col("check") == "near_duplicates")
    assert len(near) > 0
    assert not set(near["kept"]) & set(rejected["record"])
    texts = near.filter(pl.col("reason") == "near_duplicate_text")
    assert texts["similarity"].min() >= 0.8  # type: ignore[operator]


def test_jobs_and_batches_leave_no_trace(sample: Path, cleaned: Path, tmp_path: Path) -> None:
    tamis.clean(sample / "corpus", tmp_path / "out", settings=SMALL, jobs=1, batch_size=97)
    assert outputs(tmp_path / "out") == outputs(cleaned)


def test_the_size_of_shards_changes_no_verdict(sample: Path, cleaned: Path, tmp_path: Path) -> None:
    tamis.clean(sample / "corpus", tmp_path / "out", settings={"normalize.method": "robust"}, jobs=1)
    ours, other = outputs(tmp_path / "out"), outputs(cleaned)
    assert all(ours[name] == other[name] for name in ("rejects.parquet", "notes.parquet", "clusters.parquet", "scaler.json"))


def test_check_writes_the_same_ledger_and_no_clean_corpus(sample: Path, cleaned: Path, tmp_path: Path) -> None:
    tamis.check(sample / "corpus", tmp_path / "out", settings=SMALL, jobs=1)
    assert not (tmp_path / "out" / "clean").exists()
    assert (tmp_path / "out" / "rejects.parquet").read_bytes() == (cleaned / "rejects.parquet").read_bytes()


def test_what_is_no_media_is_told_once_whatever_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.jpg").write_text("<!DOCTYPE html><html><body>404</body></html>")
    (tmp_path / "in" / "empty.png").touch()
    result = tamis.clean(tmp_path / "in", tmp_path / "out", jobs=1)
    assert set(result.rejected.select("record", "reason").collect().iter_rows()) == {("page.jpg", "html"), ("empty.png", "empty")}
    assert len(result.notes.collect()) == 0
    wanted = {"integrity.reject": ["damaged"], "integrity.reject_misnamed": True}
    told = tamis.clean(tmp_path / "in", tmp_path / "kept", settings=wanted, jobs=1).rejected.collect()
    assert set(told.select("record", "reason").iter_rows()) == {("page.jpg", "misnamed"), ("empty.png", "misnamed")}


def test_what_cannot_be_read_is_a_rejected_record(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        (source / "loop").symlink_to(source / "loop")
        (source / "cut.parquet").write_bytes(b"PAR1 and no more")
        (source / "ragged.csv").write_text("a,b\n1,2\n3\n5,6\n")
        (source / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"<html>gone</html>")
        manifest = tamis.clean(source, tmp_path / "out", jobs=1).manifest
    rejected = dict(tamis.Result(tmp_path / "out").rejected.select("record", "reason").collect().iter_rows())
    assert manifest["counts"]["read"] == 8
    assert manifest["counts"]["kept"] == 2
    assert rejected["pipe"] == "fifo"
    assert rejected["ragged.csv#1"] == "ragged_row"
    assert {"socket", "loop", "cut.parquet", "bytes:caf%E9.jpg"} < set(rejected)


def test_a_nul_in_the_name_of_a_column_is_written_as_a_sign_and_told(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    lines = ['{"a\\u0000b": 1.5, "a\u2400b": "x"}', '{"a\\u0000b": 2.5, "a\u2400b": "y"}']
    (tmp_path / "source" / "t.ndjson").write_text("\n".join(lines), encoding="utf-8")
    result = tamis.clean(tmp_path / "source", tmp_path / "out", settings={"near_duplicates.enabled": False}, jobs=1)
    assert result.kept.collect().to_dict(as_series=False) == {"a\u2400b 2": [1.5, 2.5], "a\u2400b": ["x", "y"]}
    assert "'a\\x00b' holds a NUL" in result.manifest["tables"]["t"]["decisions"][0]


def test_folders_that_cannot_be_used_are_told(sample: Path, cleaned: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        tamis.clean(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(OutputError, match="finished run"):
        tamis.clean(sample / "corpus", cleaned)
    with pytest.raises(OutputError, match="the source itself"):
        tamis.clean(sample, sample)
    with pytest.raises(OutputError, match="lies inside the output"):
        tamis.clean(sample / "corpus", sample)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["clean", "x", "-o", "y", "--set", "near_duplicates.treshold=1"], 2, "'threshold'"),
        (["clean", "nowhere", "-o", "y"], 1, "nowhere"),
        (["clean", "x", "-o", "y", "--backend", "cuda"], 2, "pip install"),
        (["clean", "--nonsense"], 2, "nonsense"),
    ],
)
def test_errors_are_one_line_and_a_status(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    run = call(*words, cwd=tmp_path)
    assert run.returncode == status
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("what", ["import tamis", "import tamis.cli as cli; sys.argv = ['tamis', '--version']; cli.main()"])
def test_neither_polars_nor_numba_is_loaded_before_it_is_needed(what: str) -> None:
    code = f"import sys; {what}; sys.exit(any(name in sys.modules for name in ('polars', 'numba')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Sizes(Silent):
    """Add up the bytes of each stage."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def stage(self, name: str, total: int, things: str = "records") -> None:  # noqa: ARG002 - the contract's signature
        self.bytes.append(0)

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:  # noqa: ARG002
        self.bytes[-1] += size


def test_bytes_are_counted_of_tables_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n3\n4\n")
    told = Sizes()
    tamis.clean(tmp_path / "t.csv", tmp_path / "out", settings={"shards.rows": 2}, jobs=1, progress=told)
    read, observed, *_ = told.bytes
    assert read == observed == 10


def test_a_text_whose_number_is_missing_is_kept(tmp_path: Path) -> None:
    texts = [" ".join(f"word{number}{place}" for place in range(15)) for number in range(3)]
    frame = pl.DataFrame({"text": [*texts, None], "label": [1, None, 2, None]})
    frame.write_ndjson(tmp_path / "t.jsonl")
    result = tamis.clean(tmp_path / "t.jsonl", tmp_path / "out", jobs=1)
    assert result.kept.collect()["text"].to_list() == texts
    assert result.rejected.collect()["reason"].to_list() == ["no_values"]


@pytest.mark.parametrize(
    ("most", "rejected"), [(1.0, ["no_values"]), (0.5, ["no_values", "too_few_values"]), (0.25, ["no_values"] + 2 * ["too_few_values"])]
)
def test_rows_that_lack_a_share_of_their_values_are_rejected(tmp_path: Path, most: float, rejected: list[str]) -> None:
    frame = pl.DataFrame(
        {
            "a": [None, None, None, 1.5, 2.5],
            "b": [None, None, 1.0, 2.0, 3.0],
            "c": [None, 1.0, 2.0, 3.0, 4.0],
            "d": [None, *map(float, range(4))],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    result = tamis.clean(tmp_path / "t.parquet", tmp_path / "out", settings={"missing.max_share": most}, jobs=1)
    assert result.rejected.sort("record").collect()["reason"].to_list() == rejected


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_rows_that_lack_fewer_values_are_kept(tmp_path: Path, share: float) -> None:
    pl.DataFrame({"a": [None, 1.5, 2.5], "b": [1.0, 2.0, 3.0], "c": [1.0, 2.0, 3.0]}).write_parquet(tmp_path / "t.parquet")
    result = tamis.clean(tmp_path / "t.parquet", tmp_path / "out", settings={"missing.max_share": share}, jobs=1)
    assert len(result.kept.collect()) == 3
