"""Small pictures of a run's records, for the report."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from tamis.sources.payload import PayloadReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.sources.listing import SourceFile

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SIDE = 144
MOST_BYTES = 64_000_000
MOST_PIXELS = 64_000_000


def is_picture(record: str) -> bool:
    """Return whether a record's name says that it is a picture which the report can show."""
    return Path(record).suffix.lower() in PICTURES


def thumbnail(sources: Sequence[Path], record: str, members: Mapping[str, SourceFile] = {}) -> str | None:
    """Return a record's picture as the data URI of a small JPEG, or None where there is none to be had.

    The file comes from the corpus, so nothing about it is trusted: it must lie inside a source or be one of the `members` of its
    containers, be of moderate size in bytes and in declared pixels, and may fail to decode in any way.
    """
    try:
        if record in members:
            with PayloadReader(MOST_BYTES) as payloads:
                content: Path | io.BytesIO = io.BytesIO(payloads.read(members[record]))
        else:
            path = _find(sources, record)
            if path is None or path.stat().st_size > MOST_BYTES:
                return None
            content = path
        with warnings.catch_warnings(action="error"), Image.open(content, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return None
            picture.draft("RGB", (2 * SIDE, 2 * SIDE))
            small = ImageOps.exif_transpose(picture)
            small.thumbnail((SIDE, SIDE))
            buffer = io.BytesIO()
            small.convert("RGB").save(buffer, "JPEG", quality=80)
    except Exception:  # names and decoders fail in many ways, and none of them may cost the report
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _find(sources: Sequence[Path], record: str) -> Path | None:
    """Return the file of a media record, if it is there and does not lead out of its source."""
    if not is_picture(record):
        return None
    for source in sources:
        root = (source if source.is_dir() else source.parent).resolve()
        path = (root / record).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    return None
