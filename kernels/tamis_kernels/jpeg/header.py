"""The segments of a JPEG, compiled: from marker to marker up to the next scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tamis_kernels.compiled import njit, of_views
from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.tables import WIDTH, build, canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Int32s, Int64s, Uint8s

# What is known of a component, int64[4, 8]. ORIGIN: where its picture begins in the file's planes.
NUMBER, ACROSS, DOWN, TABLE, WIDE, HIGH, SCANNED, ORIGIN = range(8)
NOTHING = -1

_ZIGZAG = np.array(the.ZIGZAG, np.int64)
_NUMBER = np.argsort(_ZIGZAG)  # of each place in the square


class Frame(NamedTuple):
    """What the header of one file says."""

    quantisers: Int64s  # [4, 64], in zigzag order; 0: none
    counts: Int64s  # [8, 17], codes by length; AC tables from 4 on
    symbols: Uint8s  # [8, 256]
    known: Bools  # [8]
    codes: Int64s  # [8, 3, 17]
    lookup: NDArray[np.int16]  # [8 << WIDTH]
    single: Int32s  # the same, one symbol an entry
    built: Int64s  # [8, 17 + 256], of what each lookup was built; kept from file to file
    components: Int64s  # [4, 8]


@njit(cache=True, nogil=True)
def new_frame() -> Frame:
    """Return room for one file."""
    return Frame(
        np.zeros((4, 64), np.int64),
        np.zeros((8, 17), np.int64),
        np.zeros((8, 256), np.uint8),
        np.zeros(8, np.bool_),
        np.zeros((8, 3, 17), np.int64),
        np.zeros(8 << WIDTH, np.int16),
        np.zeros(8 << WIDTH, np.int32),
        np.full((8, 273), -1, np.int64),
        np.zeros((4, 8), np.int64),
    )


@of_views
def note(facts: Int64s, code: int, place: int, mcu: int) -> None:
    """Keep the first fault."""
    if facts[the.FAULT] == the.NONE:
        facts[the.FAULT] = code
        facts[the.PLACE] = place
        facts[the.MCU] = mcu


@of_views
def sixteen(data: Uint8s, place: int) -> int:
    """Return a number of two bytes."""
    return int(data[place]) << 8 | int(data[place + 1])


@of_views
def _marker(data: Uint8s, start: int, facts: Int64s) -> int:
    """Return where the next marker is, or `NOTHING`; bytes before it that are no fill bytes are junk."""
    place = start
    junk_end = start
    while True:
        while place < data.size and data[place] != 0xFF:
            place += 1
            junk_end = place
        if place + 1 >= data.size:
            note(facts, the.TRUNCATED, data.size, -1)
            return NOTHING
        if data[place + 1] == 0:
            place += 2
            junk_end = place
        elif data[place + 1] == 0xFF:
            place += 1
        else:
            break
    if junk_end > start:
        if facts[the.JUNK_AT] == 0:
            facts[the.JUNK_AT] = start
        facts[the.JUNK] += junk_end - start
    return place


@of_views
def next_scan(data: Uint8s, begin: int, frame: Frame, facts: Int64s) -> int:
    """Read segments from `begin` on, and return where the next start of scan is; `NOTHING` where the walk ends."""
    place = begin
    while True:
        place = _marker(data, place, facts)
        if place == NOTHING:
            return NOTHING
        marker = int(data[place + 1])
        if marker == the.EOI:
            facts[the.END] = place + 2
            scanned = 0
            for number in range(facts[the.COMPONENTS]):
                scanned += frame.components[number, SCANNED]
            if facts[the.COMPONENTS] == 0 or scanned < facts[the.COMPONENTS]:
                note(facts, the.MISSING_COMPONENT, place, -1)
            if facts[the.ODD]:
                note(facts, the.ODD_QUANTISATION_TABLE, facts[the.ODD], -1)
            return NOTHING
        if marker == the.TEM or the.RST0 <= marker < the.SOI:
            place += 2
            continue
        fault, at = the.NONE, place
        stop = data.size + 1 if place + 4 > data.size else place + 2 + sixteen(data, place + 2)
        if marker == the.SOI or marker < the.SOF0 or the.JPG0 <= marker < the.COM:
            fault = the.UNEXPECTED_MARKER
        elif stop > data.size:
            fault, at = the.TRUNCATED, data.size
        elif stop < place + 4:
            fault = the.BAD_SEGMENT
        elif marker == the.DQT:
            fault, at = _read_quantisers(data, place + 4, stop, frame, facts)
        elif marker == the.DHT:
            fault, at = _read_codes(data, place + 4, stop, frame)
        elif marker == the.SOF0 or marker == the.SOF1:
            fault = _read_frame(data, place, stop, frame, facts)
        elif marker == the.DNL or (the.SOF0 <= marker < the.RST0 and marker != the.JPG and marker != the.DAC):
            fault = the.UNSUPPORTED
        elif marker == the.DRI:
            if stop != place + 6:
                fault = the.BAD_SEGMENT
            else:
                facts[the.INTERVAL] = sixteen(data, place + 4)
        if fault != the.NONE:
            note(facts, fault, at, -1)
            return NOTHING
        if marker == the.SOS:
            return place
        place = stop


@of_views
def _read_quantisers(data: Uint8s, begin: int, stop: int, frame: Frame, facts: Int64s) -> tuple[int, int]:
    place = begin
    while place < stop:
        wide, table = int(data[place]) >> 4, int(data[place]) & 15
        size = 128 if wide else 64
        if wide > 1 or table > 3 or place + 1 + size > stop:
            return the.BAD_QUANTISATION_TABLE, place
        values = frame.quantisers[table]
        least = 1
        for number in range(64):
            at = place + 1 + (1 + wide) * number
            values[number] = sixteen(data, at) if wide else int(data[at])
            least = min(least, values[number])
        if least == 0:
            return the.BAD_QUANTISATION_TABLE, place
        odd = _odd_entry(values)
        if odd != NOTHING and facts[the.ODD] == 0:
            facts[the.ODD] = place + 1 + (1 + wide) * odd
        place += 1 + size
    return the.NONE, 0


@of_views
def _odd_entry(values: Int64s) -> int:
    """Return the first entry, but for that of DC, which is far from all its neighbours in the square; `NOTHING` where none is."""
    for number in range(1, 64):
        y, x, one = _ZIGZAG[number] >> 3, _ZIGZAG[number] & 7, values[number]
        largest, smallest = np.int64(0), np.int64(1 << 16)
        for row in range(max(0, y - 1), min(8, y + 2)):
            for column in range(max(0, x - 1), min(8, x + 2)):
                if row != y or column != x:
                    around = values[_NUMBER[8 * row + column]]
                    largest, smallest = max(largest, around), min(smallest, around)
        if one > the.ODD_FACTOR * largest + the.ODD_SLACK or smallest > the.ODD_FACTOR * one + the.ODD_SLACK:
            return number
    return NOTHING


@of_views
def _read_codes(data: Uint8s, begin: int, stop: int, frame: Frame) -> tuple[int, int]:
    place = begin
    while place < stop:
        kind, number = int(data[place]) >> 4, int(data[place]) & 15
        if kind > 1 or number > 3 or place + 17 > stop:
            return the.BAD_HUFFMAN_TABLE, place
        table = 4 * kind + number
        total = 0
        for length in range(1, 17):
            frame.counts[table, length] = data[place + length]
            total += int(data[place + length])
        if total > 256 or place + 17 + total > stop:
            return the.BAD_HUFFMAN_TABLE, place
        for number in range(total):
            frame.symbols[table, number] = data[place + 17 + number]
        frame.known[table] = True
        if not canonical(frame.counts[table], frame.codes[table]):
            return the.BAD_HUFFMAN_TABLE, place
        place += 17 + total
    return the.NONE, 0


@of_views
def _read_frame(data: Uint8s, place: int, stop: int, frame: Frame, facts: Int64s) -> int:
    body = place + 4
    if facts[the.COMPONENTS] or stop < body + 6:
        return the.BAD_FRAME
    height, width, count = sixteen(data, body + 1), sixteen(data, body + 3), int(data[body + 5])
    facts[the.HEIGHT], facts[the.WIDTH], facts[the.COMPONENTS] = height, width, count
    if data[body] == 12 or height == 0:
        return the.UNSUPPORTED
    if data[body] != 8 or width == 0 or not 1 <= count <= 4 or stop != body + 6 + 3 * count:
        return the.BAD_FRAME
    parts = frame.components
    for number in range(count):
        at = body + 6 + 3 * number
        parts[number, NUMBER], parts[number, TABLE], parts[number, SCANNED] = int(data[at]), int(data[at + 2]), 0
        parts[number, ACROSS], parts[number, DOWN] = int(data[at + 1]) >> 4, int(data[at + 1]) & 15
        if not (1 <= parts[number, ACROSS] <= 4 and 1 <= parts[number, DOWN] <= 4) or parts[number, TABLE] > 3:
            return the.BAD_FRAME
        for other in range(number):
            if parts[other, NUMBER] == parts[number, NUMBER]:
                return the.BAD_FRAME
    most_across = most_down = blocks = 0
    for number in range(count):
        most_across, most_down = max(most_across, parts[number, ACROSS]), max(most_down, parts[number, DOWN])
    for number in range(count):
        one = parts[number]
        one[WIDE] = ((width * one[ACROSS] + most_across - 1) // most_across + 7) // 8
        one[HIGH] = ((height * one[DOWN] + most_down - 1) // most_down + 7) // 8
        one[ORIGIN] = blocks
        blocks += one[WIDE] * one[HIGH]
        facts[the.SIDES + 2 * number], facts[the.SIDES + 2 * number + 1] = one[HIGH], one[WIDE]
        facts[the.SAMPLING + number] = 16 * one[ACROSS] + one[DOWN]
    return the.TOO_FEW_BYTES if the.LEAST_BITS_PER_BLOCK * blocks > 8 * data.size else the.NONE


@of_views
def prepare_lookup(frame: Frame, table: int) -> None:
    """Build the lookup of a table, unless it was built of the same codes for an earlier file."""
    total = 0
    for length in range(1, 17):
        total += frame.counts[table, length]
    built = frame.built[table]
    same = True
    for length in range(1, 17):
        same = same and built[length] == frame.counts[table, length]
    for place in range(total):
        same = same and built[17 + place] == frame.symbols[table, place]
    if same:
        return
    for length in range(1, 17):
        built[length] = frame.counts[table, length]
    for place in range(total):
        built[17 + place] = frame.symbols[table, place]
    lookup, single = frame.lookup[table << WIDTH : (table + 1) << WIDTH], frame.single[table << WIDTH : (table + 1) << WIDTH]
    build(frame.counts[table], frame.symbols[table], frame.codes[table], table < 4, lookup, single)
