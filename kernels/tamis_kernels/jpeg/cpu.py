"""The walk in Numba: files are fed to two lanes, interval by interval, and what their bits were is entered and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.group import in_groups as in_groups
from tamis_kernels.jpeg.group import walk_in_room
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
    next_scan,
    note,
    prepare_lookup,
    sixteen,
)
from tamis_kernels.jpeg.lane import (
    AT,
    BASE,
    BEFORE,
    BEGIN,
    BIT,
    BLOCK,
    COLUMNS,
    END_BIT,
    FILE,
    FIRST,
    IDLE,
    NEXT,
    ONE,
    PARTS,
    QUANTISER,
    SCAN_BEGIN,
    SHIFT,
    SLOT,
    SLOTS,
    STEP,
    STOP,
    STOPPED,
    TABLE_BITS,
    TOTAL,
    TROUBLE,
    K,
    Lane,
    bits_from,
    finish,
    new_lane,
    place_of,
    run_one,
    run_two,
    settle,
    signed,
    unstuff,
)
from tamis_kernels.jpeg.seam import find_seam
from tamis_kernels.jpeg.tables import MOST_BITS, VALUE, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.types import Int64s, Uint8s


@of_views
def _begin_scan(data: Uint8s, place: int, lane: Lane, facts: Int64s) -> bool:
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
        if frame.quantisers[part[TABLE], 0] == 0:
            return False
        part[SCANNED] = 1
        prepare_lookup(frame, dc)
        prepare_lookup(frame, ac)
        for row in range(part[DOWN] if count > 1 else 1):
            for column in range(part[ACROSS] if count > 1 else 1):
                if slots == 10:
                    return False
                lane.order[slots, 0], lane.order[slots, 1], lane.order[slots, 2] = chosen, row, column
                lane.order[slots, QUANTISER] = frame.quantisers[part[TABLE], 0]
                lane.bases[2 * slots], lane.bases[2 * slots + 1] = dc << WIDTH, ac << WIDTH
                slots += 1
    if data[stop - 3] != 0 or data[stop - 2] != 63 or data[stop - 1] != 0:
        return False
    if facts[the.SCAN] == 0:
        facts[the.SCAN] = stop
    columns, rows = frame.components[chosen, WIDE], frame.components[chosen, HIGH]
    if count > 1:
        across = down = 0
        for number in range(facts[the.COMPONENTS]):
            across, down = max(across, 8 * frame.components[number, ACROSS]), max(down, 8 * frame.components[number, DOWN])
        columns, rows = (facts[the.WIDTH] + across - 1) // across, (facts[the.HEIGHT] + down - 1) // down
    state[SLOTS], state[PARTS], state[COLUMNS], state[TOTAL], state[AT] = slots, count, columns, columns * rows, 0
    state[STEP] = facts[the.INTERVAL] or columns * rows
    state[BEFORE], state[BEGIN], state[SCAN_BEGIN], state[END_BIT] = facts[the.MCUS], stop, stop, 0
    facts[the.MCUS] += columns * rows
    return True


@of_views
def load(data: Uint8s, lane: Lane, whole: bool) -> None:
    """Make the next restart interval ready, behind those before it if all is whole so far."""
    base = lane.state[END_BIT] // 8 if whole else 0
    size, stopped = unstuff(data, lane.state[BEGIN], lane.bytes[base:])
    begin_interval(lane, base, size, stopped, whole)


@of_views
def begin_interval(lane: Lane, base: int, size: int, stopped: int, whole: bool) -> None:
    """Begin an interval of so many bytes from `base` on, behind which the file goes on at `stopped`."""
    state, stop = lane.state, base + size
    lane.bytes[stop : stop + 8] = 0
    state[STOPPED] = stopped
    state[K] = state[SLOT] = state[TROUBLE] = 0
    state[BASE], state[BIT], state[END_BIT] = base, 8 * base, 8 * stop
    state[FIRST] = state[BLOCK] = state[AT] * state[SLOTS] if whole else 0
    lane.starts[state[BLOCK]] = state[BIT]
    blocks = min(state[STEP], state[TOTAL] - state[AT]) * state[SLOTS]
    state[STOP] = state[BLOCK] + min(blocks, 4 * size + 1)  # no more blocks than this can be in these bytes


@njit(cache=True, nogil=True, inline="always")
def difference(lane: Lane, block: int, slot: int) -> int:
    """Return the DC difference of a block, which has this place in its MCU."""
    window = bits_from(lane.bytes, np.uint64(lane.starts[block]))
    base = lane.bases[2 * slot]
    entry = signed(lane.frame.single[base + (window >> SHIFT)])
    if entry < 0:
        entry = settle(window, signed(base >> TABLE_BITS), 0, lane.frame.codes, lane.frame.symbols)
    size = entry >> VALUE
    value = signed(((window << np.uint64((entry & 31) - size)) >> ONE) >> np.uint64(63 - size))
    return value - ((1 << size) - 1) * (value < (1 << size) >> 1)


@of_views
def _sum_up(lane: Lane, mcus: int) -> int:
    """Find the DC term of each block, dequantised; return how many MCUs come before the first term that cannot be."""
    state, order, last = lane.state, lane.order, lane.last
    slots = state[SLOTS]
    last[:] = 0
    block = state[FIRST]
    for mcu in range(mcus):
        for slot in range(slots):
            part, quantiser = order[slot, 0], order[slot, QUANTISER]
            last[part] += difference(lane, block, slot)
            level = last[part] * quantiser
            if abs(level) > 1024 + quantiser:
                return mcu
            lane.levels[block] = level
            block += 1
    return mcus


@njit(cache=True, nogil=True, inline="always")
def grey_of(level: int) -> int:
    """Return the value of the 1/8 picture that a dequantised DC term makes."""
    return min(255, max(0, ((level + 4) >> 3) + 128))


@of_views
def _draw(lane: Lane, planes: Uint8s, mcus: int) -> None:
    """Draw the DC terms of the interval's first MCUs."""
    state = lane.state
    for slot in range(state[SLOTS]):
        part = lane.frame.components[lane.order[slot, 0]]
        across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
        picture = planes[part[ORIGIN] : part[ORIGIN] + part[HIGH] * part[WIDE]]
        row, column = state[AT] // state[COLUMNS], state[AT] % state[COLUMNS]
        for mcu in range(mcus):
            y, x = row * down + lane.order[slot, 1], column * across + lane.order[slot, 2]
            if y < part[HIGH] and x < part[WIDE]:
                picture[y * part[WIDE] + x] = grey_of(lane.levels[state[FIRST] + mcu * state[SLOTS] + slot])
            column += 1
            if column == state[COLUMNS]:
                column = 0
                row += 1


@of_views
def _check_rest(data: Uint8s, lane: Lane, facts: Int64s, mcu: int) -> None:
    """Check what is left of an interval behind its last block: up to seven bits, all 1."""
    state = lane.state
    left = state[END_BIT] - state[BIT]
    if left >= 8:
        note(facts, the.LEFTOVER_DATA, place_of(data, state[BEGIN], (state[BIT] + 7) // 8 - state[BASE]), mcu)
    elif left > 0:
        pad = int(bits_from(lane.bytes, np.uint64(state[BIT])) >> np.uint64(64 - left))
        if pad == 0:
            facts[the.ZERO_PADS] += 1
        elif pad != (1 << left) - 1:
            note(facts, the.PAD_BITS, place_of(data, state[BEGIN], state[BIT] // 8 - state[BASE]), mcu)


@of_views
def enter(data: Uint8s, lane: Lane, facts: Int64s, planes: Uint8s, fault: int) -> bool:
    """Draw and enter what the interval was; say whether it is a whole scan that is to be tested for a seam."""
    good = _sum_up(lane, passed(lane.state))
    _draw(lane, planes, good)
    return conclude(data, lane, facts, fault, good)


@njit(cache=True, nogil=True, inline="always")
def passed(state: Int64s) -> int:
    """Return how many MCUs of the interval have been passed whole."""
    return (state[BLOCK] - state[FIRST]) // state[SLOTS]  # type: ignore[no-any-return]


@of_views
def conclude(data: Uint8s, lane: Lane, facts: Int64s, fault: int, good: int) -> bool:
    """Enter what the interval was, of which so many MCUs are drawn, as `enter` does."""
    state = lane.state
    length = min(state[STEP], state[TOTAL] - state[AT])
    before, end = state[BEFORE] + state[AT], state[STOPPED]
    done = passed(state)
    facts[the.BAD] += length - good
    if good < done:
        note(facts, the.DC_RANGE, state[BEGIN], before + good)
    elif fault == the.MISSING_DATA:
        note(facts, the.TRUNCATED if end >= data.size else fault, end, before + good)
    elif fault != the.NONE:
        note(facts, fault, place_of(data, state[BEGIN], state[BIT] // 8 - state[BASE]), before + good)
    else:
        _check_rest(data, lane, facts, before + length)
        return bool(facts[the.FAULT] == the.NONE and state[AT] + length == state[TOTAL])
    return False


@of_views
def judge_seam(data: Uint8s, lane: Lane, facts: Int64s, planes: Uint8s) -> None:
    """Enter the seam of a whole scan, if it has one."""
    enter_seam(data, lane, facts, find_seam(lane, planes))


@of_views
def enter_seam(data: Uint8s, lane: Lane, facts: Int64s, seam: int) -> None:
    """Enter a seam, unless it is `NOTHING`."""
    state = lane.state
    if seam != NOTHING:
        place = place_of(data, state[SCAN_BEGIN], lane.starts[seam * state[SLOTS]] // 8)
        note(facts, the.SEAM, place, state[BEFORE] + seam)


@of_views
def leave(data: Uint8s, lane: Lane, facts: Int64s) -> None:
    """Go to the next interval or to the end of the scan."""
    state = lane.state
    length = min(state[STEP], state[TOTAL] - state[AT])
    before, end = state[BEFORE] + state[AT], state[STOPPED]
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
        end = unstuff(data, end + 2, lane.bytes)[1]
    state[NEXT] = end


@of_views
def open_interval(data: Uint8s, lane: Lane, facts: Int64s, planes: Uint8s) -> bool:
    """Go to the file's next restart interval, which is still to be loaded; say whether there is one."""
    state = lane.state
    if state[AT] == state[TOTAL]:
        place = next_scan(data, state[NEXT], lane.frame, facts)
        if place == NOTHING:
            return False
        if state[NEXT] == 2 or facts[the.MCUS] == 0:
            blocks = 0
            for number in range(4):
                blocks += lane.frame.components[number, WIDE] * lane.frame.components[number, HIGH]
            planes[: min(blocks, 4 * data.size)] = 128
        if not _begin_scan(data, place, lane, facts):
            note(facts, the.BAD_SCAN, place, -1)
            return False
    return True


@of_views
def begin_file(data: Uint8s, lane: Lane, facts: Int64s) -> bool:
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


@of_views
def _feed(lane: Lane, coming: int, data: Uint8s, offsets: Int64s, facts: Int64s, planes: Uint8s) -> int:
    """Go on until the lane has an interval to walk or no file is left; return the next file that no lane has begun."""
    state = lane.state
    while True:
        if state[FILE] == IDLE:
            if coming == len(facts):
                return coming
            state[FILE] = coming
            coming += 1
            if not begin_file(data[offsets[coming - 1] : offsets[coming]], lane, facts[coming - 1]):
                state[FILE] = IDLE
                continue
        one = state[FILE]
        file = data[offsets[one] : offsets[one + 1]]
        if open_interval(file, lane, facts[one], planes[4 * offsets[one] : 4 * offsets[one + 1]]):
            load(file, lane, facts[one, the.FAULT] == the.NONE)
            return coming
        state[FILE] = IDLE


def walk_group(files: Sequence[bytes | memoryview], facts: Int64s) -> list[Uint8s]:
    """Walk each of the files into its row of facts, and return their pictures."""
    return walk_in_room(walk_files, files, facts)


@njit(cache=True, nogil=True)
def walk_files(data: Uint8s, offsets: Int64s, facts: Int64s, planes: Uint8s) -> None:
    """Walk each of the files that lie end to end in `data`; those of file i go into `facts[i]` and into `planes` from 4 · offsets[i] on."""
    longest = 0
    for one in range(len(facts)):
        longest = max(longest, offsets[one + 1] - offsets[one])
    a, b = new_lane(longest), new_lane(longest)
    coming = _feed(a, 0, data, offsets, facts, planes)
    coming = _feed(b, coming, data, offsets, facts, planes)
    while a.state[FILE] != IDLE or b.state[FILE] != IDLE:
        if a.state[FILE] == IDLE:
            run_one(b)
        elif b.state[FILE] == IDLE:
            run_one(a)
        else:
            run_two(a, b)
        for lane in (a, b):
            one, state = lane.state[FILE], lane.state
            if one == IDLE or (state[TROUBLE] == the.NONE and state[BLOCK] < state[STOP] and state[END_BIT] - state[BIT] >= 2 * MOST_BITS):
                continue
            fault = state[TROUBLE] or finish(lane)
            span = planes[4 * offsets[one] : 4 * offsets[one + 1]]
            file = data[offsets[one] : offsets[one + 1]]
            if enter(file, lane, facts[one], span, fault):
                judge_seam(file, lane, facts[one], span)
            leave(file, lane, facts[one])
            coming = _feed(lane, coming, data, offsets, facts, planes)
