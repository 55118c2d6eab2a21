"""Exact duplicates: files of equal bytes, rows of equal values.

The key is the xxh3-128 of the file's bytes or of the row's values (`digests.py`). Among 10^9 records two different ones share one
with probability 1.5e-21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import polars as pl
import xxhash
from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, Kind, MediaBatch, Observation, TableBatch
from tamis.checks.exact_duplicates.digests import row_digests
from tamis.checks.named import ColumnNames
from tamis.near.clustering import sharing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.checks.base import Case
    from tamis.sources.schema import TableGroup


class Options(CheckOptions):
    """Options of `exact_duplicates`."""

    columns: ColumnNames = Field(default=(), description="Columns that make up a row's identity; none given: all.")
    ignore: ColumnNames = Field(default=(), description="Columns that do not, such as running numbers.")
    across_files: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether rows of different table files can be duplicates; auto: not where the file's name alone tells the series, "
        "that is where a table has timestamps and no text column.",
    )


class ExactDuplicates(Check[Options]):
    """Keeps the first of equal records."""

    name = "exact_duplicates"
    order = 20
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media", "table"})
    summary = "Files of equal bytes and rows of equal values: the first stays."
    Options = Options

    def observe(self, batch: Batch) -> Observation:
        """Note each record's 128-bit key."""
        if isinstance(batch, MediaBatch):
            digests = np.frombuffer(b"".join(batch.digests), ">u8").reshape(-1, 2).astype(np.uint64)
        else:
            digests = self._row_digests(batch)
        return Observation({"high": pl.Series(digests[:, 0]), "low": pl.Series(digests[:, 1])})

    def judge(self, case: Case) -> None:
        """Reject every record whose key an earlier, living one has."""
        for index, (low, high) in case.parts("low", "high", repeated=True):
            suspects = sharing(low, backend=self.backend)
            _reject_repeats(case, index[suspects], high[suspects], low[suspects])

    def _row_digests(self, batch: TableBatch) -> NDArray[np.uint64]:
        names = self._identity(batch.group)
        same = ",".join(sorted(column.name.casefold() for column in batch.group.columns))  # the same in every run, unlike a group's name
        if not self._across_files(batch.group):
            same += f"|{batch.source}"
        table = pl.repeat(xxhash.xxh3_64_intdigest(same.encode(errors="surrogatepass")), batch.frame.height, dtype=pl.UInt64, eager=True)
        digests = row_digests([table, *batch.frame.select(sorted(names)).get_columns()], self.backend)
        for told in (batch.unparsed, batch.rounded):  # rows are equal where their cells are in the source
            cells = told.filter(pl.col("column").is_in(names))
            if len(cells):
                spelled = row_digests(cells.select("column", "value").get_columns(), self.backend)
                np.bitwise_xor.at(digests, cells["index"].to_numpy(), spelled)
        return digests

    def _identity(self, group: TableGroup) -> list[str]:
        options = self.options
        names = [column.name for column in group.columns]
        return [name for name in names if (not options.columns or name in options.columns) and name not in options.ignore]

    def _across_files(self, group: TableGroup) -> bool:
        if self.options.across_files != "auto":
            return self.options.across_files == "yes"
        kinds = {column.kind for column in group.columns}
        return "datetime" not in kinds or "text" in kinds


def _reject_repeats(case: Case, suspects: NDArray[np.int64], high: NDArray[np.uint64], low: NDArray[np.uint64]) -> None:
    """Reject all but the first of the records with equal keys; `suspects` rises."""
    order = np.lexsort((suspects, suspects < case.own, high, low))  # what an earlier run kept comes first
    index, high, low = suspects[order], high[order], low[order]
    begins = np.ones(len(index), bool)
    begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    keeper = index[begins][np.cumsum(begins) - 1]
    gone = ~begins & (index < case.own)
    clustered = np.isin(keeper, keeper[gone])
    case.clusters(index[clustered], keeper[clustered], np.ones(int(clustered.sum())))
    copies = np.sort(index[gone])
    kept = keeper[gone][np.argsort(index[gone])]
    case.reject(copies, "exact_duplicate", "equal to the record that is kept", kept=kept, similarity=np.ones(len(copies)))
