"""The photos of a sample: distinct pictures, copies of some, and files that are broken in known ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tamis.sample.pictures import claim_size, draw, encode, encode_jpeg, overwrite_scan
from tamis.sample.truth import Expected, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLASSES = ("harbour", "meadow", "orchard", "quarry", "rooftops", "shoreline")
ORIENTATION_TAG, ROTATE_CLOCKWISE = 0x0112, 6
BOMB_SIDE = 65_000
HTML_PAGE = b"""<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><h1>Not Found</h1><p>The picture that you asked for is not on this server.</p></body></html>
"""

Change = tuple[bytes, str]  # the file's new content, and what was done


def _reencoded(picture: Image.Image, rng: np.random.Generator) -> Change:
    quality = int(rng.integers(35, 60))
    return encode(picture, "JPEG", quality=quality), f"JPEG quality {quality}"


def _resized(picture: Image.Image, rng: np.random.Generator) -> Change:
    scale = float(rng.uniform(0.55, 0.85))
    size = (round(picture.width * scale), round(picture.height * scale))
    return encode_jpeg(picture.resize(size, Image.Resampling.LANCZOS), rng), f"scaled to {size[0]} x {size[1]}"


def _grayscale(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode(picture.convert("L"), "JPEG", quality=int(rng.integers(75, 90))), "colour removed"


def _brightness(picture: Image.Image, rng: np.random.Generator) -> Change:
    factor = float(rng.uniform(1.1, 1.25))
    return encode_jpeg(ImageEnhance.Brightness(picture).enhance(factor), rng), f"brightness times {factor:.2f}"


def _turned(picture: Image.Image, rng: np.random.Generator) -> Change:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = ROTATE_CLOCKWISE
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    return encode(turned, "JPEG", quality=int(rng.integers(80, 92)), exif=exif), "stored turned, EXIF orientation 6"


def _truncated(picture: Image.Image, rng: np.random.Generator) -> Change:
    data = encode_jpeg(picture, rng)
    length = int(len(data) * rng.uniform(0.4, 0.95))
    return data[:length], f"cut to {length} of {len(data)} bytes"


def _zeroed_block(picture: Image.Image, rng: np.random.Generator) -> Change:
    data, at = overwrite_scan(encode_jpeg(picture, rng), bytes(4096), rng)
    return data, f"4096 zeros at byte {at}"


def _random_bytes(picture: Image.Image, rng: np.random.Generator) -> Change:
    data, at = overwrite_scan(encode_jpeg(picture, rng), rng.bytes(512), rng)
    return data, f"512 random bytes at byte {at}"


def _bomb_header(picture: Image.Image, rng: np.random.Generator) -> Change:
    data = claim_size(encode_jpeg(picture, rng), BOMB_SIDE, BOMB_SIDE)
    return data, f"claims {BOMB_SIDE} x {BOMB_SIDE} pixels in {len(data)} bytes"


def _trailing_bytes(picture: Image.Image, rng: np.random.Generator) -> Change:
    extra = int(rng.integers(100, 2000))
    return encode_jpeg(picture, rng) + rng.bytes(extra), f"{extra} bytes after the end of the picture"


def _wrong_extension(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode(picture, "PNG", compress_level=int(rng.integers(1, 7))), "a PNG named .jpg"


def _html_page(picture: Image.Image, rng: np.random.Generator) -> Change:  # noqa: ARG001 - one signature for all
    return HTML_PAGE, "an HTML error page named .jpg"


def _empty_file(picture: Image.Image, rng: np.random.Generator) -> Change:  # noqa: ARG001 - one signature for all
    return b"", "no bytes"


def _zero_file(picture: Image.Image, rng: np.random.Generator) -> Change:  # noqa: ARG001 - one signature for all
    length = int(rng.integers(8_000, 60_000))
    return bytes(length), f"{length} zeros"


def _dark(picture: Image.Image, rng: np.random.Generator) -> Change:
    factor = float(rng.uniform(0.12, 0.22))
    return encode_jpeg(ImageEnhance.Brightness(picture).enhance(factor), rng), f"brightness times {factor:.2f}"


def _bright(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode_jpeg(_pressed(picture, 0.03, 247), rng), "levels pressed into 247 to 255"


def _low_contrast(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode_jpeg(_pressed(picture, 0.04, 110), rng), "levels pressed into 110 to 120"


def _pressed(picture: Image.Image, gain: float, offset: int) -> Image.Image:
    return picture.point([round(gain * level) + offset for level in range(256)] * 3)


def _near_constant(picture: Image.Image, rng: np.random.Generator) -> Change:
    colour = tuple(int(level) for level in rng.integers(60, 200, 3))
    return encode_jpeg(Image.new("RGB", picture.size, colour), rng), f"one colour, {colour}"


def _blurry(picture: Image.Image, rng: np.random.Generator) -> Change:
    radius = float(rng.uniform(0.03, 0.05)) * max(picture.size)
    return encode_jpeg(picture.filter(ImageFilter.GaussianBlur(radius)), rng), f"Gaussian blur, sigma {radius:.1f} pixels"


def _grey_as_colour(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode_jpeg(picture.convert("L").convert("RGB"), rng), "colour removed, stored as RGB"


def _letterboxed(picture: Image.Image, rng: np.random.Generator) -> Change:
    bar = round(float(rng.uniform(0.12, 0.2)) * picture.height)
    return encode_jpeg(ImageOps.expand(picture, (0, bar), (0, 0, 0)), rng), f"black bars of {bar} pixels above and below"


def _odd_aspect(picture: Image.Image, rng: np.random.Generator) -> Change:
    strip = picture.resize((840, 168), Image.Resampling.LANCZOS)
    return encode_jpeg(strip, rng), "pulled to 840 x 168"


def _odd_size(picture: Image.Image, rng: np.random.Generator) -> Change:
    return encode_jpeg(picture.resize((24, 20), Image.Resampling.LANCZOS), rng), "scaled to 24 x 20"


class Fault(NamedTuple):
    """A fault, its share of all files, how it is made, and what cleaning should make of it."""

    name: str
    share: float
    change: Callable[[Image.Image, np.random.Generator], Change]
    expected: Expected = "reject"


# These are made from pictures that are in the corpus too ...
DUPLICATES = (
    Fault("near_reencoded", 0.03, _reencoded),
    Fault("near_resized", 0.03, _resized),
    Fault("near_grayscale", 0.025, _grayscale),
    Fault("near_brightness", 0.025, _brightness),
    Fault("exif_orientation", 0.02, _turned),
)
# ... and these from pictures of their own, so that no duplicate check can find what an integrity check missed.
DAMAGES = (
    Fault("truncated", 0.03, _truncated),
    Fault("zeroed_block", 0.025, _zeroed_block),
    Fault("random_bytes", 0.025, _random_bytes),
    Fault("bomb_header", 0.01, _bomb_header),
    Fault("html_page", 0.015, _html_page),
    Fault("empty_file", 0.01, _empty_file),
    Fault("zero_file", 0.01, _zero_file),
    Fault("trailing_bytes", 0.02, _trailing_bytes, "note"),
    Fault("wrong_extension", 0.02, _wrong_extension, "note"),
)
# These are whole, and yet of little use; each is told by the issue of its name.
ISSUES = (
    Fault("dark", 0.01, _dark, "note"),
    Fault("bright", 0.01, _bright, "note"),
    Fault("low_contrast", 0.01, _low_contrast, "note"),
    Fault("near_constant", 0.01, _near_constant, "note"),
    Fault("blurry", 0.01, _blurry, "note"),
    Fault("grayscale", 0.01, _grey_as_colour, "note"),
    Fault("letterboxed", 0.01, _letterboxed, "note"),
    Fault("odd_aspect", 0.01, _odd_aspect, "note"),
    Fault("odd_size", 0.01, _odd_size, "note"),
)
EXACT_COPY_SHARE = 0.04
OTHER_CLASS = Fault("label_conflict", 0.02, _reencoded)  # a copy in another class's folder
MISSPELT = "Meadows"  # a folder of one sound picture that is to be `meadow`
MINIMUM_IMAGES = 40  # each fault once, and an original for each duplicate


def write_photos(corpus: Path, seed: int, images: int) -> Iterator[Truth]:
    """Write `images` files below `corpus/photos`, yielding the truth about each."""
    copies = _count(EXACT_COPY_SHARE, images)
    duplicates = [fault for fault in (*DUPLICATES, OTHER_CLASS) for _ in range(_count(fault.share, images))]
    alone = [fault for fault in (*DAMAGES, *ISSUES) for _ in range(_count(fault.share, images))]
    clean = images - copies - len(duplicates) - len(alone)

    plan = np.random.default_rng([seed, 1])
    names = iter([f"photos/{plan.choice(CLASSES)}/IMG_{number:05d}" for number in plan.permutation(images)])
    for name in (*CLASSES, MISSPELT):
        (corpus / "photos" / name).mkdir(parents=True, exist_ok=True)

    originals = []
    for number in range(clean):
        name = next(names)
        if number == 0:
            name = _in_class(name, MISSPELT)
        record, data = _clean_file(name, number, _picture(seed, number), plan)
        (corpus / record).write_bytes(data)
        originals.append(record)
        yield Truth(record, "image", "similar_label_names", "note", None, "in Meadows") if number == 0 else Truth(record, "image")

    numbers = 1 + plan.permutation(clean - 1)[: copies + len(duplicates)]
    for number in numbers[:copies]:
        original = originals[number]
        record = f"{_in_class(next(names), original.split('/')[1])} copy{(corpus / original).suffix}"
        (corpus / record).write_bytes((corpus / original).read_bytes())
        yield Truth(record, "image", "exact_copy", "reject", original, "the same bytes")
    for fault, number in zip(duplicates, numbers[copies:], strict=True):
        own = originals[number].split("/")[1]
        other = CLASSES[(CLASSES.index(own) + 1) % len(CLASSES)] if fault is OTHER_CLASS else own
        yield _faulty_file(corpus, _in_class(next(names), other), fault, _picture(seed, int(number)), plan, originals[number])
    for number, fault in enumerate(alone, start=clean):
        yield _faulty_file(corpus, next(names), fault, _picture(seed, number), plan)


def _in_class(name: str, label: str) -> str:
    """Return a name below another class's folder."""
    return f"photos/{label}/{name.rpartition('/')[2]}"


def _count(share: float, images: int) -> int:
    return max(1, round(share * images))


def _picture(seed: int, number: int) -> Image.Image:
    """Draw picture `number`, the same each time it is asked for, so that no picture waits in memory for its copies."""
    return draw(np.random.default_rng([seed, 2, number]))


def _clean_file(name: str, number: int, picture: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    match number % 16:
        case 5:
            return f"{name}.png", encode(picture, "PNG", compress_level=6)
        case 9:
            return f"{name}.webp", encode(picture, "WEBP", quality=int(rng.integers(70, 93)))
        case 13:
            return f"{name}.gif", encode(picture.quantize(256, method=Image.Quantize.MEDIANCUT), "GIF")
        case _:
            return f"{name}.jpg", encode_jpeg(picture, rng)


def _faulty_file(
    corpus: Path, name: str, fault: Fault, picture: Image.Image, rng: np.random.Generator, original: str | None = None
) -> Truth:
    data, detail = fault.change(picture, rng)
    record = f"{name}.jpg"
    (corpus / record).write_bytes(data)
    return Truth(record, "image", fault.name, fault.expected, original, detail)
