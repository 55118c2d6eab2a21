"""Findings as rows: the one shape in which observe, judge and apply say what they noticed about a record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from tamis.checks.base import Finding

SCHEMA: dict[str, pl.DataType] = {
    "index": pl.Int64(),
    "check": pl.String(),
    "reason": pl.String(),
    "severity": pl.String(),
    "detail": pl.String(),
    "column": pl.String(),
    "value": pl.String(),
    "kept": pl.Int64(),
    "similarity": pl.Float64(),
}


@cache
def empty() -> pl.DataFrame:
    """Return no findings."""
    return pl.DataFrame(schema=SCHEMA)


def frame(check: str, found: Iterable[Finding], *, positions: NDArray[np.int64] | None = None) -> pl.DataFrame:
    """Return findings as rows; `positions` turns places in a batch into places in the shard."""
    rows = [
        (
            one.index if positions is None else int(positions[one.index]),
            check,
            one.reason,
            one.severity,
            one.detail,
            one.column,
            one.value,
            None,
            None,
        )
        for one in found
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row") if rows else empty()
