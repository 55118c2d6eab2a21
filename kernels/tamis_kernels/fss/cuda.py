"""Fast Similarity Sketching in CUDA: a warp takes short records, one after another, or a part of a long one; slots in shared memory.

Each thread deals out elements by an atomic minimum on the slot that the element chooses: of a short record in all rounds at once, of
another one round after round until no slot is empty. Slots that are empty then are listed, and get the least affine image of all elements,
which are mixed once for all of them; where they are few, several threads share a slot. Parts of a long record meet by an atomic minimum
after each round, and do nothing in the next one where their record has no empty slot left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.cuda_rows import first_row
from tamis_kernels.device import launch_blocks, streamed, to_device, to_host, xp
from tamis_kernels.errors import ArgumentError
from tamis_kernels.fss.cpu import splitmix64, tagged
from tamis_kernels.minhash.cpu import HELD, image
from tamis_kernels.ngram_keys.cuda import keys_of, token_keys_of
from tamis_kernels.ngrams.cuda import find_units, stream_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s, Uint64s

THREADS, DOUBLINGS = 32, 5  # a warp, whose barriers wait for no other one, and how often 1 is doubled to it
PLACES, ROW_PLACES = 2560, 256  # that a warp takes, and what a row costs beside its elements, in elements
LONG = 8192  # elements of a record up to which a warp takes it whole, or more for more than 128 slots
TILE = 256
STRIP, LIST = 128, 129  # slots of which empty ones are listed at a time, and numbers in the list, the last how many they are
MOST_SLOTS = 8192  # 32 KB of shared memory
i32, u32, u64 = np.int32, np.uint32, np.uint64
EMPTY = u32(0xFFFFFFFF)


def signatures(hashes: Uint32s | Uint64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row into `out`, which comes filled with 0xFFFFFFFF."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        return hashes[row_offsets[first] : row_offsets[last]], row_offsets[first : last + 1] - row_offsets[first]

    stream_rows(hashes.itemsize * row_offsets, row_offsets, give, lambda elements: elements, mixes, a, b, out)


def text_signatures(
    data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s
) -> None:
    """Write the signature of each row's set of n-grams into `out`; their keys stay on the device."""

    def work(text: Any, bounds: Any, there: Any) -> Any:
        units = find_units(text, bounds, there, unit)
        gram_rows = units.gram_rows(ngram)
        row_offsets = np.empty(gram_rows.size, np.int64)
        to_host(gram_rows, row_offsets)
        return signatures_of(keys_of(units, unit, ngram, gram_rows), gram_rows, row_offsets, mixes, a, b)

    stream_texts(data, offsets, validity, work, out)


def token_signatures(data: Uint8s, offsets: Int64s, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signature of each row of tokens into `out`; their keys stay on the device."""

    def give(first: int, last: int) -> tuple[NDArray[Any], ...]:
        start, stop = row_offsets[first], row_offsets[last]
        bounds = offsets[start : stop + 1] - offsets[start]
        return data[offsets[start] : offsets[stop]], bounds, row_offsets[first : last + 1] - start

    stream_rows(offsets[row_offsets] + 16 * row_offsets, row_offsets, give, token_keys_of, mixes, a, b, out)


def stream_rows(
    sizes: Int64s,
    row_offsets: Int64s,
    give: Callable[[int, int], Sequence[NDArray[Any]]],
    elements_of: Callable[..., Any],
    mixes: Uint64s,
    a: Uint32s,
    b: Uint32s,
    out: Uint32s,
) -> None:
    """Write the signatures of rows in batches.

    `sizes` are bytes before each row, `give` returns what rows first … last - 1 need, where each begins last; `elements_of` makes elements
    of the rest on the device.
    """

    def work(first: int, last: int, *there: Any) -> tuple[Any]:
        return (signatures_of(elements_of(*there[:-1]), there[-1], row_offsets[first : last + 1] - row_offsets[first], mixes, a, b),)

    rows = (out[:1].nbytes + row_offsets.itemsize) * np.arange(sizes.size)
    streamed(sizes + row_offsets + rows, give, work, lambda first, last: (out[first:last],))


def signatures_of(elements: Any, there: Any, row_offsets: Int64s, mixes: Uint64s, a: Uint32s, b: Uint32s) -> Any:
    """Return signatures on the device, where the elements are, and where they begin as `there`."""
    rows, slots = row_offsets.size - 1, a.size
    if slots > MOST_SLOTS:
        message = f"on CUDA a signature has at most {MOST_SLOTS} slots, got {slots}; use backend='cpu' for longer ones"
        raise ArgumentError(message)
    found = xp.empty((rows, slots), u32)
    most = max(LONG, LONG // STRIP * slots)
    long = np.flatnonzero(np.diff(row_offsets) > most)
    permutations = [to_device(one) for one in (mixes, a, b)]
    if long.size < rows:
        blocks = -(-(elements.size + ROW_PLACES * rows) // PLACES)
        launch_blocks(sketch, blocks, THREADS, elements, there, most, *permutations, found, shared=4 * slots)
    if long.size:
        found[to_device(long)] = signatures_of_long(elements, row_offsets[long], row_offsets[long + 1], most, permutations)
    return found


def signatures_of_long(elements: Any, starts: Int64s, stops: Int64s, most: int, permutations: list[Any]) -> Any:
    """Return signatures on the device, of rows that are taken in parts of at most so many elements."""
    parts = -(-(stops - starts) // most)
    rows = np.repeat(np.arange(parts.size), parts)
    starts = starts[rows] + most * (np.arange(rows.size) - np.repeat(np.cumsum(parts) - parts, parts))
    places = [to_device(one) for one in (rows, starts, np.minimum(starts + most, stops[rows]))]
    slots = permutations[-1].size
    after = xp.full((parts.size, slots), EMPTY, u32)
    for number in range(4):
        before, after = after, after.copy()
        launch_blocks(sketch_part, rows.size, THREADS, elements, *places, number, *permutations, before, after, shared=4 * slots)
    return after


@cuda.jit
def sketch(elements: Uint64s, row_offsets: Int64s, most: int, mixes: Uint64s, a: Uint32s, b: Uint32s, out: Uint32s) -> None:
    """Write the signatures of the rows that begin at the block's places; empty slots for rows of more than `most` elements."""
    slots = cuda.shared.array(0, uint32)
    tile = cuda.shared.array(TILE, uint32)
    missing = cuda.shared.array(LIST, uint32)
    thread, count = u32(cuda.threadIdx.x), u32(out.shape[1])
    begin = cuda.blockIdx.x * PLACES
    row = first_row(row_offsets, begin, ROW_PLACES)
    slot = thread
    while slot < count:
        slots[slot] = EMPTY
        slot = u32(slot + u32(THREADS))
    while row < out.shape[0] and row_offsets[row] + ROW_PLACES * row < begin + PLACES:
        start, size = u64(row_offsets[row]), u32(min(row_offsets[row + 1] - row_offsets[row], most + 1))
        if u32(0) < size <= u32(most):
            cuda.syncthreads()
            short = size <= min(u32(TILE), u32(count << u32(1)))  # two for a slot hardly ever fill all in two rounds
            number = empty = 1
            if short:
                deal_short(elements, start, size, mixes, slots, tile, thread, count)
                cuda.syncthreads()
            while not short and number <= 3 and empty:
                deal(elements, start, size, mixes[number - 1], u32((number - 1) << 30), slots, thread, count)
                cuda.syncthreads()
                empty = cuda.syncthreads_or(i32(holds_empty(slots, thread, count)))
                number += 1
            if empty:
                fill(elements, start, size, mixes[3], a, b, slots, missing, tile, short, thread, count)
        slot = thread
        while slot < count:
            out[row, slot] = slots[slot]
            slots[slot] = EMPTY
            slot = u32(slot + u32(THREADS))
        row += 1


@cuda.jit
def sketch_part(
    elements: Uint64s,
    rows: Int64s,
    starts: Int64s,
    stops: Int64s,
    number: int,
    mixes: Uint64s,
    a: Uint32s,
    b: Uint32s,
    before: Uint32s,
    after: Uint32s,
) -> None:
    """Do round `number` of a part of one of the signatures, unless it has no empty slot."""
    slots = cuda.shared.array(0, uint32)
    tile = cuda.shared.array(TILE, uint32)
    missing = cuda.shared.array(LIST, uint32)
    thread, count = u32(cuda.threadIdx.x), u32(after.shape[1])
    row, start = rows[cuda.blockIdx.x], u64(starts[cuda.blockIdx.x])
    size = u32(stops[cuda.blockIdx.x] - starts[cuda.blockIdx.x])
    slot = thread
    while slot < count:
        slots[slot] = before[row, slot]
        slot = u32(slot + u32(THREADS))
    if cuda.syncthreads_or(i32(holds_empty(slots, thread, count))):
        if number < 3:
            deal(elements, start, size, mixes[number], u32(number << 30), slots, thread, count)
            cuda.syncthreads()
        else:
            fill(elements, start, size, mixes[3], a, b, slots, missing, tile, False, thread, count)
        slot = thread
        while slot < count:
            cuda.atomic.min(after, (row, slot), slots[slot])
            slot = u32(slot + u32(THREADS))


@cuda.jit(device=True)
def deal_short(
    elements: Uint64s, start: np.uint64, size: np.uint32, mixes: Uint64s, slots: Uint32s, tile: Uint32s, thread: np.uint32, count: np.uint32
) -> None:
    """Deal elements out in all rounds at once, and mix them into the tile for affine images."""
    first, second, third, last, i = mixes[0], mixes[1], mixes[2], mixes[3], thread
    while i < size:
        element = u64(elements[u64(start + u64(i))])
        lower(slots, u64(element + first), u32(0), count)
        lower(slots, u64(element + second), u32(1 << 30), count)
        lower(slots, u64(element + third), u32(2 << 30), count)
        tile[i] = low_half(splitmix64(u64(element + last)))
        i = u32(i + u32(THREADS))


@cuda.jit(device=True)
def deal(
    elements: Uint64s,
    start: np.uint64,
    size: np.uint32,
    mix: np.uint64,
    tag: np.uint32,
    slots: Uint32s,
    thread: np.uint32,
    count: np.uint32,
) -> None:
    """Deal elements out in one round; four loads of a thread wait for memory together."""
    place, left = u64(start + u64(thread)), i32(i32(size) - i32(thread))
    while left > 3 * THREADS:
        e0, e1 = elements[place], elements[u64(place + u64(THREADS))]
        e2, e3 = elements[u64(place + u64(2 * THREADS))], elements[u64(place + u64(3 * THREADS))]
        lower(slots, u64(u64(e0) + mix), tag, count)
        lower(slots, u64(u64(e1) + mix), tag, count)
        lower(slots, u64(u64(e2) + mix), tag, count)
        lower(slots, u64(u64(e3) + mix), tag, count)
        place, left = u64(place + u64(4 * THREADS)), i32(left - 4 * THREADS)
    while left > 0:
        lower(slots, u64(u64(elements[place]) + mix), tag, count)
        place, left = u64(place + u64(THREADS)), i32(left - THREADS)


@cuda.jit(device=True)
def low_half(value: np.uint64) -> np.uint32:
    """Return the low 32 bits."""
    return u32(value & u64(0xFFFFFFFF))


@cuda.jit(device=True)
def lower(slots: Uint32s, value: np.uint64, tag: np.uint32, count: np.uint32) -> None:
    """Lower the slot that an element chooses to its tagged rank."""
    mixed = splitmix64(value)
    place = u64(u64(mixed & u64(0xFFFFFFFF)) * u64(count)) >> u64(32)
    cuda.atomic.min(slots, place, u32(u32(mixed >> u64(34)) | tag))


@cuda.jit(device=True)
def holds_empty(slots: Uint32s, thread: np.uint32, count: np.uint32) -> bool:
    """Return whether one of this thread's slots is empty."""
    highest, slot = u32(0), thread
    while slot < count:
        highest = max(highest, slots[slot])
        slot = u32(slot + u32(THREADS))
    return bool(highest == EMPTY)


@cuda.jit(device=True)
def fill(
    elements: Uint64s,
    start: np.uint64,
    size: np.uint32,
    mix: np.uint64,
    a: Uint32s,
    b: Uint32s,
    slots: Uint32s,
    missing: Uint32s,
    tile: Uint32s,
    staged: bool,
    thread: np.uint32,
    count: np.uint32,
) -> None:
    """Give all empty slots the least affine image of the elements, which may stand mixed in the tile already."""
    first = u32(0)
    while first < count:
        found = list_empty(slots, first, min(count, u32(first + u32(STRIP))), missing, thread)
        shift = u32(DOUBLINGS)
        while shift > u32(0) and u32(u32(1) << shift) >= u32(found << u32(1)):
            shift = u32(shift - u32(1))  # threads beyond the number of slots share one
        width = u32(u32(1) << shift)
        part, begin = u32(thread >> shift), u32(0)
        while found > u32(0) and begin < size:
            some = min(u32(TILE), u32(size - begin))
            if not staged:
                cuda.syncthreads()
                stage(elements, u64(start + u64(begin)), some, mix, tile, thread)
                cuda.syncthreads()
            share = u32(u32(u32(u32(some << shift) + u32(THREADS - 1)) >> u32(DOUBLINGS)) | u32(1))  # odd, for the sake of banks
            low = min(u32(part * share), some)
            high, i = min(u32(low + share), some), u32(thread & u32(width - u32(1)))
            while i < found:
                slot = missing[i]
                cuda.atomic.min(slots, slot, tagged(lowest(tile, low, high, a[slot], b[slot])))
                i = u32(i + width)
            begin = u32(begin + u32(TILE))
        cuda.syncthreads()
        first = u32(first + u32(STRIP))


@cuda.jit(device=True)
def list_empty(slots: Uint32s, slot: np.uint32, end: np.uint32, missing: Uint32s, thread: np.uint32) -> np.uint32:
    """List which slots are empty, and return how many."""
    if thread == 0:
        missing[STRIP] = 0
    cuda.syncthreads()
    slot = u32(slot + thread)
    while slot < end:
        if slots[slot] == EMPTY:
            missing[cuda.atomic.add(missing, STRIP, 1)] = slot
        slot = u32(slot + u32(THREADS))
    cuda.syncthreads()
    return u32(missing[STRIP])


@cuda.jit(device=True)
def stage(elements: Uint64s, begin: np.uint64, size: np.uint32, mix: np.uint64, tile: Uint32s, thread: np.uint32) -> None:
    """Mix elements into shared memory."""
    i = thread
    while i < size:
        tile[i] = low_half(splitmix64(u64(u64(elements[u64(begin + u64(i))]) + mix)))
        i = u32(i + u32(THREADS))


@cuda.jit(device=True)
def lowest(tile: Uint32s, low: np.uint32, high: np.uint32, a: np.uint32, b: np.uint32) -> np.uint32:
    """Return the least affine image of some mixed elements."""
    least, place, left = EMPTY, u64(low), u32(high - low)
    while left >= u32(HELD):
        for j in range(HELD):
            least = min(least, image(a, b, tile[u64(place + u64(j))]))
        place, left = u64(place + u64(HELD)), u32(left - u32(HELD))
    while left > u32(0):
        least = min(least, image(a, b, tile[place]))
        place, left = u64(place + u64(1)), u32(left - u32(1))
    return least
