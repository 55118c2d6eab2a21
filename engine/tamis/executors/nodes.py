"""The nodes of a Ray cluster: which there are, how many workers each has room for, and what each must see and have before it gets one."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what Ray would send to its makers
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tamis.errors import WorkerError

ANSWER_SECONDS = 120.0  # that a node has to answer
_PATIENCE = "RAY_gcs_server_port_wait_time_s"  # tries to reach a cluster, of some 36 seconds each
_SAME_PATH = "must lie on a file system that all nodes see under the same path"


@dataclass(frozen=True, slots=True)
class Shared:
    """What a node must share with the first process.

    Attributes
    ----------
    folder
        A folder of the run, in which both leave a file for the other.
    witnesses
        Path, size and time of files of the source.
    versions
        Of the packages that leave their mark on results, by name.
    """

    folder: Path
    witnesses: tuple[tuple[str, int, int], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, node: str) -> None:
        """Leave a file for a node that is to be asked."""
        self.folder.mkdir(parents=True, exist_ok=True)
        asked, answered = self._files(node)
        asked.touch()
        answered.unlink(missing_ok=True)
        answered.exists()  # so that a file system which remembers what was not there is found out by `unseen`

    def question(self) -> Callable[[str], str]:
        """Return a function that tells what is wrong with the node on which it is called, given its name, or nothing.

        It goes there by value, for which it stands within this one: tamis may not be there.
        """
        folder, witnesses, versions = str(self.folder), self.witnesses, dict(self.versions)

        def look(node: str) -> str:
            from importlib import import_module, metadata
            from pathlib import Path

            for package, version in versions.items():
                try:
                    found = import_module(package).__version__ if package == "tamis" else metadata.version(package)
                except ImportError:
                    found = "missing"
                if found != version:
                    return f"{package} is {found} there and {version} here; bring the same to all nodes: pip install {package}=={version}"
            try:
                Path(folder, f"asked-{node}").read_bytes()
                Path(folder, f"answered-{node}").touch()
            except OSError as error:
                return f"{folder} cannot be read and written there ({error.strerror}); the output folder {_SAME_PATH}"
            for path, size, time in witnesses:
                try:
                    same = (Path(path).lstat().st_size, Path(path).lstat().st_mtime_ns) == (size, time)
                except OSError:
                    same = False
                if not same:
                    return f"{path} is not there what it is here; the source {_SAME_PATH}"
            return ""

        return look

    def unseen(self, node: str) -> str:
        """Tell what is wrong where a node has answered and its file is not seen here; remove what both left."""
        seen = self._files(node)[1].exists()
        for file in self._files(node):
            file.unlink(missing_ok=True)
        if seen:
            return ""
        return (
            f"what it writes in {self.folder} is not seen here at once; names that were not there must not be remembered: "
            "mount NFS with the option lookupcache=positive"
        )

    def _files(self, node: str) -> tuple[Path, Path]:
        return self.folder / f"asked-{node}", self.folder / f"answered-{node}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker takes of its node."""

    cpus: int = 1
    gpus: int = 0
    memory: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.cpus} CPU, {self.gpus} GPU, {self.memory / 1e6:.0f} MB"

    def places(self, resources: Mapping[str, float]) -> int:
        """Return for how many workers a node has room."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return int(min(resources.get(name, 0) // amount for name, amount in wanted.items() if amount))

    def options(self, node: str) -> dict[str, Any]:
        """Return the words in which Ray is asked for it on one node."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "memory": self.memory or None,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
        }


@dataclass(eq=False, slots=True)
class Node:
    """A node and what became of its workers; it has none while its answer is awaited, where it is unfit, and once it is gone."""

    id: str
    name: str
    places: int
    answer: Any
    unfit: str = ""
    gone: bool = False
    tasks: int = 0
    lost: int = 0
    failed: int = 0  # workers that could not be started, one after the other

    @property
    def room(self) -> int:
        """How many workers it may have."""
        return 0 if self.gone or self.unfit or self.answer is not None else self.places


class Nodes:
    """The nodes that were seen, by Ray's name for them."""

    def __init__(self, shared: Shared, needs: Needs) -> None:
        self._shared, self._needs = shared, needs
        self._question: Any = ray.remote(shared.question())
        self._known: dict[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        """Yield all of them, also those that are gone."""
        return iter(self._known.values())

    @property
    def room(self) -> int:
        """How many workers they may have together."""
        return sum(node.room for node in self)

    def look(self, patience: float = 0) -> list[Node]:
        """Ask nodes that are new, hear those that have answered, and return those that were found to be unfit or gone."""
        for one in _alive():
            name, places = one["NodeID"], self._needs.places(one["Resources"])
            if name not in self._known and places:
                shown = f"{one['NodeManagerHostname']} ({one['NodeManagerAddress']})"
                self._known[name] = Node(name, shown, places, self._ask(name))
        asked = {node.answer: node for node in self if node.answer is not None}
        answers = ray.wait(list(asked), num_returns=len(asked), timeout=patience)[0] if asked else []
        for node in [asked[answer] for answer in answers]:
            try:
                node.unfit = ray.get(node.answer) or self._shared.unseen(node.id)
            except RayError as error:
                node.unfit = f"it does not answer ({first_line(error)})"
            node.answer = None
        alive = {one["NodeID"] for one in _alive()}
        lost = [node for node in self if node.id not in alive and not node.gone]
        for node in lost:
            node.gone, node.answer = True, None
        return [*lost, *(asked[answer] for answer in answers if asked[answer].unfit and not asked[answer].gone)]

    def _ask(self, node: str) -> Any:
        self._shared.prepare(node)
        return self._question.options(**Needs(cpus=0).options(node), max_retries=0).remote(node)


def owners(resource: str) -> list[Mapping[str, float]]:
    """Return what each node has that has some of a resource."""
    return [one["Resources"] for one in _alive() if one["Resources"].get(resource, 0) >= 1]


def _alive() -> list[dict[str, Any]]:
    return [one for one in ray.nodes() if one["Alive"]]  # type: ignore[no-untyped-call]


def first_line(error: BaseException) -> str:
    """Return the first line of what Ray says, which goes on for many."""
    return str(error).strip().partition("\n")[0]


def join(address: str) -> bool:
    """Make this process a driver of a running cluster; return whether it was none before.

    Raises
    ------
    WorkerError
        No cluster answers there, it is of another version, or this process has joined another one.
    """
    if ray.is_initialized():
        joined = ray.get_runtime_context().gcs_address
        if address not in ("auto", joined):
            message = f"this process has joined the Ray cluster at {joined} already, and cannot join {address} too"
            raise WorkerError(message)
        return False
    on_main_thread = threading.current_thread() is threading.main_thread()
    before, patience = signal.getsignal(signal.SIGTERM), os.environ.get(_PATIENCE)
    try:
        if ":" in address and "://" not in address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        os.environ[_PATIENCE] = patience or "1"  # Ray would try for a quarter of an hour to reach a cluster that is no more
        ray.init(address=address, log_to_driver="TAMIS_DEBUG" in os.environ, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        message = (
            f"no Ray cluster can be joined at {address!r}: {first_line(error)}. Start one with `ray start --head`, and with "
            "`ray start --address=HOST:6379` on every other machine; tamis is then run on one of them"
        )
        raise WorkerError(message) from error
    finally:
        if patience is None:
            os.environ.pop(_PATIENCE, None)
        if on_main_thread and before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray sets its own in place of the run's, which lets shards in hand finish
    return True
