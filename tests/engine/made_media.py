"""Small whole files of every format, made anew by the tests: pictures by Pillow, sound and film by FFmpeg's encoders."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import av
import numpy as np
import soundfile
from PIL import Image

from images import encoded
from tamis.media import Inspection, inspect

RATE = 44_100


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a soft RGB picture with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(coarse).astype(int) + rng.integers(-6, 7, (height, width, 3)), 0, 255).astype(np.uint8)


def judge(data: bytes, name: str = "file", **arguments: Any) -> Inspection:
    """Return what inspection tells of a file."""
    return inspect(data, name=name, **arguments)


def verdict(data: bytes, **arguments: Any) -> tuple[str, str]:
    """Return grade and reason."""
    report = judge(data, **arguments)
    return report.grade, report.reason


@cache
def picture(format_name: str, frames: int = 1, **options: Any) -> bytes:
    """Return a picture of 40 x 48 pixels, or an animation."""
    first, *more = [Image.fromarray(pixels(40, 48, seed)) for seed in range(frames)]
    if more:
        options |= {"save_all": True, "append_images": more, "duration": 40}
    return encoded(first, format_name, **options)


@cache
def film(format_name: str, codec: str, frames: int = 12, **options: str) -> bytes:
    """Return a film of 64 x 48 pixels without sound."""
    target = io.BytesIO()
    with av.open(target, "w", format=format_name, options=options) as container:
        stream: Any = container.add_stream(codec, rate=12, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            shown = av.VideoFrame.from_ndarray(np.roll(pixels(48, 64), 2 * number, axis=1), format="rgb24")
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return target.getvalue()


@cache
def sound(format_name: str, codec: str, seconds: float = 0.6, **options: str) -> bytes:
    """Return a sweep of one channel."""
    target = io.BytesIO()
    count = int(seconds * RATE)
    wave_form = 0.4 * np.sin(np.cumsum(np.linspace(0.01, 0.4, count)))
    with av.open(target, "w", format=format_name, options=options) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="mono")
        step = stream.codec_context.frame_size or 1024
        for start in range(0, count, step):
            samples = (wave_form[None, start : start + step] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


@cache
def ogg(codec: str) -> bytes:
    """Return a sweep as Ogg; FFmpeg's own encoders of these are experimental, so libsndfile writes it."""
    target = io.BytesIO()
    soundfile.write(target, 0.4 * np.sin(np.cumsum(np.linspace(0.01, 0.4, 24_000))), 48_000, format="OGG", subtype=codec)
    return target.getvalue()


@cache
def wav(channels: int = 2, frames: int = 500) -> bytes:
    """Return a WAV of 16 bits."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((channels, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(1).bytes(2 * channels * frames))
    return target.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def put(data: bytes, place: int, new: bytes) -> bytes:
    """Return data with new bytes at a place."""
    return data[:place] + new + data[place + len(new) :]


def riff(*chunks: tuple[bytes, bytes], kind: bytes = b"WAVE", head: bytes = b"RIFF", length: int | None = None) -> bytes:
    """Return a RIFF of chunks."""
    body = kind + b"".join(name + struct.pack("<I", len(one)) + one + bytes(len(one) % 2) for name, one in chunks)
    return head + struct.pack("<I", len(body) if length is None else length) + body


def box(kind: bytes, *bodies: bytes) -> bytes:
    """Return a box of ISO base media."""
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def tiff(entries: list[tuple[int, int, int, int]], extra: bytes = b"", following: int = 0) -> bytes:
    """Return a TIFF of one directory of (tag, type, count, value); `extra` begins at byte 200."""
    body = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)
    return (body + struct.pack("<I", following)).ljust(200, b"\0") + extra


PAGE = [(256, 3, 1, 4), (257, 3, 1, 3), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 200), (278, 3, 1, 3), (279, 4, 1, 12)]


def changed_page(tag: int, *entry: int) -> list[tuple[int, int, int, int]]:
    """Return the entries of the page with another one for a tag."""
    return [(tag, *entry) if one[0] == tag else one for one in PAGE]  # type: ignore[misc]


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: picture("PNG"),
    "apng": lambda: picture("PNG", 3),
    "gif": lambda: picture("GIF", 3),
    "webp": lambda: picture("WEBP", 3),
    "webp, lossless": lambda: picture("WEBP", lossless=True),
    "tiff": lambda: picture("TIFF", 3),
    "tiff, deflate": lambda: picture("TIFF", compression="tiff_deflate"),
    "tiff, lzw": lambda: picture("TIFF", 2, compression="tiff_lzw"),
    "tiff, packbits": lambda: picture("TIFF", compression="packbits"),
    "bmp": lambda: picture("BMP"),
    "jp2": lambda: picture("JPEG2000"),
    "avif": lambda: picture("AVIF"),
    "jpeg": lambda: picture("JPEG"),
    "wav": wav,
    "aiff": lambda: sound("aiff", "pcm_s16be"),
    "mp3": lambda: sound("mp3", "libmp3lame"),
    "aac": lambda: sound("adts", "aac"),
    "flac": lambda: sound("flac", "flac"),
    "ogg": lambda: ogg("VORBIS"),
    "opus": lambda: ogg("OPUS"),
    "m4a": lambda: sound("ipod", "aac"),
    "mp4": lambda: film("mp4", "libx264"),
    "mp4, fragments": lambda: film("mp4", "libx264", movflags="frag_keyframe+empty_moov+default_base_moof"),
    "mov": lambda: film("mov", "mpeg4"),
    "mkv": lambda: film("matroska", "libx264"),
    "webm": lambda: film("webm", "libvpx"),
    "avi": lambda: film("avi", "mpeg4"),
}
"""A maker for every kind."""
