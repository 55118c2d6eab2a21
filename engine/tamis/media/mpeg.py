"""MP3 and AAC (ADTS): frames followed from one header to the next, and their number compared with what the first frame declares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tamis.media.inspection import Container, damaged, trailing
from tamis.media.layer3 import check_frames
from tamis.media.streams import walk_flac
from tamis.names import counted

if TYPE_CHECKING:
    from collections.abc import Callable

_V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_V2 = {1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256), 2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)}
_RATES = (44_100, 48_000, 32_000)
_SAME = 0xFFFE0C00  # what all headers of a stream share: sync, version, layer, sampling rate
_FREE = -1
_ADTS_HEADER = 7
_HEAD = 4096
_CONFIRM = 3  # frames in a row that make a place the beginning of the sound


@dataclass(frozen=True, slots=True)
class _Tag:
    """What an Xing, Info or VBRI header declares; 0 where it does not."""

    frames: int
    bytes: int


def _length(header: int) -> int:
    """Return the bytes of an MPEG audio frame by its header; 0 where it is none, -1 of a free bit rate."""
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    rate, sampling = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or rate == 15 or sampling == 3:
        return 0
    if rate == 0:
        return _FREE
    kilobits = (_V1[layer] if version == 3 else _V2[min(layer, 2)])[rate - 1]
    hertz = _RATES[sampling] >> (0 if version == 3 else 1 if version == 2 else 2)
    padding = header >> 9 & 1
    if layer == 1:
        return (12_000 * kilobits // hertz + padding) * 4
    return (72_000 if layer == 3 and version != 3 else 144_000) * kilobits // hertz + padding


def _skip_tags(data: bytes) -> int:
    """Return where the tags in front end."""
    place = 0
    while data[place : place + 3] == b"ID3" and place + 10 <= len(data):
        seven = data[place + 6 : place + 10]
        length = seven[0] << 21 | seven[1] << 14 | seven[2] << 7 | seven[3]
        place += 10 + length + (10 if data[place + 5] & 0x10 else 0)
    return place


def _is_tag(data: bytes, place: int) -> bool:
    return data.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI"), place)


def _chain(data: bytes, place: int, length: Callable[[bytes, int], int], frames: int) -> bool:
    """Say whether so many whole frames follow one another, or fewer up to the very end."""
    for number in range(frames):
        if place == len(data) or (number and _is_tag(data, place)):
            return number > 0
        step = length(data, place)
        if step <= 0 or place + step > len(data):
            return False
        place += step
    return True


def _search(data: bytes, place: int, length: Callable[[bytes, int], int]) -> int:
    """Return the next place at which frames begin; -1 where none do."""
    place = data.find(b"\xff", place)
    while place >= 0 and not _chain(data, place, length, _CONFIRM):
        place = data.find(b"\xff", place + 1)
    return place


def _declared(data: bytes, place: int, header: int) -> _Tag | None:
    """Return what the first frame declares of the others, where it is no sound but such a header."""
    mono, old = header >> 6 & 3 == 3, header >> 19 & 3 != 3
    at = place + 4 + ((9 if mono else 17) if old else (17 if mono else 32))
    if data[at : at + 4] in (b"Xing", b"Info"):
        flags, at = int.from_bytes(data[at + 4 : at + 8]), at + 8
        frames = int.from_bytes(data[at : at + 4]) if flags & 1 else 0
        at += 4 if flags & 1 else 0
        return _Tag(frames, int.from_bytes(data[at : at + 4]) if flags & 2 else 0)
    if data[place + 36 : place + 40] == b"VBRI":
        return _Tag(int.from_bytes(data[place + 50 : place + 54]), int.from_bytes(data[place + 46 : place + 50]))
    return None


def walk_mp3(data: bytes) -> Container:
    """Follow the frames from the first to the last, past tags (ISO/IEC 11172-3 and 13818-3).

    Raises
    ------
    FaultError
        There is no frame, frames do not follow one another, the last one is cut off, or there are fewer than the first one declares.
    """
    begin = _skip_tags(data)
    if begin > len(data):
        raise damaged("truncated", f"ends at byte {len(data)} within a tag that declares {begin} bytes")
    if begin and data.startswith(b"fLaC", begin):
        return replace(walk_flac(data[begin:]), note=("tag_in_front", f"the FLAC begins at byte {begin}, behind a tag"))
    if begin and is_adts(data[begin : begin + _HEAD]):
        return _follow(data, begin, _adts_length)

    def any_frame(content: bytes, place: int) -> int:
        header = int.from_bytes(content[place : place + 4])
        step = _length(header)
        following = int.from_bytes(content[place + step : place + step + 4]) if step > 0 else header
        return (
            step if step > 0 and (place + step >= len(content) or not (following ^ header) & _SAME or _is_tag(content, place + step)) else 0
        )

    first = begin if any_frame(data, begin) else _search(data, begin, any_frame)
    if first < 0:
        return _without_frames(data, begin)
    header = int.from_bytes(data[first : first + 4])

    def same_frame(content: bytes, place: int) -> int:
        other = int.from_bytes(content[place : place + 4])
        return _length(other) if not (other ^ header) & _SAME else 0

    junk = data[begin:first].strip(b"\0")
    note = ("junk_in_header", f"{counted(first - begin, 'bytes')} at byte {begin} of no frame") if junk else None
    tag = _declared(data, first, header)
    if tag and tag.bytes and first + tag.bytes > len(data):
        raise damaged("truncated", f"ends at byte {len(data)}, the first frame declares that the sound ends at byte {first + tag.bytes}")
    check = check_frames if header >> 17 & 3 == 1 else None
    return _follow(data, first, same_frame, note, tag.frames if tag else 0, header_frame=tag is not None, check=check)


def _without_frames(data: bytes, begin: int) -> Container:
    """Return or raise the verdict on a file in which no two frames follow one another."""
    header = int.from_bytes(data[begin : begin + 4])
    if _length(header) == _FREE:
        return Container(data, ("free_format", f"the frames from byte {begin} on have a free bit rate and were not followed"))
    if _length(header) > 0:
        raise damaged("truncated", f"ends at byte {len(data)} within the first frame at byte {begin}")
    raise damaged("no_sound", f"holds no frame of sound in the {len(data) - begin} bytes from byte {begin} on")


def _follow(
    data: bytes,
    first: int,
    length: Callable[[bytes, int], int],
    note: tuple[str, str] | None = None,
    declared: int = 0,
    *,
    header_frame: bool = False,
    check: Callable[[bytes, list[int]], None] | None = None,
) -> Container:
    """Follow frames to their end, and check where they stand."""
    place, size = first, len(data)
    places = [first]
    while place < size:
        step = length(data, place)
        if step <= 0:
            break
        if place + step > size:
            raise damaged("truncated", f"ends at byte {size} within frame {len(places) - 1} at byte {place}, which has {step} bytes")
        place += step
        places.append(place)
    frames = len(places) - 1
    sound = frames - header_frame
    if place < size and not _is_tag(data, place):
        again = _search(data, place, length)
        if again >= 0:
            detail = f"no frame begins at byte {place}, after frame {frames - 1}; the next ones begin at byte {again}"
            raise damaged("corrupt_data", detail, lost=(again - place) / (size - first))
        if data[place:].strip(b"\0"):
            note = note or trailing(size - place, f"the last frame at byte {place}")
    if sound + 1 < declared:  # some count the frame of the header too
        detail = f"holds {sound} frames up to byte {place}, the first one declares {declared}"
        raise damaged("missing_frames", detail, lost=1 - max(0, sound) / declared)
    if check:
        check(data, places[header_frame:])
    return Container(data, note)


def _adts_length(data: bytes, place: int) -> int:
    head = data[place : place + _ADTS_HEADER]
    if len(head) < _ADTS_HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= _ADTS_HEADER else 0


def is_adts(head: bytes) -> bool:
    """Say whether AAC frames follow one another from the first byte on."""
    return _chain(head, 0, _adts_length, 2)


def walk_adts(data: bytes) -> Container:
    """Follow AAC frames from the first to the last (ISO/IEC 13818-7, ADTS).

    Raises
    ------
    FaultError
        Frames do not follow one another, or the last one is cut off.
    """
    return _follow(data, 0, _adts_length)
