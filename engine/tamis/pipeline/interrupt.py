"""Ctrl-C, once: finish what is in hand. Twice: stop now."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType

    from tamis.progress import Progress


class Interrupt:
    """Catches SIGINT and SIGTERM while a run is on; only the main thread can, elsewhere it does nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before: dict[signal.Signals, Any] = {}
        self.requested = False

    def __enter__(self) -> Self:
        """Take over the signals."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._progress.say("Stopping: finishing the shards in hand. Press Ctrl-C again to stop at once.")

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.requested
