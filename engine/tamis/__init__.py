"""tamis cleans corpora of images, sensor records and text before models are trained on them.

>>> import tamis
>>> result = tamis.clean("photos/", "cleaned/")  # doctest: +SKIP
>>> result.rejected.group_by("reason").len().collect()  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tamis.api.discover import Discovery, correct, discover
    from tamis.api.image_hashes import image_hashes
    from tamis.api.quality_control import QualityControl, quality_control
    from tamis.api.runs import Result, check, clean
    from tamis.errors import (
        ArgumentError,
        BackendUnavailableError,
        ColumnError,
        InvariantError,
        OutputError,
        RecipeError,
        RunInterrupted,
        SourceError,
        TamisError,
        WorkerError,
    )
    from tamis.near.deduplicate import near_duplicates
    from tamis.near.signatures import Signatures, signatures
    from tamis.normalizer import GroupNormalizer, Normalizer, PictureNormalizer
    from tamis.recipe import Recipe
    from tamis.sample import write_sample
    from tamis.statistics import Statistics

_HOMES = {
    "tamis.api.runs": ("Result", "check", "clean"),
    "tamis.errors": (
        "ArgumentError",
        "BackendUnavailableError",
        "ColumnError",
        "InvariantError",
        "OutputError",
        "RecipeError",
        "RunInterrupted",
        "SourceError",
        "TamisError",
        "WorkerError",
    ),
    "tamis.api.quality_control": ("QualityControl", "quality_control"),
    "tamis.normalizer": ("GroupNormalizer", "Normalizer", "PictureNormalizer"),
    "tamis.api.image_hashes": ("image_hashes",),
    "tamis.recipe": ("Recipe",),
    "tamis.sample": ("write_sample",),
    "tamis.near.deduplicate": ("near_duplicates",),
    "tamis.api.discover": ("Discovery", "correct", "discover"),
    "tamis.near.signatures": ("Signatures", "signatures"),
    "tamis.statistics": ("Statistics",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ArgumentError",
    "BackendUnavailableError",
    "ColumnError",
    "Discovery",
    "GroupNormalizer",
    "InvariantError",
    "Normalizer",
    "OutputError",
    "PictureNormalizer",
    "QualityControl",
    "Recipe",
    "RecipeError",
    "Result",
    "RunInterrupted",
    "Signatures",
    "SourceError",
    "Statistics",
    "TamisError",
    "WorkerError",
    "__version__",
    "check",
    "clean",
    "correct",
    "discover",
    "image_hashes",
    "near_duplicates",
    "quality_control",
    "signatures",
    "write_sample",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `import tamis` alone loads neither polars nor numba."""
    import importlib

    if name == "namespace":
        return importlib.import_module("tamis.namespace")
    if name not in _HOME_OF:
        message = f"module 'tamis' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
