"""Near-duplicate pictures through whole runs: turned and mirrored copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import tamis

if TYPE_CHECKING:
    from pathlib import Path

T = Image.Transpose


def rough(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    return Image.fromarray(values).resize((320, 240), Image.Resampling.BICUBIC)


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
