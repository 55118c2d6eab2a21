"""Duplicate pictures: the variants of known groups, and variants made of photos of which no two are alike."""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from evaluate_common import Setting, Table, score_pairs, share
from evaluate_integrity import photo_files
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

import tamis
from images import encoded
from tamis.media import inspect
from tamis_kernels import components, hamming, perceptual

Picture = Image.Image
Variant = Callable[[Picture, np.random.Generator], bytes]


def representatives(result: tamis.Result) -> dict[str, str]:
    """Return, for every record in a cluster, the record that stays for it in the end: of an exact copy, the keeper of its keeper."""
    keeper = {record: cluster for cluster, record in result.clusters.select("cluster", "record").collect().iter_rows() if cluster != record}

    def last(record: str) -> str:
        while record in keeper:
            record = keeper[record]
        return record

    return {record: last(record) for record in keeper}


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    yield from _known(setting)
    yield _distance_to_imagehash(setting)
    yield crops(setting)
    yield _planted(setting)


def _known(setting: Setting) -> Iterator[Table]:
    root = setting.folder("duplicate_images")
    with (root / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = [row for row in csv.DictReader(file) if row["variant"] != "undecodable"]
    result = tamis.check(root, setting.work / "duplicates", jobs=setting.jobs)
    stays = representatives(result)
    cluster = {row["path"]: stays.get(row["path"], row["path"]) for row in truth}
    score = score_pairs([row["group"] for row in truth], list(cluster.values()))
    pairs = Table("Duplicate pictures: pairs of duplicate_images", ["files", "true pairs", "found", "right", "precision", "recall", "F1"])
    pairs.rows.append([len(truth), score.true, score.found, score.right, score.precision, score.recall, score.f1])
    yield pairs

    hashed = [(row["group"], _phash(root / row["path"])) for row in truth]
    peers = Table(
        "Duplicate pictures: pairs of duplicate_images by 64-bit pHash alone", ["hash", "bits", "found", "precision", "recall", "F1"]
    )
    for name, place in (("imagehash.phash", 0), ("tamis phash64", 1)):
        for limit in (0, 4, 8, 10, 12):
            parent = np.arange(len(hashed))
            words = np.array([[one[1][place]] for one in hashed], np.uint64)
            left, right, _ = hamming.pairs(words, limit, backend="cpu")
            components.union(parent, left, right, backend="cpu")
            score = score_pairs([one[0] for one in hashed], [str(root) for root in components.roots(parent, backend="cpu")])
            peers.rows.append([name, limit, score.found, score.precision, score.recall, score.f1])
    yield peers

    variants = Table("Duplicate pictures: variants joined to the original of their group", ["variant", "files", "joined"])
    original = {row["group"]: row["path"] for row in truth if row["variant"] == "original"}
    joined: dict[str, list[bool]] = defaultdict(list)
    for row in truth:
        if row["path"] != original[row["group"]]:
            joined[row["variant"]].append(cluster[row["path"]] == cluster[original[row["group"]]])
    variants.rows = [[variant, len(hits), sum(hits)] for variant, hits in sorted(joined.items())]
    yield variants


def _phash(path: Path) -> tuple[int, int]:
    """Return the 64-bit pHash as imagehash gives it, and that of the grey picture which tamis decodes."""
    with Image.open(path) as image:
        theirs = int(np.packbits(imagehash.phash(image).hash.ravel(), bitorder="little").view(np.uint64)[0])
    report = inspect(path.read_bytes(), name=path.name)
    if report.gray is None:
        return theirs, theirs
    scale = 1 if report.gray.shape == report.extent else 8
    height, width = report.extent
    shrunk = Image.fromarray(report.gray).resize((32, 32), Image.Resampling.LANCZOS, box=(0, 0, width / scale, height / scale))
    return theirs, int(perceptual.phash64(np.asarray(shrunk)[None], backend="cpu")[0])


def _jpeg(picture: Picture, quality: int = 90, **more: object) -> bytes:
    return encoded(picture, "JPEG", quality=quality, **more)


def _cropped(part: float) -> Variant:
    """Cut off a share of width and height, at places drawn by chance."""

    def crop(picture: Picture, rng: np.random.Generator) -> bytes:
        lost_x, lost_y = round(picture.width * part), round(picture.height * part)
        left, top = int(rng.integers(lost_x + 1)), int(rng.integers(lost_y + 1))
        return _jpeg(picture.crop((left, top, picture.width - lost_x + left, picture.height - lost_y + top)))

    return crop


def _resized(factor: float) -> Variant:
    def resize(picture: Picture, _rng: np.random.Generator) -> bytes:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        return _jpeg(picture.resize(size, Image.Resampling.LANCZOS))

    return resize


def _oriented(picture: Picture, _rng: np.random.Generator) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _jpeg(picture.transpose(Image.Transpose.ROTATE_90), exif=exif)


def _noisy(picture: Picture, rng: np.random.Generator) -> bytes:
    values = np.asarray(picture, np.float64)
    return _jpeg(Image.fromarray(np.clip(values + rng.normal(0, 10, values.shape), 0, 255).astype(np.uint8)))


def _captioned(picture: Picture, _rng: np.random.Generator) -> bytes:
    marked = picture.copy()
    bar = max(8, picture.height // 12)
    draw = ImageDraw.Draw(marked)
    draw.rectangle((0, picture.height - bar, picture.width, picture.height), fill="black")
    draw.text((4, picture.height - bar), "all rights reserved", fill="white", font_size=max(6, bar - 4))
    return _jpeg(marked)


VARIANTS: dict[str, Variant] = {
    "JPEG quality 70": lambda picture, _: _jpeg(picture, 70),
    "JPEG quality 30": lambda picture, _: _jpeg(picture, 30),
    "half the size": _resized(0.5),
    "twice the size": _resized(2.0),
    "5 % of each side cut off": _cropped(0.05),
    "10 % of each side cut off": _cropped(0.10),
    "brightness times 1.2": lambda picture, _: _jpeg(ImageEnhance.Brightness(picture).enhance(1.2)),
    "contrast times 1.3": lambda picture, _: _jpeg(ImageEnhance.Contrast(picture).enhance(1.3)),
    "greyscale": lambda picture, _: _jpeg(picture.convert("L")),
    "noise of deviation 10": _noisy,
    "caption of 1/12 of the height": _captioned,
    "stored turned, EXIF orientation 6": _oriented,
    "flipped left-right": lambda picture, _: _jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned by 90°": lambda picture, _: _jpeg(picture.transpose(Image.Transpose.ROTATE_90)),
}


def _distance_to_imagehash(setting: Setting) -> Table:
    """Count the bits between imagehash and the 64 bits of what tamis decodes."""
    apart = [(one ^ other).bit_count() for one, other in map(_phash, photo_files(setting))]
    table = Table("64-bit pHash of photos: bits from imagehash.phash", ["photos", "mean", "equal", "95 % within", "most"])
    table.rows.append([len(apart), float(np.mean(apart)), apart.count(0), float(np.quantile(apart, 0.95)), max(apart)])
    return table


def crops(setting: Setting) -> Table:
    """Measure how far a crop moves the hash."""
    files = photo_files(setting)
    columns = ["cut off each side, %", "photos", "10 % within", "median", "90 % within", "within 31, %"]
    table = Table("Crops: bits apart of 256 between the hashes of a photo and a crop of it", columns)
    for part in (0.01, 0.02, 0.05, 0.10):
        apart = []
        for number, path in enumerate(files):
            with Image.open(path) as image:
                made = _cropped(part)(image.convert("RGB"), np.random.default_rng([setting.seed, number]))
            apart.append(int(np.bitwise_count(_hash(path.read_bytes()) ^ _hash(made)).sum()))
        quantiles = [float(value) for value in np.quantile(apart, (0.1, 0.5, 0.9))]
        table.rows.append([100 * part, len(files), *quantiles, 100 * float(np.mean(np.array(apart) <= 31))])
    return table


def _planted(setting: Setting) -> Table:
    files = photo_files(setting)
    table = Table(
        f"Duplicate pictures: {len(files)} photos and one variant of each",
        ["variant", "files", "joined to its photo", "% (95 % interval)", "different photos joined", "median bits apart", "90 % within"],
    )
    alone = _joined(setting, files, None, "alone")
    table.rows.append(["none: the photos alone", len(files), 0, "", alone.wrong, "", ""])
    for name, variant in VARIANTS.items():
        found = _joined(setting, files, variant, name)
        middle, most = (f"{value:.0f}" for value in np.quantile(found.apart, (0.5, 0.9)))
        table.rows.append([name, len(files), found.joined, share(found.joined, len(files)), found.wrong, middle, most])
    table.remarks.append(
        "different photos joined: pairs. bits apart: of the 256 of the hashes of photo and variant; joined are those within 31."
    )
    return table


@dataclass(frozen=True, slots=True)
class Joined:
    """Variants in one cluster with their photo, pairs of different photos in one cluster, bits between the hashes of photo and variant."""

    joined: int
    wrong: int
    apart: list[int]


def _joined(setting: Setting, files: list[Path], variant: Variant | None, name: str) -> Joined:
    """Judge the photos with one kind of variant beside them."""
    root = setting.work / "planted"
    (root / "variants").mkdir(parents=True)
    apart = []
    for number, path in enumerate(files):
        shutil.copyfile(path, root / path.name)
        if variant:
            with Image.open(path) as image:
                made = variant(image.convert("RGB"), np.random.default_rng([setting.seed, number]))
            (root / "variants" / f"{path.stem}.jpg").write_bytes(made)
            apart.append(int(np.bitwise_count(_hash(path.read_bytes()) ^ _hash(made)).sum()))
    result = tamis.check(root, setting.work / f"planted_{name.replace('/', '_')}", jobs=setting.jobs)
    shutil.rmtree(root)
    stays = representatives(result)
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for record in {*stays, *stays.values()}:
        groups[stays.get(record, record)][Path(record).stem] += 1
    joined = sum(n - 1 for group in groups.values() for n in group.values())
    return Joined(joined, sum(_pairs(group.total()) - sum(map(_pairs, group.values())) for group in groups.values()), apart)


def _hash(data: bytes) -> NDArray[np.uint64]:
    report = inspect(data, name="photo.jpg")
    assert report.gray is not None
    pixels, shapes = perceptual.pack([report.gray])
    hashes, _ = perceptual.pdq_batch(pixels, shapes, extents=np.array([report.extent]), backend="cpu")
    found: NDArray[np.uint64] = hashes[0]
    return found


def _pairs(n: int) -> int:
    return n * (n - 1) // 2
