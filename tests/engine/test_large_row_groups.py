"""Row groups of more rows than a shard: what the plan cuts, who reads it, and that neither leaves a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import balanced, outputs
from test_interruption import Told

import tamis
from tamis.errors import RunInterrupted
from tamis.executors import Loss, Task
from tamis.pipeline import observe
from tamis.pipeline.plan import Shard, cut, in_a_row
from tamis.recipe import ShardOptions
from tamis.sources.listing import list_source
from tamis.sources.staging import Staged, stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tamis.pipeline.plan import Plan

ROWS = 300_000  # two pieces
SETTINGS = {"normalize.method": "zscore", "shards.rows": 70_000}


def write(path: Path, row_groups: list[int]) -> None:
    """Write a table as its row groups: numbers, of which some rows are there twice, and texts."""
    rows = sum(row_groups)
    numbers = np.random.default_rng(5).normal(0, 1, rows).astype(np.float32)
    places = np.arange(rows)
    places[50::50] -= 1
    table = pa.table({"number": numbers[places], "name": np.array([f"n{place}" for place in range(997)])[places % 997]})
    with pq.ParquetWriter(path, table.schema, data_page_size=1 << 16) as writer:
        start = 0
        for size in row_groups:
            writer.write_table(table.slice(start, size), row_group_size=max(size, 1))
            start += size


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write(folder / "a.parquet", [ROWS])
    write(folder / "b.parquet", [100_000, 1000, 1000])
    return folder


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("expected") / "out"
    tamis.clean(source, out, settings=SETTINGS, jobs=1)
    return outputs(out)


@pytest.mark.parametrize(("jobs", "batch_size"), [(2, None), (3, 33_333)])
def test_jobs_and_batches_leave_no_trace(
    source: Path, expected: dict[str, bytes], tmp_path: Path, jobs: int, batch_size: int | None
) -> None:
    tamis.clean(source, tmp_path / "out", settings=SETTINGS, jobs=jobs, batch_size=batch_size)
    assert outputs(tmp_path / "out") == expected


@pytest.mark.parametrize("stage", ["observe", "apply"])
def test_a_stop_leaves_no_trace(source: Path, expected: dict[str, bytes], tmp_path: Path, stage: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunInterrupted):
        tamis.clean(source, out, settings=SETTINGS, jobs=1, progress=Told(stage))
    lost = next((out / ".tamis" / ("evidence" if stage == "observe" else "applied")).glob("shard-000001.*"))
    lost.unlink()  # as if the first task had been killed between two shards of its row group
    again = Told()
    tamis.clean(source, out, settings=SETTINGS, jobs=1, progress=again)
    assert again.done[stage] == 60_000 + 102_000
    assert outputs(out) == expected


def test_the_size_of_shards_changes_no_verdict(source: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    result = tamis.check(source, tmp_path / "out", settings={**SETTINGS, "shards.rows": 10**6}, jobs=1)
    assert outputs(result.out)["rejects.parquet"] == expected["rejects.parquet"]


@pytest.mark.parametrize("rows", [40_000, 10**6])
def test_damage_costs_the_same_rows_however_the_table_is_cut(source: Path, tmp_path: Path, rows: int) -> None:
    content = bytearray((source / "a.parquet").read_bytes())
    column = pq.read_metadata(source / "a.parquet").row_group(0).column(0)
    end = min(column.dictionary_page_offset, column.data_page_offset) + column.total_compressed_size
    content[end - 150_000 : end - 50_000] = bytes(100_000)  # where the heads of pages are
    (tmp_path / "a.parquet").write_bytes(content)
    result = tamis.check(tmp_path / "a.parquet", tmp_path / "out", settings={"shards.rows": rows}, jobs=1)
    assert balanced(result.manifest)
    unreadable = result.rejected.collect().filter(pl.col("reason") == "unreadable_rows")
    assert unreadable["row"].to_list() == list(range(ROWS // 2, ROWS))


def told(shards: list[Shard]) -> list[tuple[int, int, bool]]:
    return [(shard.start, shard.stop, shard.continues) for shard in shards]


@pytest.mark.parametrize(
    ("row_groups", "most", "shards"),
    [
        ([1000], 300, [(0, 250, False), (250, 500, True), (500, 750, True), (750, 1000, True)]),
        ([1000], 1000, [(0, 1000, False)]),
        ([100, 100, 501, 100], 250, [(0, 200, False), (200, 367, False), (367, 534, True), (534, 701, True), (701, 801, False)]),
        ([10, 0, 3], 4, [(0, 4, False), (4, 8, True), (8, 10, True), (10, 13, False)]),
    ],
)
def test_shards_end_where_row_groups_end(tmp_path: Path, row_groups: list[int], most: int, shards: list[Any]) -> None:
    write(tmp_path / "t.parquet", row_groups)
    file = list_source(tmp_path / "t.parquet").files[0]
    staged = stage(file, tmp_path / "staged")
    assert isinstance(staged, Staged)
    plan = cut([], [(file, staged, "t")], 0, ShardOptions(rows=most))
    assert told(list(plan)) == shards
    assert [(shard.index, shard.first, shard.records) for shard in plan] == [
        (index, start, stop - start) for index, (start, stop, _) in enumerate(shards)
    ]


def test_bytes_bound_a_shard_as_well(tmp_path: Path) -> None:
    pq.write_table(pa.table({"number": np.arange(1_000_000.0)}), tmp_path / "t.parquet", use_dictionary=False)
    file = list_source(tmp_path / "t.parquet").files[0]
    staged = stage(file, tmp_path / "staged")
    assert isinstance(staged, Staged)
    shards = cut([], [(file, staged, "t")], 0, ShardOptions(rows=10**9, megabytes=2))
    assert told(list(shards)) == [(start, start + 250_000, start > 0) for start in range(0, 10**6, 250_000)]


def chain(first: int, count: int) -> list[Shard]:
    """Return shards of one row group."""
    return [Shard(first + place, "table", 0, 1, continues=place > 0) for place in range(count)]


@pytest.mark.parametrize(
    ("workers", "sizes"),
    [
        (1, [4, 1, 5, 3]),
        (2, [4, 1, 3, 2, 2, 1]),
        (3, [4, 1, 2, 2, 1, 1, 1, 1]),
        (64, [1] * 13),
    ],
)
def test_a_row_group_is_one_workers_but_for_the_last_ones(workers: int, sizes: list[int]) -> None:
    shards = [*chain(0, 4), *chain(4, 1), *chain(5, 5), *chain(10, 3)]
    runs = list(in_a_row(shards, workers))
    assert [len(run) for run in runs] == sizes
    assert [shard for run in runs for shard in run] == shards


def test_what_is_done_parts_a_row_group() -> None:
    shards = chain(0, 6)
    del shards[2]
    assert [[shard.index for shard in run] for run in in_a_row(shards, 1)] == [[0, 1], [3, 4, 5]]


def test_a_loss_costs_its_shard_alone(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = observe.tasks

    def with_loss(plan: Plan, shards: Sequence[Shard], workers: int) -> list[Task]:
        first, *others = make(plan, shards, workers)
        return [replace(first, lost={observe.WHOLE_SHARD - 1: Loss("decoder_crashed", "it died")}), *others]

    monkeypatch.setattr(observe, "tasks", with_loss)
    result = tamis.check(source, tmp_path / "out", settings=SETTINGS, jobs=1)
    lost = result.rejected.collect().filter(pl.col("reason") == "decoder_crashed")
    assert lost["record"].to_list() == [f"a.parquet#{row}" for row in range(60_000, 120_000)]
    assert balanced(result.manifest)
