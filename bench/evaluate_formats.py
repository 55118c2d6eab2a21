"""Integrity of every format but JPEG: seeded damage to pictures, sound and film made of the corpora, beside what others notice.

Pictures are the photos stored anew by Pillow; sound and film are the whole files of the corpora, cut to some seconds and stored anew by
FFmpeg's encoders (PyAV), and so are known to be whole. Peers run where they are installed: Pillow, pngcheck, `ffmpeg -xerror`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from evaluate_common import HELD_BACK, Cell, Setting, Table, share
from PIL import Image

from damage import effect, pillow_loads, pixels, silenced
from images import encoded
from tamis.media import inspect

PICTURES: dict[str, tuple[str, dict[str, object]]] = {
    "PNG": ("PNG", {"compress_level": 4}),
    "GIF": ("GIF", {}),
    "WebP, lossy": ("WEBP", {"quality": 85}),
    "WebP, lossless": ("WEBP", {"lossless": True, "method": 1}),
    "TIFF, raw": ("TIFF", {}),
    "TIFF, deflate": ("TIFF", {"compression": "tiff_deflate"}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "BMP": ("BMP", {}),
    "AVIF": ("AVIF", {"speed": 9}),
    "JPEG 2000": ("JPEG2000", {"quality_mode": "rates", "quality_layers": [12]}),
    "JPEG, progressive": ("JPEG", {"quality": 90, "progressive": True}),
}
SOUNDS = {
    "WAV": ("wav", "pcm_s16le"),
    "MP3": ("mp3", "libmp3lame"),
    "AAC": ("adts", "aac"),
    "M4A": ("ipod", "aac"),
    "FLAC": ("flac", "flac"),
}
FILMS = {
    "MP4": ("mp4", "libx264"),
    "MOV": ("mov", "mpeg4"),
    "MKV": ("matroska", "libx264"),
    "WebM": ("webm", "libvpx"),
    "AVI": ("avi", "mpeg4"),
}
PHOTOS, STREAMS, SECONDS = 30, 12, 6
BLOCK = 4096
Random = np.random.Generator


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: int(rng.uniform(0.05, 0.999) * len(data))]


def _zeroed(data: bytes, rng: Random) -> bytes:
    size = min(BLOCK, len(data) // 8)
    place = int(rng.integers(len(data) - size))
    return data[:place] + bytes(size) + data[place + size :]


def _flipped(bits: int) -> Callable[[bytes, Random], bytes]:
    def flip(data: bytes, rng: Random) -> bytes:
        broken = bytearray(data)
        for bit in rng.choice(8 * len(data), bits, replace=False).tolist():
            broken[bit // 8] ^= 1 << bit % 8
        return bytes(broken)

    return flip


def _deleted(data: bytes, rng: Random) -> bytes:
    count = int(rng.integers(1, 65))
    place = int(rng.integers(len(data) - count))
    return data[:place] + data[place + count :]


KINDS = {
    "cut off": _cut,
    "block of 4,096 zeros": _zeroed,
    "1 bit flipped": _flipped(1),
    "10 bits flipped": _flipped(10),
    "1 to 64 bytes deleted": _deleted,
}


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    yield _pictures(setting)
    yield _streams(setting)


def _damages(data: bytes, setting: Setting, name: str, number: int) -> Iterator[tuple[str, bytes]]:
    for kind, damage in KINDS.items():
        yield kind, damage(data, np.random.default_rng([setting.seed, zlib.crc32(f"{name} {kind}".encode()), number]))


def _pillow_verifies(data: bytes) -> bool:
    try:
        with silenced(), Image.open(io.BytesIO(data)) as image:
            image.verify()
    except Exception:  # any refusal counts
        return False
    return True


def _pngcheck(data: bytes) -> bool:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(data)
        file.flush()
        return subprocess.run(["pngcheck", "-q", file.name], capture_output=True, check=False).returncode == 0


def _pictures(setting: Setting) -> Table:
    peers: dict[str, Callable[[bytes], bool]] = {"Pillow verify": _pillow_verifies, "Pillow load": pillow_loads}
    table = Table(
        "Integrity: pictures of other formats, damaged where a pixel changes",
        ["format", "damage", "seen", "tamis holds back", "% (95 % interval)", *peers, "unseen", "tamis holds back "],
    )
    photos = sorted(setting.folder("photos").glob("*.JPEG"))[:: 300 // (6 if setting.quick else PHOTOS)]
    alarms, checked = 0, Counter[str]()
    for name, (format_name, options) in PICTURES.items():
        sums: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for number, path in enumerate(photos):
            with Image.open(path) as photo:
                whole = encoded(photo.convert("RGB").reduce(2), format_name, **options)
            alarms += inspect(whole, name="a").grade in HELD_BACK
            shown = pixels(whole)
            assert shown is not None
            for kind, data in _damages(whole, setting, name, number):
                held = inspect(data, name="a").grade in HELD_BACK
                if effect(shown, data) == "none":
                    sums[kind].update(unseen=1, unseen_held=held)
                    continue
                sums[kind].update(seen=1, held=held)
                sums[kind].update({peer: not accepts(data) for peer, accepts in peers.items()})
                if name == "PNG" and shutil.which("pngcheck"):
                    checked.update(seen=1, held=not _pngcheck(data))
        for kind, found in sums.items():
            row: list[Cell] = [
                name,
                kind,
                found["seen"],
                found["held"],
                share(found["held"], found["seen"]),
                *(found[peer] for peer in peers),
            ]
            table.rows.append([*row, found["unseen"], found["unseen_held"]])
    if checked:
        table.remarks.append(f"pngcheck refuses {checked['held']} of the {checked['seen']} PNGs with seen damage.")
    table.remarks.append("Seen: any pixel differs in Pillow's tolerant decode, or none comes out.")
    table.remarks.append(f"Whole files held back: {alarms} of {len(PICTURES) * len(photos)}.")
    return table


def _stored_sound(data: bytes, name: str) -> bytes:
    """Store some seconds of a sound anew."""
    samples, rate = soundfile.read(io.BytesIO(data), frames=SECONDS * 48_000, dtype="int16", always_2d=True)
    target = io.BytesIO()
    if name == "Ogg":
        soundfile.write(target, samples, rate, format="OGG", subtype="VORBIS")
        return target.getvalue()
    format_name, codec = SOUNDS[name]
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(target, "w", format=format_name) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        step = stream.codec_context.frame_size or 4096
        for start in range(0, len(samples), step):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[start : start + step].reshape(1, -1)), format="s16", layout=layout
            )
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def _stored_film(photo: Path, name: str) -> bytes:
    """Store a slow pan over a photo."""
    format_name, codec = FILMS[name]
    with Image.open(photo) as opened:
        shown = np.asarray(opened.convert("RGB").resize((400, 300)))
    target = io.BytesIO()
    with av.open(target, "w", format=format_name) as container:
        stream: Any = container.add_stream(codec, rate=24, options={"g": "24", "threads": "1", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(48):
            view = np.ascontiguousarray(shown[number // 2 : number // 2 + 240, number : number + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


def _ffmpeg_accepts(data: bytes) -> bool:
    """Let ffmpeg decode all streams and stop at the first error; where it is not installed, all pass."""
    if not shutil.which("ffmpeg"):
        return True
    command = ["ffmpeg", "-v", "error", "-xerror", "-threads", "1", "-i", "FILE", "-map", "0", "-f", "null", "-"]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command[command.index("FILE")] = file.name
        return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0


def _streams(setting: Setting) -> Table:
    root, count = setting.folder("audio_video/truth.csv").parent, 3 if setting.quick else STREAMS
    names = ("tones_44100_stereo.wav", "gapless.mp3", "out-of-phase-1000hz.flac", "square3.mp3", "Bells.wav", "tones_16000_mono.wav")
    sources = [(root / "ffmpeg_samples" / name).read_bytes() for name in names]
    photos = sorted(setting.folder("photos").glob("*.JPEG"))
    with_ffmpeg = shutil.which("ffmpeg") is not None
    table = Table(
        "Integrity: sound and film, damaged anywhere in the file",
        ["format", "damage", "files", "tamis walks", "% (95 % interval)", "tamis --deep", "% (95 % interval) ", "ffmpeg -xerror"],
    )
    alarms: Counter[str] = Counter()
    for name in (*SOUNDS, "Ogg", *FILMS):
        sums: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for number in range(count):
            whole = _stored_film(photos[7 * number], name) if name in FILMS else _stored_sound(sources[number % len(sources)], name)
            alarms.update(
                files=1, walk=inspect(whole, name="a").grade in HELD_BACK, deep=inspect(whole, name="a", deep=True).grade in HELD_BACK
            )
            damaged = list(_damages(whole, setting, name, number))
            with ThreadPoolExecutor(setting.jobs) as pool:
                refused = [not accepts for accepts in pool.map(_ffmpeg_accepts, [data for _, data in damaged])]
            for (kind, data), peer in zip(damaged, refused, strict=True):
                walked, deep = (inspect(data, name="a", deep=one).grade in HELD_BACK for one in (False, True))
                sums[kind].update(files=1, walked=walked, deep=deep, peer=peer)
        for kind, found in sums.items():
            n = found["files"]
            ours: list[Cell] = [found["walked"], share(found["walked"], n), found["deep"], share(found["deep"], n)]
            table.rows.append([name, kind, n, *ours, found["peer"] if with_ffmpeg else "not installed"])
    table.remarks.append(f"Whole files held back: {alarms['walk']} of {alarms['files']} by the walk, {alarms['deep']} by --deep.")
    table.remarks.append("Damage is anywhere in the file, also where nothing depends on it: no tool can reach 100 % of the bit flips.")
    return table
