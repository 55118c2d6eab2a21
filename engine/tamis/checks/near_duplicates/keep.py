"""Which of several near-duplicates stays: rules in order, the first that tells two records apart decides; then the record id.

Each rule gives every record a whole number when it is observed, less being better. That makes a total order, the same however the corpus is
cut, batched or resumed.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.checks.base import MediaBatch
from tamis.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.checks.base import Batch

PLAIN = ("largest", "longest", "smallest", "shortest", "fullest", "first")
WITH_VALUE = ("source", "earliest", "latest", "lowest", "highest")
OF_COLUMN = ("earliest", "latest", "lowest", "highest")
WORST = np.iinfo(np.int64).max


def check_rules(rules: Sequence[str]) -> None:
    """Refuse what is no rule.

    Raises
    ------
    ValueError
        A rule is unknown, lacks its value, or has one that it cannot use.
    """
    for rule in rules:
        name, colon, value = rule.partition(":")
        if name in PLAIN and not colon:
            continue
        if name in WITH_VALUE and value:
            continue
        known = [*PLAIN, *(f"{one}:{'PATTERN' if one == 'source' else 'COLUMN'}" for one in WITH_VALUE)]
        wrong = "takes no value" if name in PLAIN else "needs a value after a colon" if name in WITH_VALUE else "is no rule"
        message = f"{rule!r} {wrong}.{nearest(name, [*PLAIN, *WITH_VALUE])} The rules are {', '.join(known)}"
        raise ValueError(message)


def columns_of(rules: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that rules look at."""
    return tuple(value for name, _, value in (rule.partition(":") for rule in rules) if name in OF_COLUMN)


def ranks(rules: Sequence[str], batch: Batch, sizes: NDArray[np.int64]) -> dict[str, pl.Series]:
    """Return int64 columns `keep_00`, `keep_01`, …: what each rule says of each record of a batch; `sizes` is what `largest` goes by."""
    return {f"keep_{number:02d}": pl.Series(_ranks(rule, batch, sizes)) for number, rule in enumerate(rules)}


def rank_names(rules: Sequence[str]) -> list[str]:
    """Return the names of the columns that `ranks` makes."""
    return [f"keep_{number:02d}" for number in range(len(rules))]


def _ranks(rule: str, batch: Batch, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    name, _, value = rule.partition(":")
    if name in {"largest", "longest"}:
        return -sizes
    if name in {"smallest", "shortest"}:
        return sizes
    if name == "source":
        sources = batch.records if isinstance(batch, MediaBatch) else [batch.source] * len(batch)
        return np.array([0 if _within(source, value) else 1 for source in sources], np.int64)
    if name == "first" or isinstance(batch, MediaBatch):
        return np.zeros(len(batch), np.int64)
    if name == "fullest":
        return batch.frame.select(pl.sum_horizontal(pl.all().is_null().cast(pl.Int64))).to_series().to_numpy()
    return _column_ranks(batch.frame, value, falling=name in {"latest", "highest"})


def _within(source: str, pattern: str) -> bool:
    """Say whether a source is, or lies in, what the pattern names: a file, a folder anywhere on its path, or a glob over all of it."""
    return fnmatchcase(source, pattern) or any(fnmatchcase(part, pattern) for part in source.split("/"))


def _column_ranks(frame: pl.DataFrame, name: str, *, falling: bool) -> NDArray[np.int64]:
    """Return numbers in the order of a column's values; last those of nulls, of NaN, and of values that are no numbers or times."""
    worst = np.full(len(frame), WORST)
    if name not in frame.columns:
        return worst
    column = frame[name]
    if not (column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean):
        return worst
    if column.dtype.is_float():
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0  # -0.0 ranks as 0.0
        known = ~np.isnan(values)
        bits = values.view(np.int64)
        order = np.where(bits < 0, bits ^ np.int64(WORST), bits)
    else:
        known = column.is_not_null().to_numpy()
        order = column.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    return np.where(known, ~order if falling else order, worst)
