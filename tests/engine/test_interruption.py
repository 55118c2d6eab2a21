"""Runs that are stopped, killed or out of room end as undisturbed ones once they are called again."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shlex
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from made_media import wav
from running import SMALL, balanced, call, command, outputs
from test_archives import table, tar, zipped
from test_hostile import photo

import tamis
from tamis.errors import OutputError, RunInterrupted
from tamis.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = 10


@pytest.fixture(scope="module")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    tamis.clean(sample / "corpus", out, settings=SMALL, jobs=1)  # compiles the kernels
    start = time.monotonic()
    subprocess.run(command(sample / "corpus", out, "-q", "--overwrite"), check=True)
    return out, time.monotonic() - start


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str], pause: float = 0.01) -> None:
    while process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(pause)


def children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def kill(process: subprocess.Popen[str]) -> None:
    for one in [*children(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_shards_in_hand_and_says_how_to_go_on(
    sample: Path, undisturbed: tuple[Path, float], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out put"
    process = subprocess.Popen(command(sample / "corpus", out), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for(".tamis/evidence/*.parquet", out, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not (out / "manifest.json").exists()
    again = shlex.split(said.strip().splitlines()[-1].partition("To go on: ")[2])
    assert again[0] == "tamis"
    assert call(*again[1:], "-q", "-j", 1).returncode == 0
    assert outputs(out) == outputs(undisturbed[0])


class Press(Silent):
    """Press Ctrl-C once the first table is read."""

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:  # noqa: ARG002 - the contract's signature
        signal.raise_signal(signal.SIGINT)


def test_a_run_stopped_while_its_tables_are_read_goes_on(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.csv").write_text(f"a,b{number}\n{number},x\n")
    with pytest.raises(RunInterrupted, match="stopped on request"):
        tamis.clean(source, out, settings={"missing.required": ["b2"]}, jobs=1, progress=Press())
    result = tamis.clean(source, out, settings={"missing.required": ["b2"]}, jobs=1)
    assert balanced(result.manifest)
    assert result.manifest["counts"]["kept"] == 3


def test_a_link_to_a_table_or_new_rights_do_not_keep_a_run_from_being_resumed(tmp_path: Path) -> None:
    table, out = tmp_path / "rows.csv", tmp_path / "out"
    table.write_text("a,b\n" + "".join(f"{number},x{number}\n" for number in range(30)))
    with pytest.raises(RunInterrupted):
        tamis.clean(table, out, settings={"shards.rows": 10}, jobs=1, progress=Told("observe"))
    (tmp_path / "link").hardlink_to(table)
    table.chmod(0o600)
    assert tamis.clean(table, out, settings={"shards.rows": 10}, jobs=1).manifest["counts"]["kept"] == 30


def add(folder: Path) -> None:
    (folder / "more.csv").write_text("a,b\n1,x\n")


def spoil_plan(folder: Path) -> None:
    (folder.parent / "out" / ".tamis" / "plan.json").write_text("{")


def older(folder: Path) -> None:
    plan = folder.parent / "out" / ".tamis" / "plan.json"
    plan.write_text(plan.read_text().replace(f'"version": "{tamis.__version__}"', '"version": "0.0.9"'))


def rewrite(folder: Path) -> None:
    """Change a table so that neither its size nor its time of modification tells."""
    table = folder / "rows.csv"
    then = table.stat()
    table.write_text(table.read_text().replace("rows7", "raws7"))
    os.utime(table, ns=(then.st_atime_ns, then.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "arguments", "told"),
    [
        (rewrite, {}, "files of the source were added, removed or changed since"),
        (add, {}, "files of the source were added, removed or changed since"),
        (lambda folder: os.utime(folder / "rows.csv", (1, 1)), {}, "files of the source were added, removed or changed since"),
        (lambda folder: (folder / "other.csv").unlink(), {}, "files of the source were added, removed or changed since"),
        (lambda _: None, {"recipe": "text"}, "begun with another recipe or other settings"),
        (older, {}, f"begun by tamis 0.0.9, and this is {tamis.__version__}"),
        (spoil_plan, {}, r"plan\.json is damaged"),
    ],
)
def test_a_run_that_cannot_be_resumed_says_what_differs(
    tmp_path: Path, change: Callable[[Path], None], arguments: dict[str, Any], told: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("rows", "other"):
        (folder / f"{name}.csv").write_text("a,b\n" + "".join(f"{number},{name}{number}\n" for number in range(30)))
    given: dict[str, Any] = {"settings": {"shards.rows": 10, "near_duplicates.threshold": 0.9}, "jobs": 1}
    with pytest.raises(RunInterrupted):
        tamis.clean(folder, out, **given, progress=Told("observe"))
    change(folder)
    with pytest.raises(OutputError, match=f"holds an unfinished run that cannot be resumed: .*{told}.*--overwrite"):
        tamis.clean(folder, out, **given | {"settings": {"shards.rows": 10} if arguments else given["settings"]} | arguments)
    assert balanced(tamis.clean(folder, out, **given, overwrite=True).manifest)


def test_evidence_that_was_damaged_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number},x{number}\n" for number in range(30)))
    with pytest.raises(RunInterrupted):
        tamis.clean(tmp_path / "rows.csv", tmp_path / "out", settings={"shards.rows": 10}, jobs=1, progress=Told("judge"))
    for path in (tmp_path / "out" / ".tamis" / "evidence").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:40])
    result = tamis.clean(tmp_path / "rows.csv", tmp_path / "out", settings={"shards.rows": 10}, jobs=1)
    assert result.manifest["counts"]["kept"] == 30


class Told(Silent):
    """Keeps what is told, and presses Ctrl-C where a stage has done some records."""

    def __init__(self, until: str = "") -> None:
        self.told: list[str] = []
        self.done: Counter[str] = Counter()
        self._until, self._stage = until, ""

    def stage(self, name: str, total: int, things: str = "records") -> None:
        self._stage = name
        self.told.append(f"{name}: {total} {things}")

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:  # noqa: ARG002 - the contract's signature
        self.done[self._stage] += records
        if self._stage == self._until:
            signal.raise_signal(signal.SIGINT)

    def say(self, line: str) -> None:
        self.told.append(line)


@pytest.mark.parametrize("stage", ["observe", "apply"])
def test_a_resumed_run_tells_what_was_done_and_counts_it_among_no_rate(tmp_path: Path, stage: str) -> None:
    frame = pl.DataFrame({"a": range(30), "b": [f"x{number}" for number in range(30)]})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=10)
    settings = {"shards.rows": 10}
    with pytest.raises(RunInterrupted):
        tamis.clean(tmp_path / "rows.parquet", tmp_path / "out", settings=settings, jobs=1, progress=Told(stage))
    again = Told()
    tamis.clean(tmp_path / "rows.parquet", tmp_path / "out", settings=settings, jobs=1, progress=again)
    assert [line for line in again.told if line.startswith(f"{stage}: ")] == [
        f"{stage}: 10 of 30 records were done before the stop",
        f"{stage}: 20 records",
    ]
    assert again.done[stage] == 20


def test_a_run_killed_at_ten_random_moments_ends_as_an_undisturbed_one(
    sample: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    chance = random.Random(20)
    finished, seconds = undisturbed
    out = tmp_path / "out"
    hits = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command(sample / "corpus", out, "-q"), start_new_session=True, text=True)
        time.sleep(seconds * chance.uniform(0.1, 0.9))
        if process.poll() is None:
            hits += 1
        else:
            seconds *= 0.7  # the machine is faster now than when the undisturbed run was timed
        kill(process)
        if (out / "manifest.json").exists():
            assert outputs(out) == outputs(finished)
            subprocess.run(["rm", "-r", str(out)], check=True)
    if not (out / "manifest.json").exists():
        subprocess.run(command(sample / "corpus", out, "-q"), check=True)
    assert hits >= KILLS // 2
    assert outputs(out) == outputs(finished)
    assert not list(out.rglob("*.part"))


def test_a_run_over_archives_killed_at_every_stage_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    source, finished, out = (tmp_path / name for name in ("source", "finished", "out"))
    source.mkdir()

    def members(first: int) -> list[tuple[str, bytes]]:
        pictures = [(f"{i:02d}.jpg", photo(first + i)) for i in range(10)]
        return [*pictures, ("copy.jpg", photo(0)), ("long.wav", wav(frames=500_000 + first))]

    for number in range(2):
        tar(source / f"a{number}.tar", members(100 * number))
        tar(source / f"b{number}.tar.gz", members(100 * number + 20))
        zipped(source / f"c{number}.zip", members(100 * number + 40))
        table(source / f"d{number}.parquet", [None, *(data for _, data in members(100 * number + 60))])
    archives, shards = 8, 16  # of at most eight records each

    tamis.clean(source, finished, settings=SMALL, jobs=1)
    for stage, most in (("evidence", shards), ("unfinished", archives), ("applied", shards)):
        process = subprocess.Popen(command(source, out, "-q", jobs=1), text=True)
        wait_for(f".tamis/{stage}/*", out, process, pause=0)
        kill(process)
        assert process.returncode == -signal.SIGKILL
        assert 1 <= len([path for path in (out / ".tamis" / stage).iterdir() if path.suffix in (".parquet", ".json", ".part")]) < most
    written = len([path for path in (out / "clean").iterdir() if path.is_file()])
    assert 1 <= written < archives
    tamis.clean(source, out, settings=SMALL, jobs=1)
    assert outputs(out) == outputs(finished)
    assert balanced(tamis.Result(out).manifest)
    assert not list(out.rglob("*.part"))


def test_a_worker_that_is_killed_costs_nothing(sample: Path, undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command(sample / "corpus", out, "-q"), text=True)
    wait_for(".tamis/plan.json", out, process)
    workers = children(process.pid)
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    assert process.wait(timeout=60) == 0
    assert outputs(out) == outputs(undisturbed[0])


@pytest.mark.parametrize("limit", [3_000, 30_000, 100_000])
def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_with_room(
    sample: Path, undisturbed: tuple[Path, float], tmp_path: Path, limit: int
) -> None:
    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    out = tmp_path / "out"
    words = command(sample / "corpus", out, "-q", "--set", "output.materialise=copy", jobs=1)
    full = subprocess.run(words, preexec_fn=no_room, capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert full.stderr.startswith("tamis: no space left for")
    assert len(full.stderr.splitlines()) == 1
    assert not (out / "manifest.json").exists()
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]
    tamis.clean(sample / "corpus", out, settings=SMALL | {"output.materialise": "copy"}, jobs=1)
    ours, theirs = outputs(out), outputs(undisturbed[0])
    assert all(ours[name] == content for name, content in theirs.items() if name != "manifest.json")


def test_files_made_in_another_order_and_at_another_time_change_nothing(
    sample: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    files = sorted(path for path in (sample / "corpus").rglob("*") if path.is_file())
    random.Random(3).shuffle(files)
    source = tmp_path / "corpus"
    for second, path in enumerate(files):
        target = source / path.relative_to(sample / "corpus")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        os.utime(target, (second, second))
    found = tamis.clean(source, tmp_path / "out", settings=SMALL, jobs=1, batch_size=101)
    assert balanced(found.manifest)
    ours, theirs = outputs(tmp_path / "out"), outputs(undisturbed[0])
    assert ours.keys() == theirs.keys()
    assert all(ours[name] == content for name, content in theirs.items() if name != "manifest.json")
    assert found.manifest["dataset_id"] == tamis.Result(undisturbed[0]).manifest["dataset_id"]
