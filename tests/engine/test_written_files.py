"""Files of the pipeline: whole, and the same however their rows came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tamis.checks.base import Finding
from tamis.pipeline import findings
from tamis.pipeline.files import write_table

if TYPE_CHECKING:
    from pathlib import Path


def readings(rows: int) -> pa.Table:
    random = np.random.default_rng(4)
    return pa.table(
        {
            "noise": random.standard_normal(rows),
            "rounded": random.standard_normal(rows).round(1),
            "site": pa.array([["a", "b", None][i % 3] for i in range(rows)], pa.string()).dictionary_encode(),
            "samples": pa.array([[1.5, None]] * rows, pa.list_(pa.float64())),
        }
    )


@pytest.mark.parametrize(("rows", "groups"), [(0, []), (1, [1]), (9_999, [9_999]), (10_000, [10_000]), (25_000, [10_000, 10_000, 5_000])])
def test_how_rows_were_cut_leaves_no_trace(rows: int, groups: list[int], tmp_path: Path) -> None:
    table = readings(rows)
    path = tmp_path / "whole.parquet"
    assert write_table(path, [table], table.schema, metadata={"told": "so"}, row_group_rows=10_000) == rows
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == (groups or [0])
    read = pq.read_table(path)
    assert read.equals(table)
    assert read.schema.metadata == {b"told": b"so"}
    for step in (1_000, 7_777, 20_001):
        pieces = [table.slice(first, step) for first in range(0, rows, step)]
        other = tmp_path / f"{step}.parquet"
        assert write_table(other, pieces, table.schema, metadata={"told": "so"}, row_group_rows=10_000) == rows
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("rising", [(), ("number",)])
def test_a_dictionary_is_written_of_what_repeats(rising: tuple[str, ...], tmp_path: Path) -> None:
    table = readings(12_000).append_column("number", pa.array(np.arange(12_000) // 2))
    write_table(tmp_path / "t.parquet", [table], table.schema, rising=rising)
    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    assert [group.column(i).has_dictionary_page for i in range(5)] == [False, True, True, False, not rising]
    assert pq.read_table(tmp_path / "t.parquet").cast(table.schema).equals(table)


def test_noise_is_written_without_a_codec(tmp_path: Path) -> None:
    random, rows = np.random.default_rng(5), 12_000
    table = pa.table(
        {
            "noise": random.standard_normal(rows),
            "hash": random.integers(0, 1 << 62, rows),
            "steps": np.arange(rows) * 1_000_000,
            "late": pa.array([None] * 9_000 + random.standard_normal(rows - 9_000).tolist()),
            "text": random.bytes(16 * rows).hex("-", 16).split("-"),
            "samples": pa.array(random.standard_normal((rows, 2)).tolist()),
            "of.two": pa.array([{"x": 1.0, "y": "z"}] * rows),
        }
    )
    for compression, codec in (("zstd", "ZSTD"), ("lz4", "LZ4"), ("snappy", "SNAPPY"), ("none", "UNCOMPRESSED")):
        write_table(tmp_path / "t.parquet", [table], table.schema, compression=compression)
        group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
        found = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
        assert found == dict.fromkeys(found, codec) | {"noise": "UNCOMPRESSED", "hash": "UNCOMPRESSED"}
        assert pq.read_table(tmp_path / "t.parquet").equals(table)
    only = table.select(["noise"])
    write_table(tmp_path / "t.parquet", [only], only.schema)
    assert pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0).compression == "UNCOMPRESSED"


def test_no_findings_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "findings.parquet"
    found = findings.frame("missing", [Finding(3, "null", "note", "")])
    findings.write(path, found)
    assert findings.read(path).equals(found)
    findings.write(path, found.clear())
    assert not path.exists()
    assert findings.read(path).equals(found.clear())
