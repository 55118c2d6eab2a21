"""Every raster format but baseline JPEG, by Pillow: all frames, and warnings taken as findings."""

from __future__ import annotations

import io
import re
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from tamis.media.inspection import FaultError, Limits, check_pixels, damaged
from tamis.media.sniff import foreign_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

PILLOW_FORMATS = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "gif": ("GIF",),
    "webp": ("WEBP",),
    "bmp": ("BMP", "DIB"),
    "tiff": ("TIFF",),
    "avif": ("AVIF",),
    "jp2": ("JPEG2000",),
    "ico": ("ICO",),
    "psd": ("PSD",),
    "pnm": ("PPM",),
}

# Rarer formats with a mark of their own. Not among them: EPS, which runs a program, and formats without a mark, which any bytes match.
_RARE_FORMATS = ("PCX", "DCX", "SGI", "FLI", "DDS", "BLP", "MSP", "FITS", "CUR", "ICNS", "XPM", "QOI", "SUN")
_FORMATS_BY_NAME = {"tga": "TGA", "spider": "SPIDER", "spi": "SPIDER", "xbm": "XBM", "dib": "DIB"}

_BESIDE_THE_PICTURE = re.compile(r"skipping tag|exif|metadata|apng|expected size|icc|xmp|mpo|multi-picture", re.IGNORECASE)
_OF_NO_WEIGHT = (Image.DecompressionBombWarning, DeprecationWarning, ResourceWarning)

_COLOURLESS = ("1", "L", "LA", "La", "I", "F")

# The warning filters and Pillow's limit belong to the whole process, so one picture at a time may change them.
_PROCESS_WIDE = threading.Lock()


@dataclass(slots=True)
class Raster:
    """What Pillow made of a file.

    Attributes
    ----------
    format
        Pillow's name of the format, in lower case.
    width, height, mode
        Of the first frame.
    frames
        Frames decoded.
    orientation
        EXIF orientation, 1 … 8.
    gray
        uint8[height, width] of the first frame, as stored.
    chroma
        Its Cb and Cr, as means of 8 x 8 pixels; None where its mode has no colour.
    notes
        Reason and detail of each benign finding.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    frames: int = 0
    orientation: int = 1
    gray: NDArray[np.uint8] | None = None
    chroma: tuple[NDArray[np.uint8], ...] | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)


def decode(data: bytes, format_name: str, name: str, limits: Limits, *, want_picture: bool) -> Raster:
    """Decode every frame.

    Raises
    ------
    FaultError
        The content is no picture, a bomb, damaged, or cannot be decoded.
    """
    formats = PILLOW_FORMATS.get(format_name) or _formats_to_try(name)
    raster = Raster()
    with _PROCESS_WIDE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limits.max_pixels // 2  # it refuses what is twice as large
        try:
            with Image.open(io.BytesIO(data), formats=formats) as image:
                _read_frames(image, raster, limits, want_picture=want_picture)
        except Image.DecompressionBombError as error:
            raise FaultError(grade="bomb", reason="too_many_pixels", detail=str(error)) from error
        except UnidentifiedImageError as error:
            _refuse(data, format_name, error)
        except FaultError:
            raise
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
            if not raster.width:
                raise FaultError(grade="undecodable", reason="decoder_error", detail=detail) from error
            raise damaged("decoder_error", f"frame {raster.frames}: {detail}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    for warning in caught:
        _grade_warning(warning, raster)
    return raster


def _formats_to_try(name: str) -> tuple[str, ...]:
    extension = name.rpartition(".")[2].lower()
    named = _FORMATS_BY_NAME.get(extension)
    return (*_RARE_FORMATS, named) if named else _RARE_FORMATS


def _refuse(data: bytes, format_name: str, error: Exception) -> None:
    if format_name in PILLOW_FORMATS:
        raise FaultError(
            grade="undecodable", reason="bad_header", detail=f"begins like {format_name}, but its header cannot be read"
        ) from error
    if foreign := foreign_name(data):
        raise FaultError(grade="undecodable", reason="unsupported_format", detail=f"the content is {foreign}, which is not read") from error
    raise FaultError(grade="not_media", reason="unknown_content", detail="the content matches no known format") from error


def _read_frames(image: Image.Image, raster: Raster, limits: Limits, *, want_picture: bool) -> None:
    raster.format = (image.format or "").lower()
    check_pixels(*image.size, limits)
    raster.width, raster.height = image.size
    raster.mode = image.mode
    image.load()
    raster.frames = 1
    _read_orientation(image, raster)
    if want_picture:
        raster.gray, raster.chroma = _gray(image), _chroma(image)
    total = image.width * image.height
    for frame in range(1, getattr(image, "n_frames", 1)):
        image.seek(frame)
        check_pixels(*image.size, limits)
        total += image.width * image.height
        limits.check_frames(frame + 1, total)
        image.load()
        raster.frames += 1


def _read_orientation(image: Image.Image, raster: Raster) -> None:
    try:
        orientation = Image.Image.getexif(image).get(0x0112, 1)  # a PNG's own would load the picture
    except Exception as error:  # any bytes may stand in EXIF, and any error may come of it
        raster.notes.append(("broken_exif", f"{type(error).__name__}: {error}"))
        return
    if orientation in range(9):
        raster.orientation = int(orientation) or 1
    else:
        raster.notes.append(("broken_exif", f"EXIF gives the orientation {orientation!r}"))


def read_orientation(metadata: bytes, format_name: str) -> tuple[int, list[tuple[str, str]]]:
    """Return the orientation that a file's metadata tell, without decoding its picture, and a note where they are broken."""
    raster = Raster()
    with (
        _PROCESS_WIDE,
        warnings.catch_warnings(action="ignore"),
        Image.open(io.BytesIO(metadata), formats=PILLOW_FORMATS[format_name]) as image,
    ):
        _read_orientation(image, raster)
    return raster.orientation, raster.notes


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    """Return the luma; 16-bit pictures by their upper byte, floats scaled to their own range."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        return _scaled(np.asarray(image, np.float64))
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("L"))


def _chroma(image: Image.Image) -> tuple[NDArray[np.uint8], ...] | None:
    """Return Cb and Cr of the means of 8 x 8 pixels; None where the mode has no colour."""
    if image.mode in _COLOURLESS or image.mode.startswith("I;16"):
        return None
    small = (image if image.mode == "RGB" else image.convert("RGB")).reduce(8).convert("YCbCr")
    return tuple(np.asarray(small.getchannel(band)) for band in (1, 2))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Map 0 … 65535 (integers of 16 bits), or any wider or finer range, onto 0 … 255."""
    finite = np.where(np.isfinite(values), values, 0.0)
    low, high = min(float(finite.min()), 0.0), float(finite.max())
    if high <= 65535 and high > 255 and low == 0:
        high = 65535.0
    span = high - low
    return np.rint((finite - low) * (255 / span if span else 0.0)).astype(np.uint8)


def _grade_warning(warning: warnings.WarningMessage, raster: Raster) -> None:
    if issubclass(warning.category, _OF_NO_WEIGHT) or "Palette images with Transparency" in str(warning.message):
        return
    text = str(warning.message)
    if not _BESIDE_THE_PICTURE.search(text):
        raise damaged("decoder_warning", text)
    raster.notes.append(("broken_metadata", text))
