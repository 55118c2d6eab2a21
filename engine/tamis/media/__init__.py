"""Sniffing, grading and decoding of media files."""

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
