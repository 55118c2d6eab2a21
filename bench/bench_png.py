"""Integrity of PNGs against Pillow and cv2: chunks, checksums, exact inflation and filters; and the same with the grey picture.

`--photos DIR` stores the JPEG files of a folder anew as PNG; without it, seeded synthetic photos are made.
"""

from __future__ import annotations

import io
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from bench_media import synthetic_photo
from harness import Lane, Report, jpeg_files
from isal import isal_zlib
from PIL import Image

from tamis.media import inspect, png
from tamis.media.inspection import Limits
from tamis_kernels import png as kernel


def stored(data: bytes) -> bytes:
    target = io.BytesIO()
    with Image.open(io.BytesIO(data)) as photo:
        photo.convert("RGB").save(target, "PNG")
    return target.getvalue()


def packed(data: bytes) -> bytes:
    """Return the compressed rows of a PNG."""
    parts, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            parts.append(data[place + 8 : place + 8 + length])
        place += 12 + length
    return b"".join(parts)


def pillow_load(data: bytes) -> object:
    with Image.open(io.BytesIO(data)) as image:
        return image.load()


def pillow_gray(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def main() -> None:
    report = Report.from_arguments("PNG: integrity, and the grey picture", photos={"type": Path})
    count, photos = 6 if report.quick else 30, report.options.photos
    jpegs = [path.read_bytes() for path in jpeg_files(photos)[:count]] if photos else [synthetic_photo(i) for i in range(count)]
    files = [stored(data) for data in jpegs]
    pictures = [png.read(data, Limits()) for data in files]
    streams = [(packed(data), len(picture.rows)) for data, picture in zip(files, pictures, strict=True)]
    same = all(np.array_equal(png.gray(one)[0], pillow_gray(data)) for one, data in zip(pictures, files, strict=True))
    report.check("the grey picture is Pillow's, bit for bit", same)
    report.check("whole files are ok", all(inspect(data, name="a.png").grade == "ok" for data in files))
    megabytes = sum(map(len, files)) / 1e6
    filters = np.bincount(np.concatenate([one.rows[:: kernel.row_bytes(one.header.width, 8, 2)] for one in pictures]), minlength=5)
    inflated = sum(size for _, size in streams) / 1e6
    print(f"{len(files)} files, {megabytes:.1f} MB, {inflated:.1f} MB inflated; rows by filter {filters.tolist()}")
    lanes: dict[str, Lane] = {
        "tamis, integrity": lambda: [png.read(data, Limits()) for data in files],
        "Pillow load": lambda: [pillow_load(data) for data in files],
        "isal inflate alone (the limit)": lambda: [isal_zlib.decompressobj().decompress(one, size + 1) for one, size in streams],
        "zlib inflate alone": lambda: [zlib.decompress(one) for one, _ in streams],
    }
    gray: dict[str, Lane] = {
        "tamis, integrity and grey picture": lambda: [png.gray(png.read(data, Limits())) for data in files],
        "Pillow load and convert to L": lambda: [pillow_gray(data) for data in files],
    }
    try:
        cv2: Any = import_module("cv2")
    except ImportError:
        print("cv2 is not installed")
    else:
        arrays = [np.frombuffer(data, np.uint8) for data in files]
        lanes["cv2 imdecode"] = lambda: [cv2.imdecode(one, cv2.IMREAD_COLOR) for one in arrays]
        gray["cv2 imdecode to grey"] = lambda: [cv2.imdecode(one, cv2.IMREAD_GRAYSCALE) for one in arrays]
    report.time("integrity", lanes, work=megabytes, unit="MB")
    report.time("grey picture", gray, work=megabytes, unit="MB")
    gray_only: dict[str, Lane] = {"kernel: filters and luma": lambda: [png.gray(one) for one in pictures]}
    report.time("grey picture, rows at hand", gray_only, work=inflated, unit="MB of rows")


if __name__ == "__main__":
    main()
