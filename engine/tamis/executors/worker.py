"""The worker process: takes pickled tasks from its standard input, answers on its standard output.

It is started as `python -m tamis.executors.worker MODULE...`, so that a user's script needs no `if __name__ == "__main__"`, and imports the
modules before it looks for a task. It belongs to a session of its own (Ctrl-C reaches only the parent, which lets it finish) and leaves at
once when the parent is gone.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import struct
import sys
import threading
import traceback
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from tamis.executors.task import Setup

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<Q")


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage while much is imported, nor ever among what was: that takes a seventh of the time of the imports."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def send(stream: BinaryIO, message: Any) -> None:
    """Write one length-prefixed pickle."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(HEADER.pack(len(body)) + body)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one length-prefixed pickle; EOFError when the other side is gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    (length,) = HEADER.unpack(header)
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return pickle.loads(body)  # both ends are ours, over a private pipe


class _Reporter:
    """Tells the parent where the task stands."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def at(self, record: int) -> None:
        send(self._stream, ("at", record))

    def compiling(self, kept: bool) -> None:
        send(self._stream, ("compiling", kept))

    def compiled(self) -> None:
        send(self._stream, ("compiled", None))


def _listen(stream: BinaryIO, inbox: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            inbox.put(receive(stream))
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone: files are written under temporary names, nothing can be left half done
    except Exception:
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    """Serve tasks until the parent closes the pipe."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a C library prints must not enter the protocol
    with uncollected():  # before there is a second thread, which would import the modules too
        from tamis_kernels.backend import give_back, running  # not above: the parent imports this file before it starts a worker
        from tamis_kernels.compiled import told_of_compiling

        for module in sys.argv[1:]:
            import_module(module)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    setup = Setup(None)
    reporter = _Reporter(answers)
    while True:
        task = inbox.get()
        if isinstance(task, Setup):
            setup = task
            continue
        try:
            with running(setup.backend) if setup.backend else nullcontext(), told_of_compiling(reporter.compiling, reporter.compiled):
                answer = ("done", task.function(setup.value, task.argument, task.lost, reporter))
        except Exception as error:
            answer = ("failed", (_portable(error), traceback.format_exc()))
        give_back()  # the first process works on the same GPU between the stages
        send(answers, answer)


def _portable(error: Exception) -> Exception:
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
