"""Which walk judges which format before, or in place of, a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.media import bitmaps, boxes, gif, matroska, mpeg, riff, streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from tamis.media.inspection import Container, Limits

    Walk = Callable[[bytes, Limits], Container]


def _unlimited(walk: Callable[[bytes], Container]) -> Walk:
    """Give a walk that needs no limits the form of those that do."""

    def with_limits(data: bytes, _limits: Limits) -> Container:
        return walk(data)

    return with_limits


WALKS: dict[str, Walk] = {
    "gif": gif.walk_gif,
    "webp": riff.walk_webp,
    "tiff": bitmaps.walk_tiff,
    "bmp": bitmaps.walk_bmp,
    "heic": boxes.walk_pictures,
    "avif": boxes.walk_pictures,
    "jp2": boxes.walk_jpeg2000,
    "mp4": boxes.walk_film,
    "m4a": boxes.walk_film,
    "mov": boxes.walk_film,
    "wav": _unlimited(riff.walk_wav),
    "aiff": _unlimited(riff.walk_aiff),
    "avi": _unlimited(riff.walk_avi),
    "mp3": _unlimited(mpeg.walk_mp3),
    "aac": _unlimited(mpeg.walk_adts),
    "ogg": _unlimited(streams.walk_ogg),
    "flac": _unlimited(streams.walk_flac),
    "mkv": _unlimited(matroska.walk_matroska),
    "webm": _unlimited(matroska.walk_matroska),
}
