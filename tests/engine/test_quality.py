"""Quality of pictures through whole runs: every issue planted and found, sound pictures left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageFilter, ImageOps

import tamis
from tamis.checks.quality import ISSUES
from tamis.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALONE = {"near_duplicates.enabled": False, "labels.enabled": False}


def picture(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Draw clouds at several scales, in colour, with edges."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size[1], size[0], 3), 120.0)
    for cells in (3, 8, 40):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
        pixels += 0.6 * (np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), float) - 127)
    pixels[size[1] // 3 : size[1] // 2, size[0] // 4 : size[0] // 2] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def levels(image: Image.Image, gain: float, offset: float) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image, float) * gain + offset, 0, 255).astype(np.uint8))


PLANTED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda image: levels(image, 0.22, 0),
    "bright": lambda image: levels(image, 0.05, 242.3),
    "low_contrast": lambda image: levels(image, 0.06, 120),
    "low_information": lambda image: ImageOps.expand(image.resize((160, 120)), (160, 120), (235, 235, 235)),
    "near_constant": lambda image: Image.new("RGB", image.size, (90, 120, 60)),
    "blurry": lambda image: image.filter(ImageFilter.GaussianBlur(16)),
    "grayscale": lambda image: image.convert("L").convert("RGB"),
    "letterboxed": lambda image: ImageOps.expand(image, (0, 40), (0, 0, 0)),
    "odd_aspect": lambda image: image.resize((1000, 250)),
    "odd_size": lambda image: image.resize((48, 36)),
}
BESIDES = {  # what else is rightly told of them
    "bright": {"low_contrast"},
    "low_information": {"letterboxed"},  # a small picture with a broad border
    "near_constant": {"low_contrast", "low_information"},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("quality") / "in"
    root.mkdir()
    for seed in range(12):
        picture(seed).save(root / f"sound_{seed}.jpg", quality=92, progressive=seed == 0)
    for seed, (issue, change) in enumerate(PLANTED.items(), start=20):
        change(picture(seed)).save(root / f"{issue}.jpg", quality=92)
    picture(40).convert("L").save(root / "stored_grey.png")
    picture(41).convert("L").convert("RGB").save(root / "grey_in_colour.png")
    picture(42).convert("L").convert("RGB").save(root / "grey_progressive.jpg", progressive=True)
    ImageOps.expand(picture(43), (60, 0), (255, 255, 255)).save(root / "pillars.png")
    (root / "broken.jpg").write_bytes((root / "dark.jpg").read_bytes()[:2000])
    return root


@pytest.fixture(scope="module")
def checked(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tamis.Result:
    return tamis.check(corpus, tmp_path_factory.mktemp("checked") / "out", settings=ALONE, jobs=1)


def issues(result: tamis.Result) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record, reason in result.notes.filter(pl.col("check") == "quality").select("record", "reason").collect().iter_rows():
        found.setdefault(record, set()).add(reason)
    return found


def test_what_is_planted_is_told_and_nothing_else(checked: tamis.Result) -> None:
    found = issues(checked)
    assert set(PLANTED) == set(ISSUES)
    for issue in PLANTED:
        told = found.pop(f"{issue}.jpg")
        assert issue in told
        assert told - {issue} <= BESIDES.get(issue, set()), issue
    assert found == {
        "stored_grey.png": {"grayscale"},
        "grey_in_colour.png": {"grayscale"},
        "grey_progressive.jpg": {"grayscale"},
        "pillars.png": {"letterboxed"},
    }
    assert checked.manifest["counts"]["by_reason"] == [{"check": "integrity", "reason": "truncated", "records": 1}]


def test_a_plain_picture_of_a_little_noise_has_no_bars(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-4, 5, (40, 60)).astype(np.uint8) + np.uint8(100)
    noise[::39, ::59] = 100  # the corners, from which no pixel strays farther than a bar may
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.kron(noise, np.ones((8, 8), np.uint8))).save(folder / "plain.png")
    told = issues(tamis.check(folder, tmp_path / "out", settings=ALONE, jobs=1))["plain.png"]
    assert "low_contrast" in told
    assert not told & {"letterboxed", "near_constant"}


def test_a_note_has_the_figure_and_the_threshold(checked: tamis.Result) -> None:
    told = dict(checked.notes.filter(pl.col("check") == "quality").select("record", "detail").collect().iter_rows())
    assert "less than 78" in told["dark.jpg"]
    assert "the short side is 0.25 of the long one, less than 0.35" in told["odd_aspect.jpg"]
    assert told["stored_grey.png"] == "stored as grey, mode L"
    assert told["grey_in_colour.png"].startswith("stored as RGB, but no colour strays from grey")
    assert "a side of 42 pixels where the median is about 417" in told["odd_size.jpg"]


def test_issues_that_are_to_be_rejected_are_and_the_others_noted(corpus: Path, tmp_path: Path) -> None:
    settings = ALONE | {"quality.reject": ["blurry", "odd_size"]}
    result = tamis.clean(corpus, tmp_path / "out", settings=settings, jobs=1)
    rejected = result.rejected.filter(pl.col("check") == "quality").select("record", "reason").collect().rows()
    assert sorted(rejected) == [("blurry.jpg", "blurry"), ("odd_size.jpg", "odd_size")]
    assert "dark.jpg" in issues(result)
    assert not (tmp_path / "out" / "clean" / "blurry.jpg").exists()


def test_the_ledger_does_not_depend_on_jobs_batches_and_shards(corpus: Path, checked: tamis.Result, tmp_path: Path) -> None:
    other = tamis.check(corpus, tmp_path / "out", settings=ALONE | {"shards.files": 5}, jobs=2, batch_size=3)
    assert other.notes.collect().rows() == checked.notes.collect().rows()


def test_most_sizes_equal_does_not_make_the_others_odd_and_only_what_is_wanted_is_told(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for seed in range(10):
        picture(seed, (480, 360) if seed < 8 else (400, 300)).save(root / f"{seed}.jpg")
    picture(11).convert("L").save(root / "grey.png")
    wanted = {"quality.issues": ["dark", "odd_size"]}  # not grayscale
    assert issues(tamis.check(root, tmp_path / "out", settings=ALONE | wanted, jobs=1)) == {}


@pytest.mark.parametrize(("key", "value"), [("reject", ["dim"]), ("blur", 5), ("constant", 0)])
def test_wrong_values_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"quality.{key}"):
        tamis.check(tmp_path, tmp_path / "out", settings={f"quality.{key}": value})


def test_a_later_run_takes_the_sizes_of_the_earlier_one_into_account(corpus: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    picture(60, (48, 36)).save(few / "small.png")
    assert "small.png" not in issues(tamis.check(few, tmp_path / "alone", settings=ALONE, jobs=1))
    tamis.clean(corpus, tmp_path / "first", settings=ALONE, jobs=1)
    told = issues(tamis.check(few, tmp_path / "second", settings=ALONE, against=[tmp_path / "first"], jobs=1))
    assert "odd_size" in told["small.png"]


def test_every_fault_planted_in_a_sample_is_told(sample: Path, tmp_path: Path) -> None:
    result = tamis.check(sample / "corpus" / "photos", tmp_path / "out", jobs=1)
    told = result.notes.filter(pl.col("check").is_in(["quality", "labels"])).select("record", "reason").collect()
    found: dict[str, set[str]] = {}
    for record, reason in told.iter_rows():
        found.setdefault(f"photos/{record}", set()).add(reason)
    truth = dict(pl.read_parquet(sample / "truth.parquet").filter(pl.col("kind") == "image").select("record", "fault").iter_rows())
    planted = {record: fault for record, fault in truth.items() if fault in {*ISSUES, "label_conflict", "similar_label_names"}}
    assert len(set(planted.values())) == len(ISSUES) - 1 + 2  # all but low_information
    assert all(fault in found[record] for record, fault in planted.items())
    assert {truth[record] for record in found.keys() - planted.keys()} <= {"near_grayscale"}
