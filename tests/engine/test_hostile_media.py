"""Hostile and damaged files of every format: each gets its verdict, and none costs more than itself."""

from __future__ import annotations

import itertools
import struct
import time

import numpy as np
import pytest
from made_media import WHOLE, box, changed_page, ogg, picture, png_chunk, put, riff, tiff

from tamis.media import GRADES, Limits, inspect

LIMITS = Limits(max_pixels=1 << 22, max_total_pixels=1 << 24, max_frames=1000)


def hostile() -> dict[str, tuple[bytes, set[str]]]:
    """Return hostile files and the grades that are right for each."""
    huge = struct.pack("<HH", 65_000, 65_000)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    gif = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    deep_box = b""
    for _ in range(20_000):
        deep_box = box(b"moov", deep_box) if len(deep_box) < 200_000 else deep_box
    element = b"\xec\x80"
    for _ in range(5000):
        element = b"\x18\x53\x80\x67" + (len(element) | 1 << 56).to_bytes(8) + element
    webp = b"RIFF" + struct.pack("<I4s4sI", 22, b"WEBP", b"VP8X", 10) + b"\0\0\0\0" + struct.pack("<I", 64_999)[:3] * 2
    return {
        "gif of 65,000 x 65,000": (put(picture("GIF"), 6, huge), {"bomb"}),
        "gif frame of 65,000 x 65,000": (gif + put(frame, 5, huge) + b";", {"bomb"}),
        "bmp of 65,000 x 65,000": (put(picture("BMP"), 18, struct.pack("<ii", 65_000, -65_000)), {"bomb"}),
        "webp of 65,000 x 65,000": (webp, {"bomb"}),
        "gif of a million frames": (gif + frame * 1_000_000 + b";", {"bomb"}),
        "mp4 of nested boxes": (box(b"ftyp", b"isom", bytes(4)) + deep_box, {"ok", "damaged"}),
        "mp4 of overlapping boxes": (box(b"ftyp", b"isom", bytes(4)) + b"\0\0\0\x09moov" + b"\x7f" * 30, {"damaged"}),
        "heic of 60,000 items of 65,535 extents of no width": (
            box(b"ftyp", b"heic", bytes(4)) + box(b"meta", bytes(4), box(b"iloc", bytes(6), b"\xea\x60", b"\0\1\0\0\xff\xff" * 60_000)),
            {"ok"},
        ),
        "mkv of nested segments": (b"\x1aE\xdf\xa3\x80" + element, {"damaged"}),
        "tiff of a million strips": (tiff(changed_page(273, 4, 1 << 31, 200), bytes(99)), {"damaged"}),
        "mp3 of many tags": ((b"ID3\4\0\0" + bytes(4)) * 50_000, {"damaged"}),
        "mp3 of sync marks": (b"ID3\4\0\0" + bytes(4) + b"\xff\xfb" * 100_000, {"damaged"}),
        "png of a million chunks": (b"\x89PNG\r\n\x1a\n" + picture("PNG")[8:33] + png_chunk(b"tIME", b"") * 300_000, {"damaged"}),
        "avi of a million chunks": (riff((b"LIST", b"movi" + b"JUNK\0\0\0\0" * 300_000), kind=b"AVI "), {"benign"}),
        "ogg of empty pages": (ogg("VORBIS")[:27].replace(b"\1", b"\0") * 1000, {"damaged"}),
    }


@pytest.mark.parametrize("case", hostile())
def test_a_hostile_file_gets_its_verdict_soon(case: str) -> None:
    data, grades = hostile()[case]
    begun = time.process_time()
    assert inspect(data, name="file").grade in grades
    assert time.process_time() - begun < 60  # no measure of speed: it ends at all


def broken(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, delete, repeat, or splice two files."""
    place, length = int(rng.integers(len(data))), int(rng.integers(1, 80))
    kind = rng.integers(6)
    if kind == 0:
        changed_data = bytearray(data)
        for bit in rng.integers(0, 8 * len(data), rng.integers(1, 12)).tolist():
            changed_data[bit // 8] ^= 1 << bit % 8
        return bytes(changed_data)
    if kind == 1:
        return put(data, place, (b"\0", b"\xff", b"\x7f")[rng.integers(3)] * length)[: len(data)]
    return (
        data[:place],
        data[:place] + data[place + length :],
        data[:place] + data[max(0, place - length) :],
        data[:place] + other[int(rng.integers(len(other))) :],
    )[kind - 2]


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("deep", [False, True], ids=["walk", "deep"])
def test_any_damage_gets_a_verdict(kind: str, deep: bool) -> None:
    rng = np.random.default_rng([8, *kind.encode()])
    others = itertools.cycle(make() for make in WHOLE.values())
    for _ in range(25 if deep else 60):
        report = inspect(broken(WHOLE[kind](), next(others), rng), name="file", limits=LIMITS, deep=deep)
        assert report.grade in GRADES
        assert report.grade == "ok" or (report.reason and report.detail)
        walked_alone = report.format in {
            "wav",
            "aiff",
            "mp3",
            "aac",
            "flac",
            "ogg",
            "m4a",
            "mp4",
            "mov",
            "mkv",
            "webm",
            "avi",
            "png",
            "heic",
        }
        assert not walked_alone or "Error:" not in report.detail, report.detail
