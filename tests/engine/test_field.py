"""What discovery finds in the field of a sample, against what was planted there."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

import tamis
from tamis.sample.field import LEAST_STEPS, write_field

if TYPE_CHECKING:
    from pathlib import Path

    from tamis.sample.truth import Planted

    Finding = dict[str, object]

STEPS = 1_666  # of the default sample
TABLES = ("stations*", "gauges", "meters", "buoys")
BLURRED = {"saturation": 0.25, "drift": 0.1, "shift": 0.1, "jitter": 0.05, "resolution": 0.1, "repeated_block": 0.05, "interpolated": 0.1}
"""Kinds whose rows cannot be told exactly (a reading may lie at the rail by itself, a ramp begins with nothing), and by how much."""


def found_in(corpus: Path) -> list[Finding]:
    told = [tamis.discover(str(corpus / "field" / f"{name}.parquet")).findings for name in TABLES]
    return [row for one in told for row in one.iter_rows(named=True)]


def is_told(planted: Planted, finding: Finding) -> bool:
    """Say whether a finding is of this fault: kind, sensor and column, rows, and for what can be told exactly the time span too."""
    where = (planted.kind, planted.sensor, planted.column)
    rows, room = int(str(finding["rows"])), BLURRED.get(planted.kind, 0.0)
    if where != (finding["kind"], finding["sensor"], finding["column"]) or abs(rows - planted.rows) > room * planted.rows:
        return False
    exact = (planted.row, planted.first, planted.last)
    ends = [int(finding[end].timestamp() * 1e6) for end in ("first", "last")]  # type: ignore[attr-defined]  # a datetime
    return planted.kind in BLURRED or exact == (finding["row"], *ends)


@pytest.mark.parametrize("seed", [1, 2])
def test_discovery_finds_each_planted_fault_and_nothing_else(seed: int, tmp_path: Path) -> None:
    _, planted = write_field(tmp_path, seed, STEPS)
    found = found_in(tmp_path)
    missed = [(one.kind, one.sensor) for one in planted if not any(is_told(one, finding) for finding in found)]
    alarms = [(finding["kind"], finding["sensor"]) for finding in found if not any(is_told(one, finding) for one in planted)]
    assert (missed, alarms) == ([], [])
    assert len(found) == len(planted)


def test_every_kind_that_discovery_knows_is_planted(tmp_path: Path) -> None:
    _, planted = write_field(tmp_path, 3, LEAST_STEPS)
    table = str(tamis.discovery.__doc__).split("|---|---|")[1]
    kinds = {kind for line in table.splitlines() if line for kind in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert {one.kind for one in planted} == kinds


def test_the_truth_about_rows_and_that_about_faults_agree(tmp_path: Path) -> None:
    truths, planted = write_field(tmp_path, 4, LEAST_STEPS)
    fault = {one.record: one.fault for one in truths}
    tables = {name: pl.read_parquet(tmp_path / name) for name in {one.file for one in planted}}
    told: Counter[tuple[str, str, str]] = Counter()
    for name, table in tables.items():
        for row, sensor in enumerate(table[:, 1]):
            told[name, sensor, fault[f"{name}#{row}"]] += 1
    assert {where: count for where, count in told.items() if where[2] != "none"} == {
        (one.file, one.sensor, one.kind): one.rows for one in planted
    }
    for one in planted:
        assert fault[f"{one.file}#{one.row}"] == one.kind
        assert tables[one.file]["time"][one.row] == datetime.fromtimestamp(one.first / 1e6, UTC).replace(tzinfo=None)
    (code,) = (one for one in planted if one.kind == "sentinel")
    own = tables[code.file].filter(pl.col("station") == code.sensor)[code.column]
    assert (own == json.loads(code.parameters)["code"]).sum() == code.rows


def test_rows_that_were_exported_twice_equal_their_original(tmp_path: Path) -> None:
    truths, _ = write_field(tmp_path, 5, LEAST_STEPS)

    def cells(record: str) -> tuple[object, ...]:
        name, _, row = record.partition("#")
        return pl.read_parquet(tmp_path / name).row(int(row))

    again = [one for one in truths if one.fault == "duplicate_time"]
    assert again
    assert all(one.original is not None and one.expected == "reject" and cells(one.record) == cells(one.original) for one in again)
