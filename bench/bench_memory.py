"""Peak memory of `tamis clean` on a corpus and on ten times that corpus, parent and workers apart.

The claim is that memory is bounded by the size of a shard and not by the size of the corpus: the ratio of the peaks is at most 1.2.
The kernel keeps the high-water mark of each process (`VmHWM`); the tree is looked at twenty times a second, and the last look counts.
Half a corpus is run first and not counted, so that no process compiles kernels while it is watched.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import corpora
from harness import Report

CLAIM = 1.2
GROWTH = 10
JOBS = 2
FILES = {"CSV": 4, "Parquet": 4, "NDJSON": 6, "JPEG": 300}
QUICK = {"CSV": 1, "Parquet": 1, "NDJSON": 1, "JPEG": 40}


@dataclass(slots=True)
class Peaks:
    """High-water marks in bytes, of the first process and of all others by their ids."""

    parent: int = 0
    workers: dict[int, int] = field(default_factory=dict)

    @property
    def worker(self) -> int:
        """The largest worker."""
        return max(self.workers.values(), default=0)

    def look(self, process: int, *, is_worker: bool = False) -> None:
        """Take the mark of a process and of its descendants."""
        try:
            status = Path(f"/proc/{process}/status").read_text()
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        except OSError:
            return
        mark = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
        if is_worker:
            self.workers[process] = max(mark, self.workers.get(process, 0))
        else:
            self.parent = max(mark, self.parent)
        for child in children:
            self.look(int(child), is_worker=True)


def run(source: Path, out: Path, *more: str) -> tuple[Peaks, dict[str, object], float]:
    """Clean a corpus in a process of its own; return its peaks, its manifest and its seconds."""
    command = [sys.executable, "-m", "tamis", "clean", str(source), "-o", str(out), "--jobs", str(JOBS), "--quiet", *more]
    peaks = Peaks()
    start = time.perf_counter()
    process = subprocess.Popen(command)
    while process.poll() is None:
        peaks.look(process.pid)
        time.sleep(0.05)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"tamis clean {source} ended with status {process.returncode}")
    return peaks, json.loads((out / "manifest.json").read_text()), seconds


def main() -> None:
    report = Report.from_arguments("peak memory of a whole run, by size of the corpus")
    sizes = QUICK if report.quick else FILES
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        for kind, files in sizes.items():
            measure(report, kind, files, Path(temporary))


def measure(report: Report, kind: str, files: int, folder: Path) -> None:
    marks: list[Peaks] = []
    for name, count in (("warm-up", max(1, files // 8)), ("base", files), ("ten times", GROWTH * files)):
        source, out = folder / kind / name, folder / f"{kind}-{name}"
        size = corpora.write(kind, source, count)
        peaks, manifest, seconds = run(source, out)
        counts = manifest["counts"]
        assert isinstance(counts, dict)
        report.check(f"{kind}, {name}: read = kept + rejected", counts["read"] == counts["kept"] + counts["rejected"] > 0)
        if name == "warm-up":
            continue
        marks.append(peaks)
        print(
            f"{kind:8s} {name:10s} {size / 1e6:8.0f} MB {counts['read']:10d} records {seconds:7.1f} s   "
            f"parent {peaks.parent / 1e6:7.0f} MB   largest of {len(peaks.workers)} workers {peaks.worker / 1e6:7.0f} MB"
        )
        subprocess.run(["rm", "-r", str(source), str(out)], check=True)
    base, large = marks
    parent, worker = large.parent / base.parent, large.worker / base.worker
    verdict = "holds" if max(parent, worker) <= CLAIM else "does NOT hold"
    print(f"{kind:8s} ratio      parent {parent:.2f}   worker {worker:.2f}   the claim of {CLAIM} {verdict}")


if __name__ == "__main__":
    main()
