"""What a file is, by its first bytes; its name is never trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "audio", "video", "document", "archive", "text", "empty", "unknown"]

HEAD_BYTES = 4096
"""How many bytes of a file `sniff` looks at."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A type of content.

    Attributes
    ----------
    name
        Short name, as in `jpeg` or `mp4`.
    mime
        Its registered media type.
    kind
        The family it belongs to.
    """

    name: str
    mime: str
    kind: Kind


_TYPES = {
    kind_type.name: kind_type
    for kind_type in (
        MediaType("jpeg", "image/jpeg", "image"),
        MediaType("png", "image/png", "image"),
        MediaType("gif", "image/gif", "image"),
        MediaType("webp", "image/webp", "image"),
        MediaType("bmp", "image/bmp", "image"),
        MediaType("tiff", "image/tiff", "image"),
        MediaType("avif", "image/avif", "image"),
        MediaType("heic", "image/heic", "image"),
        MediaType("jp2", "image/jp2", "image"),
        MediaType("ico", "image/vnd.microsoft.icon", "image"),
        MediaType("psd", "image/vnd.adobe.photoshop", "image"),
        MediaType("pnm", "image/x-portable-anymap", "image"),
        MediaType("svg", "image/svg+xml", "image"),
        MediaType("wav", "audio/wav", "audio"),
        MediaType("flac", "audio/flac", "audio"),
        MediaType("ogg", "audio/ogg", "audio"),
        MediaType("aiff", "audio/aiff", "audio"),
        MediaType("aac", "audio/aac", "audio"),
        MediaType("mp3", "audio/mpeg", "audio"),
        MediaType("m4a", "audio/mp4", "audio"),
        MediaType("mp4", "video/mp4", "video"),
        MediaType("mov", "video/quicktime", "video"),
        MediaType("mkv", "video/x-matroska", "video"),
        MediaType("webm", "video/webm", "video"),
        MediaType("avi", "video/x-msvideo", "video"),
        MediaType("pdf", "application/pdf", "document"),
        MediaType("zip", "application/zip", "archive"),
        MediaType("gzip", "application/gzip", "archive"),
        MediaType("html", "text/html", "text"),
        MediaType("json", "application/json", "text"),
        MediaType("xml", "application/xml", "text"),
        MediaType("text", "text/plain", "text"),
        MediaType("zeros", "application/octet-stream", "empty"),
        MediaType("empty", "application/x-empty", "empty"),
        MediaType("unknown", "application/octet-stream", "unknown"),
    )
}

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"8BPS\0", "psd"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
)

_FOREIGN = (
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (128, b"DICM", "DICOM"),
    (344, b"n+1\0", "NIfTI"),
    (344, b"ni1\0", "NIfTI"),
    (0, b"\x93NUMPY", "an array of NumPy"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"MATLAB 5.0 ", "a file of MATLAB"),
)  # of pictures and arrays that nothing here reads: where, how and what

_RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}

_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"hevc": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
    b"qt  ": "mov",
    b"M4A ": "m4a",
    b"M4B ": "m4a",
    b"jp2 ": "jp2",
}

_EXTENSIONS = {
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "jpe": "jpeg",
    "jfif": "jpeg",
    "mpo": "jpeg",
    "png": "png",
    "apng": "png",
    "gif": "gif",
    "webp": "webp",
    "bmp": "bmp",
    "dib": "bmp",
    "tif": "tiff",
    "tiff": "tiff",
    "avif": "avif",
    "heic": "heic",
    "heif": "heic",
    "jp2": "jp2",
    "j2k": "jp2",
    "jpx": "jp2",
    "ico": "ico",
    "psd": "psd",
    "pnm": "pnm",
    "ppm": "pnm",
    "pgm": "pnm",
    "pbm": "pnm",
    "pam": "pnm",
    "svg": "svg",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "oga": "ogg",
    "opus": "ogg",
    "mp3": "mp3",
    "aac": "aac",
    "aif": "aiff",
    "aiff": "aiff",
    "aifc": "aiff",
    "m4a": "m4a",
    "mp4": "mp4",
    "m4v": "mp4",
    "mov": "mov",
    "mkv": "mkv",
    "webm": "webm",
    "avi": "avi",
    "pdf": "pdf",
    "gz": "gzip",
    "html": "html",
    "htm": "html",
    "json": "json",
}
_MEDIA_EXTENSIONS = frozenset(extension for extension, name in _EXTENSIONS.items() if _TYPES[name].kind in ("image", "audio", "video"))

# Containers whose members users name after one another with good reason.
_INTERCHANGEABLE = ({"mp4", "mov", "m4a"}, {"mkv", "webm"}, {"heic", "avif"})


def sniff(head: bytes, *, size: int | None = None) -> MediaType:
    """Tell what content begins with these bytes.

    Parameters
    ----------
    head
        The first `HEAD_BYTES` bytes or more; the whole content where it is shorter.
    size
        Length of the whole content in bytes; by default that of `head`.
    """
    return _TYPES[_name(head, len(head) if size is None else size)]


def foreign_name(data: bytes) -> str | None:
    """Return what a reader calls content that is of no type that `sniff` knows; None where that is not known either."""
    return next((name for at, magic, name in _FOREIGN if data[at : at + len(magic)] == magic), None)


def extension_disagrees(name: str, found: str) -> bool:
    """Say whether a file's extension promises another type than the one found; an unknown extension promises nothing."""
    stem, dot, extension = name.rpartition(".")
    promised = _EXTENSIONS.get(extension.lower()) if dot and stem else None
    if promised is None or promised == found:
        return False
    return not any(promised in group and found in group for group in _INTERCHANGEABLE)


def is_jpeg_name(name: str) -> bool:
    """Say whether a file's extension promises a JPEG."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower()) == "jpeg"


def is_media_name(name: str) -> bool:
    """Say whether a file's extension promises a picture, a sound or a film."""
    return name.rpartition(".")[2].lower() in _MEDIA_EXTENSIONS


def _name(head: bytes, size: int) -> str:
    if size == 0:
        return "empty"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    head = head[:HEAD_BYTES]
    return _by_structure(head) or _by_text(head)


def _by_structure(head: bytes) -> str | None:
    """Recognise the types whose mark is longer than a fixed prefix."""
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "mp4")
    if head[4:8] in (b"moov", b"mdat", b"wide") and head[:2] == b"\0\0":
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[:2] == b"BM" and len(head) >= 18 and head[14] in (12, 40, 52, 56, 64, 108, 124) and head[15:18] == b"\0\0\0":
        return "bmp"
    if head[:4] == b"\0\0\1\0" and len(head) >= 6 and 0 < head[4] + 256 * head[5] <= 256:
        return "ico"
    if head[:1] == b"P" and head[1:2] in (*(bytes([digit]) for digit in b"1234567"), b"F", b"f") and head[2:3].isspace():
        return "pnm"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C:
        return "mp3"  # a frame header of layer III with a legal bit rate and sampling rate
    from tamis.media.mpeg import is_adts  # which brings the tables of MP3

    if is_adts(head):
        return "aac"
    return None


def _by_text(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "zeros"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "unknown"
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a character cut in two at the end is no fault
            return "unknown"
        text = head[: error.start].decode(encoding, "ignore")
    if sum(character < " " and character not in "\t\n\r\f\x1b" for character in text) > len(text) // 100:
        return "unknown"
    return _markup(text.lstrip().lower(), text.lstrip()[:1])


def _markup(text: str, first: str) -> str:
    if "<svg" in text and text.startswith(("<svg", "<?xml", "<!--", "<!doctype svg")):
        return "svg"
    if text.startswith(("<!doctype html", "<html", "<head", "<body")) or (text.startswith("<") and "<html" in text):
        return "html"
    if text.startswith("<?xml"):
        return "xml"
    return "json" if first in ("{", "[") else "text"
