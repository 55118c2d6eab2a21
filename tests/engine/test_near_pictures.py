"""Near-duplicate pictures through whole runs: turned and mirrored copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagehash
import numpy as np
import polars as pl
import pytest
from PIL import Image

import tamis
from images import rough
from tamis.checks.near_duplicates.pictures import PictureRule, _verified
from tamis.errors import RecipeError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

T = Image.Transpose


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three pictures, one of them in all eight forms, and a small copy of another."""
    root = tmp_path / "in"
    root.mkdir()
    for name in range(3):
        rough(name).save(root / f"p{name}.png")
    for turn in T:
        rough(0).transpose(turn).resize((200, 200)).save(root / f"turned_{turn.name.lower()}.png")
    rough(1).resize((200, 150)).save(root / "small.png")
    return root


def gone(root: Path, out: Path, **settings: object) -> dict[str, tuple[str, str]]:
    chosen = {f"near_duplicates.{key}": value for key, value in settings.items()}
    result = tamis.clean(root, out, settings=chosen, jobs=1)
    return {record: (kept, detail) for record, kept, detail in result.rejected.select("record", "kept", "detail").collect().iter_rows()}


def test_turned_and_mirrored_copies_are_found_and_told(corpus: Path, tmp_path: Path) -> None:
    found = gone(corpus, tmp_path / "out")
    turned = {name: said for name, said in found.items() if name.startswith("turned")}
    assert len(turned) == len(T)
    assert set(turned.values()) == {("p0.png", "resembles the record that is kept, turned or mirrored")}
    assert found["small.png"] == ("p1.png", "resembles the record that is kept")
    assert len(found) == len(T) + 1


def test_as_is_keeps_what_differs_by_a_turn_from_all_that_stays(corpus: Path, tmp_path: Path) -> None:
    assert set(gone(corpus, tmp_path / "out", orientations="as_is")) == {"small.png"}


def of_signs(signs: NDArray[np.float64], strength: NDArray[np.float64]) -> Image.Image:
    """Make a picture of given signs and strengths of the frequencies that the hash looks at."""
    frequency, place = np.arange(1, 17)[:, None], np.arange(512)[None, :]
    waves = np.cos(np.pi / 1024 * frequency * (2 * place + 1))
    values = waves.T @ (signs * strength) @ waves
    return Image.fromarray(np.rint(128 + 100 * values / np.abs(values).max()).astype(np.uint8))


def test_pictures_of_near_hashes_that_look_different_are_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    rng = np.random.default_rng(3)
    signs = rng.choice(np.array([-1.0, 1.0]), (16, 16))
    low = np.add.outer(np.arange(16), np.arange(16))
    of_signs(signs, 1.0 / (1 + low)).save(root / "coarse.png")
    of_signs(signs, np.where(low > 14, 1.2, 0.2)).save(root / "fine.png")
    assert len(gone(root, tmp_path / "hashes", verify_pictures=0.0)) == 1
    assert not gone(root, tmp_path / "verified")


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tiff"])
def test_an_animation_or_several_pages_are_no_copy_of_what_shows_their_first_picture(tmp_path: Path, extension: str) -> None:
    frames = [rough(seed).convert("L") for seed in range(3)]
    frames[0].save(tmp_path / f"several.{extension}", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / f"others.{extension}", save_all=True, append_images=frames[:0:-1])
    frames[0].save(tmp_path / "still.bmp")
    frames[0].resize((200, 150)).save(tmp_path / f"one.{extension}")
    assert gone(tmp_path, tmp_path / "out") == {f"one.{extension}": ("still.bmp", "resembles the record that is kept")}


def test_bands_and_gradients_are_no_copies_of_one_another(tmp_path: Path) -> None:
    box, ramp = np.full((50, 50), 255, np.uint8), np.empty((32, 32), np.uint8)
    box[:7], box[43:] = 0, 0
    ramp[:] = np.interp(np.arange(32), [0, 8, 16, 24, 31], [60, 226, 150, 180, 40])[:, None]
    for name, picture in (("box", box), ("ramp", ramp)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    assert gone(tmp_path, tmp_path / "out") == {}
    assert tamis.check(tmp_path, tmp_path / "again", jobs=1).manifest["checks"]["near_duplicates"]["pictures_too_plain"] == 2


def test_the_ledger_tells_the_likeness_that_was_verified(corpus: Path, tmp_path: Path) -> None:
    result = tamis.clean(corpus, tmp_path / "out", jobs=1)
    similarity = result.rejected.collect()["similarity"]
    assert len(similarity) == len(T) + 1
    assert similarity.is_between(0.9, 1.0000001).all()
    evidence = pl.read_parquet(tmp_path / "out" / ".tamis" / "evidence" / "shard-000000.parquet")
    assert evidence.schema["near_duplicates.small"] == pl.Array(pl.UInt8, 256)


def test_the_64_bit_hash_finds_turned_copies_too(corpus: Path, tmp_path: Path) -> None:
    found = gone(corpus, tmp_path / "turned", hash="phash64")
    assert len(found) == len(T) + 1
    assert {found[name][0] for name in found if name.startswith("turned")} == {"p0.png"}
    assert set(gone(corpus, tmp_path / "out", hash="phash64", orientations="as_is")) == {"small.png"}
    picture = pl.read_parquet(tmp_path / "out" / ".tamis" / "evidence" / "shard-000000.parquet").row(0, named=True)
    expected = imagehash.phash(Image.open(corpus / "p0.png")).hash.ravel()
    word = int(picture["near_duplicates.phash64_0"])
    assert sum((word >> bit & 1) != one for bit, one in enumerate(expected.tolist())) <= 4
    with pytest.raises(RecipeError, match="at most 16 bits with hash = phash64, got 31"):
        gone(corpus, tmp_path / "far", hash="phash64", distance=31)


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """Twelve pictures of nearly one hash that do not look alike, each with a copy saved anew, and two others that are alike."""
    root = tmp_path / "crowd"
    root.mkdir()
    signs = np.random.default_rng(3).choice(np.array([-1.0, 1.0]), (16, 16))
    for number in range(12):
        strength = np.random.default_rng(number).choice(np.array([0.2, 1.2]), (16, 16))
        of_signs(signs, strength).save(root / f"{number:02d}.png")
        of_signs(signs, strength).save(root / f"{number:02d}_again.bmp")
    for name in ("x", "y"):
        rough(1).resize((200, 150)).save(root / f"{name}.{'png' if name == 'x' else 'bmp'}")
    return root


def test_a_crowd_above_the_cap_is_cut_and_counted(crowd: Path, tmp_path: Path) -> None:
    def counters(out: Path) -> dict[str, int]:
        counted: dict[str, int] = tamis.Result(out).manifest["checks"]["near_duplicates"]
        return counted

    whole = gone(crowd, tmp_path / "whole", orientations="as_is")
    assert len(whole) > 8  # some are too plain
    assert counters(tmp_path / "whole")["picture_crowds_cut"] == 0
    cut = gone(crowd, tmp_path / "cut", orientations="as_is", bucket_cap=4)
    counted = counters(tmp_path / "cut")
    assert counted["picture_crowds_cut"] == 1
    assert set(cut) <= set(whole)
    assert len(cut) > 8  # copies share bits of their hashes, and meet all the same
    assert counted["pictures_unsettled"] >= len(whole) - len(cut)
    assert {"x.png", "y.bmp"} & set(cut)  # what lies outside the crowd is compared pair by pair


def test_a_crowd_of_unlike_pictures_costs_rounds_not_its_square() -> None:
    n = 3_000
    hashes = np.repeat(np.random.default_rng(1).integers(0, 2**64, (1, 4), dtype=np.uint64), n, axis=0)
    compared = 0

    def unlike(left: NDArray[np.int64], _right: NDArray[np.int64]) -> NDArray[np.float64]:
        nonlocal compared
        compared += len(left)
        return np.zeros(len(left))

    rule = PictureRule("pdq", 31, 50, (), dihedral=False, likeness=0.9, cap=100)
    roots, counters = _verified(hashes, np.zeros(n, np.int64), unlike, rule, "cpu")
    assert roots.tolist() == list(range(n))
    assert compared <= 17 * n
    assert counters["picture_crowds_cut"] == 1
    assert counters["pictures_unsettled"] >= n - 1
