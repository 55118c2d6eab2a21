"""The seam test of the JPEG walker: shifts of level are found, drawn edges are not, and reference and CPU agree."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backends import CUDA
from images import encoded
from jpegs import drawn, told
from tamis_kernels import jpeg
from tamis_kernels.jpeg import reference_seam, seam


@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize(
    ("columns", "rows", "at", "shift", "found"),
    [
        (40, 6, 100, 16, True),
        (40, 6, 100, -16, True),
        (40, 6, 100, 64, True),  # a large one, which makes the rows beside the seam lean against it
        (40, 6, 100, -64, True),
        (40, 6, 100, 0, False),  # nothing is shifted
        (40, 6, 100, 4, False),  # too little
        (40, 6, 120, 16, False),  # a straight line
        (40, 6, 121, 16, False),  # all but straight
        (40, 6, 20, 16, False),  # in the first row
        (40, 3, 60, 16, False),  # too small a picture
    ],
)
def test_a_shift_within_a_row_is_a_seam(columns: int, rows: int, at: int, shift: int, found: bool, down: int) -> None:
    data = drawn(columns, rows, at, shift, down)
    own, defined = jpeg.walk(data, backend="cpu"), jpeg.walk(data, backend="reference")
    assert told(own) == told(defined)
    assert own.fault == ("seam" if found else "none")
    if found:
        assert abs(own.mcu - at) <= 2
        assert own.scan < own.place < len(data)


@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize(
    ("step", "at", "shift", "found"),
    [
        (40, 100, 16, True),  # an interval a row: a bar to the right border
        (40, 100, -24, True),
        (160, 100, 16, True),  # four rows: a staircase
        (160, 140, 16, True),  # in the last of them: a bar
        (60, 65, 16, True),  # a row and a half: a staircase, whose next row ends early
        (60, 100, -16, True),  # a bar that goes on in the next row
        (16, 98, 24, True),  # from column 18 to 32
        (16, 105, 32, True),
        (16, 110, 16, False),  # two blocks
        (40, 80, 16, True),  # a whole row
        (16, 90, 24, True),  # six blocks, within a row
        (40, 100, 4, False),
        (40, 20, 16, False),  # in the first row
        (40, 225, 16, False),  # in the last one
        (40, 100, 0, False),
    ],
)
def test_a_shift_to_the_end_of_a_restart_interval_is_a_seam(step: int, at: int, shift: int, found: bool, down: int) -> None:
    data = drawn(40, 6, at, shift, down, step)
    own, defined = jpeg.walk(data, backend="cpu"), jpeg.walk(data, backend="reference")
    assert told(own) == told(defined)
    assert (own.interval, own.fault) == (step, "seam" if found else "none")
    if found:
        assert abs(own.mcu - at) <= 3
        assert own.scan < own.place < len(data)


@pytest.mark.parametrize("backend", [CUDA])
def test_a_seam_is_found_on_a_device(backend: Any) -> None:
    for step in (0, 40):
        data = drawn(40, 6, 100, 16, 1, step)
        walk = jpeg.walk(data, backend=backend)
        assert walk.fault == "seam"
        assert told(walk) == told(jpeg.walk(data, backend="reference"))


@cache
def smooth(width: int = 480, height: int = 96, subsampling: int = 0, mode: str = "RGB", quality: int = 90, restart_rows: int = 0) -> bytes:
    """Return a picture of soft shapes, in which a seam is sharp."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(5)
    waves = [120 + 30 * np.sin(x / 31 + one) + 30 * np.cos(y / 27 - one) + rng.normal(0, 3, x.shape) for one in range(3)]
    image = Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).convert(mode)
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    return encoded(image, "JPEG", quality=quality, restart_marker_rows=restart_rows, **options)


def shifts(data: bytes, *, seed: int, count: int) -> list[bytes]:
    """Return copies with one bit of the scan flipped that are legal syntax, but whose picture is off by 8 levels or more on its right.

    That is in the last row or, where there are restart markers, in any row but the first and the last.
    """
    rng = np.random.default_rng(seed)
    whole, found = jpeg.walk(data, backend="cpu"), []
    places = rng.integers(8 * whole.scan, 8 * (len(data) - 2), 4000).tolist()
    flipped = []
    for place in places:
        one = bytearray(data)
        one[place // 8] ^= 1 << place % 8
        flipped.append(bytes(one))
    for copy, walk in zip(flipped, jpeg.walk_many(flipped, backend="cpu"), strict=True):
        pairs = zip(walk.planes, whole.planes, strict=True) if walk.fault in ("none", "seam") else ()
        rows = slice(2, -2) if whole.interval else slice(-1, None)
        if any(np.abs(changed[rows, -1].astype(int) - plane[rows, -1]).max() >= 8 for changed, plane in pairs):
            found.append(copy)
    return found[:count]


@pytest.mark.slow
@pytest.mark.parametrize(("subsampling", "mode"), [(0, "RGB"), (1, "RGB"), (2, "RGB"), (0, "L")])
def test_a_shift_of_level_to_the_end_is_a_seam_and_whole_files_have_none(subsampling: int, mode: str) -> None:
    data = smooth(subsampling=subsampling, mode=mode)
    broken = shifts(data, seed=subsampling, count=8)
    files = [data, *broken]
    walks = jpeg.walk_many(files, backend="cpu")
    assert [told(walk) for walk in walks] == [told(walk) for walk in jpeg.walk_many(files, backend="reference")]
    assert walks[0].fault == "none"
    seams = [(walk, one) for walk, one in zip(walks[1:], broken, strict=True) if walk.fault == "seam"]
    assert seams
    for walk, one in seams:
        first = next(place for place, (old, new) in enumerate(zip(data, one, strict=True)) if old != new)
        assert abs(walk.place - first) < len(data) // 4
        assert 0 < walk.mcu < walk.mcus


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "subsampling", "options"), [("L", 0, {"restart_rows": 6}), ("L", 0, {"restart_rows": 1}), ("RGB", 2, {"restart_rows": 1})]
)
def test_scans_with_restart_markers_are_tested_for_seams(mode: str, subsampling: int, options: dict[str, int]) -> None:
    data = smooth(mode=mode, subsampling=subsampling, **options)
    broken = shifts(data, seed=4, count=4)
    assert broken
    files = [data, *broken]
    walks = jpeg.walk_many(files, backend="cpu")
    assert [told(walk) for walk in walks] == [told(walk) for walk in jpeg.walk_many(files, backend="reference")]
    assert walks[0].interval
    assert walks[0].fault == "none"
    assert "seam" in [walk.fault for walk in walks]


@pytest.mark.parametrize("step", [20, 8])
def test_a_bar_drawn_in_the_grid_of_blocks_is_no_seam(step: int) -> None:
    levels = np.full((128, 160), 90, np.uint8)
    levels[64:72, 40:] = 140  # plain, to the right border
    levels[88:96, 40:64] = 30  # to the end of an interval of 8 MCUs
    levels[104:112, 40:104] += np.repeat(np.array([50, 2, 1, 44], np.uint8), 16)  # of two levels, half of them too small
    data = encoded(Image.fromarray(levels), "JPEG", quality=95, restart_marker_blocks=step)
    own, defined = (jpeg.walk(data, backend=backend) for backend in ("cpu", "reference"))
    assert own.fault == "none"
    assert own.interval == step
    assert told(own) == told(defined)


def test_a_picture_with_bars_frames_and_steps_has_no_seam() -> None:
    drawn = []
    for step in (8, 16, 24):
        levels = np.full((128, 160), 90, np.uint8)
        levels[step:] = 140  # a straight line
        levels[64:, :step] = 30  # a box
        levels[96:, 80:] = 200
        drawn.append(encoded(Image.fromarray(levels), "JPEG", quality=95))
    for walk in jpeg.walk_many(drawn, backend="cpu"):
        assert walk.fault == "none"
    assert [told(walk) for walk in jpeg.walk_many(drawn, backend="cpu")] == [
        told(walk) for walk in jpeg.walk_many(drawn, backend="reference")
    ]


@pytest.mark.parametrize("height", [4, 5, 6])
def test_a_soft_edge_along_a_staircase_of_blocks_is_no_seam(height: int) -> None:
    """Waves and roofs lie like this now and then, once they are enlarged; the step of a seam lies between two rows of pixels."""
    y, x = np.mgrid[0:128, 0:320]
    below = y + 0.5 - np.where(x < 160, 72, 64)
    levels = 90 + 36 * np.clip(0.5 + below / height, 0, 1)
    data = encoded(Image.fromarray(levels.astype(np.uint8)), "JPEG", quality=90)
    own, defined = (jpeg.walk(data, backend=backend) for backend in ("cpu", "reference"))
    assert own.fault == "none"
    assert told(own) == told(defined)


def test_rows_are_suspected_as_the_reference_suspects_them() -> None:
    rng = np.random.default_rng(5)
    rows, columns, outcomes = 7, 12, set()
    for _ in range(120):
        step, at = rng.integers([3, columns], [rows * columns, rows * columns - 4]).tolist()
        levels = 128 + rng.integers(1, 9) * rng.standard_normal(rows * columns)
        levels[at : (at // step + 1) * step] += rng.choice([-1, 1]) * rng.integers(8, 65)
        plane = np.clip(levels, 0, 255).astype(np.uint8)
        part = reference_seam.Part(1, 1, plane.reshape(rows, columns), np.zeros((rows, columns, 4), np.int64))
        jumps, sizes = np.zeros(rows * columns, np.int32), np.zeros(rows, np.int64)
        for row in range(1, rows):
            sizes[row] = seam.measure(plane, columns, row, jumps[row * columns : (row + 1) * columns])
        for row in range(1, rows - 1):
            stops, room = np.zeros(columns, np.int64), np.zeros(3 * columns + 3, np.int64)
            ends = [reference_seam._stop(row, column, columns, step) for column in range(columns)]
            expected = reference_seam._suspected(part, row, rows, ends)
            assert seam.suspects(row, columns, 1, step, jumps, sizes, stops, room) == expected
            outcomes.add(expected)
    assert outcomes == {False, True}


@pytest.mark.parametrize("down", [1, 2])
def test_seams_score_what_the_reference_says(down: int) -> None:
    rng = np.random.default_rng(down)
    columns, outcomes = 10, set()
    for _ in range(60):
        step, at = (int(one) for one in rng.integers([3, 1], [3 * columns, columns]))
        stops = [reference_seam._stop(1, column, columns, step) for column in range(columns)]
        shift = int(rng.choice([-1, 1])) * int(rng.integers(40, 400))
        edges = rng.integers(-40, 41, (3 * down, columns, 4)) * (rng.random((3 * down, columns, 1)) < 0.7)
        edges[down : 2 * down, at : stops[at] or columns] += shift
        edges[2 * down :] += 0 if stops[at] else shift
        part = reference_seam.Part(1, down, np.zeros((0, 0), np.uint8), edges)
        total = np.zeros(columns, np.int64)
        seen = np.ascontiguousarray(edges[down - 1 : 2 * down + 1])
        seam._score(seen.ravel(), 4 * columns, 1, np.array(stops), np.zeros(20 * columns, np.int64), total)
        np.testing.assert_array_equal(total, reference_seam._scores(part, 1, stops))
        outcomes |= {bool(one) for one in total}
    assert outcomes == {False, True}
