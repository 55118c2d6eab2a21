"""What captions and annotations beside media say, in a form in which two can be compared.

Left out is what tells of the file rather than of what it shows, such as its name in Pascal VOC, and how the text is laid out. Positions
move with the size of a picture: between pictures of different sizes they are not compared.
"""

from __future__ import annotations

import json
import re
from posixpath import splitext
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as Xml

import xxhash

from tamis.media.sniff import is_media_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT_THE_FILE = frozenset(
    {
        *("filename", "file_name", "file", "filepath", "file_path", "path", "folder", "source", "owner", "imagepath", "image_path"),
        *("imagedata", "key", "__key__", "uid", "uuid", "id", "image_id", "url", "sha256", "md5", "hash", "exif"),
        *("width", "height", "imagewidth", "imageheight", "original_width", "original_height", "status", "error_message"),
    }
)
NOT_LABELS = frozenset({".xmp"})  # dates and identifiers of the file
_FRACTION = re.compile(r"(?<!\S)[+-]?\d*\.\d+(?:[eE][+-]?\d+)?(?!\S)")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")


class Said(NamedTuple):
    """What a file says, as a hash: all of it, and without what may be a position."""

    whole: bytes
    words: bytes


def said(name: str, data: bytes) -> Said:
    """Return what a file of this name says; text where it is not the JSON or XML that its name promises."""
    if is_media_name(name):  # a mask, all of whose pixels are positions
        return Said(xxhash.xxh3_128_digest(data), b"")
    text = data.decode("utf-8-sig", "replace")
    suffix = splitext(name)[1].lower()
    try:
        if suffix == ".json":
            tree = json.loads(text)
            if isinstance(tree, dict):
                tree = {key: value for key, value in tree.items() if key.lower() not in ABOUT_THE_FILE}
            return Said(_hash(_dumped(tree)), _hash(_dumped(_without_numbers(tree))))
        if suffix == ".xml":
            told = list(_elements(Xml.fromstring(data)))
            return Said(_hash("\n".join(told)), _hash("\n".join(one for one in told if not _NUMBER.fullmatch(one.partition("=")[2]))))
    except (ValueError, RecursionError, Xml.ParseError):
        pass
    text = "\n".join(line.rstrip() for line in text.splitlines()).strip()
    return Said(_hash(text), _hash(_FRACTION.sub("", text)))


def _hash(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


def _dumped(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True)


def _without_numbers(tree: Any) -> Any:
    """Return JSON without its numbers; lists of nothing else become empty."""
    if isinstance(tree, dict):
        return {key: _without_numbers(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_numbers(value) for value in tree if isinstance(value, bool) or not isinstance(value, int | float)]
    return None if isinstance(tree, int | float) and not isinstance(tree, bool) else tree


def _elements(root: Xml.Element) -> Iterator[str]:
    """Yield the elements of XML and their attributes, each as `name=text`, in the order of the document."""
    pending = [root]
    while pending:
        element = pending.pop()
        if element.tag.lower() not in ABOUT_THE_FILE:
            yield f"{element.tag}={(element.text or '').strip()}"
            yield from (f"@{key}={value}" for key, value in sorted(element.items()))
            pending.extend(reversed(element))
