"""Statistics over the kept rows: gathered per shard in workers, added up as integers, exact and free of any order, in few passes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.checks.base import ColumnStatistics, Needs
from tamis.executors import Task
from tamis.pipeline.judge import read_alive
from tamis.pipeline.rows import read_batches
from tamis.sources.payload import Unavailable
from tamis_kernels import moments
from tamis_kernels.moments import Moments
from tamis_kernels.quantiles import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from tamis.checks.base import Statistics
    from tamis.executors import Context, Loss, Outcome
    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.schema import TableGroup


def gather(plan: Plan, run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> dict[str, Statistics]:
    """Return the statistics of every table group that its checks ask for; `run` sends tasks to the workers."""
    return {name: _of_group(plan, group, run) for name, group in plan.groups.items()}


def needs(plan: Plan, group: TableGroup) -> dict[str, Needs]:
    """Return what all enabled checks want to know of a group's columns."""
    wanted: dict[str, Needs] = {}
    for check in plan.recipe.checks(backend=plan.backend):
        if check.has("needs"):
            for column, need in check.needs(group).items():
                wanted[column] = wanted.get(column, Needs()) | need
    return wanted


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a shard: the columns whose moments are gathered, and the selections that are advanced."""

    shard: Shard
    moments: tuple[str, ...]
    selections: Mapping[str, Selection]


@dataclass(slots=True)
class Gathered:
    """What a pass found; sums of these are exact and do not depend on their order."""

    moments: dict[str, Moments]
    histograms: dict[str, NDArray[np.int64]]

    def __iadd__(self, other: Gathered) -> Gathered:
        """Add what another shard found."""
        for name, found in other.moments.items():
            self.moments[name] = self.moments[name] + found if name in self.moments else found
        for name, histogram in other.histograms.items():
            self.histograms[name] = self.histograms[name] + histogram if name in self.histograms else histogram
        return self


def _of_group(plan: Plan, group: TableGroup, run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> Statistics:
    wanted = needs(plan, group)
    shards = [shard for shard in plan.shards if shard.group == group.name]
    dtypes = {column.name: _float(column.dtype) for column in group.columns if column.name in wanted}
    averaged = tuple(name for name, need in wanted.items() if need.moments)
    selections = {name: Selection.start(need.quantiles, dtypes[name]) for name, need in wanted.items() if need.quantiles}
    found: dict[str, Moments] = {}
    while averaged or any(not selection.done for selection in selections.values()):
        todo = {name: selection for name, selection in selections.items() if not selection.done}
        total = Gathered({}, {})
        for outcome in run(Task(gather_shard, Pass(shard, averaged, todo)) for shard in shards):
            total += outcome.value
        found.update({name: total.moments.get(name, Moments()) for name in averaged})
        for name, selection in todo.items():
            nothing = np.zeros((len(selection.wanted()), 1 << 16), np.int64)
            selections[name] = selection.advance(total.histograms.get(name, nothing))
        averaged = ()
    return {
        name: ColumnStatistics(
            found.get(name),
            dict(zip(selections[name].probabilities, selections[name].values().tolist(), strict=True)) if name in selections else {},
        )
        for name in wanted
    }


def gather_shard(
    plan: Plan,
    argument: Pass,
    lost: Mapping[int, Loss],  # noqa: ARG001 - a shard that kills its workers ends the run with their words
    context: Context,  # noqa: ARG001
) -> Gathered:
    """Gather one pass over the kept rows of one shard."""
    shard = argument.shard
    alive = read_alive(plan.state(), shard)
    total = Gathered({}, {})
    with contextlib.suppress(Unavailable):  # apply reads the same rows next and enters the loss in the ledger
        for batch in read_batches(plan, shard, plan.batch_size):
            kept = batch.frame.filter(pl.Series(alive[batch.rows - shard.start]))
            values = {name: _values(kept[name]) for name in {*argument.moments, *argument.selections}}
            total += Gathered(
                {name: moments.accumulate(values[name], backend=plan.backend) for name in argument.moments},
                {name: selection.count(_finite(values[name]), backend=plan.backend) for name, selection in argument.selections.items()},
            )
    return total


def _float(dtype: pl.DataType) -> type[np.floating[Any]]:
    return np.float32 if dtype == pl.Float32 else np.float64


def _values(series: pl.Series) -> NDArray[np.floating[Any]]:
    wide = series if series.dtype == pl.Float32 else series.cast(pl.Float64)
    return wide.drop_nulls().to_numpy()


def _finite(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    finite: NDArray[np.floating[Any]] = values[np.isfinite(values)]
    return finite  # as `Normalizer.fit` does: infinities are kept, never fitted to
