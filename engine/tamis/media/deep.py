"""Sound and film decoded to the last frame, strictly: FFmpeg by PyAV, and the checksum over all samples of a FLAC by libsndfile."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import av.logging
import numpy as np
import soundfile

from tamis.media.inspection import FaultError, Limits, check_pixels, damaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRICT = {"err_detect": "crccheck+explode"}
_BLOCK = 1 << 16
_SLACK_SECONDS, _SLACK_SHARE = 0.5, 0.01
_EXACT = {"mp4", "wav", "aiff"}  # FFmpeg's names of formats that count what they hold; AVI counts frames that were dropped in recording

av.logging.set_level(None)


@dataclass(slots=True)
class Decoded:
    """What a whole decode gave: frames and size of the first film, and a note."""

    frames: int = 0
    width: int = 0
    height: int = 0
    note: tuple[str, str] | None = None


@dataclass(slots=True)
class _Track:
    """A stream's decoded frames and samples, and the time at which the last one ends."""

    stream: Any
    frames: int = 0
    samples: int = 0
    end: float = 0.0


def decode(data: bytes, format_name: str, limits: Limits) -> Decoded:
    """Decode every frame of every sound and film.

    Raises
    ------
    FaultError
        A packet or frame is corrupt, a decoder refuses one, frames or samples are missing, or a film is a bomb.
    """
    if format_name == "flac":
        return _decode_flac(data)
    try:
        container = av.open(io.BytesIO(data), options=_STRICT, metadata_errors="replace")  # titles in other codes are no damage
    except av.error.FFmpegError as error:
        raise FaultError(grade="undecodable", reason="decoder_error", detail=f"FFmpeg does not open it: {error.strerror}") from error
    with container:
        return _decode_streams(container, limits)


def _decode_streams(container: Any, limits: Limits) -> Decoded:
    tracks, found = {}, Decoded()
    for stream in [*container.streams.video, *container.streams.audio]:
        context = stream.codec_context
        if context is None:
            found.note = ("not_decoded", f"stream {stream.index} has a codec without a decoder here")
            continue
        if stream.type == "video":
            check_pixels(context.width, context.height, limits)
            if not found.width:
                found.width, found.height = context.width, context.height
        context.options = _STRICT
        context.thread_count = 1  # the pool of workers is the parallel part
        tracks[stream.index] = _Track(stream)
    if tracks:
        _decode_packets(container, tracks, limits)
    for track in tracks.values():
        found.note = _check_length(track, container) or found.note
    films = [track for track in tracks.values() if track.stream.type == "video"]
    found.frames = films[0].frames if films else 0
    return found


def _decode_packets(container: Any, tracks: dict[int, _Track], limits: Limits) -> None:
    track = next(iter(tracks.values()))
    try:
        for packet in container.demux([one.stream for one in tracks.values()]):
            track = tracks[packet.stream.index]
            if packet.is_corrupt:
                raise _broken(track, "FFmpeg takes the packet for corrupt", packet.pos)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise _broken(track, "FFmpeg conceals an error", packet.pos)
                track.frames += 1
                duration = 0.0
                if track.stream.type == "audio":
                    track.samples += frame.samples
                    duration = frame.samples / frame.sample_rate
                else:
                    check_pixels(frame.width, frame.height, limits)  # a film may change its size
                track.end = max(track.end, (frame.time or 0.0) + duration)
    except av.error.EOFError:
        return
    except av.error.FFmpegError as error:
        raise _broken(track, f"FFmpeg: {error.strerror}", None) from error


def _broken(track: _Track, why: str, place: int | None) -> FaultError:
    where = f", at byte {place}" if place is not None and place >= 0 else ""
    detail = f"{track.stream.type} stream {track.stream.index}, frame {track.frames} at {track.end:.3f} s{where}: {why}"
    return damaged("corrupt_data", detail)


def _check_length(track: _Track, container: Any) -> tuple[str, str] | None:
    """Raise where fewer frames or seconds came out than an exact count declares; return a note where the count is of another kind."""
    stream = track.stream
    which = f"{stream.type} stream {stream.index}"
    if not track.frames:
        raise damaged("missing_frames", f"{which}: no frame came out", lost=1.0)
    came, declared, slack, unit = float(track.frames), float(stream.frames), 0.0, "frames"
    if stream.type == "audio":
        came = max(track.samples / stream.codec_context.sample_rate, track.end)
        declared = float(stream.duration * stream.time_base) if stream.duration else 0.0
        slack, unit = _SLACK_SECONDS + _SLACK_SHARE * declared, "s"
    if came + slack >= declared:
        return None
    detail = f"{which}: {came:.10g} {unit} came out, {declared:.10g} {unit} are declared"
    if not _EXACT & set(container.format.name.split(",")):
        return "missing_frames", detail
    raise damaged("missing_frames", detail, lost=1 - came / declared)


def _decode_flac(data: bytes) -> Decoded:
    """Decode a FLAC and compare the samples with the MD5 in its header (RFC 9639, 8.2)."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            bits = (data[20] & 1) << 4 | data[21] >> 4
            told = data[26:42]
            digest, count = hashlib.md5(usedforsecurity=False), 0
            for block in file.blocks(_BLOCK, dtype="int32", always_2d=True):
                digest.update(_packed(block, bits + 1))
                count += len(block)
            expected = file.frames
    except soundfile.SoundFileError as error:
        raise damaged("corrupt_data", f"libsndfile: {error}") from error
    known = data[:4] == b"fLaC" and told.strip(b"\0")  # else a tag stands in front, or nothing was written there
    if known and (count < expected or digest.digest() != told):
        raise damaged("bad_checksum", f"the checksum of the {count} samples that came out is not the one in the header")
    return Decoded()


def _packed(block: NDArray[np.int32], bits: int) -> bytes:
    """Return samples, which libsndfile moves to the upper bits, as FLAC's MD5 takes them: whole bytes, the lowest first."""
    samples = np.ascontiguousarray(block >> (32 - bits)).astype("<i4")
    return samples.view(np.uint8).reshape(-1, 4)[:, : -(-bits // 8)].tobytes()
