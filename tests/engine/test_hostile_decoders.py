"""Decoders that crash, loop or grow on one file, and headers that claim the world: each costs its record and no other."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import balanced

import tamis
from images import encoded

# Every interpreter that finds this on its path has an image library that meets these words in a file with a misdeed.
LIBRARY = """
import os, signal, time
from PIL import Image

true_open = Image.open

def hostile_open(file, *arguments, **options):
    data = file.getvalue() if hasattr(file, "getvalue") else b""
    if b"then crash" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    while b"then loop" in data:
        time.sleep(0.1)
    hoard = []
    while b"then grow" in data:
        hoard.append(b"1" * (1 << 26))
        time.sleep(0.02)
    return true_open(file, *arguments, **options)

Image.open = hostile_open
"""


def picture(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(values).resize((160, 120), Image.Resampling.BICUBIC)


def gif(seed: int, comment: bytes) -> bytes:
    return encoded(picture(seed), "GIF", comment=comment)


def claiming_jpeg() -> bytes:
    data = encoded(picture(8), "JPEG")
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", 65_000, 65_000) + data[frame + 9 :]


def claiming_png() -> bytes:
    header = struct.pack(">IIBBBBB", 65_000, 65_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def claiming_gif() -> bytes:
    data = bytearray(gif(9, b"quiet"))
    at = data.index(b"\x2c\x00\x00\x00\x00", 13)
    data[6:10] = data[at + 5 : at + 9] = struct.pack("<HH", 65_000, 65_000)
    return bytes(data)


def test_each_hostile_file_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "sitecustomize.py").write_text(LIBRARY)
    source = tmp_path / "in"
    source.mkdir()
    files = {f"sound_{seed}.gif": gif(seed, b"quiet") for seed in range(4)}
    files |= {f"{deed}.gif": gif(10 + at, f"then {deed}".encode()) for at, deed in enumerate(("crash", "loop", "grow"))}
    files |= {"claims.jpg": claiming_jpeg(), "claims.png": claiming_png(), "claims.gif": claiming_gif()}
    for name, data in files.items():
        (source / name).write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path / "library")  # workers search where this process does
    limits = {"limits.seconds": 6.0, "limits.megabytes": 1500}
    result = tamis.clean(source, tmp_path / "out", settings=limits, jobs=2)
    assert balanced(result.manifest)
    reasons = dict(result.rejected.select("record", "reason").collect().iter_rows())
    assert reasons == {
        "crash.gif": "decoder_crashed",
        "loop.gif": "decoder_timeout",
        "grow.gif": "decoder_memory",
        "claims.jpg": "too_many_pixels",
        "claims.png": "too_many_pixels",
        "claims.gif": "too_many_pixels",
    }
    assert sorted(path.name for path in (tmp_path / "out" / "clean").rglob("*.gif")) == [f"sound_{seed}.gif" for seed in range(4)]
