"""Runs on a Ray cluster of several nodes, all on this machine: its bytes are those of a local run, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostile_tasks
import polars as pl
import pytest
import ray
from ray.cluster_utils import Cluster
from running import balanced, call, command, outputs
from whole_runs import SETTINGS, corpus

import tamis
from tamis.errors import SourceError, WorkerError
from tamis.executors import Limits, Task, cluster
from tamis.executors.cluster import RayExecutor
from tamis.executors.nodes import Shared, join
from tamis.progress import Silent
from tamis.sources.listing import witnesses
from tamis_kernels.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOMY = Limits(seconds=30, resident_bytes=1 << 40)
STORE: dict[str, Any] = {"object_store_memory": 80_000_000}  # the least that Ray takes
SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}  # Ray waits for half a minute
SMALL = SETTINGS | {"shards.files": 4, "shards.rows": 40, "output.tables": "wide"}


@pytest.fixture(scope="module")
def rays() -> Iterator[Cluster]:
    """Return a cluster whose first node does no work, and which has two more of one processor each."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-") as folder:  # a short path: sockets lie in it
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))  # for the tasks of the tests
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": SOON, "temp_dir": folder, **STORE}
        made = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            made.add_node(num_cpus=1, **STORE)
        yield made
        made.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def connected(rays: Cluster) -> Iterator[str]:
    """Return the address of the cluster that this process has joined: processes that wait there for work need not be started anew."""
    join(rays.address)
    yield rays.address
    ray.shutdown()


@pytest.fixture
def add(rays: Cluster) -> Iterator[Callable[..., Any]]:
    """Return a function that adds a node for the length of a test."""
    added: list[Any] = []

    def one(**resources: Any) -> Any:
        added.append(rays.add_node(**resources, **STORE))
        return added[-1]

    yield one
    for node in added:
        with suppress(KeyError):  # the test has removed it
            rays.remove_node(node, allow_graceful=False)


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path / "nodes")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("cluster") / "corpus")


@pytest.fixture(scope="module")
def local(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what a run on one machine leaves, and the time that nodes need not wait for compiled kernels."""
    from running import executor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.pipeline.run.LocalExecutor", executor)
        out = tmp_path_factory.mktemp("local") / "out"
        tamis.clean(source, out, settings=SMALL, jobs=1)
    return outputs(out)


def run(executor: RayExecutor, misdeeds: dict[int, str], limits: Limits = ROOMY, shards: int = 3) -> dict[int, list[object]]:
    executor.setup(misdeeds, limits)
    tasks = [Task(hostile_tasks.read_all, range(4 * shard, 4 * shard + 4)) for shard in range(shards)]
    return dict(sorted((outcome.task.argument.start, outcome.value) for outcome in executor.map(tasks)))


class Killer(Silent):
    """Removes a node as soon as the first shard of a stage is done."""

    def __init__(self, rays: Cluster, node: Any, stage: str) -> None:
        self._rays, self._node, self._when, self._stage = rays, node, stage, ""
        self.said: list[str] = []

    def stage(self, name: str, total: int, things: str = "records") -> None:  # noqa: ARG002
        self._stage = name

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:  # noqa: ARG002
        if self._stage == self._when and self._node is not None:
            self._rays.remove_node(self._node, allow_graceful=False)
            self._node = None

    def say(self, line: str) -> None:
        self.said.append(line)


def test_a_run_on_a_cluster_in_which_a_node_dies_leaves_the_bytes_of_a_local_one(
    rays: Cluster, add: Callable[..., Any], source: Path, local: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = Killer(rays, add(num_cpus=1), "observe")
    monkeypatch.chdir(tmp_path)  # the nodes are elsewhere
    result = tamis.clean(source, "out", settings=SMALL, cluster=rays.address, progress=killer)
    assert killer._node is None
    assert outputs(tmp_path / "out") == local
    assert balanced(result.manifest)
    told = result.manifest["timing"]["cluster"]
    assert len(told) == 3
    assert sum(node["tasks"] > 0 for node in told) >= 2
    assert "on a Ray cluster" in (tmp_path / "out" / "report.html").read_text()
    assert any("3 workers on 3 nodes" in line for line in killer.said)
    assert not (tmp_path / "out" / ".tamis" / "nodes").exists()


def test_records_that_end_their_worker_cost_themselves_and_an_actor_that_dies_costs_nothing(
    connected: str, shared: Shared, tmp_path: Path
) -> None:
    with RayExecutor(connected, shared) as executor:
        misdeeds = {1: "crash", 5: f"orphan {tmp_path / 'mark'}", 6: "print", 9: "exit"}
        lost = "decoder_crashed"
        assert run(executor, misdeeds) == {0: [0, lost, 2, 3], 4: [4, 5, 6, 7], 8: [8, lost, 10, 11]}
        assert (tmp_path / "mark").exists()
        assert sum(node["lost"] for node in executor.told()["cluster"]) == 1
        assert run(executor, {1: "hang"}, Limits(0.5, 1 << 40), shards=1) == {0: [0, "decoder_timeout", 2, 3]}
        frame = pl.DataFrame({"a": [1]})
        (outcome,) = executor.map([Task(hostile_tasks.held_by_the_parent, frame)])
        assert outcome.value[0].equals(frame)
        assert outcome.value[1] is False
        with pytest.raises(SourceError, match="no such thing"):
            list(executor.map([Task(hostile_tasks.fail, SourceError("no such thing"))]))
        with pytest.raises(WorkerError, match=r"^node .*ZeroDivisionError"):
            list(executor.map([Task(hostile_tasks.fail, ZeroDivisionError("x"))]))
        with pytest.raises(WorkerError, match="lost 3 times"):
            run(executor, {1: "orphan"}, shards=1)


def test_a_stop_finishes_what_is_in_hand_and_a_node_that_comes_is_used(
    connected: str, add: Callable[..., Any], shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.1)
    said: list[str] = []
    with RayExecutor(connected, shared, say=said.append) as executor:
        executor.setup({}, ROOMY)
        deadline = time.monotonic() + 60

        def spread() -> bool:
            return time.monotonic() > deadline or sum(node["tasks"] > 0 for node in executor.told()["cluster"]) == 3

        count = 0
        for count, _ in enumerate(executor.map([Task(hostile_tasks.told_by, ()) for _ in range(2_000)], stop=spread), 1):
            if count == 1:
                add(num_cpus=1)
        assert 3 <= count < 2_000
        assert executor.told()["jobs"] == 3
        assert time.monotonic() < deadline


def test_a_signal_ends_the_shards_in_hand_and_the_run_goes_on_without_the_cluster(
    rays: Cluster, source: Path, local: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = {key: json.dumps(value).replace('": ', '" = ') for key, value in SMALL.items()}  # as TOML
    words = command(source, out, "--cluster", "auto", jobs=0, settings=told)
    process = subprocess.Popen(words, env=os.environ | {"RAY_ADDRESS": rays.address}, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(out.glob(".tamis/evidence/*.parquet")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # for which Ray has a handler of its own
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "To go on: tamis clean" in said
    assert not (out / "manifest.json").exists()
    tamis.clean(source, out, settings=SMALL, jobs=1)
    assert outputs(out) == local


def test_each_worker_has_a_gpu_of_its_own_and_its_share_of_processors(
    rays: Cluster, connected: str, add: Callable[..., Any], shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "_ALONE_SECONDS", 0.5)
    node = add(num_cpus=5, num_gpus=2)
    names = ("CUDA_VISIBLE_DEVICES", "NUMBA_NUM_THREADS")
    with RayExecutor(connected, shared, backend=Backend("cuda", "the run's")) as executor:
        told: set[tuple[str, ...]] = set()
        for outcome in executor.map([Task(hostile_tasks.told_by, names)] * 500, stop=lambda: len(told) == 2):
            told.add((outcome.value[0], *outcome.value[1]))
        assert told == {("the run's", "0", "2"), ("the run's", "1", "2")}
        assert executor.told()["jobs"] == 4
        rays.remove_node(node, allow_graceful=False)
        with pytest.raises(WorkerError, match=r"no node of the cluster .* is left"):
            list(executor.map([Task(hostile_tasks.told_by, names)] * 12))
    with (
        pytest.raises(WorkerError, match=r"no node of the cluster .* has what one worker takes: 1 CPU, 1 GPU, 0 MB"),
        RayExecutor(connected, shared, backend=Backend("cuda", "the run's")),
    ):
        pass


def test_a_node_that_does_not_see_the_output_folder_is_told(
    connected: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Shared.prepare

    def elsewhere(self: Shared, node: str) -> None:
        whole(self, node)
        self._files(node)[0].unlink()  # as if it lay in a folder of the same name on another machine

    monkeypatch.setattr(Shared, "prepare", elsewhere)
    done = call("clean", source, "-o", tmp_path / "out", "--cluster", connected)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2  # one a node
    assert lines[0].startswith("tamis: node ")
    assert (
        f"{tmp_path / 'out' / '.tamis' / 'nodes'} cannot be read and written there (No such file or directory); the output folder must lie"
        in lines[0]
    )


def test_a_node_with_another_version_or_whose_files_are_not_seen_at_once_is_told(
    connected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = r"(node .*: numpy is .* there and 1.0 here; .*: pip install numpy==1.0\n?){2}"
    with pytest.raises(WorkerError, match=said), RayExecutor(connected, Shared(tmp_path, (), {"tamis": tamis.__version__, "numpy": "1.0"})):
        pass
    with RayExecutor(connected, Shared(tmp_path), jobs=1) as executor:
        assert executor.told()["jobs"] == 1
    whole = Shared.unseen

    def late(self: Shared, node: str) -> str:
        self._files(node)[1].unlink()  # as where NFS remembers that it was not there
        return whole(self, node)

    monkeypatch.setattr(Shared, "unseen", late)
    with pytest.raises(WorkerError, match="lookupcache=positive"), RayExecutor(connected, Shared(tmp_path / "nodes")):
        pass


def test_a_node_with_another_source_or_without_tamis_is_told(source: Path, tmp_path: Path) -> None:
    (seen,) = witnesses([str(source)])
    assert Path(seen[0]).parent == source
    assert list(witnesses([str(source / "none"), str(source / "*.png")])) == [next(witnesses([str(source / "one.png")]))]
    unlike = [(seen[0], seen[1], 5), (seen[0], 5, seen[2]), (f"{seen[0]}x", *seen[1:])]
    shared = Shared(tmp_path, (seen,), {"tamis": tamis.__version__})
    shared.prepare("a")
    said = {replace(shared, witnesses=(one,)).question()("a").partition(" is ")[2].partition(";")[0] for one in unlike}
    assert said == {"not there what it is here"}
    assert replace(shared, versions={"no-such-thing": "1.0"}).question()("a").startswith("no-such-thing is missing there and 1.0 here")
    assert shared.question()("a") == shared.unseen("a") == ""
    assert not list(tmp_path.iterdir())
    (tmp_path / "run" / ".tamis").mkdir(parents=True)
    (tmp_path / "run" / "a").touch()
    assert [Path(path) for path, _, _ in witnesses([str(tmp_path)])] == [tmp_path]  # the output of a run is no witness


def test_a_cluster_that_is_not_there_is_told(source: Path, tmp_path: Path, connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerError, match=f"has joined the Ray cluster at {connected} already"):
        join("127.0.0.1:1")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    done = call("check", source, "-o", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("tamis: no Ray cluster can be joined at '127.0.0.1:1'")
    assert "ray start --head" in done.stderr


def test_without_ray_one_line_tells_how_to_install_it(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cluster", "nodes"):
        monkeypatch.delitem(sys.modules, f"tamis.executors.{name}")
    monkeypatch.setitem(sys.modules, "ray", None)
    done = call("check", source, "-o", tmp_path / "out", "--cluster", "auto")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'tamis[ray]'" in done.stderr


def test_two_processes_of_one_number_make_files_of_different_names() -> None:
    code = "import os; os.getpid = lambda: 7; from tamis.names import PROCESS; print(PROCESS)"
    names = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert names[0] != names[1]
