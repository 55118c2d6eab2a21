"""JPEG files for the benchmarks of CUDA: Pillow is all that they need."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image


def jpegs(generator: np.random.Generator, count: int, height: int, width: int, quality: int = 80, **options: int) -> list[bytes]:
    """Return files of pictures with structure and noise; options are Pillow's."""
    y, x = np.mgrid[0:height, 0:width]
    files = []
    for number in range(count):
        levels = 128 + 60 * np.sin(x / (20 + number)) + 40 * np.sin(y / 13) + generator.normal(0, 6, (height, width))
        target = BytesIO()
        Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).convert("RGB").save(target, "JPEG", quality=quality, **options)
        files.append(target.getvalue())
    return files
