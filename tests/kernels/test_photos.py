"""Photos in one pass equal the walk, the hash and the figures one after the other, on all backends."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from backends import BACKENDS, COMPILED, CUDA
from images import encoded
from jpegs import codes, made
from tamis_kernels import jpeg, perceptual, photos, quality
from tamis_kernels.errors import ArgumentError
from tamis_kernels.jpeg import group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@cache
def photo(width: int, height: int, mode: str = "RGB", subsampling: int = 2, restart: int = 0) -> bytes:
    rng = np.random.default_rng([width, height])
    y, x = np.mgrid[0:height, 0:width]
    levels = 128 + 60 * np.sin(x / 7)[..., None] + y[..., None] + rng.normal(0, 20, (height, width, 4))
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8), "CMYK").convert(mode)
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    return encoded(image, "JPEG", restart_marker_blocks=restart, **options)


def corpus() -> list[bytes]:
    """Return whole files of several kinds and sizes among broken ones and what is no JPEG."""
    whole = [photo(40, 33), photo(17, 60, "L"), photo(50, 41, "CMYK"), photo(41, 50, subsampling=0, restart=2), photo(3, 9), photo(40, 33)]
    coarse = [second_is_finest(*kind) for kind in ((0x22, 3), (0x21, 2), (0x12, 4))]
    return [whole[0], b"", *whole[1:4], whole[0][:-300], b"no picture", *coarse, *whole[4:]]


def second_is_finest(factors: int, blocks: int) -> bytes:
    """Return a flat picture of 16 x 8 whose second component is sampled by these factors, the others once; blocks are for 8 columns."""
    flat = codes(("0", 0))
    changed = bytearray(made("00" * blocks, 6, flat, flat, parts=3))
    changed[changed.index(b"\xff\xc0") + 14] = factors
    return bytes(changed)


@pytest.mark.emulated
@pytest.mark.parametrize("backend", BACKENDS)
def test_photos_are_told_what_the_steps_tell(backend: Any) -> None:
    files = corpus()
    found = photos.describe(files, backend=backend)
    walks = jpeg.walk_many(files, backend="reference")
    for mine, theirs in zip(found.walks, walks, strict=True):
        assert mine[:-2] == theirs[:-2]
        assert mine.planes == ()
    seen = [place for place, walk in enumerate(walks) if walk.fault == "none" and walk.luma is not None]
    assert np.flatnonzero(found.seen).tolist() == seen
    assert [walk.fault == "none" and bool(walk.planes) and walk.luma is None for walk in walks].count(True) == 3
    lumas = [walks[place].luma for place in seen]
    pixels, shapes = perceptual.pack([luma for luma in lumas if luma is not None])
    extents = np.array([(walks[place].height, walks[place].width) for place in seen])
    expected = perceptual.describe(pixels, shapes, extents=extents, backend="reference")
    told: Any
    for told, wanted in zip((found.hashes, found.qualities, found.small), expected, strict=True):
        np.testing.assert_array_equal(told[found.seen], wanted)
        assert not told[~found.seen].any()
    colours = [np.zeros(0, np.uint8) if one is None else one for one in (walks[place].chroma for place in seen)]
    figures = quality.measure(pixels, shapes, np.concatenate(colours), np.array([one.size for one in colours]), backend="reference")
    for name, values in figures.items():
        np.testing.assert_array_equal(found.figures[name][found.seen], values)
        assert not found.figures[name][~found.seen].any()


@pytest.mark.emulated
@pytest.mark.parametrize("backend", BACKENDS)
def test_files_kept_apart_are_walked_alone(backend: Any) -> None:
    files = [photo(17, 60, "L"), photo(41, 50, subsampling=0, restart=2), b"", photo(17, 60, "L"), photo(40, 33)[:-300], photo(3, 9)]
    apart = np.array([True, False, True, False, True, True])

    def keep(first: int, walks: Sequence[jpeg.Walk]) -> NDArray[np.bool_]:
        assert [walk.width for walk in walks] == [0 if data == b"" else jpeg.walk(data).width for data in files[first : first + len(walks)]]
        assert [walk.values.size for walk in walks] == [0] * len(walks)
        return apart[first : first + len(walks)]

    found, alone = photos.describe(files, apart=keep, backend=backend), photos.describe(files, backend="cpu")
    walks = jpeg.walk_many(files, backend="cpu")
    assert found.seen.tolist() == [False, True, False, True, False, False]
    for kept, mine, theirs in zip(apart, found.walks, walks, strict=True):
        assert mine[:-2] == theirs[:-2]
        assert mine.sides == (theirs.sides if kept else ())
        np.testing.assert_array_equal(mine.values, theirs.values if kept else [])
    told = [(one.hashes, one.qualities, one.small, *one.figures.values()) for one in (found, alone)]
    for mine, theirs in zip(*told, strict=True):
        np.testing.assert_array_equal(mine, np.where(found.seen.reshape(-1, *[1] * (mine.ndim - 1)), theirs, 0))


@pytest.mark.parametrize("backend", [CUDA])
def test_groups_beyond_the_memory_are_halved_and_tell_the_same(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    from tamis_kernels.jpeg.cuda import walk_batch
    from tamis_kernels.photos import cuda

    files, sizes = corpus(), []

    def narrow(files: Sequence[bytes], facts: NDArray[np.int64]) -> Any:
        sizes.append(len(files))
        if len(files) > 1:
            message = "out of memory"
            raise MemoryError(message)
        return walk_batch(files, facts)

    def wide(_first: int, walks: Sequence[jpeg.Walk]) -> NDArray[np.bool_]:
        return np.array([walk.width > 40 for walk in walks])

    expected = photos.describe(files, apart=wide, backend="cpu")
    monkeypatch.setattr(cuda, "walk_batch", narrow)
    found = photos.describe(files, apart=wide, backend=backend)
    assert sizes.count(1) == len(files) < len(sizes)
    for mine, theirs in zip(found.walks, expected.walks, strict=True):
        assert mine[:-1] == theirs[:-1]
        np.testing.assert_array_equal(mine.values, theirs.values)
    np.testing.assert_array_equal(found.seen, expected.seen)
    np.testing.assert_array_equal(found.hashes, expected.hashes)
    np.testing.assert_array_equal(found.figures["total"], expected.figures["total"])


@pytest.mark.parametrize("apart", [np.zeros(2, np.bool_), np.zeros(1, np.int64)], ids=["too many", "no truths"])
def test_files_kept_apart_are_told_by_one_truth_each(apart: Any) -> None:
    with pytest.raises(ArgumentError, match=r"what apart returns must be bool of shape \(1,\)"):
        photos.describe([b""], apart=lambda _first, _walks: apart, backend="cpu")


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("files", [[], [b""], [b"\xff\xd8\xff\xd9"]], ids=["none", "empty", "bare"])
def test_nothing_to_see(files: list[bytes], backend: Any) -> None:
    found = photos.describe(files, backend=backend)
    assert len(found.walks) == len(found.hashes) == len(found.figures["cells"]) == len(files)
    assert not found.seen.any()


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
def test_groups_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    files = corpus()
    expected = photos.describe(files, backend="reference")
    monkeypatch.setattr(group, "GROUP_BYTES", 2000)
    found = photos.describe(files, backend=backend)
    assert [walk[:-1] for walk in found.walks] == [walk[:-1] for walk in expected.walks]
    np.testing.assert_array_equal(found.hashes, expected.hashes)
    np.testing.assert_array_equal(found.figures["total"], expected.figures["total"])
