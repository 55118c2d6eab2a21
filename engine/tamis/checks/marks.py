"""Columns of marks: `NAME__imputed`, `NAME__flag` and `NAME__qc` say of each cell of `NAME` what was found of it or done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Collection

IMPUTED, FLAG, TESTS = "__imputed", "__flag", "__qc"


def mark_name(column: str, suffix: str, taken: Collection[str]) -> str:
    """Return the name of a column's mark, with underscores behind it where the table has such a column of its own."""
    name = f"{column}{suffix}"
    while name in taken:
        name += "_"
    return name


def mark_imputed(frame: pl.DataFrame, column: str, taken: Collection[str], imputed: pl.Expr) -> pl.Expr:
    """Return the mark of a column's imputed cells, those that were marked before among them."""
    name = mark_name(column, IMPUTED, taken)
    before = pl.col(name) if name in frame.columns else pl.lit(value=False)
    return (before | imputed).alias(name)
