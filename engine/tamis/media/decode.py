"""One read and one decode of a file tell whether it is whole, what it shows and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media import jpeg, png, raster
from tamis.media.containers import WALKS
from tamis.media.inspection import CELL, Container, FaultError, Header, Inspection, Limits, Told, trailing
from tamis.media.sniff import MediaType, extension_disagrees, is_media_name, sniff
from tamis.names import counted
from tamis_kernels.jpeg import walk_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis_kernels.jpeg import Walk

SHORT_SIDE = 256
"""From this short side on a grey picture is kept as means of 8 x 8 pixels, which is what a JPEG's DC terms are. From these the perceptual
hash of a photo is 8 bits of 256 from that of all pixels, in the mean; of smaller pictures they would leave too little."""

_NO_DECODER = frozenset({"heic", "svg"})
_NOT_DECODED = ("not_decoded", "lengths, tables and checksums of the container were checked, what is in it was not decoded")
_TEXTS = (
    "; texts are read as rows of tables, such as .jsonl, .parquet or an array of objects in .json where no media are beside it; "
    "integrity.reject without not_media keeps the file"
)
_JPEG = b"\xff\xd8\xff"
_UNKNOWN = MediaType("unknown", "application/octet-stream", "unknown")
_USUAL = Limits()
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def inspect(
    data: bytes,
    *,
    name: str,
    limits: Limits | None = None,
    want_picture: bool = True,
    walk: Walk | None = None,
    told: Told | None = None,
    deep: bool = False,
) -> Inspection:
    """Judge one file by its content and, where it is a picture, return it small, grey and upright.

    Whatever the bytes are, this returns a verdict and raises nothing. A decoder written in C may still crash or hang on hostile
    bytes, so run it in a process that may be killed.

    Parameters
    ----------
    data
        The whole content.
    name
        The file's name, for its extension alone.
    limits
        What the file may ask for; `Limits()` by default.
    want_picture
        Fill `gray` and `chroma`. Every frame is decoded for the verdict either way.
    walk
        What the walk over a JPEG found, where it is known already; see `walk_jpegs`.
    told
        What is told of the JPEG's picture, which is then not decoded; see `see_jpegs`.
    deep
        Decode sound and film too, to the last frame. Without it their containers are walked.
    """
    limits, found = limits or _USUAL, _UNKNOWN
    try:
        found = sniff(data)
        report = _inspect_type(data, found, name, limits, want_picture=want_picture, walk=walk, told=told, deep=deep)
    except FaultError as fault:
        report = Inspection(fault.grade, fault.reason, str(fault), found.name, lost=fault.lost)
    except (Exception, MemoryError, RecursionError) as error:
        report = Inspection("undecodable", "decoder_error", f"{type(error).__name__}: {error}", found.name)
    if not extension_disagrees(name, report.format):
        return report
    if report.grade != "ok":
        return report._replace(misnamed=True)
    detail = f"the content is {report.format}, the name ends in .{name.rpartition('.')[2]}"
    return report._replace(grade="misnamed", misnamed=True, reason="misnamed", detail=detail)


def _inspect_type(
    data: bytes, found: MediaType, name: str, limits: Limits, *, want_picture: bool, walk: Walk | None, told: Told | None, deep: bool
) -> Inspection:
    if found.name == "jpeg":
        return _inspect_jpeg(data, name, limits, want_picture=want_picture, walk=walk, told=told)
    if found.kind in ("document", "archive", "text", "empty") and found.name not in _NO_DECODER:
        zeros = len(data) - len(data.lstrip(b"\0"))
        detail = f"begins with {zeros} zero bytes of {len(data)}" if found.name == "zeros" else f"the content is {found.name}: {found.mime}"
        if found.kind == "text" and not is_media_name(name):
            detail += _TEXTS
        return Inspection("not_media", found.name, detail, found.name)
    if found.name == "png":
        return _inspect_png(data, limits, want_picture=want_picture)
    follow = WALKS.get(found.name)
    container = follow(data, limits) if follow else Container(data)
    if found.kind in ("audio", "video"):
        return _inspect_stream(data, found, container, limits, deep=deep)
    if found.name in _NO_DECODER:
        return _with_notes(Inspection("ok", *_NOT_DECODED, format=found.name), [container.note] if container.note else [])
    report = _inspect_raster(container.data, found.name, name, limits, want_picture=want_picture)
    return _with_notes(report, [container.note] if container.note else [])


def begins_like_jpeg(data: bytes) -> bool:
    """Say whether a file is to be walked."""
    return data[:3] == _JPEG


def in_upright_cells(header: Header) -> bool:
    """Say whether a JPEG's picture is kept in cells, and stored upright."""
    return header.orientation == 1 and min(header.width, header.height) >= SHORT_SIDE


def walk_jpegs(files: Sequence[bytes]) -> list[Walk | None]:
    """Walk those of some files that begin like a JPEG, two at a time, which is faster than one by one."""
    chosen = [place for place, data in enumerate(files) if begins_like_jpeg(data)]
    walks: list[Walk | None] = [None] * len(files)
    for place, walk in zip(chosen, walk_many([files[place] for place in chosen]), strict=True):
        walks[place] = walk
    return walks


def _inspect_jpeg(data: bytes, name: str, limits: Limits, *, want_picture: bool, walk: Walk | None, told: Told | None) -> Inspection:
    walk = walk or walk_many([data])[0]
    whole = walk.fault == "none"
    header = told.header if told else jpeg.header_of(walk, data) if whole else jpeg.read_header(data)
    jpeg.check_size(header, data, limits)
    jpeg.check_walk(walk, len(data))
    notes = []
    if header.junk:
        start, stop = header.junk[0]
        notes.append(("junk_in_header", f"{counted(stop - start, 'bytes')} at byte {start} of no segment"))
    if header.exif_fault:
        notes.append(("broken_exif", header.exif_fault))
    if behind := trailing(len(data) - walk.end if whole else jpeg.trailing_bytes(data), "the end marker"):
        notes.append(behind)
    large = min(header.width, header.height) >= SHORT_SIDE
    luma, chroma = None, None
    if (want_picture or not whole) and told is None:
        in_cells = large and (
            header.orientation == 1 or header.width % CELL == header.height % CELL == 0
        )  # else a flip would move the cells
        if whole and jpeg.is_luminance(walk, data):
            luma, chroma = walk.luma if in_cells else None, walk.chroma
        try:
            if luma is None:
                in_colour = want_picture and not whole and header.components == 3 and in_cells == large
                luma, colours = jpeg.decode(data, header, CELL if in_cells or not want_picture else 1, in_colour=in_colour)
                chroma = _flat(colours) if colours else chroma
        except ValueError as error:
            report = _fall_back(data, name, limits, str(error), want_picture=want_picture)
            return _with_notes(report, notes)
    extent = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
    report = Inspection(
        "ok",
        format="jpeg",
        width=header.width,
        height=header.height,
        frames=1,
        mode=_MODES.get(header.components, ""),
        orientation=header.orientation,
        gray=_small(luma, header.orientation, extent) if want_picture and luma is not None else None,
        extent=extent if want_picture else (0, 0),
        chroma=chroma if want_picture else None,
        told=told if want_picture else None,
    )
    return _with_notes(report, notes)


def _fall_back(data: bytes, name: str, limits: Limits, refusal: str, *, want_picture: bool) -> Inspection:
    """Try Pillow on a JPEG of a kind that the strict decoder refuses, before calling it broken."""
    try:
        report = _inspect_raster(data, "jpeg", name, limits, want_picture=want_picture)
    except FaultError as fault:
        raise FaultError(grade=fault.grade, reason=fault.reason, detail=f"{refusal}; {fault}") from fault
    if refusal.startswith("Unsupported"):
        return report
    return _with_notes(report, [("header_warning", refusal)])


def _inspect_raster(data: bytes, format_name: str, name: str, limits: Limits, *, want_picture: bool) -> Inspection:
    found = raster.decode(data, format_name, name, limits, want_picture=want_picture)
    report = Inspection(
        "ok",
        format=format_name if format_name != "unknown" else found.format,
        width=found.width,
        height=found.height,
        frames=found.frames,
        mode=found.mode,
        orientation=found.orientation,
    )
    if found.gray is not None:
        report = _with_picture(report, found.gray, found.chroma)
    return _with_notes(report, found.notes)


def _inspect_stream(data: bytes, found: MediaType, container: Container, limits: Limits, *, deep: bool) -> Inspection:
    notes = [container.note] if container.note else []
    if not deep:
        return _with_notes(Inspection("ok", *_NOT_DECODED, format=found.name), notes)
    from tamis.media.deep import decode  # loads FFmpeg's libraries, which nobody else needs

    decoded = decode(data, found.name, limits)
    reason, detail = decoded.note or ("", "")
    report = Inspection("ok", reason, detail, format=found.name, width=decoded.width, height=decoded.height, frames=decoded.frames)
    return _with_notes(report, notes)


def _inspect_png(data: bytes, limits: Limits, *, want_picture: bool) -> Inspection:
    found = png.read(data, limits)
    header = found.header
    orientation, broken = raster.read_orientation(found.metadata, "png") if found.metadata else (1, [])
    report = Inspection(
        "ok",
        format="png",
        width=header.width,
        height=header.height,
        frames=found.frames,
        mode=header.mode,
        orientation=orientation,
    )
    if want_picture:
        report = _with_picture(report, *png.gray(found))
    return _with_notes(report, [*found.notes, *broken])


def _with_notes(report: Inspection, notes: list[tuple[str, str]]) -> Inspection:
    """Add benign findings: the first gives the reason, all give the detail."""
    if not notes:
        return report
    if report.grade == "benign":
        notes = [(report.reason, report.detail), *notes]
    return report._replace(grade="benign", reason=notes[0][0], detail="; ".join(detail for _, detail in notes))


def _cells(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the means of cells of 8 x 8 pixels; those at the right and lower border are of the pixels that are there."""
    height, width = gray.shape
    rows, columns = np.arange(0, height, CELL), np.arange(0, width, CELL)
    lines = np.add.reduceat(gray, rows, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(lines, columns, axis=1)
    pixels = np.outer(np.diff(rows, append=height), np.diff(columns, append=width)).astype(np.uint32)
    means: NDArray[np.uint8] = ((sums + pixels // 2) // pixels).astype(np.uint8)
    return means


def _upright(gray: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and flip the stored picture as the EXIF orientation demands (5 to 8 exchange rows and columns)."""
    if orientation >= 5:
        gray = gray.T
    if orientation in (3, 4, 7, 8):
        gray = gray[::-1]
    if orientation in (2, 3, 6, 7):
        gray = gray[:, ::-1]
    upright: NDArray[np.uint8] = np.ascontiguousarray(gray)
    return upright


def _small(stored: NDArray[np.uint8], orientation: int, extent: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the upright picture, in cells where it is large enough; it may be given as cells already."""
    upright = _upright(stored, orientation)
    return _cells(upright) if upright.shape == extent and min(extent) >= SHORT_SIDE else upright


def _flat(chroma: Sequence[NDArray[np.uint8]] | None) -> NDArray[np.uint8] | None:
    return np.concatenate([one.ravel() for one in chroma]) if chroma else None


def _with_picture(report: Inspection, stored: NDArray[np.uint8], chroma: Sequence[NDArray[np.uint8]] | None = None) -> Inspection:
    """Add the picture, given as pixels or as cells already, and its chroma where it is known."""
    extent = (report.height, report.width) if report.orientation < 5 else (report.width, report.height)
    return report._replace(gray=_small(stored, report.orientation, extent), extent=extent, chroma=_flat(chroma))
