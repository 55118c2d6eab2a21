"""The walk as T.81 reads: bit by bit, symbol by symbol, every coefficient counted, only DC kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.group import in_groups as in_groups
from tamis_kernels.jpeg.reference_seam import Part, edges_of, find_seam

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s

_Block = tuple[int, int, int, int, dict[int, int]]  # component, row and column in the MCU, DC term, other coefficients


class _Fault(Exception):
    def __init__(self, code: int, place: int) -> None:
        super().__init__(code, place)
        self.code, self.place = code, place


@dataclass
class _Component:
    number: int
    across: int
    down: int
    table: int
    width: int = 0  # in blocks, as those of the picture
    height: int = 0
    scanned: bool = False


@dataclass
class _Picture:
    data: bytes
    facts: Int64s
    quantisers: dict[int, list[int]] = field(default_factory=dict)  # in zigzag order
    codes: dict[int, dict[tuple[int, int], int]] = field(default_factory=dict)  # (length, code) to symbol; AC tables from 4 on
    components: list[_Component] = field(default_factory=list)
    planes: list[Uint8s] = field(default_factory=list)
    edges: list[Int64s] = field(default_factory=list)
    interval: int = 0

    def note(self, code: int, place: int, mcu: int = -1) -> None:
        """Keep the first fault."""
        if self.facts[the.FAULT] == the.NONE:
            self.facts[[the.FAULT, the.PLACE, the.MCU]] = code, place, mcu


class _Bits:
    """The bits of one restart interval, without stuffed zeros."""

    def __init__(self, data: bytes, start: int) -> None:
        self.places: list[int] = []
        place = start
        while place < len(data):
            if data[place] == 0xFF:
                if place + 1 >= len(data):
                    place = len(data)
                    break
                if data[place + 1] == 0xFF:
                    place += 1
                    continue
                if data[place + 1] != 0:
                    break
                self.places.append(place)
                place += 2
            else:
                self.places.append(place)
                place += 1
        self.bits = [data[one] >> bit & 1 for one in self.places for bit in range(7, -1, -1)]
        self.end = place  # of the marker, or of the file
        self.at = 0

    def place(self) -> int:
        """Return the byte in the file that holds the next bit."""
        return self.places[self.at // 8] if self.at < len(self.bits) else self.end

    def read(self, count: int) -> int:
        if self.at + count > len(self.bits):
            raise _Fault(the.MISSING_DATA, self.end)
        value = 0
        for bit in self.bits[self.at : self.at + count]:
            value = 2 * value + bit
        self.at += count
        return value

    def symbol(self, codes: dict[tuple[int, int], int]) -> int:
        start, begun = self.place(), self.at
        code = 0
        for length in range(1, 17):
            code = 2 * code + self.read(1)
            if (length, code) in codes:
                return codes[length, code]
        self.at = begun
        raise _Fault(the.BAD_CODE, start)


def walk_group(files: list[bytes | memoryview], facts: Int64s) -> list[Uint8s]:
    """Walk each of the files into its row of facts, and return their pictures."""
    pictures = []
    for file, row in zip(files, facts, strict=True):
        picture = _Picture(bytes(file), row)
        try:
            _walk(picture)
        except _Fault as fault:
            picture.note(fault.code, fault.place)
        joined = np.concatenate([np.zeros(0, np.uint8), *(plane.ravel() for plane in picture.planes)])
        pictures.append(joined if row[the.MCUS] else joined[:0])
    return pictures


def _walk(picture: _Picture) -> None:
    data, facts = picture.data, picture.facts
    if data[:2] != b"\xff\xd8":
        raise _Fault(the.NOT_JPEG, 0)
    place = 2
    while True:
        place, marker = _marker(picture, place)
        if marker == the.EOI:
            break
        if marker == the.TEM or the.RST0 <= marker < the.SOI:
            place += 2
            continue
        if marker == the.SOI or marker < the.SOF0 or the.JPG0 <= marker < the.COM:
            raise _Fault(the.UNEXPECTED_MARKER, place)
        length = int.from_bytes(data[place + 2 : place + 4])
        body, stop = place + 4, place + 2 + length
        if stop > len(data) or place + 4 > len(data):
            raise _Fault(the.TRUNCATED, len(data))
        if length < 2:
            raise _Fault(the.BAD_SEGMENT, place)
        if marker == the.DQT:
            _read_quantisers(picture, body, stop)
        elif marker == the.DHT:
            _read_codes(picture, body, stop)
        elif marker in (the.SOF0, the.SOF1):
            _read_frame(picture, place, stop)
        elif marker == the.DNL or (the.SOF0 <= marker < the.RST0 and marker not in (the.JPG, the.DAC)):
            raise _Fault(the.UNSUPPORTED, place)
        elif marker == the.DRI:
            if length != 4:
                raise _Fault(the.BAD_SEGMENT, place)
            picture.interval = facts[the.INTERVAL] = int.from_bytes(data[body:stop])
        if marker == the.SOS:
            stop = _scan(picture, place, stop)
        place = stop
    facts[the.END] = place + 2
    if not picture.components or not all(component.scanned for component in picture.components):
        picture.note(the.MISSING_COMPONENT, place)
    if facts[the.ODD]:
        picture.note(the.ODD_QUANTISATION_TABLE, int(facts[the.ODD]))


def _marker(picture: _Picture, place: int) -> tuple[int, int]:
    """Return where the next marker is, and which; bytes before it that are no fill bytes are junk."""
    data, start = picture.data, place
    place = data.find(b"\xff", place)
    while 0 <= place < len(data) - 1 and data[place + 1] in (0x00, 0xFF):
        place = data.find(b"\xff", place + 1)
    if not 0 <= place < len(data) - 1:
        raise _Fault(the.TRUNCATED, len(data))
    junk = len(data[start:place].rstrip(b"\xff"))
    if junk:
        picture.facts[the.JUNK_AT] = picture.facts[the.JUNK_AT] or start
        picture.facts[the.JUNK] += junk
    return place, data[place + 1]


def _read_quantisers(picture: _Picture, place: int, stop: int) -> None:
    data = picture.data
    while place < stop:
        wide, table = data[place] >> 4, data[place] & 15
        size = 128 if wide else 64
        if wide > 1 or table > 3 or place + 1 + size > stop:
            raise _Fault(the.BAD_QUANTISATION_TABLE, place)
        values = [int.from_bytes(data[at : at + 1 + wide]) for at in range(place + 1, place + 1 + size, 1 + wide)]
        if 0 in values:
            raise _Fault(the.BAD_QUANTISATION_TABLE, place)
        picture.quantisers[table] = values
        odd = _odd_entry(values)
        if odd and not picture.facts[the.ODD]:
            picture.facts[the.ODD] = place + 1 + (1 + wide) * odd
        place += 1 + size


def _odd_entry(values: list[int]) -> int:
    """Return the first entry, but for that of DC, which is far from all its neighbours in the square; 0 where none is."""
    square = {divmod(place, 8): value for place, value in zip(the.ZIGZAG, values, strict=True)}
    for number in range(1, 64):
        y, x = divmod(the.ZIGZAG[number], 8)
        beside = [square[at] for at in square if at != (y, x) and abs(at[0] - y) <= 1 and abs(at[1] - x) <= 1]
        if values[number] > the.ODD_FACTOR * max(beside) + the.ODD_SLACK or min(beside) > the.ODD_FACTOR * values[number] + the.ODD_SLACK:
            return number
    return 0


def _read_codes(picture: _Picture, place: int, stop: int) -> None:
    data = picture.data
    while place < stop:
        kind, table = data[place] >> 4, data[place] & 15
        counts = data[place + 1 : min(place + 17, stop)]
        symbols = data[place + 17 : place + 17 + sum(counts)]
        if kind > 1 or table > 3 or len(counts) < 16 or sum(counts) > 256 or place + 17 + sum(counts) > stop:
            raise _Fault(the.BAD_HUFFMAN_TABLE, place)
        codes: dict[tuple[int, int], int] = {}
        code = used = 0
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                codes[length, code] = symbols[used]
                code, used = code + 1, used + 1
            if code > 1 << length:
                raise _Fault(the.BAD_HUFFMAN_TABLE, place)
            code *= 2
        picture.codes[4 * kind + table] = codes
        place += 17 + sum(counts)


def _read_frame(picture: _Picture, place: int, stop: int) -> None:
    data, facts = picture.data, picture.facts
    body = place + 4
    if picture.components or stop < body + 6:
        raise _Fault(the.BAD_FRAME, place)
    count = data[body + 5]
    facts[the.HEIGHT], facts[the.WIDTH] = int.from_bytes(data[body + 1 : body + 3]), int.from_bytes(data[body + 3 : body + 5])
    facts[the.COMPONENTS] = count
    if data[body] == 12 or facts[the.HEIGHT] == 0:
        raise _Fault(the.UNSUPPORTED, place)
    if data[body] != 8 or facts[the.WIDTH] == 0 or not 1 <= count <= 4 or stop != body + 6 + 3 * count:
        raise _Fault(the.BAD_FRAME, place)
    components: list[_Component] = []
    for at in range(body + 6, stop, 3):
        one = _Component(data[at], data[at + 1] >> 4, data[at + 1] & 15, data[at + 2])
        if not (1 <= one.across <= 4 and 1 <= one.down <= 4) or one.table > 3 or one.number in [other.number for other in components]:
            raise _Fault(the.BAD_FRAME, place)
        components.append(one)
    most_across, most_down = max(one.across for one in components), max(one.down for one in components)
    for number, one in enumerate(components):
        one.width = ceil(ceil(int(facts[the.WIDTH]) * one.across / most_across) / 8)
        one.height = ceil(ceil(int(facts[the.HEIGHT]) * one.down / most_down) / 8)
        facts[the.SIDES + 2 * number : the.SIDES + 2 * number + 2] = one.height, one.width
        facts[the.SAMPLING + number] = 16 * one.across + one.down
    blocks = sum(one.height * one.width for one in components)
    if the.LEAST_BITS_PER_BLOCK * blocks > 8 * len(data):
        raise _Fault(the.TOO_FEW_BYTES, place)
    picture.components = components
    picture.planes = [np.full((one.height, one.width), 128, np.uint8) for one in components]
    picture.edges = [np.zeros((one.height, one.width, 4), np.int64) for one in components]


def _scan(picture: _Picture, place: int, stop: int) -> int:
    """Walk one scan, and return where the marker behind it is."""
    data, facts = picture.data, picture.facts
    body = place + 4
    count = data[body] if body < stop else 0
    if not picture.components or not 1 <= count <= 4 or stop != body + 4 + 2 * count:
        raise _Fault(the.BAD_SCAN, place)
    by_number = {one.number: number for number, one in enumerate(picture.components)}
    chosen: list[tuple[int, int, int]] = []
    for at in range(body + 1, body + 1 + 2 * count, 2):
        number, dc, ac = by_number.get(data[at], -1), data[at + 1] >> 4, 4 + (data[at + 1] & 15)
        if number < 0 or picture.components[number].scanned or dc > 3 or dc not in picture.codes or ac not in picture.codes:
            raise _Fault(the.BAD_SCAN, place)
        if picture.components[number].table not in picture.quantisers:
            raise _Fault(the.BAD_SCAN, place)
        picture.components[number].scanned = True
        chosen.append((number, dc, ac))
    if (data[stop - 3], data[stop - 2], data[stop - 1]) != (0, 63, 0):
        raise _Fault(the.BAD_SCAN, place)
    order, columns, rows = _mcu(picture, chosen)
    if len(order) > 10:
        raise _Fault(the.BAD_SCAN, place)
    facts[the.SCAN] = facts[the.SCAN] or stop
    total, before = columns * rows, int(facts[the.MCUS])
    facts[the.MCUS] += total
    step = picture.interval or total
    begin = stop
    begins: list[int] = []
    for first in range(0, total, step):
        length = min(step, total - first)
        bits = _Bits(data, begin)
        good = _interval(picture, bits, chosen, order, (first, length, columns), begin, before, begins)
        facts[the.BAD] += length - good
        if len(begins) == total and facts[the.FAULT] == the.NONE:
            _check_seam(picture, [number for number, _, _ in chosen], (columns, rows, step), begins, before)
        begin = bits.end
        if begin >= len(data):
            picture.note(the.TRUNCATED, len(data), before + first + length)
            facts[the.BAD] += total - first - length
            break
        if first + length < total:
            marker = data[begin + 1]
            if not the.RST0 <= marker < the.SOI:
                picture.note(the.MISSING_DATA, begin, before + first + length)
                facts[the.BAD] += total - first - length
                break
            if marker != the.RST0 + first // step % 8:
                picture.note(the.RESTART_ORDER, begin, before + first + length)
            begin += 2
    while begin < len(data) and the.RST0 <= data[begin + 1] < the.SOI:
        picture.note(the.UNEXPECTED_MARKER, begin, before + total)
        begin = _Bits(data, begin + 2).end
    return begin


def _mcu(picture: _Picture, chosen: list[tuple[int, int, int]]) -> tuple[list[tuple[int, int, int]], int, int]:
    """Return the blocks of an MCU as (place in the scan, row, column), and how many MCUs stand side by side and below each other."""
    if len(chosen) == 1:
        only = picture.components[chosen[0][0]]
        return [(0, 0, 0)], only.width, only.height
    every = picture.components
    across, down = 8 * max(one.across for one in every), 8 * max(one.down for one in every)
    order = []
    for place, (number, _, _) in enumerate(chosen):
        order += [(place, row, column) for row in range(every[number].down) for column in range(every[number].across)]
    return order, -(-int(picture.facts[the.WIDTH]) // across), -(-int(picture.facts[the.HEIGHT]) // down)


def _interval(
    picture: _Picture,
    bits: _Bits,
    chosen: list[tuple[int, int, int]],
    order: list[tuple[int, int, int]],
    extent: tuple[int, int, int],
    begin: int,
    before: int,
    begins: list[int],
) -> int:
    """Walk one restart interval, draw its DC terms, note where its MCUs begin, and return how many of them are good."""
    first, length, columns = extent
    last = [0] * len(chosen)
    for mcu in range(first, first + length):
        drawn: list[_Block] = []
        begins.append(bits.place())
        try:
            for place, row, column in order:
                number, dc, ac = chosen[place]
                difference, coefficients = _block(bits, picture.codes[dc], picture.codes[ac])
                last[place] += difference
                drawn.append((number, row, column, last[place], coefficients))
        except _Fault as fault:
            code = the.TRUNCATED if fault.code == the.MISSING_DATA and bits.end >= len(picture.data) else fault.code
            picture.note(code, fault.place, before + mcu)
            return mcu - first
        if not _draw(picture, drawn, mcu, columns, alone=len(chosen) == 1):
            picture.note(the.DC_RANGE, begin, before + mcu)
            return mcu - first
    rest = bits.bits[bits.at :]
    if len(rest) >= 8:
        picture.note(the.LEFTOVER_DATA, bits.places[-(-bits.at // 8)], before + first + length)
    elif rest and 1 not in rest:
        picture.facts[the.ZERO_PADS] += 1
    elif 0 in rest:
        picture.note(the.PAD_BITS, bits.place(), before + first + length)
    return length


def _check_seam(picture: _Picture, chosen: list[int], extent: tuple[int, int, int], begins: list[int], before: int) -> None:
    """Note the seam of a scan that is whole otherwise; extent: its columns and rows of MCUs, and the MCUs of a restart interval."""
    alone = len(chosen) == 1
    parts = [
        Part(1 if alone else one.across, 1 if alone else one.down, picture.planes[number], picture.edges[number])
        for number, one in ((number, picture.components[number]) for number in chosen)
    ]
    seam = find_seam(parts, *extent)
    if seam >= 0:
        picture.note(the.SEAM, begins[seam], before + seam)


def _draw(picture: _Picture, drawn: list[_Block], mcu: int, columns: int, *, alone: bool) -> bool:
    """Draw the blocks of an MCU where all their DC terms can be; say whether they can."""
    for number, _, _, value, _ in drawn:
        quantiser = picture.quantisers[picture.components[number].table][0]
        if abs(value * quantiser) > 1024 + quantiser:
            return False
    for number, row, column, value, coefficients in drawn:
        component, plane = picture.components[number], picture.planes[number]
        y = mcu // columns * (1 if alone else component.down) + row
        x = mcu % columns * (1 if alone else component.across) + column
        if y < component.height and x < component.width:
            quantisers = picture.quantisers[component.table]
            level = value * quantisers[0]
            plane[y, x] = min(255, max(0, (level + 4 >> 3) + 128))
            picture.edges[number][y, x] = edges_of(level, {k: value * quantisers[k] for k, value in coefficients.items()})
    return True


def _block(bits: _Bits, dc: dict[tuple[int, int], int], ac: dict[tuple[int, int], int]) -> tuple[int, dict[int, int]]:
    """Pass one block, and return its DC difference and its other coefficients by their place."""
    start = bits.place()
    size = bits.symbol(dc)
    if size > the.LARGEST_DC:
        raise _Fault(the.BAD_CODE, start)
    difference = _value(bits, size)
    coefficients = {}
    k = 1
    while k < 64:
        start = bits.place()
        symbol = bits.symbol(ac)
        if symbol == the.END_OF_BLOCK:
            break
        run, size = symbol >> 4, symbol & 15
        if size > the.LARGEST_AC or (size == 0 and symbol != the.ZERO_RUN):
            raise _Fault(the.BAD_CODE, start)
        k += run + 1
        if k > 64:
            raise _Fault(the.TOO_MANY_COEFFICIENTS, start)
        coefficients[k - 1] = _value(bits, size)
    return difference, coefficients


def _value(bits: _Bits, size: int) -> int:
    """Read a value of so many bits; a first bit of 0 marks one below 0 (T.81, F.2.2.1)."""
    value = bits.read(size)
    return value - (1 << size) + 1 if size and value < 1 << size - 1 else value
