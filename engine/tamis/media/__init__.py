"""Media files: what they are, whether they are whole, and small pictures of them.

`decode.inspect` gives the verdict (`inspection`) on one file, by the type that `sniff` finds:

* JPEG: `jpeg`, over the walk of a kernel; PNG: `png`. `photos` has the JPEGs of a batch walked before, on a GPU described too.
* Other pictures: a walk over the container (`containers` lists them: `gif`, `bitmaps`, `riff`, `boxes`), then `raster`, which is Pillow.
* Sound and film: a walk (`riff`, `boxes`, `mpeg` with `layer3`, `streams`, `matroska`), and where wanted a whole decode (`deep`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tamis.media.inspection import GRADES, Inspection, Limits
from tamis.media.sniff import sniff

if TYPE_CHECKING:
    from tamis.media.decode import inspect, walk_jpegs
    from tamis.media.photos import see_jpegs

_DECODING = {"inspect": "tamis.media.decode", "walk_jpegs": "tamis.media.decode", "see_jpegs": "tamis.media.photos"}

__all__ = ["GRADES", "Inspection", "Limits", "inspect", "see_jpegs", "sniff", "walk_jpegs"]


def __getattr__(name: str) -> Any:
    """Import decoders when they are asked for: a run of tables needs none."""
    if name not in _DECODING:
        message = f"module 'tamis.media' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_DECODING[name]), name)
