"""A made-up corpus with known faults, to try tamis on and to measure it by.

Everything is drawn from a seed: the same seed and library versions give the same bytes. Beside the corpus lies
`truth.parquet`, which says of every file, row, window and document whether a fault was planted in it and what cleaning
should make of it; and `faults.parquet`, which says of each fault of an instrument what it is and where.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tamis.arguments import checked
from tamis.errors import ArgumentError, OutputError
from tamis.names import AnyPath, at_home
from tamis.sample.documents import write_documents
from tamis.sample.field import write_field
from tamis.sample.photos import MINIMUM_IMAGES, write_photos
from tamis.sample.sensors import MINIMUM_ROWS, write_sensors
from tamis.sample.series import write_series
from tamis.sample.truth import write_planted, write_truth
from tamis.sample.windows import write_windows

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SampleSummary", "write_sample"]

MINIMUM_DOCUMENTS = 50
ROWS_PER_WINDOW = 50
ROWS_PER_READING = 4
ROWS_PER_STEP = 12


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What `write_sample` wrote.

    Attributes
    ----------
    corpus
        The folder to clean.
    truth
        The Parquet file with one row per record of the corpus.
    planted
        The Parquet file with one row per fault of the instruments in `field/`: the columns of `Planted`.
    files, bytes
        Number and total size of the files in `corpus`.
    records
        Number of records in `corpus`: files of media, rows, windows and documents.
    faults
        Records per planted fault; `none` counts the clean ones.
    """

    corpus: Path
    truth: Path
    planted: Path
    files: int
    bytes: int
    records: int
    faults: dict[str, int]

    def __str__(self) -> str:
        """Return what lies where, in three lines."""
        faulty = self.records - self.faults.get("none", 0)
        return (
            f"Corpus:   {self.corpus}  ({self.records:,} records in {self.files:,} files, {self.bytes / 1e6:.1f} MB)\n"
            f"Truth:    {self.truth}  ({faulty:,} records with one of {len(self.faults.keys() - {'none'})} planted faults)\n"
            f"Faults:   {self.planted}  (what instruments did, each fault as a whole: sensor, kind, rows, time span, parameters)"
        )


@checked
def write_sample(directory: AnyPath, *, seed: int = 1, images: int = 120, rows: int = 20_000, documents: int = 1_000) -> SampleSummary:
    """Write a corpus with planted faults and the truth about each of its records.

    `directory/corpus` holds `photos/`, `sensors/`, `windows.parquet`, `series.parquet`, `field/` and `text/documents.ndjson`;
    `directory/truth.parquet` has the columns of `Truth` and a `group` that duplicates of one another share;
    `directory/faults.parquet` has those of `Planted`, about the instruments in `field/`.

    Parameters
    ----------
    directory
        A folder that is empty or does not exist yet.
    seed
        Where all random choices come from; not negative.
    images
        Files under `photos/`, faulty ones included.
    rows
        Data rows of all files under `sensors/` together. One window is written per fifty of them; one row of
        `series.parquet`, in which the faults of instruments are planted, per four, 1,200 at least; and one row of each of the
        24 instruments in `field/`, whose faults nobody declares, per twelve, 300 at least.
    documents
        Lines of `documents.ndjson`, the broken one included.

    Raises
    ------
    ArgumentError
        A count is too small to hold every fault once, or the seed is negative.
    OutputError
        The folder is not empty, or cannot be made.
    """
    _demand("seed", seed, 0)
    _demand("images", images, MINIMUM_IMAGES)
    _demand("rows", rows, MINIMUM_ROWS)
    _demand("documents", documents, MINIMUM_DOCUMENTS)
    directory = at_home(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        message = f"cannot write a sample to {directory}: it is not an empty folder. Name a new folder."
        raise OutputError(message)

    corpus = directory / "corpus"
    try:
        corpus.mkdir(parents=True)
    except OSError as error:
        message = f"cannot write a sample to {directory}: {error.strerror}. Name another folder."
        raise OutputError(message) from error
    field, planted = write_field(corpus, seed, rows // ROWS_PER_STEP)
    truths = [
        *write_photos(corpus, seed, images),
        *write_sensors(corpus, seed, rows),
        *write_windows(corpus, seed, rows // ROWS_PER_WINDOW),
        *write_series(corpus, seed, rows // ROWS_PER_READING),
        *field,
        *write_documents(corpus, seed, documents),
    ]
    truth = directory / "truth.parquet"
    write_truth(truth, truths)
    write_planted(directory / "faults.parquet", planted)
    sizes = [path.stat().st_size for path in corpus.rglob("*") if path.is_file()]
    return SampleSummary(
        corpus=corpus,
        truth=truth,
        planted=directory / "faults.parquet",
        files=len(sizes),
        bytes=sum(sizes),
        records=len(truths),
        faults=dict(Counter(row.fault for row in truths).most_common()),
    )


def _demand(name: str, value: int, least: int) -> None:
    if value < least:
        message = f"{name} must be at least {least}, got {value}"
        raise ArgumentError(message)
