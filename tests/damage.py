"""Seeded damage to JPEG photos, and how much of it can be seen.

Every kind is drawn from its own random stream, so that adding a kind changes none of the others.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFile

from images import encoded

BLOCK = 4096
VISIBLE_LEVELS = 16  # of 255
VISIBLE_SHARE = 0.001
WHOLE = "whole PNG named .jpg"

Effect = Literal["none", "slight", "visible", "undecodable"]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG and where its entropy-coded data begin and end."""

    data: bytes
    start: int
    stop: int


def photo(data: bytes) -> Photo:
    """Find the entropy-coded data of a JPEG with one scan: from the end of the scan header to the last marker.

    Raises
    ------
    ValueError
        The file has no scan.
    """
    place = 2
    while place + 4 <= len(data):
        length = int.from_bytes(data[place + 2 : place + 4])
        if data[place + 1] == 0xDA:
            return Photo(data, place + 2 + length, data.rfind(b"\xff\xd9"))
        place += 2 + length
    message = f"a JPEG of {len(data)} bytes without a scan"
    raise ValueError(message)


def _cut(one: Photo, _other: Photo, rng: Random) -> bytes:
    return one.data[: int(rng.uniform(0.01, 0.999) * len(one.data))]


def _span(one: Photo, rng: Random) -> tuple[int, int]:
    """Draw a block within the entropy-coded data, of 4,096 bytes or a quarter of them."""
    size = min(BLOCK, (one.stop - one.start) // 4)
    return int(rng.integers(one.start, one.stop - size)), size


def _replaced(one: Photo, place: int, new: bytes) -> bytes:
    return one.data[:place] + new + one.data[place + len(new) :]


def _zeroed(one: Photo, _other: Photo, rng: Random) -> bytes:
    place, size = _span(one, rng)
    return _replaced(one, place, bytes(size))


def _foreign(one: Photo, other: Photo, rng: Random) -> bytes:
    place, size = _span(one, rng)
    taken, available = _span(other, rng)
    return _replaced(one, place, other.data[taken : taken + min(size, available)])


def _swapped(one: Photo, _other: Photo, rng: Random) -> bytes:
    size = min(BLOCK, (one.stop - one.start) // 4)
    first, gap = sorted(rng.integers(0, one.stop - one.start - 2 * size, 2).tolist())
    a, b = one.start + first, one.start + gap + size
    data = one.data
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def _flipped(bits: int) -> Callable[[Photo, Photo, Random], bytes]:
    def flip(one: Photo, _other: Photo, rng: Random) -> bytes:
        data = bytearray(one.data)
        for bit in rng.choice(8 * (one.stop - one.start), bits, replace=False).tolist():
            data[one.start + bit // 8] ^= 1 << bit % 8
        return bytes(data)

    return flip


def _deleted(one: Photo, _other: Photo, rng: Random) -> bytes:
    count = int(rng.integers(1, 65))
    place = int(rng.integers(one.start, one.stop - count))
    return one.data[:place] + one.data[place + count :]


def _header(one: Photo, _other: Photo, rng: Random) -> bytes:
    data = bytearray(one.data)
    for place in rng.integers(2, one.start, int(rng.integers(1, 9))).tolist():
        data[place] = int(rng.integers(256))
    return bytes(data)


def _other_content(one: Photo, _other: Photo, rng: Random) -> bytes:
    size = int(rng.integers(200, 20_000))
    noise = rng.bytes(size)
    contents = (
        b'{"error": {"code": 403, "message": "request ' + str(size).encode() + b' denied"}}',
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + noise,
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + noise,
        zlib.compress(noise),
        noise,
        bytes(size),
        one.data[one.start : one.start + size],  # the middle of a photo: no header
    )
    return contents[int(rng.integers(len(contents)))]


def _html(_one: Photo, _other: Photo, rng: Random) -> bytes:
    code = int(rng.choice([403, 404, 429, 500, 502, 503]))
    opening = (b"<!DOCTYPE html>\n", b"", b"\n\n  ", b"\xef\xbb\xbf")[int(rng.integers(4))]
    title = f"<html><head><title>{code} error</title></head><body><h1>{code}</h1><p>Request {rng.integers(1 << 40):x}</p></body></html>"
    return opening + title.encode()


def _as_png(one: Photo, _other: Photo, _rng: Random) -> bytes:
    return encoded(Image.open(io.BytesIO(one.data)), "PNG", compress_level=1)


KINDS: dict[str, Callable[[Photo, Photo, Random], bytes]] = {
    "cut off at 1 to 99.9 % of the bytes": _cut,
    "block of 4,096 zeros": _zeroed,
    "block of 4,096 bytes of another photo": _foreign,
    "two blocks of 4,096 bytes exchanged": _swapped,
    "1 bit flipped": _flipped(1),
    "10 bits flipped": _flipped(10),
    "1 to 64 bytes deleted": _deleted,
    "1 to 8 header bytes replaced": _header,
    "other content: JSON, PDF, ZIP, zlib, noise, zeros": _other_content,
    "HTML error page": _html,
    WHOLE: _as_png,
}
"""Kinds of damage. All blocks, bits and deletions lie in the entropy-coded data."""


def _spliced(one: Photo, place: int, new: bytes) -> bytes:
    return one.data[:place] + new + one.data[one.stop :]


def _reversed_run(one: Photo, _other: Photo, rng: Random) -> bytes:
    place, size = _span(one, rng)
    size = min(size, int(rng.integers(2, 65)))
    return _replaced(one, place, one.data[place : place + size][::-1])


def _shifted_tail(one: Photo, _other: Photo, rng: Random) -> bytes:
    place, _ = _span(one, rng)
    tail = one.data[place : one.stop]
    bits = int(rng.integers(1, 8))
    return _spliced(one, place, (int.from_bytes(tail) >> bits).to_bytes(len(tail)))


def _unstuffed(one: Photo, _other: Photo, _rng: Random) -> bytes:
    return _spliced(one, one.start, one.data[one.start : one.stop].replace(b"\xff\x00", b"\xff"))


def _as_text(one: Photo, _other: Photo, _rng: Random) -> bytes:
    return one.data.replace(b"\n", b"\r\n")


def _as_utf8(one: Photo, _other: Photo, _rng: Random) -> bytes:
    return one.data.decode("utf-8", errors="replace").encode()


def _foreign_header(one: Photo, other: Photo, rng: Random) -> bytes:
    place, _ = _span(one, rng)
    return _replaced(one, place, other.data[: min(512, one.stop - place)])


def _repeated(one: Photo, _other: Photo, rng: Random) -> bytes:
    place, size = _span(one, rng)
    size = min(size, int(rng.integers(1, 513)))
    return one.data[: place + size] + one.data[place:]


def _random_bytes(one: Photo, _other: Photo, rng: Random) -> bytes:
    place, size = _span(one, rng)
    return _replaced(one, place, rng.bytes(min(size, int(rng.integers(1, 17)))))


HELD_OUT: dict[str, Callable[[Photo, Photo, Random], bytes]] = {
    "2 to 64 bytes in reverse order": _reversed_run,
    "all bits behind a place shifted by 1 to 7": _shifted_tail,
    "zeros stuffed behind 0xff lost": _unstuffed,
    "line ends converted as in a text": _as_text,
    "read and written as UTF-8": _as_utf8,
    "512 bytes of another file's beginning in the scan": _foreign_header,
    "1 to 512 bytes of the scan repeated": _repeated,
    "1 to 16 random bytes": _random_bytes,
}
"""Kinds that no limit of the walk was fitted to: they show how unknown damage fares. The seam test's were, on every other photo."""


def damaged(kind: str, one: Photo, other: Photo, seed: int, number: int) -> bytes:
    """Return the photo with one kind of damage; the same arguments give the same bytes."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    return (KINDS | HELD_OUT)[kind](one, other, rng)


def pixels(data: bytes) -> np.ndarray | None:
    """Decode as tolerantly as Pillow can, missing parts filled up; None where even that fails."""
    tolerant, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception:  # whatever a decoder raises on broken bytes means that there is no picture
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant


def effect(original: np.ndarray, data: bytes) -> Effect:
    """Say what damage does to the picture.

    `none`: every pixel is as it was. `visible`: another size, or at least 0.1 % of the pixels are off by more than 16 of 255 levels in
    a channel. `slight`: anything between. `undecodable`: no picture at all.
    """
    seen = pixels(data)
    if seen is None:
        return "undecodable"
    if seen.shape != original.shape:
        return "visible"
    off = np.abs(seen.astype(np.int16) - original).max(axis=2)
    if not off.any():
        return "none"
    return "visible" if (off > VISIBLE_LEVELS).mean() >= VISIBLE_SHARE else "slight"


@contextmanager
def silenced(target: int | None = None) -> Iterator[None]:
    """Keep what C libraries write to the standard error stream off the screen; write it to the descriptor `target`, if there is one."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere if target is None else target, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def pillow_loads(data: bytes) -> bool:
    """Do what most pipelines do to see whether a picture is whole: open and load it with Pillow."""
    try:
        with silenced(), warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            image.load()
    except Exception:  # the same: any refusal counts
        return False
    return True
