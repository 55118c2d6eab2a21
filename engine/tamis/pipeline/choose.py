"""The recipe `auto`: what the source holds decides, and every decision is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tamis.names import counted
from tamis.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.sources.listing import SourceFile
    from tamis.sources.staging import Staged


def choose(media: Sequence[SourceFile], staged: Mapping[str, Staged], settings: Mapping[str, Any]) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe for a source, and why: one line a decision.

    All checks have defaults that are safe on any record of their kind, so that `auto` only has to say which of them have work here.
    """
    recipe, said = Recipe.load(None, settings=settings), []
    if media:
        said.append(f"{counted(len(media), 'media files')}: integrity, quality, exact and near-duplicate pictures, labels")
    if staged:
        rows = sum(table.rows for table in staged.values())
        what = f"{counted(len(staged), 'tables')}, {counted(rows, 'rows')}"
        said.append(f"{what}: formats, missing values, exact duplicates, near-duplicate texts and windows")
        if getattr(recipe, "normalize").method == "none":  # noqa: B009 - the sections of checks are added at run time
            said.append("numbers keep their scale; normalize.method = zscore normalises them")
    return recipe, tuple(said)
