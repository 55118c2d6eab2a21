"""Integrity, perceptual hash and content hash of JPEG photos in one read: against the decoder alone and against what others do.

`--photos DIR` takes the JPEG files of a folder; without it, seeded synthetic photos of about 110 KB are made.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pdqhash
import simplejpeg
import xxhash
from evaluate_common import HELD_BACK
from harness import Report, jpeg_files
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray
from PIL import Image

import tamis
from images import encoded
from tamis.checks.near_duplicates.pictures import hash_pictures
from tamis.checks.quality import measured
from tamis.media import Inspection, inspect, walk_jpegs
from tamis.pipeline.observe import MEDIA_BATCH
from tamis_kernels import jpeg, perceptual

_INDEX = np.arange(32)
_DCT = np.cos(np.pi / 64 * _INDEX[:8, None] * (2 * _INDEX[None, :] + 1))
PASSES = 4  # over the photos, where threads share them


def synthetic_photo(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:375, 0:500] / 500
    picture = np.zeros((375, 500, 3))
    for _ in range(25):
        wave = np.sin(rng.uniform(-40, 40) * y + rng.uniform(-40, 40) * x + rng.uniform(0, 6))
        disc = (x - rng.random()) ** 2 + (y - rng.random()) ** 2 < rng.uniform(0.001, 0.05)
        picture += (wave * disc)[:, :, None] * rng.uniform(-80, 80, 3) + wave[:, :, None] * rng.uniform(-5, 5, 3)
    picture += rng.normal(0, 11, (375, 500, 1))
    return encoded(Image.fromarray(np.clip(picture + 128, 0, 255).astype(np.uint8)), "JPEG", quality=92, subsampling=0)


def hash_of(report: Inspection) -> tuple[NDArray[np.uint64], int]:
    assert report.gray is not None
    pixels, shapes = perceptual.pack([report.gray])
    hashes, qualities = perceptual.pdq_batch(pixels, shapes, extents=np.array([report.extent]), backend="cpu")
    return hashes[0], int(qualities[0])


def one_pass(paths: list[Path]) -> list[tuple[str, bytes]]:
    """Do what a run does with a batch of files: read them and hash the content, walk, inspect, hash and measure the picture."""
    files, digests = [], []
    for path in paths:
        files.append(path.read_bytes())
        digests.append(xxhash.xxh3_128_digest(files[-1]))
    seen = [inspect(data, name="a.jpg", walk=walk) for data, walk in zip(files, walk_jpegs(files), strict=True)]
    hash_pictures(seen, "pdq", "cpu")
    measured([one for one in seen if one.gray is not None], "cpu")
    return [(one.grade, digest) for one, digest in zip(seen, digests, strict=True)]


def walk_alone(paths: list[Path]) -> list[jpeg.Walk]:
    return jpeg.walk_many([path.read_bytes() for path in paths], backend="cpu")


def batches(paths: list[Path]) -> list[list[Path]]:
    return [paths[start : start + MEDIA_BATCH] for start in range(0, len(paths), MEDIA_BATCH)]


def everything(path: Path) -> tuple[str, bytes, bytes, int]:
    data = path.read_bytes()
    report = inspect(data, name=path.name)
    if report.gray is None:
        return report.grade, xxhash.xxh3_128_digest(data), b"", 0
    hashes, quality = hash_of(report)
    return report.grade, xxhash.xxh3_128_digest(data), hashes.tobytes(), int(quality)


def integrity(path: Path) -> str:
    return inspect(path.read_bytes(), name=path.name, want_picture=False).grade


def strict_gray(path: Path) -> object:
    return simplejpeg.decode_jpeg(path.read_bytes(), "GRAY", strict=True)


def strict_eighth(path: Path) -> object:
    return simplejpeg.decode_jpeg(path.read_bytes(), "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)


def same_eighth(data: bytes) -> bool:
    eighth = simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)[:, :, 0]
    luma = jpeg.walk(data, backend="cpu").luma
    return luma is not None and np.array_equal(luma, eighth)


def pillow_load(path: Path) -> object:
    with Image.open(path) as image:
        return image.load()


def pillow_phash(path: Path) -> object:
    """Do what the usual 64-bit pHash does: full decode, grey, 32 x 32 by Lanczos, DCT, median."""
    with Image.open(path) as image:
        small = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    low = _DCT @ small @ _DCT.T
    return low > np.median(low)


def pillow_pdqhash(path: Path) -> object:
    with Image.open(path) as image:
        return pdqhash.compute(np.asarray(image.convert("RGB")))


def distances(photos: Iterable[bytes], hashed: Callable[[bytes], NDArray[np.uint64]]) -> NDArray[np.int64]:
    """Measure, per photo, the bits between our hash and the original PDQ's of the full colours."""
    found = []
    for data in photos:
        bits = np.unpackbits(hashed(data).view(np.uint8), bitorder="little")
        found.append(np.count_nonzero(bits != pdqhash.compute(simplejpeg.decode_jpeg(data))[0][::-1]))
    return np.array(found)


def same_pixels(photos: Iterable[bytes]) -> NDArray[np.int64]:
    found = []
    for data in photos:
        gray = simplejpeg.decode_jpeg(data, "GRAY")
        words = perceptual.pdq(gray[:, :, 0], backend="cpu")[0]
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")
        found.append(np.count_nonzero(bits != pdqhash.compute(np.repeat(gray, 3, axis=2))[0][::-1]))
    return np.array(found)


def print_distances(what: str, found: NDArray[np.int64]) -> None:
    p95 = np.percentile(found, 95)
    print(f"{what:44s} bits of 256: mean {found.mean():5.2f}  p95 {p95:4.0f}  max {found.max():3d}  equal {np.mean(found == 0):6.1%}")


def damages(data: bytes, rng: np.random.Generator) -> dict[str, bytes]:
    """Break the scan of one photo in the ways that disks and networks do."""
    start = data.rindex(b"\xff\xda") + 14
    place = int(rng.integers(start, len(data) - 5000))
    return {
        "one bit flipped": data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :],
        "16 random bytes": data[:place] + rng.bytes(16) + data[place + 16 :],
        "512 random bytes": data[:place] + rng.bytes(512) + data[place + 512 :],
        "512 zeros": data[:place] + bytes(512) + data[place + 512 :],
        "4 KiB of zeros": data[:place] + bytes(4096) + data[place + 4096 :],
        "512 bytes dropped": data[:place] + data[place + 512 :],
        "cut at 90 %": data[: len(data) * 9 // 10],
    }


def pillow_refuses(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return True
    return False


def print_detection(photos: list[bytes]) -> None:
    rng = np.random.default_rng(11)
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}
    for data in photos:
        for kind, broken in damages(data, rng).items():
            ours[kind] = ours.get(kind, 0) + (inspect(broken, name="a.jpg", want_picture=False).grade in HELD_BACK)
            theirs[kind] = theirs.get(kind, 0) + pillow_refuses(broken)
    for kind, found in ours.items():
        print(f"found of {len(photos)}: {kind:20s} ours {found / len(photos):6.1%}   Pillow load {theirs[kind] / len(photos):6.1%}")


def rate(paths: list[Path], one: Callable[[Path], object]) -> float:
    start = time.perf_counter()
    for path in paths:
        one(path)
    return len(paths) / (time.perf_counter() - start)


def run(report: Report, paths: list[Path]) -> None:
    photos = [path.read_bytes() for path in paths]
    size = sum(map(len, photos)) / len(photos)
    print(f"{len(photos)} photos, {size / 1e3:.1f} KB on average")
    grades = [everything(path)[0] for path in paths]
    report.check(f"every photo is ok ({grades.count('ok')} of {len(grades)})", grades.count("ok") == len(grades))
    same = same_pixels(photos)
    report.check("the hash is the original's on the same pixels, but for float32 rounding", same.max() <= 2 and same.mean() < 0.1)
    print_distances("from the same grey pixels", same)
    large = [data for data in photos if min(simplejpeg.decode_jpeg_header(data)[:2]) >= 256]
    print_distances("as inspect gives the picture", distances(photos, lambda data: hash_of(inspect(data, name="a.jpg"))[0]))
    print_distances("the same, short side of 256 and more", distances(large, lambda data: hash_of(inspect(data, name="a.jpg"))[0]))
    report.check("the walk's picture is libjpeg's at 1/8 scale, bit for bit", all(map(same_eighth, photos)))
    print_detection([data for data in photos if len(data) > 20_000][:: max(1, len(photos) // 60)])

    limit = max(rate(paths, strict_eighth) for _ in range(3))
    note = "entropy decoding alone: the strict decoder at 1/8 scale, one thread, best of 3"
    one_thread = {
        "the same, file by file": everything,
        "integrity alone": integrity,
        "simplejpeg strict, gray, full": strict_gray,
        "simplejpeg strict, gray, 1/8": strict_eighth,
        "Pillow load (misses most damage)": pillow_load,
        "Pillow + pHash64, as imagehash does": pillow_phash,
        "Pillow + pdqhash": pillow_pdqhash,
    }
    cores = get_num_threads()
    set_num_threads(1)  # of this thread, so that a kernel starts no others
    rows = report.time(
        "one thread",
        {
            "one pass: walk, integrity, quality, PDQ, xxh3": lambda: list(map(one_pass, batches(paths))),
            "the walk alone": lambda: list(map(walk_alone, batches(paths))),
            **{name: lambda one=one: [one(path) for path in paths] for name, one in one_thread.items()},
        },
        work=len(paths),
        unit="images",
        limit=limit,
        limit_note=note,
    )
    for name, row in rows.items():
        print(f"{'':28s} {name:36s} {row.rate * size / 1e6:7.1f} MB/s")
    many = PASSES * batches(paths)  # so that the end, when a thread has nothing left to do, weighs little
    set_num_threads(cores)
    with ThreadPoolExecutor(cores, initializer=set_num_threads, initargs=(1,)) as pool:
        report.time(
            f"{cores} threads",
            {
                "one pass": lambda: list(pool.map(one_pass, many)),
                "the walk alone": lambda: list(pool.map(walk_alone, many)),
                "tamis.image_hashes: walk, integrity, PDQ": lambda: tamis.image_hashes(PASSES * paths, backend="cpu"),
                "simplejpeg strict, gray, full": lambda: list(pool.map(strict_gray, PASSES * paths, chunksize=8)),
            },
            work=PASSES * len(paths),
            unit="images",
            limit=limit * cores,
            limit_note=note + f", times {cores}",
        )


def main() -> None:
    report = Report.from_arguments("media: integrity, perceptual hash and content hash of photos", photos={"type": Path})
    count = 20 if report.quick else 300
    if report.options.photos:
        run(report, jpeg_files(report.options.photos)[:count])
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{seed:04d}.jpg" for seed in range(min(count, 100))]
        for seed, path in enumerate(paths):
            path.write_bytes(synthetic_photo(seed))
        run(report, paths)


if __name__ == "__main__":
    main()
