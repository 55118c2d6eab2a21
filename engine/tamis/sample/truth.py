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
        `image`, `reading`, `series` (a reading of `series.parquet`), `window` or `document`.
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


def write_truth(path: Path, truths: Sequence[Truth]) -> None:
    """Write the truth as Parquet, with the `group` that an original shares with what was made from it."""
    originals = {truth.original for truth in truths}
    columns = {name: [getattr(truth, name) for truth in truths] for name in Truth._fields}
    columns["group"] = [truth.original or (truth.record if truth.record in originals else None) for truth in truths]
    order = ["record", "kind", "fault", "expected", "group", "original", "detail"]
    schema = pa.schema([(name, pa.string()) for name in order])
    pq.write_table(pa.table(columns).select(order).cast(schema), path)
