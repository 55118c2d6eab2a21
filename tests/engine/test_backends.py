"""A whole run on CUDA leaves the bytes of one on the CPU: on a device (`pytest -m gpu`), or in Numba's simulator."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from running import balanced, outputs

import tamis
from tamis.media import see_jpegs
from tamis.media.photos import describe_jpegs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MeasuredHere = Callable[[dict[str, float | None]], None]

WORDS = ["a", "river", "ran", "past", "the", "old", "mill", "and", "the", "miller", "counted", "sacks", "of", "flour"]
SECOND = 10**9


def texts(random: np.random.Generator) -> pl.DataFrame:
    """Return some short texts, a third of them near-copies of others."""
    made = [" ".join(random.choice(WORDS, 24)) for _ in range(8)]
    return pl.DataFrame({"text": [*made, *(f"{one} again" for one in made[:3]), made[0]]})


def readings(random: np.random.Generator) -> pl.DataFrame:
    """Return two sensors with a spike, a code, a run of equal values and a gap each."""
    parts = []
    for name in ("north", "south"):
        value = np.round(20 + random.normal(0, 1, 40), 2)
        value[7], value[15], value[20:32] = 60.0, -9999.0, 21.5
        time = np.arange(40) * SECOND + np.where(np.arange(40) > 35, 90 * SECOND, 0)
        parts.append(pl.DataFrame({"time": pl.Series(time).cast(pl.Datetime("ns")), "sensor": [name] * 40, "value": value}))
    return pl.concat(parts)


def windows(random: np.random.Generator) -> pl.DataFrame:
    """Return windows of eight samples, one of them still and one a copy."""
    made = random.normal(0, 1, (6, 8)).round(3)
    made[4], made[5] = 1.0, made[0]
    return pl.DataFrame({"window": pl.Series(made.tolist(), dtype=pl.List(pl.Float64))})


def photos(random: np.random.Generator, folder: Path) -> None:
    """Write small pictures: a JPEG, a turned copy, one that breaks off, a PNG; and large ones: a photo, a near copy, one on its side."""
    y, x = np.mgrid[0:24, 0:24]
    picture = Image.fromarray((128 + 80 * np.sin(x / 5) + 30 * np.cos(y / 3) + random.normal(0, 3, (24, 24))).clip(0, 255).astype(np.uint8))
    (folder / "one.jpg").write_bytes(jpeg(picture, 85))
    (folder / "broken.jpg").write_bytes(jpeg(picture, 85)[:-60])
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=85)
    picture.convert("RGB").save(folder / "one.png")
    (folder / "large.jpg").write_bytes(jpeg(large(random), 75))
    (folder / "large again.jpg").write_bytes(jpeg(Image.open(folder / "large.jpg"), 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    large(random).save(folder / "on its side.jpg", quality=20, exif=exif)


def large(random: np.random.Generator) -> Image.Image:
    """Return a smooth picture that is kept in cells."""
    return Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).resize((264, 256), Image.Resampling.BICUBIC)


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return the picture as JPEG."""
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


SETTINGS: dict[str, Any] = {
    "normalize.method": "zscore",
    "near_duplicates.threshold": 0.5,
    "quality_control.enabled": True,
    "quality_control.sentinels": [-9999.0],
    "quality_control.learn": ["range", "spike", "gap", "hampel"],
    "quality_control.limits": [{"flat": 5.0, "flat_tolerance": 0.0, "attenuated": 0.5, "attenuated_window": 8.0}],
    "quality_control.on_flag": {"spike": "impute", "sentinel": "null"},
    "quality_control.impute": "median",
    "quality_control.flags": True,
    "near_duplicates.num_perm": 16,
    "near_duplicates.orientations": "dihedral",
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    random, folder = np.random.default_rng(1), tmp_path / "corpus"
    folder.mkdir()
    for name, frame in {"texts": texts(random), "readings": readings(random), "windows": windows(random)}.items():
        frame.write_parquet(folder / f"{name}.parquet")
    photos(random, folder)
    return folder


def told(out: Path) -> dict[str, bytes]:
    """Return every file of a run but its state, report, timing and backend."""
    found = outputs(out)
    manifest = json.loads(found["manifest.json"])
    del manifest["backend"]
    return {**found, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered in:RuntimeWarning")  # of interpreted kernels
def test_a_run_on_cuda_leaves_the_same_bytes(corpus: Path, tmp_path: Path, measured_here: MeasuredHere) -> None:
    measured_here({"fss.text_signatures": 1, "moments": 200, "photos": 30_000, "png": None, "sensor": 10**9, "xxh3": 100})
    runs = {}
    settings: dict[str, dict[str, Any]] = {"cpu": {}, "cuda": {"gpu_memory": "64MB", "jobs": 2}, "auto": {"jobs": 2}}
    for backend, more in settings.items():
        result = tamis.clean(corpus, tmp_path / backend, settings=SETTINGS, backend=backend, **{"jobs": 1, **more})  # type: ignore[arg-type]
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


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered in:RuntimeWarning")
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
