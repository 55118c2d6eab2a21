"""The verdict on one file, and the limits within which it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from tamis.names import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELL = 8
"""Pixels along each side of the means that a grey picture of a photo may be made of."""

Grade = Literal["ok", "benign", "misnamed", "damaged", "undecodable", "not_media", "bomb"]

GRADES: dict[Grade, str] = {
    "ok": "nothing to object to",
    "benign": "the picture is whole, something beside it is not: trailing bytes, broken EXIF, junk in the header",
    "misnamed": "sound, but the extension promises another type",
    "damaged": "a picture was found and part of it is broken or missing",
    "undecodable": "the type is known, but no decoder makes a picture of it",
    "not_media": "neither picture nor sound: an error page, a text, zeros, nothing at all",
    "bomb": "declares more pixels than the limits allow, or than its bytes can hold",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may ask for.

    Attributes
    ----------
    max_pixels
        Pixels of one frame.
    max_total_pixels
        Pixels of all frames together.
    max_frames
        Frames or pages.
    """

    max_pixels: int = 178_956_970
    max_total_pixels: int = 4_000_000_000
    max_frames: int = 100_000

    def check_frames(self, frames: int, pixels: int) -> None:
        """Raise a `bomb` where a file's first frames, so many with so many pixels, are more than allowed."""
        if frames > self.max_frames:
            detail = f"holds more frames than the limit of {self.max_frames}"
            raise FaultError(grade="bomb", reason="too_many_frames", detail=detail)
        if pixels > self.max_total_pixels:
            detail = f"the frames up to {frames} hold {pixels} pixels, above the limit of {self.max_total_pixels}"
            raise FaultError(grade="bomb", reason="too_many_pixels", detail=detail)


@dataclass(slots=True)
class Header:
    """What stands before the first scan of a JPEG.

    Attributes
    ----------
    width, height, components
        As the frame header declares them.
    scan
        Offset of the first byte of the entropy-coded data.
    orientation
        EXIF orientation, 1 … 8.
    junk
        Spans (start, stop) of bytes between segments that belong to none.
    exif_fault
        What is wrong with EXIF; empty where nothing is.
    """

    width: int = 0
    height: int = 0
    components: int = 0
    scan: int = 0
    orientation: int = 1
    junk: list[tuple[int, int]] = field(default_factory=list)
    exif_fault: str = ""


class Told(NamedTuple):
    """What the operation `photos` tells of a JPEG's upright picture in cells, which it keeps on the device.

    Attributes
    ----------
    hash, quality, small
        uint64[4], 0 … 100 and uint8[256], as `perceptual.describe` gives them.
    figures
        int64, in the order of `quality.FIGURES`.
    header
        What stands before the first scan, which was read to learn that the picture is upright.
    """

    hash: NDArray[np.uint64]
    quality: int
    small: NDArray[np.uint8]
    figures: NDArray[np.int64]
    header: Header


class Inspection(NamedTuple):
    """What one read of a file told.

    Attributes
    ----------
    grade
        The verdict; see `GRADES`.
    reason
        Short code: what was found; empty where there is nothing to say.
    detail
        The same for a reader, with the byte or the frame where it is known.
    format
        The content's type by its bytes, as in `jpeg`.
    misnamed
        The extension promises another type; kept beside any grade.
    width, height
        Size of the first frame in pixels as stored, before the orientation is applied; 0 where unknown.
    frames
        Number of frames that were decoded; 0 where none was.
    mode
        Pillow's name of the pixel format: `L`, `RGB`, `CMYK`, …; empty where unknown.
    orientation
        EXIF orientation 1 … 8; 1 where none is given.
    gray
        Upright grey picture, uint8[height, width]: all pixels, or, where the short side has 256 and more, means of cells of 8 x 8 pixels.
    extent
        Height and width in pixels of the upright picture that `gray` holds.
    lost
        Share of a damaged picture's area that is lost, as far as it is known; else 0.
    chroma
        Cb and Cr of the picture, uint8[n] in no order to rely on, means of 8 x 8 pixels or more where there are so many; 128 is neutral.
        None where they are not known: the picture is stored as grey, or as other components.
    told
        In place of `gray` and `chroma`, where these stayed on a device; else None.
    """

    grade: Grade
    reason: str = ""
    detail: str = ""
    format: str = "unknown"
    misnamed: bool = False
    width: int = 0
    height: int = 0
    frames: int = 0
    mode: str = ""
    orientation: int = 1
    gray: NDArray[np.uint8] | None = None
    extent: tuple[int, int] = (0, 0)
    lost: float = 0.0
    chroma: NDArray[np.uint8] | None = None
    told: Told | None = None

    @property
    def has_picture(self) -> bool:
        """Whether there is a picture, here or on a device."""
        return self.gray is not None or self.told is not None


@dataclass(frozen=True, slots=True)
class Container:
    """What the walk over a container found.

    Attributes
    ----------
    data
        The content to decode: the file, less the parts that are broken but not needed.
    note
        Reason and detail of a benign finding; None where there is none.
    """

    data: bytes
    note: tuple[str, str] | None = None


class FaultError(Exception):
    """A finding that ends an inspection: the file's grade, a reason code, the detail, and what share of the picture is lost."""

    def __init__(self, *, grade: Grade, reason: str, detail: str, lost: float = 0.0) -> None:
        super().__init__(detail)
        self.lost = lost
        self.grade: Grade = grade
        self.reason = reason


def damaged(reason: str, detail: str, lost: float = 0.0) -> FaultError:
    """Return the finding that a file is damaged."""
    return FaultError(grade="damaged", reason=reason, detail=detail, lost=lost)


def trailing(count: int, end: str) -> tuple[str, str] | None:
    """Return the note that so many bytes follow what ends a file; None where there are none."""
    return ("trailing_bytes", f"{counted(count, 'bytes', 'follow')} {end}") if count > 0 else None


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raise a `bomb` where one frame declares more pixels than allowed."""
    if width * height > limits.max_pixels:
        detail = f"declares {width} x {height} = {width * height} pixels, above the limit of {limits.max_pixels}"
        raise FaultError(grade="bomb", reason="too_many_pixels", detail=detail)
