"""What tests of whole runs share: the command, and the bytes that a run must always leave."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from tamis.cli import main
from tamis.executors import LocalExecutor, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SMALL = {"shards.files": 8, "shards.rows": 300, "normalize.method": "robust"}
TAMIS = [sys.executable, "-m", "tamis"]


class Here(LocalExecutor):
    """Runs tasks in this process, handed over by pickle as to a worker."""

    def map(self, tasks: Iterable[Task], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        setup = pickle.loads(self._setups[False])
        for task in list(tasks):
            if stop():
                return
            function, argument, lost = pickle.loads(pickle.dumps((task.function, task.argument, task.lost)))
            yield Outcome(task, pickle.loads(pickle.dumps(function(setup.value, argument, lost, self))))

    def at(self, record: int) -> None:
        """Keep nothing: a record that ends its worker is tested with two jobs."""


def executor(jobs: int, **more: Any) -> LocalExecutor:
    """Return this process for one job, and workers for more and for a GPU."""
    return Here(jobs, **more) if jobs == 1 and not more.get("gpus") else LocalExecutor(jobs, **more)


def command(source: Path, out: Path, *more: str, jobs: int = 2, settings: dict[str, Any] = SMALL) -> list[str]:
    """Return the command that cleans a source in small shards."""
    chosen = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [*TAMIS, "clean", str(source), "-o", str(out), "-j", str(jobs), *chosen, *more]


def started(*words: object) -> subprocess.CompletedProcess[str]:
    """Run tamis as a shell does and return what it said."""
    return subprocess.run([*TAMIS, *map(str, words)], capture_output=True, text=True, check=False)


def call(*words: object, cwd: Path | str = ".") -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which need not import everything again, and return what it said."""
    out, err = io.StringIO(), io.StringIO()
    arguments = ["tamis", *map(str, words)]
    ahead = patch("tamis.executors.start_ahead")  # a run with one job needs no worker
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", arguments), ahead:
        try:
            main()
            status = 0
        except SystemExit as end:
            status = cast("int", end.code)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def outputs(out: Path) -> dict[str, bytes]:
    """Return every file of a finished run but its state, its report and the timing in its manifest."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith(".tamis/") and name != "report.html":
            found[name] = path.read_bytes()
    manifest = json.loads(found["manifest.json"])
    del manifest["timing"]
    found["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return found


def balanced(manifest: dict[str, Any]) -> bool:
    """Whether the books of a run balance."""
    counts = manifest["counts"]
    return bool(counts["read"] == counts["kept"] + counts["rejected"] > 0)


def buffering() -> dict[str, str]:
    """Return an environment in which Python holds its output back, as it does for most users, and tries to write it again at the end."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
