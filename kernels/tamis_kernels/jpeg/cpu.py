"""The walk in Numba: several symbols a lookup, two files in one loop.

One bit stream is a chain of dependent steps: look up, shift, look up. Two of them side by side fill the gaps in each other's chain, and
the common step has no branch that depends on the data. A step that the lookup does not settle is walked by `_symbol`, a symbol at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.header import (
    ACROSS,
    DOWN,
    HIGH,
    NOTHING,
    NUMBER,
    ORIGIN,
    SCANNED,
    TABLE,
    WIDE,
    Frame,
    new_frame,
    next_scan,
    note,
    prepare_lookup,
    sixteen,
)
from tamis_kernels.jpeg.tables import INDEX, LARGEST, MOST_BITS, SMALLEST, WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where a lane stands in its file, int64[STATE]. MCUs are counted within the scan, BEFORE are those of earlier scans.
BIT, K, SLOT, BLOCK, STOP, END_BIT, SLOTS, FILE, AT, TOTAL, STEP, COLUMNS, BEFORE, BEGIN, END, PARTS, NEXT = range(17)
STATE = 17
SLACK = 64  # bytes behind the last one that a window may reach
IDLE = -1

_ONE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(7), np.uint64(8)
_BYTE = np.uint64(3)
_SHIFT = np.uint64(64 - WIDTH)
_BITS = np.uint64(31)


class Lane(NamedTuple):
    """A file under way."""

    state: NDArray[np.int64]  # [STATE]
    frame: Frame
    bytes: NDArray[np.uint8]  # of the restart interval, without stuffed zeros
    starts: NDArray[np.int64]  # the bit at which each of its blocks begins
    bases: NDArray[np.uint64]  # [2 * 10], where the lookups of each block of an MCU begin: DC, AC
    order: NDArray[np.int64]  # [10, 3], component, row and column of each block of an MCU


@njit(cache=True, nogil=True)
def _new_lane(longest: int) -> Lane:
    return Lane(
        np.full(STATE, IDLE, np.int64),
        new_frame(),
        np.empty(longest + SLACK, np.uint8),
        np.empty(4 * longest + 16, np.int64),
        np.zeros(20, np.uint64),
        np.zeros((10, 3), np.int64),
    )


@njit(cache=True, nogil=True, inline="always")
def _window(data: NDArray[np.uint8], bit: np.uint64) -> np.uint64:
    """Return the bits from `bit` on, 57 of them at least, from the highest down."""
    at = bit >> _BYTE
    word = np.uint64(data[at]) << np.uint64(56)
    word |= np.uint64(data[at + np.uint64(1)]) << np.uint64(48)
    word |= np.uint64(data[at + np.uint64(2)]) << np.uint64(40)
    word |= np.uint64(data[at + np.uint64(3)]) << np.uint64(32)
    word |= np.uint64(data[at + np.uint64(4)]) << np.uint64(24)
    word |= np.uint64(data[at + np.uint64(5)]) << np.uint64(16)
    word |= np.uint64(data[at + np.uint64(6)]) << np.uint64(8)
    word |= np.uint64(data[at + np.uint64(7)])
    return word << (bit & _SEVEN)


@njit(cache=True, nogil=True)
def _unstuff(data: NDArray[np.uint8], begin: int, out: NDArray[np.uint8]) -> tuple[int, int]:
    """Copy the bytes up to the next marker without stuffed zeros; return how many they are, and where the marker or the file's end is."""
    place, size = begin, 0
    while place < data.size:
        while place + 32 < data.size:
            stuffed = False
            for step in range(32):
                stuffed |= data[place + step] == 0xFF
            if stuffed:
                break
            for step in range(32):
                out[size + step] = data[place + step]
            place += 32
            size += 32
        stop = min(place + 32, data.size)
        while place < stop:
            if data[place] != 0xFF:
                out[size] = data[place]
                size += 1
                place += 1
            elif place + 1 >= data.size:
                return size, data.size
            elif data[place + 1] == 0xFF:
                place += 1
            elif data[place + 1] != 0:
                return size, place
            else:
                out[size] = 0xFF
                size += 1
                place += 2
    return size, place


@njit(cache=True, nogil=True)
def _place(data: NDArray[np.uint8], begin: int, count: int) -> int:
    """Return where in the file the unstuffed byte number `count` of an interval is."""
    place = begin
    while True:
        if data[place] == 0xFF and data[place + 1] == 0xFF:
            place += 1
            continue
        if count == 0:
            return place
        place += 2 if data[place] == 0xFF else 1
        count -= 1


@njit(cache=True, nogil=True)
def _run_two(a: Lane, b: Lane) -> None:
    """Pass symbols in both lanes until one of them ends or meets what the lookup does not settle."""
    data0, lookup0, starts0, bases0, state0 = a.bytes, a.frame.lookup, a.starts, a.bases, a.state
    data1, lookup1, starts1, bases1, state1 = b.bytes, b.frame.lookup, b.starts, b.bases, b.state
    bit0, k0, slot0, block0 = np.uint64(state0[BIT]), state0[K], np.uint64(state0[SLOT]), np.uint64(state0[BLOCK])
    bit1, k1, slot1, block1 = np.uint64(state1[BIT]), state1[K], np.uint64(state1[SLOT]), np.uint64(state1[BLOCK])
    stop0, slots0 = np.uint64(state0[STOP]), np.uint64(state0[SLOTS])
    stop1, slots1 = np.uint64(state1[STOP]), np.uint64(state1[SLOTS])
    base0, base1 = bases0[2 * slot0 + np.uint64(k0 > 0)], bases1[2 * slot1 + np.uint64(k1 > 0)]
    more = True
    while more:
        rounds = min(state0[END_BIT] - np.int64(bit0), state1[END_BIT] - np.int64(bit1)) // (2 * MOST_BITS)
        if rounds <= 0:
            break
        for _ in range(rounds):
            window0, window1 = _window(data0, bit0), _window(data1, bit1)
            for _half in range(2):
                entry0, entry1 = np.int64(lookup0[base0 + (window0 >> _SHIFT)]), np.int64(lookup1[base1 + (window1 >> _SHIFT)])
                next0, next1 = k0 + (entry0 >> 9 & 63), k1 + (entry1 >> 9 & 63)
                if (entry0 | entry1 | (63 - next0) | (63 - next1)) < 0:
                    more = False
                    break
                length0, length1 = np.uint64(entry0) & _BITS, np.uint64(entry1) & _BITS
                end0, end1 = entry0 >> 15, entry1 >> 15
                bit0 += length0
                bit1 += length1
                window0 <<= length0
                window1 <<= length1
                starts0[block0 + _ONE] = bit0  # stands only if the block ends here
                starts1[block1 + _ONE] = bit1
                block0 += np.uint64(end0)
                block1 += np.uint64(end1)
                k0 = next0 & (end0 - 1)
                k1 = next1 & (end1 - 1)
                slot0 += np.uint64(end0)
                slot1 += np.uint64(end1)
                slot0 = np.uint64(0) if slot0 == slots0 else slot0
                slot1 = np.uint64(0) if slot1 == slots1 else slot1
                base0 = bases0[slot0 + slot0 + np.uint64(1 - end0)]
                base1 = bases1[slot1 + slot1 + np.uint64(1 - end1)]
                if (block0 == stop0) | (block1 == stop1):
                    more = False
                    break
            if not more:
                break
    state0[BIT], state0[K], state0[SLOT], state0[BLOCK] = bit0, k0, slot0, block0
    state1[BIT], state1[K], state1[SLOT], state1[BLOCK] = bit1, k1, slot1, block1


@njit(cache=True, nogil=True)
def _run_one(a: Lane) -> None:
    """Pass symbols in one lane until it ends or meets what the lookup does not settle."""
    data, lookup, starts, bases, state = a.bytes, a.frame.lookup, a.starts, a.bases, a.state
    bit, k, slot, block = np.uint64(state[BIT]), state[K], np.uint64(state[SLOT]), np.uint64(state[BLOCK])
    stop, slots = np.uint64(state[STOP]), np.uint64(state[SLOTS])
    base = bases[2 * slot + np.uint64(k > 0)]
    while np.int64(bit) + MOST_BITS <= state[END_BIT] and block < stop:
        entry = np.int64(lookup[base + (_window(data, bit) >> _SHIFT)])
        after = k + (entry >> 9 & 63)
        if (entry | (63 - after)) < 0:
            break
        end = entry >> 15
        bit += np.uint64(entry) & _BITS
        starts[block + _ONE] = bit
        block += np.uint64(end)
        k = after & (end - 1)
        slot += np.uint64(end)
        slot = np.uint64(0) if slot == slots else slot
        base = bases[slot + slot + np.uint64(1 - end)]
    state[BIT], state[K], state[SLOT], state[BLOCK] = bit, k, slot, block


@njit(cache=True, nogil=True)
def _decode(lane: Lane, table: int, bit: int, end: int) -> tuple[int, int]:
    """Return the symbol that begins at `bit` and the length of its code; the symbol is minus a fault where there is none."""
    bits = int(_window(lane.bytes, np.uint64(bit)) >> np.uint64(48))
    codes = lane.frame.codes[table]
    for length in range(1, min(16, end - bit) + 1):
        code = bits >> (16 - length)
        if code <= codes[LARGEST, length]:
            return int(lane.frame.symbols[table, codes[INDEX, length] + code - codes[SMALLEST, length]]), length
    return -(the.BAD_CODE if end - bit >= 16 else the.MISSING_DATA), 0


@njit(cache=True, nogil=True)
def _symbol(lane: Lane) -> int:
    """Pass one symbol with every check; return a fault, or `NONE`."""
    state = lane.state
    k = state[K]
    table = int(lane.bases[2 * state[SLOT] + (k > 0)]) >> WIDTH
    symbol, length = _decode(lane, table, state[BIT], state[END_BIT])
    if symbol < 0:
        return -symbol
    run, size = (0, symbol) if k == 0 else (symbol >> 4, symbol & 15)
    ends = k > 0 and symbol == the.END_OF_BLOCK
    if size > (the.LARGEST_DC if k == 0 else the.LARGEST_AC) or (k > 0 and size == 0 and not ends and symbol != the.ZERO_RUN):
        return the.BAD_CODE
    k += 0 if ends else run + 1
    if k > 64:
        return the.TOO_MANY_COEFFICIENTS
    if state[BIT] + length + size > state[END_BIT]:
        return the.MISSING_DATA
    state[BIT] += length + size
    state[K] = k
    if ends or k == 64:
        state[K] = 0
        state[BLOCK] += 1
        state[SLOT] = (state[SLOT] + 1) % state[SLOTS]
        lane.starts[state[BLOCK]] = state[BIT]
    return the.NONE


@njit(cache=True, nogil=True)
def _begin_scan(data: NDArray[np.uint8], place: int, lane: Lane, facts: NDArray[np.int64]) -> bool:
    """Read a scan's header and make its lookups; say whether it can be walked."""
    state, frame = lane.state, lane.frame
    body, stop = place + 4, place + 2 + sixteen(data, place + 2)
    count = int(data[body]) if body < stop else 0
    if facts[the.COMPONENTS] == 0 or not 1 <= count <= 4 or stop != body + 4 + 2 * count:
        return False
    slots = 0
    for number in range(count):
        at = body + 1 + 2 * number
        chosen, dc, ac = NOTHING, int(data[at + 1]) >> 4, 4 + (int(data[at + 1]) & 15)
        for other in range(facts[the.COMPONENTS]):
            if frame.components[other, NUMBER] == data[at]:
                chosen = other
        if chosen == NOTHING or frame.components[chosen, SCANNED] or dc > 3 or ac > 7 or not (frame.known[dc] and frame.known[ac]):
            return False
        part = frame.components[chosen]
        if frame.quantisers[part[TABLE]] == 0:
            return False
        part[SCANNED] = 1
        prepare_lookup(frame, dc)
        prepare_lookup(frame, ac)
        for row in range(part[DOWN] if count > 1 else 1):
            for column in range(part[ACROSS] if count > 1 else 1):
                if slots == 10:
                    return False
                lane.order[slots, 0], lane.order[slots, 1], lane.order[slots, 2] = chosen, row, column
                lane.bases[2 * slots], lane.bases[2 * slots + 1] = dc << WIDTH, ac << WIDTH
                slots += 1
    if data[stop - 3] != 0 or data[stop - 2] != 63 or data[stop - 1] != 0:
        return False
    if facts[the.SCAN] == 0:
        facts[the.SCAN] = stop
    columns, rows = frame.components[chosen, WIDE], frame.components[chosen, HIGH]
    if count > 1:
        across = 8 * frame.components[: facts[the.COMPONENTS], ACROSS].max()
        down = 8 * frame.components[: facts[the.COMPONENTS], DOWN].max()
        columns, rows = (facts[the.WIDTH] + across - 1) // across, (facts[the.HEIGHT] + down - 1) // down
    state[SLOTS], state[PARTS], state[COLUMNS], state[TOTAL], state[AT] = slots, count, columns, columns * rows, 0
    state[STEP] = facts[the.INTERVAL] or columns * rows
    state[BEFORE], state[BEGIN] = facts[the.MCUS], stop
    facts[the.MCUS] += columns * rows
    return True


@njit(cache=True, nogil=True)
def _load(data: NDArray[np.uint8], lane: Lane) -> None:
    """Make the next restart interval ready."""
    state = lane.state
    size, state[END] = _unstuff(data, state[BEGIN], lane.bytes)
    lane.bytes[size : size + 8] = 0
    state[BIT] = state[K] = state[SLOT] = state[BLOCK] = lane.starts[0] = 0
    state[END_BIT] = 8 * size
    blocks = min(state[STEP], state[TOTAL] - state[AT]) * state[SLOTS]
    state[STOP] = min(blocks, 4 * size + 1)  # no more blocks than this can be in these bytes


@njit(cache=True, nogil=True)
def _draw(lane: Lane, facts: NDArray[np.int64], planes: NDArray[np.uint8], good: int) -> int:
    """Draw the DC terms of the interval's first MCUs, and return how many of these have terms that can be."""
    state, parts = lane.state, lane.frame.components
    last = np.zeros(4, np.int64)
    level = np.zeros(10, np.int64)
    for mcu in range(good):
        for slot in range(state[SLOTS]):
            part = lane.order[slot, 0]
            bit = lane.starts[mcu * state[SLOTS] + slot]
            window = _window(lane.bytes, np.uint64(bit))
            base = lane.bases[2 * slot]
            entry = int(lane.frame.lookup[base + (window >> _SHIFT)])
            if entry >= 0:
                size = entry >> 5 & 15
                length = (entry & 31) - size
            else:
                size, length = _decode(lane, int(base) >> WIDTH, bit, state[END_BIT])
            value = int(((window << np.uint64(length)) >> _ONE) >> np.uint64(63 - size))
            last[part] += value - (1 << size) + 1 if size and value < 1 << (size - 1) else value
            quantiser = lane.frame.quantisers[parts[part, TABLE]]
            level[slot] = last[part] * quantiser
            if abs(level[slot]) > 1024 + quantiser:
                return mcu
        for slot in range(state[SLOTS]):
            part = lane.order[slot, 0]
            across, down = (parts[part, ACROSS], parts[part, DOWN]) if state[PARTS] > 1 else (1, 1)
            y = (state[AT] + mcu) // state[COLUMNS] * down + lane.order[slot, 1]
            x = (state[AT] + mcu) % state[COLUMNS] * across + lane.order[slot, 2]
            if y < parts[part, HIGH] and x < parts[part, WIDE]:
                shade = ((level[slot] + 4) >> 3) + 128
                planes[parts[part, ORIGIN] + y * parts[part, WIDE] + x] = min(255, max(0, shade))
    return good


@njit(cache=True, nogil=True)
def _check_rest(data: NDArray[np.uint8], lane: Lane, facts: NDArray[np.int64], mcu: int) -> None:
    """Check what is left of an interval behind its last block: up to seven bits, all 1."""
    state = lane.state
    left = state[END_BIT] - state[BIT]
    if left >= 8:
        note(facts, the.LEFTOVER_DATA, _place(data, state[BEGIN], (state[BIT] + 7) // 8), mcu)
    elif left > 0:
        pad = int(_window(lane.bytes, np.uint64(state[BIT])) >> np.uint64(64 - left))
        if pad == 0:
            facts[the.ZERO_PADS] += 1
        elif pad != (1 << left) - 1:
            note(facts, the.PAD_BITS, _place(data, state[BEGIN], state[BIT] // 8), mcu)


@njit(cache=True, nogil=True)
def _conclude(data: NDArray[np.uint8], lane: Lane, facts: NDArray[np.int64], planes: NDArray[np.uint8], fault: int) -> None:
    """Enter what the interval was, and go to the next one or to the end of the scan."""
    state = lane.state
    length = min(state[STEP], state[TOTAL] - state[AT])
    before, end = state[BEFORE] + state[AT], state[END]
    done = state[BLOCK] // state[SLOTS]
    good = _draw(lane, facts, planes, done)
    if good < done:
        note(facts, the.DC_RANGE, state[BEGIN], before + good)
    elif fault == the.MISSING_DATA:
        note(facts, the.TRUNCATED if end >= data.size else fault, end, before + good)
    elif fault != the.NONE:
        note(facts, fault, _place(data, state[BEGIN], state[BIT] // 8), before + good)
    else:
        _check_rest(data, lane, facts, before + length)
    facts[the.BAD] += length - good
    left = state[TOTAL] - state[AT] - length
    state[AT] += length
    state[BEGIN] = end
    if end >= data.size:
        note(facts, the.TRUNCATED, data.size, before + length)
    elif left:
        marker = int(data[end + 1])
        if the.RST0 <= marker < the.SOI:
            if marker != the.RST0 + (state[AT] // state[STEP] - 1) % 8:
                note(facts, the.RESTART_ORDER, end, before + length)
            state[BEGIN] = end + 2
            return
        note(facts, the.MISSING_DATA, end, before + length)
    facts[the.BAD] += left
    state[AT] = state[TOTAL]
    while end < data.size and the.RST0 <= data[end + 1] < the.SOI:
        note(facts, the.UNEXPECTED_MARKER, end, state[BEFORE] + state[TOTAL])
        end = _unstuff(data, end + 2, lane.bytes)[1]
    state[NEXT] = end


@njit(cache=True, nogil=True)
def _open(data: NDArray[np.uint8], lane: Lane, facts: NDArray[np.int64], planes: NDArray[np.uint8]) -> bool:
    """Go to the file's next restart interval; say whether there is one."""
    state = lane.state
    if state[AT] == state[TOTAL]:
        place = next_scan(data, state[NEXT], lane.frame, facts)
        if place == NOTHING:
            return False
        if state[NEXT] == 2 or facts[the.MCUS] == 0:
            planes[: 4 * data.size][: int((lane.frame.components[:, WIDE] * lane.frame.components[:, HIGH]).sum())] = 128
        if not _begin_scan(data, place, lane, facts):
            note(facts, the.BAD_SCAN, place, -1)
            return False
    _load(data, lane)
    return True


@njit(cache=True, nogil=True)
def _start(data: NDArray[np.uint8], lane: Lane, facts: NDArray[np.int64]) -> bool:
    """Begin a file; say whether it begins like a JPEG."""
    facts[:] = 0
    lane.frame.quantisers[:] = 0
    lane.frame.known[:] = False
    lane.frame.components[:] = 0
    lane.state[AT] = lane.state[TOTAL] = 0
    lane.state[NEXT] = 2
    if data.size < 2 or data[0] != 0xFF or data[1] != the.SOI:
        note(facts, the.NOT_JPEG, 0, -1)
        return False
    return True


@njit(cache=True, nogil=True)
def _feed(
    lane: Lane,
    coming: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    facts: NDArray[np.int64],
    planes: NDArray[np.uint8],
) -> int:
    """Go on until the lane has an interval to walk or no file is left; return the next file that no lane has begun."""
    state = lane.state
    while True:
        if state[FILE] == IDLE:
            if coming == len(facts):
                return coming
            state[FILE] = coming
            coming += 1
            if not _start(data[offsets[coming - 1] : offsets[coming]], lane, facts[coming - 1]):
                state[FILE] = IDLE
                continue
        one = state[FILE]
        if _open(data[offsets[one] : offsets[one + 1]], lane, facts[one], planes[4 * offsets[one] : 4 * offsets[one + 1]]):
            return coming
        state[FILE] = IDLE


@njit(cache=True, nogil=True)
def walk_files(data: NDArray[np.uint8], offsets: NDArray[np.int64], facts: NDArray[np.int64], planes: NDArray[np.uint8]) -> None:
    """Walk each of the files that lie end to end in `data`; those of file i go into `facts[i]` and into `planes` from 4 · offsets[i] on."""
    longest = 0
    for one in range(len(facts)):
        longest = max(longest, offsets[one + 1] - offsets[one])
    a, b = _new_lane(longest), _new_lane(longest)
    coming = _feed(a, 0, data, offsets, facts, planes)
    coming = _feed(b, coming, data, offsets, facts, planes)
    while a.state[FILE] != IDLE or b.state[FILE] != IDLE:
        if a.state[FILE] == IDLE:
            _run_one(b)
        elif b.state[FILE] == IDLE:
            _run_one(a)
        else:
            _run_two(a, b)
        for lane in (a, b):
            one = lane.state[FILE]
            if one == IDLE:
                continue
            fault = the.NONE if lane.state[BLOCK] == lane.state[STOP] else _symbol(lane)
            if fault != the.NONE or lane.state[BLOCK] == lane.state[STOP]:
                span = planes[4 * offsets[one] : 4 * offsets[one + 1]]
                _conclude(data[offsets[one] : offsets[one + 1]], lane, facts[one], span, fault)
                coming = _feed(lane, coming, data, offsets, facts, planes)
