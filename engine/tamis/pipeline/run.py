"""One run from source to closed books."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tamis
from tamis.errors import DISK_FULL, OutputError, RunInterrupted, WorkerError
from tamis.executors import Executor, Limits, LocalExecutor, Task, cores, visible
from tamis.pipeline import apply, observe, statistics, wide
from tamis.pipeline.earlier import write_index
from tamis.pipeline.evidence import read_summary
from tamis.pipeline.files import write_json
from tamis.pipeline.folder import prepared
from tamis.pipeline.interrupt import Interrupt
from tamis.pipeline.judge import judge
from tamis.pipeline.ledger import write_ledger
from tamis.pipeline.manifest import package_versions, write_books
from tamis.pipeline.memory import WORKER, give_back, workers_within
from tamis.pipeline.plan import state_folder
from tamis.pipeline.prepare import prepare
from tamis.pipeline.request import Clock, Request
from tamis.report import write_report
from tamis.sources.listing import witnesses
from tamis_kernels import resolve_for_run
from tamis_kernels.backend import Backend, devices, running, wanted
from tamis_kernels.compiled import in_words, told_of_compiling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tamis.executors import Outcome
    from tamis.executors.cluster import RayExecutor
    from tamis.pipeline.plan import Plan, Shard
    from tamis.pipeline.prepare import Prepared
    from tamis.progress import Progress


def run(request: Request, progress: Progress) -> dict[str, Any]:
    """Clean a source and return the manifest.

    Raises
    ------
    TamisError
        The recipe, the source or the output folder is wrong, the disk is full, or the run was interrupted.
    """
    backend = resolve_for_run(request.backend, request.gpu_memory)
    if request.backend == "auto" and wanted():
        progress.say(f"backend {backend.name}, {backend.reason}")
    if request.cluster is not None:
        request = replace(request, out=request.out.absolute())  # nodes have no current folder in common
    try:
        with (
            told_of_compiling(cache(lambda kept: progress.say(in_words(kept)))),
            prepared(request.out, [Path(one) for one in request.source], overwrite=request.overwrite),
            Interrupt(progress) as stop,
            running(backend),
            _here(request, backend) if request.cluster is None else _on_cluster(request, backend, progress) as executor,
        ):
            return _Run(request, progress, executor, stop, backend).go()
    except OSError as error:
        raise _output_error(error, request.out) from error
    finally:
        progress.close()


def _here(request: Request, backend: Backend) -> LocalExecutor:
    """Return worker processes: one a job, the first of which have a GPU each where `auto` has found that it is faster at something.

    Where CUDA was asked for by name there is none without a GPU, and the jobs are shared out among them as threads.
    """
    jobs = workers_within(request.memory, request.jobs or cores())
    if backend.name != "cuda":
        return LocalExecutor(jobs, backend=backend)
    gpus = visible(min(jobs, devices()))
    if backend.least is not None:
        return LocalExecutor(jobs, backend=backend, gpus=gpus, beside=Backend("cpu", "auto: a worker without a GPU"))
    return LocalExecutor(len(gpus), backend=backend, threads=jobs // len(gpus), gpus=gpus)


def _on_cluster(request: Request, backend: Backend, progress: Progress) -> RayExecutor:
    """Return workers on the nodes of a cluster."""
    try:
        from tamis.executors.cluster import RayExecutor
        from tamis.executors.nodes import Shared
    except ModuleNotFoundError as error:
        message = f"a run on a cluster needs Ray ({error}); install it here and on every node with: pip install 'tamis[ray]'"
        raise WorkerError(message) from error
    versions = {"tamis": tamis.__version__, **package_versions()}
    shared = Shared(state_folder(request.out) / "nodes", tuple(witnesses(request.source)), versions)
    jobs = request.jobs or None
    if request.memory is not None:
        jobs = workers_within(request.memory, jobs or sys.maxsize)
    return RayExecutor(str(request.cluster), shared, jobs=jobs, backend=backend, memory=WORKER, say=progress.say)


class _Run:
    def __init__(
        self,
        request: Request,
        progress: Progress,
        executor: Executor,
        stop: Callable[[], bool],
        backend: Backend,
    ) -> None:
        self.request, self.progress, self.executor, self.stop, self.backend = request, progress, executor, stop, backend
        self.clock = Clock()

    def go(self) -> dict[str, Any]:
        """Run all stages."""
        with self.clock.stage("plan"):
            ready = self._prepare()
        plan, earlier = ready.plan, ready.earlier
        limits = plan.recipe.limits
        self.executor.setup(plan.for_workers(), Limits(limits.seconds, limits.megabytes * 1_000_000))
        with self.clock.stage("observe"):
            summaries = self._observe(plan)
        with self.clock.stage("judge"):
            self.progress.stage("judge", plan.records)
            judge(plan, earlier, self._map)
            self.progress.advance(plan.records)
            self._leave_if_stopped()
        give_back()
        with self.clock.stage("statistics"):
            gathered = statistics.gather(plan, self._map, self.executor.workers)
        with self.clock.stage("apply"):
            kept = self._apply(plan, gathered)
            self._widen(plan)
        with self.clock.stage("books"):
            give_back()
            tally = write_ledger(plan, self.request.out, earlier)
            give_back()
            manifest = write_books(ready, summaries, kept, gathered, tally, self.request, self.backend, self.clock, self.executor)
            write_report(self.request.out, manifest, (file for shard in plan.shards for file in shard.files))
            write_index(plan)
            write_json(self.request.out / "manifest.json", manifest)  # the last file: where it is, the run is finished
            _tidy(plan)
        return manifest

    def _prepare(self) -> Prepared:
        request = self.request
        ready = prepare(
            request.source,
            request.out,
            request.recipe,
            settings=request.settings,
            backend="auto",  # which in each process is what the run has chosen for it
            batch_size=request.batch_size,
            dry_run=request.dry_run,
            against=request.against,
            work=self._map,
            progress=self.progress,
        )
        for line in ready.choice:
            self.progress.say(f"auto: {line}")
        if ready.resumed:
            self.progress.say(f"resuming the unfinished run in {request.out}")
        return ready

    def _observe(self, plan: Plan) -> dict[int, dict[str, Any]]:
        mark = observe.stamp(plan)
        known = ((shard, read_summary(plan, shard, mark)) for shard in plan.shards)
        done = {shard.index: summary for shard, summary in known if summary is not None}
        todo = [shard for shard in plan.shards if shard.index not in done]
        self._begin("observe", plan, sum(shard.records for shard in todo))
        for outcome in self._map(observe.tasks(plan, todo, self.executor.workers)):
            shards: tuple[Shard, ...] = outcome.task.argument[0]
            done |= {shard.index: summary for shard, summary in zip(shards, outcome.value, strict=True)}
            size, rejected = (sum(summary[key] for summary in outcome.value) for key in ("bytes", "rejected"))
            self.progress.advance(sum(shard.records for shard in shards), size=size, rejected=rejected)
        return dict(sorted(done.items()))

    def _apply(self, plan: Plan, gathered: Mapping[str, Any]) -> int:
        """Apply every shard, and return how many records stayed."""
        orders = list(apply.orders(plan, gathered, self.executor.workers))
        todo = [Task(apply.apply_order, order, gpu=order.shards[0].kind == "table") for order in orders]
        left = {shard.index for order in orders for shard in order.shards}
        kept: int = sum(apply.read_applied(plan, shard)["kept"] for shard in plan.shards if shard.index not in left)
        self._begin("apply", plan, sum(task.argument.records for task in todo))
        for outcome in self._map(todo):
            records = outcome.task.argument.records
            kept += outcome.value
            self.progress.advance(records, rejected=records - outcome.value)
        return kept

    def _begin(self, stage: str, plan: Plan, records: int) -> None:
        """Begin a stage of the records that an earlier attempt has not done: rates and the time left are those of this one."""
        if records < plan.records:
            self.progress.say(f"{stage}: {plan.records - records:,} of {plan.records:,} records were done before the stop")
        self.progress.stage(stage, records)

    def _widen(self, plan: Plan) -> None:
        """Turn what was kept into the wide form, where the recipe asks for it."""
        if plan.recipe.output.tables != "wide" or plan.dry_run:
            return
        todo = wide.tasks(plan, {shard.name: apply.read_applied(plan, shard)["kept"] for shard in plan.shards if shard.kind == "table"})
        self.progress.stage("widen", len(todo), "ranges")
        for _ in self._map(todo):
            self.progress.advance(1)

    def _map(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        yield from self.executor.map(tasks, stop=self.stop)
        self._leave_if_stopped()

    def _leave_if_stopped(self) -> None:
        if self.stop():
            message = f"stopped on request; what is done is kept in {self.request.out}. To go on: {self.request.resume_line}"
            raise RunInterrupted(message)


def _tidy(plan: Plan) -> None:
    """Remove what only an unfinished run needs; the evidence stays, it is the index of later runs."""
    for name in ("staged", "amended", "applied", "runs", "unfinished", "nodes"):
        shutil.rmtree(plan.state(name), ignore_errors=True)


def _output_error(error: OSError, out: Path) -> OutputError:
    if error.errno in DISK_FULL:
        return OutputError(f"no space left for {out} ({error.strerror}); free some and run it again: what is done is kept and resumed")
    return OutputError(f"{error.filename or out}: {error.strerror or error}")
