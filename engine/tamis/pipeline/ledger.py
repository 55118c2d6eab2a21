"""The ledger: one row for every rejected record, one for every other finding, one for every member of a cluster. In source order.

Built shard by shard from the findings of all stages; the first rejection in the order of checks owns the record, the rest are notes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.errors import InvariantError
from tamis.pipeline import findings
from tamis.pipeline.files import write_table
from tamis.pipeline.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tamis.pipeline.earlier import Earlier
    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.listing import SourceFile

REJECTS = pa.schema(
    [
        ("record", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("check", pa.string()),
        ("reason", pa.string()),
        ("severity", pa.string()),
        ("detail", pa.string()),
        ("kept", pa.string()),
        ("similarity", pa.float64()),
        ("column", pa.string()),
        ("value", pa.string()),
    ]
)
CLUSTERS = pa.schema(
    [("cluster", pa.string()), ("record", pa.string()), ("keeper", pa.bool_()), ("similarity", pa.float64()), ("check", pa.string())]
)
KEEPER_LOST = "; that record could not be written in the end, so that neither is in the clean corpus"
_STAGES = ("evidence", "judged", "applied")
ROWS = 1 << 14  # made, written and read back at a time: texts of a row are some hundred bytes, in several copies


class Records:
    """Names of records by number."""

    def __init__(self, plan: Plan, earlier: Sequence[Earlier] = ()) -> None:
        self._plan = plan
        self._earlier = [(run, shard) for run in earlier for shard in run.shards]
        sizes = [shard.records for shard in plan.shards] + [shard.records for _, shard in self._earlier]
        self._first = np.cumsum([0, *sizes])[:-1]
        of_rows = [shard if shard.kind == "table" else None for shard in plan.shards] + [None] * len(self._earlier)
        self._tables = pl.Series([shard and shard.files[0].record for shard in of_rows], dtype=pl.String)
        self._starts = np.array([shard.start if shard else 0 for shard in of_rows], np.int64)

    def of_shard(self, shard: Shard, positions: pl.Series) -> pl.DataFrame:
        """Return record, source and row of the records at these positions of a shard."""
        if shard.kind == "table":
            source = shard.files[0].record
            rows = (positions + shard.start).rename("row")
            frame = pl.DataFrame({"source": [source] * len(rows), "row": rows}, schema={"source": pl.String, "row": pl.Int64})
            return frame.select(pl.concat_str("source", pl.lit("#"), "row").alias("record"), "source", "row")
        if shard.kind == "problem":
            named: list[tuple[str, str, int | None]] = [(one.record, one.record, None) for one in self._plan.problems]
        else:
            named = [_named(file) for file in shard.files]
        schema = {"record": pl.String, "source": pl.String, "row": pl.Int64}
        return pl.DataFrame([named[position] for position in positions], schema=schema, orient="row")

    def of_run(self, numbers: pl.Series) -> pl.Series:
        """Return the ids of records by their numbers in the run; null for null."""
        known = numbers.drop_nulls().unique().sort()
        owners = np.searchsorted(self._first, known.to_numpy(), side="right") - 1
        rows = known.to_numpy() - self._first[owners] + self._starts[owners]
        found = pl.DataFrame({"number": known, "record": self._tables.gather(owners), "row": rows})
        of_rows = found.select("number", pl.concat_str("record", pl.lit("#"), "row")).drop_nulls()  # at once: they may be of all shards
        lookup = [of_rows, *(self._owned(owner, known.filter(owners == owner)) for owner in np.unique(owners[found["record"].is_null()]))]
        return numbers.to_frame("number").join(pl.concat(lookup), on="number", how="left", maintain_order="left")["record"]

    def _owned(self, owner: int, numbers: pl.Series) -> pl.DataFrame:
        """Return the ids of records of a shard of media or problems, or of an earlier run."""
        positions = numbers - int(self._first[owner])
        if owner < len(self._plan.shards):
            names = self.of_shard(self._plan.shards[owner], positions)["record"]
        else:
            run, shard = self._earlier[owner - len(self._plan.shards)]
            names = run.names(shard, positions)
        return pl.DataFrame({"number": numbers, "record": names})


def _named(file: SourceFile) -> tuple[str, str, int | None]:
    """Return the id of a medium, of the file that holds it, and the number of its row where it is one."""
    container = file.container
    return file.record, container.record if container else file.record, file.offset if container and container.column else None


class Tally:
    """What the ledger counted: records rejected and noted, by check and reason, and rejected by kind of source."""

    def __init__(self) -> None:
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.noted: Counter[tuple[str, str]] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.by_group: Counter[str] = Counter()


def _lost(plan: Plan) -> pl.Series:
    """Return the numbers of the records that were to be kept and could not be written in the end."""
    late = (findings.rejected(findings.read(findings.path(plan, shard, "applied"))) + shard.first for shard in plan.shards)
    return pl.concat([pl.Series([], dtype=pl.Int64), *late])


def write_ledger(plan: Plan, out: Path, earlier: Sequence[Earlier] = ()) -> Tally:
    """Write rejects.parquet, notes.parquet and clusters.parquet, and return the counts."""
    tally, records, lost = Tally(), Records(plan, earlier), _lost(plan)
    order = {check.name: check.order for check in plan.recipe.checks(backend="cpu")}
    write_table(out / "rejects.parquet", _rejects(plan, records, lost, order, tally), REJECTS, row_group_rows=ROWS)
    give_back()
    write_table(out / "notes.parquet", _notes(plan, records, lost, order, tally), REJECTS, row_group_rows=ROWS)
    give_back()
    write_table(out / "clusters.parquet", _clusters(plan, records), CLUSTERS, row_group_rows=ROWS)
    return tally


def _split(plan: Plan, shard: Shard, order: dict[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the findings about a shard that reject a record (one each), and all others."""
    if not any(findings.path(plan, shard, stage).exists() for stage in _STAGES):
        return findings.empty(), findings.empty()
    stages = [findings.read(findings.path(plan, shard, stage)).with_columns(pl.lit(i).alias("stage")) for i, stage in enumerate(_STAGES)]
    found = pl.concat(stages).with_columns(pl.col("check").replace_strict(order, default=0, return_dtype=pl.Int64).alias("order"))
    found = found.with_row_index("place").sort("index", "stage", "order", "place")
    decisive = pl.col("severity") == "reject"
    first = pl.col("place").filter(decisive).first().over("index")
    owns = (pl.col("place") == first).fill_null(value=False)
    return found.filter(owns), found.filter(~owns).with_columns(severity=pl.lit("note"))


def _rows(shard: Shard, found: pl.DataFrame, records: Records, lost: pl.Series) -> Iterator[pa.Table]:
    return (_table(shard, some, records, lost) for some in found.iter_slices(ROWS))


def _table(shard: Shard, found: pl.DataFrame, records: Records, lost: pl.Series) -> pa.Table:
    orphaned = pl.col("kept").is_in(lost.implode())
    found = found.with_columns(pl.when(orphaned).then(pl.col("detail") + KEEPER_LOST).otherwise("detail").alias("detail"))
    names = records.of_shard(shard, found["index"])
    kept = records.of_run(found["kept"])
    columns = found.select("check", "reason", "severity", "detail", "similarity", "column", "value")
    frame = pl.concat([names, columns, kept.alias("kept").to_frame()], how="horizontal")
    return frame.select(REJECTS.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(REJECTS)


def _rejects(plan: Plan, records: Records, lost: pl.Series, order: dict[str, int], tally: Tally) -> Iterator[pa.Table]:
    for shard in plan.shards:
        rejects, _ = _split(plan, shard, order)
        _add(tally.rejected, rejects)
        tally.by_kind[shard.kind] += len(rejects)
        tally.by_group[shard.group] += len(rejects)
        yield from _rows(shard, rejects, records, lost)


def _notes(plan: Plan, records: Records, lost: pl.Series, order: dict[str, int], tally: Tally) -> Iterator[pa.Table]:
    for shard in plan.shards:
        _, notes = _split(plan, shard, order)
        _add(tally.noted, notes)
        yield from _rows(shard, notes, records, lost)


def _add(counter: Counter[tuple[str, str]], found: pl.DataFrame) -> None:
    for check, reason, count in found.group_by("check", "reason").agg(pl.col("index").n_unique()).iter_rows():
        counter[check, reason] += count


def _clusters(plan: Plan, records: Records) -> Iterator[pa.Table]:
    path = plan.state("judged", "clusters.parquet")
    total = pl.scan_parquet(path).select(pl.len()).collect().item()
    for start in range(0, total, ROWS):
        found = pl.scan_parquet(path).slice(start, ROWS).collect()
        frame = pl.DataFrame(
            {
                "cluster": records.of_run(found["keeper"]),
                "record": records.of_run(found["index"]),
                "keeper": found["keeper"] == found["index"],
                "similarity": found["similarity"],
                "check": found["check"],
            }
        )
        yield frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(CLUSTERS)


def balance(read: int, kept: int, rejected: int) -> None:
    """Make sure that no record was lost.

    Raises
    ------
    InvariantError
        `read = kept + rejected` does not hold.
    """
    if read != kept + rejected:
        message = f"the books do not balance: {read} read, {kept} kept, {rejected} rejected. This is a bug in tamis; please report it."
        raise InvariantError(message)


def balance_rows(group: str, expected: int, written: int) -> None:
    """Make sure that a table was written whole.

    Raises
    ------
    InvariantError
        There are other rows than were kept.
    """
    if expected != written:
        message = (
            f"the table {group!r} does not balance: {expected} rows expected, {written} written. This is a bug in tamis; please report it."
        )
        raise InvariantError(message)
