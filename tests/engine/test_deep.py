"""Sound and film decoded to the last frame: what a walk over the container cannot see is told with its frame and time."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from made_media import WHOLE, film, picture, pixels, sound
from PIL import Image
from running import balanced, call

import tamis
from images import encoded
from tamis.media import Inspection, Limits, inspect
from tamis.recipe import Recipe

KINDS = ("wav", "aiff", "mp3", "aac", "flac", "ogg", "opus", "m4a", "mp4", "mp4, fragments", "mov", "mkv", "webm", "avi")


def judge(data: bytes) -> Inspection:
    return inspect(data, name="file", deep=True)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_sound_and_film_is_decoded_without_a_finding(kind: str) -> None:
    report = judge(WHOLE[kind]())
    assert (report.grade, report.reason) == ("ok", ""), report.detail
    films = {"mp4", "mov", "mkv", "webm", "avi"}
    assert (report.frames, report.width, report.height) == ((12, 64, 48) if report.format in films else (0, 0, 0))


@pytest.mark.parametrize("kind", ["mp4", "mov", "avi", "m4a", "aac", "mp3"])
def test_damage_within_frames_is_told_with_frame_and_time(kind: str) -> None:
    data = WHOLE[kind]()
    begin = {"mp3": b"\xff\xfb", "aac": b"\xff\xf1", "avi": b"movi"}.get(kind, b"mdat")
    start = data.index(begin) + 700
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        place = start + int(rng.integers(200))
        report = judge(data[:place] + rng.bytes(60) + data[place + 60 :])
        found.append(report.grade == "damaged")
        assert report.grade in {"ok", "benign", "damaged"}
        if "FFmpeg" in report.detail:
            assert "frame" in report.detail
            assert " s" in report.detail
    assert sum(found) >= (2 if kind == "mp3" else 6)  # most of what an MP3 holds may be any bits


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_S8", 8), ("PCM_16", 16), ("PCM_24", 24)])
def test_the_checksum_over_all_samples_of_a_flac_is_compared(subtype: str, bits: int) -> None:
    target = io.BytesIO()
    levels = np.random.default_rng(2).integers(-(2**31), 2**31 - 1, (3000, 2), np.int32)
    soundfile.write(target, levels, 8000, format="FLAC", subtype=subtype)
    data = target.getvalue()
    assert (data[20] & 1) << 4 | data[21] >> 4 == bits - 1
    assert judge(data).grade == "ok"
    wrong = judge(data[:26] + bytes([data[26] ^ 1]) + data[27:])
    assert (wrong.grade, wrong.reason) == ("damaged", "bad_checksum")
    assert inspect(data[:26] + bytes([data[26] ^ 1]) + data[27:], name="file").grade == "ok"
    assert judge(data[:26] + bytes(16) + data[42:]).grade == "ok"  # none was written


def test_fewer_frames_than_declared_are_damage_where_the_count_is_exact() -> None:
    data = film("mp4", "libx264")
    last = data.index(b"stsz") + 16 + 4 * 11
    report = judge(data[:last] + bytes(4) + data[last + 4 :])
    assert (report.grade, report.reason) == ("damaged", "missing_frames")
    assert "11 frames came out, 12 frames are declared" in report.detail
    assert report.lost == pytest.approx(1 / 12)


def test_a_frame_larger_than_the_film_says_is_held_to_the_limit() -> None:
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        stream: Any = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for number, side in enumerate((16, 16, 64)):
            packet = av.Packet(encoded(Image.fromarray(pixels(side, side)), "JPEG"))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            container.mux(packet)
    assert inspect(target.getvalue(), name="file", deep=True).frames == 3
    report = inspect(target.getvalue(), name="file", deep=True, limits=Limits(max_pixels=1000))
    assert (report.grade, report.reason) == ("bomb", "too_many_pixels")


def test_what_ffmpeg_does_not_open_is_undecodable() -> None:
    without_tracks = b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\x88" + b"\x1f\x43\xb6\x75\x83\xe7\x81\x00"  # a cluster that begins at 0
    assert inspect(without_tracks, name="file").grade == "ok"
    assert judge(without_tracks).grade == "undecodable"


def test_a_title_that_is_not_utf_8_is_no_damage() -> None:
    whole = WHOLE["wav"]()
    title = b"LIST" + (16).to_bytes(4, "little") + b"INFOINAM" + (4).to_bytes(4, "little") + b"Caf\xe9"
    size = len(whole) + len(title) - 8
    assert inspect(whole[:4] + size.to_bytes(4, "little") + whole[8:] + title, name="a.wav", deep=True).grade == "ok"


def test_depth_is_part_of_the_recipe() -> None:
    plain, deep = Recipe.load(), Recipe.load(settings={"integrity.deep": True})
    assert plain.digest() != deep.digest()


def test_one_bad_file_costs_one_record(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    film_data = film("mov", "mpeg4")
    place = film_data.index(b"mdat") + 700
    files = {
        "a.png": picture("PNG"),
        "b.mp3": sound("mp3", "libmp3lame"),
        "c.mov": film_data[:place] + bytes(80) + film_data[place + 80 :],
        "d.gif": picture("GIF")[:6] + b"\xe8\xfd\xe8\xfd" + picture("GIF")[10:],
        "e.mkv": film("matroska", "libx264")[:-40],
    }
    for name, data in files.items():
        (source / name).write_bytes(data)
    run = call("check", source, "-o", tmp_path / "out", "--deep", "-j", 1, "--quiet")
    assert run.returncode == 0, run.stderr
    result = tamis.Result(tmp_path / "out")
    assert balanced(result.manifest)
    assert result.manifest["recipe"]["integrity"]["deep"]
    told = dict(result.rejected.select("record", "reason").collect().iter_rows())
    assert told == {"c.mov": told["c.mov"], "d.gif": "too_many_pixels", "e.mkv": "truncated"}
    assert told["c.mov"] in {"corrupt_data", "missing_frames"}
