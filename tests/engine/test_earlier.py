"""Cleaning against what earlier runs have kept: from their evidence alone, and the union is as clean as one run."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from running import balanced, call

import tamis
from tamis.errors import RecipeError, SourceError

SETTINGS = {"shards.rows": 40, "near_duplicates.keep": ["source:a.parquet", "longest"]}


def texts(seed: int, count: int) -> list[str]:
    """Return texts, every fourth of them an edited copy of the one before it."""
    generator = random.Random(seed)
    made: list[list[str]] = []
    for number in range(count):
        words = [f"w{generator.randrange(5000)}" for _ in range(generator.randrange(30, 90))]
        if number % 4 == 3:
            words = [*made[-1], "more"]
        made.append(words)
    return [" ".join(words) for words in made]


def write(folder: Path, name: str, rows: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"text": rows}).write_parquet(folder / f"{name}.parquet")
    return folder


def kept(result: tamis.Result) -> set[str]:
    return set(result.kept.collect()["text"].to_list())


@pytest.fixture(scope="module")
def batches() -> tuple[list[str], list[str]]:
    one, other = texts(1, 80), texts(2, 80)
    generator = random.Random(3)
    other += [f"{text} changed" for text in generator.sample(one, 20)] + generator.sample(one, 10)
    generator.shuffle(other)
    return one, other


@pytest.mark.parametrize("verify", ["exact", "signature"])
@pytest.mark.parametrize("swapped", [False, True])
def test_two_runs_one_against_the_other_keep_what_one_run_keeps(
    tmp_path: Path, batches: tuple[list[str], list[str]], swapped: bool, verify: str
) -> None:
    first, second = batches[::-1] if swapped else batches
    settings = SETTINGS | {"near_duplicates.verify": verify}
    a, b = write(tmp_path / "a", "a", first), write(tmp_path / "b", "b", second)
    both = write(write(tmp_path / "both", "a", first), "b", second)
    whole = tamis.clean(both, tmp_path / "whole", settings=settings, jobs=1)
    one = tamis.clean(a, tmp_path / "one", settings=settings, jobs=1)
    shutil.rmtree(a)  # its payload is not needed any more
    other = tamis.clean(b, tmp_path / "other", settings=settings, jobs=1, against=tmp_path / "one")
    assert kept(one) | kept(other) == kept(whole)
    assert not kept(one) & kept(other)
    assert balanced(other.manifest)
    assert other.manifest["against"] == [str(tmp_path / "one")]
    rejected = other.rejected.filter(pl.col("kept").str.starts_with(f"{tmp_path / 'one'}::a.parquet#")).collect()
    assert len(rejected) >= 20
    near = rejected.filter(pl.col("check") == "near_duplicates")
    assert near["similarity"].min() >= 0.8  # type: ignore[operator]
    assert near["detail"].unique().to_list() == ["resembles the record that is kept, as far as their signatures tell"]
    names = set(other.clusters.collect()["record"])
    assert set(rejected["kept"]) <= names
    assert set(rejected["record"]) <= names


def test_a_batch_taken_out_again_gives_back_what_it_held_back(tmp_path: Path, batches: tuple[list[str], list[str]]) -> None:
    a, b = write(tmp_path / "a", "a", batches[0]), write(tmp_path / "b", "b", batches[1])
    tamis.clean(a, tmp_path / "one", settings=SETTINGS, jobs=1)
    tamis.clean(b, tmp_path / "other", settings=SETTINGS, jobs=1, against=[tmp_path / "one"])
    again = tamis.clean(b, tmp_path / "other", settings=SETTINGS, jobs=1, overwrite=True)
    alone = tamis.clean(b, tmp_path / "alone", settings=SETTINGS, jobs=1)
    assert kept(again) == kept(alone)


def test_pictures_and_a_chain_of_runs(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    rough = generator.integers(0, 256, (4, 8, 8, 3), np.uint8)
    pictures = [Image.fromarray(one).resize((160, 160), Image.Resampling.BICUBIC) for one in rough]
    runs: list[Path] = []
    for number, (names, quality) in enumerate([((0, 1), 95), ((1, 2), 90), ((0, 2, 3), 85)]):
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        for name in names:
            pictures[name].save(folder / f"{name}.jpg", quality=quality)
        result = tamis.clean(folder, tmp_path / f"out{number}", jobs=1, against=runs)
        runs.append(result.out)
    told = [dict(tamis.Result(run).rejected.select("record", "kept").collect().iter_rows()) for run in runs]
    assert told == [{}, {"1.jpg": f"{runs[0]}::1.jpg"}, {"0.jpg": f"{runs[0]}::0.jpg", "2.jpg": f"{runs[1]}::2.jpg"}]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a", "a", texts(1, 20))
    forgetful = tamis.clean(source, tmp_path / "one", settings={"near_duplicates.remember": False}, jobs=1)
    with pytest.raises(RecipeError, match=r"near_duplicates\.remembered = false"):
        tamis.clean(source, tmp_path / "two", jobs=1, against=forgetful.out)
    with pytest.raises(RecipeError, match="leaves nothing to compare with"):
        tamis.clean(source, tmp_path / "two", settings={"near_duplicates.remember": False}, jobs=1, against=forgetful.out, overwrite=True)
    other = tamis.clean(source, tmp_path / "three", jobs=1)
    with pytest.raises(RecipeError, match=r"threshold = 0\.8, this run has 0\.7"):
        tamis.clean(source, tmp_path / "four", settings={"near_duplicates.threshold": 0.7}, jobs=1, against=other.out)
    gone = other.out / "manifest.json"
    gone.rename(tmp_path / "manifest.json")
    with pytest.raises(SourceError, match="no finished run"):
        tamis.clean(source, tmp_path / "five", jobs=1, against=other.out)
    (tmp_path / "manifest.json").rename(gone)
    index = other.out / ".tamis" / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"index": 99}))
    with pytest.raises(SourceError, match="format 99"):
        tamis.clean(source, tmp_path / "five", jobs=1, against=other.out)
    said = call("clean", source, "-o", tmp_path / "six", "--against", tmp_path / "nowhere")
    assert said.returncode == 1
    assert "against" in said.stderr
    assert "no finished run" in said.stderr
