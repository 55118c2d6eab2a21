"""JPEG files hashed and measured where they are walked get the verdicts, hashes and figures of those whose pictures are handed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_media import pixels
from PIL import Image

import tamis
from images import encoded
from jpegs import codes, made
from tamis.checks.near_duplicates.pictures import hash_pictures
from tamis.checks.quality import measured
from tamis.media import Inspection, inspect, see_jpegs
from tamis.media.photos import describe_jpegs
from tamis_kernels import jpeg


def photo(height: int = 256, width: int = 299, mode: str = "RGB", orientation: int = 1, seed: int = 0, **options: Any) -> bytes:
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    return encoded(Image.fromarray(pixels(height, width, seed)).convert(mode), "JPEG", exif=exif, **options)


def second_is_finest() -> bytes:
    """Return a flat picture of 256 x 256, whole, whose second component is sampled the most finely."""
    flat = codes(("0", 0))
    changed = bytearray(made("00" * 6, 3 * 256, flat, flat, parts=3))
    at = changed.index(b"\xff\xc0") + 5
    changed[at : at + 4], changed[at + 9] = b"\1\0\1\0", 0x22
    assert jpeg.walk(bytes(changed)).fault == "none"
    return bytes(changed)


WHOLE, GREY = photo(), photo(mode="L", seed=1)
ADOBE = WHOLE[:2] + b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\0" + WHOLE[2:]  # red, green and blue
STAY = {
    "colour": WHOLE,
    "grey": GREY,
    "restart": photo(264, 256, restart_marker_blocks=3, seed=2),
    "trailing": WHOLE + b"more",
    "junk": WHOLE[:20] + b"junk" + WHOLE[20:],
    "broken EXIF": WHOLE[:2] + b"\xff\xe1\x00\x10Exif\0\0garbage!" + WHOLE[2:],
}
HANDED_OVER = {
    "small": photo(40, 299),
    "a short side of 255": photo(255, 300),
    "turned": photo(264, 272, orientation=6),
    "turned, cells cut off": photo(orientation=8),
    "red, green and blue": ADOBE,
    "four components": photo(mode="CMYK"),
    "progressive": photo(progressive=True),
    "finest second": second_is_finest(),
    "cut off": WHOLE[: len(WHOLE) // 2],
    "no frame": b"\xff\xd8\xff\xd9",
    "png": b"\x89PNG\r\n\x1a\n",
    "nothing": b"",
}
KINDS = STAY | HANDED_OVER


def seen_and_plain() -> tuple[list[Inspection], list[Inspection]]:
    files = list(KINDS.values())
    found = zip(files, describe_jpegs(files, "cpu"), strict=True)
    seen = [inspect(data, name="a.jpg", walk=walk, told=told) for data, (walk, told) in found]
    return seen, [inspect(data, name="a.jpg") for data in files]


def test_verdicts_are_the_same_and_only_large_upright_pictures_stay() -> None:
    seen, plain = seen_and_plain()
    assert {name for name, one in zip(KINDS, seen, strict=True) if one.told is not None} == set(STAY)
    for one, other in zip(seen, plain, strict=True):
        assert one.has_picture == other.has_picture
        assert (one.gray is None) == (one.told is not None or other.gray is None)
        assert one._replace(gray=None, chroma=None, told=None) == other._replace(gray=None, chroma=None)
        if one.told is None:
            np.testing.assert_array_equal(one.gray, other.gray)
            np.testing.assert_array_equal(one.chroma, other.chroma)
    assert {one.grade for one in seen} == {"ok", "benign", "damaged", "not_media"}


def test_hashes_and_figures_are_the_same() -> None:
    seen, plain = seen_and_plain()
    for mine, theirs in zip(hash_pictures(seen, "pdq", "cpu"), hash_pictures(plain, "pdq", "cpu"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    shown = [place for place, one in enumerate(plain) if one.has_picture]
    mine, theirs = (measured([some[place] for place in shown], "cpu") for some in (seen, plain))
    assert list(mine) == list(theirs)
    for name, values in mine.items():
        np.testing.assert_array_equal(values, theirs[name])
    told = [one for one in seen if one.told is not None]
    np.testing.assert_array_equal(measured(told, "cpu")["blur"], measured(plain[: len(told)], "cpu")["blur"])


@pytest.mark.parametrize("pixels_wanted", [False, True])
def test_on_the_cpu_pictures_are_handed_over(pixels_wanted: bool) -> None:
    (walk, told), nothing = see_jpegs([WHOLE, b""], "cpu", pixels=pixels_wanted)
    assert walk is not None
    assert walk.luma is not None
    assert (told, nothing) == (None, (None, None))


def test_who_wants_pixels_is_asked() -> None:
    from tamis.recipe import Recipe

    for hash_name in ("pdq", "phash64"):
        checks = Recipe.load(settings={"near_duplicates.hash": hash_name}).checks(backend="cpu")
        assert any(check.pixels for check in checks) == (hash_name == "phash64")
    assert tamis.image_hashes([WHOLE], backend="cpu")["reason"].to_list() == [None]
