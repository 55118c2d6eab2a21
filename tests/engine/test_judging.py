"""Evidence on its way to a verdict: bounded parts, equal keys together, and the same answer however small the parts are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tamis
from tamis.near import shingles
from tamis.pipeline import findings, spill
from tamis.pipeline.evidence import evidence_path, write_evidence
from tamis.pipeline.plan import Plan, Shard
from tamis.pipeline.repeats import Repeats
from tamis.recipe import Recipe


def planned(out: Path, sizes: list[int]) -> Plan:
    firsts = np.concatenate(([0], np.cumsum(sizes))).tolist()
    shards = tuple(Shard(i, "media", first, size) for i, (first, size) in enumerate(zip(firsts, sizes, strict=False)))
    return Plan("", str(out), Recipe.load(None), "cpu", None, False, shards, {}, {}, ())


def shelf(plan: Plan) -> list[spill.Held]:
    return [spill.Held.of(shard.first, shard.records, evidence_path(plan, shard)) for shard in plan.shards]


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    spread=st.integers(1, 50),
    part=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
    repeated=st.booleans(),
)
@example(sizes=[2], spread=1, part=1, seed=0, repeated=False)
@example(sizes=[2], spread=1, part=1, seed=0, repeated=True)
def test_parts_hold_every_living_record_once_and_equal_keys_together(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], spread: int, part: int, seed: int, repeated: bool
) -> None:
    random = np.random.default_rng(seed)
    plan = planned(tmp_path_factory.mktemp("plan"), sizes)
    vocabulary = random.integers(0, 2**64, spread, np.uint64)
    keys, values = random.choice(vocabulary, plan.records), random.integers(0, 100, plan.records)
    known, alive = random.random(plan.records) < 0.8, random.random(plan.records) < 0.8
    for shard in plan.shards:
        rows = slice(shard.first, shard.first + shard.records)
        frame = pl.DataFrame({"key": keys[rows], "value": values[rows], "known": known[rows]})
        columns = frame.select(pl.when("known").then("key"), "value")
        write_evidence(plan, shard, columns, findings.empty(), {}, "stamp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "PART_RECORDS", part)
        found = list(spill.parts(shelf(plan), alive, ("key", "value"), plan.state("spill"), repeated=repeated))
    numbers = np.sort(np.concatenate([np.empty(0, np.int64), *(index for index, _ in found)]))  # there may be no part at all
    there = np.flatnonzero(alive & known)
    if repeated:
        assert np.all(np.isin(numbers, there))
        assert len(np.unique(numbers)) == len(numbers)
        there = there[np.isin(keys[there], [key for key, count in Counter(keys[there].tolist()).items() if count > 1])]
        numbers = numbers[np.isin(numbers, there)]
    assert np.array_equal(numbers, there)
    owners: dict[int, int] = {}
    for place, (index, (key, value)) in enumerate(found):
        assert np.all(np.diff(index) > 0)
        assert np.array_equal(key, keys[index])
        assert np.array_equal(value, values[index])
        assert all(owners.setdefault(one, place) == place for one in key.tolist())
    assert not plan.state("spill").exists()


@pytest.mark.parametrize(("share", "few"), [(0.0, 0.05), (0.01, 0.05), (0.5, 0.15)])
def test_keys_that_are_repeated_are_found_and_few_others(share: float, few: float) -> None:
    random = np.random.default_rng(2)
    keys = random.integers(0, 2**64, 50_000, np.uint64)
    again = random.random(keys.size) < share
    repeats = Repeats(keys.size + int(again.sum()))
    for some in (keys[:20_000], keys[20_000:], keys[again]):
        repeats.add(some)
    told = repeats.among(keys)
    assert np.all(told[again])
    assert np.mean(told[~again]) < few
    assert 0 <= repeats.found - np.count_nonzero(again) < 0.05 * keys.size


def test_more_keys_than_there_are_bits_are_all_taken_for_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.pipeline.repeats.MOST_WORDS", 1)
    repeats = Repeats(1000)
    keys = np.random.default_rng(3).integers(0, 2**64, 1000, np.uint64)
    repeats.add(keys)
    assert np.all(repeats.among(keys))


def test_evidence_that_no_record_has_gives_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path, [3])
    write_evidence(plan, plan.shards[0], pl.DataFrame({"other": [1, 2, 3]}), findings.empty(), {}, "stamp")
    assert spill.holders(shelf(plan), "key") == []
    index, (keys,) = spill.gather(shelf(plan), np.ones(3, bool), ("key",))
    assert index.size == keys.size == 0


def words(text: str, size: int = 5) -> set[tuple[str, ...]]:
    tokens = text.split()
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    random = np.random.default_rng(3)
    vocabulary = [f"word{i}" for i in range(500)]
    made = [" ".join(random.choice(vocabulary, 60)) for _ in range(60)]
    for place in range(0, 60, 3):
        made.append(made[place] + " and one more")
    made += [made[5], made[6], ""]
    path = tmp_path_factory.mktemp("texts") / "texts.ndjson"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in made))
    return path, made


def test_row_groups_without_a_living_record_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"key": pl.Series([1, 2, None, 4], dtype=pl.UInt64), "value": [b"a", b"b", b"c", b"d"]})
    frame.write_parquet(tmp_path / "evidence.parquet", row_group_size=2)
    held = [spill.Held.of(0, 4, tmp_path / "evidence.parquet")]
    read: list[int] = []
    before = pq.ParquetFile.read_row_group

    def noted(self: pq.ParquetFile, group: int, **how: object) -> object:
        read.append(group)
        return before(self, group, **how)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
    for alive, groups, numbers in (([0, 0, 0, 1], [1], [3]), ([0, 1, 0, 0], [0], [1]), ([0, 0, 0, 0], [], [])):
        read.clear()
        index, (keys, values) = spill.gather(held, np.array(alive, bool), ("key", "value"))
        assert (index.tolist(), keys.tolist(), read) == (numbers, [1 + number for number in numbers], groups)
        assert [keys.dtype, values.dtype] == [np.dtype(np.uint64), np.dtype(object)]


def test_small_parts_judge_as_large_ones_do(texts: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made = texts
    whole = tamis.check(path, tmp_path / "whole", jobs=1)
    monkeypatch.setattr(spill, "PART_RECORDS", 3)
    monkeypatch.setattr(shingles, "BYTES_AT_A_TIME", 200)
    cut = tamis.check(path, tmp_path / "cut", settings={"shards.rows": 7}, jobs=1)
    for name in ("rejects.parquet", "clusters.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    near = cut.rejected.filter(pl.col("check") == "near_duplicates").collect()
    assert len(near) == 20
    assert whole.manifest["checks"] == cut.manifest["checks"]
    for record, kept, similarity in near.select("record", "kept", "similarity").iter_rows():
        left, right = (words(made[int(one.split("#")[1])]) for one in (record, kept))
        assert similarity == len(left & right) / len(left | right)
        assert similarity >= 0.8
    assert not list(tmp_path.rglob("sets"))
