"""Pictures as the bytes of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return a picture as Pillow saves it in a form."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()
