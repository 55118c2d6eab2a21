"""From which size on CUDA is faster on this machine: each operation on both backends at a few sizes, by medians of warm runs.

python -m tamis_kernels.measure        # where the engine is installed: tamis doctor --measure

Nothing is timed whose result is not that of the CPU to the bit. `backend="auto"` decides by what is found; see `tamis_kernels.crossovers`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import get_num_threads, set_num_threads

from tamis_kernels import backend, crossovers
from tamis_kernels.cases import CASES
from tamis_kernels.compiled import simulated
from tamis_kernels.crossovers import Measurement, Timing, least, size
from tamis_kernels.errors import BackendUnavailableError, KernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tamis_kernels.cases import Case, Make

    Clock = Callable[[], float]

SIZES = (16_000, 128_000, 1_000_000, 8_000_000, 64_000_000)
"""Bytes handed over; the largest are about what a run hands over at a time, and what a batch on the device holds."""
FEW = (200, 800)
"""What the simulator gets through."""
RUNS = 5
ENOUGH = 1.0
"""Seconds of both after which no further run is made."""
WIDTH = 26
LONGEST = 0.25
"""Seconds of a run of both after which no larger inputs are tried: they would take some eight times as long."""


def measure(
    say: Callable[[str], None] = lambda _line: None,
    *,
    sizes: Sequence[int] = (),
    cases: Mapping[str, Make] = CASES,
    clock: Clock = perf_counter,
) -> Measurement:
    """Time operations on both backends; it takes a few minutes, many of them where kernels are compiled first.

    Parameters
    ----------
    say
        Is given a table, line by line.
    sizes
        Bytes handed over, rising; by default `SIZES`.
    cases
        What is timed.
    clock
        Seconds.

    Raises
    ------
    BackendUnavailableError
        CUDA cannot run here.
    """
    if problem := backend.cuda_problem():
        message = f"there is nothing to measure: CUDA cannot run here: {problem}"
        raise BackendUnavailableError(message)
    sizes = sizes or (FEW if simulated() else SIZES)
    here = crossovers.machine()
    say(", ".join(f"{name} {value}" for name, value in here.items()))
    say("MB/s on CUDA / in a call on the CPU / in calls on all its threads, by the bytes handed over; and from which on CUDA is faster")
    say(f"{'operation':<26}{'in a call':>10}{'in a run':>10}" + "".join(f"{size(one):>{WIDTH}}" for one in sizes))
    timings = {}
    for name, make in cases.items():
        timings[name], alike = _tried(make, sizes, clock)
        say(_row(name, timings[name], alike=alike))
    return Measurement(here, datetime.now(UTC).date().isoformat(), timings)


def keep(found: Measurement) -> Path:
    """Let `auto` decide by a measurement, now and in processes to come, and return the file that it is kept in.

    Raises
    ------
    KernelError
        The file cannot be written; or it was, but CUDA gave other bits than the CPU.
    """
    file = crossovers.save(found)
    backend.measured.cache_clear()
    if wrong := [name for name, timings in found.timings.items() if not timings]:
        message = f"CUDA gave other bits than the CPU in {', '.join(wrong)}: `auto` leaves these to the CPU. Please report this."
        raise KernelError(message)
    return file


def _tried(make: Make, sizes: Sequence[int], clock: Clock) -> tuple[tuple[Timing, ...], bool]:
    """Return what was timed at each size, and whether the results were alike; where they were not, nothing."""
    timings: list[Timing] = []
    for one in sizes:
        case = make(np.random.default_rng(one), one)
        if not equal(*(case.told(case.call(backend=where)) for where in ("cuda", "cpu"))):
            return (), False
        timings.append(_timing(case, clock))
        if timings[-1].cuda + timings[-1].cpu > LONGEST:
            break
    return tuple(timings), True


def _timing(case: Case, clock: Clock) -> Timing:
    """Time all in turns, so that a drift of the machine hits them alike."""
    threads = get_num_threads()
    on_cpu = partial(case.call, backend="cpu")
    runs: list[tuple[float, float, float]] = []
    with ThreadPoolExecutor(threads, initializer=set_num_threads, initargs=(1,)) as pool:

        def side_by_side() -> None:
            for done in [pool.submit(on_cpu) for _ in range(threads)]:
                done.result()

        while len(runs) < RUNS and sum(map(sum, runs)) < ENOUGH:
            cuda, cpu = (_seconds(call, clock) for call in (partial(case.call, backend="cuda"), on_cpu))
            runs.append((cuda, cpu, _seconds(side_by_side, clock) / threads))
    return Timing(case.work, *map(median, zip(*runs, strict=True)))


def _seconds(call: Callable[[], Any], clock: Clock) -> float:
    begun = clock()
    call()
    return max(clock() - begun, 1e-9)


def equal(found: Any, wanted: Any, tolerance: float = 0.0) -> bool:
    """Say whether results are the same to the bit, or, of arrays, as near as the tolerance."""
    if isinstance(found, tuple | list):
        return len(found) == len(wanted) and all(equal(*pair, tolerance) for pair in zip(found, wanted, strict=True))
    if isinstance(found, dict):
        return all(equal(found[name], wanted[name], tolerance) for name in wanted)
    if isinstance(found, np.ndarray):
        return bool(np.allclose(found, wanted, rtol=tolerance, atol=0) if tolerance else _same_bits(found, wanted))
    if is_dataclass(found):
        return all(equal(getattr(found, one.name), getattr(wanted, one.name), tolerance) for one in fields(found))
    return bool(found == wanted)


def _same_bits(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> bool:
    return found.dtype == wanted.dtype and found.shape == wanted.shape and found.tobytes() == wanted.tobytes()


def _row(name: str, timings: Sequence[Timing], *, alike: bool) -> str:
    if not alike:
        return f"{name:<26}{'never':>10}{'never':>10}  CUDA gives other bits than the CPU"
    found = [least(one.beside(run=run) for one in timings) for run in (False, True)]
    rates = (" / ".join(_rate(one.work / seconds) for seconds in (one.cuda, one.cpu, one.shared)) for one in timings)
    return (
        f"{name:<26}"
        + "".join(f"{'never' if one is None else size(one):>10}" for one in found)
        + "".join(f"  {rate:>{WIDTH - 2}}" for rate in rates)
    )


def _rate(bytes_a_second: float) -> str:
    return f"{bytes_a_second / 1e6:.3g}" if bytes_a_second < 1e9 else f"{bytes_a_second / 1e6:.0f}"


def auto() -> str:
    """Say what `auto` takes from now on."""
    told = backend.doctor()
    return f"backend auto in a call: {told['auto']}\nbackend auto in a run: {told['auto in a run']}"


def main() -> None:
    """Measure, print the table, and keep it for `auto`."""
    try:
        found = measure(_print)
        _print(f"kept in {keep(found)}")
        _print(auto())
    except KernelError as error:
        sys.exit(f"tamis: {error}")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
