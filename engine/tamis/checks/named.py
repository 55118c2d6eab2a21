"""Columns that a recipe names, and of which kind they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

if TYPE_CHECKING:
    from tamis.sources.schema import ColumnPlan

IN_WORDS = {
    "text": "texts",
    "number": "numbers",
    "datetime": "times",
    "boolean": "truth values",
    "window": "windows",
    "other": "values in an order",
}


class Named(NamedTuple):
    """Columns that an option names, and the kinds of which each must be in a table of the source; any where there are none.

    Those with `beside` may be columns beside media too; a batch of these has their values.
    """

    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    beside: bool = False

    def fits(self, column: ColumnPlan) -> bool:
        """Whether a column is of such a kind, or has no value that tells of which it is."""
        return not self.kinds or column.untold or column.kind in self.kinds

    def wanted(self) -> str:
        """Return the kinds in words."""
        return " or ".join(IN_WORDS[kind] for kind in self.kinds)


ColumnNames = Annotated[tuple[str, ...], Named()]
NumberColumns = Annotated[tuple[str, ...], Named(kinds=("number",))]
WindowColumns = Annotated[tuple[str, ...], Named(kinds=("window",))]
