"""Two files under way: their bits, and the loop that passes symbols in both.

One bit stream is a chain of dependent steps: look up, shift, look up. Two of them side by side fill the gaps in each other's chain, and
the common step has no branch that depends on the data. What the lookup does not settle, `settle` does: codes longer than it
sees, and the last coefficients of full blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.header import Frame, new_frame
from tamis_kernels.jpeg.tables import COUNT, END, INDEX, LARGEST, MOST_BITS, PASSED, SMALLEST, WIDTH, one_entry

if TYPE_CHECKING:
    from tamis_kernels.types import Int32s, Int64s, Uint8s, Uint64s

# Where a lane stands in its file, int64[STATE]. MCUs are counted within the scan, BEFORE are those of earlier scans. The restart intervals
# of a scan lie end to end in the lane's arrays: the one under way begins there with byte BASE and block FIRST, in the file with byte BEGIN.
BIT, K, SLOT, BLOCK, STOP, END_BIT, SLOTS, FILE, AT, TOTAL, STEP, COLUMNS, BEFORE, BEGIN, STOPPED, PARTS, NEXT, TROUBLE = range(18)
BASE, FIRST, SCAN_BEGIN = range(18, 21)
STATE = 21
QUANTISER = 3
ROOM, MOST_SIDE = 40, 8192  # numbers that the seam test needs for a block of the longer side; blocks of 65,535 pixels
SLACK = 128  # bytes behind the last one that copies and windows may reach
IDLE = -1

ONE, _SEVEN = np.uint64(1), np.uint64(7)
_BYTE = np.uint64(3)
SHIFT = np.uint64(64 - WIDTH)
_BITS = np.uint64(31)
TABLE_BITS = np.uint64(WIDTH)


class Lane(NamedTuple):
    """A file under way."""

    state: Int64s  # [STATE]
    frame: Frame
    bytes: Uint8s  # of the scan so far, without stuffed zeros and restart markers
    starts: Int64s  # the bit at which each of its blocks begins
    levels: Int32s  # the DC term of each of its blocks, dequantised
    bases: Uint64s  # [2 * 10], where the lookups of each block of an MCU begin: DC, AC
    order: Int64s  # [10, 4], component, row and column of each block of an MCU, and what its DC term is multiplied by
    last: Int64s  # [4], the last DC term of each component
    # For the seam test: jumps, and an MCU row's edges and scores. A GPU gives out no memory under way.
    jumps: Int32s
    room: Int64s  # [ROOM * side], or as many for each of a block's threads


class Batch(NamedTuple):
    """Files under way side by side, as CUDA kernels are given them. What is of one length is stacked, all else lies end to end."""

    data: Uint8s
    offsets: Int64s  # where each file begins, and the last one ends; so the five below
    facts: Int64s  # [files, FACTS]
    lanes: Lane
    pictures: Uint8s
    picture_at: Int64s
    byte_at: Int64s
    start_at: Int64s  # and its levels
    jump_at: Int64s
    room_at: Int64s


@njit(cache=True, nogil=True)
def new_lane(longest: int) -> Lane:
    """Return room for files of up to `longest` bytes."""
    return Lane(
        np.full(STATE, IDLE, np.int64),
        new_frame(),
        np.empty(longest + SLACK, np.uint8),
        np.empty(4 * longest + 16, np.int64),
        np.empty(4 * longest + 16, np.int32),
        np.zeros(20, np.uint64),
        np.zeros((10, 4), np.int64),
        np.zeros(4, np.int64),
        np.empty(4 * longest + 16 + 2 * MOST_SIDE, np.int32),
        np.empty(ROOM * min(MOST_SIDE, 4 * longest + 16), np.int64),
    )


@njit(cache=True, nogil=True, inline="always")
def signed(word: Any) -> int:
    """Return a machine word as a number that may fall below 0."""
    return np.int64(word)  # type: ignore[return-value]  # numba knows one 64-bit integer


@njit(cache=True, nogil=True, inline="always")
def bits_from(data: Uint8s, bit: np.uint64) -> np.uint64:
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


@of_views
def unstuff(data: Uint8s, begin: int, out: Uint8s) -> tuple[int, int]:
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


@of_views
def place_of(data: Uint8s, begin: int, count: int) -> int:
    """Return where in the file the byte number `count` of those that `unstuff` gives is, also where restart markers lie between."""
    place = begin
    while True:
        if data[place] == 0xFF and data[place + 1] == 0xFF:
            place += 1
            continue
        if data[place] == 0xFF and the.RST0 <= data[place + 1] < the.SOI:
            place += 2
            continue
        if count == 0:
            return place
        place += 2 if data[place] == 0xFF else 1
        count -= 1


@of_views
def settle(window: np.uint64, table: int, k: int, codes: Int64s, symbols: Uint8s) -> int:
    """Return the entry of the one symbol that begins a window, by its canonical code; minus a fault where it may not stand there."""
    bits = signed(window >> np.uint64(48))
    for length in range(1, 17):
        code = bits >> (16 - length)
        if code <= codes[table, LARGEST, length]:
            symbol = signed(symbols[table, codes[table, INDEX, length] + code - codes[table, SMALLEST, length]])
            entry = one_entry(symbol, length, k == 0)
            if entry < 0:
                return -the.BAD_CODE
            after = k + (entry >> COUNT & 63)
            if after > 64:
                return -the.TOO_MANY_COEFFICIENTS
            return entry | 1 << END if after == 64 else entry
    return -the.BAD_CODE


@of_views
def run_two(a: Lane, b: Lane) -> None:
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
        rounds = min(state0[END_BIT] - signed(bit0), state1[END_BIT] - signed(bit1)) // (2 * MOST_BITS)
        if rounds <= 0:
            break
        for _ in range(rounds):
            window0, window1 = bits_from(data0, bit0), bits_from(data1, bit1)
            for _half in range(2):
                entry0, entry1 = signed(lookup0[base0 + (window0 >> SHIFT)]), signed(lookup1[base1 + (window1 >> SHIFT)])
                next0, next1 = k0 + (entry0 >> COUNT & 63), k1 + (entry1 >> COUNT & 63)
                if (entry0 | (63 - next0)) < 0:
                    entry0 = settle(window0, signed(base0 >> TABLE_BITS), k0, a.frame.codes, a.frame.symbols)
                    entry0 = entry0 & PASSED if entry0 > 0 else entry0
                    next0 = k0 + (entry0 >> COUNT & 63)
                if (entry1 | (63 - next1)) < 0:
                    entry1 = settle(window1, signed(base1 >> TABLE_BITS), k1, b.frame.codes, b.frame.symbols)
                    entry1 = entry1 & PASSED if entry1 > 0 else entry1
                    next1 = k1 + (entry1 >> COUNT & 63)
                if (entry0 | entry1) < 0:
                    state0[TROUBLE], state1[TROUBLE] = max(0, -entry0), max(0, -entry1)
                    more = False
                    break
                length0, length1 = np.uint64(entry0) & _BITS, np.uint64(entry1) & _BITS
                end0, end1 = entry0 >> END, entry1 >> END
                bit0 += length0
                bit1 += length1
                window0 <<= length0
                window1 <<= length1
                starts0[block0 + ONE] = bit0  # stands only if the block ends here
                starts1[block1 + ONE] = bit1
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


@of_views
def run_one(a: Lane) -> None:
    """Do the same in one lane, with no other to fill the gaps."""
    data, lookup, starts, bases, state = a.bytes, a.frame.lookup, a.starts, a.bases, a.state
    bit, k, slot, block = np.uint64(state[BIT]), state[K], np.uint64(state[SLOT]), np.uint64(state[BLOCK])
    stop, slots = np.uint64(state[STOP]), np.uint64(state[SLOTS])
    base = bases[slot + slot + np.uint64(k > 0)]
    while signed(bit) + MOST_BITS <= state[END_BIT] and block < stop:
        window = bits_from(data, bit)
        entry = signed(lookup[base + (window >> SHIFT)])
        after = k + (entry >> COUNT & 63)
        if (entry | (63 - after)) < 0:
            entry = settle(window, signed(base >> TABLE_BITS), k, a.frame.codes, a.frame.symbols)
            if entry < 0:
                state[TROUBLE] = -entry
                break
            entry &= PASSED
            after = k + (entry >> COUNT & 63)
        end = entry >> END
        bit += np.uint64(entry) & _BITS
        starts[block + ONE] = bit
        block += np.uint64(end)
        k = after & (end - 1)
        slot += np.uint64(end)
        slot = np.uint64(0) if slot == slots else slot
        base = bases[slot + slot + np.uint64(1 - end)]
    state[BIT], state[K], state[SLOT], state[BLOCK] = bit, k, slot, block


@of_views
def finish(lane: Lane) -> int:
    """Pass the last symbols of an interval, where its end may come within each; return a fault, or `NONE`."""
    state = lane.state
    bit, k, slot, block, fault = pass_last(lane, state[BIT], state[K], state[SLOT], state[BLOCK], state[STOP], state[END_BIT])
    state[BIT], state[K], state[SLOT], state[BLOCK] = bit, k, slot, block
    return fault


@of_views
def pass_last(lane: Lane, bit: int, k: int, slot: int, block: int, stop: int, last: int) -> tuple[int, int, int, int, int]:
    """Do so from a bit, coefficient and block on up to a block, in an interval that ends with bit `last`; return these and a fault."""
    frame, slots = lane.frame, lane.state[SLOTS]
    while block < stop:
        left = last - bit
        table = signed(lane.bases[2 * slot + (k > 0)] >> TABLE_BITS)
        window = bits_from(lane.bytes, np.uint64(bit))
        entry = settle(window, table, k, frame.codes, frame.symbols)
        length = code_length(window, table, frame.codes)
        if length > left or (length == 0 and left < 16):
            return bit, k, slot, block, the.MISSING_DATA
        if entry < 0:
            return bit, k, slot, block, -entry
        if (entry & 31) > left:
            return bit, k, slot, block, the.MISSING_DATA
        end = entry >> END & 1
        bit += entry & 31
        k = 0 if end else k + (entry >> COUNT & 63)
        block += end
        slot = (slot + end) % slots
        if end:
            lane.starts[block] = bit
    return bit, k, slot, block, the.NONE


@of_views
def code_length(window: np.uint64, table: int, codes: Int64s) -> int:
    """Return the length of the code that begins a window; 0 where there is none."""
    bits = signed(window >> np.uint64(48))
    for length in range(1, 17):
        if bits >> (16 - length) <= codes[table, LARGEST, length]:
            return length
    return 0
