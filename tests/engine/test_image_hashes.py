"""`tamis.image_hashes`: hashes of paths and bytes, and reasons where there is none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import imagehash
import numpy as np
import polars as pl
import pytest
from PIL import Image

import tamis
from images import encoded
from tamis.media import Limits, inspect
from tamis_kernels import ArgumentError, perceptual

if TYPE_CHECKING:
    from pathlib import Path


def png(seed: int, size: tuple[int, int] = (320, 240)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    return encoded(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC), "PNG")


def words(frame: pl.DataFrame) -> np.ndarray:
    return np.stack([np.frombuffer(one, "<u8") for one in frame["hash"]])


def test_paths_and_bytes_have_the_hash_of_the_check(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(1))
    frame = tamis.image_hashes([str(path), path, png(1), png(2)])
    assert frame["key"].to_list() == [str(path), str(path), "#2", "#3"]
    gray = inspect(png(1), name="a.png").gray
    assert gray is not None
    expected, quality = perceptual.pdq(gray)
    assert words(frame)[:3].tolist() == [expected.tolist()] * 3
    assert frame["quality"].to_list()[0] == quality
    assert frame["reason"].null_count() == 4
    assert frame.schema == {"key": pl.String, "hash": pl.Binary, "quality": pl.UInt8, "reason": pl.String}


def test_the_64_bit_hash_is_near_to_imagehash() -> None:
    frame = tamis.image_hashes([png(seed) for seed in range(5)], "phash64")
    for seed, word in enumerate(words(frame)[:, 0].tolist()):
        expected = imagehash.phash(Image.open(io.BytesIO(png(seed)))).hash.ravel()
        assert sum((word >> bit & 1) != one for bit, one in enumerate(expected.tolist())) <= 4
    assert {len(one) for one in frame["hash"]} == {8}


@pytest.mark.parametrize("hash_name", ["pdq", "phash64"])
def test_forms_are_those_of_the_turned_pictures(hash_name: str) -> None:
    frame = tamis.image_hashes(png(3, (256, 256)), hash_name, forms=True)  # type: ignore[arg-type]
    assert frame.columns == ["key", "hash", "quality", "forms", "reason"]
    upright, *others = frame["forms"].to_list()[0]
    assert upright == frame["hash"][0]
    assert len(set(others)) == 7


def test_what_shows_no_picture_has_a_reason_and_no_hash(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(png(1)[:-2000])
    (tmp_path / "text.jpg").write_text("no picture")
    given: list[str | Path | bytes] = [
        tmp_path / "cut.png",
        tmp_path / "text.jpg",
        tmp_path / "missing.jpg",
        tmp_path,
        "nul\0.png",
        b"",
        png(1),
    ]
    frame = tamis.image_hashes(given, forms=True)
    assert frame["hash"].is_null().to_list() == [True] * 6 + [False]
    assert frame["quality"].is_null().to_list() == frame["forms"].is_null().to_list() == [True] * 6 + [False]
    assert [reason.split(":")[0] for reason in frame["reason"][:6]] == [
        "damaged",
        "not_media",
        "undecodable",
        "undecodable",
        "undecodable",
        "not_media",
    ]
    assert "No such file" in frame["reason"][2]
    assert "above the limit of 100" in tamis.image_hashes(png(1), limits=Limits(max_pixels=100))["reason"][0]


def test_nothing_gives_an_empty_frame_and_many_come_in_order() -> None:
    assert tamis.image_hashes([]).shape == (0, 4)
    small = [png(seed, (40, 30)) for seed in range(3)]
    frame = tamis.image_hashes(small[number % 3] for number in range(70))
    assert frame["key"].to_list() == [f"#{number}" for number in range(70)]
    assert frame["hash"].to_list() == [frame["hash"][number % 3] for number in range(70)]


def test_an_unknown_hash_is_refused() -> None:
    with pytest.raises(ArgumentError, match="hash must be one of pdq, phash64, got 'md5'"):
        tamis.image_hashes([], "md5")  # type: ignore[arg-type]
