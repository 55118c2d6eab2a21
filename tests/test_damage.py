"""The generator of damage: the same seed gives the same bytes, and nearly every kind breaks what it is given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from damage import HELD_OUT, KINDS, WHOLE, Photo, damaged, effect, photo, pixels
from images import encoded
from tamis.media import inspect


def a_photo(seed: int) -> Photo:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:240, 0:320]
    levels = 120 + 60 * np.sin((x * (1 + seed) + y) / 37)[..., None] + rng.normal(0, 12, (240, 320, 3))
    return photo(encoded(Image.fromarray(levels.clip(0, 255).astype(np.uint8)), "JPEG", quality=92))


@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT])
def test_damage_is_seeded_and_what_can_be_seen_is_mostly_held_back(kind: str) -> None:
    one, other = a_photo(0), a_photo(1)
    copies = [damaged(kind, one, other, 1, number) for number in range(6)]
    assert copies == [damaged(kind, one, other, 1, number) for number in range(6)]
    original = pixels(one.data)
    assert original is not None
    seen = [data for data in copies if kind != WHOLE and effect(original, data) in ("visible", "undecodable")]
    grades = [inspect(data, name="a.jpg", want_picture=False).grade for data in seen]
    held = sum(grade not in ("ok", "benign", "misnamed") for grade in grades)
    assert held >= len(seen) - 2
    if not kind.startswith("1 bit"):
        assert len(set(copies)) == 1 or any(data != one.data for data in copies)


def test_a_file_without_a_scan_is_no_photo() -> None:
    with pytest.raises(ValueError, match="without a scan"):
        photo(b"\xff\xd8\xff\xd9")
