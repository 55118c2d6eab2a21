"""What tests of whole runs on two backends share: a corpus with a little of everything, and the bytes that both must leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image
from running import outputs

from images import encoded

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["a", "river", "ran", "past", "the", "old", "mill", "and", "the", "miller", "counted", "sacks", "of", "flour"]
SECOND = 10**9


def texts(random: np.random.Generator, count: int) -> pl.DataFrame:
    """Return some short texts, and near-copies of three of them."""
    made = [" ".join(random.choice(WORDS, 24)) for _ in range(count)]
    return pl.DataFrame({"text": [*made, *(f"{one} again" for one in made[:3]), made[0]]})


def readings(random: np.random.Generator, count: int) -> pl.DataFrame:
    """Return so many readings of two sensors, with a spike, a code, a run of equal values and a gap each."""
    parts = []
    for name in ("north", "south"):
        value = np.round(20 + random.normal(0, 1, count), 2)
        value[7], value[15], value[20:32] = 60.0, -9999.0, 21.5
        time = np.arange(count) * SECOND + np.where(np.arange(count) > 35, 90 * SECOND, 0)
        parts.append(pl.DataFrame({"time": pl.Series(time).cast(pl.Datetime("ns")), "sensor": [name] * count, "value": value}))
    return pl.concat(parts)


def windows(random: np.random.Generator, count: int) -> pl.DataFrame:
    """Return windows of eight samples, one of them still and one a copy."""
    made = random.normal(0, 1, (count, 8)).round(3)
    made[4], made[5] = 1.0, made[0]
    return pl.DataFrame({"window": pl.Series(made.tolist(), dtype=pl.List(pl.Float64))})


def photos(random: np.random.Generator, folder: Path, copies: int) -> None:
    """Write small pictures: JPEGs, a turned copy, one that breaks off, a PNG; and large ones: a photo, a near copy, one on its side."""
    y, x = np.mgrid[0:24, 0:24]
    picture = Image.fromarray((128 + 80 * np.sin(x / 5) + 30 * np.cos(y / 3) + random.normal(0, 3, (24, 24))).clip(0, 255).astype(np.uint8))
    for number in range(copies):
        (folder / f"{number or 'one'}.jpg").write_bytes(jpeg(picture, 85 - number))
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
    return encoded(picture, "JPEG", quality=quality)


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


def corpus(folder: Path, *, times: int = 1) -> Path:
    """Make a folder of a little of everything, or of more in tables."""
    random = np.random.default_rng(1)
    folder.mkdir()
    frames = {"texts": texts(random, 8 * times), "readings": readings(random, 40 * times), "windows": windows(random, 6 * times)}
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    photos(random, folder, -(-times // 10))
    return folder


def told(out: Path) -> dict[str, bytes]:
    """Return every file of a run but its state, report, timing and backend."""
    found = outputs(out)
    manifest = json.loads(found["manifest.json"])
    del manifest["backend"]
    return {**found, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}
