"""Pictures, and as the bytes of a file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def rough(seed: int) -> Image.Image:
    """Return a picture of 320 x 240 pixels that no other seed gives."""
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    return Image.fromarray(values).resize((320, 240), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return a picture as Pillow saves it in a form."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()
