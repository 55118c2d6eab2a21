"""Matroska and WebM: elements and blocks followed to the end of the file, and their checksums where they have some (RFC 8794 and 9559)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tamis.media.inspection import Container, damaged

_EBML, _SEGMENT, _CLUSTER, _TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
_TRACK, _TRACK_NUMBER, _CHECKSUM, _VOID = 0xAE, 0xD7, 0xBF, 0xEC
_SIMPLE_BLOCK, _GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_OF_SEGMENT = frozenset({0x114D9B74, 0x1549A966, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _VOID, _CHECKSUM})
_OF_CLUSTER = frozenset({0xE7, 0xAB, 0xA7, 0xAF, 0x5854, _SIMPLE_BLOCK, _GROUP, _VOID, _CHECKSUM})


@dataclass(frozen=True, slots=True)
class _Element:
    """An element: its kind, where it begins, where its body begins and ends; an open one has no end of its own."""

    kind: int
    place: int
    start: int
    stop: int
    open: bool


def _number(data: bytes, place: int, *, keep_mark: bool) -> tuple[int, int]:
    """Return a variable-length number of EBML and its length; the length is 0 where none stands there."""
    first = data[place] if place < len(data) else 0
    length = 9 - first.bit_length()
    if first == 0 or place + length > len(data):
        return 0, 0
    value = int.from_bytes(data[place : place + length])
    return (value if keep_mark else value & (1 << 7 * length) - 1), length


def _element(data: bytes, place: int, stop: int) -> _Element:
    """Read the head of an element that must end by `stop`."""
    kind, kind_length = _number(data, place, keep_mark=True)
    length, length_length = _number(data, place + kind_length, keep_mark=False) if kind_length else (0, 0)
    if not length_length:
        raise damaged("truncated", f"no element begins at byte {place} of {len(data)}")
    body = place + kind_length + length_length
    if length == (1 << 7 * length_length) - 1:
        return _Element(kind, place, body, stop, open=True)
    if body + length > stop:
        reason, whole = ("truncated", "") if body + length > len(data) else ("bad_element", f", its parent ends at byte {stop}")
        detail = f"ends at byte {len(data)} within the element {kind:#x} at byte {place}, which declares {length} bytes{whole}"
        raise damaged(reason, detail)
    return _Element(kind, place, body, body + length, open=False)


def walk_matroska(data: bytes) -> Container:
    """Follow the outermost elements, those of the segment and the blocks of each cluster.

    A recording that streamed may leave the size of its segment or clusters open; these end where the next of their level begins.

    Raises
    ------
    FaultError
        An element is longer than its parent or what is left of the file, stands where none of its kind may, or fails its checksum; or
        there is no cluster.
    """
    place, size = 0, len(data)
    segment_end, cluster = 0, _Element(0, 0, 0, 0, open=False)
    tracks: set[int] = set()
    while place < size:
        if cluster.kind and place >= segment_end and not data[place:].strip(b"\0"):
            return Container(data, ("trailing_bytes", f"{size - place} zeros follow the last element at byte {place}"))
        in_segment = place < segment_end
        in_cluster = in_segment and place < cluster.stop
        one = _element(data, place, cluster.stop if in_cluster and not cluster.open else segment_end if in_segment else size)
        if in_cluster and cluster.open and one.kind in _OF_SEGMENT and one.kind not in (_VOID, _CHECKSUM):
            in_cluster = False
        _check_place(one, in_segment=in_segment, in_cluster=in_cluster)
        place = one.stop
        if one.kind == _SEGMENT:
            segment_end, place = one.stop, one.start
        elif in_cluster:
            _check_block(data, one, tracks)
        elif one.kind == _CLUSTER:
            cluster, place = one, one.start
        elif one.kind == _TRACKS:
            tracks |= _track_numbers(data, one)
        if in_segment and not in_cluster and not one.open:
            _check_sum(data, one)
    if not cluster.kind:
        raise damaged("no_film", "holds no cluster, in which pictures and sound are")
    return Container(data)


def _check_place(one: _Element, *, in_segment: bool, in_cluster: bool) -> None:
    """Raise where an element stands in a parent that has none of its kind, or is open and may not be."""
    known = _OF_CLUSTER if in_cluster else _OF_SEGMENT if in_segment else {_EBML, _SEGMENT, _VOID}
    if one.kind not in known or (one.open and one.kind not in (_SEGMENT, _CLUSTER)):
        where = "in a cluster" if in_cluster else "in the segment" if in_segment else "outside the segment"
        raise damaged("bad_element", f"the element {one.kind:#x} at byte {one.place} cannot stand {where}")


def _check_sum(data: bytes, one: _Element) -> None:
    """Raise where an element begins with a checksum that its other children do not have."""
    if data[one.start : one.start + 2] == b"\xbf\x84" and one.start + 6 <= one.stop:
        told = int.from_bytes(data[one.start + 2 : one.start + 6], "little")
        if zlib.crc32(memoryview(data)[one.start + 6 : one.stop]) != told:
            raise damaged("bad_checksum", f"the checksum of the element {one.kind:#x} at byte {one.place} is wrong")


def _track_numbers(data: bytes, tracks: _Element) -> set[int]:
    """Return the numbers of all tracks."""
    numbers = set()
    for entry in _children(data, tracks):
        if entry.kind == _TRACK:
            numbers |= {int.from_bytes(data[one.start : one.stop]) for one in _children(data, entry) if one.kind == _TRACK_NUMBER}
    return numbers


def _children(data: bytes, parent: _Element) -> list[_Element]:
    found, place = [], parent.start
    while place < parent.stop:
        found.append(_element(data, place, parent.stop))
        place = found[-1].stop
    return found


def _check_block(data: bytes, one: _Element, tracks: set[int]) -> None:
    """Raise where a block belongs to no track."""
    blocks = [one] if one.kind == _SIMPLE_BLOCK else []
    if one.kind == _GROUP:
        blocks = [child for child in _children(data, one) if child.kind == _BLOCK]
    for block in blocks:
        track, length = _number(data, block.start, keep_mark=False)
        if not length or block.stop - block.start < length + 3 or (tracks and track not in tracks):
            raise damaged("bad_block", f"the block at byte {block.place} belongs to track {track}, which there is not, or has no head")
