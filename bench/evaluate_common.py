"""What the parts of the evaluation share: its settings, its tables, and the arithmetic of counts."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tamis.checks import integrity

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where the damage is made

HELD_BACK = frozenset(integrity.Options().reject)
"""Grades of files that the check `integrity` rejects by default."""

Cell = str | int | float

FOLDERS = (
    "photos",
    "broken_images/truth.csv",
    "duplicate_images/truth.csv",
    "audio_video/truth.csv",
    "records/cora",
    "records/febrl",
    "records/chicago_childcare",
    "records/patstat",
    "sensors/nab",
    "sensors/logan_river",
    "sensors/pvanalytics",
    "sensors/la_haute_borne",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the corpora lie, where to write, and how much to do."""

    data: Path
    work: Path
    jobs: int = 2
    seed: int = 1
    quick: bool = False

    def demand(self) -> None:
        """Leave with a message where a part of the corpora is missing, before any work is done."""
        for name in FOLDERS:
            self.folder(name)

    def folder(self, name: str) -> Path:
        """Return a folder or file of the corpora; leave with a message where it is missing."""
        path = self.data / name
        if not path.exists():
            sys.exit(f"{path} is missing: --data must name a folder that holds {name}")
        return path


@dataclass(slots=True)
class Table:
    """Figures in rows, printed as a Markdown table."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table as Markdown, numbers to the right."""
        cells = [[_written(cell) for cell in row] for row in self.rows]
        widths = [max(3, *(len(row[i]) for row in [list(self.columns), *cells])) for i in range(len(self.columns))]
        right = [bool(self.rows) and not isinstance(self.rows[0][i], str) for i in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            padded = (
                text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(row, widths, right, strict=True)
            )
            return "| " + " | ".join(padded) + " |"

        rule = "|" + "|".join("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)) + "|"
        return "\n".join([f"### {self.title}", "", line(self.columns), rule, *map(line, cells), *(f"\n{one}" for one in self.remarks), ""])


def _written(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def share(hits: int, n: int) -> str:
    """Return a share with its 95 % Wilson interval, in percent."""
    if n == 0:
        return "none"
    z = 1.959964  # 97.5 % of the standard normal distribution lie below
    middle = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return f"{100 * hits / n:.1f} ({100 * max(0.0, middle - half):.1f} to {100 * min(1.0, middle + half):.1f})"


@dataclass(frozen=True, slots=True)
class PairScore:
    """Pairs of records in one cluster, against the pairs that belong together."""

    true: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that are right; 1 where none was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that were found."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score_pairs(truth: Sequence[Hashable], clusters: Sequence[Hashable]) -> PairScore:
    """Compare two labellings of the same records pair by pair, without listing the pairs."""

    def pairs(labels: Iterable[Hashable]) -> int:
        return sum(n * (n - 1) // 2 for n in Counter(labels).values())

    return PairScore(pairs(truth), pairs(clusters), pairs(zip(truth, clusters, strict=True)))


def link_or_copy(source: str, target: str) -> str:
    """Make a hard link, or a copy where the file systems differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
