"""MP3 and AAC: frames follow one another, and side information says of each where its sound lies."""

from __future__ import annotations

import io
import struct
from typing import Any

import av
import numpy as np
import pytest
from made_media import judge, put, sound, verdict


def mp3_frames(data: bytes) -> list[int]:
    places, place = [], data.index(b"\xff\xfb")
    while place < len(data):
        places.append(place)
        place = data.find(b"\xff\xfb", place + 20)
        if place < 0:
            break
    return places


def test_frames_of_an_mp3_are_chained() -> None:
    data = sound("mp3", "libmp3lame")
    places = mp3_frames(data)
    first, fifth = places[0], places[5]
    assert verdict(data + b"TAG" + bytes(125)) == ("ok", "not_decoded")
    assert verdict(data + bytes(50)) == ("ok", "not_decoded")
    assert verdict(data + b"unknown words") == ("benign", "trailing_bytes")
    lost = judge(put(data, fifth, bytes(2)))
    assert (lost.grade, lost.reason) == ("damaged", "corrupt_data")
    assert f"byte {fifth}" in lost.detail
    assert judge(data[:fifth] + data[places[8] :]).reason in {"missing_frames", "truncated"}
    assert verdict(data[:-5])[1] == "truncated"
    assert verdict(data[first:first] + b"junk" * 9 + data[first:])[1] in {"junk_in_header", "unknown_content", "text"}
    plain = data[:first] + data[places[1] :]  # without the frame that counts
    assert judge(plain).grade == "ok"
    assert verdict(plain[:-5]) == ("damaged", "truncated")
    assert verdict(data[:first] + data[places[1] : places[1] + 50]) == ("damaged", "truncated")
    assert verdict(data[:first] + b"junk" * 9 + data[first:]) == ("benign", "junk_in_header")


def mp3_frame(
    begin: int = 0, sizes: tuple[int, int] = (2000, 300), *, pairs: int = 9, after: str = "0" * 38, crc: int | None = None
) -> bytes:
    """Return a frame of one channel: 417 bytes, of which 396 (394 with a CRC) hold sound from `begin` bytes before them on."""
    side = f"{begin:09b}{0:09b}" + "".join(f"{size:012b}{pairs:09b}{after}" for size in sizes)
    head = b"\xff\xfb\x90\xc4" if crc is None else b"\xff\xfa\x90\xc4" + struct.pack(">H", crc)
    return (head + int(side.ljust(8 * 17, "0"), 2).to_bytes(17)).ljust(417, b"\x55")


SWITCHED = "0" * 12 + "1"  # after global_gain and scalefac_compress: window_switching_flag
SOUND = mp3_frame()  # 288 of 396 bytes


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([SOUND, SOUND, mp3_frame(108), SOUND], "not_decoded"),
        ([mp3_frame(400), SOUND, SOUND], "not_decoded"),  # cut from a longer stream
        ([SOUND, mp3_frame(109), SOUND], "corrupt_data"),
        ([SOUND, mp3_frame(109, (0, 0)), SOUND], "not_decoded"),
        ([SOUND, mp3_frame(0, (2000, 1200)), SOUND], "corrupt_data"),
        ([SOUND, mp3_frame(4, (2000, 1200)), SOUND], "not_decoded"),
        ([SOUND, mp3_frame(pairs=288), SOUND], "not_decoded"),
        ([SOUND, mp3_frame(pairs=289), SOUND], "corrupt_data"),
        ([SOUND, mp3_frame(after=f"{SWITCHED}01".ljust(38, "0")), SOUND], "not_decoded"),
        ([SOUND, mp3_frame(after=f"{SWITCHED}00".ljust(38, "0")), SOUND], "corrupt_data"),
        ([SOUND, mp3_frame(after=f"{'0' * 13}00100".ljust(38, "0")), SOUND], "corrupt_data"),
        ([SOUND, mp3_frame(after=f"{'0' * 13}0010101110".ljust(38, "0")), SOUND], "corrupt_data"),
        ([mp3_frame(crc=0x1234)] * 3, "bad_checksum"),
    ],
)
def test_side_information_of_an_mp3_agrees_with_itself_and_the_frames_before(frames: list[bytes], reason: str) -> None:
    assert judge(b"".join(frames)).reason == reason


def test_checksums_of_an_mp3_are_of_header_and_side_information() -> None:
    frame = mp3_frame(crc=0)
    crc = 0xFFFF
    for byte in frame[2:4] + frame[6:23]:
        for shift in range(7, -1, -1):
            crc = (crc << 1 ^ (0x8005 if (crc >> 15) ^ (byte >> shift & 1) else 0)) & 0xFFFF
    whole = mp3_frame(crc=crc)
    assert judge(whole * 3).reason == "not_decoded"
    assert judge(whole + put(whole, 12, b"\x01") + whole).reason == "bad_checksum"
    assert judge(put(whole, 300, b"\x01") * 3).reason == "not_decoded"


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_whole_mp3_of_every_version_and_mode_agree(rate: int) -> None:
    for layout, options in (("mono", {"abr": "1"}), ("stereo", {"joint_stereo": "1"}), ("stereo", {"reservoir": "0"})):
        data = loud_mp3(rate, layout, options)
        assert verdict(data) == ("ok", "not_decoded")


def test_frames_that_are_missing_are_told_by_what_the_next_ones_borrow() -> None:
    data = loud_mp3(44_100, "stereo", {"b": "128k"})
    places = mp3_frames(data)
    assert verdict(data[: places[0]] + data[places[1] :]) == ("ok", "not_decoded")  # without the frame that counts
    cuts = [data[: places[0]] + data[places[1] : places[i]] + data[places[i + 2] :] for i in range(3, len(places) - 3)]
    assert sum(verdict(cut) == ("damaged", "corrupt_data") for cut in cuts) > len(cuts) / 2


def loud_mp3(rate: int, layout: str, options: dict[str, str]) -> bytes:
    """Return half a second of noise whose loudness changes, so that frames borrow bytes from those before."""
    channels, target, rng = 1 + (layout == "stereo"), io.BytesIO(), np.random.default_rng(rate)
    shape = np.repeat([0.02, 0.9, 0.1, 0.7, 0.01, 0.5], rate // 12 + 1)
    samples = (shape * rng.uniform(-1, 1, (channels, len(shape)))).astype(np.float32)
    with av.open(target, "w", format="mp3") as container:
        stream: Any = container.add_stream("libmp3lame", rate=rate, layout=layout, options=options)
        for start in range(0, samples.shape[1], 1152):
            frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1152].copy(), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def test_tags_alone_are_no_sound() -> None:
    tag = b"ID3\4\0\0" + bytes([0, 0, 1, 0])
    assert verdict(tag + bytes(128)) == ("damaged", "no_sound")
    assert verdict(tag + bytes(20)) == ("damaged", "truncated")
    assert verdict(tag + bytes(128) + sound("flac", "flac")) == ("benign", "tag_in_front")
    assert verdict(tag + bytes(128) + sound("adts", "aac")) == ("ok", "not_decoded")
    assert verdict(tag + bytes(128) + b"\xff\xfb\x00\x64" + bytes(900)) == ("benign", "free_format")


def test_a_header_may_count_frames_as_vbri() -> None:
    frames = b"".join(b"\xff\xfb\x90\x64" + bytes(413) for _ in range(6))
    for count, expected in ((5, "not_decoded"), (90, "missing_frames")):
        data = put(frames, 36, b"VBRI" + bytes(6) + struct.pack(">II", len(frames), count))
        assert judge(data).reason == expected
    assert judge(put(frames, 36, b"VBRI" + bytes(6) + struct.pack(">II", 1 << 20, 5))).reason == "truncated"


def test_frames_of_aac_are_chained() -> None:
    data = sound("adts", "aac")
    second = data.index(data[:3], 5)
    third = data.index(data[:3], second + 5)
    assert verdict(put(data, third, b"\0")) == ("damaged", "corrupt_data")
    assert verdict(data[:-3]) == ("damaged", "truncated")
