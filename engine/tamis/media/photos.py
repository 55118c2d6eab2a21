"""The JPEG files of a batch before they are inspected: walked and, on a GPU, hashed and measured too, so that their pictures stay there.

On the CPU a picture costs nothing to hand over, and hash and figures are made by the checks that want them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.media import jpeg
from tamis.media.decode import begins_like_jpeg, in_upright_cells, walk_jpegs
from tamis.media.inspection import Header, Told
from tamis_kernels import photos
from tamis_kernels.backend import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName
    from tamis_kernels.jpeg import Walk

    Seen = tuple[Walk | None, Told | None]


def see_jpegs(files: Sequence[bytes], backend: BackendName, *, pixels: bool) -> list[Seen]:
    """Return for each file what `inspect` takes of it: the walk of a JPEG, and what is told of a picture that stays on the device.

    None stays where somebody wants pixels, and on the CPU.
    """
    if pixels or not resolve(backend).on_gpu("photos", sum(len(data) for data in files if begins_like_jpeg(data))):
        return [(walk, None) for walk in walk_jpegs(files)]
    return describe_jpegs(files, backend)


def describe_jpegs(files: Sequence[bytes], backend: BackendName) -> list[Seen]:
    """Walk JPEG files, and hash and measure the pictures of those that are upright and large; of the others the pictures are returned."""
    places = [place for place, data in enumerate(files) if begins_like_jpeg(data)]
    chosen = [files[place] for place in places]
    staying: dict[int, Header] = {}

    def wants_pixels(first: int, walks: Sequence[Walk]) -> NDArray[np.bool_]:
        """Say which pictures the host turns, shrinks or needs the colours of, and note those that stay."""
        wanted = np.zeros(len(walks), np.bool_)
        for row, (walk, data) in enumerate(zip(walks, chosen[first : first + len(walks)], strict=True)):
            if walk.fault == "none" and jpeg.is_luminance(walk, data):
                header = jpeg.header_of(walk, data)
                if walk.first_is_finest and in_upright_cells(header):
                    staying[first + row] = header
                else:
                    wanted[row] = True
        return wanted

    found = photos.describe(chosen, apart=wants_pixels, backend=backend)
    figures = np.stack([*found.figures.values()], axis=1)
    told: list[Told | None] = [None] * len(chosen)
    for row, header in staying.items():
        told[row] = Told(found.hashes[row], int(found.qualities[row]), found.small[row], figures[row], header)
    seen: list[Seen] = [(None, None)] * len(files)
    for place, one in zip(places, zip(found.walks, told, strict=True), strict=True):
        seen[place] = one
    return seen
