"""Statistics over the kept rows: gathered per shard in workers, added up as integers, exact and free of any order, in few passes.

What is wanted of a column is a generator that asks a `Probe` of all its values, is sent the sum of what the shards found, and
asks on until it returns. Each pass over the rows answers the open questions of all columns and groups at once.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.checks.base import ColumnStatistics, Needs
from tamis.executors import Task
from tamis.pipeline.amend import Amended
from tamis.pipeline.judge import read_alive
from tamis.pipeline.rows import read_batches
from tamis.sources.payload import Unavailable
from tamis_kernels import moments, yeo_johnson
from tamis_kernels.moments import Moments
from tamis_kernels.quantiles import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from tamis.checks.base import Statistics
    from tamis.executors import Context, Loss, Outcome
    from tamis.pipeline.plan import Plan, Shard
    from tamis.sources.schema import TableGroup
    from tamis_kernels.backend import BackendName

PIECE = 1 << 16  # values that are transformed at a time


def gather(plan: Plan, run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> dict[str, Statistics]:
    """Return the statistics of every table group that its checks ask for; `run` sends tasks to the workers."""
    return {name: _of_group(plan, group, run) for name, group in plan.groups.items()}


def needs(plan: Plan, group: TableGroup) -> dict[str, tuple[str, Needs]]:
    """Return what all enabled checks want to know of a group, by the key of the answer: a column and what of it."""
    wanted: dict[str, tuple[str, Needs]] = {}
    for check in plan.recipe.checks(backend=plan.backend):
        if check.has("needs"):
            for column, need in check.needs(group).items():
                key = need.key(column)
                wanted[key] = (column, wanted[key][1] | need if key in wanted else need)
    return wanted


@dataclass(frozen=True, slots=True)
class Counts:
    """A histogram of a selection's pass, without its zeros."""

    places: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __add__(self, other: Counts) -> Counts:
        """Add up what two shards counted."""
        places, inverse = np.unique(np.concatenate((self.places, other.places)), return_inverse=True)
        numbers = np.zeros(places.size, np.int64)
        np.add.at(numbers, inverse, np.concatenate((self.numbers, other.numbers)))
        return Counts(places, numbers)

    def histogram(self, selection: Selection) -> NDArray[np.int64]:
        """Return the histogram that the selection goes on from."""
        full = np.zeros((len(selection.wanted()), 1 << selection.digit), np.int64)
        full.reshape(-1)[self.places] = self.numbers
        return full


Found = Moments | Counts


@dataclass(frozen=True, slots=True)
class Probe:
    """One question about the values of a column: a selection's pass, moments of the logs, of the powers, or of the values."""

    selection: Selection | None = None
    logs: bool = False
    lambda_: float | None = None

    def ask(self, values: NDArray[np.floating[Any]], backend: BackendName) -> Found:
        """Return the answer of some values; answers add up."""
        if self.selection is not None:
            counted = self.selection.count(_finite(values), backend=backend).reshape(-1)
            places = np.flatnonzero(counted)
            return Counts(places, counted[places])
        if not self.logs and self.lambda_ is None:
            return moments.accumulate(values, backend=backend)
        total = Moments()
        for start in range(0, values.size, PIECE):
            moved = yeo_johnson.log_scale(_finite(values[start : start + PIECE]), backend=backend)
            if self.lambda_ is not None:
                moved = yeo_johnson.power(moved, self.lambda_, backend=backend)
            total += moments.accumulate(moved, backend=backend)
        return total

    def nothing(self) -> Found:
        """Return the answer of no values."""
        return Moments() if self.selection is None else Counts(np.empty(0, np.int64), np.empty(0, np.int64))


def _moments() -> Generator[Probe, Any, Moments]:
    found: Moments = yield Probe()
    return found


def _quantiles(probabilities: tuple[float, ...], dtype: type[np.floating[Any]]) -> Generator[Probe, Any, dict[float, float]]:
    selection = Selection.start(probabilities, dtype)
    while not selection.done:
        counts: Counts = yield Probe(selection=selection)
        selection = selection.advance(counts.histogram(selection))
    return dict(zip(selection.probabilities, selection.values().tolist(), strict=True))


def _power() -> Generator[Probe, Any, tuple[float, Moments]]:
    logs: Moments = yield Probe(logs=True)
    if logs.minimum == logs.maximum:
        powers: Moments = yield Probe(lambda_=1.0)
        return 1.0, powers
    found: dict[float, Moments] = {}
    steps = yeo_johnson.search()
    tried = next(steps)
    while True:
        found[tried] = yield Probe(lambda_=tried)
        try:
            tried = steps.send(yeo_johnson.likelihood(tried, found[tried], logs))
        except StopIteration as end:
            return end.value, found[end.value]


@dataclass(slots=True)
class _Inquiry:
    """The questions about one column, of all rows or one group: those open, and the answers."""

    open: dict[str, Generator[Probe, Any, Any]]
    probes: dict[str, Probe] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, need: Needs, dtype: type[np.floating[Any]]) -> _Inquiry:
        """Return the inquiry that a need asks for, before its first pass."""
        asked: dict[str, Generator[Probe, Any, Any]] = {}
        if need.moments:
            asked["moments"] = _moments()
        if need.quantiles:
            asked["quantiles"] = _quantiles(need.quantiles, dtype)
        if need.power:
            asked["power"] = _power()
        inquiry = cls(asked)
        for name in list(asked):
            inquiry._step(name, None)
        return inquiry

    def answer(self, found: Mapping[str, Found]) -> None:
        """Take what a pass found, by question."""
        for name, probe in list(self.probes.items()):
            self._step(name, found.get(name, probe.nothing()))

    def _step(self, name: str, found: Found | None) -> None:
        try:
            self.probes[name] = self.open[name].send(found)
        except StopIteration as end:
            self.answers[name] = end.value
            self.probes.pop(name, None)

    def statistics(self, groups: Mapping[str, ColumnStatistics]) -> ColumnStatistics:
        """Return the answers."""
        return ColumnStatistics(**self.answers, groups=groups)


Name = tuple[str, str | None]  # a key of the statistics, and a group; None for all rows


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a shard: what is wanted, and the open probes of each column and group; `first` asks new groups what all are asked."""

    shard: Shard
    wanted: Mapping[str, tuple[str, Needs]]
    probes: Mapping[Name, Mapping[str, Probe]]
    first: bool


Gathered = dict[Name, dict[str, Found]]


def _add(total: Gathered, more: Gathered) -> None:
    for name, answers in more.items():
        mine = total[name]
        for question, found in answers.items():
            mine[question] = mine[question] + found if question in mine else found  # type: ignore[operator]  # of one kind


def _of_group(plan: Plan, group: TableGroup, run: Callable[[Iterable[Task]], Iterator[Outcome]]) -> Statistics:
    wanted = needs(plan, group)
    shards = [shard for shard in plan.shards if shard.group == group.name]
    dtypes = {column.name: _float(column.dtype) for column in group.columns}
    start = {key: (need, dtypes[column]) for key, (column, need) in wanted.items()}
    inquiries: dict[Name, _Inquiry] = {(key, None): _Inquiry.start(*start[key]) for key in wanted}
    first = True
    while any(inquiry.probes for inquiry in inquiries.values()):
        probes = {name: inquiry.probes for name, inquiry in inquiries.items() if inquiry.probes}
        total: Gathered = defaultdict(dict)
        for outcome in run(Task(gather_shard, Pass(shard, wanted, probes, first)) for shard in shards):
            _add(total, outcome.value)
        for key, part in total:
            if (key, part) not in inquiries:
                inquiries[key, part] = _Inquiry.start(*start[key])
        for name, inquiry in inquiries.items():
            inquiry.answer(total.get(name, {}))
        first = False
    parts: dict[str, dict[str, ColumnStatistics]] = defaultdict(dict)
    for (key, part), inquiry in sorted(inquiries.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        if part is not None:
            parts[key][part] = inquiry.statistics({})
    return {key: inquiries[key, None].statistics(parts[key]) for key in wanted}


def gather_shard(
    plan: Plan,
    argument: Pass,
    lost: Mapping[int, Loss],  # noqa: ARG001 - a shard that kills its workers ends the run with their words
    context: Context,  # noqa: ARG001
) -> Gathered:
    """Gather one pass over the kept rows of one shard."""
    shard = argument.shard
    alive = read_alive(plan.state(), shard)
    total: Gathered = defaultdict(dict)
    amended = Amended(plan, shard, measured=True)
    with contextlib.suppress(Unavailable):  # apply reads the same rows next and enters the loss in the ledger
        for batch in read_batches(plan, shard, plan.batch_size):
            kept = amended.frame(batch).filter(pl.Series(alive[batch.rows - shard.start]))
            for key, (column, need) in argument.wanted.items():
                rows = kept if need.where is None else kept.filter(pl.col(need.where[0]).cast(pl.String) == need.where[1])
                for part, series in _parts(rows, column, need.by):
                    probes = argument.probes.get((key, None if argument.first else part), {})
                    if probes:
                        values = _values(series)
                        _add(total, {(key, part): {name: probe.ask(values, plan.backend) for name, probe in probes.items()}})
    return total


def _parts(rows: pl.DataFrame, column: str, by: str) -> Iterator[tuple[str | None, pl.Series]]:
    """Yield a column as a whole, and that of each group; rows without a group are only in the whole."""
    yield None, rows[column]
    if by:
        named = rows.select(pl.col(by).cast(pl.String).alias("by"), pl.col(column).alias("value")).drop_nulls("by")
        for (name,), part in named.group_by("by", maintain_order=True):
            yield str(name), part["value"]


def _float(dtype: pl.DataType) -> type[np.floating[Any]]:
    return np.float32 if dtype == pl.Float32 else np.float64


def _values(series: pl.Series) -> NDArray[np.floating[Any]]:
    wide = series if series.dtype == pl.Float32 else series.cast(pl.Float64)
    return wide.drop_nulls().to_numpy()


def _finite(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    good = np.isfinite(values)
    finite: NDArray[np.floating[Any]] = values if good.all() else values[good]
    return finite  # as `Normalizer.fit` does: infinities are kept, never fitted to
