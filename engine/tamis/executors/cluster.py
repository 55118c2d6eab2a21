"""Workers on the nodes of a Ray cluster.

Each is a local worker that an actor keeps on its node, so that a record which kills, hangs or bloats it is dealt with there, as on one
machine. The first process hands an actor one task at a time. What is lost with an actor or a node is the task in hand, which is begun again
elsewhere: files are whole or not there, so it may be done twice. Tasks, setup and results go through actors as bytes, of which these import
nothing.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import ray
from ray.exceptions import RayError, RayTaskError

from tamis.errors import TamisError, WorkerError
from tamis.executors.local import LocalExecutor
from tamis.executors.nodes import ANSWER_SECONDS, Needs, Node, Nodes, Shared, first_line, join, owners
from tamis.executors.task import Limits, Outcome, Setup, Task, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tamis_kernels.backend import Backend

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 5.0  # from one look at the nodes to the next
_ROOM_SECONDS = 30.0  # without a worker until it is told
_ALONE_SECONDS = 60.0  # without a node until the run ends
_MOST_LOSSES = 3  # of one task, and of workers that a node cannot start


class Keeper:
    """The actor: keeps one local worker."""

    def __init__(self, threads: int, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        self._local = LocalExecutor(1, threads=threads)

    def prepare(self, setup: bytes, limits: Limits) -> None:
        """Do as `LocalExecutor.prepare`."""
        self._local.prepare(setup, limits)

    def run(self, task: Task) -> bytes | Exception:
        """Return the sealed result of a sealed task, or what it raised."""
        try:
            (outcome,) = self._local.map([task])
        except (TamisError, OSError) as error:
            return error
        result: bytes = outcome.value
        return result


@dataclass(eq=False, slots=True)
class _Load:
    """A task, and the nodes on which it was lost."""

    task: Task
    lost_on: list[Node] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Seat:
    """An actor, the answer that is awaited from it, and the task that it has; without an answer it is idle, without a task it starts."""

    node: Node
    actor: Any
    answer: Any
    load: _Load | None = None


class RayExecutor:
    """Runs tasks in workers on all nodes of a running Ray cluster.

    Parameters
    ----------
    address
        Of the cluster; `auto` for the one that this machine belongs to.
    shared
        What every node must see and have.
    jobs
        Processors that may be taken; None for all.
    backend
        Where kernels run. On CUDA a worker has a GPU of its own, and its share of the processors as threads.
    memory
        Bytes that are asked of a node for each worker.
    say
        Is told of nodes that come and go.

    Raises
    ------
    WorkerError
        On entering: there is no such cluster, or a node of it is unfit.
    """

    def __init__(
        self,
        address: str,
        shared: Shared,
        *,
        jobs: int | None = None,
        backend: Backend | None = None,
        memory: int = 0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._address, self._shared, self._jobs, self._backend, self._memory, self._say = address, shared, jobs, backend, memory, say
        self._limits = Limits(float("inf"), 1 << 62)
        self._seats: list[_Seat] = []
        self._looked = self._working = 0.0  # when last
        self._waits = self._joined = False

    def __enter__(self) -> Self:
        """Join the cluster and ask every node whether it can be used."""
        self._joined = join(self._address)
        try:
            self._setup = ray.put(pickle.dumps(Setup(None, self._backend)))
            self._keeper: Any = ray.remote(Keeper)
            self._needs = self._needs_of_a_worker()
            self._nodes = Nodes(self._shared, self._needs)
            self._nodes.look(ANSWER_SECONDS)
            unfit = [
                f"node {node.name}: {node.unfit or f'no answer in {ANSWER_SECONDS:.0f} s'}"
                for node in self._nodes
                if not (node.room or node.gone)
            ]
            if unfit or not self._nodes.room:
                lacking = f"no node of the cluster {self._address} has what one worker takes: {self._needs}"
                raise WorkerError("\n".join(unfit) or lacking)  # noqa: TRY301
        except BaseException:
            self.__exit__()
            raise
        self._say(f"cluster {self._address}: {self.workers} workers on {sum(node.room > 0 for node in self._nodes)} nodes")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all workers and leave the cluster."""
        answers = [seat.answer for seat in self._seats if seat.load]
        for seat in list(self._seats):
            self._dismiss(seat)
        if answers:
            ray.wait(answers, num_returns=len(answers), timeout=_LOOK_SECONDS)  # what they have begun to write is swept away next
        if self._joined:
            ray.shutdown()

    def told(self) -> dict[str, Any]:
        nodes = [{"node": node.name, "tasks": node.tasks, "lost": node.lost} for node in self._nodes]
        return {"jobs": self._needs.cpus * self.workers, "cluster": sorted(nodes, key=lambda one: list(map(str, one.values())))}

    def setup(self, value: Any, limits: Limits) -> None:
        self._setup = ray.put(pickle.dumps(Setup(value, self._backend), protocol=pickle.HIGHEST_PROTOCOL))  # once, for all nodes
        self._limits = limits
        for seat in self._seats:
            seat.actor.prepare.remote(self._setup, limits)

    def map(self, tasks: Iterable[Task], *, stop: Callable[[], bool] = lambda: False) -> Iterator[Outcome]:
        waiting = deque(_Load(task) for task in tasks)
        self._working = time.monotonic()
        while True:
            if stop():
                waiting.clear()
            self._hand_out(waiting)
            if not waiting and not any(seat.load for seat in self._seats):
                return
            for seat in self._answered():
                if seat in self._seats:  # its node was not found to be gone meanwhile
                    yield from self._attend(seat, waiting)
            self._mind_the_time(waiting)

    def _needs_of_a_worker(self) -> Needs:
        if self._backend is None or self._backend.name != "cuda":
            return Needs(memory=self._memory)
        found = owners("GPU")
        gpus = sum(int(one["GPU"]) for one in found)
        shares = [int(one.get("CPU", 0) // one["GPU"]) for one in found]
        if self._jobs is not None and gpus:
            shares.append(self._jobs // min(self._jobs, gpus))
        return Needs(max(1, min(shares, default=1)), 1, self._memory)

    @property
    def workers(self) -> int:
        """How many there may be."""
        return min(self._nodes.room, sys.maxsize if self._jobs is None else self._jobs // self._needs.cpus)

    def _hand_out(self, waiting: deque[_Load]) -> None:
        """Give tasks to idle workers, if it can be not where they were lost, and start workers for the rest."""
        idle = [seat for seat in self._seats if seat.answer is None]
        while waiting and idle:
            load = waiting.popleft()
            seat = min(idle, key=lambda seat: seat.node in load.lost_on)
            idle.remove(seat)
            seat.load, seat.answer = load, seat.actor.run.remote(sealed(load.task))
        starting = sum(seat.load is None for seat in self._seats)
        taken = Counter(seat.node for seat in self._seats)
        for _ in range(min(len(waiting) - starting, self.workers - len(self._seats))):
            free = [node for node in self._nodes if node.room > taken[node]]
            if not free:
                return
            node = min(free, key=lambda node: (node.lost, taken[node] / node.room))
            taken[node] += 1
            self._start(node)

    def _start(self, node: Node) -> None:
        debug = {name: os.environ[name] for name in ("TAMIS_DEBUG",) if name in os.environ}
        actor = self._keeper.options(**self._needs.options(node.id)).remote(self._needs.cpus, debug)
        self._seats.append(_Seat(node, actor, actor.prepare.remote(self._setup, self._limits)))

    def _answered(self) -> list[_Seat]:
        """Wait a little for answers."""
        answers = [seat.answer for seat in self._seats if seat.answer is not None]
        if not answers:
            time.sleep(_POLL_SECONDS)
            return []
        if ray.wait(answers, timeout=_POLL_SECONDS)[0]:
            ready = set(ray.wait(answers, num_returns=len(answers), timeout=0)[0])
            return [seat for seat in self._seats if seat.answer in ready]
        return []

    def _attend(self, seat: _Seat, waiting: deque[_Load]) -> Iterator[Outcome]:
        load, answer = seat.load, seat.answer
        seat.load = seat.answer = None
        try:
            result = ray.get(answer)
        except RayTaskError as error:
            message = f"node {seat.node.name}: {error}"
            raise WorkerError(message) from error
        except RayError as error:
            self._lose(seat, load, waiting, first_line(error))
            return
        seat.node.failed = 0
        if isinstance(result, WorkerError):
            message = f"node {seat.node.name}: {result}"
            raise WorkerError(message) from result
        if isinstance(result, Exception):
            raise result
        if load is not None:
            seat.node.tasks += 1
            yield Outcome(load.task, pickle.loads(result))

    def _lose(self, seat: _Seat, load: _Load | None, waiting: deque[_Load], reason: str) -> None:
        """Do without a worker that is gone; its task is the next to be begun."""
        node = seat.node
        self._dismiss(seat)
        if load is None:
            self._look()  # for all workers that were to start on a node fail when it is gone
            node.failed += node.room > 0
            if node.failed == _MOST_LOSSES:
                message = f"node {node.name} cannot start workers: {reason}. Mend it or take it out of the cluster, and run again."
                raise WorkerError(message)
            return
        node.lost += 1
        load.lost_on.append(node)
        if len(load.lost_on) == _MOST_LOSSES:
            names = ", ".join(node.name for node in load.lost_on)
            message = (
                f"one task was lost {_MOST_LOSSES} times with the process or the node that ran it ({names}): {reason}. "
                "Look whether they have memory enough, and run again: what is done is kept."
            )
            raise WorkerError(message)
        if node.lost == 1:
            self._say(f"node {node.name}: a worker was lost, and its task is begun again elsewhere ({reason})")
        waiting.appendleft(load)

    def _dismiss(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        ray.kill(seat.actor)

    def _look(self) -> None:
        """See which nodes have come, and do without the workers of those that are gone."""
        for node in self._nodes.look():
            self._say(f"node {node.name} {'is gone' if node.gone else f'is not used: {node.unfit}'}")
        for seat in [seat for seat in self._seats if not seat.node.room and seat.load is None]:
            self._dismiss(seat)

    def _mind_the_time(self, waiting: deque[_Load]) -> None:
        """Look at the nodes from time to time, and do not wait for ever and in silence."""
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._look()
        if not waiting or any(seat.load for seat in self._seats):
            self._working, self._waits = now, False
        elif not self._nodes.room and now - self._working > _ALONE_SECONDS:
            message = f"no node of the cluster {self._address} is left to work on; start some and run again: what is done is kept"
            raise WorkerError(message)
        elif now - self._working > _ROOM_SECONDS and not self._waits:
            self._waits = True
            self._say("no node has room for a worker now; the run waits for it")
