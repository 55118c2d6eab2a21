"""Files that are walked together: how they are parted, and how they come to lie end to end, on the host or on their way to a device."""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import config, types
from numba.core.cgutils import raw_memcpy
from numba.extending import intrinsic

from tamis_kernels.arrays import edges
from tamis_kernels.compiled import njit
from tamis_kernels.jpeg import layout as the
from tamis_kernels.threads import for_rows, work_of_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tamis_kernels.types import Int64s, Uint8s

    File = bytes | memoryview

GROUP_BYTES = 4 << 20


class _Room(threading.local):
    """Memory that a thread's walks use again: to clear new memory took as long as a tenth of the walk."""

    files = np.empty(0, np.uint8)
    planes = np.empty(0, np.uint8)


_ROOM = _Room()


def ends(files: Sequence[File]) -> Int64s:
    """Return how many bytes the files before each one have, and all of them: int64[n + 1]."""
    return np.array([*accumulate(map(len, files), initial=0)], np.int64)


def in_groups(work: Callable[[int, int], None], files: Sequence[File]) -> None:
    """Call `work(first, last)` for files that fit into the room together, or that are one, group after group."""
    for group in pairwise(edges([*accumulate(map(len, files), initial=0)], GROUP_BYTES)):
        work(*group)


def walk_in_room(walk_files: Callable[..., None], files: Sequence[File], facts: Int64s) -> list[Uint8s]:
    """Walk files by a function of the host's that wants them end to end, and return their pictures."""
    offsets = ends(files)
    buffer, planes = _room(int(offsets[-1]))
    starts = offsets.tolist()
    for file, start, stop in zip(files, starts, starts[1:], strict=False):
        buffer[start:stop] = np.frombuffer(file, np.uint8)
    walk_files(buffer[: starts[-1]], offsets, facts, planes)
    return [planes[4 * start : 4 * start + size].copy() for start, size in zip(starts, pixels_of(facts), strict=False)]


def pixels_of(facts: Int64s) -> list[int]:
    """Return how many values the picture of each file has: none where no frame was understood."""
    sides, mcus = facts[:, the.SIDES : the.SAMPLING].tolist(), facts[:, the.MCUS].tolist()
    return [_area(*some) if many else 0 for some, many in zip(sides, mcus, strict=True)]


@lru_cache(1024)  # photos have few sizes
def _area(*sides: int) -> int:
    return sum(map(mul, sides[::2], sides[1::2]))


def _room(size: int) -> tuple[Uint8s, Uint8s]:
    """Return room for files of so many bytes and for their pictures; the thread keeps it unless it is large."""
    if size <= _ROOM.files.size:
        return _ROOM.files, _ROOM.planes
    room = np.empty(max(size, GROUP_BYTES), np.uint8), np.empty(4 * max(size, GROUP_BYTES), np.uint8)  # a block has two bits at least
    if len(room[0]) <= GROUP_BYTES:
        _ROOM.files, _ROOM.planes = room
    return room


def filling(files: Sequence[File], offsets: Int64s) -> Callable[[int, int, Uint8s], None]:
    """Return `fill(begin, end, target)`, which writes these of the bytes of all files end to end, one or more, on all threads.

    A thread takes Python's lock once for a run of files: at each file it would wait for it as long as other threads are in Python.
    """
    places = _addresses(files)

    def fill(begin: int, end: int, target: Uint8s) -> None:
        first, last = int(np.searchsorted(offsets, begin, "right")) - 1, int(np.searchsorted(offsets, end, "left"))
        bounds = offsets[first : last + 1]
        for_rows(copy_files, work_of_copies(np.clip(bounds, begin, end)), places[first:last], bounds, begin, target)

    return fill


def _addresses(files: Sequence[File]) -> Int64s:
    """Return where in memory each file is; it stays there for as long as somebody holds it."""
    pointers: Any = ctypes.c_char_p * len(files)
    try:
        return np.frombuffer(memoryview(pointers(*files)), np.int64)
    except TypeError:  # not all of them are bytes
        return np.array([np.frombuffer(file, np.uint8).ctypes.data for file in files], np.int64)


@intrinsic
def _copy_from(_typing: Any, address: Any, target: Any) -> Any:  # pragma: no cover - compiled code alone
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        raw_memcpy(  # type: ignore[no-untyped-call]
            builder, array.data, builder.inttoptr(arguments[0], array.data.type), array.nitems, 1
        )
        return context.get_dummy_value()

    return types.void(address, target), emit


def _view_and_copy(address: int, target: Uint8s) -> None:
    target[:] = np.frombuffer(ctypes.string_at(int(address), target.size), np.uint8)


copy_from: Any = _view_and_copy if config.DISABLE_JIT else _copy_from  # type: ignore[attr-defined]
"""`copy_from(address, target)` fills a contiguous array with the bytes that lie at an address."""


@njit(cache=True, nogil=True)
def copy_files(first: int, last: int, places: Int64s, offsets: Int64s, begin: int, target: Uint8s) -> None:
    """Copy files first … last - 1, which lie at these addresses, to where they belong in a target that begins at byte `begin` of all."""
    for file in range(first, last):
        low, high = max(offsets[file], begin), min(offsets[file + 1], begin + target.size)
        copy_from(places[file] + low - offsets[file], target[low - begin : high - begin])
