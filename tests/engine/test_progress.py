"""What is told while a run works: plain lines where no terminal is, a bar where one is, nothing when quiet."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import hostile_tasks
import pytest

from tamis.pipeline.request import Request
from tamis.pipeline.run import run
from tamis.progress import Bars, Lines, Silent, make_progress
from tamis.recipe import Recipe


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tamis.progress.time", made)
    return made


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_tell_rates_and_no_time_left_before_a_fiftieth_is_done(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    progress.stage("observe", 10_000)
    clock.now += 6
    progress.advance(120, size=9_000_000, rejected=1)
    clock.now += 1
    progress.advance(1_880)  # too soon for another line
    clock.now += 5
    progress.advance(1_000, size=1_000_000_000)
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "observe: 120 of 10,000 records, 20 records/s, 1.5 MB/s, 1 rejected",
        "observe: 3,000 of 10,000 records, 250 records/s, 84 MB/s, 1 rejected, 15 s left",
        "observe: 3,000 records in 12.0 s, 250 records/s, 84 MB/s, 1 rejected",
    ]


def test_one_of_a_thing_is_called_so(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    for number, things in ((1, "records"), (1, "files")):
        progress.stage("observe", 1, things)
        clock.now += 10
        progress.advance(number)
        progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "observe: 1 of 1 record",
        "observe: 1 record in 10.0 s",
        "observe: 1 of 1 file",
        "observe: 1 file in 10.0 s",
    ]


def test_a_stage_counts_other_things_and_a_new_one_begins_anew(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    progress.stage("read tables", 3, "files")
    clock.now += 6
    progress.advance(2)
    progress.stage("judge", 0)
    clock.now += 1
    progress.say("a line of its own")
    progress.close()
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "read tables: 2 of 3 files, 0.33 files/s",
        "read tables: 2 files in 6.0 s, 0.33 files/s",
        "a line of its own",
        "judge: 0 records in 1.0 s, 0 records/s",
    ]


def test_where_it_goes_decides_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_progress(quiet=True), Silent)
    assert isinstance(make_progress(quiet=False), Lines)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    progress = make_progress(quiet=False)
    assert isinstance(progress, Bars)
    progress.stage("observe", 4)
    progress.advance(4, size=4_000_000, rejected=1)
    progress.say("[a] line above")
    progress.close()
    shown = terminal.getvalue()
    assert "observe" in shown
    assert "1 rejected" in shown
    assert "[a] line above" in shown


@pytest.mark.parametrize("made", [Lines, Bars])
def test_what_cannot_be_written_is_dropped(made: type[Lines | Bars], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Terminal):
        def write(self, text: str) -> int:
            raise OSError(28, f"no space for {text}")

        def flush(self) -> None:
            raise OSError(28, "no space")

    monkeypatch.setattr(sys, "stderr", Full())
    progress = made()
    progress.say("a line")
    progress.stage("judge", 1)
    progress.advance(1)
    progress.close()


def test_what_is_compiled_before_the_first_record_is_done_tells_nothing_of_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Lines()
    progress.stage("observe", 1_000)
    clock.now += 150
    progress.advance(100)
    clock.now += 6
    progress.advance(300)
    assert capsys.readouterr().err.splitlines() == [
        "observe: 100 of 1,000 records, 0.67 records/s",
        "observe: 400 of 1,000 records, 2.6 records/s, 12 s left",
    ]


class Heard(Silent):
    """Keeps what is said, and compiles two kernels that no cache has when a stage begins."""

    def __init__(self, stage: str) -> None:
        self.lines: list[str] = []
        self._stage = stage

    def stage(self, name: str, total: int, things: str = "records") -> None:  # noqa: ARG002 - the contract's signature
        if name == self._stage:
            assert [hostile_tasks.compile_anew(None, number, {}, self) for number in range(2)] == [1, 2]

    def say(self, line: str) -> None:
        self.lines.append(line)

    def at(self, record: int) -> None:
        """Be a task's context too."""


@pytest.mark.parametrize(("stage", "told"), [("judge", 1), ("", 0)])
def test_a_run_tells_once_that_kernels_are_compiled_and_not_where_none_is(tmp_path: Path, stage: str, told: int) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    heard = Heard(stage)
    for number, progress in enumerate((Silent(), heard)):  # the first compiles what no run before has
        run(Request([str(tmp_path / "rows.csv")], tmp_path / f"out{number}", Recipe.load(), jobs=1, dry_run=True), progress)
    assert [line.startswith("kernels are being compiled") and "no cache can be written" in line for line in heard.lines] == [True] * told
