"""A whole run on CUDA leaves the bytes of one on the CPU: on a device (`pytest -m gpu`), in Numba's simulator or on the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from running import balanced
from whole_runs import SETTINGS, corpus, jpeg, large, told

import tamis
from tamis.media import see_jpegs
from tamis.media.photos import describe_jpegs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered in:RuntimeWarning")  # of interpreted kernels
def test_a_run_on_cuda_leaves_the_same_bytes(tmp_path: Path) -> None:
    source, runs = corpus(tmp_path / "corpus"), {}
    for backend, more in {"cpu": {}, "cuda": {"gpu_memory": "64MB", "jobs": 2}}.items():
        result = tamis.clean(source, tmp_path / backend, settings=SETTINGS, backend=backend, **{"jobs": 1, **more})  # type: ignore[arg-type]
        assert balanced(result.manifest)
        runs[backend] = result
    assert runs["cuda"].manifest["backend"]["name"] == "cuda"
    reasons = {row["reason"] for row in runs["cuda"].manifest["counts"]["by_reason"]}
    assert reasons == {"exact_duplicate", "near_duplicate_text", "near_duplicate_picture", "truncated", "no_values"}
    one, other = told(tmp_path / "cpu"), told(tmp_path / "cuda")
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered in:RuntimeWarning")
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
