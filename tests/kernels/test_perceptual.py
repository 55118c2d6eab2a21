"""PDQ against its C++ original, and the backends against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backends import BACKENDS, COMPILED, assert_like_reference, at_most
from tamis_kernels import perceptual
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BackendName = Literal["reference", "cpu", "cuda"]

both = pytest.mark.parametrize("backend", BACKENDS)


def scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw waves, edges and a little noise: a picture with features at every scale."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    picture = np.zeros((height, width))
    for _ in range(12):
        fy, fx, phase = rng.uniform(-20, 20), rng.uniform(-20, 20), rng.uniform(0, 6.3)
        picture += np.sin(fy * y + fx * x + phase) * rng.uniform(5, 30)
        picture += np.where((x - rng.random()) ** 2 + (y - rng.random()) ** 2 < 0.05, rng.uniform(-60, 60), 0)
    picture += rng.normal(0, 3, picture.shape)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def bits(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.unpackbits(words.view(np.uint8), bitorder="little")


def original(luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    import pdqhash

    vector, quality = pdqhash.compute(np.ascontiguousarray(np.repeat(luma[:, :, None], 3, axis=2)))
    return np.asarray(vector[::-1], np.uint8), int(quality)


@both
@pytest.mark.parametrize("shape", [(64, 64), (100, 128), (375, 500), (500, 129), (257, 1030)])
def test_pictures_hash_as_the_original_does(shape: tuple[int, int], backend: BackendName) -> None:
    for seed in range(at_most(4, 1)):
        luma = scene(*shape, seed=seed)
        found, quality = perceptual.pdq(luma, backend=backend)
        expected, expected_quality = original(luma)
        assert np.count_nonzero(bits(found) != expected) <= 2  # the original rounds in float32
        assert abs(quality - expected_quality) <= 1


@both
def test_a_picture_below_64_pixels_is_repeated_as_the_original_does(backend: BackendName) -> None:
    luma = scene(31, 47)
    found, _ = perceptual.pdq(luma, backend=backend)
    assert np.count_nonzero(bits(found) != original(luma)[0]) <= 2


@both
@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (1, 1), (4, 400), (400, 4)])
def test_a_picture_without_five_rows_and_columns_has_no_hash(shape: tuple[int, int], backend: BackendName) -> None:
    found, quality = perceptual.pdq(np.full(shape, 200, np.uint8), backend=backend)
    assert found.tolist() == [0, 0, 0, 0]
    assert quality == 0


@both
@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize("shape", [(5, 5), (64, 64), (300, 777)])
def test_a_flat_picture_has_no_quality(level: int, shape: tuple[int, int], backend: BackendName) -> None:
    _, quality = perceptual.pdq(np.full([at_most(side, 90) for side in shape], level, np.uint8), backend=backend)
    assert quality == 0


@both
def test_half_of_the_bits_are_set(backend: BackendName) -> None:
    found, quality = perceptual.pdq(scene(200, 300), backend=backend)
    assert bits(found).sum() == 128
    assert quality >= perceptual.QUALITY_WORTH_HASHING


@both
def test_whole_float_levels_hash_like_bytes(backend: BackendName) -> None:
    luma = scene(130, 90)
    as_bytes = perceptual.pdq(luma, backend=backend)
    as_floats = perceptual.pdq(luma.astype(np.float32), backend=backend)
    assert as_bytes[0].tolist() == as_floats[0].tolist()
    assert as_bytes[1] == as_floats[1]


@both
def test_a_view_hashes_like_its_copy(backend: BackendName) -> None:
    luma = scene(200, 200)[::2, 10:]
    assert perceptual.pdq(luma, backend=backend)[0].tolist() == perceptual.pdq(luma.copy(), backend=backend)[0].tolist()


@pytest.mark.emulated
@both
def test_a_batch_equals_its_pictures_one_by_one(backend: BackendName) -> None:
    pictures = [scene(*shape, seed=7) for shape in [(64, 64), (5, 300), (3, 3), (129, 70), (128, 128)]]
    hashes, qualities = perceptual.pdq_batch(*perceptual.pack(pictures), backend=backend)
    for number, picture in enumerate(pictures):
        alone, quality = perceptual.pdq(picture, backend=backend)
        assert hashes[number].tolist() == alone.tolist()
        assert qualities[number] == quality


@both
def test_small_pictures_are_means_of_blocks(backend: BackendName) -> None:
    luma = np.repeat(np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16), 40, axis=0), 40, axis=1)
    pixels, shapes = perceptual.pack([luma, luma[:4]])
    _, _, small = perceptual.describe(pixels, shapes, backend=backend)
    apart = np.abs(small[0].reshape(16, 16)[1:-1, 1:-1].astype(int) - luma[20::40, 20::40][1:-1, 1:-1])
    assert apart.max() <= 2  # the filter reaches over the edges of the squares
    assert not small[1].any()


@pytest.mark.parametrize("backend", COMPILED)
@given(seed=st.integers(0, 2**32), levels=st.sampled_from([1, 2, 256]))
def test_likeness_is_equal_on_all_backends(seed: int, levels: int, backend: BackendName) -> None:
    left, right = np.random.default_rng(seed).integers(0, levels, (2, 5, 256), dtype=np.int64).astype(np.uint8)
    own, defined = (perceptual.likeness(left, right, backend=name) for name in (backend, "reference"))
    assert own.tolist() == defined.tolist()
    assert ((own >= 0) & (own <= 1 + 1e-12)).all()


@both
def test_likeness_follows_no_gain_and_survives_a_bar(backend: BackendName) -> None:
    picture = np.random.default_rng(1).integers(50, 150, 256).astype(np.uint8)
    brighter, barred, flat = picture + np.uint8(50), picture.copy(), np.full(256, 7, np.uint8)
    barred[-32:] = 0
    others = np.stack([picture, brighter, barred, flat, 200 - picture])
    found = perceptual.likeness(np.repeat(picture[None], 5, axis=0), others, backend=backend)
    assert found[:3].tolist() == pytest.approx([1, 1, 1])
    assert found[3:].tolist() == [0, 0]


@both
def test_what_is_flat_correlates_with_nothing_and_nothing_is_divided_by_zero(backend: BackendName) -> None:
    picture = np.random.default_rng(1).integers(50, 150, 256).astype(np.uint8)
    flat = np.full(256, 7, np.uint8)
    flat_above = np.where(np.arange(256) < 128, 7, 200 - picture).astype(np.uint8)
    pairs = np.stack([[flat, flat], [picture, flat], [flat, picture], [picture, flat_above], [flat_above, flat_above]])
    with np.errstate(divide="raise", invalid="raise"):
        found = perceptual.likeness(pairs[:, 0], pairs[:, 1], backend=backend)
    assert found[:3].tolist() == [0, 0, 0]
    assert 0 <= found[3] < 0.5
    assert found[4] == pytest.approx(1)


def test_only_small_pictures_are_likened() -> None:
    with pytest.raises(ArgumentError, match=r"uint8 of shape \(n_pairs, 256\), got uint8 of shape \(2, 255\)"):
        perceptual.likeness(np.zeros((2, 255), np.uint8), np.zeros((2, 255), np.uint8))


@both
def test_64_bits_are_those_of_imagehash(backend: BackendName) -> None:
    import imagehash

    pictures = np.stack([scene(32, 32, seed=seed) for seed in range(at_most(30, 5))])
    found = perceptual.phash64(pictures, backend=backend)
    for word, picture in zip(found, pictures, strict=True):
        expected = imagehash.phash(Image.fromarray(picture)).hash.ravel()
        assert np.array_equal(bits(np.array([word])), expected.astype(np.uint8))


@pytest.mark.parametrize("backend", COMPILED)
def test_64_bits_agree_on_all_backends(backend: BackendName) -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (at_most(20, 5), 32, 32)).astype(np.uint8)
    pictures[0] = 9
    own, defined = (perceptual.phash64(pictures, backend=name) for name in (backend, "reference"))
    assert own.tolist() == defined.tolist()
    assert perceptual.phash64(pictures[:0], backend=backend).tolist() == []


def test_only_squares_of_32_are_hashed_to_64_bits() -> None:
    pictures = np.zeros((2, 32, 32), np.uint8)
    with pytest.raises(ArgumentError, match=r"uint8 of shape \(n, 32, 32\)"):
        perceptual.phash64(pictures[:, :16])


@both
def test_64_bits_of_turned_pictures_are_derived(backend: BackendName) -> None:
    picture = scene(32, 32, seed=5)
    turned = [np.rot90(picture, k) for k in range(4)] + [picture[::-1], picture[:, ::-1], picture.T, picture[::-1, ::-1].T]
    exact = perceptual.phash64(np.stack(turned), backend=backend)
    derived = perceptual.turned(exact[:1, None], backend=backend)
    assert derived.shape == (1, 8, 1)
    assert derived[0, [0, 6], 0].tolist() == exact[[0, 6]].tolist()  # no sign turned: nothing is lost
    assert np.bitwise_count(derived[0, :, 0] ^ exact).max() <= 8
    assert np.bitwise_count(derived[0, [1, 2, 3, 4, 5, 7], 0] ^ exact[0]).min() > 16


@pytest.mark.parametrize("backend", COMPILED)
def test_64_bits_are_turned_alike_on_all_backends(backend: BackendName) -> None:
    hashes = np.random.default_rng(8).integers(0, 2**64, (50, 1), dtype=np.uint64)
    own, defined = (perceptual.turned(hashes, backend=name) for name in (backend, "reference"))
    assert np.array_equal(own, defined)
    for form, back in ((1, 3), (2, 2), (3, 1), (4, 4), (5, 5), (6, 6), (7, 7)):
        again = perceptual.turned(np.ascontiguousarray(own[:, form]), backend="cpu")[:, back]
        assert np.array_equal(again, hashes)


@both
def test_an_empty_batch_gives_nothing(backend: BackendName) -> None:
    hashes, qualities = perceptual.pdq_batch(*perceptual.pack([]), backend=backend)
    assert hashes.shape == (0, 4)
    assert qualities.shape == (0,)


@pytest.mark.emulated
@both
def test_eight_hashes_equal_those_of_the_original(backend: BackendName) -> None:
    import pdqhash

    luma = scene(300, 420)
    expected = pdqhash.compute_dihedral(np.ascontiguousarray(np.repeat(luma[:, :, None], 3, axis=2)))[0]
    found, quality = perceptual.dihedral(luma, backend=backend)
    for mine, theirs in zip(found, expected, strict=True):
        assert np.count_nonzero(bits(mine) != np.asarray(theirs[::-1])) <= 2
    alone, quality_alone = perceptual.pdq(luma, backend=backend)
    assert found[0].tolist() == alone.tolist()
    assert quality == quality_alone


@pytest.mark.emulated
@both
def test_eight_hashes_are_those_of_the_turned_pictures(backend: BackendName) -> None:
    luma = scene(320, 320)  # blocks of 5 pixels, windows of 3: a size whose filter lies centred
    turned = [np.rot90(luma, k) for k in range(4)] + [luma[::-1], luma[:, ::-1], luma.T, luma[::-1, ::-1].T]
    found, _ = perceptual.dihedral(luma, backend=backend)
    for mine, picture in list(zip(found, turned, strict=True))[: at_most(8, 2)]:
        assert np.count_nonzero(bits(mine) != bits(perceptual.pdq(picture, backend=backend)[0])) <= 2


@both
def test_a_tiny_picture_has_no_eight_hashes(backend: BackendName) -> None:
    found, quality = perceptual.dihedral(np.zeros((4, 9), np.uint8), backend=backend)
    assert not found.any()
    assert quality == 0


@pytest.mark.emulated
@both
def test_forms_derived_from_the_hash_are_near_those_of_the_coefficients(backend: BackendName) -> None:
    exact = [perceptual.dihedral(scene(200, 300, seed=seed), backend=backend)[0] for seed in range(at_most(8, 2))]
    derived = perceptual.turned(np.stack([forms[0] for forms in exact]), backend=backend)
    assert np.bitwise_count(derived ^ np.stack(exact)).sum(axis=2).max() <= 40
    assert (derived[:, [0, 6]] == np.stack(exact)[:, [0, 6]]).all()  # no sign turned: nothing is lost


@pytest.mark.parametrize("backend", COMPILED)
@given(words=st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 4), max_size=6))
def test_derived_forms_keep_distances_and_turn_back(words: list[tuple[int, ...]], backend: BackendName) -> None:
    hashes = np.array(words, np.uint64).reshape(len(words), 4)
    forms = perceptual.turned(hashes, backend=backend)
    assert np.array_equal(forms, perceptual.turned(hashes, backend="reference"))
    for form, back in enumerate((0, 3, 2, 1, 4, 5, 6, 7)):
        again = perceptual.turned(np.ascontiguousarray(forms[:, form]), backend="cpu")[:, back]
        assert np.array_equal(again, hashes)


@both
def test_a_flip_turns_over_words_of_parted_hashes(backend: BackendName) -> None:
    hashes = np.random.default_rng(5).integers(0, 2**64, (20, 4), dtype=np.uint64)
    forms = perceptual.turned(hashes, backend=backend)
    parted = [perceptual.parted(np.ascontiguousarray(forms[:, form]), backend=backend) for form in range(8)]
    all_bits = perceptual.FLIPS * np.uint64(2**64 - 1)
    for form, flip in ((0, 0), (4, 1), (5, 2), (2, 3)):
        assert np.array_equal(parted[form], parted[0] ^ all_bits[flip])
    transposed = perceptual.transposed(parted[0], backend=backend)
    for form, flip in ((6, 0), (1, 1), (3, 2), (7, 3)):
        assert np.array_equal(parted[form], transposed ^ all_bits[flip])


def test_only_hashes_are_turned() -> None:
    with pytest.raises(ArgumentError, match=r"uint64\[n, 4\] or uint64\[n, 1\], got uint64\[3, 2\]"):
        perceptual.turned(np.zeros((3, 2), np.uint64))
    for function in (perceptual.turned, perceptual.parted, perceptual.transposed):
        with pytest.raises(ArgumentError, match=r"uint64\[n, 4\]"):
            function(np.zeros((2, 3), np.uint64))


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
@given(
    height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 2**32), levels=st.sampled_from([1, 2, 256]), data=st.data()
)
def test_backends_agree_on_every_bit(height: int, width: int, seed: int, levels: int, data: st.DataObject, backend: BackendName) -> None:
    height, width = at_most(height, 70), at_most(width, 70)
    luma = (np.random.default_rng(seed).integers(0, levels, (height, width)) * (255 // max(levels - 1, 1))).astype(np.uint8)
    expected, expected_quality = perceptual.dihedral(luma, backend="reference")
    found, quality = perceptual.dihedral(luma, backend=backend)
    assert found.tolist() == expected.tolist()
    assert quality == expected_quality
    kind = data.draw(st.sampled_from([np.uint8, np.float32]))
    alone, quality = perceptual.pdq(luma.astype(kind), backend=backend)
    assert (alone.tolist(), quality) == (expected[0].tolist(), expected_quality)


@pytest.mark.parametrize(
    ("luma", "words"),
    [
        (np.zeros((5, 5, 3), np.uint8), r"shape \(height, width\)"),
        (np.zeros((5, 5), np.int64), "uint8 or float32"),
        (np.full((5, 5), np.nan, np.float32), "NaN"),
        (np.full((5, 5), 255.5, np.float32), r"255\.5"),
        (np.full((5, 5), -np.inf, np.float32), "0 … 255"),
    ],
)
def test_wrong_pictures_are_refused(luma: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        perceptual.pdq(luma)


def test_shapes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ArgumentError, match="describe 20 values, but pixels holds 19"):
        perceptual.pdq_batch(np.zeros(19, np.uint8), np.array([[4, 5]]))
    with pytest.raises(ArgumentError, match=r"int64 of shape \(n, 2\)"):
        perceptual.pdq_batch(np.zeros(20, np.uint8), np.array([20]))
    with pytest.raises(ArgumentError, match="end to end"):
        perceptual.pdq_batch(np.zeros((4, 5), np.uint8), np.array([[4, 5]]))


def cells(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the means of 8 x 8 pixels, those at the border of what is there."""
    height, width = luma.shape
    rows, columns = np.arange(0, height, 8), np.arange(0, width, 8)
    sums = np.add.reduceat(np.add.reduceat(luma.astype(np.int64), rows, axis=0), columns, axis=1)
    means: NDArray[np.uint8] = np.rint(sums / np.outer(np.diff([*rows, height]), np.diff([*columns, width]))).astype(np.uint8)
    return means


@pytest.mark.parametrize("shape", [(256, 256), (375, 500), (1000, 257)])
def test_the_means_of_cells_hash_nearly_as_all_pixels_do(shape: tuple[int, int]) -> None:
    for seed in range(at_most(4, 1)):
        luma = scene(*shape, seed=seed)
        pixels, shapes = perceptual.pack([cells(luma)])
        found, _ = perceptual.pdq_batch(pixels, shapes, extents=np.array([shape]), backend="cpu")
        assert np.count_nonzero(bits(found[0]) != bits(perceptual.pdq(luma, backend="cpu")[0])) <= 20


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
@given(height=st.integers(0, 90), width=st.integers(0, 90), seed=st.integers(0, 3))
def test_cells_hash_alike_on_all_backends(height: int, width: int, seed: int, backend: BackendName) -> None:
    luma = scene(height, width, seed) if min(height, width) else np.zeros((height, width), np.uint8)
    pixels, shapes = perceptual.pack([cells(luma), luma, luma] if luma.size else [luma] * 3)
    extents = np.array([[height, width]] * 3)
    assert_like_reference(backend, perceptual.describe, pixels, shapes, extents=extents)


def test_extents_that_do_not_fit_are_refused() -> None:
    pixels, shapes = perceptual.pack([scene(10, 10)])
    for extents in ([[10, 11]], [[81, 80]], [[72, 80]], [[10, 80]]):
        with pytest.raises(ArgumentError, match="eight times"):
            perceptual.pdq_batch(pixels, shapes, extents=np.array(extents))
