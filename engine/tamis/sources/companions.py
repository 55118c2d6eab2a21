"""Files that ride along with media: captions, labels and annotations, which are known by the name of their medium, and what goes with all.

As in a WebDataset, a companion is no record and is not checked: it stays as long as a medium that it goes with stays. It lies beside it
(`cat.jpg` with `cat.txt` or `cat.jpg.json`), or in a folder of its own, as YOLO (`images/`, `labels/`) and Pascal VOC (`JPEGImages/`,
`Annotations/`) have it. Masks in such folders are labels too: many of them are equal, and none may go for that. What goes with no one
medium and is text by its name, such as `data.yaml`, belongs to the data set as a whole.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from posixpath import basename, dirname, join, split, splitext
from typing import TYPE_CHECKING

from tamis.media.sniff import is_media_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tamis.sources.listing import SourceFile

SUFFIXES = frozenset(
    {".ann", ".cap", ".caption", ".cls", ".json", ".lab", ".srt", ".tags", ".txt", ".vtt", ".xml", ".xmp", ".yaml", ".yml"}
)
MASK_SUFFIXES = frozenset({".bmp", ".gif", ".png", ".tif", ".tiff"})
FOLDERS = frozenset({"ann", "annotations", "captions", "labels", "mask", "masks", "segmentationclass", "segmentationobject"})
MEDIA_FOLDERS = ("images", "image", "JPEGImages", "imgs", "img", "audio", "videos")

SET_SUFFIXES = SUFFIXES | {".bib", ".cff", ".cfg", ".data", ".md", ".names", ".pbtxt", ".rst", ".toml"}
SET_NAMES = frozenset({"authors", "changelog", "citation", "copying", "licence", "license", "notice", "readme"})
SPLITS = frozenset({"classes", "test", "train", "trainval", "val", "valid"})  # lists, even beside companions
TABLES = frozenset({"_annotations", "_classes", "annotations", "captions", "labels", "metadata"})
TABLE_SUFFIXES = frozenset({".csv", ".jsonl", ".parquet", ".tsv"})


def is_label_table(record: str) -> bool:
    """Say whether a table's name is one that Hugging Face, Roboflow and others give to the labels of the media beside it."""
    stem, suffix = splitext(basename(record).lower())
    return stem in TABLES and suffix in TABLE_SUFFIXES


def folders_above(records: Iterable[str]) -> set[str]:
    """Return the folders of these records, and those that these lie in."""
    pending = {dirname(record) for record in records}
    found: set[str] = set()
    while pending:
        found |= pending
        pending = {dirname(folder) for folder in pending} - found
    return found


def part(files: Sequence[SourceFile], *, of_media: bool) -> tuple[list[SourceFile], list[SourceFile]]:
    """Return the records among files, in their order and each with its companions, and the files of the set as a whole.

    There are such files where the source is one `of_media`. A text whose extension companions in its folder have is none of them: it is
    taken for a label whose medium is missing, but for names that files of a set have.
    """
    found = with_companions(files)
    if not of_media:
        return found, []
    labels = {(dirname(one.record), splitext(one.record)[1].lower()) for file in found for one in file.companions}
    records: list[SourceFile] = []
    whole: list[SourceFile] = []
    for file in found:
        (whole if _goes_with_all(file.record, labels) else records).append(file)
    return records, whole


def with_companions(media: Sequence[SourceFile]) -> list[SourceFile]:
    """Return files of media, in their order, each with its companions, which are no longer among them."""
    either = SUFFIXES | MASK_SUFFIXES
    places = [place for place, file in enumerate(media) if splitext(file.record)[1].lower() in either]
    folders = {dirname(file.record) for file in media if is_media_name(file.record)}
    beside = cache(lambda folder: [one for one in _media_folders(folder) if one in folders])
    wanted: dict[str, tuple[int, ...]] = {}
    for place in places:
        folder, name = split(media[place].record)
        stem, suffix = splitext(name)
        for one in beside(folder):
            if one != folder or suffix.lower() in SUFFIXES:  # a picture is no mask of one beside it
                wanted[join(one, stem)] = (*wanted.get(join(one, stem), ()), place)
    if not wanted:
        return list(media)
    found = [_found(file.record, wanted) for file in media]
    along = set(chain.from_iterable(found))
    return [
        file._replace(companions=(*file.companions, *(media[place] for place in _with_theirs(places, found)))) if places else file
        for own, (file, places) in enumerate(zip(media, found, strict=True))
        if own not in along
    ]


def _with_theirs(places: Sequence[int], found: Sequence[Sequence[int]]) -> list[int]:
    """Return companions and, of masks, the companions that these have."""
    return sorted({*places, *chain.from_iterable(found[place] for place in places)})


def _goes_with_all(record: str, labels: set[tuple[str, str]]) -> bool:
    """Say whether a file belongs to the whole set; `labels` are folders of companions, each with an extension that they have there."""
    name = basename(record).lower()
    stem, suffix = splitext(name)
    if is_media_name(name):
        return False
    if name.partition(".")[0] in SET_NAMES or is_label_table(name):
        return True
    return suffix in SET_SUFFIXES and (stem in SPLITS or (dirname(record), suffix) not in labels)


def _media_folders(folder: str) -> list[str]:
    """Return where the media may lie that files of a folder go with: beside them, or where labels have a folder of their own."""
    parts = folder.split("/")
    known = [at for at, name in enumerate(parts) if name.lower() in FOLDERS]
    return [folder, *("/".join([*parts[:at], other, *parts[at + 1 :]]) for at in known for other in MEDIA_FOLDERS)]


def _found(record: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the places of the companions of a medium, rising; `cat.jpg` may be called so by them, or `cat`."""
    if not is_media_name(record):
        return ()
    return tuple(sorted(wanted.get(splitext(record)[0], ()) + wanted.get(record, ())))
