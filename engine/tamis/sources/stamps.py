"""Read times as nearly all of them are written, `YYYY-MM-DD HH:MM:SS`, in one compiled pass over the bytes of a column.

A `T` may stand for the space, a fraction of the second may follow, and behind it a zone, `Z` or `+HH:MM`. What is written in any other way
is left to the parsers of polars, which take many times as long, and with which this one agrees on all that it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis_kernels.compiled import of_views

if TYPE_CHECKING:
    import numpy.typing as npt

OTHER, NAIVE, ZONED = 0, 1, 2
SECOND = 1_000_000
DAY = 86_400 * SECOND
FIRST_YEAR = 719_162 * DAY  # microseconds from the beginning of the year 1 to 1970
LAST_YEAR = 2_932_897 * DAY  # to the end of the year 9999
LENGTH = 19  # of a time without fraction and zone


def read_stamps(text: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return int64[n] microseconds since 1970, in UTC where there is a zone, and uint8[n] which of OTHER, NAIVE and ZONED a cell is."""
    array: Any = text.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    times, kinds = np.zeros(len(text), np.int64), np.zeros(len(text), np.uint8)
    if data is not None and data.size:
        _read(np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int64)[array.offset :], times, kinds)
    return times, kinds


@of_views
def _read(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], times: npt.NDArray[np.int64], kinds: npt.NDArray[np.uint8]) -> None:
    for row in range(len(times)):
        begin, end = offsets[row], offsets[row + 1]
        if end - begin >= LENGTH:
            time = _time(data, begin)
            if time >= 0:
                _finish(data, begin + LENGTH, end, time - FIRST_YEAR, row, times, kinds)


@of_views
def _number(data: npt.NDArray[np.uint8], begin: int, end: int) -> int:
    """Return what a run of digits stands for, or -1 if there is anything else among them."""
    number = 0
    for position in range(begin, end):
        digit = int(data[position]) - 48
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number


@of_views
def _time(data: npt.NDArray[np.uint8], at: int) -> int:
    """Return the microseconds from the beginning of the year 1 to the time in the 19 bytes from here, or -1 if they are none."""
    marks = data[at + 4] == 45 and data[at + 7] == 45 and data[at + 13] == 58 and data[at + 16] == 58
    if not marks or (data[at + 10] != 32 and data[at + 10] != 84):
        return -1
    year, month, day = _number(data, at, at + 4), _number(data, at + 5, at + 7), _number(data, at + 8, at + 10)
    hour, minute, second = _number(data, at + 11, at + 13), _number(data, at + 14, at + 16), _number(data, at + 17, at + 19)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > (28 + leap if month == 2 else 30 + (month + month // 8) % 2):
        return -1
    years = year - 1 if month < 3 else year  # a year that begins in March has its odd day at its end
    since = (month + 9) % 12
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * since + 2) // 5 + day - 307
    return ((days * 24 + hour) * 60 + minute) * 60 * SECOND + second * SECOND


@of_views
def _finish(
    data: npt.NDArray[np.uint8],
    position: int,
    end: int,
    time: int,
    row: int,
    times: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.uint8],
) -> None:
    """Add the fraction and the zone that may follow whole seconds, and note the time if nothing else does."""
    if position < end and data[position] == 46:
        position += 1
        first, unit = position, SECOND
        while position < end and 48 <= data[position] <= 57:
            unit //= 10  # 0 behind six digits
            time += (int(data[position]) - 48) * unit
            position += 1
        if position == first:
            return
    if position == end:
        times[row], kinds[row] = time, NAIVE
        return
    if data[position] == 90 and position + 1 == end:
        offset = 0
    elif (data[position] == 43 or data[position] == 45) and position + 6 == end and data[position + 3] == 58:
        hours, minutes = _number(data, position + 1, position + 3), _number(data, position + 4, end)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return
        offset = (hours * 60 + minutes) * 60 * SECOND if data[position] == 43 else -(hours * 60 + minutes) * 60 * SECOND
    else:
        return
    if -FIRST_YEAR <= time - offset < LAST_YEAR:
        times[row], kinds[row] = time - offset, ZONED
