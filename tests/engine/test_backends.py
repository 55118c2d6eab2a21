"""A whole run on CUDA leaves the bytes of one on the CPU: on a device (`pytest -m gpu`) or on the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from running import balanced
from whole_runs import SETTINGS, corpus, jpeg, large, told

import tamis
from tamis.media import see_jpegs
from tamis.media.photos import describe_jpegs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MeasuredHere = Callable[[dict[str, float | None]], None]


@pytest.mark.gpu
def test_a_run_on_cuda_leaves_the_same_bytes(tmp_path: Path, measured_here: MeasuredHere) -> None:
    measured_here({"fss.text_signatures": 1, "moments": 200, "photos": 30_000, "png": None, "sensor": 10**9, "xxh3": 100})
    source, runs = corpus(tmp_path / "corpus"), {}
    settings: dict[str, dict[str, Any]] = {"cpu": {}, "cuda": {"gpu_memory": "64MB", "jobs": 2}, "auto": {"jobs": 2}}
    for backend, more in settings.items():
        result = tamis.clean(source, tmp_path / backend, settings=SETTINGS, backend=backend, **{"jobs": 1, **more})  # type: ignore[arg-type]
        assert balanced(result.manifest)
        runs[backend] = result
    assert runs["cuda"].manifest["backend"]["name"] == "cuda"
    reasons = {row["reason"] for row in runs["cuda"].manifest["counts"]["by_reason"]}
    assert reasons == {"exact_duplicate", "near_duplicate_text", "near_duplicate_picture", "truncated", "no_values"}
    by = "auto: as measured on this machine on 2026-01-02, CUDA is faster than all threads of the CPU in"
    found = "fss.text_signatures from 1 B on, moments from 200 B on, photos from 30 kB on, sensor from 1 GB on, xxh3 from 100 B on"
    assert runs["auto"].manifest["backend"] == {"name": "cuda", "reason": f"{by} {found}; all else runs on the CPU"}
    one = told(tmp_path / "cpu")
    for other in (told(tmp_path / "cuda"), told(tmp_path / "auto")):
        assert one.keys() == other.keys()
        assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.gpu
def test_a_large_photo_stays_on_the_device() -> None:
    picture = large(np.random.default_rng(1))
    data, thumbnail = jpeg(picture, 30), jpeg(picture.resize((24, 24)), 30)
    (walk, told), (small, none) = see_jpegs([data, thumbnail], "cuda", pixels=False)
    [(_, expected)] = describe_jpegs([data], "cpu")
    assert walk is not None
    assert small is not None
    assert (walk.values.size, small.luma is None, none) == (0, False, None)
    assert told is not None
    assert expected is not None
    for mine, theirs in zip(told, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert see_jpegs([data], "cuda", pixels=True)[0][1] is None


@pytest.mark.gpu
def test_auto_walks_photos_on_the_gpu_from_the_size_on_that_was_measured(measured_here: MeasuredHere, tmp_path: Path) -> None:
    data = jpeg(large(np.random.default_rng(1)), 30)
    (tmp_path / "one.jpg").write_bytes(data)
    given: list[str | Path | bytes] = [data, str(tmp_path / "one.jpg"), str(tmp_path / "missing")]
    expected = tamis.image_hashes(given, backend="cpu")
    for least, stays in ((len(data), True), (len(data) + 1, False), (None, False)):
        measured_here({"photos": least})
        [(walk, told)] = see_jpegs([data], "auto", pixels=False)
        assert walk is not None
        assert (told is not None, walk.values.size == 0) == (stays, stays)
        assert see_jpegs([data, b"no JPEG"], "auto", pixels=False)[1] == (None, None)
        assert tamis.image_hashes(given, backend="auto").equals(expected)
