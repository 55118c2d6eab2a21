"""What `auto` decides by: sizes measured on this machine, kept in the user's cache, and left aside where they are not this machine's."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from tamis_kernels import backend, crossovers
from tamis_kernels.crossovers import Measurement, Timing, least
from tamis_kernels.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    MeasuredHere = Callable[[dict[str, float | None]], None]

HERE = {"GPU": "A", "driver": "1", "CPU": "B", "threads": "2", "tamis": "0"}
TRIED = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 3), st.integers(1, 3)), max_size=8)
TIMINGS = st.lists(st.builds(Timing, st.integers(1, 50), *[st.integers(1, 3)] * 3), max_size=8)
FOUND = Measurement(HERE, "2026-01-02", {"moments": (Timing(10, 2.0, 1.0, 1.0), Timing(80, 0.5, 1.5, 0.4)), "png": ()})


@pytest.mark.parametrize(
    ("tried", "wanted"),
    [
        ([], None),
        ([(10, 2, 1), (80, 2, 1)], None),
        ([(10, 2, 1), (80, 1, 2)], 80),
        ([(80, 1, 2), (10, 1, 2)], 10),
        ([(10, 1, 2), (80, 2, 1), (640, 1, 2)], 640),
        ([(10, 1, 2), (80, 1, 1)], None),
    ],
    ids=["nothing tried", "never", "from the larger", "always", "lost between", "a tie is lost"],
)
def test_cuda_is_faster_from_the_smallest_size_on_above_which_it_never_loses(tried: list[tuple[int, int, int]], wanted: int | None) -> None:
    assert least(tried) == wanted


@pytest.mark.parametrize(("cuda", "faster"), [(10.0, False), (8.4, False), (8.3, True)])
def test_cuda_must_be_faster_by_more_than_noise(cuda: float, faster: bool) -> None:
    found = Measurement(HERE, "2026-01-02", {"moments": (Timing(80, cuda, 10.0, 10.0),)})
    assert (found.crossovers(run=False), found.crossovers(run=True)) == (({"moments": 80},) * 2 if faster else ({}, {}))


@given(TRIED)
def test_above_the_crossover_cuda_never_lost_and_right_below_it_did(tried: list[tuple[int, int, int]]) -> None:
    first = least(tried)
    assert all(cuda < cpu for work, cuda, cpu in tried if first is not None and work >= first)
    below = [one for one in tried if first is None or one[0] < first]
    assert not below or any(cuda >= cpu for work, cuda, cpu in below if work == max(below)[0])


@given(TIMINGS, st.integers(0, 60), st.integers(0, 60))
def test_more_work_never_goes_back_to_the_cpu(timings: list[Timing], one: int, other: int) -> None:
    found = Measurement(HERE, "2026-01-02", {"moments": tuple(timings)})
    call, run = (backend.Backend("cuda", "a test", least=found.crossovers(run=run)) for run in (False, True))
    for chosen in (call, run):
        assert chosen.on_gpu("moments", min(one, other)) <= chosen.on_gpu("moments", max(one, other)) <= chosen.on_gpu("moments")
    assert run.on_gpu("moments", one) <= call.on_gpu("moments", one)


def test_without_a_measurement_auto_is_the_cpu_and_says_what_to_do(measured_here: MeasuredHere) -> None:  # noqa: ARG001 - an empty cache
    assert backend.resolve().name == backend.resolve_for_run().name == "cpu"
    assert backend.resolve().reason == f"auto: {crossovers.NOTHING}"
    assert "nothing was measured on this machine; run `tamis doctor --measure`" in backend.doctor()["auto"]


def test_where_auto_is_the_cpu_no_cuda_module_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, numpy, tamis_kernels.measure; from tamis_kernels import moments; "
        "moments.accumulate(numpy.ones(3)); moments.accumulate(numpy.ones(3), backend='auto'); "
        "sys.exit(any(name.startswith('tamis_kernels.') and ('cuda' in name or 'device' in name) for name in sys.modules))"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_auto_decides_by_the_bytes_that_are_handed_over(measured_here: MeasuredHere) -> None:
    measured_here({"moments": 8000, "moments.accumulate_fixed": 80, "png": None, "ranks": 1})
    chosen = backend.resolve()
    sizes = (0, 7999, 8000, 8001, 10**12)
    assert [chosen.on_gpu("moments", size) for size in sizes] == [False, False, True, True, True]
    assert [chosen.on_gpu("moments.accumulate_fixed", size) for size in (79, 80)] == [False, True]
    unmeasured = ("png", "ranks", "yeo_johnson", "xxh3", "moments.other")
    assert not any(chosen.on_gpu(name, 10**12) or chosen.on_gpu(name) for name in unmeasured)
    assert chosen.on_cpu == ("png", "ranks", "yeo_johnson")
    assert chosen.reason == (
        "auto: as measured on this machine on 2026-01-02, CUDA is faster than a call on the CPU in moments from 8 kB on, "
        "moments.accumulate_fixed from 80 B on; all else runs on the CPU"
    )
    assert backend.implementation("moments", "auto", 7999).__name__ == "tamis_kernels.moments.cpu"
    assert backend.implementation("png", "auto").__name__ == "tamis_kernels.png.cpu"
    assert backend.doctor()["auto"] == f"cuda ({chosen.reason})"
    assert backend.resolve("cuda") == backend.Backend("cuda", "cuda was asked for")
    assert backend.resolve("cuda").on_gpu("png", 0)
    assert backend.resolve("cpu").name == "cpu"


@pytest.mark.gpu
def test_the_module_is_that_of_the_side_that_was_faster(measured_here: MeasuredHere) -> None:
    measured_here({"moments": 8000, "png": 10})
    assert backend.implementation("moments", "auto", 8000).__name__ == "tamis_kernels.moments.cuda"
    assert backend.implementation("moments", "auto", 7999).__name__ == "tamis_kernels.moments.cpu"
    assert backend.implementation("png", "auto").__name__ == "tamis_kernels.png.cuda"


def test_a_run_takes_cuda_where_one_operation_wins_and_says_which(measured_here: MeasuredHere, monkeypatch: pytest.MonkeyPatch) -> None:
    measured_here({"moments": 8000, "png": None})
    chosen = backend.resolve_for_run("auto", 10**9)
    assert (chosen.name, chosen.memory, chosen.least) == ("cuda", 10**9, {"moments": 8000})
    assert chosen.on_cpu == ("png", "ranks", "yeo_johnson")
    assert "CUDA is faster than all threads of the CPU in moments from 8 kB on; all else runs on the CPU" in chosen.reason
    with backend.running(chosen):
        assert backend.resolve() is backend.resolve("cuda") is chosen
    monkeypatch.setattr(backend, "without_cuda", lambda: ("moments",))
    backend.measured.cache_clear()
    assert backend.resolve_for_run().name == "cpu"


def test_a_run_compares_with_all_threads_of_the_cpu(measured_here: MeasuredHere) -> None:  # noqa: ARG001
    crossovers.save(FOUND)
    assert backend.resolve().on_gpu("moments", 80)
    assert backend.resolve_for_run().reason.endswith("CUDA is no faster than all threads of the CPU in all operations")
    told = backend.doctor()
    assert [told[name].split()[0] for name in ("auto", "auto in a run")] == ["cuda", "cpu"]


def test_where_nothing_wins_a_run_is_the_cpus(measured_here: MeasuredHere) -> None:
    measured_here({"moments": None, "png": None, "yeo_johnson": 1})
    assert backend.resolve_for_run() == backend.Backend(
        "cpu", "auto: as measured on this machine on 2026-01-02, CUDA is no faster than all threads of the CPU in all operations"
    )


def test_arrays_stay_on_the_device_only_for_operations_that_take_them_there(
    measured_here: MeasuredHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_here({"moments": 80, "png": None})
    kept: list[int] = []
    real = importlib.import_module

    def imported(name: str) -> Any:
        return SimpleNamespace(resident=lambda *arrays: kept.append(len(arrays))) if name.endswith(".device") else real(name)

    monkeypatch.setattr(importlib, "import_module", imported)
    ten = np.ones(10)
    for arrays, operations in (
        ((ten,), ("moments",)),
        ((ten[:5], ten[:5]), ("png", "moments")),
        ((ten[:9],), ("moments",)),
        ((ten,), ("png",)),
    ):
        backend.resident("auto", *arrays, operations=operations)
    assert kept == [1, 2]


def test_a_file_gives_back_what_was_measured(measured_here: MeasuredHere) -> None:  # noqa: ARG001
    assert crossovers.load() == crossovers.NOTHING
    file = crossovers.save(FOUND)
    assert crossovers.load() == FOUND
    assert (FOUND.crossovers(run=False), FOUND.crossovers(run=True)) == ({"moments": 80}, {})
    later = Measurement(HERE, "2026-01-03", {"moments": (Timing(10, 1.0, 2.0, 2.0),)})
    crossovers.save(later)
    assert crossovers.load() == later
    assert len(json.loads(file.read_text())["measurements"]) == 1
    assert [*file.parent.iterdir()] == [file]


def test_machines_that_share_a_home_keep_their_own(measured_here: MeasuredHere, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    crossovers.save(FOUND)
    there = {**HERE, "GPU": "C"}
    for number in range(crossovers.MOST_KEPT - 1):
        crossovers.save(Measurement({**there, "threads": str(number)}, "2026-01-04", {}))
    assert crossovers.load() == FOUND
    crossovers.save(Measurement(there | {"threads": "many"}, "2026-01-05", {}))
    told = crossovers.load()
    assert isinstance(told, str)
    assert "what was measured on 2026-01-05 is left aside, for the machine was another one (GPU C, here A, threads many, here 2);" in told
    monkeypatch.setattr(crossovers, "machine", lambda: there | {"threads": "3"})
    assert isinstance(crossovers.load(), Measurement)


@pytest.mark.parametrize("name", HERE)
def test_a_machine_that_has_changed_is_another_one(measured_here: MeasuredHere, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    measured_here({"moments": 10})
    assert backend.resolve().name == "cuda"
    monkeypatch.setattr(crossovers, "machine", lambda: HERE | {name: "new"})
    backend.measured.cache_clear()
    chosen = backend.resolve_for_run()
    assert (chosen.name, f"({name} {HERE[name]}, here new)" in chosen.reason) == ("cpu", True)
    assert crossovers.REMEDY in chosen.reason


def told(**changes: Any) -> bytes:
    """Return a file of one measurement with changes."""
    return json.dumps({"measurements": [FOUND.to_json() | changes]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b"\xff\xfe", b"null", b'{"measurements": 3}', b'{"measurements": [3]}', b'{"measurements": [{}]}',
        b"[" * 100_000, told(machine=3), told(timings=[]), told(timings={"moments": 3}), told(timings={"moments": [3]}),
        told(timings={"moments": [[1, 2, 3]]}), told(timings={"moments": [[1, 2, 3, -1]]}), told(timings={"moments": [[1, 2, 3, "4"]]}),
        told(timings={"moments": [[1, 2, 3, math.nan]]}), told(timings={"moments": [[math.inf, 2, 3, 4]]}),
        told(timings={"moments": [[True, 2, 3, 4]]}),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_left_aside_with_a_line(measured_here: MeasuredHere, content: bytes) -> None:
    file = crossovers.path()
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    chosen = backend.resolve_for_run()
    assert (chosen.name, "\n" in chosen.reason) == ("cpu", False)
    assert f"auto: what was measured cannot be read and is left aside ({file}: " in chosen.reason
    measured_here({"moments": 10})
    assert backend.resolve().name == "cuda"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["machine", "day", "timings", "GPU"]), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_file_tells_is_read_or_refused(content: Any) -> None:
    try:
        found = Measurement.from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_cache_that_is_no_folder_is_told(measured_here: MeasuredHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(KernelError, match=r"cannot be kept in .*/file/tamis/crossovers.json: .* Set XDG_CACHE_HOME to a folder"):
        crossovers.save(FOUND)
    assert "cannot be read and is left aside" in backend.resolve().reason


def test_the_file_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given_path, folder in ((str(tmp_path / "here"), tmp_path / "here"), ("relative", tmp_path / ".cache"), ("", tmp_path / ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", given_path)
        assert crossovers.path() == folder / "tamis" / "crossovers.json"


def test_without_a_home_nothing_was_measured_and_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_path: Path) -> Path:
        message = "Could not determine home directory."
        raise RuntimeError(message)

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert "(there is no home: RuntimeError: Could not determine home directory.)" in str(crossovers.load())
    with pytest.raises(KernelError, match="cannot be kept in there is no home"):
        crossovers.save(FOUND)


def nothing_installed(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_a_machine_is_told_by_its_gpu_driver_cpu_threads_and_tamis(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(getDeviceProperties=lambda _number: {"name": b"NVIDIA H100"}, driverGetVersion=lambda: 13010)
    monkeypatch.setattr(importlib, "import_module", lambda _name: SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(config, "ENABLE_CUDASIM", False)
    found = crossovers.machine()
    assert [*found] == [*HERE]
    assert (found["GPU"], found["driver"]) == ("NVIDIA H100", "for CUDA 13.01")
    assert all(found.values())
    monkeypatch.setattr(config, "ENABLE_CUDASIM", True)
    assert crossovers.machine()["GPU"] == "Numba's simulator"
    monkeypatch.setattr(metadata, "version", nothing_installed)
    assert crossovers.machine()["tamis"] == "not installed"


@pytest.mark.parametrize(
    ("work", "wanted"), [(0, "0 B"), (999, "999 B"), (999_996, "1 MB"), (16_000, "16 kB"), (1_234_567, "1.23 MB"), (8e9, "8 GB")]
)
def test_sizes_are_told_in_bytes(work: float, wanted: str) -> None:
    assert crossovers.size(work) == wanted
