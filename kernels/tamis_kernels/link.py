"""What crosses the link between the host's memory and the device's: through pinned memory, into and out of which all threads copy.

The device reads and writes pinned memory by itself; for other memory the driver copies on one thread, at a fraction of the link. To pin
memory takes longer than to copy it, so a thread keeps two pieces of it: while one crosses the link, the host copies the other.
Only `tamis_kernels.device` and modules named `cuda…` import this one.
"""

from __future__ import annotations

import importlib
import threading
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.compiled import simulated
from tamis_kernels.threads import alike, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tamis_kernels.types import Uint8s

    Crossing = tuple["_Piece", list[tuple[Uint8s, int]]]  # and where in the piece the bytes of each array lie

xp: Any = importlib.import_module("numpy" if simulated() else "cupy")

PIECE = 1 << 24
"""Bytes that cross the link at a time: a third of a millisecond of it, beside which what starts a copy is little."""
SMALL = 1 << 16
"""Bytes up to which the driver's own copy is as fast."""

__all__ = ["copy_to_device", "held", "pinned", "resident", "sent", "to_device", "to_host", "to_hosts", "xp"]


def pinned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return memory of the host that the device reads and writes by itself; CuPy keeps what is given back, and finds it by its size.

    So sizes are powers of two: else batches that differ by a byte would each pin memory of their own, and keep it.
    """
    if simulated() or 0 in shape:
        return np.empty(shape, dtype)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    empty: Uint8s = importlib.import_module("cupyx").empty_pinned(1 << (size - 1).bit_length(), np.uint8)
    array: NDArray[Any] = empty[:size].view(dtype).reshape(shape)
    return array


class _Piece:
    """Pinned memory that one copy at a time uses."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self._crossed: Any = None

    def leave(self, stream: Any) -> None:
        """Note that the device reads or writes the piece until it is through what the stream has been given so far."""
        self._crossed = stream.record()

    def ready(self) -> None:
        """Wait until the device has left the piece."""
        if self._crossed is not None:
            self._crossed.synchronize()
            self._crossed = None
        if self.memory.size < PIECE:
            self.memory = pinned((PIECE,), np.uint8)


class _Turns(threading.local):
    """The two pieces of a thread, in turns; they go with the thread."""

    def __init__(self) -> None:
        self.pieces = cycle((_Piece(), _Piece()))


_TURNS = _Turns()


def _next_piece() -> _Piece:
    """Return the piece of this thread that was used longest ago, once the device has left it."""
    piece = next(_TURNS.pieces)
    piece.ready()
    return piece


def sent(size: int, fill: Callable[[int, int, Uint8s], None]) -> Any:
    """Return so many bytes on the device, which `fill(begin, end, target)` writes on the host, piece after piece."""
    there = xp.empty(size, np.uint8)
    if not size:
        return there
    if simulated():
        fill(0, size, there)
        return there
    stream = xp.cuda.get_current_stream()
    for begin in range(0, size, PIECE):
        end, piece = min(begin + PIECE, size), _next_piece()
        fill(begin, end, piece.memory[: end - begin])
        there[begin:end].set(piece.memory[: end - begin], stream=stream)
        piece.leave(stream)
    return there


def copy_to_device(array: NDArray[Any]) -> Any:
    """Return a copy of the array on the device."""
    if simulated() or array.nbytes <= SMALL or not array.flags.c_contiguous:
        return xp.array(array)
    flat = array.reshape(-1).view(np.uint8)
    return sent(flat.size, lambda begin, end, target: copied(target, flat[begin:end])).view(array.dtype).reshape(array.shape)


_resident: dict[object, tuple[int, int, Any]] = {}  # where a host's array begins and ends, and its bytes on the device; of all threads


def to_device(array: NDArray[Any]) -> Any:
    """Return the array on the device: a copy, or what `resident` has put there, which nobody may change."""
    found = held(array)
    return copy_to_device(array) if found is None else found


def held(array: NDArray[Any]) -> Any:
    """Return an array that lies within a resident one as a part of it, else None."""
    if array.size and array.flags.c_contiguous:
        start = array.__array_interface__["data"][0]
        for first, last, there in [*_resident.values()]:
            if first <= start and start + array.nbytes <= last:
                return there[start - first : start - first + array.nbytes].view(array.dtype).reshape(array.shape)
    return None


@contextmanager
def resident(*arrays: NDArray[Any]) -> Iterator[None]:
    """Keep arrays on the device as long as the block lasts: what is called in it takes them, and parts of them, from there.

    The arrays must be contiguous, and stay as they are. One that the device has no memory for is not kept: it crosses the link in batches.
    """
    kept: list[object] = []
    try:
        for array in arrays:
            start = array.__array_interface__["data"][0]
            with suppress(MemoryError):
                there = copy_to_device(array.reshape(-1).view(np.uint8))
                kept.append(object())
                _resident[kept[-1]] = start, start + array.nbytes, there
        yield
    finally:
        for one in kept:
            del _resident[one]


def to_host(array: Any, out: NDArray[Any]) -> None:
    """Copy an array of the device over `out`."""
    to_hosts((array, out))


def to_hosts(*pairs: tuple[Any, NDArray[Any]]) -> None:
    """Copy arrays of the device over those of the host that stand beside them: small ones together, large ones in pieces.

    While one piece crosses the link, the one before is copied to where it belongs.
    """
    if simulated() or sum(out.nbytes for _, out in pairs) <= SMALL or not all(alike(*pair) for pair in pairs):
        for array, out in pairs:
            out[...] = array if simulated() else array.get()
        return
    stream = xp.cuda.get_current_stream()
    crossing: Crossing | None = None
    for load in _loads(pairs):
        piece, place, targets = _next_piece(), 0, []
        for target, there in load:
            there.get(stream=stream, out=piece.memory[place : place + target.size], blocking=False)
            targets.append((target, place))
            place += target.size
        piece.leave(stream)
        if crossing:
            _land(*crossing)
        crossing = piece, targets
    if crossing:
        _land(*crossing)


def _loads(pairs: Sequence[tuple[Any, NDArray[Any]]]) -> Iterator[list[tuple[Uint8s, Any]]]:
    """Yield the bytes of the host's arrays and the device's, cut and put together so that each load fits a piece."""
    load: list[tuple[Uint8s, Any]] = []
    room = PIECE
    for array, out in pairs:
        target, there = out.reshape(-1).view(np.uint8), xp.ascontiguousarray(array).reshape(-1).view(np.uint8)
        begin = 0
        while begin < target.size:
            end = min(begin + room, target.size)
            load.append((target[begin:end], there[begin:end]))
            begin, room = end, room - (end - begin)
            if not room:
                yield load
                load, room = [], PIECE
    if load:
        yield load


def _land(piece: _Piece, targets: Sequence[tuple[Uint8s, int]]) -> None:
    piece.ready()
    for target, place in targets:
        copied(target, piece.memory[place : place + target.size])
