"""ISO base media: every box's length, and whether every sample and item that is declared lies within the data there are.

MP4, MOV and M4A by their sample tables and fragments (ISO/IEC 14496-12), HEIC and AVIF by their items (23008-12). Only boxes that are known
to hold others are opened, each below its own parent, so that no nesting goes deeper than the format does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tamis.media.inspection import Container, Limits, check_pixels, damaged, trailing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Note = tuple[str, str]

_MOST_SPAN = 1 << 62  # keeps sums of spans that cannot be within 64 bits
_SELF_CONTAINED = 1
_BASE_GIVEN, _SIZE_GIVEN, _BASE_IS_MOOF = 0x1, 0x10, 0x20000
_OFFSET_GIVEN, _FIRST_FLAGS, _EACH = 0x1, 0x4, (0x100, 0x200, 0x400, 0x800)
_SIZE_EACH = 0x200


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its kind, where it begins, where its body begins and ends."""

    kind: bytes
    place: int
    start: int
    stop: int


@dataclass(slots=True)
class _Film:
    """What the outermost boxes tell."""

    size: int
    media: list[tuple[int, int]] = field(default_factory=list)
    films: list[Box] = field(default_factory=list)
    fragments: list[Box] = field(default_factory=list)
    items: list[Box] = field(default_factory=list)
    note: Note | None = None


def _boxes(data: bytes, place: int, stop: int) -> Iterator[Box]:
    """Yield the boxes from one byte to another; zeros or less than a head at the end are passed over."""
    while place < stop:
        head = data[place : min(place + 16, stop)]
        if place and not head[:8].strip(b"\0"):
            return
        length, begin = int.from_bytes(head[:4]), place + 8
        if length == 0 and len(head) >= 8:
            length = stop - place
        elif length == 1 and len(head) >= 16:
            length, begin = int.from_bytes(head[8:16]), place + 16
        if length < begin - place or place + length > stop:
            reason = "truncated" if place + length > len(data) or len(head) < 8 else "bad_box"
            raise damaged(reason, f"ends at byte {stop} within the box {head[4:8]!r} at byte {place}, which declares {length} bytes")
        yield Box(head[4:8], place, begin, place + length)
        place += length


def _inside(data: bytes, box: Box, *path: bytes, skip: int = 0) -> list[Box]:
    """Return the boxes at the end of a path of kinds below a box."""
    found = [one for one in _boxes(data, box.start + skip, box.stop) if one.kind == path[0]]
    return [deep for one in found for deep in _inside(data, one, *path[1:])] if len(path) > 1 else found


def _first(data: bytes, box: Box, *path: bytes) -> Box | None:
    return next(iter(_inside(data, box, *path)), None)


def walk_film(data: bytes, limits: Limits) -> Container:
    """Follow the boxes of a film or sound, which must tell of a track.

    Raises
    ------
    FaultError
        As `_walked` does, and where neither `moov` nor `moof` is there, or no track is in them.
    """
    film = _walked(data, limits)
    if not film.films and not film.fragments:
        raise damaged("no_film", "holds no box moov, which tells where pictures and sound are")
    if not _has_track(data, film):
        raise damaged("no_film", "holds no box trak, which tells of a track of pictures or sound")
    return Container(data, film.note)


def walk_pictures(data: bytes, limits: Limits) -> Container:
    """Follow the boxes of a HEIC or AVIF, which must tell where a picture is: as an item, or in the track of a sequence.

    Raises
    ------
    FaultError
        As `_walked` does, and where nothing tells of a picture.
    """
    film = _walked(data, limits)
    if not _has_track(data, film) and not any(_inside(data, meta, b"iloc", skip=4) for meta in film.items):
        raise damaged("no_picture_data", "holds no box iloc, which tells where the picture is")
    return Container(data, film.note)


def _walked(data: bytes, limits: Limits) -> _Film:
    """Follow the boxes, and check that samples of films and items of pictures lie within the data; return the outermost ones.

    Raises
    ------
    FaultError
        A box is longer than what is left, tables contradict one another, data lie beyond the file, or a picture is a bomb.
    """
    film = _outermost(data)
    for meta in film.items:
        _check_items(data, meta, limits)
    for movie in film.films:
        for track in _inside(data, movie, b"trak"):
            _check_track(data, track, film)
    if film.fragments:
        defaults = _fragment_defaults(data, film.films)
        for fragment in film.fragments:
            _check_fragment(data, fragment, film, defaults)
    return film


def _has_track(data: bytes, film: _Film) -> bool:
    return bool(film.fragments) or any(_inside(data, movie, b"trak") for movie in film.films)


def _outermost(data: bytes) -> _Film:
    film, end = _Film(len(data)), 0
    for box in _boxes(data, 0, len(data)):
        end = box.stop
        if box.kind in (b"mdat", b"idat"):
            film.media.append((box.start, box.stop))
        elif box.kind == b"moov":
            film.films.append(box)
        elif box.kind == b"moof":
            film.fragments.append(box)
        elif box.kind == b"meta":
            film.items.append(box)
    if end < len(data):
        film.note = ("trailing_bytes", f"{len(data) - end} zeros follow the last box, from byte {end} on")
    return film


def _table(data: bytes, box: Box, code: str, columns: int, head: int = 8) -> Numbers:
    """Return a table of a full box, int64[rows, columns]: its count stands in the last four bytes of the head."""
    count = int.from_bytes(data[box.start + head - 4 : box.start + head])
    width = int(code[2:]) * columns
    if box.start + head + count * width > box.stop:
        detail = (
            f"the table {box.kind!r} at byte {box.place} declares {count} entries and has room for {(box.stop - box.start - head) // width}"
        )
        raise damaged("bad_table", detail)
    return np.frombuffer(data, code, count * columns, box.start + head).astype(np.int64).reshape(count, columns)


def _check_track(data: bytes, track: Box, film: _Film) -> None:
    """Check one track's tables against one another and its chunks against the data."""
    information = _first(data, track, b"mdia", b"minf")
    tables = _first(data, information, b"stbl") if information else None
    if information is None or tables is None:
        raise damaged("bad_table", f"the track at byte {track.place} has no sample tables")
    found = {box.kind: box for box in _boxes(data, tables.start, tables.stop)}
    offsets = (
        _table(data, found[b"co64"], ">u8", 1) if b"co64" in found else _table(data, found[b"stco"], ">u4", 1) if b"stco" in found else None
    )
    size_box = found.get(b"stsz") or found.get(b"stz2")
    if offsets is None or size_box is None or b"stsc" not in found:
        if film.fragments:
            return
        raise damaged("bad_table", f"the track at byte {track.place} lacks one of the tables stsz, stsc and stco")
    samples, sizes = _sample_sizes(data, size_box)
    counts = _chunk_counts(_table(data, found[b"stsc"], ">u4", 3), len(offsets), found[b"stsc"])
    if counts.sum() != samples:
        detail = f"the {len(offsets)} chunks of the track at byte {track.place} hold {counts.sum()} samples, its sizes are of {samples}"
        raise damaged("bad_table", detail)
    if b"stts" in found:
        timed = int(_table(data, found[b"stts"], ">u4", 2)[:, 0].sum())
        if timed != samples:
            raise damaged("bad_table", f"the track at byte {track.place} has times of {timed} samples and sizes of {samples}")
    if _elsewhere(data, information):
        film.note = film.note or ("external_data", f"the data of the track at byte {track.place} are in another file")
        return
    if isinstance(sizes, int):
        lengths = np.minimum(counts.astype(np.float64) * sizes, _MOST_SPAN).astype(np.int64)
    else:
        ends = np.concatenate([[0], np.cumsum(sizes)])
        last = np.cumsum(counts)
        lengths = ends[last] - ends[last - counts]
    _check_spans(offsets[:, 0], lengths, film, f"of the track at byte {track.place}", "chunk")


def _sample_sizes(data: bytes, box: Box) -> tuple[int, Numbers | int]:
    """Return how many samples there are, and their sizes: one for all, or one each."""
    same, count = (int.from_bytes(data[at : at + 4]) for at in (box.start + 4, box.start + 8))
    if box.kind == b"stsz":
        return (count, same) if same else (count, _table(data, box, ">u4", 1, head=12)[:, 0])
    bits = same & 0xFF
    room = 8 * (box.stop - box.start - 12)
    if bits not in (4, 8, 16) or count * bits > room:
        raise damaged(
            "bad_table", f"the table 'stz2' at byte {box.place} declares {count} sizes of {bits} bits and has room for {room} bits"
        )
    raw = np.frombuffer(data, np.uint8, -(-count * bits // 8), box.start + 12)
    if bits == 4:
        raw = np.stack([raw >> 4, raw & 15], axis=1).reshape(-1)[:count]
    return count, raw.view(">u2").astype(np.int64) if bits == 16 else raw.astype(np.int64)


def _chunk_counts(runs: Numbers, chunks: int, box: Box) -> Numbers:
    """Return the samples of each chunk from runs of first chunk, samples, description."""
    if not chunks:
        return np.zeros(0, np.int64)
    first = runs[:, 0]
    if not len(runs) or first[0] != 1 or (np.diff(first) <= 0).any():
        raise damaged("bad_table", f"the table 'stsc' at byte {box.place} does not begin at chunk 1, or its chunks do not rise")
    runs = runs[first <= chunks]
    counts: Numbers = np.repeat(runs[:, 1], np.diff(runs[:, 0], append=chunks + 1))
    return counts


def _elsewhere(data: bytes, information: Box) -> bool:
    """Say whether a track's data lie in another file."""
    references = _first(data, information, b"dinf", b"dref")
    if references is None:
        return False
    entries = list(_boxes(data, references.start + 8, references.stop))
    return any(not data[one.start + 3 : one.start + 4] or not data[one.start + 3] & _SELF_CONTAINED for one in entries)


def _check_spans(starts: Numbers, lengths: Numbers, film: _Film, where: str, what: str) -> None:
    """Raise where a span of bytes does not lie within the file, or within the boxes that hold data."""
    held = lengths > 0
    beyond = held & ((starts < 0) | (starts > film.size - lengths))
    if beyond.any():
        first = int(beyond.argmax())
        raise damaged("truncated", f"ends at byte {film.size}; {what} {first} {where} has {lengths[first]} bytes at byte {starts[first]}")
    begins = np.array([start for start, _ in film.media] or [0], np.int64)
    ends = np.array([stop for _, stop in film.media] or [0], np.int64)
    box = np.searchsorted(begins, starts, side="right") - 1
    outside = held & ((box < 0) | (starts + lengths > ends[np.maximum(box, 0)]))
    if outside.any():
        first = int(outside.argmax())
        raise damaged("bad_offset", f"{what} {first} {where} has {lengths[first]} bytes at byte {starts[first]}, outside all boxes of data")


def _fragment_defaults(data: bytes, films: list[Box]) -> dict[int, int]:
    """Return the size of samples that fragments of a track have where they tell none, by track."""
    boxes = [box for film in films for box in _inside(data, film, b"mvex", b"trex")]
    return {int.from_bytes(data[box.start + 4 : box.start + 8]): int.from_bytes(data[box.start + 16 : box.start + 20]) for box in boxes}


def _check_fragment(data: bytes, fragment: Box, film: _Film, defaults: dict[int, int]) -> None:
    """Check that the runs of samples of a fragment lie within the data."""
    following = fragment.place  # where data go on that tell no place of their own
    for part in _inside(data, fragment, b"traf"):
        head = _first(data, part, b"tfhd")
        if head is None or head.stop - head.start < 8:
            raise damaged("bad_table", f"the track fragment at byte {part.place} has no head")
        flags, track = (int.from_bytes(data[at : at + 4]) & mask for at, mask in ((head.start, 0xFFFFFF), (head.start + 4, 0xFFFFFFFF)))
        at = head.start + 8
        base = int.from_bytes(data[at : at + 8]) if flags & _BASE_GIVEN else fragment.place if flags & _BASE_IS_MOOF else following
        at += 8 * bool(flags & _BASE_GIVEN) + 4 * bool(flags & 0x2) + 4 * bool(flags & 0x8)
        usual = int.from_bytes(data[at : at + 4]) if flags & _SIZE_GIVEN else defaults.get(track, 0)
        place = base
        for run in _inside(data, part, b"trun"):
            start, length = _run(data, run, base, place, usual)
            _check_spans(np.array([start]), np.array([min(length, _MOST_SPAN)]), film, f"at byte {run.place}", "run")
            place = following = start + length


def _run(data: bytes, run: Box, base: int, place: int, usual: int) -> tuple[int, int]:
    """Return where the samples of a run begin and how many bytes they have."""
    flags, count = int.from_bytes(data[run.start + 1 : run.start + 4]), int.from_bytes(data[run.start + 4 : run.start + 8])
    at = run.start + 8
    if flags & _OFFSET_GIVEN:
        place = base + int.from_bytes(data[at : at + 4], signed=True)
    at += 4 * bool(flags & _OFFSET_GIVEN) + 4 * bool(flags & _FIRST_FLAGS)
    columns = [bool(flags & one) for one in _EACH]
    width = sum(columns)
    if at + count * width * 4 > run.stop:
        raise damaged(
            "bad_table", f"the run at byte {run.place} declares {count} samples and has room for {(run.stop - at) // (4 * width)}"
        )
    if not flags & _SIZE_EACH:
        return place, count * usual
    sizes = np.frombuffer(data, ">u4", count * width, at).reshape(count, width)[:, int(columns[0])]
    return place, int(sizes.sum(dtype=np.int64))


def _check_items(data: bytes, meta: Box, limits: Limits) -> None:
    """Check the declared sizes of pictures, and that the extents of items lie within the file."""
    for size in _inside(data, meta, b"iprp", b"ipco", b"ispe", skip=4):
        width, height = (int.from_bytes(data[at : at + 4]) for at in (size.start + 4, size.start + 8))
        check_pixels(width, height, limits)
    for box in _inside(data, meta, b"iloc", skip=4):
        _check_extents(data, box)


def _check_extents(data: bytes, box: Box) -> None:
    """Check that what an item location box names lies within the file."""
    version, at, size = data[box.start] if box.start < box.stop else 0, box.start + 4, len(data)

    def number(width: int) -> int:
        nonlocal at
        if at + width > box.stop:
            raise damaged("bad_table", f"the table 'iloc' at byte {box.place} ends within an item")
        at += width
        return int.from_bytes(data[at - width : at])

    widths = number(2)
    offset_width, length_width, base_width = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
    index_width = widths & 15 if version else 0
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_width)
        extents = number(2)
        for _ in range(extents if index_width or offset_width or length_width else min(extents, 1)):  # all alike, and as many as one likes
            number(index_width)
            start, length = base + number(offset_width), number(length_width)
            if method == 0 and start + length > size:
                raise damaged("truncated", f"ends at byte {size}; item {item} has {length} bytes at byte {start}")


def walk_jpeg2000(data: bytes, limits: Limits) -> Container:
    """Follow the boxes of a JP2, if it has any, and the tile parts of the code stream to its end (ISO/IEC 15444-1).

    Raises
    ------
    FaultError
        The file is cut off or a bomb, or something other than a marker stands where one must begin.
    """
    if data[:4] == b"\xff\x4f\xff\x51":
        return Container(data, _code_stream(data, 0, len(data), limits))
    end, note, streams = 0, None, 0
    for box in _boxes(data, 0, len(data)):
        end = box.stop
        if box.kind == b"jp2c":
            streams += 1
            note = _code_stream(data, box.start, box.stop, limits)
    if not streams:
        raise damaged("no_picture_data", "holds no box jp2c")
    return Container(data, trailing(len(data) - end, "the last box") or note)


def _code_stream(data: bytes, place: int, stop: int, limits: Limits) -> Note | None:
    """Follow markers and tile parts; return a note where something follows the end."""
    size = data[place + 8 : place + 24]
    right, bottom, left, top = (int.from_bytes(size[at : at + 4]) for at in (0, 4, 8, 12))
    check_pixels(max(0, right - left), max(0, bottom - top), limits)
    place += 2
    while place + 2 <= stop:
        marker = int.from_bytes(data[place : place + 2])
        if marker == 0xFFD9:
            return trailing(stop - place - 2, f"the end at byte {place + 2}")
        if marker < 0xFF50:
            raise damaged("bad_block", f"no marker stands at byte {place}, where one is due")
        length = int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xFF90:
            part = int.from_bytes(data[place + 6 : place + 10])
            if part == 0:  # the last tile part goes on to the end
                return None if data[stop - 2 : stop] == b"\xff\xd9" else ("no_end_marker", "the code stream has no end marker")
            length = part - 2
        if length < 2 or place + 2 + length > stop:
            raise damaged(
                "truncated", f"ends at byte {stop} within the segment {marker:#06x} at byte {place}, which has {length + 2} bytes"
            )
        place += 2 + length
    raise damaged("truncated", f"ends at byte {stop} without an end marker")
