"""Figures of quality: by hand, by numpy on real shapes, and the backends against each other bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED
from tamis_kernels import perceptual, quality
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

BackendName = Literal["reference", "cpu", "cuda"]

both = pytest.mark.parametrize("backend", BACKENDS)


def measured(*pictures: Picture, chroma: Picture | None = None, backend: BackendName) -> dict[str, NDArray[np.int64]]:
    """Measure pictures; `chroma` is the first one's."""
    if chroma is None:
        return quality.measure(*perceptual.pack(pictures), backend=backend)
    sizes = np.array([chroma.size, *(0 for _ in pictures[1:])], np.int64)
    return quality.measure(*perceptual.pack(pictures), chroma, sizes, backend=backend)


def one(picture: Picture, *, backend: BackendName) -> dict[str, int]:
    return {name: int(values[0]) for name, values in measured(picture, backend=backend).items()}


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@both
def test_levels_of_a_ramp(backend: BackendName) -> None:
    ramp = np.arange(200, dtype=np.uint8).reshape(10, 20)
    found = one(ramp, backend=backend)
    assert (found["cells"], found["total"], found["squares"]) == (200, 19_900, int((ramp.astype(int) ** 2).sum()))
    assert [found[name] for name in ("darkest", "p1", "p5", "p50", "p95", "p99", "brightest")] == [0, 1, 9, 99, 189, 197, 199]
    assert found["entropy"] * quality.ENTROPY_UNIT == pytest.approx(np.log2(200), abs=1e-6)
    assert (found["mode_cells"], found["near_cells"], found["black"], found["white"]) == (1, 5, 1, 0)


@both
def test_entropy_of_half_and_half_is_one_bit_exactly(backend: BackendName) -> None:
    halves = np.repeat(np.array([[0, 255]], np.uint8), 8, axis=0)
    found = one(halves, backend=backend)
    assert found["entropy"] == 1 << 24
    assert (found["black"], found["white"], found["mode_cells"]) == (8, 8, 8)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_entropy_of_counts_beyond_the_table(backend: BackendName) -> None:
    large = np.zeros((300, 500), np.uint8)
    large[:75] = 9
    expected = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert one(large, backend=backend)["entropy"] * quality.ENTROPY_UNIT == pytest.approx(expected, abs=1e-4)


@both
def test_steps_grow_with_the_lag_as_smoothness_says(backend: BackendName) -> None:
    def growth(picture: Picture) -> float:
        found = one(picture, backend=backend)
        return found["far_steps"] / found["far_pairs"] / (found["near_steps"] / found["near_pairs"])

    waves = np.rint(127 + 100 * np.sin(np.arange(60) / 9)).astype(np.uint8)
    edge = np.repeat(np.repeat(np.array([[10, 200]], np.uint8), 20, axis=1), 40, axis=0)
    assert growth(np.broadcast_to(waves, (40, 60)).copy()) > 3.5
    assert growth(edge) == pytest.approx(2, abs=0.1)
    assert growth(noise(40, 60)) == pytest.approx(1, abs=0.1)


@both
def test_the_lag_is_a_64th_of_the_longer_side(backend: BackendName) -> None:
    steps = np.tile(np.array([0, 0, 1, 1], np.uint8), 40)[None, :].copy()  # 160 cells: lag 2
    found = one(steps, backend=backend)
    assert (found["near_pairs"], found["near_steps"]) == (158, 158)
    assert (found["far_pairs"], found["far_steps"]) == (156, 0)


@both
def test_bars_are_counted_to_the_row_and_their_edges_told(backend: BackendName) -> None:
    picture = noise(30, 40) | np.uint8(64)
    picture[:5], picture[-3:] = 2, 0
    picture[2, 7] = 5  # within the tolerance
    found = one(picture, backend=backend)
    assert [found[name] for name in ("top", "bottom", "left", "right")] == [5, 3, 0, 0]
    assert (found["top_edge"], found["bottom_edge"]) == (40, 40)
    turned = one(np.ascontiguousarray(picture.T), backend=backend)
    assert [turned[name] for name in ("top", "bottom", "left", "right")] == [0, 0, 5, 3]
    assert (turned["left_edge"], turned["right_edge"]) == (40, 40)


@both
def test_a_thing_before_a_plain_ground_has_no_straight_edge(backend: BackendName) -> None:
    picture = np.full((30, 40), 250, np.uint8)
    picture[10:20, 18:22] = 30
    found = one(picture, backend=backend)
    assert (found["top"], found["top_edge"]) == (10, 4)
    assert (found["left"], found["left_edge"]) == (18, 10)


@both
def test_a_plain_picture_is_all_bar(backend: BackendName) -> None:
    found = one(np.full((4, 6), 77, np.uint8), backend=backend)
    assert [found[name] for name in ("top", "bottom", "left", "right", "top_edge", "left_edge")] == [4, 4, 6, 6, 0, 0]
    assert (found["entropy"], found["near_cells"], found["near_steps"], found["far_steps"]) == (0, 24, 0, 0)


@both
def test_chroma_is_told_by_its_distance_from_neutral(backend: BackendName) -> None:
    found = measured(noise(3, 3), noise(2, 2), chroma=np.array([128, 120, 255, 0], np.uint8), backend=backend)
    assert found["chroma_cells"].tolist() == [4, 0]
    assert found["chroma_largest"].tolist() == [128, 0]
    assert found["chroma_total"].tolist() == [8 + 127 + 128, 0]


@both
def test_no_pictures_and_empty_pictures(backend: BackendName) -> None:
    assert all(len(values) == 0 for values in measured(backend=backend).values())
    found = measured(np.zeros((0, 5), np.uint8), noise(1, 1), backend=backend)
    assert all(values[0] == 0 for values in found.values())
    assert (found["cells"][1], found["near_pairs"][1], found["far_pairs"][1]) == (1, 0, 0)


@pytest.mark.parametrize("backend", COMPILED)
@given(
    shapes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 140)), min_size=1, max_size=4),
    kind=st.sampled_from(["noise", "two", "nearly plain", "ramp"]),
    seed=st.integers(0, 99),
)
def test_backends_agree_bit_for_bit(shapes: list[tuple[int, int]], kind: str, seed: int, backend: Any) -> None:
    rng = np.random.default_rng(seed)
    drawn: dict[str, Callable[[tuple[int, int]], NDArray[np.int64]]] = {
        "noise": lambda shape: rng.integers(0, 256, shape),
        "two": lambda shape: rng.choice([0, 255], shape),
        "nearly plain": lambda shape: 100 + rng.integers(0, 7, shape),  # off the level of a bar's corner by its tolerance, and by more
        "ramp": lambda shape: np.arange(shape[0] * shape[1]).reshape(shape) % 256,
    }
    pictures = [drawn[kind](shape).astype(np.uint8) for shape in shapes]
    chroma = rng.integers(0, 256, int(rng.integers(0, 30))).astype(np.uint8)
    ours, theirs = (measured(*pictures, chroma=chroma, backend=name) for name in (backend, "reference"))
    assert {name: values.tolist() for name, values in ours.items()} == {name: values.tolist() for name, values in theirs.items()}


@both
def test_a_picture_is_measured_the_same_alone_and_among_others(backend: BackendName) -> None:
    pictures = [noise(9, 70, 1), noise(20, 3, 2), noise(5, 5, 3)]
    together = measured(*pictures, backend=backend)
    for place, picture in enumerate(pictures):
        assert one(picture, backend=backend) == {name: int(values[place]) for name, values in together.items()}


@pytest.mark.slow
def test_large_pictures_do_not_overflow() -> None:
    extremes = np.zeros((3, 70_000), np.uint8)
    extremes[:, 1100:] = 255
    ours, theirs = one(extremes, backend="cpu"), one(extremes, backend="reference")
    assert ours == theirs


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(4, np.int16), np.array([[2, 2]])), "pixels must be uint8 .* got int16"),
        ((np.zeros(4, np.uint8), np.array([2, 2])), r"shapes must be int64 of shape \(n, 2\)"),
        ((np.zeros(4, np.uint8), np.array([[2, 3]])), "the sizes describe 6 values, but pixels holds 4"),
        ((np.zeros(4, np.uint8), np.array([[2, 2]]), np.zeros(3, np.uint8), np.array([2])), "2 values, but chroma holds 3"),
        ((np.zeros(4, np.uint8), np.array([[2, 2]]), np.zeros(3, np.uint8), np.array([2, 1])), r"chroma_sizes must be int64\[1\]"),
    ],
)
def test_wrong_arguments_are_told(arguments: tuple[NDArray[np.int64], ...], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        quality.measure(*arguments)  # type: ignore[arg-type]
