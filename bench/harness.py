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
from typing import Any

from tamis_kernels.crossovers import processor

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
    options: argparse.Namespace = field(default_factory=argparse.Namespace)

    @classmethod
    def from_arguments(cls, title: str, **options: dict[str, Any]) -> Report:
        """Read `--quick`, `--json FILE` and a benchmark's own options from the command line, and print the machine.

        An option's name comes with what `argparse` is to know of it; what is given is in `options`.
        """
        parser = argparse.ArgumentParser(description=title)
        parser.add_argument("--quick", action="store_true", help="small inputs, to see that the benchmark works")
        parser.add_argument("--json", type=Path, help="append one JSON line per lane to this file")
        for name, settings in options.items():
            parser.add_argument(f"--{name}", **settings)
        arguments = parser.parse_args()
        print(f"# {title}\n{described(machine())}")
        return cls(title, arguments.json, arguments.quick, options=arguments)

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
            first[name] = seconds_of(lane)
        seconds: dict[str, list[float]] = {name: [] for name in lanes}
        for _ in range(3 if self.quick else runs):
            for name, lane in lanes.items():
                seconds[name].append(seconds_of(lane))
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
        for row in rows.values():
            self.write({**asdict(row), "rate": row.rate})
        return rows

    def write(self, figures: dict[str, Any]) -> None:
        """Append figures, with the title and the machine, as a line to the file of `--json`."""
        if self.json_path:
            with self.json_path.open("a") as file:
                file.write(json.dumps({"title": self.title, **figures, "machine": machine()}) + "\n")


def seconds_of(lane: Lane) -> float:
    """Return how long a lane takes by the clock."""
    start = time.perf_counter()
    lane()
    return time.perf_counter() - start


def fastest(lane: Lane, runs: int = 5) -> float:
    """Return the seconds of the fastest of some runs."""
    return min(seconds_of(lane) for _ in range(runs))


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder and those below it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def jpeg_files(folder: Path) -> list[Path]:
    """Return the JPEG files of a folder, by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})


def installed(package: str) -> str | None:
    """Return a package's version, None where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str]:
    """Return what a figure depends on: processor, cores, load, versions, commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{name: version for name in ("numpy", "numba", "polars", "pyarrow", "numba-cuda", "cupy-cuda13x") if (version := installed(name))},
        "commit": commit.stdout.strip() or "none",
    }


def described(figures: dict[str, str]) -> str:
    """Return what `machine` tells in a line."""
    return "  ".join(f"{key}={value}" for key, value in figures.items())
