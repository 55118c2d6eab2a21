"""From which size on CUDA is faster than the CPU: as `tamis_kernels.measure` found it on this machine and left it in the user's cache.

The size depends on the GPU, the link, the CPU and its threads, so no figure comes with the package. A measurement counts on the machine
that it was made on, as that machine was; another one, or a file that cannot be read, is left aside and told in one line.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
from dataclasses import asdict, astuple, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from numba import config

from tamis_kernels.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REMEDY = "run `tamis doctor --measure`, or where the engine is not installed `python -m tamis_kernels.measure`"
NOTHING = f"nothing was measured on this machine; {REMEDY}"
MARGIN = 1.2
"""How many times as fast CUDA must be: less is within the noise of a busy machine, and no reason to move a run."""
MOST_KEPT = 16
"""Measurements that a file holds, the newest: a home may be that of several machines."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What the median run of an operation took.

    Attributes
    ----------
    work
        Bytes handed over.
    cuda, cpu
        Seconds of a call on either side.
    shared
        Seconds a call while each thread of the CPU makes such calls by itself, as the workers of a run do: many operations have one thread.
    """

    work: float
    cuda: float
    cpu: float
    shared: float

    def beside(self, *, run: bool) -> tuple[float, float, float]:
        """Return the work, the seconds of CUDA with the margin, and those of a call on the CPU, or of one on a CPU in a run."""
        return self.work, MARGIN * self.cuda, min(self.cpu, self.shared) if run else self.cpu


def least(tried: Iterable[tuple[float, float, float]]) -> float | None:
    """Return the smallest work from which on CUDA was faster, of all that was tried; None where it never was.

    Parameters
    ----------
    tried
        Work, and seconds on CUDA and on the CPU.
    """
    tried = [*tried]
    lost = max((work for work, cuda, cpu in tried if cuda >= cpu), default=-math.inf)
    return min((work for work, _, _ in tried if work > lost), default=None)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured on one machine.

    Attributes
    ----------
    machine
        What the figures hang on; see `machine`.
    day
        When it was measured, as 2026-11-27.
    timings
        The sizes that each operation was tried with; none where CUDA gave other bits.
    """

    machine: Mapping[str, str]
    day: str
    timings: Mapping[str, tuple[Timing, ...]]

    def crossovers(self, *, run: bool) -> dict[str, float]:
        """Return the bytes from which on CUDA is faster, of the operations that it is faster with: in a call alone, or in a run."""
        found = {name: least(one.beside(run=run) for one in timings) for name, timings in self.timings.items()}
        return {name: size for name, size in found.items() if size is not None}

    def to_json(self) -> dict[str, Any]:
        """Return what a file holds of it."""
        return {**asdict(self), "timings": {name: [*map(astuple, timings)] for name, timings in self.timings.items()}}

    @classmethod
    def from_json(cls, told: Any) -> Self:
        """Return what a file tells.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            The file tells something else.
        """
        timings = {str(name): tuple(Timing(*map(_positive, one)) for one in some) for name, some in told["timings"].items()}
        return cls({str(name): str(value) for name, value in told["machine"].items()}, str(told["day"]), timings)


def _positive(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
        message = f"{number!r} is no number above 0"
        raise ValueError(message)
    return number


def path() -> Path:
    """Return the file of measurements, whether or not it is there."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))  # which is to be ignored where it is relative
    return (given if given.is_absolute() else Path("~/.cache").expanduser()) / "tamis" / "crossovers.json"


def machine() -> dict[str, str]:
    """Return what the figures hang on: GPU, driver, CPU, the threads that Numba may use, and the version of tamis."""
    gpu, driver = _device()
    return {"GPU": gpu, "driver": driver, "CPU": processor(), "threads": str(config.NUMBA_NUM_THREADS), "tamis": _version()}  # type: ignore[attr-defined]


def _device() -> tuple[str, str]:
    if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        return "Numba's simulator", "none"
    runtime = importlib.import_module("cupy").cuda.runtime
    return runtime.getDeviceProperties(0)["name"].decode(), f"for CUDA {runtime.driverGetVersion() / 1000:.2f}"


def processor() -> str:
    """Return the name of the CPU."""
    return cpuinfo("model name") or platform.processor() or platform.machine() or "unknown"


def cpuinfo(key: str) -> str:
    """Return what Linux tells of the first core under a key; nothing elsewhere."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _version() -> str:
    try:
        return metadata.version("tamis")
    except metadata.PackageNotFoundError:
        return "not installed"


def load() -> Measurement | str:
    """Return what was measured on this machine, or a line that says why nothing counts here."""
    try:
        kept = _kept()
    except FileNotFoundError:
        return NOTHING
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:  # RuntimeError: no home, or nested too deep
        return f"what was measured cannot be read and is left aside ({_place()}: {type(error).__name__}: {error}); {REMEDY}"
    here = machine()
    for one in reversed(kept):
        if one.machine == here:
            return one
    return f"{_other(kept[-1], here)}; {REMEDY}" if kept else NOTHING


def _other(one: Measurement, here: Mapping[str, str]) -> str:
    """Say what sets a measurement apart from this machine."""
    there = {name: one.machine.get(name, "unknown") for name in here}
    apart = ", ".join(f"{name} {there[name]}, here {value}" for name, value in here.items() if there[name] != value)
    return f"what was measured on {one.day} is left aside, for the machine was another one ({apart})"


def _kept() -> list[Measurement]:
    return [Measurement.from_json(one) for one in json.loads(path().read_text(encoding="utf-8"))["measurements"]]


def _place() -> str:
    try:
        return str(path())
    except RuntimeError:
        return "there is no home"


def save(measured: Measurement) -> Path:
    """Keep a measurement in place of an earlier one of the same machine, and return the file.

    Raises
    ------
    KernelError
        The file cannot be written.
    """
    try:
        kept = [one for one in _kept() if one.machine != measured.machine]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        kept = []
    told = [one.to_json() for one in (*kept, measured)[-MOST_KEPT:]]
    try:
        file = path()
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"measurements": told}), encoding="utf-8")
        unfinished.replace(file)
    except (OSError, RuntimeError) as error:
        message = f"what was measured cannot be kept in {_place()}: {error}. Set XDG_CACHE_HOME to a folder that can be written to."
        raise KernelError(message) from error
    return file


def size(work: float) -> str:
    """Return bytes as a person reads them."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if work >= 0.9995 * one:  # which three digits round to it
            return f"{work / one:.3g} {unit}"
    return f"{work:.3g} B"
