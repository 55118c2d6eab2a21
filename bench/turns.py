"""What `tamis clean` costs in two versions in turns: processor time, bytes read and peak memory, which a busy machine moves least.

    git worktree add --detach /tmp/before COMMIT
    python bench/turns.py --before /tmp/before --corpus Parquet --files 8
    python bench/turns.py --before /tmp/before --source FOLDER -- --set normalize.method=zscore

Each version runs once before it is watched, which compiles its kernels. Figures are medians with ranges. Processor time and bytes are of
the first process and its workers; bytes read are what was asked of the system, most of which are in its cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import corpora
from bench_memory import JOBS, Peaks
from harness import described, machine

HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds of processor time, and megabytes."""

    processor: float
    read: float
    first: float
    worker: float


def run(version: Path, source: Path, out: Path, options: list[str]) -> Cost:
    """Clean a corpus with one version."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(version / part) for part in ("engine", "kernels"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process compiles all modules anew, which no user's does
    words = [sys.executable, "-m", "tamis", "clean", str(source), "-o", str(out), "--jobs", str(JOBS), "--quiet", *options]
    shutil.rmtree(out, ignore_errors=True)
    peaks = Peaks()
    process = subprocess.Popen(words, env=environment, cwd=out.parent)
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peaks.look(process.pid)
        time.sleep(0.03)
    told = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())  # those of waited children with it
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{version}: tamis clean {source} ended with status {status}")
    return Cost(used.ru_utime + used.ru_stime, int(told["rchar"]) / 1e6, peaks.parent / 1e6, peaks.worker / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="folder of the other version")
    parser.add_argument("--corpus", choices=("CSV", "Parquet", "NDJSON", "JPEG"), default="Parquet", help="what to write and clean")
    parser.add_argument("--files", type=int, default=1, help="its size in files")
    parser.add_argument("--source", type=Path, help="a corpus that is there, in place of a written one")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("options", nargs="*", help="more words for both commands, after --")
    given = parser.parse_args()
    print(f"# turns\n{described(machine())}")
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as name:
        source = given.source.resolve() if given.source else Path(name) / "source"
        if not given.source:
            corpora.write(given.corpus, source, given.files)
        versions = {"before": given.before.resolve(), "this": HERE}
        costs: dict[str, list[Cost]] = {which: [] for which in versions}
        for turn in range(given.turns + 1):
            for which, folder in versions.items():
                cost = run(folder, source, Path(name) / "out", given.options)
                if turn:
                    costs[which].append(cost)
    for which, found in costs.items():
        figures = {key: [asdict(one)[key] for one in found] for key in asdict(found[0])}
        told = "  ".join(f"{key} {median(each):.2f} [{min(each):.2f} … {max(each):.2f}]" for key, each in figures.items())
        print(f"{which:7s} {told}   s, MB read, MB of the first process, MB of the largest worker")


if __name__ == "__main__":
    main()
