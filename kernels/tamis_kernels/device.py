"""What CUDA kernels share: arrays on the device, launches, and products that are rounded. Only modules named `cuda…` import it.

NVIDIA's compilers fuse a product with the sum that it goes into, which saves a rounding and so gives other bits than a processor. They
leave alone what is asked for as a rounded product, so that is what `*` of floats becomes in CUDA kernels, shared scalar functions included.

Arrays are CuPy's, whose pool hands out memory without asking the driver each time; Numba's kernels take them as they are. In Numba's
simulator, which has no device, NumPy's arrays stand for them.
"""

from __future__ import annotations

import importlib
import operator
from bisect import bisect_right
from collections import deque
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, types

from tamis_kernels.backend import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

xp: Any = importlib.import_module("numpy" if simulated() else "cupy")

THREADS = 256
"""Threads a block, where a thread has an item of its own and nothing is shared."""
FLIGHTS = 3
"""Batches under way at a time: one on its way in, one at work, one on its way back."""
BATCH = 1 << 26
"""Bytes of the device that a batch takes at most: a millisecond of the link, beside which a launch is little."""

__all__ = [
    "bound",
    "give_back",
    "in_batches",
    "in_sized_batches",
    "launch",
    "launch_blocks",
    "mapped",
    "on_device",
    "resident",
    "room",
    "row_of",
    "streamed",
    "to_device",
    "to_host",
    "uniform",
    "xp",
]


def _round_products(kind: Any, name: str) -> None:  # pragma: no cover - the simulator multiplies as Python does
    from llvmlite import ir
    from numba.cuda.cudaimpl import lower

    def product(_context: Any, builder: Any, _signature: Any, factors: Any) -> Any:
        number = factors[0].type
        known = builder.module.globals.get(name)
        return builder.call(known or ir.Function(builder.module, ir.FunctionType(number, (number, number)), name), factors)

    lower(operator.mul, kind, kind)(product)


if not simulated():  # pragma: no cover
    _round_products(types.float64, "llvm.nvvm.mul.rn.d")
    _round_products(types.float32, "llvm.nvvm.mul.rn.f")


_resident: list[tuple[int, int, Any]] = []  # where a host's array begins and ends, and its bytes on the device


def to_device(array: NDArray[Any]) -> Any:
    """Return the array on the device: a copy, or what `resident` has put there, which nobody may change."""
    found = _held(array)
    return xp.array(array) if found is None else found


def _held(array: NDArray[Any]) -> Any:
    """Return an array that lies within a resident one as a part of it, else None."""
    if array.size and array.flags.c_contiguous:
        start = array.__array_interface__["data"][0]
        for first, last, held in _resident:
            if first <= start and start + array.nbytes <= last:
                return held[start - first : start - first + array.nbytes].view(array.dtype).reshape(array.shape)
    return None


@contextmanager
def resident(*arrays: NDArray[Any]) -> Iterator[None]:
    """Keep arrays on the device as long as the block lasts: what is called in it takes them, and parts of them, from there.

    The arrays must be contiguous, and stay as they are.
    """
    for array in arrays:
        start = array.__array_interface__["data"][0]
        _resident.append((start, start + array.nbytes, xp.array(array.reshape(-1).view(np.uint8))))
    try:
        yield
    finally:
        del _resident[len(_resident) - len(arrays) :]


def on_device(array: Any) -> Any:
    """Return what is on the device as it is, and a copy of what is not; to be read alone, since the simulator copies nothing."""
    return xp.asarray(array)


def to_host(array: Any, out: NDArray[Any]) -> None:
    """Copy an array of the device over `out`."""
    out[...] = array if simulated() else array.get()


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


def launch_blocks(kernel: Any, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
    """Run a kernel on CuPy's stream with so many blocks, each with some bytes of shared memory."""
    if simulated():
        kernel[blocks, threads, 0, shared](*arguments)
    else:  # pragma: no cover
        stream = xp.cuda.get_current_stream().ptr
        kernel[blocks, threads, cuda.external_stream(stream) if stream else 0, shared](*map(_unsynchronised, arguments))


def _unsynchronised(argument: Any) -> Any:  # pragma: no cover - the simulator has no streams
    """Return an array as Numba takes it without waiting for the stream that it was made on: it is the kernel's own, or one before it."""
    if isinstance(argument, tuple):
        return type(argument)(*map(_unsynchronised, argument))
    return cuda.as_cuda_array(argument, sync=False) if hasattr(argument, "__cuda_array_interface__") else argument


def in_batches(work: Callable[[int, int], None], items: int, most: int) -> None:
    """Call `work(first, last)` for batches of at most so many items, in halves where the device has no memory for one.

    Raises
    ------
    MemoryError
        There is none for a single item; CuPy's own error is one of these.
    """
    _halving(work, [*range(0, items, most), items])


def in_sized_batches(work: Callable[[int, int], None], sizes: Sequence[int] | NDArray[np.int64]) -> None:
    """Do what `in_batches` does, for batches of as many items as there is `room` for, or of one; `sizes` are those of `streamed`."""
    _halving(work, _edges(sizes, room()))


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


def _pinned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return memory of the host that the device reads and writes by itself; CuPy keeps what is given back for the next batch."""
    if simulated() or 0 in shape:
        return np.empty(shape, dtype)
    empty: NDArray[Any] = importlib.import_module("cupyx").empty_pinned(shape, dtype)
    return empty


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
        if (held := _held(array)) is not None:
            return held
        staged = _pinned(array.shape, array.dtype)
        staged[...] = array
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
        staged = _pinned(array.shape, array.dtype)
        if array.size:
            array.get(stream=self._stream, out=staged, blocking=False)
        return staged

    def land(self) -> None:
        """Wait for the batch and copy what came back to where it belongs."""
        self._stream.synchronize()
        for target, found in zip(self._targets, self._found, strict=True):
            target[...] = found


def uniform(items: int, each: int) -> range:
    """Return the bytes before each of so many items of one size, for `streamed`."""
    each = max(each, 1)
    return range(0, items * each + 1, each)


def streamed(
    sizes: Sequence[int] | NDArray[np.int64],
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
        _halving(fly, _edges(sizes, min(most or BATCH, room() // FLIGHTS)))
    finally:
        land()


def _edges(sizes: Sequence[int] | NDArray[np.int64], most: int) -> list[int]:
    """Return where batches begin and end, each of at most so many bytes, or of one item."""
    edges = [0]
    while edges[-1] < len(sizes) - 1:
        edges.append(max(edges[-1] + 1, bisect_right(sizes, sizes[edges[-1]] + most) - 1))
    return edges


@cuda.jit(device=True)
def row_of(offsets: NDArray[np.int64], place: int) -> int:
    """Return the row that a place of a flat buffer belongs to: the last one that starts there or before, so that empty rows have none."""
    low, high = 0, offsets.size - 1
    while low < high:
        middle = (low + high + 1) // 2
        if offsets[middle] <= place:
            low = middle
        else:
            high = middle - 1
    return low
