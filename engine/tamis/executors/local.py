"""Local worker processes that survive what they read.

One process a job. A worker that hangs or outgrows its memory is killed; the record it was at is given up with a reason, and the shard goes
on in a fresh worker. So it does when a worker dies, but the record is tried once more first: something else may have killed the worker.
Which worker runs which shard never matters to the result. It does to the time: where some have a GPU, each begins with tasks of its kind.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from tamis.errors import TamisError, WorkerError
from tamis.executors.task import Limits, Loss, Outcome, Setup, Task
from tamis.executors.worker import HEADER, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tamis_kernels.backend import Backend

_PAGE = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.2
_SILENT_DEATHS_ALLOWED = 3
_Waiting = dict[bool, deque[Task]]  # tasks that no worker has, by whether they may call for a GPU


class _Worker:
    """One process, the task it runs, and the record it is at."""

    def __init__(self, threads: int = 1, gpu: str | None = None, modules: Sequence[str] = ()) -> None:
        environment = dict(
            os.environ, NUMBA_NUM_THREADS=str(threads), POLARS_MAX_THREADS=str(threads), OMP_NUM_THREADS="1", TAMIS_WORKER="1"
        )
        self.gpu = gpu
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tamis.executors.worker", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if "TAMIS_DEBUG" not in os.environ else None,
            env=environment,
            start_new_session=True,
        )
        self.inbox = cast("BinaryIO", self.process.stdin)
        self.outbox = cast("BinaryIO", self.process.stdout)
        os.set_blocking(self.outbox.fileno(), False)
        self.buffer = bytearray()
        self.task: Task | None = None
        self.record: int | None = None
        self.compiling = 0  # kernels, each while another waits for it
        self.since = time.monotonic()

    def prepare(self, setup: bytes) -> None:
        self.inbox.write(HEADER.pack(len(setup)) + setup)
        self.inbox.flush()

    def start(self, task: Task) -> None:
        self.task, self.record, self.since, self.compiling = task, None, time.monotonic(), 0
        send(self.inbox, task)

    def messages(self) -> Iterator[Any]:
        """Yield what has arrived; EOFError when the process is gone."""
        gone = False
        while not gone and self._readable():
            chunk = os.read(self.outbox.fileno(), 1 << 20)
            self.buffer += chunk
            gone = not chunk
        while len(self.buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self.buffer)
            end = HEADER.size + length
            if len(self.buffer) < end:
                break
            message = pickle.loads(self.buffer[HEADER.size : end])
            del self.buffer[:end]
            yield message
        if gone:
            raise EOFError

    def _readable(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self.outbox, selectors.EVENT_READ)
            return bool(selector.select(0))

    def resident_bytes(self) -> int:
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for stream in (self.inbox, self.outbox):
            with contextlib.suppress(OSError):
                stream.close()


_ahead: list[_Worker] = []


def start_ahead(*modules: str) -> None:
    """Start the first worker of the next executor, which imports modules while this process does."""
    if not _ahead:
        _ahead.append(_Worker(modules=modules))


class LocalExecutor:
    """Runs tasks in `jobs` worker processes.

    Parameters
    ----------
    jobs
        Number of processes.
    backend
        Where kernels run in them; None for where each call says.
    threads
        Threads of a process.
    gpus
        GPUs by the names of the driver: the first processes have one each, and see it alone.
    beside
        Where kernels run in processes that are left without a GPU; None for where they do in the others.
    """

    def __init__(
        self,
        jobs: int,
        *,
        backend: Backend | None = None,
        threads: int = 1,
        gpus: Sequence[str] = (),
        beside: Backend | None = None,
    ) -> None:
        self._threads, self._gpus = threads, gpus[:jobs]
        self.workers = jobs
        self._most = {True: len(self._gpus), False: jobs - len(self._gpus)}  # processes, by whether they have a GPU
        self._backends = {gpu: one for gpu, one in ((True, backend), (False, beside or backend)) if self._most[gpu]}
        self._workers: list[_Worker] = []
        self._done: Counter[str | None] = Counter()
        self._silent_deaths = 0
        self._told_of: set[bool] = set()
        self.setup(None, Limits(float("inf"), 1 << 62))

    def __enter__(self) -> Self:
        """Return the executor; workers start with the first tasks."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all workers, and one that was started ahead for nothing."""
        for worker in (*self._workers, *_ahead):
            worker.kill()
        self._workers.clear()
        _ahead.clear()

    def setup(self, value: Any, limits: Limits) -> None:
        setups = {gpu: pickle.dumps(Setup(value, one), protocol=pickle.HIGHEST_PROTOCOL) for gpu, one in self._backends.items()}
        self._prepare(setups, limits)

    def prepare(self, setup: bytes, limits: Limits) -> None:
        """Do as `setup`, given a pickled `Setup` for all workers."""
        self._prepare(dict.fromkeys(self._backends, setup), limits)

    def _prepare(self, setups: dict[bool, bytes], limits: Limits) -> None:
        self._setups, self._limits = setups, limits
        for worker in self._workers:
            worker.prepare(setups[worker.gpu is not None])

    def map(self, tasks: Iterable[Task], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        waiting: _Waiting = {True: deque(), False: deque()}
        for task in tasks:
            waiting[task.gpu].append(task)
        while True:
            if stop():
                waiting = {True: deque(), False: deque()}
            self._hand_out(waiting)
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy:
                return
            self._wait(busy)
            for worker in busy:
                yield from self._attend(worker, waiting)

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"jobs": self.workers * self._threads}
        if self._gpus:
            told |= {"gpus": [{"gpu": gpu, "tasks": self._done[gpu]} for gpu in self._gpus], "beside": self._done[None]}
        return told

    def _hand_out(self, waiting: _Waiting) -> None:
        for own in (True, False):  # each begins with tasks of its kind; then it takes the last of the others
            for gpu in (True, False):
                tasks = waiting[gpu is own]
                while tasks and (idle := self._idle(gpu=gpu)):
                    task = tasks.popleft() if own or not self._gpus else tasks.pop()
                    try:
                        idle.start(task)
                    except BrokenPipeError:
                        tasks.appendleft(task)
                        self._bury(idle)

    def _idle(self, *, gpu: bool) -> _Worker | None:
        """Return a worker that has nothing to do, with a GPU or without: a new one if it must be, and None if there can be no more."""
        alike = [worker for worker in self._workers if (worker.gpu is not None) is gpu]
        idle = next((worker for worker in alike if worker.task is None), None)
        if idle is None and len(alike) < self._most[gpu]:
            taken = {worker.gpu for worker in alike}
            return self._new_worker(next(one for one in self._gpus if one not in taken) if gpu else None)
        return idle

    def _new_worker(self, gpu: str | None) -> _Worker:
        worker = _ahead.pop() if _ahead and gpu is None and self._threads == 1 else _Worker(self._threads, gpu)
        self._workers.append(worker)
        with contextlib.suppress(BrokenPipeError):  # it has died, and its first task will tell
            worker.prepare(self._setups[gpu is not None])
        return worker

    def _wait(self, busy: list[_Worker]) -> None:
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.outbox, selectors.EVENT_READ)
            selector.select(_POLL_SECONDS)

    def _attend(self, worker: _Worker, waiting: _Waiting) -> Iterator[Outcome]:
        try:
            for kind, body in worker.messages():
                worker.since = time.monotonic()
                if kind in ("compiling", "compiled"):
                    self._hear(worker, kept=body)
                    continue
                if kind == "at":
                    worker.record = body
                    continue
                task, worker.task = cast("Task", worker.task), None
                if kind == "failed":
                    _raise(*body)
                self._done[worker.gpu] += 1
                yield Outcome(task, body)
        except EOFError:
            code = worker.process.wait()
            self._after_death(worker, waiting, Loss("decoder_crashed", f"the processes that read it died, twice ({_exit(code)})"))
            return
        if worker.task is None or worker.record is None or worker.record < 0:
            return  # limits are for single records; a negative number stands for a whole shard
        if worker.compiling:
            return  # which is not to be laid to the record
        if time.monotonic() - worker.since > self._limits.seconds:
            self._give_up(worker, waiting, Loss("decoder_timeout", f"reading it took more than {self._limits.seconds:g} s"))
        elif (resident := worker.resident_bytes()) > self._limits.resident_bytes:
            megabytes = self._limits.resident_bytes // 1_000_000
            self._give_up(worker, waiting, Loss("decoder_memory", f"reading it took more than {megabytes} MB ({resident // 1_000_000})"))

    def _hear(self, worker: _Worker, *, kept: bool | None) -> None:
        """Count the kernels that a worker compiles, and say once of what is kept, and once of what is not, that some are compiled."""
        worker.compiling += -1 if kept is None else 1
        if kept is not None and kept not in self._told_of:
            from tamis_kernels.compiled import tell  # not above: Numba comes with it, and a worker is started before

            self._told_of.add(kept)
            tell(kept)

    def _after_death(self, worker: _Worker, waiting: _Waiting, loss: Loss) -> None:
        task, record = worker.task, worker.record
        if task is None:
            self._bury(worker)
        elif record is None:
            self._bury(worker)
            self._silent_deaths += 1
            if self._silent_deaths > _SILENT_DEATHS_ALLOWED:
                message = f"worker processes die before they read a record: {loss.detail}. Set TAMIS_DEBUG=1 to see what they print."
                raise WorkerError(message)
            waiting[task.gpu].appendleft(task)
        elif record in task.suspected:
            self._give_up(worker, waiting, loss)
        else:
            self._bury(worker)
            waiting[task.gpu].appendleft(replace(task, suspected=task.suspected | {record}))

    def _give_up(self, worker: _Worker, waiting: _Waiting, loss: Loss) -> None:
        task, record = cast("Task", worker.task), cast("int", worker.record)
        self._bury(worker)
        waiting[task.gpu].appendleft(replace(task, lost={**task.lost, record: loss}))

    def _bury(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.remove(worker)


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible(gpus: int) -> list[str]:
    """Return the names by which a process can be shown one GPU, of as many as this one sees."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (shown.split(",") if shown else [str(number) for number in range(gpus)])[:gpus]


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _raise(error: Exception, trace: str) -> None:
    if isinstance(error, (TamisError, OSError)):
        raise error
    message = f"{type(error).__name__}: {error}\n{trace}"
    raise WorkerError(message) from error
