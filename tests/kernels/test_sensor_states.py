"""What a series carries from row to row, wherever it is cut: by chunks, by stretches of threads, by the memory of a device."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from backends import COMPILED, at_most
from readings import ALL, NAN, SECOND, series
from tamis_kernels import moments, xxh3
from tamis_kernels.backend import Backend, resident
from tamis_kernels.compiled import simulated
from tamis_kernels.sensor import Limits, Scan, hampel, quality, quality_of_groups


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("seed", range(6))
def test_runs_and_panes_that_reach_far_are_followed_from_any_place(seed: int, backend: Any) -> None:
    """Slow signals, whose runs hang on values far back; times that go back over panes; long gaps and holes."""
    random = np.random.default_rng(seed)
    rows = at_most(3000, 100)
    tolerance = (0.0, 0.5, 1.0, 2.5)[seed % 4]
    value = np.cumsum(random.choice(np.array([0.0, 0.25, -0.25, 1.0, -1.0, 9.0]), rows, p=[0.5, 0.2, 0.2, 0.045, 0.045, 0.01]))
    value[random.random(rows) < (0.0, 0.6)[seed % 2]] = NAN
    value[rows // 3 : rows // 2] = NAN if seed < 3 else value[rows // 3]
    time = np.cumsum(random.choice([1, 2, 40, -7, -60, 500], rows, p=[0.6, 0.2, 0.1, 0.07, 0.02, 0.01])) * SECOND
    limits = Limits(
        flat_tolerance=tolerance, flat=(20 * SECOND, 90 * SECOND), attenuated=2.0, attenuated_window=(80, 800)[seed % 2] * SECOND
    )
    expected = quality(time, value, limits, backend="reference")
    scan = Scan(limits, backend)
    parts = [scan.feed(time[a:b], value[a:b]) for a, b in pairwise([0, rows // 7, rows // 2, rows])] + [scan.finish()]
    offsets = np.array([0, *[rows // 25] * (rows // 9), rows])  # more series without a row than stretches
    groups = quality_of_groups(time, value, offsets, limits, backend=backend)
    alone = [quality(time[a:b], value[a:b], limits, backend="reference") for a, b in pairwise(offsets)]
    for at in (0, 1):
        np.testing.assert_array_equal(quality(time, value, limits, backend=backend)[at], expected[at])
        np.testing.assert_array_equal(np.concatenate([part[at] for part in parts]), expected[at])
        np.testing.assert_array_equal(groups[at], np.concatenate([one[at] for one in alone]))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_stretches_of_several_blocks_are_told_as_on_the_cpu(dtype: Any) -> None:
    rows = at_most(20_000, 150)
    random = np.random.default_rng(4)
    value = np.cumsum(random.choice([0.0, 0.25, -0.25, 9.0], rows, p=[0.6, 0.19, 0.2, 0.01])).astype(dtype)
    time = np.cumsum(random.choice([1, 2, 40, -7], rows, p=[0.7, 0.2, 0.05, 0.05])) * SECOND
    valid = random.random(rows) < 0.9
    limits = Limits(flat_tolerance=0.5, flat=(20 * SECOND, 90 * SECOND), attenuated=2.0, attenuated_window=80 * SECOND, sentinels=(9.0,))
    for at in (0, 1):
        found = quality(time, value, limits, valid, backend="cuda")[at]
        np.testing.assert_array_equal(found, quality(time, value, limits, valid, backend="cpu")[at])


@pytest.mark.gpu
@pytest.mark.parametrize("memory", [1200, 9000])
def test_series_that_the_device_has_no_room_for_go_through_in_parts(memory: int) -> None:
    more, least = (1, 0) if simulated() else (10, 8192)  # CuPy gives each array a multiple of 512 bytes
    time, value, valid = series(70 * more)
    offsets = np.array([0, 3, 60, 60, 70]) * more
    bounded = Backend("cuda", "a test", memory=memory + least)  # of the first of which forty rows are a batch
    for there in (valid, None):
        for at in (0, 1):
            whole = quality(time, value, ALL, there, backend=bounded)
            np.testing.assert_array_equal(whole[at], quality(time, value, ALL, there, backend="cpu")[at])
            groups = quality_of_groups(time, value, offsets, ALL, there, backend=bounded)
            np.testing.assert_array_equal(groups[at], quality_of_groups(time, value, offsets, ALL, there, backend="cpu")[at])
    np.testing.assert_array_equal(hampel(value, window=5, backend=bounded), hampel(value, window=5, backend="cpu"))


@pytest.mark.gpu
def test_quality_statistics_and_hashes_of_a_batch_cross_the_link_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tamis_kernels import device, link

    time, value, valid = series(90)
    offsets, bounds = np.array([0, 30, 90]), np.arange(0, 721, 16)
    brought: list[int] = []
    pinned = link.pinned

    def counted(shape: tuple[int, ...], dtype: Any) -> Any:
        brought.append(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return pinned(shape, dtype)

    monkeypatch.setattr(device, "pinned", counted)

    def visit(backend: Any) -> Any:
        bits, flags = quality_of_groups(time, value, offsets, ALL, valid, backend)
        return (
            bits,
            flags,
            moments.accumulate(value, backend=backend).to_dict(),
            xxh3.hash128(value.view(np.uint8), bounds, backend=backend),
        )

    with resident("cuda", time, value, valid, operations=("sensor",)):
        got = visit("cuda")
    if simulated():
        assert sum(brought) < time.nbytes
    for one, other in zip(got, visit("cpu"), strict=True):
        np.testing.assert_equal(one, other)
