"""The recipe `auto`: what the source holds decides, and every decision is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tamis.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.sources.listing import SourceFile
    from tamis.sources.staging import Staged


def choose(media: Sequence[SourceFile], staged: Mapping[str, Staged], settings: Mapping[str, Any]) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe for a source, and why: one line a decision.

    All checks have defaults that are safe on any record of their kind, so that `auto` only has to say which of them have work here.
    """
    said = []
    if media:
        said.append(f"{len(media)} media files: integrity, quality, exact and near-duplicate pictures, labels")
    if staged:
        rows = sum(table.rows for table in staged.values())
        said.append(f"{len(staged)} tables, {rows} rows: formats, missing values, exact duplicates, near-duplicate texts and windows")
        if settings.get("normalize.method", "none") == "none":
            said.append("numbers keep their scale; --set normalize.method=zscore normalises them")
    return Recipe.load(None, settings=settings), tuple(said)
