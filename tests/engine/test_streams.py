"""Sound and film by their pages, frames and elements: whole ones are whole, and damage is told with its byte."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import judge


def checksum(data: bytes, polynomial: int, bits: int) -> int:
    """Compute a checksum bit by bit, highest first."""
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
    return value


def page(number: int, flags: int, body: bytes, stream: int = 7) -> bytes:
    lengths = [255] * (len(body) // 255) + [len(body) % 255]
    head = b"OggS\0" + bytes([flags]) + bytes(8) + stream.to_bytes(4, "little") + number.to_bytes(4, "little")
    tail = bytes([len(lengths), *lengths]) + body
    crc = checksum(head + bytes(4) + tail, 0x04C11DB7, 32)
    return head + crc.to_bytes(4, "little") + tail


def ogg() -> bytes:
    pages = [page(0, 2, b"\x01vorbis header"), page(0, 2, b"other", 8), page(1, 0, bytes(range(256)) * 3), page(1, 4, b"end", 8)]
    return b"".join([*pages, page(2, 4, b"last")])


def frame(number: int, level: int) -> bytes:
    """One FLAC frame: 200 equal samples of 16 bits."""
    head = bytes([0xFF, 0xF8, 0x69, 0x08, number, 199])
    body = head + bytes([checksum(head, 0x07, 8), 0]) + level.to_bytes(2)
    return body + checksum(body, 0x8005, 16).to_bytes(2)


def flac(frames: int = 9, total: int | None = None, blocks: bytes = (200).to_bytes(2) * 2) -> bytes:
    total = 200 * frames if total is None else total
    info = blocks + bytes(6) + (44_100 << 44 | 15 << 36 | total).to_bytes(8) + bytes(16)
    comment = b"\x84\x00\x00\x05abcde"
    return b"fLaC\x00\x00\x00\x22" + info + comment + b"".join(frame(number, 1000 * number) for number in range(frames))


def element(kind: int, body: bytes, *, open_end: bool = False) -> bytes:
    size = b"\x01" + b"\xff" * 7 if open_end else (len(body) | 1 << 28).to_bytes(4)
    return kind.to_bytes((kind.bit_length() + 7) // 8) + size + body


def mkv(*, open_end: bool = False) -> bytes:
    """Three clusters, the last with a block in a group; all with checksums but the second, which is open where the segment is."""
    tracks = element(0x1654AE6B, element(0xAE, element(0xD7, b"\x05") + element(0x83, b"\x11")))
    clusters = b""
    for number in range(3):
        block = b"\x85\0\0\x80" + bytes([number]) * 120
        body = (
            element(0xE7, bytes([number]))
            + element(0xA3, block)
            + (element(0xA0, element(0xA1, block)) if number == 2 else element(0xA3, block))
        )
        if number != 1:
            body = b"\xbf\x84" + zlib.crc32(body).to_bytes(4, "little") + body
        clusters += element(0x1F43B675, body, open_end=open_end and number == 1)
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return head + element(0x18538067, element(0x1549A966, bytes(40)) + tracks + clusters, open_end=open_end)


WHOLE = {"ogg": ogg, "flac": flac, "mkv": mkv}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_stream_is_ok(kind: str) -> None:
    report = judge(WHOLE[kind]())
    assert (report.grade, report.format) == ("ok", kind)


def test_streams_of_unknown_length_are_ok() -> None:
    assert judge(flac(total=0)).grade == "ok"
    assert judge(mkv(open_end=True)).grade == "ok"


@pytest.mark.parametrize("kind", WHOLE)
def test_every_cut_is_damage(kind: str) -> None:
    data = WHOLE[kind]()
    for stop in range(60, len(data), 7):
        report = judge(data[:stop])
        assert (report.grade, report.reason) == ("damaged", "truncated"), stop
        assert f"byte {stop}" in report.detail or f"of {stop}" in report.detail


@pytest.mark.parametrize("kind", ["ogg", "flac"])
def test_every_changed_byte_is_damage(kind: str) -> None:
    data = WHOLE[kind]()
    start = 4 if kind == "ogg" else 51
    for place in range(start, len(data), 3):
        broken = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        assert judge(broken).grade == "damaged", place


def test_elements_of_matroska_are_checked_by_place_track_and_checksum() -> None:
    data = mkv()
    cases = {
        data.index(b"\x85\0\0\x80"): "bad_checksum",
        data.index(b"\x85\0\0\x80" + b"\1" * 9): "bad_block",
        data.index(b"\xa3", data.index(b"\1" * 100)): "bad_element",
        data.rindex(b"\x1f\x43\xb6\x75"): "bad_element",
        data.rindex(b"\xa1"): "bad_checksum",
    }
    for place, reason in cases.items():
        broken = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert (judge(broken).grade, judge(broken).reason) == ("damaged", reason), place
    longer = data.index(b"\xa3", data.index(b"\1" * 100)) + 4
    assert judge(data[:longer] + b"\xff" + data[longer + 1 :]).reason == "bad_element"


def test_a_page_that_is_missing_is_told_by_the_next_ones_number() -> None:
    data = page(0, 2, b"a") + page(2, 4, b"b")
    report = judge(data)
    assert report.reason == "missing_pages"
    assert f"byte {len(page(0, 2, b'a'))}" in report.detail


def test_a_broken_frame_is_told_from_a_cut() -> None:
    data = bytearray(flac())
    data[-28] ^= 1
    report = judge(bytes(data))
    assert (report.grade, report.reason) == ("damaged", "corrupt_data")
    assert f"byte {len(data) - 36}" in report.detail


def test_stream_information_that_cannot_be_is_damage() -> None:
    assert judge(flac(blocks=(4).to_bytes(2) * 2)).reason == "bad_header"
    assert judge(b"fLaC" + bytes(60)).reason == "bad_header"
    assert judge(flac()[:4] + b"\x01" + flac()[5:]).reason == "bad_header"


@pytest.mark.parametrize("kind", ["ogg", "flac"])
def test_bytes_behind_the_end_are_benign(kind: str) -> None:
    tag = b"TAG" + bytes(125)
    assert (judge(WHOLE[kind]() + tag).grade, judge(WHOLE[kind]() + tag).reason) == ("benign", "trailing_bytes")
    assert judge(mkv() + bytes(9)).reason == "trailing_bytes"
    assert judge(flac(total=0) + tag).reason == "trailing_bytes"


def test_junk_before_the_first_frame_is_benign() -> None:
    data = flac()
    assert judge(data[:51] + b"junk" + data[51:]).reason == "junk_in_header"


@given(kind=st.sampled_from(sorted(WHOLE)), place=st.integers(0, 900), patch=st.binary(max_size=40), drop=st.integers(0, 60))
def test_no_bytes_break_the_walk(kind: str, place: int, patch: bytes, drop: int) -> None:
    data = WHOLE[kind]()
    broken = data[:place] + patch + data[place + drop :]
    report = judge(broken)
    assert report.reason != "decoder_error"
    assert report.grade in {"ok", "benign", "damaged", "not_media"}
