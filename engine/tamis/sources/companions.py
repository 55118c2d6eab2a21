"""Files that ride along with media: captions, labels and annotations, which are known by the name of their medium.

As in a WebDataset, such a file is no record and is not checked: it stays as long as a medium that it goes with stays. It lies beside it
(`cat.jpg` with `cat.txt` or `cat.jpg.json`), or in a folder of its own, as YOLO (`images/`, `labels/`) and Pascal VOC (`JPEGImages/`,
`Annotations/`) have it.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from posixpath import dirname, join, split, splitext
from typing import TYPE_CHECKING

from tamis.media.sniff import is_media_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.sources.listing import SourceFile

SUFFIXES = frozenset(
    {".ann", ".cap", ".caption", ".cls", ".json", ".lab", ".srt", ".tags", ".txt", ".vtt", ".xml", ".xmp", ".yaml", ".yml"}
)
FOLDERS = frozenset({"annotations", "captions", "labels"})
MEDIA_FOLDERS = ("images", "JPEGImages", "imgs", "img", "audio", "videos")


def with_companions(media: Sequence[SourceFile]) -> list[SourceFile]:
    """Return files of media, in their order, each with its companions, which are no longer among them."""
    places = [place for place, file in enumerate(media) if splitext(file.record)[1].lower() in SUFFIXES]
    if not places:
        return list(media)
    folders = {dirname(file.record) for file in media if is_media_name(file.record)}
    beside = cache(lambda folder: [one for one in _media_folders(folder) if one in folders])
    wanted: dict[str, tuple[int, ...]] = {}
    for place in places:
        folder, name = split(media[place].record)
        for one in beside(folder):
            key = join(one, splitext(name)[0])
            wanted[key] = (*wanted.get(key, ()), place)
    found = [_found(file.record, wanted) for file in media]
    along = set(chain.from_iterable(found))
    return [
        file._replace(companions=tuple(media[place] for place in places)) if places else file
        for own, (file, places) in enumerate(zip(media, found, strict=True))
        if own not in along
    ]


def _media_folders(folder: str) -> list[str]:
    """Return where the media may lie that files of a folder go with: beside them, or where labels have a folder of their own."""
    parts = folder.split("/")
    known = [at for at, part in enumerate(parts) if part.lower() in FOLDERS]
    return [folder, *("/".join([*parts[:at], other, *parts[at + 1 :]]) for at in known for other in MEDIA_FOLDERS)]


def _found(record: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the places of the companions of a medium, rising; `cat.jpg` may be called so by them, or `cat`."""
    if not is_media_name(record):
        return ()
    return tuple(sorted(wanted.get(splitext(record)[0], ()) + wanted.get(record, ())))
