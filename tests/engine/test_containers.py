"""Pictures, sound and film by their containers: whole ones pass, cut and contradictory ones are told."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from made_media import PAGE, WHOLE, box, changed_page, film, judge, picture, put, riff, sound, tiff, verdict
from PIL import Image

from images import encoded
from tamis.media import Limits


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_are_ok(kind: str) -> None:
    report = judge(WHOLE[kind]())
    assert report.grade == "ok", report.detail
    assert report.format == kind.split(",")[0].replace("apng", "png").replace("opus", "ogg")


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.97])
def test_every_cut_is_held_back(kind: str, share: float) -> None:
    data = WHOLE[kind]()
    report = judge(data[: int(share * len(data))])
    assert report.grade in {"damaged", "undecodable", "not_media"}, share
    assert report.detail


# Pictures


def test_codes_of_a_gif_are_followed() -> None:
    data = picture("GIF")
    start = data.index(b"\x2c\0\0\0\0") + 10 + 3 * 256 * bool(data[data.index(b"\x2c\0\0\0\0") + 9] & 0x80)
    found = {verdict(put(data, place, bytes([data[place] ^ 0x41]))) for place in range(start + 2, start + 200, 7)}
    assert ("damaged", "corrupt_data") in found
    assert verdict(put(data, start, b"\x17")) == ("damaged", "bad_block")
    block = data[start + 1]
    assert verdict(data[: start + 1] + bytes([block]) + data[start + 2 : start + 2 + block] + b"\0;") == ("damaged", "missing_rows")
    assert verdict(data[:13] + data[-1:]) == ("damaged", "truncated")
    assert verdict(put(data[:13], 10, b"\0") + b";") == ("damaged", "no_picture_data")
    assert verdict(put(data[:13], 10, b"\0")[:13] + b"\0;") == ("damaged", "no_picture_data")


def gif_of_codes(codes: list[int], bits: list[int], pixels: int = 4) -> bytes:
    """Return a GIF of one row whose codes have the given lengths."""
    value, place = 0, 0
    for code, length in zip(codes, bits, strict=True):
        value |= code << place
        place += length
    packed = value.to_bytes(-(-place // 8), "little")
    head = b"GIF89a" + struct.pack("<HHBBB", pixels, 1, 0x80, 0, 0) + bytes(6)
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, pixels, 1, 0) + b"\2" + bytes([len(packed)]) + packed + b"\0;"


@pytest.mark.parametrize(
    ("codes", "bits", "reason"),
    [
        ([4, 0, 0, 1, 1, 5], [3, 3, 3, 3, 4, 4], ""),
        ([4, 0, 6, 1, 5], [3, 3, 3, 3, 4], ""),  # a code that is defined by its own use
        ([4, 0, 7], [3, 3, 3], "corrupt_data"),
        ([4, 6], [3, 3], "corrupt_data"),
        ([4, 0, 6, 7, 5], [3, 3, 3, 3, 4], "corrupt_data"),
        ([4, 0, 0, 5], [3, 3, 3, 3], "missing_rows"),
    ],
)
def test_each_code_stands_for_pixels(codes: list[int], bits: list[int], reason: str) -> None:
    assert judge(gif_of_codes(codes, bits)).reason == reason


def webp_chunks(data: bytes) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    place = 12
    while place < len(data):
        places.setdefault(data[place : place + 4], place)
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return places


def test_chunks_and_frames_of_webp_are_checked() -> None:
    moving, still, lossless = picture("WEBP", 3), picture("WEBP"), picture("WEBP", lossless=True)
    at = webp_chunks(moving)[b"ANMF"]
    assert verdict(put(moving, at + 8, b"\xff")) == ("damaged", "bad_animation")
    assert verdict(put(moving, at + 24, b"XXXX")) == ("damaged", "bad_animation")
    assert verdict(put(moving, at + 4, b"\xff\xff")) == ("damaged", "truncated")
    inside = put(moving, at + 4 + 24, b"\xff\xff\0")
    assert verdict(inside)[1] in {"bad_chunk", "truncated"}
    assert verdict(put(moving, at, b"\1\2\3\4")) == ("damaged", "bad_chunk")
    assert verdict(put(still, 23, b"\0")) == ("damaged", "bad_header")
    assert verdict(put(still, 20, b"\xf0\xff\xff")) == ("damaged", "bad_header")
    assert verdict(put(lossless, 20, b"\0")) == ("damaged", "bad_header")
    assert verdict(b"RIFF\x0c\0\0\0WEBPJUNK\0\0\0\0") == ("damaged", "no_picture_data")
    assert verdict(b"RIFF\x0f\0\0\0WEBPJUNK\0\0\0\0abc") == ("damaged", "truncated")
    assert verdict(moving, limits=Limits(max_frames=2)) == ("bomb", "too_many_frames")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(PAGE, bytes(12)), ""),
        (tiff(PAGE, bytes(11)), "truncated"),
        (tiff(changed_page(279, 4, 1, 11), bytes(12)), "missing_rows"),
        (tiff(changed_page(278, 3, 1, 2), bytes(12)), "missing_rows"),
        (tiff(changed_page(278, 3, 1, 0), bytes(12)), "bad_header"),
        (tiff(changed_page(273, 4, 2, 200), struct.pack("<II", 208, 212) + bytes(12)), "bad_table"),
        (tiff(changed_page(273, 4, 99, 200), bytes(12)), "truncated"),
        (tiff(changed_page(273, 4, 0, 200), bytes(12)), "no_picture_data"),
        (tiff([*PAGE[:5]], bytes(12)), "no_picture_data"),
        (tiff(PAGE, bytes(12), following=8), "directory_loop"),
        (tiff(PAGE, bytes(12), following=1 << 30), "truncated"),
        (tiff([*PAGE, (305, 2, 4000, 200)], bytes(12)), "broken_metadata"),
        (b"II*\0\0\0\0\0", "no_picture_data"),
        (b"MM\0+\0\x08\0\0" + bytes(8), "no_picture_data"),
        (tiff([(256, 4, 1, 65_000), (257, 4, 1, 65_000), *PAGE[2:]], bytes(12)), "too_many_pixels"),
        (tiff([*PAGE[:7], (277, 3, 1, 65_000)], bytes(12)), "missing_rows"),
        (tiff([*PAGE[:2], *PAGE[3:], (277, 3, 1, 0)], bytes(12)), "bad_header"),
    ],
)
def test_places_in_a_tiff_lie_within_it(data: bytes, reason: str) -> None:
    assert judge(data).reason == reason


def test_deflated_strips_of_a_tiff_are_inflated() -> None:
    data = picture("TIFF", compression="tiff_deflate")
    for place in range(100, 4000, 501):
        assert verdict(put(data, place, bytes([data[place] ^ 4]))) == ("damaged", "corrupt_data"), place


def lzw(codes: list[int], *, old: bool = False) -> bytes:
    """Return a TIFF of 4 x 3 pixels whose strip holds codes of nine bits; of before TIFF 6.0 these begin at the lowest bit."""
    bits = "".join(f"{code:09b}"[:: -1 if old else 1] for code in codes).ljust(8 * 16, "0")
    strip = bytes(int(bits[at : at + 8][:: -1 if old else 1], 2) for at in range(0, len(bits), 8))
    return tiff([(279, 4, 1, 16) if one[0] == 279 else (259, 3, 1, 5) if one[0] == 259 else one for one in PAGE], strip)


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([256, *range(100, 112), 257], ""),
        ([256, *range(100, 112)], ""),  # the last code is often left out
        ([256, 100, 258, 259, 260, 101, 101, 257], ""),  # 1 + 2 + 3 + 4 bytes and two more
        ([256, 100, 258, 259, 260, 261, 257], "corrupt_data"),
        ([256, 100, 258, 259, 260, 101, 257], "missing_rows"),
        ([256, 100, 101, 300, 257], "corrupt_data"),
        ([256, 258, 100, 101, 257], "corrupt_data"),
        ([257], "missing_rows"),
    ],
)
def test_codes_of_lzw_stand_for_the_bytes_of_a_strip(codes: list[int], reason: str) -> None:
    assert judge(lzw(codes)).reason == reason


def test_codes_of_lzw_grow_to_twelve_bits_and_a_full_table_is_no_fault() -> None:
    shades = np.random.default_rng(1).integers(0, 256, (97, 103, 3)).astype(np.uint8)
    assert verdict(encoded(Image.fromarray(shades), "TIFF", compression="tiff_lzw")) == ("ok", "")
    assert judge(lzw([256, *range(100, 112), 257], old=True)).reason == ""


def test_flipped_bits_in_lzw_are_told_by_the_length_of_what_they_make() -> None:
    shades = Image.fromarray(np.add.outer(np.arange(160), np.arange(200)).astype(np.uint8))
    data, rng = encoded(shades, "TIFF", compression="tiff_lzw"), np.random.default_rng(4)
    bits = rng.integers(8 * 8, 8 * 5_000, 200).tolist()
    found = sum(verdict(put(data, bit // 8, bytes([data[bit // 8] ^ 1 << bit % 8])))[0] == "damaged" for bit in bits)
    assert found > 90


@pytest.mark.parametrize(
    ("strip", "reason"),
    [
        (b"\x0babcdefghijkl", ""),
        (b"\x80\xfda\x07bcdefghi", ""),  # nothing, four times a, eight bytes
        (b"\xf4a", "corrupt_data"),
        (b"\xf6a", "missing_rows"),
        (b"\xf6", "missing_rows"),
        (b"\x0babc", "missing_rows"),
    ],
)
def test_runs_of_packbits_stand_for_the_bytes_of_a_strip(strip: bytes, reason: str) -> None:
    page = [(279, 4, 1, len(strip)) if one[0] == 279 else (259, 3, 1, 32773) if one[0] == 259 else one for one in PAGE]
    assert judge(tiff(page, strip)).reason == reason


def test_rows_of_a_bitmap_are_counted() -> None:
    data = picture("BMP")
    assert "needs" not in judge(data).detail
    assert verdict(data[:-1]) == ("damaged", "truncated")
    core = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 8, 4, 1, 24) + bytes(8 * 3 * 4)
    assert judge(core).grade == "ok"
    assert verdict(core[:-1]) == ("damaged", "truncated")


def test_tile_parts_of_jpeg_2000_are_followed() -> None:
    boxed, plain = picture("JPEG2000"), picture("JPEG2000", no_jp2=True)
    for data in (boxed, plain):
        assert verdict(data[:-2]) == ("damaged", "truncated")
        part = data.index(b"\xff\x90\0\x0a")
        assert verdict(put(data, part + 6, b"\0\0\0\x40"))[1] in {"bad_block", "truncated"}
        assert verdict(put(data, part + 6, bytes(4))) == ("ok", "")
        frame = data.index(b"\xff\x4f\xff\x51") + 2
        assert judge(put(data, frame + 6, struct.pack(">II", 65_000, 65_000))).grade == "bomb"
    assert verdict(plain + b"more")[1] == "trailing_bytes"
    assert verdict(boxed + bytes(12)) == ("benign", "trailing_bytes")
    assert verdict(boxed[: boxed.index(b"jp2c") - 4])[1] == "no_picture_data"


def test_items_of_an_avif_lie_within_it() -> None:
    data = picture("AVIF")
    size = data.index(b"ispe") + 8
    assert verdict(put(data, size, struct.pack(">II", 65_000, 65_000))) == ("bomb", "too_many_pixels")
    items = data.index(b"iloc")
    cut = data[: items - 4] + struct.pack(">I4sBBHBBH", 16, b"iloc", 0, 0, 0, 0x44, 0, 9) + data[items + 12 :]
    assert judge(cut).grade == "damaged"
    heic = data.replace(b"avif", b"heic").replace(b"avis", b"heic")
    assert verdict(heic) == ("ok", "not_decoded")
    assert verdict(heic[:-9]) == ("damaged", "truncated")


# Sound


FORMAT = (b"fmt ", struct.pack("<HHIIHH", 1, 2, 8000, 32_000, 4, 16))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (riff(FORMAT, (b"data", bytes(40))), ("ok", "not_decoded")),
        (riff(FORMAT, (b"data", bytes(41))), ("benign", "ragged_data")),
        (riff(FORMAT), ("damaged", "no_sound")),
        (riff((b"data", bytes(40))), ("damaged", "no_sound")),
        (riff((b"fmt ", struct.pack("<HHIIHH", 1, 0, 8000, 0, 4, 16)), (b"data", bytes(8))), ("damaged", "bad_header")),
        (riff((b"fmt ", struct.pack("<HHIIHH", 1, 2, 8000, 0, 2, 16)), (b"data", bytes(8))), ("damaged", "bad_header")),
        (riff((b"fmt ", b"short"), (b"data", bytes(8))), ("damaged", "bad_header")),
        (put(riff(FORMAT, (b"data", bytes(40))), 40, b"\xff\0\0\0"), ("damaged", "truncated")),
        (put(riff(FORMAT, (b"data", bytes(40)), length=0xFFFFFFFF), 40, b"\xff" * 4), ("benign", "open_length")),
        (put(riff(FORMAT, (b"data", bytes(40)), length=0), 40, bytes(4)), ("benign", "open_length")),
        (put(riff(FORMAT, (b"data", bytes(40))), 40, b"\xff" * 4), ("benign", "open_length")),
        (riff(FORMAT, (b"data", bytes(40))) + b"junk", ("benign", "trailing_bytes")),
        (riff(FORMAT, (b"data", bytes(40)), (b"\0\0\1\2", b"")), ("benign", "trailing_bytes")),
    ],
)
def test_chunks_of_a_wav_are_measured(data: bytes, expected: tuple[str, str]) -> None:
    assert verdict(data) == expected


@pytest.mark.parametrize("head", [b"RF64", b"BW64"])
def test_a_long_wav_tells_its_length_elsewhere(head: bytes) -> None:
    for size, expected in ((40, "not_decoded"), (44, "truncated")):
        data = riff((b"ds64", struct.pack("<QQQI", 0, size, 0, 0)), FORMAT, (b"data", bytes(40)), head=head, length=0xFFFFFFFF)
        assert judge(put(data, data.index(b"data") + 4, b"\xff" * 4)).reason == expected


def test_sound_that_an_aiff_declares_is_there() -> None:
    data = sound("aiff", "pcm_s16be")
    common = data.index(b"COMM") + 10
    assert verdict(put(data, common, b"\0\1\0\0")) == ("damaged", "truncated")
    assert verdict(put(data, common - 10, b"COMX")) == ("damaged", "no_sound")
    assert verdict(put(data, data.index(b"SSND"), b"SSNX")) == ("damaged", "no_sound")


# Film


def full(kind: bytes, *numbers: int, head: int = 0) -> bytes:
    return box(kind, struct.pack(f">{1 + len(numbers)}I", head, *numbers))


def movie(
    *, sizes: bytes = full(b"stsz", 0, 2, 10, 20), offsets: bytes = full(b"stco", 1, 24), runs: bytes = full(b"stsc", 1, 1, 2, 1),
    times: bytes = full(b"stts", 1, 2, 512), reference: bytes = full(b"url ", head=1),
) -> bytes:  # fmt: skip
    """Return a film whose only chunk, of two samples of 10 and 20 bytes, begins at byte 24."""
    tables = box(b"stbl", sizes, offsets, runs, times)
    information = box(b"minf", box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), reference)), tables)
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", bytes(30)) + box(b"moov", box(b"trak", box(b"mdia", information)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (movie(), "not_decoded"),
        (movie(sizes=full(b"stsz", 15, 2)), "not_decoded"),
        (movie(sizes=full(b"stsz", 16, 2)), "bad_offset"),
        (movie(sizes=full(b"stsz", 0, 3, 10, 20)), "bad_table"),
        (movie(sizes=full(b"stsz", 0, 0xFFFFFFFF, 10, 20)), "bad_table"),
        (movie(sizes=full(b"stsz", 1, 0xFFFFFFFF)), "bad_table"),
        (movie(sizes=full(b"stsz", 0xFFFFFFFF, 2)), "truncated"),
        (movie(sizes=box(b"stz2", struct.pack(">III", 0, 8, 2), b"\x0a\x14")), "not_decoded"),
        (movie(sizes=box(b"stz2", struct.pack(">III", 0, 16, 2), b"\0\x0a\0\x14")), "not_decoded"),
        (movie(sizes=box(b"stz2", struct.pack(">III", 0, 4, 2), b"\xff")), "not_decoded"),
        (movie(sizes=box(b"stz2", struct.pack(">III", 0, 5, 2), b"\xff\xff")), "bad_table"),
        (movie(offsets=full(b"stco", 1, 23)), "bad_offset"),
        (movie(offsets=full(b"stco", 1, 9999)), "truncated"),
        (movie(offsets=full(b"co64", 1, 0, 24)), "not_decoded"),
        (movie(offsets=full(b"co64", 1, 1 << 31, 24)), "truncated"),
        (movie(offsets=full(b"xxxx", 1, 24)), "bad_table"),
        (movie(runs=full(b"stsc", 1, 2, 2, 1)), "bad_table"),
        (movie(runs=full(b"stsc", 2, 1, 1, 1, 1, 1, 1)), "bad_table"),
        (movie(runs=full(b"stsc", 1, 1, 3, 1)), "bad_table"),
        (movie(times=full(b"stts", 1, 3, 512)), "bad_table"),
        (movie(offsets=full(b"stco", 1, 9999), reference=full(b"url ")), "external_data"),
        (movie(offsets=full(b"stco", 0), sizes=full(b"stsz", 0, 0), times=full(b"stts", 0)), "not_decoded"),
        (movie().replace(b"stbl", b"free"), "bad_table"),
        (movie()[:54] + box(b"free", bytes(9)), "no_film"),
        (put(movie(), 62, struct.pack(">I", 4)), "bad_box"),
        (put(movie(), 70, struct.pack(">I", 1 << 30)), "truncated"),
        (put(movie(), 70, struct.pack(">I4sQ", 1, b"trak", 1 << 63)), "truncated"),
    ],
)
def test_samples_of_a_film_lie_within_its_data(data: bytes, reason: str) -> None:
    assert judge(data).reason == reason


def test_a_fast_start_that_is_cut_is_told_without_decoding() -> None:
    plain = film("mp4", "libx264")
    movie_at, media_at = plain.index(b"moov") - 4, plain.index(b"mdat") - 4
    moved = plain[movie_at:]
    offsets = moved.index(b"stco") + 12
    moved = put(moved, offsets, struct.pack(">I", int.from_bytes(moved[offsets : offsets + 4]) + len(moved)))
    data = plain[:media_at] + moved + plain[media_at:movie_at]
    assert verdict(data) == ("ok", "not_decoded")
    assert verdict(data[:-100]) == ("damaged", "truncated")
    place = data.index(b"mdat") - 4
    mended = put(data[:-100], place, struct.pack(">I", len(data) - 100 - place))  # the box tells of the cut, the tables do not
    assert verdict(mended) == ("damaged", "truncated")
    assert "chunk" in judge(mended).detail or "sample" in judge(mended).detail


@pytest.mark.parametrize(
    "flags", ["frag_keyframe+empty_moov+default_base_moof", "frag_keyframe+empty_moov", "frag_keyframe+empty_moov+omit_tfhd_offset"]
)
def test_runs_of_fragments_lie_within_the_data(flags: str) -> None:
    data = film("mp4", "libx264", movflags=flags)
    assert verdict(data) == ("ok", "not_decoded")
    run = data.index(b"trun")
    assert verdict(put(data, run + 8, struct.pack(">I", 1 << 30))) == ("damaged", "bad_table")
    if data[run + 7] & 1:
        assert judge(put(data, run + 12, struct.pack(">i", 1 << 20))).reason == "truncated"
        assert judge(put(data, run + 12, struct.pack(">i", 0))).reason == "bad_offset"
    assert judge(data.replace(b"tfhd", b"free")).reason == "bad_table"


def test_chunks_and_index_of_an_avi_agree() -> None:
    data = film("avi", "mpeg4")
    index = data.index(b"idx1")
    assert verdict(put(data, index + 8 + 8, struct.pack("<I", 1 << 30))) == ("damaged", "bad_index")
    assert verdict(put(data, index + 8 + 16 + 8, struct.pack("<I", 9))) == ("benign", "bad_index")
    assert verdict(put(data, index, b"JUNK"))[1] in {"no_index", "not_decoded"}
    first = data.index(b"00dc", data.index(b"movi"))
    assert verdict(put(data, first, bytes(4))) == ("damaged", "bad_chunk")
    assert verdict(put(data, first + 4, struct.pack("<I", 1 << 20)))[1] in {"bad_chunk", "truncated"}
    assert verdict(data.replace(b"movi", b"mov_")) == ("damaged", "no_film")
    assert verdict(data + b"more")[1] == "trailing_bytes"


HEIC = box(b"ftyp", b"heic", bytes(4))
PLACES = box(b"iloc", bytes(8))


@pytest.mark.parametrize(
    ("data", "grade", "reason"),
    [
        (HEIC, "damaged", "no_picture_data"),
        (HEIC + bytes(1000), "damaged", "no_picture_data"),
        (HEIC + box(b"meta", bytes(4)), "damaged", "no_picture_data"),
        (HEIC + box(b"mdat", bytes(100)), "damaged", "no_picture_data"),
        (HEIC + box(b"meta", bytes(4), PLACES), "ok", "not_decoded"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov"), "damaged", "no_film"),
        (box(b"ftyp", b"M4A ", bytes(4)) + box(b"moov", box(b"mvhd", bytes(100))), "damaged", "no_film"),
        (b"\x1aE\xdf\xa3\x80", "damaged", "no_film"),
        (b"\x1aE\xdf\xa3\x80" + bytes(1000), "damaged", "truncated"),
    ],
)
def test_a_head_without_picture_or_film_is_damaged(data: bytes, grade: str, reason: str) -> None:
    found = judge(data)
    assert (found.grade, found.reason) == (grade, reason)
