"""Files that ride along with media: captions, labels and annotations, which are known by the name of their medium.

As in a WebDataset, such a file is no record and is not checked: it stays as long as a medium that it goes with stays. It lies beside it
(`cat.jpg` with `cat.txt` or `cat.jpg.json`), or in a folder of its own, as YOLO (`images/`, `labels/`) and Pascal VOC (`JPEGImages/`,
`Annotations/`) have it.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING

from tamis.media.sniff import is_media_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tamis.sources.listing import SourceFile

SUFFIXES = frozenset(
    {".ann", ".cap", ".caption", ".cls", ".json", ".lab", ".srt", ".tags", ".txt", ".vtt", ".xml", ".xmp", ".yaml", ".yml"}
)
FOLDERS = frozenset({"annotations", "captions", "labels"})
MEDIA_FOLDERS = ("images", "JPEGImages", "imgs", "img", "audio", "videos")


def with_companions(media: Sequence[SourceFile]) -> list[SourceFile]:
    """Return files of media, in their order, each with its companions, which are no longer among them."""
    wanted: dict[str, list[int]] = defaultdict(list)
    for place, file in enumerate(media):
        for key in _keys(file.record):
            wanted[key].append(place)
    if not wanted:
        return list(media)
    found = [_found(file.record, wanted) for file in media]
    along = {place for places in found for place in places}
    return [
        file._replace(companions=tuple(media[place] for place in places)) if places else file
        for own, (file, places) in enumerate(zip(media, found, strict=True))
        if own not in along
    ]


def _keys(record: str) -> Iterator[str]:
    """Yield what the media that a file may go with are called, with or without their extension; nothing of a file that goes with none."""
    stem = _stem(record)
    if record[len(stem) :].lower() not in SUFFIXES:
        return
    yield stem
    folders = stem.split("/")
    for at, folder in enumerate(folders[:-1]):
        if folder.lower() in FOLDERS:
            for other in MEDIA_FOLDERS:
                yield "/".join([*folders[:at], other, *folders[at + 1 :]])


def _found(record: str, wanted: Mapping[str, Sequence[int]]) -> list[int]:
    """Return the places of the companions of a medium, rising."""
    if not is_media_name(record):
        return []
    return sorted({place for key in (record, _stem(record)) for place in wanted.get(key, ())})


def _stem(record: str) -> str:
    return posixpath.splitext(record)[0]
