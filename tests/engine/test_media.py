"""Verdicts on pictures that the tests draw themselves, whole and broken in many ways."""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import judge, png_chunk
from PIL import Image

from images import encoded
from tamis.media import GRADES, Inspection, Limits, sniff
from tamis.media.sniff import extension_disagrees
from tamis_kernels import perceptual

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "DDS")
JPEG_OPTIONS = ({"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 4}, {"quality": 5}, {"optimize": True})
MAGIC = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"RIFF\x20\0\0\0WEBP", b"\0\0\1\0\1\0")


@cache
def scene(height: int = 300, width: int = 400, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    channels = []
    for _ in range(3):
        waves = sum(rng.uniform(5, 30) * np.sin(rng.uniform(-25, 25) * y + rng.uniform(-25, 25) * x) for _ in range(10))
        channels.append(128 + waves + rng.normal(0, 6, (height, width)))
    colours: NDArray[np.uint8] = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    colours.flags.writeable = False
    return colours


@cache
def picture(format_name: str, mode: str = "RGB", **options: Any) -> bytes:
    return encoded(Image.fromarray(scene()).convert(mode), format_name, **options)


@cache
def animation(format_name: str) -> bytes:
    frames = [Image.fromarray(scene(60, 80, seed)) for seed in range(4)]
    return encoded(frames[0], format_name, save_all=True, append_images=frames[1:], duration=40)


def after_header(png: bytes, extra: bytes) -> bytes:
    return png[:33] + extra + png[33:]


def scan_start(jpeg: bytes) -> int:
    return jpeg.index(b"\xff\xda") + 14


def means(levels: NDArray[Any]) -> NDArray[Any]:
    """Return the means of cells of 8 x 8 pixels, at the border of those that are there."""
    height, width = levels.shape
    sums = np.add.reduceat(np.add.reduceat(levels.astype(float), np.arange(0, height, 8), axis=0), np.arange(0, width, 8), axis=1)
    rows, columns = (np.diff([*range(0, size, 8), size]) for size in levels.shape)
    found: NDArray[Any] = sums / np.outer(rows, columns)
    return found


def hash_of(report: Inspection) -> NDArray[np.uint64]:
    assert report.gray is not None
    pixels, shapes = perceptual.pack([report.gray])
    hashes, _ = perceptual.pdq_batch(pixels, shapes, extents=np.array([report.extent]), backend="cpu")
    found: NDArray[np.uint64] = hashes[0]
    return found


# Whole pictures


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_whole_picture_is_ok(format_name: str) -> None:
    report = judge(picture(format_name))
    assert (report.grade, report.reason, report.detail) == ("ok", "", "")
    assert report.frames == 1
    assert report.gray is not None
    assert report.gray.dtype == np.uint8
    if format_name != "ICO":
        assert (report.height, report.width) == (300, 400)
        assert report.extent == (300, 400)
        assert np.abs(report.gray - means(scene() @ [0.299, 0.587, 0.114])).mean() < 10


@pytest.mark.parametrize("options", JPEG_OPTIONS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg_is_ok(mode: str, options: dict[str, Any]) -> None:
    report = judge(picture("JPEG", mode, **options))
    assert (report.grade, report.mode) == ("ok", mode)
    assert report.gray is not None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_is_ok(mode: str) -> None:
    image = Image.fromarray(scene())
    image = Image.fromarray(scene()[:, :, 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    report = judge(encoded(image, "PNG"))
    assert (report.grade, report.mode) == ("ok", mode)
    assert report.gray is not None
    assert report.gray.std() > 10


def test_a_palette_with_transparency_is_ok() -> None:
    image = Image.fromarray(scene()).convert("P")
    assert judge(encoded(image, "PNG", transparency=bytes(range(256)))).grade == "ok"


def test_sixteen_bits_keep_their_upper_byte() -> None:
    levels = scene()[:, :, 0]
    report = judge(encoded(Image.fromarray(levels.astype(np.uint16) * 257), "PNG"))
    assert report.gray is not None
    assert np.abs(report.gray - means(levels)).max() <= 0.5


def test_float_pictures_are_scaled_to_their_range() -> None:
    levels = scene()[:, :, 0].astype(np.float32) / 255
    levels[0, 0] = np.nan
    report = judge(encoded(Image.fromarray(levels), "TIFF"))
    assert report.grade == "ok"
    assert report.gray is not None
    assert report.gray.std() > 10


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_single_pixel_is_a_picture(format_name: str) -> None:
    report = judge(encoded(Image.new("RGB", (1, 1), (200, 100, 0)), format_name))
    assert (report.grade, report.width, report.height) == ("ok", 1, 1)
    assert report.gray is not None
    assert report.gray.shape == (1, 1)


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_every_frame_is_counted(format_name: str) -> None:
    assert (judge(animation(format_name)).grade, judge(animation(format_name)).frames) == ("ok", 4)


@pytest.mark.parametrize("options", [{"form": "PNG"}, {"form": "GIF"}, {"form": "JPEG"}, {"form": "JPEG", "progressive": True}])
def test_chroma_tells_grey_stored_in_colour_from_colour(options: dict[str, Any]) -> None:
    coloured = Image.fromarray(scene())
    grey = coloured.convert("L").convert("RGB")
    spread = []
    for image in (coloured, grey):
        report = judge(encoded(image, **options))
        assert report.chroma is not None
        spread.append(np.abs(report.chroma.astype(int) - 128).max())
    assert spread[0] > 20
    assert spread[1] <= 2
    assert judge(encoded(coloured.convert("L"), "PNG")).chroma is None


def test_no_picture_is_kept_unless_wanted() -> None:
    for format_name in ("JPEG", "PNG"):
        report = judge(picture(format_name), want_picture=False)
        assert (report.grade, report.gray, report.frames) == ("ok", None, 1)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, None], ids=["baseline", "progressive", "4:4:4", "PNG"])
def test_a_large_picture_is_kept_as_means_of_eight_by_eight_pixels(options: dict[str, Any] | None) -> None:
    image = Image.fromarray(scene(100, 130)).resize((1290, 1030), Image.Resampling.BICUBIC)
    report = judge(encoded(image, "PNG" if options is None else "JPEG", **(options or {})))
    assert report.gray is not None
    assert (report.height, report.width) == report.extent == (1030, 1290)
    assert report.gray.shape == (129, 162)
    assert np.abs(report.gray - means(np.asarray(image.convert("L"))))[:128, :161].max() < 4
    full = perceptual.pdq(np.asarray(image.convert("L")), backend="cpu")[0]
    assert np.bitwise_count(full ^ hash_of(report)).sum() <= 10


# Orientation

TO_STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_does_not_change_the_picture(orientation: int, format_name: str) -> None:
    upright = scene()
    stored = Image.fromarray(np.ascontiguousarray(TO_STORED[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if format_name == "JPEG" else {"lossless": True} if format_name == "WEBP" else {}
    report = judge(encoded(stored, format_name, exif=exif.tobytes(), **options))
    plain = judge(encoded(Image.fromarray(upright), format_name, **options))
    assert report.grade == "ok"
    assert report.gray is not None
    assert plain.gray is not None
    assert report.gray.shape == plain.gray.shape
    if format_name == "JPEG":
        assert np.bitwise_count(hash_of(report) ^ hash_of(plain)).sum() <= 20  # the blocks lie otherwise, and with them their means
    else:
        assert (report.gray == plain.gray).all()


def jpeg_with_exif(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    plain = picture("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"garbage!",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 30,
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    ],
)
def test_broken_exif_is_benign(tiff: bytes) -> None:
    report = judge(jpeg_with_exif(tiff))
    assert (report.grade, report.reason, report.orientation) == ("benign", "broken_exif", 1)
    assert "EXIF" in report.detail
    assert report.gray is not None


# Damage


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "SGI"])
def test_a_cut_picture_is_not_ok(format_name: str, share: float) -> None:
    data = picture(format_name)
    report = judge(data[: int(len(data) * share)])
    assert report.grade in {"damaged", "undecodable"}
    assert report.reason
    assert report.detail


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_cut_names_the_byte(format_name: str) -> None:
    data = picture(format_name)
    report = judge(data[: len(data) // 2])
    assert (report.grade, report.reason) == ("damaged", "truncated")
    assert f"byte {len(data) // 2}" in report.detail


@pytest.mark.parametrize(("format_name", "missing"), [("JPEG", 2), ("PNG", 12), ("GIF", 1)])
def test_a_missing_end_is_damage(format_name: str, missing: int) -> None:
    report = judge(picture(format_name)[:-missing])
    assert (report.grade, report.reason) == ("damaged", "truncated")


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_a_cut_animation_is_damaged(format_name: str) -> None:
    data = animation(format_name)
    assert judge(data[: int(len(data) * 0.8)]).grade in {"damaged", "undecodable"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda scan: scan[:2000] + bytes(4096) + scan[6096:],
        lambda scan: scan[:2000] + b"\xff" * 512 + scan[2512:],
        lambda scan: scan[:2000] + np.random.default_rng(5).bytes(512) + scan[2512:],
        lambda scan: scan[:2000] + scan[2512:],
        lambda scan: scan[: len(scan) * 3 // 4] + bytes(len(scan) // 4),
    ],
    ids=["zeros", "ones", "random", "dropped", "zeroed tail"],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_damage_within_a_jpeg_is_found(damage: Callable[[bytes], bytes], options: dict[str, Any]) -> None:
    data = picture("JPEG", quality=95, **options)
    start = scan_start(data)
    report = judge(data[:start] + damage(data[start:]))
    assert report.grade == "damaged"
    assert report.reason in {"corrupt_data", "truncated"}
    assert "byte" in report.detail
    assert 0 <= report.lost <= 1


@pytest.mark.parametrize("place", [20, 40, 5000, -20, -6])
def test_one_flipped_bit_in_a_png_is_found(place: int) -> None:
    data = bytearray(picture("PNG"))
    data[place] ^= 4
    report = judge(bytes(data))
    assert report.grade in {"damaged", "bomb"}


def test_a_broken_stream_under_right_checksums_is_found() -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes(41 * 40))
    cases = {rows: "", zlib.compress(bytes(41 * 20)): "missing_rows", rows[:-9]: "missing_rows", b"\0" + rows: "corrupt_data"}
    cases[rows[:-1] + b"x"] = "corrupt_data"
    for stream, reason in cases.items():
        data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", stream) + png_chunk(b"IEND", b"")
        assert (judge(data).grade, judge(data).reason) == ("damaged" if reason else "ok", reason)


def test_the_passes_of_an_interlaced_png_are_counted() -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 3, 1, 0, 0, 0, 1))
    rows = bytes(2 * (1 + 1 + 1 + 2 + 1))  # rows of two bytes: one each in the passes 1, 4, 5 and 7 of 3 x 3 pixels, two in pass 6
    for missing in (0, 1):
        data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows[missing:])) + png_chunk(b"IEND", b"")
        assert judge(data).reason == ("missing_rows" if missing else "")


def test_a_png_without_picture_data_is_damaged() -> None:
    data = picture("PNG")
    assert judge(data[:33] + data[-12:]).reason == "no_picture_data"


def test_a_gif_with_a_broken_block_names_it() -> None:
    data = animation("GIF")
    start = data.index(b"\x2c\0\0\0\0") + 10
    report = judge(data[: start - 10] + b"\x77" + data[start - 10 :])
    assert (report.grade, report.reason) == ("damaged", "bad_block")
    assert "0x77" in report.detail


# Beside the picture


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP"])
def test_trailing_bytes_are_benign(format_name: str) -> None:
    report = judge(picture(format_name) + b"more" * 20)
    assert (report.grade, report.reason) == ("benign", "trailing_bytes")
    assert "80 bytes" in report.detail
    assert report.gray is not None


def test_a_wrong_ancillary_checksum_is_benign() -> None:
    broken = bytearray(png_chunk(b"tEXt", b"Comment\0hello"))
    broken[-1] ^= 1
    report = judge(after_header(picture("PNG"), bytes(broken)))
    assert (report.grade, report.reason) == ("benign", "bad_ancillary_checksum")
    assert "byte 33" in report.detail
    assert report.gray is not None


def test_junk_between_header_segments_is_benign_and_hides_no_damage() -> None:
    data = picture("JPEG", quality=95)
    start = scan_start(data)
    junk = data[:20] + b"\0junk\0" + data[20:]
    assert (judge(junk).grade, judge(junk).reason) == ("benign", "junk_in_header")
    damaged = data[:20] + b"\0junk\0" + data[20 : start + 2000] + bytes(4096) + data[start + 6096 :]
    assert (judge(damaged).grade, judge(damaged).reason) == ("damaged", "corrupt_data")


def test_fill_bytes_before_a_marker_are_no_junk() -> None:
    data = picture("JPEG")
    assert judge(data[:20] + b"\xff\xff" + data[20:]).grade == "ok"


@pytest.mark.parametrize(("name", "format_name"), [("a.jpg", "PNG"), ("a.png", "JPEG"), ("a.GIF", "WEBP"), ("b.mp4", "JPEG")])
def test_a_wrong_extension_is_noted(name: str, format_name: str) -> None:
    report = judge(picture(format_name), name)
    assert (report.grade, report.misnamed) == ("misnamed", True)
    assert name[2:] in report.detail
    assert report.gray is not None
    cut = judge(picture(format_name)[:-50], name)
    assert (cut.grade, cut.misnamed) == ("damaged", True)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.jpe", "a", ".jpg", "a.b/c", "a.xyz", "jpg"])
def test_a_fitting_or_unknown_extension_is_no_finding(name: str) -> None:
    assert judge(picture("JPEG"), name).grade == "ok"


# Not media, bombs, sound


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (bytes(10_000), "zeros"),
        (b"<!DOCTYPE html><html><title>404</title></html>", "html"),
        (b"\n <html lang='en'>", "html"),
        (json.dumps({"error": "not found"}).encode(), "json"),
        (b"name,value\n1,2\n", "text"),
        ("Größe: 5 µm".encode(), "text"),
        (b"%PDF-1.7\n", "pdf"),
        (b"PK\x03\x04\x14\0", "zip"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (np.random.default_rng(8).bytes(5000), "unknown_content"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "text"),
    ],
)
def test_content_that_is_no_medium_is_named(data: bytes, reason: str) -> None:
    report = judge(data, "photo.jpg")
    assert (report.grade, report.reason) == ("not_media", reason)


def test_a_text_by_the_name_of_one_is_told_how_texts_are_read_and_kept() -> None:
    remedy = (
        "texts are read as rows of tables, such as .jsonl, .parquet or an array of objects in .json where no media are beside it; "
        "integrity.reject without not_media keeps the file"
    )
    assert judge(b"once upon a time", "tale.txt").detail == f"the content is text: text/plain; {remedy}"
    assert judge(b"once upon a time", "tale.jpg").detail == "the content is text: text/plain"


def test_a_zeroed_first_sector_is_told_from_a_file_of_zeros() -> None:
    assert judge(bytes(5000)).detail == "begins with 5000 zero bytes of 5000"
    assert judge(bytes(4096) + picture("JPEG")[:904]).detail.startswith("begins with 4096 zero bytes")


def patched_size(data: bytes, place: int, form: str, *size: int) -> bytes:
    return data[:place] + struct.pack(form, *size) + data[place + struct.calcsize(form) :]


def bombs() -> dict[str, bytes]:
    jpeg = picture("JPEG")
    frame = jpeg.index(b"\xff\xc0") + 5
    png_header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return {
        "jpeg, too large": patched_size(jpeg, frame, ">HH", 65_000, 65_000),
        "jpeg, too few bytes": patched_size(jpeg, frame, ">HH", 13_000, 13_000),
        "png": picture("PNG")[:8] + png_header + picture("PNG")[33:],
        "gif screen": patched_size(picture("GIF"), 6, "<HH", 65_000, 65_000),
        "gif, second frame": patched_size(animation("GIF"), animation("GIF").rindex(b"\x2c\0\0\0\0") + 5, "<HH", 65_000, 65_000),
        "bmp": patched_size(picture("BMP"), 18, "<ii", 65_000, 65_000),
    }


@pytest.mark.parametrize("case", bombs())
def test_a_bomb_is_refused(case: str) -> None:
    report = judge(bombs()[case])
    assert (report.grade, report.gray) == ("bomb", None)
    assert report.reason in {"too_many_pixels", "too_few_bytes"}


def test_limits_are_the_callers() -> None:
    for format_name in ("JPEG", "PNG", "TIFF", "BMP"):
        assert judge(picture(format_name), limits=Limits(max_pixels=400 * 300)).grade == "ok"
        assert judge(picture(format_name), limits=Limits(max_pixels=400 * 300 - 1)).grade == "bomb"
    assert judge(animation("GIF"), limits=Limits(max_total_pixels=4 * 60 * 80)).grade == "ok"
    assert judge(animation("GIF"), limits=Limits(max_total_pixels=4 * 60 * 80 - 1)).grade == "bomb"


def test_pillow_keeps_its_own_limit() -> None:
    before = Image.MAX_IMAGE_PIXELS
    judge(picture("PNG"), limits=Limits(max_pixels=10))
    judge(picture("PNG")[:500])
    assert before == Image.MAX_IMAGE_PIXELS


def sound() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4001 * 2))
    return target.getvalue()


def test_a_wav_is_measured_by_its_declared_length() -> None:
    assert (judge(sound()).grade, judge(sound()).reason) == ("ok", "not_decoded")
    assert (judge(sound()[:-100]).grade, judge(sound()[:-100]).reason) == ("damaged", "truncated")
    assert judge(sound() + b"tail" * 3).reason == "trailing_bytes"


def test_boxes_must_end_where_the_file_ends() -> None:
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"moof")
    film = head + struct.pack(">I4s", 108, b"mdat") + bytes(100)
    assert (judge(film).grade, judge(film).format) == ("ok", "mp4")
    assert judge(film[:-1]).reason == "truncated"
    endless = film[:24] + struct.pack(">I4s", 0, b"mdat") + bytes(50)
    assert judge(endless).grade == "ok"
    long_form = film[:24] + struct.pack(">I4sQ", 1, b"mdat", 66) + bytes(50)
    assert judge(long_form).grade == "ok"
    assert judge(long_form[:-1]).grade == "damaged"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"fLaC\0\0", "flac"),
        (b"OggS\0\x02", "ogg"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x84webm", "webm"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x88matroska", "mkv"),
        (b"\0\0\0\x18ftypheic", "heic"),
        (b"\0\0\0\x14ftypqt  ", "mov"),
        (b"\0\0\0\x14ftypM4A ", "m4a"),
        (b"8BPS\0\x01", "psd"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"P6\n1 1\n255\n", "pnm"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "svg"),
        (b"<?xml version='1.0'?><rss/>", "xml"),
        (b"\xff\xfeh\0i\0", "text"),
        (b"\x01\x02\x03 binary\x04\x05", "unknown"),
    ],
)
def test_types_are_told_by_their_bytes(head: bytes, name: str) -> None:
    assert sniff(head).name == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"v/1\x01\2\0\0\0", "OpenEXR"),
        (b"#?RADIANCE\n\0\xff", "Radiance HDR"),
        (bytes(128) + b"DICM\2\0", "DICOM"),
        (b"\x5c\1\0\0" + bytes(340) + b"n+1\0", "NIfTI"),
        (b"\x93NUMPY\1\0", "an array of NumPy"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (b"MATLAB 5.0 MAT-file\0\1", "a file of MATLAB"),
    ],
)
def test_what_is_known_and_not_read_is_named(head: bytes, name: str) -> None:
    report = judge(head + b"\xfe\0\x9c" * 50)
    assert (report.grade, report.reason) == ("undecodable", "unsupported_format")
    assert f"the content is {name}, which is not read" in report.detail


def test_a_character_cut_at_the_end_of_the_head_is_still_text() -> None:
    assert sniff(("ä" * 3000).encode()[:4097], size=6000).name == "text"


def test_related_containers_may_share_extensions() -> None:
    assert not extension_disagrees("film.mov", "mp4")
    assert not extension_disagrees("film.mkv", "webm")
    assert extension_disagrees("film.mkv", "mp4")


# Any bytes at all


def check_any(data: bytes) -> None:
    report = judge(data, "x.jpg", limits=Limits(max_pixels=1 << 22, max_total_pixels=1 << 24))
    assert report.grade in GRADES
    assert report.grade == "ok" or report.reason
    if report.gray is not None:
        assert report.gray.ndim == 2
        assert report.gray.dtype == np.uint8


@settings(deadline=None, max_examples=50)
@given(
    st.binary(max_size=300),
    st.sampled_from(MAGIC),
)
def test_any_bytes_get_a_verdict(tail: bytes, magic: bytes) -> None:
    check_any(magic + tail)


@settings(deadline=None, max_examples=50)
@given(
    data=st.data(),
    format_name=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "ICO", "PCX"]),
    kind=st.sampled_from(["flip", "drop", "insert", "cut", "zero"]),
)
def test_any_damage_gets_a_verdict(data: st.DataObject, format_name: str, kind: str) -> None:
    whole = encoded(Image.fromarray(scene(40, 50)), format_name)
    start = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(1, 64))
    patch = data.draw(st.binary(min_size=length, max_size=length))
    check_any(
        {
            "flip": whole[:start] + patch + whole[start + length :],
            "drop": whole[:start] + whole[start + length :],
            "insert": whole[:start] + patch + whole[start:],
            "cut": whole[:start],
            "zero": whole[:start] + bytes(length) + whole[start + length :],
        }[kind]
    )


def test_a_decoder_that_runs_out_of_memory_costs_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tamis.media.jpeg.simplejpeg.decode_jpeg", fail)
    report = judge(picture("JPEG", progressive=True))
    assert (report.grade, report.reason, report.detail) == ("undecodable", "decoder_error", "MemoryError: ")
