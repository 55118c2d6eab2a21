"""The JPEG files of a batch before they are inspected: walked and, on a GPU, hashed and measured too, so that their pictures stay there.

On the CPU a picture costs nothing to hand over, and hash and figures are made by the checks that want them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media import jpeg
from tamis.media.decode import begins_like_jpeg, in_upright_cells, walk_jpegs
from tamis.media.inspection import FaultError, Told
from tamis_kernels import photos
from tamis_kernels.backend import resolve
from tamis_kernels.jpeg import walk_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.backend import BackendName
    from tamis_kernels.jpeg import Walk

    Seen = tuple[Walk | None, Told | None]


def see_jpegs(files: Sequence[bytes], backend: BackendName, *, pixels: bool) -> list[Seen]:
    """Return for each file what `inspect` takes of it: the walk of a JPEG, and what is told of a picture that stays on the device.

    None stays where somebody wants pixels, and on the CPU.
    """
    if pixels or resolve(backend).name != "cuda":
        return [(walk, None) for walk in walk_jpegs(files)]
    return describe_jpegs(files, backend)


def describe_jpegs(files: Sequence[bytes], backend: BackendName) -> list[Seen]:
    """Walk JPEG files, and hash and measure the pictures of those that are upright and large; of the others the pictures are returned."""
    places = [place for place, data in enumerate(files) if begins_like_jpeg(data)]
    chosen = [files[place] for place in places]
    apart = np.array([_wants_pixels(data) for data in chosen], np.bool_)
    found = photos.describe(chosen, apart=apart, backend=backend)
    figures = np.stack([*found.figures.values()], axis=1)
    seen: list[Seen] = [(None, None)] * len(files)
    again: list[int] = []
    for row, (place, data, walk) in enumerate(zip(places, chosen, found.walks, strict=True)):
        told = None
        if walk.fault == "none" and not apart[row] and jpeg.is_luminance(walk, data):
            if found.seen[row] and in_upright_cells(jpeg.header_of(walk, data)):
                told = Told(found.hashes[row], int(found.qualities[row]), found.small[row], figures[row])
            else:
                again.append(place)
        seen[place] = walk, told
    for place, walk in zip(again, walk_many([files[place] for place in again], backend=backend), strict=True):
        seen[place] = walk, None
    return seen


def _wants_pixels(data: bytes) -> bool:
    """Say whether a picture is small, or turned by EXIF."""
    try:
        return not in_upright_cells(jpeg.read_header(data))
    except FaultError:
        return False  # there will be no picture
