"""RIFF and IFF: every chunk's length against the bytes there are, and what WebP, WAV, AVI and AIFF demand of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis.media.inspection import Container, Limits, check_pixels, damaged, trailing

if TYPE_CHECKING:
    from collections.abc import Iterator

    Note = tuple[str, str]

_OPEN = 0xFFFFFFFF  # a length that was never written, or stands elsewhere
_HEADER = 12
_PCM, _FLOAT = 1, 3
_KEY_FRAME = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: its name, where it begins, where its body begins and ends."""

    kind: bytes
    place: int
    start: int
    stop: int


def _chunks(data: bytes, place: int, stop: int, order: Literal["little", "big"] = "little") -> Iterator[Chunk]:
    """Yield the chunks from one byte to another; a body that goes beyond is a fault."""
    while place + 8 <= stop:
        kind = data[place : place + 4]
        length = int.from_bytes(data[place + 4 : place + 8], order)
        if not all(32 <= byte < 127 for byte in kind):
            raise damaged("bad_chunk", f"no chunk begins at byte {place}: its name would be {kind!r}")
        end = place + 8 + length
        if end > stop:
            inside = "truncated" if end > len(data) else "bad_chunk"
            detail = f"the chunk {kind!r} at byte {place} declares {length} bytes and would end at byte {end}, beyond byte {stop}"
            raise damaged(inside, detail)
        yield Chunk(kind, place, place + 8, end)
        place = end + (length & 1)
    if stop - place > 1 and data[place:stop].strip(b"\0"):
        raise damaged("truncated", f"ends at byte {stop} within the head of a chunk at byte {place}")


def _end(data: bytes, order: Literal["little", "big"] = "little") -> tuple[int, Note | None]:
    """Return where the outer chunk ends, and a note of what follows it."""
    size, declared = len(data), int.from_bytes(data[4:8], order)
    if declared in (0, _OPEN) or data[:4] in (b"RF64", b"BW64"):
        return size, None
    end = 8 + declared
    if end > size:
        raise damaged("truncated", f"ends at byte {size}, the header declares {end} bytes")
    after = min(size, end + (end & 1))
    return end, trailing(size - after, f"the end at byte {after}")


def walk_webp(data: bytes, limits: Limits) -> Container:
    """Follow the chunks, those of each frame among them, and read the heads of the pictures (RFC 9649).

    Raises
    ------
    FaultError
        The file is cut off or a bomb, a chunk has no end, a picture has no head, or a frame lies beyond the canvas.
    """
    end, note = _end(data)
    canvas: tuple[int, int] | None = None
    frames, pixels = 0, 0
    for chunk in _chunks(data, _HEADER, end):
        body = memoryview(data)[chunk.start : chunk.stop]
        if chunk.kind == b"VP8X" and len(body) >= 10:
            canvas = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
            check_pixels(*canvas, limits)
        elif chunk.kind in (b"VP8 ", b"VP8L"):
            size = _webp_picture(chunk, body)
            check_pixels(*size, limits)
            frames, pixels = frames + 1, pixels + size[0] * size[1]
        elif chunk.kind == b"ANMF":
            left, top, width, height = (int.from_bytes(body[at : at + 3], "little") for at in (0, 3, 6, 9))
            if canvas is None or len(body) < 16 or 2 * left + width + 1 > canvas[0] or 2 * top + height + 1 > canvas[1]:
                raise damaged("bad_animation", f"frame {frames} at byte {chunk.place} does not lie within the canvas")
            inner = [one for one in _chunks(data, chunk.start + 16, chunk.stop) if one.kind in (b"VP8 ", b"VP8L")]
            if not inner:
                raise damaged("bad_animation", f"frame {frames} at byte {chunk.place} holds no picture")
            _webp_picture(inner[0], memoryview(data)[inner[0].start : inner[0].stop])
            frames, pixels = frames + 1, pixels + canvas[0] * canvas[1]
        limits.check_frames(frames, pixels)
    if not frames:
        raise damaged("no_picture_data", "holds no picture")
    return Container(data, note)


def _webp_picture(chunk: Chunk, body: memoryview) -> tuple[int, int]:
    """Return the size that a lossy or lossless picture declares."""
    if chunk.kind == b"VP8L":
        if len(body) < 5 or body[0] != 0x2F:
            raise damaged("bad_header", f"the lossless picture at byte {chunk.place} has no head")
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    first = int.from_bytes(body[:3], "little") >> 5
    if bytes(body[3:6]) != _KEY_FRAME or body[0] & 1:
        raise damaged("bad_header", f"the lossy picture at byte {chunk.place} has no head")
    if 10 + first > len(body):
        raise damaged(
            "bad_header", f"the lossy picture at byte {chunk.place} declares {first} bytes for its first part and has {len(body)}"
        )
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def walk_wav(data: bytes) -> Container:
    """Follow the chunks of RIFF, RF64 or BW64 and compare the sound's length with its blocks (EBU Tech 3306).

    A recording that streamed has lengths that were never written; what is there then counts as all there is.

    Raises
    ------
    FaultError
        The file is cut off, a chunk has no end, or it holds no sound that can be.
    """
    end, note = _end(data)
    align, sound, wide = 0, -1, 0
    place = _HEADER
    while place + 8 <= end:
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        start = place + 8
        if kind == b"ds64":
            wide = int.from_bytes(data[start + 8 : start + 16], "little")
        elif kind == b"fmt ":
            align = _block(data[start : start + min(length, 40)], place)
        elif kind == b"data":
            sound = start
            if length == _OPEN and wide:
                length = wide
            elif length == _OPEN or (length == 0 and int.from_bytes(data[4:8], "little") in (0, _OPEN)):
                note = ("open_length", f"the sound at byte {place} has no length: a recording that streamed")
                length = len(data) - start
        if sound >= 0 and kind != b"data" and not all(32 <= byte < 127 for byte in kind):
            note = note or trailing(len(data) - place, f"the last chunk at byte {place}")
            break
        if start + length > len(data):
            raise damaged("truncated", f"ends at byte {len(data)} within the chunk {kind!r} at byte {place}, which declares {length} bytes")
        if kind == b"data" and align and length % align:
            note = note or ("ragged_data", f"the sound at byte {place} has {length} bytes, no number of blocks of {align}")
        place = start + length + (length & 1)
    if sound < 0 or not align:
        raise damaged("no_sound", f"holds no {'chunk data' if align else 'chunk fmt'} with what a sound needs")
    return Container(data, note)


def _block(body: bytes, place: int) -> int:
    """Return the bytes of a block of samples."""
    tag, channels = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
    rate, align, bits = (int.from_bytes(body[at : at + size], "little") for at, size in ((4, 4), (12, 2), (14, 2)))
    if len(body) < 14 or not channels or not rate or not align:
        raise damaged(
            "bad_header", f"fmt at byte {place} declares {channels} channels at {rate} Hz in blocks of {align} bytes, which cannot be"
        )
    if tag in (_PCM, _FLOAT) and align < channels * -(-bits // 8):
        raise damaged(
            "bad_header", f"fmt at byte {place} declares {channels} channels of {bits} bits in blocks of {align} bytes, which cannot be"
        )
    return align


def walk_aiff(data: bytes) -> Container:
    """Follow the chunks and compare the sound's bytes with the frames that are declared (AIFF and AIFF-C).

    Raises
    ------
    FaultError
        The file is cut off, a chunk has no end, or sound is missing.
    """
    end, note = _end(data, "big")
    needed, sound = -1, -1
    for chunk in _chunks(data, _HEADER, end, "big"):
        body = data[chunk.start : chunk.start + 22]
        if chunk.kind == b"COMM" and len(body) >= 18:
            channels, frames, bits = (int.from_bytes(body[at:stop]) for at, stop in ((0, 2), (2, 6), (6, 8)))
            plain = data[8:12] == b"AIFF" or body[18:22] in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64", b"FL64")
            needed = frames * channels * -(-bits // 8) if plain else 0
        elif chunk.kind == b"SSND":
            sound = chunk.stop - chunk.start - 8 - int.from_bytes(body[:4])
    if needed < 0 or (needed and sound < 0):
        raise damaged("no_sound", "holds no chunks COMM and SSND with what a sound needs")
    if sound < needed:
        raise damaged("truncated", f"holds {sound} bytes of sound, its header asks for {needed}")
    return Container(data, note)


def walk_avi(data: bytes) -> Container:
    """Follow the lists, every chunk of the film, and the index (AVI, OpenDML).

    Raises
    ------
    FaultError
        The file is cut off, a chunk has no end, there is no film, or the index points outside it.
    """
    size, place = len(data), 0
    starts: list[int] = []
    film, film_end, index, indexed = -1, -1, None, False
    while place + _HEADER <= size and data[place : place + 4] == b"RIFF":
        declared = int.from_bytes(data[place + 4 : place + 8], "little")
        end = size if declared in (0, _OPEN) else place + 8 + declared
        if end > size:
            raise damaged("truncated", f"ends at byte {size}, the header at byte {place} declares that it ends at {end}")
        for chunk in _chunks(data, place + _HEADER, end):
            kind = data[chunk.start : chunk.start + 4] if chunk.kind == b"LIST" else chunk.kind
            if kind == b"movi" and chunk.kind == b"LIST":
                if film < 0:
                    film, film_end = chunk.start, chunk.stop
                starts += _film(data, chunk.start + 4, chunk.stop)
            elif kind == b"hdrl" and chunk.kind == b"LIST":
                indexed = b"indx" in data[chunk.start : chunk.stop]
            elif kind == b"idx1":
                index = chunk
        place = end + (end & 1)
    if film < 0:
        raise damaged("no_film", "holds no list movi")
    note = trailing(size - place, f"the end at byte {place}")
    if index is None:
        missing = None if indexed else ("no_index", "has no index: players must search it")
        return Container(data, note or missing)
    return Container(data, _check_index(data, index, starts, film, film_end) or note)


def _film(data: bytes, place: int, stop: int) -> list[int]:
    """Return where the chunks of a film begin; lists of records among them are opened."""
    starts: list[int] = []
    for chunk in _chunks(data, place, stop):
        if chunk.kind == b"LIST":
            starts.append(chunk.place)
            starts += [one.place for one in _chunks(data, chunk.start + 4, chunk.stop)]
        else:
            starts.append(chunk.place)
    return starts


def _check_index(data: bytes, index: Chunk, starts: list[int], film: int, film_end: int) -> Note | None:
    """Return a note where entries of the index point to no chunk, raise where they point outside the film."""
    count = (index.stop - index.start) // 16
    entries = np.frombuffer(data, "<u4", count * 4, index.start).reshape(-1, 4).astype(np.int64)
    if not count:
        return "no_index", f"the index at byte {index.place} is empty"
    known = np.array(starts, np.int64)
    relative = np.isin(entries[:, 2] + film, known)
    found = relative if relative[0] or relative.mean() >= np.isin(entries[:, 2], known).mean() else np.isin(entries[:, 2], known)
    begin = entries[:, 2] + (film if found is relative else 0)
    outside = (begin < film) | (begin + 8 + entries[:, 3] > film_end)
    if outside.any():
        first = int(outside.argmax())
        span = f"bytes {begin[first]} to {begin[first] + entries[first, 3] + 8}"
        where = f"entry {first} of the index, at byte {index.start + 16 * first}, points to {span}"
        raise damaged("bad_index", f"{where}, outside the film at bytes {film} to {film_end}")
    if not found.all():
        return "bad_index", f"{int((~found).sum())} of {count} entries of the index at byte {index.place} point to no chunk"
    return None
