"""The tables of a source outside of a run: listed, staged and typed as a run would, and read as often as is needed."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.errors import SourceError
from tamis.executors import LocalExecutor
from tamis.pipeline.prepare import prepare
from tamis.pipeline.rows import read_batches
from tamis.progress import Silent
from tamis.recipe import Recipe
from tamis.sources.payload import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import polars as pl

    from tamis.checks.base import TableBatch
    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.schema import TableGroup

BATCH_CELLS, LEAST_ROWS = 1 << 19, 1 << 15  # of a batch: each costs some milliseconds, whatever it holds


@dataclass(frozen=True, slots=True)
class SourceTable:
    """The rows of files with the same columns.

    Attributes
    ----------
    group
        Their schema.
    problems
        What could not be read the last time: record and the decoder's words.
    """

    group: TableGroup
    plan: Plan
    shards: tuple[Shard, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Columns and types."""
        return {column.name: column.dtype for column in self.group.columns}

    def batches(self, columns: Collection[str] | None = None) -> Iterator[TableBatch]:
        """Yield the sound rows of all files in order; a file that cannot be read on is left there and told in `problems`."""
        self.problems.clear()
        rows = max(LEAST_ROWS, BATCH_CELLS // len(self.group.columns if columns is None else columns))
        for shard in self.shards:
            try:
                yield from read_batches(self.plan, shard, rows, columns=columns)
            except Unavailable as error:
                self.problems[shard.files[0].record] = str(error)

    def frames(self, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield their frames alone."""
        return (batch.frame for batch in self.batches(columns))


@contextmanager
def source_tables(source: list[str], *, settings: Mapping[str, Any] | None = None) -> Iterator[tuple[tuple[SourceTable, ...], Path]]:
    """Give the tables of a source, and a folder for temporary files that is removed in the end.

    Parameters
    ----------
    source
        Folders, files and glob patterns.
    settings
        Overrides of the recipe by dotted key; those of `formats` say how text is read.

    Raises
    ------
    SourceError
        It cannot be listed, or no table is in it.
    """
    with tempfile.TemporaryDirectory(prefix="tamis-") as name, LocalExecutor(1) as executor:
        folder = Path(name)
        ready = prepare(
            source,
            folder,
            Recipe.load(settings=settings),
            settings=settings or {},
            backend="cpu",
            batch_size=None,
            dry_run=True,
            work=executor.map,
            progress=Silent(),
        )
        plan = ready.plan
        tables = tuple(
            SourceTable(group, plan, tuple(shard for shard in plan.shards if shard.group == name)) for name, group in plan.groups.items()
        )
        if not tables:
            told = "".join(f"\n{problem.record}: {problem.reason}, {problem.detail}" for problem in plan.problems[:5])
            message = f"{', '.join(source)}: there is no table in it; give Parquet, Arrow, CSV, TSV or NDJSON files{told}"
            raise SourceError(message)
        yield tables, folder
