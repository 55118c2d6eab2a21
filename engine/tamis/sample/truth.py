"""What is known about each record of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Expected = Literal["keep", "note", "reject"]


class Truth(NamedTuple):
    """The truth about one record.

    Attributes
    ----------
    record
        Path below the corpus for a file; `path#row` for a row, counted from 0 in file order, broken rows included.
    kind
        `image`, `reading`, `series` (a row of `series.parquet` or of `field/`), `window` or `document`.
    fault
        Name of the planted fault, `none` for a clean record.
    expected
        `keep`: kept with nothing lost, though perhaps rewritten (a decimal comma). `note`: kept, and something is worth
        saying (a value that means "missing", bytes after the end of a picture). `reject`: not in the clean corpus.
        Of duplicates exactly one is to be kept: the one marked here is the one the others were made from, and a recipe
        may rightly prefer another of the same group.
    original
        The record of this corpus that this one was made from.
    detail
        What exactly was done.
    """

    record: str
    kind: Literal["image", "reading", "series", "window", "document"]
    fault: str = "none"
    expected: Expected = "keep"
    original: str | None = None
    detail: str = ""


class Planted(NamedTuple):
    """A fault of an instrument that nobody declares, as a whole.

    Attributes
    ----------
    file
        Path below the corpus.
    sensor, column
        Where; the column is empty where it is in the times, or in whole rows.
    kind
        What discovery calls it.
    row, rows
        Row of the file with the first faulty reading, counted from 0, and how many there are; `truth.parquet` names them all.
    first, last
        Times of the first and of the last, as they are written: microseconds since 1970.
    parameters
        What exactly was done, as JSON.
    """

    file: str
    sensor: str
    column: str
    kind: str
    row: int
    rows: int
    first: int
    last: int
    parameters: str


def write_planted(path: Path, planted: Sequence[Planted]) -> None:
    """Write the faults of instruments as Parquet, one a row."""
    time = pa.timestamp("us")
    types = {"row": pa.int64(), "rows": pa.int64(), "first": time, "last": time}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in Planted._fields])
    columns = [pa.array([getattr(one, name) for one in planted], field.type) for name, field in zip(Planted._fields, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)


def write_truth(path: Path, truths: Sequence[Truth]) -> None:
    """Write the truth as Parquet, with the `group` that an original shares with what was made from it."""
    originals = {truth.original for truth in truths}
    columns = {name: [getattr(truth, name) for truth in truths] for name in Truth._fields}
    columns["group"] = [truth.original or (truth.record if truth.record in originals else None) for truth in truths]
    order = ["record", "kind", "fault", "expected", "group", "original", "detail"]
    schema = pa.schema([(name, pa.string()) for name in order])
    pq.write_table(pa.table(columns).select(order).cast(schema), path)
