"""Seeded corpora for the benchmarks of whole runs: `write(kind, folder, size)` makes the same bytes from the same arguments.

Every corpus is cut into files of one size, so that ten times the corpus is ten times the files. One record in fifty is a copy of another.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from harness import size_of
from PIL import Image

FILE_ROWS = 250_000
FILE_DOCUMENTS = 4_000
COPIES = 50
WORDS = 20_000


def sensor_frame(part: int, rows: int) -> pl.DataFrame:
    """Return a table of readings: a time, a device, four noisy values with gaps, and repeated rows."""
    random = np.random.default_rng(part)
    walk = np.cumsum(random.normal(0, 0.02, (rows, 4)), axis=0)
    values = np.round(walk + random.normal(0, 0.1, (rows, 4)) + [20, 1013, 50, 3], 3)
    values[random.random((rows, 4)) < 0.01] = np.nan
    start = datetime(2024, 1, 1 + part % 28)
    frame = pl.DataFrame(
        {
            "time": start_times(start, rows),
            "device": pl.Series(np.arange(rows) % 8).cast(pl.String).str.pad_start(3, "0") + f"-{part:04d}",
            **{name: pl.Series(values[:, i]).fill_nan(None) for i, name in enumerate(("temperature", "pressure", "humidity", "wind"))},
        }
    )
    source = np.arange(rows)
    source[COPIES::COPIES] -= 1
    return frame[source]


def start_times(start: datetime, rows: int) -> pl.Series:
    """Return one time a second."""
    return (pl.Series(np.arange(rows) * 1_000_000) + int(start.timestamp() * 1e6)).cast(pl.Datetime("us"))


def write_csv(folder: Path, files: int) -> None:
    for part in range(files):
        sensor_frame(part, FILE_ROWS).write_csv(folder / f"readings-{part:04d}.csv")


def write_parquet(folder: Path, files: int) -> None:
    for part in range(files):
        sensor_frame(part, FILE_ROWS).write_parquet(folder / f"readings-{part:04d}.parquet", row_group_size=65_536)


def write_text(folder: Path, files: int) -> None:
    """Write documents of a thousand characters or so; every fiftieth is the one before it with two words changed."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwygpbvk"))
    words = np.array(["".join(random.choice(letters, size)) for size in random.integers(2, 10, WORDS)])
    weights = 1 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    for part in range(files):
        random = np.random.default_rng(part + 1)
        lines = []
        picked = random.choice(WORDS, (FILE_DOCUMENTS, 180), p=weights)
        picked[COPIES::COPIES] = picked[COPIES - 1 : -1 : COPIES]
        picked[COPIES::COPIES, 40:42] = random.integers(0, WORDS, (len(picked[COPIES::COPIES]), 2))
        for number, row in enumerate(picked):
            lines.append(f'{{"id": {part * FILE_DOCUMENTS + number}, "source": "site-{number % 17}", "text": "{" ".join(words[row])}"}}\n')
        (folder / f"documents-{part:04d}.ndjson").write_text("".join(lines))


def write_pictures(folder: Path, files: int) -> None:
    """Write JPEG photos of soft shapes; every fiftieth is the one before it at another quality."""
    before: Image.Image | None = None
    for number in range(files):
        random = np.random.default_rng(number)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
        picture = coarse.resize((640, 480), Image.Resampling.BICUBIC)
        quality = 85
        if number % COPIES == 0 and before is not None:
            picture, quality = before, 70
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        target = folder / f"{number // 1000:03d}" / f"photo-{number:06d}.jpg"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(buffer.getvalue())
        before = picture


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "CSV": write_csv,
    "Parquet": write_parquet,
    "NDJSON": write_text,
    "JPEG": write_pictures,
}


def write(kind: str, folder: Path, files: int) -> int:
    """Write a corpus into a new folder and return its bytes."""
    folder.mkdir(parents=True)
    WRITERS[kind](folder, files)
    return size_of(folder)
