"""Tasks that kill, hang or bloat the worker that runs them; workers import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.executors import Context, Loss


def read_all(setup: dict[int, str], argument: range, lost: Mapping[int, Loss], context: Context) -> list[Any]:
    """Return one entry a record: its number, or the reason why it was given up."""
    seen: list[Any] = []
    for record in argument:
        if record in lost:
            seen.append(lost[record].reason)
            continue
        context.at(record)
        misdeed = setup.get(record, "")
        if misdeed == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif misdeed.startswith("once "):
            _die_the_first_time(Path(misdeed.removeprefix("once ")))
        elif misdeed.startswith("orphan"):
            _kill_the_parent(misdeed.removeprefix("orphan").strip())
        elif misdeed == "exit":
            os._exit(3)
        elif misdeed == "hang":
            time.sleep(60)
        elif misdeed == "bloat":
            hoard = bytearray(os.urandom(1 << 20) * 600)
            time.sleep(60)
            del hoard
        elif misdeed == "print":
            os.write(1, b"garbage on standard output\n" * 1000)
        seen.append(record)
    return seen


def _die_the_first_time(mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _kill_the_parent(mark: str) -> None:
    """Kill the process that keeps this worker, once where there is a place for a mark, and wait for the end."""
    if not (mark and Path(mark).exists()):
        Path(mark or os.devnull).touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


def fail(setup: object, argument: Exception, lost: object, context: object) -> None:  # noqa: ARG001
    """Raise what it was given."""
    raise argument


def held_by_the_parent(setup: object, argument: object, lost: object, context: object) -> tuple[object, bool]:  # noqa: ARG001
    """Return the argument, and whether the process that keeps this worker has imported what it is made of."""
    return argument, "polars" in Path(f"/proc/{os.getppid()}/maps").read_text()


def die_silently(setup: object, argument: object, lost: object, context: object) -> None:  # noqa: ARG001
    """Die before any record is read."""
    os._exit(9)


TOLD = ("CUDA_VISIBLE_DEVICES", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def told_by(setup: Any, argument: Sequence[str], lost: Mapping[int, Loss], context: Context) -> tuple[str, list[str | None]]:  # noqa: ARG001
    """Return which backend `auto` is, and variables of the worker's environment."""
    from tamis_kernels.backend import resolve

    time.sleep(0.2)  # so that one worker does not do it all
    return resolve().reason, [os.environ.get(name) for name in argument]


def slow_first(argument: tuple[int, Path | None]) -> int:
    """Return a number, the first ones last; die the first time where there is a place for a mark."""
    place, mark = argument
    time.sleep(0.3 if place == 0 else 0)
    if mark is not None:
        _die_the_first_time(mark)
    return place


def process(setup: object, argument: object, lost: object, context: object) -> int:  # noqa: ARG001
    """Return which process it is."""
    return os.getpid()


def compile_anew(setup: None, argument: int, lost: Mapping[int, Loss], context: Context) -> int:  # noqa: ARG001 - the signature of tasks
    """Compile a function of no file, which no cache has, and return one more."""
    made: dict[str, Any] = {}
    exec("def one_more(value):\n    return value + 1", made)
    kernel: Any = njit(cache=True)(made["one_more"])
    return int(kernel(argument))


def compile_long(setup: None, argument: bool, lost: Mapping[int, Loss], context: Context) -> dict[int, str]:  # noqa: ARG001
    """Compile for seconds while a record is read, then hang if wanted; return what was lost."""
    if not lost:
        made: dict[str, Any] = {}
        exec("def long(value):\n" + "    value = value * 3 + 1\n" * 800 + "    return value", made)
        context.at(0)
        kernel: Any = njit(cache=True)(made["long"])
        kernel(1)
        time.sleep(3600 if argument else 0)
    return {record: loss.reason for record, loss in lost.items()}
