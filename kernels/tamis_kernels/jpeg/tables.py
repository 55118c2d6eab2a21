"""Huffman tables as the walk wants them: canonical codes, and a lookup that passes several symbols at once.

An entry of a lookup for the next `WIDTH` bits of the stream; negative where the bits do not settle a symbol: bits 0 … 4 how many bits to
pass, bits 5 … 10 how many coefficients, bit 11 end of block. That is all the walk asks for, and fits into an int16: a GPU keeps the tables
of a scan in shared memory. Where an entry passes a single symbol, an int32, bits 12 … 15 say how many of the bits are its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.jpeg import layout as the

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Int32s, Int64s, Uint8s

WIDTH = 11
"""Bits that the lookup sees. On photos 10 to 12 are equally fast; 8 tables of 2,048 entries take 64 KB."""

MOST_BITS = 16 + the.LARGEST_DC  # that one entry passes; two of them fit into a window of 57 bits
UNSETTLED = -1
COUNT, END, VALUE = 5, 11, 12  # where in an entry the coefficients, the end of the block and the bits of the value stand
PASSED = (1 << VALUE) - 1

# What `codes` holds, int64[8, 3, 17], by table and length.
SMALLEST, LARGEST, INDEX = range(3)  # the smallest and largest code of that length (-1: none), and the place of the smallest one's symbol


@of_views
def canonical(counts: Int64s, codes: Int64s) -> bool:
    """Give each length its codes (T.81, C.2), and say whether there are enough for all symbols."""
    code = used = 0
    for length in range(1, 17):
        codes[SMALLEST, length] = code
        codes[INDEX, length] = used
        code += counts[length]
        used += counts[length]
        codes[LARGEST, length] = code - 1 if counts[length] else -1
        if code > 1 << length:
            return False
        code *= 2
    return True


@of_views
def one_entry(symbol: int, length: int, is_dc: bool) -> int:
    """Return the entry of one symbol."""
    if is_dc:
        if symbol > the.LARGEST_DC:
            return -1
        return (length + symbol) | symbol << VALUE | 1 << COUNT
    run, size = symbol >> 4, symbol & 15
    if symbol == the.END_OF_BLOCK:
        return length | 1 << END
    if size > the.LARGEST_AC or (size == 0 and symbol != the.ZERO_RUN):
        return -1
    return (length + size) | size << VALUE | (run + 1) << COUNT


@of_views
def build(counts: Int64s, symbols: Uint8s, codes: Int64s, is_dc: bool, lookup: NDArray[np.int16], single: Int32s) -> None:
    """Fill a lookup of 2 ** WIDTH entries, and one whose entries pass one symbol each."""
    lookup[:] = UNSETTLED
    single[:] = UNSETTLED
    for length in range(1, WIDTH + 1):
        for number in range(counts[length]):
            entry = one_entry(int(symbols[codes[INDEX, length] + number]), length, is_dc)
            start = (codes[SMALLEST, length] + number) << (WIDTH - length)
            for place in range(start, start + (1 << (WIDTH - length))):
                single[place] = entry
    for place in range(1 << WIDTH):
        entry = int(single[place])
        if entry >= 0:
            entry &= PASSED  # sizes would not add up within their bits
        while not is_dc and 0 <= entry < 1 << END and (entry & 31) < WIDTH:
            rest = (place << (entry & 31)) & ((1 << WIDTH) - 1)
            other = int(single[rest])
            length = (other & 31) - (other >> VALUE)
            if other < 0 or (entry & 31) + length > WIDTH or (entry >> COUNT) + (other >> COUNT & 63) > 63:
                break
            entry += other & PASSED
        lookup[place] = entry
