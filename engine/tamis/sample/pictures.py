"""Pictures drawn from a seed that compress and hash as photographs do, and ways to break their files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SMALLEST_SIDE, LARGEST_SIDE = 256, 640
START_OF_SCAN = 0xDA
# SOF0 … SOF15 without DHT, JPG and DAC, which share the range
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def draw(rng: np.random.Generator) -> Image.Image:
    """Draw a picture: clouds of many scales, a slope of light, a few hard-edged shapes, film grain."""
    width, height = (int(side) for side in rng.integers(SMALLEST_SIDE, LARGEST_SIDE, 2, endpoint=True))
    light = _clouds(rng, width, height, (2, 3, 5, 9, 17, 33, 65)) + _slope(rng, width, height)
    tint = [_clouds(rng, width, height, (2, 4, 8)) for _ in range(3)]
    base = rng.uniform(90, 160)
    pixels = base + 42 * light[..., None] + 18 * np.stack(tint, axis=-1)
    picture = Image.fromarray(_as_bytes(pixels))
    _draw_shapes(rng, picture)
    grain = rng.normal(0, rng.uniform(1.5, 5), (height, width, 1))
    return Image.fromarray(_as_bytes(np.asarray(picture) + grain))


def _clouds(rng: np.random.Generator, width: int, height: int, scales: tuple[int, ...]) -> NDArray[np.float64]:
    total = np.zeros((height, width))
    for cells in scales:
        coarse = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / cells**0.6
    return total


def _slope(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    rise_x, rise_y = rng.uniform(-0.8, 0.8, 2)
    return np.linspace(-rise_x, rise_x, width)[None, :] + np.linspace(-rise_y, rise_y, height)[:, None]


def _draw_shapes(rng: np.random.Generator, picture: Image.Image) -> None:
    brush = ImageDraw.Draw(picture, "RGBA")
    size = np.array(picture.size)
    for _ in range(int(rng.integers(6, 15))):
        colour = (*(int(level) for level in rng.integers(20, 236, 3)), int(rng.integers(110, 230)))
        centre, reach = rng.uniform(0, 1, 2) * size, rng.uniform(0.04, 0.22, 2) * size
        if rng.random() < 0.5:
            brush.ellipse([*(centre - reach), *(centre + reach)], fill=colour)
        else:
            corners = centre + reach * rng.uniform(-1, 1, (int(rng.integers(3, 7)), 2))
            brush.polygon([(float(x), float(y)) for x, y in corners], fill=colour)


def _as_bytes(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def encode(picture: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002 - Pillow's name
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def encode_jpeg(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Return a JPEG as cameras and web sites write them: quality 70 to 92, two samplings, one in twelve progressive."""
    return encode(
        picture,
        "JPEG",
        quality=int(rng.integers(70, 93)),
        subsampling=int(rng.choice([0, 2])),
        progressive=bool(rng.random() < 1 / 12),
    )


class Segment(NamedTuple):
    """A marker segment of a JPEG file: its marker byte, and where its payload begins and ends."""

    marker: int
    start: int
    end: int


def jpeg_segments(data: bytes) -> Iterator[Segment]:
    """Yield the marker segments of an intact JPEG up to and with its first scan header."""
    at, marker = 2, 0
    while marker != START_OF_SCAN:
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield Segment(marker, at + 4, at + 2 + length)
        at += 2 + length


def overwrite_scan(data: bytes, patch: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    """Put `patch` at a random place of the first scan of an intact JPEG; return the new bytes and the place."""
    *_, scan = jpeg_segments(data)
    at = int(rng.integers(scan.end, len(data) - len(patch) - 2))
    return data[:at] + patch + data[at + len(patch) :], at


def claim_size(data: bytes, width: int, height: int) -> bytes:
    """Let the frame header of an intact JPEG claim another size."""
    frame = next(segment for segment in jpeg_segments(data) if segment.marker in START_OF_FRAME)
    claim = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return data[: frame.start + 1] + claim + data[frame.start + 5 :]
