"""Timing that can be trusted on a shared machine: results first, compile apart from warm, medians of alternating runs, ratios.

Every benchmark is a script that builds a `Report`, checks its results, times its `lanes` in turn (A B C A B C …, so that a
drift of the machine hits all of them alike), and writes one JSON line per lane when `--json FILE` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

Lane = Callable[..., object]  # called without arguments; lambdas bind theirs by default values


def environment(folder: Path, packages: Sequence[str]) -> str:
    """Return the Python of an environment that holds some packages, which is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--quiet", *packages], check=True)
    return str(python)


@dataclass(slots=True)
class Row:
    """One measured lane: its work per run, the seconds of each run, and the rate of the median run."""

    case: str
    lane: str
    unit: str
    work: float
    seconds: list[float]
    limit: float | None = None
    note: str = ""

    @property
    def rate(self) -> float:
        """Work per second of the median run."""
        return self.work / median(self.seconds)


@dataclass(slots=True)
class Report:
    """Collects the rows of one benchmark and prints them as it goes."""

    title: str
    json_path: Path | None = None
    quick: bool = False
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def from_arguments(cls, title: str) -> Report:
        """Read `--quick` and `--json FILE` from the command line and print the machine."""
        parser = argparse.ArgumentParser(description=title)
        parser.add_argument("--quick", action="store_true", help="small inputs, to see that the benchmark works")
        parser.add_argument("--json", type=Path, help="append one JSON line per lane to this file")
        arguments = parser.parse_args()
        report = cls(title, arguments.json, arguments.quick)
        print(f"# {title}")
        print("  ".join(f"{key}={value}" for key, value in machine().items()))
        return report

    def check(self, what: str, good: object) -> None:
        """Stop at once when a result is wrong: a fast wrong answer is no figure."""
        if not good:
            sys.exit(f"WRONG RESULT: {what}")
        print(f"checked: {what}")

    def time(
        self,
        case: str,
        lanes: dict[str, Lane],
        *,
        work: float,
        unit: str,
        limit: float | None = None,
        limit_note: str = "",
        runs: int = 7,
    ) -> dict[str, Row]:
        """Time lanes in turn; `work` is in `unit` per run, `limit` in unit per second. The first lane is ours; ratios are to it."""
        first: dict[str, float] = {}
        for name, lane in lanes.items():
            first[name] = _seconds(lane)
        seconds: dict[str, list[float]] = {name: [] for name in lanes}
        for _ in range(3 if self.quick else runs):
            for name, lane in lanes.items():
                seconds[name].append(_seconds(lane))
        ours = next(iter(lanes))
        rows = {name: Row(case, name, unit, work, taken, limit, limit_note) for name, taken in seconds.items()}
        for name, row in rows.items():
            share = f"  {100 * row.rate / limit:5.1f} % of limit" if limit else ""
            ratio = "" if name == ours else f"  ours is {rows[ours].rate / row.rate:6.2f}x"
            spread = f"[{row.work / max(row.seconds):.4g} … {row.work / min(row.seconds):.4g}]"
            print(f"{case:28s} {name:34s} {row.rate:10.4g} {unit}/s {spread:24s} first {first[name]:7.3f} s{share}{ratio}")
        if limit:
            print(f"{'':28s} limit: {limit:.4g} {unit}/s ({limit_note})")
        self.rows.extend(rows.values())
        if self.json_path:
            with self.json_path.open("a") as file:
                for row in rows.values():
                    file.write(json.dumps({"title": self.title, **asdict(row), "rate": row.rate, "machine": machine()}) + "\n")
        return rows


def _seconds(lane: Lane) -> float:
    start = time.perf_counter()
    lane()
    return time.perf_counter() - start


def installed(package: str) -> str | None:
    """Return a package's version, None where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str]:
    """Return what a figure depends on: processor, cores, load, versions, commit."""
    processor = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{name: version for name in ("numpy", "numba", "polars", "pyarrow", "numba-cuda", "cupy-cuda13x") if (version := installed(name))},
        "commit": commit.stdout.strip() or "none",
    }
