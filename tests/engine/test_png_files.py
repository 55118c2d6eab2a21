"""PNG and APNG files that the tests build chunk by chunk: what is whole, what is not, and what is a bomb."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_media import judge, picture, png_chunk, verdict

from tamis.media import Limits, png, raster
from tamis_kernels.png import CHANNELS, DEPTHS, row_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = [(depth, colour) for colour, depths in DEPTHS.items() for depth in depths]
PALETTE = png_chunk(b"PLTE", np.random.default_rng(4).bytes(768))
END = png_chunk(b"IEND", b"")


def header(width: int = 6, height: int = 5, depth: int = 8, colour: int = 0, rest: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *rest))


def idat(rows: bytes) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(rows))


ROWS = b"".join(bytes([kind]) + bytes(range(6)) for kind in range(5))


def build(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + END


def interlaced_rows(width: int, height: int, depth: int, colour: int) -> bytes:
    rng = np.random.default_rng(7)
    rows = b""
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        columns, count = max(0, -(-(width - x) // dx)), max(0, -(-(height - y) // dy))
        for _ in range(count if columns else 0):
            rows += bytes([rng.integers(5)]) + rng.bytes(row_bytes(columns, depth, colour) - 1)
    return rows


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (13, 9)])
@pytest.mark.parametrize(("depth", "colour"), KINDS)
def test_the_picture_of_an_interlaced_png_is_pillows(depth: int, colour: int, size: tuple[int, int]) -> None:
    palette = [PALETTE] if colour == 3 else []
    data = build(header(*size, depth, colour, (0, 0, 1)), *palette, idat(interlaced_rows(*size, depth, colour)))
    report = judge(data)
    assert (report.grade, report.reason) == ("ok", "")
    theirs = raster.decode(data, "png", "file", Limits(), want_picture=True)
    assert (report.mode, report.width, report.height) == ("LA" if (depth, colour) == (16, 4) else theirs.mode, theirs.width, theirs.height)
    assert report.gray is not None
    assert theirs.gray is not None
    np.testing.assert_array_equal(report.gray, theirs.gray)
    if colour in (0, 4):
        assert report.chroma is None
        return
    assert report.chroma is not None
    assert theirs.chroma is not None
    apart = report.chroma.astype(int) - np.concatenate([plane.ravel() for plane in theirs.chroma])
    assert np.abs(apart).max() <= 2


def test_all_colours_have_channels_and_depths() -> None:
    assert CHANNELS.keys() == DEPTHS.keys()


@pytest.mark.parametrize(
    "bad",
    [
        header(0, 5),
        header(6, 0),
        header(1 << 31, 1),
        header(depth=3),
        header(depth=16, colour=3),
        header(colour=5),
        header(rest=(1, 0, 0)),
        header(rest=(0, 1, 0)),
        header(rest=(0, 0, 2)),
        png_chunk(b"IHDR", b"short"),
    ],
)
def test_a_header_that_cannot_be_is_undecodable(bad: bytes) -> None:
    assert verdict(build(bad, idat(ROWS))) == ("undecodable", "bad_header")


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([header(), header(), idat(ROWS)], "bad_chunk"),
        ([header(), idat(ROWS[:9]), png_chunk(b"tIME", bytes(7)), idat(ROWS[9:])], "bad_chunk"),
        ([header(), png_chunk(b"NEED", b""), idat(ROWS)], "bad_chunk"),
        ([header(), png_chunk(b"\0\0\0\0", b""), idat(ROWS)], "bad_chunk"),
        ([idat(ROWS), header()], "no_header"),
        ([header()], "no_picture_data"),
        ([header(colour=3), idat(ROWS)], "no_palette"),
        ([header(colour=3), png_chunk(b"PLTE", bytes(4)), idat(ROWS)], "bad_palette"),
        ([header(), idat(ROWS[:14] + b"\5" + ROWS[15:])], "bad_filter"),
        ([header(), idat(ROWS[:-1])], "missing_rows"),
        ([header(), png_chunk(b"IDAT", zlib.compress(ROWS)[:-1] + b"?")], "corrupt_data"),
    ],
)
def test_what_breaks_the_picture_is_damage(chunks: Sequence[bytes], reason: str) -> None:
    assert verdict(build(*chunks)) == ("damaged", reason)


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([header(), idat(ROWS), png_chunk(b"pHYs", bytes(9))], "chunk_order"),
        ([header(), PALETTE, idat(ROWS)], "chunk_order"),
        ([header(colour=3), PALETTE, png_chunk(b"gAMA", bytes(4)), idat(ROWS)], "chunk_order"),
        ([header(), idat(ROWS + b"\0more")], "excess_rows"),
        ([header(), png_chunk(b"IDAT", zlib.compress(ROWS) + b"pad")], "excess_data"),
        ([header(), png_chunk(b"IDAT", zlib.compress(ROWS)[:-4])], "no_end_of_stream"),
        ([header(colour=3), png_chunk(b"PLTE", bytes(6)), idat(b"\0\0\1\2\0\0\0" * 5)], "palette_index"),
        ([header(), png_chunk(b"zTXt", b"Title\0\0not zlib"), idat(ROWS)], "broken_metadata"),
        ([header(), png_chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"text")[:-5]), idat(ROWS)], "broken_metadata"),
        ([header(), png_chunk(b"iCCP", b"profile\0\0" + b"\xff" * 9), idat(ROWS)], "broken_metadata"),
    ],
)
def test_what_lies_beside_the_picture_is_benign(chunks: Sequence[bytes], reason: str) -> None:
    report = judge(build(*chunks))
    assert (report.grade, report.reason) == ("benign", reason)
    assert report.gray is not None


def test_sound_metadata_are_no_finding() -> None:
    texts = [
        png_chunk(b"tEXt", b"Title\0plain"),
        png_chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"packed")),
        png_chunk(b"iTXt", b"Title\0\0\0de\0Titel\0gr\xc3\xbcn"),
        png_chunk(b"iTXt", b"Title\0\1\0de\0Titel\0" + zlib.compress(b"packed")),
        png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(300))),
    ]
    assert verdict(build(header(), *texts, idat(ROWS))) == ("ok", "")


def test_the_lost_share_is_told() -> None:
    rows = b"".join(b"\0" + np.random.default_rng(row).bytes(6000) for row in range(40))
    packed = bytearray(zlib.compress(rows, 0))
    packed[len(packed) // 2] ^= 255
    report = judge(build(header(6000, 40), png_chunk(b"IDAT", bytes(packed))))
    assert report.reason == "corrupt_data"
    short = judge(build(header(), idat(ROWS[:21])))
    assert short.lost == pytest.approx(0.4)
    assert "21 bytes" in short.detail


# Animations


def control(number: int, size: tuple[int, int] = (6, 5), place: tuple[int, int] = (0, 0)) -> bytes:
    return png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, *place, 1, 10, 0, 0))


def frame(number: int, rows: bytes = ROWS) -> bytes:
    return png_chunk(b"fdAT", struct.pack(">I", number) + zlib.compress(rows))


def announce(frames: int) -> bytes:
    return png_chunk(b"acTL", struct.pack(">II", frames, 0))


def test_frames_of_an_animation_are_counted() -> None:
    part = b"".join(b"\0" + bytes(2) for _ in range(3))
    assert judge(build(header(), announce(2), control(0), idat(ROWS), control(1, (2, 3), (4, 2)), frame(2, part))).frames == 2
    apart = judge(build(header(), announce(1), idat(ROWS), control(0), frame(1)))
    assert (apart.grade, apart.frames) == ("ok", 2)  # the still picture is no part of the animation
    assert judge(build(header(), idat(ROWS), control(0), frame(1))).grade == "ok"  # without acTL there is none


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([announce(0), idat(ROWS)], "bad_animation"),
        ([announce(2), control(0), idat(ROWS)], "bad_animation"),
        ([announce(2), control(0), idat(ROWS), control(2), frame(3)], "bad_animation"),
        ([announce(1), idat(ROWS), frame(0)], "bad_animation"),
        ([announce(1), idat(ROWS), control(0)], "bad_animation"),
        ([announce(1), idat(ROWS), control(0, (6, 5), (1, 0)), frame(1)], "bad_animation"),
        ([announce(1), control(0, (5, 5)), idat(ROWS)], "bad_animation"),
        ([announce(1), idat(ROWS), control(0), frame(1, ROWS[:-1])], "missing_rows"),
        ([announce(1), idat(ROWS), control(0), frame(1, b"\7" + ROWS[1:])], "bad_filter"),
    ],
)
def test_an_animation_holds_what_it_announces(chunks: Sequence[bytes], reason: str) -> None:
    assert verdict(build(header(), *chunks)) == ("damaged", reason)


# Bombs


@pytest.mark.parametrize("kind", [b"IDAT", b"zTXt", b"iTXt", b"iCCP"])
def test_a_zip_bomb_in_a_chunk_is_inflated_no_further_than_its_limit(kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MOST_METADATA", 1 << 20)
    packed = zlib.compress(bytes(50_000_000))
    before = {b"IDAT": b"", b"iTXt": b"a\0\1\0\0\0"}.get(kind, b"a\0\0")
    data = build(header(), png_chunk(kind, before + packed), *([] if kind == b"IDAT" else [idat(ROWS)]))
    tracemalloc.start()
    grade = verdict(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert grade == (("benign", "excess_rows") if kind == b"IDAT" else ("bomb", "too_much_metadata"))
    assert peak < 10_000_000


def test_more_pixels_than_the_bytes_can_hold_are_a_bomb() -> None:
    assert verdict(build(header(13_000, 13_000), idat(ROWS))) == ("bomb", "too_few_bytes")
    assert verdict(build(header(65_000, 65_000), idat(ROWS))) == ("bomb", "too_many_pixels")


def test_frames_beyond_the_limits_are_a_bomb() -> None:
    data = picture("PNG", 3)
    assert judge(data, limits=Limits(max_frames=2)).reason == "too_many_frames"
    assert judge(data, limits=Limits(max_total_pixels=40 * 48)).reason == "too_many_pixels"
