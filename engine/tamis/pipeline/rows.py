"""Rows of a table shard as typed batches: what observe, verification, statistics and apply all read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.checks.base import TableBatch
from tamis.sources.payload import Unavailable, verify_unchanged
from tamis.sources.standardise import standardise
from tamis.sources.tables import FAULTS, ReadFailed, TableReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.listing import SourceFile
    from tamis.sources.schema import TableGroup

UNREADABLE_ROWS = "unreadable_rows"
FAILURES = (ReadFailed, *FAULTS)
SHOWN = 3  # pieces that could not be decoded, of which the decoder's words are told


class RowReader:
    """Reads rows of shards, and holds the table open that it read last: of shards in a row no row group is decoded twice."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._opened: tuple[SourceFile, TableReader] | None = None

    def batches(
        self,
        shard: Shard,
        batch_size: int | None,
        *,
        only: NDArray[np.int64] | None = None,
        columns: Collection[str] | None = None,
    ) -> Iterator[TableBatch]:
        """Yield the sound rows of a table shard in order, typed by the schema of its group.

        Parameters
        ----------
        batch_size
            Rows per batch, at most; None for one batch per row group, or piece of a large one.
        only
            Sorted row numbers of the file: the others are left out.
        columns
            The columns that are wanted; all are read where a check corrects rows.

        Raises
        ------
        Unavailable
            The file changed; or pieces of it cannot be decoded, which is told when all others have been given.
        """
        plan, file, group = self._plan, shard.files[0], self._plan.groups[shard.group]
        staged = plan.staged[file.record]
        correcting = [check for check in plan.recipe.checks(backend=plan.backend) if check.has("correct")]
        wanted = None if correcting else columns
        sources = None if wanted is None else _sources(group, file.record, wanted)
        if staged.path is None:
            verify_unchanged(file)
        failures: list[str] = []
        try:
            reader = self._table(file)
        except FAILURES as error:
            raise Unavailable(UNREADABLE_ROWS, str(error)) from error
        for start, stop in _ranges(reader.pieces, shard.start, shard.stop):
            if only is not None and not np.any((only >= start) & (only < stop)):
                continue
            try:
                bad = [row.row - start for row in reader.bad_rows(start, stop)]
                rows = np.delete(np.arange(start, stop, dtype=np.int64), bad)
                if only is not None:
                    rows = np.intersect1d(rows, only, assume_unique=True)
                frame = reader.read(start, stop, sources)
                frame = frame[rows - start] if len(rows) != stop - start else frame
                step = batch_size or max(1, len(rows))
                for first in range(0, len(rows), step):
                    typed = standardise(frame[first : first + step], file.record, group, plan.formats, wanted)
                    place = rows[first : first + step]
                    batch = TableBatch(group, file.record, place, typed.frame, typed.unparsed, typed.rounded, typed.nulls)
                    for check in correcting:
                        batch = check.correct(batch)
                    yield batch
            except FAILURES as error:  # the others may be sound
                if staged.path is None:
                    verify_unchanged(file)
                failures.append(str(error))
        if failures:
            more = f"; and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
            raise Unavailable(UNREADABLE_ROWS, "; ".join(failures[:SHOWN]) + more)

    def bad(self, shard: Shard) -> list[tuple[int, str, str, str]]:
        """Return row number in the shard, reason, detail and text of the rows that could not be read from the source."""
        file = shard.files[0]
        if not self._plan.staged[file.record].bad:
            return []
        rows = self._table(file).bad_rows(shard.start, shard.stop)
        return [(row.row - shard.start, row.reason, row.detail, row.raw) for row in rows]

    def _table(self, file: SourceFile) -> TableReader:
        if self._opened is None or self._opened[0] != file:
            self._opened = None  # before the next one is
            self._opened = file, TableReader(file, self._plan.staged[file.record].path)
        return self._opened[1]


def _sources(group: TableGroup, record: str, wanted: Collection[str]) -> list[str]:
    """Return the columns of a file that columns of its group are read from."""
    plans = zip(group.columns, group.readings[record], strict=True)
    return list(dict.fromkeys(reading.source for plan, reading in plans if plan.name in wanted))


def _ranges(pieces: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[int, int]]:
    first = 0
    for rows in pieces:
        low, high = max(start, first), min(stop, first + rows)
        if low < high:
            yield low, high
        first += rows
