"""The walk in Numba: several symbols a lookup, two files in one loop.

One bit stream is a chain of dependent steps: look up, shift, look up. Two of them side by side fill the gaps in each other's chain, and
the common step has no branch that depends on the data. What the lookup does not settle, `_settle` does: codes longer than it
sees, and the last coefficients of full blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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
from tamis_kernels.jpeg.tables import INDEX, LARGEST, MOST_BITS, SMALLEST, WIDTH, one_entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where a lane stands in its file, int64[STATE]. MCUs are counted within the scan, BEFORE are those of earlier scans.
BIT, K, SLOT, BLOCK, STOP, END_BIT, SLOTS, FILE, AT, TOTAL, STEP, COLUMNS, BEFORE, BEGIN, END, PARTS, NEXT, TROUBLE = range(18)
STATE = 18
SLACK = 128  # bytes behind the last one that copies and windows may reach
IDLE = -1

_ONE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(7), np.uint64(8)
_BYTE = np.uint64(3)
_SHIFT = np.uint64(64 - WIDTH)
_BITS = np.uint64(31)
_WIDTH = np.uint64(WIDTH)


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
def _signed(word: Any) -> int:
    """Return a machine word as a number that may fall below 0."""
    return np.int64(word)  # type: ignore[return-value]  # numba knows one 64-bit integer


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
    """Copy the bytes up to the next marker without stuffed zeros; return how many they are, and where the marker or the file's end is.

    Bytes are copied 64 at a time, at 28 GB/s, wherever none of them is 0xFF; `out` has room for as many behind its end.
    """
    place, size = begin, 0
    while place < data.size:
        stop = min(place + 64, data.size)
        if stop == place + 64:
            source, target = data[place:stop], out[size : size + 64]
            largest = np.uint8(0)
            for step in range(64):
                target[step] = source[step]
                largest = max(largest, source[step])
            if largest != 0xFF:
                place += 64
                size += 64
                continue
        while place < stop and data[place] != 0xFF:
            out[size] = data[place]
            size += 1
            place += 1
        if place == stop:
            continue
        if place + 1 >= data.size:
            return size, data.size
        if data[place + 1] == 0xFF:
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
def _settle(window: np.uint64, table: int, k: int, codes: NDArray[np.int64], symbols: NDArray[np.uint8]) -> int:
    """Return the entry of the one symbol that begins a window, by its canonical code; minus a fault where it may not stand there."""
    bits = _signed(window >> np.uint64(48))
    for length in range(1, 17):
        code = bits >> (16 - length)
        if code <= codes[table, LARGEST, length]:
            symbol = _signed(symbols[table, codes[table, INDEX, length] + code - codes[table, SMALLEST, length]])
            entry = one_entry(symbol, length, k == 0)
            if entry < 0:
                return -the.BAD_CODE
            after = k + (entry >> 9 & 63)
            if after > 64:
                return -the.TOO_MANY_COEFFICIENTS
            return entry | 1 << 15 if after == 64 else entry
    return -the.BAD_CODE


@njit(cache=True, nogil=True)
def _run_two(a: Lane, b: Lane) -> None:
    """Pass symbols in both lanes until one of them comes to its last block, to the last bits of its interval, or to a fault."""
    data0, lookup0, starts0, bases0, state0 = a.bytes, a.frame.lookup, a.starts, a.bases, a.state
    data1, lookup1, starts1, bases1, state1 = b.bytes, b.frame.lookup, b.starts, b.bases, b.state
    bit0, k0, slot0, block0 = np.uint64(state0[BIT]), state0[K], np.uint64(state0[SLOT]), np.uint64(state0[BLOCK])
    bit1, k1, slot1, block1 = np.uint64(state1[BIT]), state1[K], np.uint64(state1[SLOT]), np.uint64(state1[BLOCK])
    stop0, slots0 = np.uint64(state0[STOP]), np.uint64(state0[SLOTS])
    stop1, slots1 = np.uint64(state1[STOP]), np.uint64(state1[SLOTS])
    base0, base1 = bases0[slot0 + slot0 + np.uint64(k0 > 0)], bases1[slot1 + slot1 + np.uint64(k1 > 0)]
    more = True
    while more:
        rounds = min(state0[END_BIT] - _signed(bit0), state1[END_BIT] - _signed(bit1)) // (2 * MOST_BITS)
        if rounds <= 0:
            break
        for _ in range(rounds):
            window0, window1 = _window(data0, bit0), _window(data1, bit1)
            for _half in range(2):
                entry0, entry1 = _signed(lookup0[base0 + (window0 >> _SHIFT)]), _signed(lookup1[base1 + (window1 >> _SHIFT)])
                next0, next1 = k0 + (entry0 >> 9 & 63), k1 + (entry1 >> 9 & 63)
                if (entry0 | (63 - next0)) < 0:
                    entry0 = _settle(window0, _signed(base0 >> _WIDTH), k0, a.frame.codes, a.frame.symbols)
                    next0 = k0 + (entry0 >> 9 & 63)
                if (entry1 | (63 - next1)) < 0:
                    entry1 = _settle(window1, _signed(base1 >> _WIDTH), k1, b.frame.codes, b.frame.symbols)
                    next1 = k1 + (entry1 >> 9 & 63)
                if (entry0 | entry1) < 0:
                    state0[TROUBLE], state1[TROUBLE] = max(0, -entry0), max(0, -entry1)
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
    """Do the same in one lane, with no other to fill the gaps."""
    data, lookup, starts, bases, state = a.bytes, a.frame.lookup, a.starts, a.bases, a.state
    bit, k, slot, block = np.uint64(state[BIT]), state[K], np.uint64(state[SLOT]), np.uint64(state[BLOCK])
    stop, slots = np.uint64(state[STOP]), np.uint64(state[SLOTS])
    base = bases[slot + slot + np.uint64(k > 0)]
    while _signed(bit) + MOST_BITS <= state[END_BIT] and block < stop:
        window = _window(data, bit)
        entry = _signed(lookup[base + (window >> _SHIFT)])
        after = k + (entry >> 9 & 63)
        if (entry | (63 - after)) < 0:
            entry = _settle(window, _signed(base >> _WIDTH), k, a.frame.codes, a.frame.symbols)
            if entry < 0:
                state[TROUBLE] = -entry
                break
            after = k + (entry >> 9 & 63)
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
def _finish(lane: Lane) -> int:
    """Pass the last symbols of an interval, where its end may come within each; return a fault, or `NONE`."""
    state, frame = lane.state, lane.frame
    while state[BLOCK] < state[STOP]:
        left = state[END_BIT] - state[BIT]
        table = _signed(lane.bases[2 * state[SLOT] + (state[K] > 0)] >> _WIDTH)
        entry = _settle(_window(lane.bytes, np.uint64(state[BIT])), table, state[K], frame.codes, frame.symbols)
        length = _code_length(lane, table)
        if length > left or (length == 0 and left < 16):
            return the.MISSING_DATA
        if entry < 0:
            return -entry
        if (entry & 31) > left:
            return the.MISSING_DATA
        end = entry >> 15
        state[BIT] += entry & 31
        state[K] = 0 if end else state[K] + (entry >> 9 & 63)
        state[BLOCK] += end
        state[SLOT] = (state[SLOT] + end) % state[SLOTS]
        if end:
            lane.starts[state[BLOCK]] = state[BIT]
    return the.NONE


@njit(cache=True, nogil=True)
def _code_length(lane: Lane, table: int) -> int:
    """Return the length of the code that comes next; 0 where there is none."""
    bits = _signed(_window(lane.bytes, np.uint64(lane.state[BIT])) >> np.uint64(48))
    for length in range(1, 17):
        if bits >> (16 - length) <= lane.frame.codes[table, LARGEST, length]:
            return length
    return 0


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
    state[BIT] = state[K] = state[SLOT] = state[BLOCK] = state[TROUBLE] = lane.starts[0] = 0
    state[END_BIT] = 8 * size
    blocks = min(state[STEP], state[TOTAL] - state[AT]) * state[SLOTS]
    state[STOP] = min(blocks, 4 * size + 1)  # no more blocks than this can be in these bytes


@njit(cache=True, nogil=True)
def _sum_up(lane: Lane, mcus: int) -> int:
    """Turn where each block begins into its DC term, dequantised; return how many MCUs come before the first term that cannot be."""
    state, starts, lookup, data, codes = lane.state, lane.starts, lane.frame.lookup, lane.bytes, lane.frame.codes
    slots = state[SLOTS]
    part, quantiser = np.zeros(10, np.int64), np.zeros(10, np.int64)
    for slot in range(slots):
        part[slot] = lane.order[slot, 0]
        quantiser[slot] = lane.frame.quantisers[lane.frame.components[part[slot], TABLE]]
    last = np.zeros(4, np.int64)
    block = 0
    for mcu in range(mcus):
        for slot in range(slots):
            window = _window(data, np.uint64(starts[block]))
            base = lane.bases[2 * slot]
            entry = _signed(lookup[base + (window >> _SHIFT)])
            if entry < 0:
                entry = _settle(window, _signed(base >> _WIDTH), 0, codes, lane.frame.symbols)
            size = entry >> 5 & 15
            value = _signed(((window << np.uint64((entry & 31) - size)) >> _ONE) >> np.uint64(63 - size))
            value -= ((1 << size) - 1) * (value < (1 << size) >> 1)
            last[part[slot]] += value
            level = last[part[slot]] * quantiser[slot]
            if abs(level) > 1024 + quantiser[slot]:
                return mcu
            starts[block] = level
            block += 1
    return mcus


@njit(cache=True, nogil=True)
def _draw(lane: Lane, planes: NDArray[np.uint8], mcus: int) -> None:
    """Draw the DC terms of the interval's first MCUs."""
    state = lane.state
    for slot in range(state[SLOTS]):
        part = lane.frame.components[lane.order[slot, 0]]
        across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
        picture = planes[part[ORIGIN] : part[ORIGIN] + part[HIGH] * part[WIDE]].reshape(part[HIGH], part[WIDE])
        row, column = state[AT] // state[COLUMNS], state[AT] % state[COLUMNS]
        for mcu in range(mcus):
            y, x = row * down + lane.order[slot, 1], column * across + lane.order[slot, 2]
            if y < part[HIGH] and x < part[WIDE]:
                picture[y, x] = min(255, max(0, ((lane.starts[mcu * state[SLOTS] + slot] + 4) >> 3) + 128))
            column += 1
            if column == state[COLUMNS]:
                column = 0
                row += 1


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
    good = _sum_up(lane, done)
    _draw(lane, planes, good)
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
            one, state = lane.state[FILE], lane.state
            if one == IDLE or (state[TROUBLE] == the.NONE and state[BLOCK] < state[STOP] and state[END_BIT] - state[BIT] >= 2 * MOST_BITS):
                continue
            fault = state[TROUBLE] or _finish(lane)
            span = planes[4 * offsets[one] : 4 * offsets[one + 1]]
            _conclude(data[offsets[one] : offsets[one + 1]], lane, facts[one], span, fault)
            coming = _feed(lane, coming, data, offsets, facts, planes)
