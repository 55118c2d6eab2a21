"""What CUDA kernels share: arrays on the device, and launches. Only modules named `cuda…` import it.

Arrays are CuPy's, whose pool hands out memory without asking the driver each time; Numba's kernels take them as they are. In Numba's
simulator, which has no device, NumPy's arrays stand for them.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import cache, partial
from itertools import cycle, pairwise
from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, get_num_threads, set_num_threads

from tamis_kernels.arrays import edges
from tamis_kernels.compiled import simulated
from tamis_kernels.cuda_compiled import keep
from tamis_kernels.link import copy_to_device, held, pinned, resident, sent, to_device, to_host, to_hosts, xp
from tamis_kernels.threads import copied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tamis_kernels.types import Int64s

THREADS = 256
"""Threads a block, where a thread has an item of its own and nothing is shared."""
FLIGHTS = 3
"""Batches under way at a time: one on its way in, one at work, one on its way back."""
BATCH = 1 << 26
"""Bytes of the device that a batch takes at most: a millisecond of the link, beside which a launch is little."""

__all__ = [
    "bound",
    "copy_to_device",
    "give_back",
    "in_batches",
    "in_sized_batches",
    "launch",
    "launch_blocks",
    "lesser",
    "mapped",
    "on_device",
    "resident",
    "room",
    "sent",
    "side_by_side",
    "streamed",
    "to_device",
    "to_host",
    "to_hosts",
    "uniform",
    "xp",
]


def on_device(array: Any) -> Any:
    """Return what is on the device as it is, and a copy of what is not; to be read alone, since the simulator copies nothing."""
    return xp.asarray(array)


@cuda.jit(device=True)
def lesser(one: float, other: float) -> float:
    """Return the lesser of two numbers, the first where the other is NaN; `min` has more instructions, for the sake of NaN."""
    return other if other < one else one


_bound: list[int] = [0]


def bound(size: int | None) -> None:
    """Let arrays take at most so many bytes of the device, of all where None: what is beyond is a MemoryError, which halves a batch."""
    if size != (_bound[0] or None):
        _bound[0] = size or 0
        if not simulated():
            xp.get_default_memory_pool().set_limit(size=_bound[0])


def room() -> int:
    """Return how many bytes of the device batches may take: nine tenths of what is free, and no more than the bound leaves."""
    if simulated():
        return _bound[0] or 1 << 30
    pool = xp.get_default_memory_pool()
    free = xp.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
    return int(min(free * 9 // 10, (_bound[0] or 1 << 62) - pool.used_bytes()))


def give_back() -> None:
    """Give memory that is free, but held for later, back to the device, where another process may want it."""
    if not simulated():
        xp.get_default_memory_pool().free_all_blocks()


def launch(kernel: Any, items: int, *arguments: Any) -> None:
    """Run a kernel on CuPy's stream with a thread for each item; none where there is no item, which CUDA would refuse."""
    if items:
        launch_blocks(kernel, -(-items // THREADS), THREADS, *arguments)


def launch_blocks(kernel: Any, blocks: int | tuple[int, int], threads: int, *arguments: Any, shared: int = 0) -> None:
    """Run a kernel on CuPy's stream with so many blocks, each with some bytes of shared memory."""
    if simulated():
        kernel[blocks, threads, 0, shared](*arguments)
    else:  # pragma: no cover
        stream = xp.cuda.get_current_stream().ptr
        keep(kernel)
        kernel[blocks, threads, cuda.external_stream(stream) if stream else 0, shared](*map(_unsynchronised, arguments))


def _unsynchronised(argument: Any) -> Any:  # pragma: no cover - the simulator has no streams
    """Return an array as Numba takes it without waiting for the stream that it was made on: it is the kernel's own, or one before it."""
    if isinstance(argument, tuple):
        parts = map(_unsynchronised, argument)
        return type(argument)(*parts) if hasattr(argument, "_fields") else tuple(parts)
    return cuda.as_cuda_array(argument, sync=False) if hasattr(argument, "__cuda_array_interface__") else argument


def in_batches(work: Callable[[int, int], None], items: int, most: int) -> None:
    """Call `work(first, last)` for batches of at most so many items, in halves where the device has no memory for one.

    Raises
    ------
    MemoryError
        There is none for a single item; CuPy's own error is one of these.
    """
    _halving(work, [*range(0, items, most), items])


def in_sized_batches(work: Callable[[int, int], None], sizes: Sequence[int] | Int64s) -> None:
    """Do what `in_batches` does, for batches of as many items as there is `room` for, or of one; `sizes` are those of `streamed`."""
    _halving(work, edges(sizes, room()))


def _halving(work: Callable[[int, int], None], edges: Sequence[int]) -> None:
    waiting = list(pairwise(edges))[::-1]
    while waiting:
        first, last = waiting.pop()
        try:
            work(first, last)
        except MemoryError:
            middle = (first + last) // 2
            if middle == first:
                raise
            waiting += [(middle, last), (first, middle)]


def mapped(work: Callable[[Any], Any], values: NDArray[Any], out: NDArray[Any], period: int = 1) -> None:
    """Fill out with `work(values)`, which makes a row of each row, by batches of a multiple of `period` rows."""
    row = values[:1].nbytes + out[:1].nbytes
    streamed(
        uniform(-(-len(values) // period), row * period),
        lambda first, last: (values[first * period : last * period],),
        lambda _first, _last, part: (work(part),),
        lambda first, last: (out[first * period : last * period],),
    )


class _NoStream(AbstractContextManager["_NoStream"]):
    """Stands for a stream where nothing runs by the side."""

    def __exit__(self, *_: object) -> None:
        return None

    def synchronize(self) -> None:
        """Wait for nothing."""


@cache
def _streams() -> list[Any]:
    """Return the streams of batches under way. They wait for the default stream, and it for them: what is not given one is in order."""
    return [_NoStream() if simulated() else xp.cuda.Stream() for _ in range(FLIGHTS)]


class _Flight:
    """A batch under way on a stream of its own: in by pinned memory, through `work`, and back into pinned memory."""

    def __init__(self, stream: Any, given: Sequence[NDArray[Any]], work: Callable[..., Sequence[Any]], targets: Sequence[NDArray[Any]]):
        self._stream, self._targets = stream, targets
        self._staged: list[NDArray[Any]] = []  # read and written until the stream is through
        try:
            with stream:
                found = work(*map(self._bring, given))
                self._found = [self._fetch(one) for one in found]
        except MemoryError:
            stream.synchronize()
            raise

    def _bring(self, array: NDArray[Any]) -> Any:
        if (there := held(array)) is not None:
            return there
        staged = pinned(array.shape, array.dtype)
        copied(staged, array)
        self._staged.append(staged)
        if simulated():
            return staged
        device = xp.empty(array.shape, array.dtype)
        if array.size:
            device.set(staged, stream=self._stream)
        return device

    def _fetch(self, array: Any) -> NDArray[Any]:
        if simulated():
            return np.asarray(array)
        staged = pinned(array.shape, array.dtype)
        if array.size:
            array.get(stream=self._stream, out=staged, blocking=False)
        return staged

    def land(self) -> None:
        """Wait for the batch and copy what came back to where it belongs."""
        self._stream.synchronize()
        for target, found in zip(self._targets, self._found, strict=True):
            copied(target, found)


def uniform(items: int, each: int) -> range:
    """Return the bytes before each of so many items of one size, for `streamed`."""
    each = max(each, 1)
    return range(0, items * each + 1, each)


def streamed(
    sizes: Sequence[int] | Int64s,
    give: Callable[[int, int], Sequence[NDArray[Any]]],
    work: Callable[..., Sequence[Any]],
    take: Callable[[int, int], Sequence[NDArray[Any]]] = lambda _first, _last: (),
    most: int | None = None,
) -> None:
    """Take items through the device in batches, of which one comes in, one is worked on and one goes back at the same time.

    Parameters
    ----------
    sizes
        items + 1, rising: bytes of the device that the items before each one take, results and scratch included. Batches are as large as
        `room` allows, and at most `most`, or one item.
    give
        Returns the arrays of the host that items first … last - 1 need.
    work
        `work(first, last, *arrays)`, given these on the device, returns the results there. It launches by `launch`, and waits for nothing.
    take
        Returns the arrays of the host that get the results. None where `work` adds to a table.
    most
        Bytes of a batch at most; None for `BATCH`.

    Raises
    ------
    MemoryError
        There is none for a single item while nothing else is under way.
    """
    aloft: deque[_Flight] = deque()
    streams = cycle(_streams())

    def fly(first: int, last: int) -> None:
        if len(aloft) == FLIGHTS:
            aloft.popleft().land()
        flight = partial(_Flight, given=give(first, last), work=partial(work, first, last), targets=take(first, last))
        try:
            aloft.append(flight(next(streams)))
        except MemoryError:
            if not aloft:
                raise
            land()
            give_back()
            aloft.append(flight(next(streams)))

    def land() -> None:
        while aloft:
            aloft.popleft().land()

    try:
        _halving(fly, edges(sizes, min(most or BATCH, room() // FLIGHTS)))
    finally:
        land()


def side_by_side(work: Callable[[int, int], None], sizes: Sequence[int] | Int64s, most: int) -> None:
    """Call `work(first, last)` for batches of items, `FLIGHTS` at a time: each on a thread of its own and, there, on a stream of its own.

    That is for work that asks the host between its steps, and so cannot be launched at once as `streamed` does it: while one batch waits
    for the device, another is copied into pinned memory. The threads are the process's; calls from several threads share them.
    Batches that the device has no memory for come last, alone, and then in halves.

    Parameters
    ----------
    work
        Does the items first … last - 1 from the host's memory to the host's memory, perhaps a second time.
    sizes
        items + 1, rising: bytes of the device that the items before each one take. Batches are as large as `room` allows for so many
        of them, and at most `most`, or one item.

    Raises
    ------
    MemoryError
        There is none for a single item.
    """
    bounds = edges(sizes, min(most, room() // FLIGHTS))
    if simulated():  # which runs one kernel at a time
        _halving(work, bounds)
        return
    under_way = [_pilots(os.getpid()).submit(_fly, work, first, last, get_num_threads()) for first, last in pairwise(bounds)]
    wait(under_way)
    refused = [pair for pair, flight in zip(pairwise(bounds), under_way, strict=True) if not flight.result()]
    if refused:
        give_back()
    for pair in refused:
        _halving(work, pair)


@cache
def _pilots(_process: int) -> ThreadPoolExecutor:
    """Return the threads that batches are under way on, which `side_by_side` gives work."""
    return ThreadPoolExecutor(FLIGHTS, "tamis-batch")


@cache
def _stream_of(_thread: int) -> Any:
    return xp.cuda.Stream()


def _fly(work: Callable[[int, int], None], first: int, last: int, threads: int) -> bool:
    """Do a batch on this thread's stream, with so many threads for its copies; say whether the device had memory for it."""
    set_num_threads(threads)
    stream = _stream_of(get_ident())
    with stream:
        try:
            work(first, last)
        except MemoryError:
            stream.synchronize()
            return False
    return True
