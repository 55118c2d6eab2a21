"""What a thread may touch, and what two threads may not: memcheck and racecheck, asked before each access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, cfunc, njit, types  # type: ignore[attr-defined]  # carray is not told of
from numba.extending import intrinsic

from emulator.lowering import ATOMIC, BLOCK, GRID_SIZE, READ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORDS = 40
SPANS, SPAN_COUNT, SHADOWS, EPOCH, FAULT, ADDRESS, SITE, THREAD, OTHER = 16, 17, 18, 19, 20, 21, 22, 23, 24
"""Places in the machine, behind those of `lowering`: where the spans lie that may be touched, how many they are, and the shadows of their
bytes; how many barriers the block has passed; what was wrong, at which address, instruction and thread, and which was there before."""
OUTSIDE, RACE, MISALIGNED = 1, 2, 3
_SLOTS = 3  # of a byte: its last writer, and its last two readers


def spans_of(arrays: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return int64[n, 3]: begin and end of memory that arrays lie in, without overlaps, and how many bytes lie before it."""
    found = sorted((array.__array_interface__["data"][0], array.nbytes) for array in arrays if array.nbytes)
    spans: list[list[int]] = []
    for begin, size in found:
        if spans and begin <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], begin + size)
        else:
            spans.append([begin, begin + size])
    table = np.array(spans, np.int64).reshape(-1, 2)
    sizes = table[:, 1] - table[:, 0]
    return np.column_stack([table, np.cumsum(sizes) - sizes])


@intrinsic
def pointer(_context: Any, _address: Any) -> Any:
    """Return an address as a pointer to words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.int64), generate  # type: ignore[no-untyped-call]


@njit()
def find(spans: NDArray[np.int64], begin: int, end: int) -> int:
    """Return the row of the span that holds all of an access, or -1."""
    low, high = 0, spans.shape[0]
    while low < high:
        middle = (low + high) // 2
        if spans[middle, 1] <= begin:
            low = middle + 1
        else:
            high = middle
    return low if low < spans.shape[0] and spans[low, 0] <= begin and end <= spans[low, 1] else -1


@njit()
def side_by_side(one: int, other: int) -> bool:
    """Return whether nothing orders two accesses: by threads of two blocks, or of one block with no barrier between them.

    An access is block + 1, barriers passed, thread, and whether it is atomic: 1 … 30 bits, 22, 11 and 1.
    """
    if one == 0 or other == 0 or one >> 34 != other >> 34:
        return one != 0 and other != 0
    return (one >> 12 == other >> 12) and (one >> 1 != other >> 1)


@njit()
def collides(shadow: NDArray[np.int64], access: int, kind: int) -> int:
    """Return an access before this one that this one must not go beside, or 0; note this one.

    Of threads that read, two are remembered: whoever writes is not both. A plain write is remembered rather than an atomic one of the
    same thread after it.
    """
    atomic = kind == ATOMIC
    writer = shadow[0]
    found = 0
    if side_by_side(writer, access) and not (atomic and writer & 1):
        found = writer
    if kind == READ:
        slot = 1 if shadow[1] >> 1 == access >> 1 or not side_by_side(shadow[1], access) else 2
        if slot == 1 or not side_by_side(shadow[2], access):
            shadow[slot] = access
        return found
    for slot in (1, 2):
        if side_by_side(shadow[slot], access):
            found = shadow[slot]
    if not (atomic and writer >> 1 == access >> 1):
        shadow[0] = access
    return found


@cfunc("int32(int64, int64, int32, int32, int32, int32)")
def touch(address_of_machine: int, address: int, size: int, kind: int, site: int, thread: int) -> int:
    """Return 0 where a thread may touch so many bytes at an address, a multiple of their number; else note why not."""
    machine = carray(pointer(address_of_machine), WORDS)  # type: ignore[call-arg]  # Numba gives its context
    spans = carray(pointer(machine[SPANS]), (machine[SPAN_COUNT], 3))
    row = find(spans, address, address + size)
    if row < 0 or address % size:
        machine[FAULT] = OUTSIDE if row < 0 else MISALIGNED
        machine[ADDRESS], machine[SITE], machine[THREAD] = address, site, thread
        return 1
    block = machine[BLOCK] + machine[GRID_SIZE] * (machine[BLOCK + 1] + machine[GRID_SIZE + 1] * machine[BLOCK + 2])
    access = (block + 1) << 34 | machine[EPOCH] << 12 | thread << 1 | np.int64(kind == ATOMIC)
    first = spans[row, 2] + address - spans[row, 0]
    shadows = carray(pointer(machine[SHADOWS] + 8 * _SLOTS * first), (size, _SLOTS))
    for byte in range(size):
        before = collides(shadows[byte], access, kind)
        if before:
            machine[FAULT], machine[ADDRESS], machine[SITE], machine[THREAD], machine[OTHER] = RACE, address, site, thread, before
            return 1
    return 0


def told(machine: NDArray[np.int64], sites: Sequence[Any], spans: NDArray[np.int64]) -> str:
    """Return what was wrong, in words."""
    address = int(machine[ADDRESS])
    who = f"thread {machine[THREAD]} of block {machine[BLOCK : BLOCK + 3].tolist()}, at `{sites[machine[SITE]]}`"
    if machine[FAULT] == MISALIGNED:
        return f"{who}, touches an address that is no multiple of what it touches"
    if machine[FAULT] == OUTSIDE:
        begin, end = min(spans[:, :2].tolist(), key=lambda span: max(span[0] - address, address - span[1]), default=(0, 0))
        where = f"{address - end} bytes behind the end" if address >= end else f"{begin - address} bytes before the begin"
        if begin <= address < end:
            where = "across the end"
        return f"{who}, leaves its arrays: {where} of one of {end - begin} bytes"
    other = int(machine[OTHER])
    number, x, y = (other >> 34) - 1, int(machine[GRID_SIZE]), int(machine[GRID_SIZE + 1])
    block = [number % x, number // x % y, number // x // y]
    return f"{who}, touches what thread {other >> 1 & 0x7FF} of block {block} touches, and nothing orders them"
