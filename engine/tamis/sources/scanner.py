r"""Find where each record of delimited text ends, and how many fields it has.

A quote opens a quoted field only at the field's start, a doubled quote in it is a quote, and text after the closing quote belongs to the
field: the rules of Arrow's parser. `\n`, `\r\n` and `\r` end a record; empty lines are no records.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tamis_kernels.compiled import njit

# A quote that nothing closes within this distance is taken for a stray one: its line alone is bad, not all that follow.
QUOTED_LIMIT = 8 << 20

UNCLOSED = -1
BLANK = 0


@njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    delimiter: int,
    final: bool,
    limit: int,
    ends: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int32],
) -> int:
    """Write the end and the width of each whole record in `data`, and return how many there are.

    A record that reaches `open_until` without an end has each line break up to there within quotes. So a later record that has one within
    quotes is there where that record was, and goes on from `open_until`: what follows quotes never closed is read once, not once a line.
    """
    quote, newline, carriage = 34, 10, 13
    at_start, in_field, in_quotes = 0, 1, 2
    size = len(data)
    count = begin = position = 0
    width, state, line_end, open_until = 1, at_start, -1, 0
    while True:
        unclosed = False
        if position >= size:
            if not final or begin >= size:
                return count
            if state == in_quotes:
                unclosed = True
            else:
                ends[count], widths[count] = size, width
                return count + 1
        if not unclosed:
            byte = data[position]
            if state == in_quotes:
                if byte == quote:
                    if position + 1 == size and not final:
                        return count
                    if position + 1 < size and data[position + 1] == quote:
                        position += 1
                    else:
                        state = in_field
                elif line_end < 0 and byte in (newline, carriage):
                    line_end = position + 1
                    if byte == carriage and line_end < size and data[line_end] == newline:
                        line_end += 1
                position = max(position + 1, open_until if line_end >= 0 else 0)
                unclosed = line_end >= 0 and state == in_quotes and position - begin > limit
            elif byte == delimiter:
                width += 1
                state = at_start
                position += 1
            elif byte in (newline, carriage):
                end = position + 1
                if byte == carriage:
                    if end == size and not final:
                        return count
                    if end < size and data[end] == newline:
                        end += 1
                ends[count], widths[count] = end, (BLANK if position == begin else width)
                count += 1
                begin = position = end
                width, state, line_end = 1, at_start, -1
            else:
                state = in_quotes if byte == quote and state == at_start else in_field
                position += 1
        if unclosed:
            end = line_end if line_end >= 0 else size
            ends[count], widths[count] = end, UNCLOSED
            count += 1
            open_until = position
            begin = position = end
            width, state, line_end = 1, at_start, -1


def scan(data: bytes, delimiter: str, *, final: bool, limit: int = QUOTED_LIMIT) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the end offsets and the numbers of fields of the whole records at the start of `data`.

    The number of fields is 0 for an empty line and -1 for a record whose quote is never closed, or not within `limit`
    bytes; such a record ends with its first line.
    """
    most = data.count(b"\n") + data.count(b"\r") + 1
    ends, widths = np.empty(most, np.int64), np.empty(most, np.int32)
    count: int = _scan(np.frombuffer(data, np.uint8), ord(delimiter), final, limit, ends, widths)
    return ends[:count], widths[:count]
