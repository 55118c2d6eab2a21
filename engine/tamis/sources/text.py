"""Read any text file as blocks of bytes: decompressed, without byte-order mark, and UTF-16 and UTF-32 as UTF-8."""

from __future__ import annotations

import bz2
import codecs
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES = 4 << 20
HEAD_BYTES = 4096
COMPRESSED_BYTES = 8 << 10  # deflate expands at most a thousandfold, so a piece stays below 9 MB

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The five bytes that Windows-1252 leaves undefined stand for the C1 controls of the same number, as in browsers.
WINDOWS_1252 = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))


class BrokenStream(Exception):
    """The stream ends or goes wrong before its proper end."""


def blocks(path: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the text of a file in blocks of a few megabytes, each with whether it is the last.

    Raises
    ------
    BrokenStream
        After the last good block, if the file or its compression breaks off.
    """
    pieces = _pieces(path)
    head = b""
    broken: BrokenStream | None = None
    try:
        while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
            head += piece
    except BrokenStream as error:
        broken = error
    encoding, length = _encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding != "utf-8" else None
    gathered, size = [head[length:]], len(head)
    while broken is None:
        if size >= BLOCK_BYTES:
            yield _join(gathered, decoder), False
            gathered, size = [], 0
        try:
            piece = next(pieces, b"")
        except BrokenStream as error:
            broken = error
            break
        if not piece:
            break
        gathered.append(piece)
        size += len(piece)
    yield _join(gathered, decoder, final=True), broken is None
    if broken is not None:
        raise broken


def is_array_of_objects(path: str) -> bool:
    """Say whether the text of a file begins as an array of JSON objects does."""
    try:
        piece = next(_pieces(path, HEAD_BYTES), b"")
    except BrokenStream:
        return False
    encoding, length = _encoding(piece)
    return "".join(piece[length:].decode(encoding, "replace").split(maxsplit=1)).startswith("[{")


def _join(pieces: list[bytes], decoder: codecs.IncrementalDecoder | None, *, final: bool = False) -> bytes:
    block = b"".join(pieces)
    return decoder.decode(block, final).encode() if decoder else block


def decode(raw: bytes) -> str:
    """Decode bytes as UTF-8 or else as Windows-1252, which every byte string is."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return codecs.charmap_decode(raw, "strict", WINDOWS_1252)[0]


def is_utf8(raw: bytes) -> bool:
    """Say whether bytes are UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding(head: bytes) -> tuple[str, int]:
    """Return the encoding that the first bytes show, and the length of its byte-order mark."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name, len(mark)
    # UTF-16 without a mark: in text of Latin letters every other byte is zero.
    pairs = len(head) // 2
    if pairs >= 2:
        even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
        if odd > 0.8 * pairs and even < 0.1 * pairs:
            return "utf-16-le", 0
        if even > 0.8 * pairs and odd < 0.1 * pairs:
            return "utf-16-be", 0
    return "utf-8", 0


def _pieces(path: str, size: int = 0) -> Iterator[bytes]:
    suffix = Path(path).suffix.lower()
    try:
        with Path(path).open("rb") as raw:
            if suffix == ".gz":
                yield from _expand(raw, lambda: zlib.decompressobj(31))
            elif suffix == ".bz2":
                yield from _expand(raw, bz2.BZ2Decompressor)
            elif suffix == ".zst":
                with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
                    while piece := stream.read(64 << 10):
                        yield piece
            else:
                while piece := raw.read(size or BLOCK_BYTES):
                    yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise BrokenStream(f"the file breaks off: {error}") from error


def _expand(raw: BinaryIO, start: Callable[[], zlib._Decompress | bz2.BZ2Decompressor]) -> Iterator[bytes]:
    """Decompress a file of one or more members, and give out everything that lies before a break."""
    decompressor = start()
    rest = b""
    while rest or (rest := raw.read(COMPRESSED_BYTES)):
        if decompressor.eof:
            if not (rest := rest.lstrip(b"\0")):  # some writers fill up blocks with zeros
                continue
            decompressor = start()
        if piece := decompressor.decompress(rest):
            yield piece
        rest = decompressor.unused_data if decompressor.eof else b""
    if not decompressor.eof:
        message = "the compressed data ends too early"
        raise EOFError(message)
