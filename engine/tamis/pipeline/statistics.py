"""Statistics over the kept rows: gathered per shard in workers, added up as integers, exact and free of any order, in few passes.

Each pass over the rows answers the open questions (`tamis.inquiries`) of all columns and groups at once.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.checks.base import ColumnStatistics, Needs
from tamis.errors import RecipeError
from tamis.executors import Plain, Task
from tamis.inquiries import Found, Inquiry, add
from tamis.pipeline.amend import Amended
from tamis.pipeline.plan import in_a_row
from tamis.pipeline.rows import RowReader
from tamis.pipeline.verdicts import read_alive
from tamis.sources.payload import Unavailable
from tamis_kernels.backend import resident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from tamis.checks.base import Statistics
    from tamis.executors import Outcome
    from tamis.inquiries import Probe
    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.schema import TableGroup


def gather(plan: Plan, run: Callable[[Iterable[Task]], Iterator[Outcome]], workers: int) -> dict[str, Statistics]:
    """Return the statistics of every table group that its checks ask for; `run` sends tasks to so many workers."""
    return {name: _of_group(plan, group, run, workers) for name, group in plan.groups.items()}


def needs(plan: Plan, group: TableGroup) -> dict[str, tuple[str, Needs]]:
    """Return what all enabled checks want to know of a group, by the key of the answer: a column and what of it."""
    wanted: dict[str, tuple[str, Needs]] = {}
    for check in plan.recipe.checks(backend=plan.backend):
        if check.has("needs"):
            for column, asked in check.needs(group).items():
                for need in asked:
                    key = need.key(column)
                    wanted[key] = (column, wanted[key][1] | need if key in wanted else need)
    return wanted


Name = tuple[str, str | None]  # a key of the statistics, and a group; None for all rows


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over shards: what is wanted, and the open probes of each column and group; `first` asks new groups what all are asked."""

    shards: tuple[Shard, ...]
    wanted: Mapping[str, tuple[str, Needs]]
    probes: Mapping[Name, Mapping[str, Probe]]
    first: bool


Gathered = dict[Name, dict[str, Found]]


def _of_group(plan: Plan, group: TableGroup, run: Callable[[Iterable[Task]], Iterator[Outcome]], workers: int) -> Statistics:
    wanted = needs(plan, group)
    shards = list(in_a_row((shard for shard in plan.shards if shard.group == group.name), workers))
    dtypes = {column.name: _float(column.dtype) for column in group.columns}
    start = {key: (need, dtypes[column]) for key, (column, need) in wanted.items()}
    inquiries: dict[Name, Inquiry] = {(key, None): _start(*start[key]) for key in wanted}
    first = True
    while any(inquiry.probes for inquiry in inquiries.values()):
        probes = {name: inquiry.probes for name, inquiry in inquiries.items() if inquiry.probes}
        total: Gathered = defaultdict(dict)
        for outcome in run(Task(Plain(gather_shards), Pass(some, wanted, probes, first)) for some in shards):
            for name, answers in outcome.value.items():
                add(total[name], answers)
            _check_count(wanted, total)
        for key, part in total:
            if (key, part) not in inquiries:
                inquiries[key, part] = _start(*start[key])
        for name, inquiry in inquiries.items():
            inquiry.answer(total.get(name, {}))
        first = False
    parts: dict[str, dict[str, ColumnStatistics]] = defaultdict(dict)
    for (key, part), inquiry in sorted(inquiries.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        if part is not None:
            parts[key][part] = ColumnStatistics(**inquiry.answers)
    return {key: ColumnStatistics(**inquiries[key, None].answers, groups=parts[key]) for key in wanted}


def _start(need: Needs, dtype: type[np.floating[Any]]) -> Inquiry:
    return Inquiry.start(dtype, moments=need.moments, quantiles=need.quantiles, mad=need.mad, power=need.power)


def _check_count(wanted: Mapping[str, tuple[str, Needs]], total: Gathered) -> None:
    """Refuse more groups than the recipe allows, as soon as they are seen: each is held in memory."""
    counted = Counter(key for key, part in total if part is not None)
    for key, (_, need) in wanted.items():
        if counted[key] > need.most_groups:
            message = (
                f"column {need.by!r} parts the rows into more than {need.most_groups:,} groups, and what is known of each is held in "
                "memory; raise max_groups, or go by a column with fewer values"
            )
            raise RecipeError(message)


def gather_shards(plan: Plan, argument: Pass) -> Gathered:
    """Gather one pass over the kept rows of some shards."""
    total: Gathered = defaultdict(dict)
    asked = {key for key, _ in argument.probes}
    wanted = {key: told for key, told in argument.wanted.items() if key in asked}
    columns = {name for column, need in wanted.values() for name in (column, need.by, *(need.where or ())[:1])}
    for kept in _kept_rows(plan, argument.shards, columns):
        for key, (column, need) in wanted.items():
            rows = kept if need.where is None else kept.filter(pl.col(need.where[0]).cast(pl.String) == need.where[1])
            for part, series in _parts(rows, column, need):
                probes = argument.probes.get((key, None if argument.first else part), {})
                if probes:
                    values = _values(series)
                    with resident(plan.backend, values, operations=("moments", "quantiles")):
                        add(total[key, part], {name: probe.ask(values, plan.backend) for name, probe in probes.items()})
    return total


def _kept_rows(plan: Plan, shards: Iterable[Shard], columns: set[str]) -> Iterator[pl.DataFrame]:
    """Yield the kept rows of shards as they are to be fitted to."""
    reader = RowReader(plan)
    for shard in shards:
        alive = read_alive(plan.state(), shard)
        amended = Amended(plan, shard, measured=True, columns=columns)
        with contextlib.suppress(Unavailable):  # apply reads the same rows next and enters the loss in the ledger
            for batch in reader.batches(shard, plan.batch_size, columns=columns):
                yield amended.frame(batch).filter(pl.Series(alive[batch.rows - shard.start]))


def _parts(rows: pl.DataFrame, column: str, need: Needs) -> Iterator[tuple[str | None, pl.Series]]:
    """Yield a column as a whole, and that of each group; rows without a group are only in the whole. Of windows it is the samples."""
    series = rows[column]
    if series.dtype.is_nested():
        lists = series.cast(pl.List(getattr(series.dtype, "inner", pl.Float64)))
        series = lists.explode(empty_as_null=False) if need.place is None else lists.list.get(need.place, null_on_oob=True)
    yield None, series
    if need.by:
        named = rows.select(pl.col(need.by).cast(pl.String).alias("by"), pl.col(column).alias("value")).drop_nulls("by")
        for (name,), part in named.group_by("by", maintain_order=True):
            yield str(name), part["value"]


def _float(dtype: pl.DataType) -> type[np.floating[Any]]:
    return np.float32 if getattr(dtype, "inner", dtype) == pl.Float32 else np.float64


def _values(series: pl.Series) -> NDArray[np.floating[Any]]:
    wide = series if series.dtype == pl.Float32 else series.cast(pl.Float64)
    return wide.drop_nulls().to_numpy()
