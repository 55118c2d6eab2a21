"""Progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from tamis.names import counted

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LINE_EVERY_SECONDS = 5.0
_SOON = 50  # the share of a stage, one in so many, behind which the time left is told


@runtime_checkable
class Progress(Protocol):
    """What the pipeline tells while it works."""

    def stage(self, name: str, total: int, things: str = "records") -> None:
        """Begin a stage of `total` records, or other things."""

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:
        """Count records (and bytes) done, and how many of them were rejected."""

    def say(self, line: str) -> None:
        """Tell something worth a line."""

    def close(self) -> None:
        """End the last stage."""


class _Unheeded:
    """Standard error, but what it does not take is dropped: no run fails because nobody can be told how far it is."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Silent:
    """Says nothing."""

    def stage(self, name: str, total: int, things: str = "records") -> None:
        """Ignore."""

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:
        """Ignore."""

    def say(self, line: str) -> None:
        """Ignore."""

    def close(self) -> None:
        """Ignore."""


@dataclass(slots=True)
class _Counts:
    name: str = ""
    total: int = 0
    things: str = "records"
    done: int = 0
    size: int = 0
    rejected: int = 0
    start: float = 0.0
    first: tuple[float, int] | None = None  # when the first were done, and how many were

    def add(self, records: int, size: int, rejected: int) -> None:
        self.done += records
        if self.first is None:
            self.first = time.monotonic(), self.done
        self.size += size
        self.rejected += rejected

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.start, 1e-9)

    def rates(self) -> str:
        megabytes = f", {_digits(self.size / 1e6 / self.seconds)} MB/s" if self.size else ""
        rejected = f", {self.rejected:,} rejected" if self.rejected else ""
        return f"{_digits(self.done / self.seconds)} {self.things}/s{megabytes}{rejected}"

    def left(self) -> str:
        """Say how many seconds are left, by the pace since the first were done: kernels may be compiled before. Nothing at the start."""
        since, before = self.first or (self.start, 0)
        if _SOON * self.done < self.total or self.done == before:
            return ""
        return f", {(self.total - self.done) * (time.monotonic() - since) / (self.done - before):,.0f} s left"


def _digits(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


class Lines:
    """Plain lines on standard error, one every few seconds."""

    def __init__(self) -> None:
        self._counts = _Counts()
        self._last = 0.0
        self._stream = _Unheeded()

    def stage(self, name: str, total: int, things: str = "records") -> None:
        """Begin a stage."""
        self.close()
        self._counts = _Counts(name, total, things, start=time.monotonic())
        self._last = time.monotonic()

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:
        """Count, and print when the last line is old."""
        self._counts.add(records, size, rejected)
        if time.monotonic() - self._last >= _LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            counts = self._counts
            self.say(f"{counts.name}: {counts.done:,} of {counted(counts.total, counts.things)}, {counts.rates()}{counts.left()}")

    def say(self, line: str) -> None:
        """Print a line."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Print the stage's last line."""
        if self._counts.name:
            counts = self._counts
            self.say(f"{counts.name}: {counted(counts.done, counts.things)} in {counts.seconds:.1f} s, {counts.rates()}")
        self._counts = _Counts()


class Bars:
    """A live bar per stage on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._console = Console(file=cast("IO[str]", _Unheeded()))
        self._bars: RichProgress = RichProgress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._counts = _Counts()
        self._bars.start()

    def stage(self, name: str, total: int, things: str = "records") -> None:
        """Begin a stage."""
        self._finish()
        self._counts = _Counts(name, total, things, start=time.monotonic())
        self._task = self._bars.add_task(name, total=total, rates="")

    def advance(self, records: int, *, size: int = 0, rejected: int = 0) -> None:
        """Move the bar."""
        self._counts.add(records, size, rejected)
        if self._task is not None:
            self._bars.update(self._task, advance=records, rates=self._counts.rates())

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._finish()
        self._bars.stop()

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=self._counts.total)


def make_progress(*, quiet: bool) -> Progress:
    """Return the progress that fits where standard error goes."""
    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
