"""Exact duplicates: files of equal bytes, rows of equal values.

The key is the xxh3-128 of the file's bytes, or of the row's canonical text, in which every value has one spelling and no value can
run into the next. 128 bits: among 10^9 records two different ones share a key with probability 1.5e-21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import polars as pl
import xxhash
from pydantic import Field

from tamis.checks.base import Batch, Check, CheckOptions, ColumnNames, Kind, MediaBatch, Observation, TableBatch
from tamis.clustering import sharing

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


class ExactDuplicates(Check):
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
        for index, (low, high) in case.parts("low", "high"):
            suspects = sharing(low, backend=self.backend)
            _reject_repeats(case, index[suspects], high[suspects], low[suspects])

    def _row_digests(self, batch: TableBatch) -> NDArray[np.uint64]:
        prefix = ",".join(sorted(column.name.casefold() for column in batch.group.columns))  # the same in every run, unlike a group's name
        if not self._across_files(batch.group):
            prefix += f"|{batch.source}"
        texts = canonical_rows(batch.frame, self._identity(batch.group), prefix)
        digests = b"".join(xxhash.xxh3_128_digest(text) for text in texts)
        return np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)

    def _identity(self, group: TableGroup) -> list[str]:
        options: Options = self.options
        names = [column.name for column in group.columns]
        return [name for name in names if (not options.columns or name in options.columns) and name not in options.ignore]

    def _across_files(self, group: TableGroup) -> bool:
        if self.options.across_files != "auto":
            return bool(self.options.across_files == "yes")
        kinds = {column.kind for column in group.columns}
        return "datetime" not in kinds or "text" in kinds


def canonical_rows(frame: pl.DataFrame, names: list[str], prefix: str) -> pl.Series:
    """Return each row as bytes that are equal for equal rows and different for different ones.

    Every value is written as its length and its text, nulls as `~`; floats are spelled as their shortest round trip with -0.0 as 0.0,
    timestamps as microseconds, lists item by item.
    """
    parts = [pl.lit(prefix)]
    for name in sorted(names):
        text = _text(pl.col(name), frame.schema[name])
        parts.append(pl.when(text.is_null()).then(pl.lit("~")).otherwise(pl.format("{}:{}", text.str.len_bytes(), text)))
    return frame.select(pl.concat_str(parts, separator="\x1f").cast(pl.Binary).alias("row"))["row"]


def _text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_float():
        # polars adds 0.0 to a column by leaving it alone, and -0.0 would stay
        return pl.when(column == 0.0).then(pl.lit(0.0, dtype)).otherwise(column).cast(pl.String)
    if dtype.is_temporal():
        return column.cast(pl.Int64).cast(pl.String)
    if isinstance(dtype, (pl.List, pl.Array)):
        as_list = column.arr.to_list() if isinstance(dtype, pl.Array) else column
        inner = dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner()
        return as_list.list.eval(_text(pl.element(), inner).fill_null("~")).list.join("\x1e")
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.Struct):
        return column.struct.json_encode()
    return column.cast(pl.String)


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
