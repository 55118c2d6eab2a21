"""Small commands, as they are typed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from running import TAMIS, buffering, call, started

import tamis

SIZES = ("--images", 40, "--rows", 1_200, "--documents", 200)


def test_the_version_is_told() -> None:
    done = started("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tamis {tamis.__version__}\n", "")


def test_help_in_place_of_a_command_is_no_error_line() -> None:
    done = call()
    assert (done.returncode, done.stderr) == (2, "")
    assert "Usage" in done.stdout


def test_ctrl_c_in_any_command_has_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tamis.doctor.examine", press)
    assert call("doctor").returncode == 130


def test_ctrl_c_while_the_command_is_imported_is_no_traceback() -> None:
    program = """
import sys
class Press:
    def find_spec(name, path=None, target=None):
        if name == "tamis.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Press)
from tamis.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_reasons_that_are_not_told_at_the_end_are_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    heads = {
        b"": "empty",
        b"\0" * 9: "zeros",
        b"{}": "json",
        b"words": "text",
        b"<html>": "html",
        b"%PDF-1": "pdf",
        b"\x1f\x8b\x08": "gzip",
    }
    heads |= {b"<?xml ": "xml", b"\0\1\2": "unknown_content", b"PK\3\4": "zip", b"\xff\xd8\xff": "bad_header", b"GIF89a": "truncated"}
    for head, name in heads.items():
        (tmp_path / "in" / name).write_bytes(head)
    (tmp_path / "in" / "e.csv").touch()
    (tmp_path / "in" / "e.tar").touch()
    (tmp_path / "in" / "e.parquet").touch()
    done = call("check", tmp_path / "in", "-o", tmp_path / "out", "-j", 1)
    reasons = len(tamis.Result(tmp_path / "out").manifest["counts"]["by_reason"])
    assert reasons > 13
    assert done.stdout.splitlines()[13] == f"  {reasons - 12:>10,}  for {reasons - 12} other reasons, which the report has"


@pytest.mark.parametrize("command", ["doctor", "--help"])
def test_an_output_that_is_full_is_no_traceback(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*TAMIS, command], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffering())
    assert (done.returncode, done.stderr) == (1, "tamis: standard output cannot be written: No space left on device\n")


def test_an_output_that_is_closed_is_no_failure() -> None:
    done = subprocess.run(f"{shlex.join(TAMIS)} doctor >&- 2>&-", shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_that_nobody_reads_ends_the_command_in_silence() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as out:
        done = subprocess.run([*TAMIS, "doctor"], stdout=out, stderr=subprocess.PIPE, text=True, check=False, env=buffering())
    assert (done.returncode, done.stderr) == (1, "")


def test_a_sample_is_written_with_its_truth_and_the_command_that_cleans_it(tmp_path: Path) -> None:
    done = started("sample", tmp_path / "s", *SIZES, "--seed", 3)
    assert (done.returncode, done.stderr) == (0, "")
    truth = pl.read_parquet(tmp_path / "s" / "truth.parquet")
    assert len(truth) >= 40 + 1_200 + 200
    assert f"tamis clean {tmp_path / 's' / 'corpus'} -o {tmp_path / 's' / 'cleaned'}" in done.stdout


def test_a_sample_too_small_for_its_faults_is_one_clear_line(tmp_path: Path) -> None:
    done = call("sample", tmp_path / "s", "--images", 4)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "tamis: images must be at least 40, got 4\n")
    assert not (tmp_path / "s").exists()


def test_a_result_is_found_by_a_path_of_either_kind(sample: Path, tmp_path: Path) -> None:
    tamis.check(sample / "corpus" / "text", tmp_path / "out", jobs=1)
    assert tamis.Result(str(tmp_path / "out")).rejected.collect().equals(tamis.Result(tmp_path / "out").rejected.collect())


@pytest.mark.parametrize(("how", "links"), [("copy", 1), ("hardlink", 2)])
def test_how_kept_files_reach_the_clean_corpus_is_an_option(sample: Path, tmp_path: Path, how: str, links: int) -> None:
    picture = next((sample / "corpus" / "photos").rglob("*.png"))
    (tmp_path / "in").mkdir()
    shutil.copyfile(picture, tmp_path / "in" / "one.png")
    done = call("clean", tmp_path / "in", "-o", tmp_path / "out", "--materialise", how, "-j", 1, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "clean" / "one.png").stat().st_nlink == links


def test_a_wrong_way_of_materialising_is_one_clear_error(sample: Path, tmp_path: Path) -> None:
    done = call("clean", sample / "corpus", "-o", tmp_path / "out", "--materialise", "teleport")
    assert done.returncode == 2
    assert "output.materialise" in done.stderr
    assert "teleport" in done.stderr
    assert "hardlink" in done.stderr
    assert not (tmp_path / "out").exists()
