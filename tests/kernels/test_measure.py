"""The measuring that `auto` goes by: every operation, at sizes that are what it hands over, and results before times."""

from __future__ import annotations

import ast
import math
from functools import partial
from itertools import accumulate, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import get_num_threads

from backends import at_most
from tamis_kernels import backend, crossovers, jpeg, measure, moments
from tamis_kernels.cases import CASES, Case
from tamis_kernels.crossovers import Measurement, Timing
from tamis_kernels.errors import BackendUnavailableError, KernelError
from tamis_kernels.random_jpeg import photo

if TYPE_CHECKING:
    from collections.abc import Callable

    MeasuredHere = Callable[[dict[str, float | None]], None]

HERE = {"GPU": "A", "driver": "1", "CPU": "B", "threads": "2", "tamis": "0"}
FOUND = Measurement(HERE, "2026-01-02", {"moments": (Timing(80, 0.5, 1.5, 1.5),)})


def stand_in(cuda: float, cpu: float, shared: float = 1.0) -> Callable[[], float]:
    """Return a clock by which a call takes so long on CUDA, on the CPU, and on a CPU of which each thread makes such calls."""
    return partial(next, accumulate(cycle((0.0, cuda, 0.0, cpu, 0.0, shared * get_num_threads()))))


def case_of(*, right: bool = True) -> Callable[..., Case]:
    """Return an operation that hands over what it is asked to, and whose CUDA is right or not."""
    return lambda _random, size: Case(size, lambda backend: np.array([backend == "cpu" or right]))


def test_sizes_are_tried_until_a_run_takes_long(measured_here: MeasuredHere) -> None:  # noqa: ARG001
    lines: list[str] = []
    for cuda, cpu, sizes in ((0.01, 0.02, (100, 800, 6400)), (0.2, 0.1, (100,)), (0.01, 0.3, (100,)), (3.0, 3.0, (100,))):
        found = measure.measure(lines.append, sizes=(100, 800, 6400), cases={"moments": case_of()}, clock=stand_in(cuda, cpu, 0.015))
        assert [one.work for one in found.timings["moments"]] == [*sizes]
        assert [(one.cuda, one.cpu, one.shared) for one in found.timings["moments"]] == [pytest.approx((cuda, cpu, 0.015))] * len(sizes)
        assert found.crossovers(run=False) == ({"moments": 100} if cuda < cpu else {})
        assert found.crossovers(run=True) == ({"moments": 100} if cuda < 0.015 else {})
        assert found.machine == HERE
    assert lines[0] == "GPU A, driver 1, CPU B, threads 2, tamis 0"
    assert " ".join(lines[2].split()) == "operation in a call in a run 100 B 800 B 6.4 kB"
    assert " ".join(lines[3].split()) == "moments 100 B 100 B 0.01 / 0.005 / 0.00667 0.08 / 0.04 / 0.0533 0.64 / 0.32 / 0.427"
    assert measure._rate(2.345e10) == "23450"
    assert lines[7].split()[:3] == ["moments", "never", "never"]


def test_where_cuda_gives_other_bits_nothing_is_timed_and_auto_leaves_it(measured_here: MeasuredHere) -> None:  # noqa: ARG001
    lines: list[str] = []
    cases = {"png": case_of(right=False), "moments": case_of()}
    found = measure.measure(lines.append, sizes=(100,), cases=cases, clock=stand_in(0.01, 0.02))
    assert found.timings["png"] == ()
    assert " ".join(lines[3].split()) == "png never never CUDA gives other bits than the CPU"
    with pytest.raises(KernelError, match=r"CUDA gave other bits than the CPU in png: .* Please report this"):
        measure.keep(found)
    assert [backend.resolve().on_gpu(name, 100) for name in ("png", "moments")] == [False, True]


def test_where_cuda_cannot_run_nothing_is_measured(
    measured_here: MeasuredHere,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend, "cuda_problem", lambda: f"no card; install it with: {backend.CUDA_INSTALL_LINE}")
    with pytest.raises(BackendUnavailableError, match=r"nothing to measure: CUDA cannot run here: no card; .*pip install 'tamis\[cuda\]'"):
        measure.measure()
    with pytest.raises(SystemExit, match="tamis: there is nothing to measure"):
        measure.main()
    assert not crossovers.path().exists()


def test_the_program_prints_keeps_and_tells(
    measured_here: MeasuredHere,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(measure, "measure", lambda say: say("a table") or FOUND)
    assert backend.resolve().name == "cpu"
    measure.main()
    assert capsys.readouterr().out.splitlines() == ["a table", f"kept in {crossovers.path()}", *measure.auto().splitlines()]
    assert backend.resolve().name == "cuda"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), -np.zeros(2)),
        (np.zeros(2), np.zeros(2, np.float32)),
        ([1, 2], [1]),
        ({"a": 1}, {"a": 2}),
        (moments.accumulate(np.ones(2), backend="cpu"), moments.accumulate(np.ones(3), backend="cpu")),
        (1.0, 2.0),
    ],
)
def test_results_are_alike_only_to_the_bit(one: Any, other: Any) -> None:
    assert not measure.equal(one, other)
    assert measure.equal(one, one)
    assert measure.equal((one, one), [one, one])
    assert measure.equal(np.array([math.nan]), np.array([math.nan]))
    assert measure.equal(np.ones(1), np.ones(1) + 1e-14, tolerance=1e-13)


def names_given() -> set[str]:
    """Return the operations that public functions ask `implementation` for."""
    found = set()
    for path in Path(backend.__file__).parent.glob("*/__init__.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "implementation":
                assert len(node.args) == 3, f"{path}: {ast.unparse(node)} does not tell how much work it hands over"
                assert isinstance(node.args[0], ast.Constant)
                found.add(str(node.args[0].value))
    return found


def test_every_operation_is_measured_but_those_that_auto_leaves_to_the_cpu() -> None:
    assert names_given() == CASES.keys() | set(backend.ROUNDED_OTHERWISE)
    assert [*CASES] == sorted(CASES)


class Noting(backend.Backend):
    """Runs all on the CPU, and notes how much is handed over to what."""

    noted: list[tuple[str, float]] = []  # noqa: RUF012 - a test reads it

    def on_gpu(self, operation: str, work: float = math.inf) -> bool:
        self.noted.append((operation, work))
        return False


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [90, 20_000])
def test_a_case_hands_over_what_it_says_and_about_what_it_is_asked_to(name: str, size: int) -> None:
    size = at_most(size, 2_000)
    case = CASES[name](np.random.default_rng(1), size)
    Noting.noted.clear()
    found = case.told(case.call(backend=Noting("cuda", "a test")))
    assert (name, case.work) in Noting.noted
    if size > 10_000:  # else it is one item, which may be larger
        assert case.work == pytest.approx(size, rel=0.6)
    assert measure.equal(found, case.told(case.call(backend="cpu")))


@pytest.mark.gpu
def test_all_is_measured_kept_and_gone_by(measured_here: MeasuredHere, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(measure, "RUNS", 1)
    lines: list[str] = []
    found = measure.measure(lines.append, sizes=(90,), clock=stand_in(0.01, 0.02))
    measure.keep(found)
    assert len(lines) == 3 + len(CASES)
    assert found.crossovers(run=False) == {name: CASES[name](np.random.default_rng(90), 90).work for name in CASES}
    assert backend.resolve().least == found.crossovers(run=False)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_auto_gives_the_bits_of_the_cpu_on_either_side_of_the_crossover(name: str, measured_here: MeasuredHere) -> None:
    small, *larger = (CASES[name](np.random.default_rng(2), size) for size in (30, 300, 2_100))
    large = next(case for case in larger if case.work > small.work)  # where an item is large, both may be one
    measured_here({name: large.work})
    assert [backend.resolve().on_gpu(name, case.work) for case in (small, large)] == [False, True]
    for case in (small, large):
        found, wanted = (case.told(case.call(backend=where)) for where in ("auto", "cpu"))
        assert measure.equal(found, wanted)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_a_photo_of_chance_is_a_whole_jpeg_as_other_decoders_read_it(height: int, width: int, seed: int) -> None:
    from io import BytesIO

    from PIL import Image

    data = photo(np.random.default_rng(seed), height, width)
    walk = jpeg.walk(data, backend="cpu")
    assert (walk.fault, walk.height, walk.width, walk.components, walk.junk) == ("none", height, width, 3, 0)
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        assert picture.size == (width, height)
