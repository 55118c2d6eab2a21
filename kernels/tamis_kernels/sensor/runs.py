"""Runs of like values: whole words of rows are passed over, and only what neither ends nor plainly begins a run is looked at alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import of_views
from tamis_kernels.sensor.layout import FULL, LONG_STUCK, NONE, RUN, STUCK

if TYPE_CHECKING:
    from tamis_kernels.types import Float64s, Int64s, Uint8s, Uint32s, Uint64s


@of_views
def _next(stops: Uint8s, words: Uint64s, first: int, n: int) -> int:
    """Return the first place that is marked, from `first` on, or n; `words` are the same bytes."""
    k = first
    while k < n:
        if k % 8 == 0 and words[k // 8] == 0:
            k += 8
        elif stops[k]:
            return k
        else:
            k += 1
    return n


@of_views
def flat(
    xs: Float64s, ts: Int64s, longest: int, limits: tuple[float, int, int], marks: Uint8s, values: Float64s, counts: Int64s, bits: Uint32s
) -> bool:
    """Follow runs of values within a tolerance of their first, by elapsed time; say whether one has lasted too long.

    As long as the value before is the first of its run or equal to it, a row goes on with the run if it is near the row before. That ends
    with a value that is near and not equal, unless the next one is so far off that it begins anew in any case, and with a missing
    one: from there on rows are looked at one by one until a run begins.
    """
    tolerance, suspect, fail = limits
    n = bits.size
    before, x, after, now = xs[:n], xs[1 : n + 1], xs[2 : n + 2], ts[1 : n + 1]
    near, odd = marks[0], marks[1]
    for k in range(n):
        rise = abs(x[k] - before[k])
        near[k] = rise <= tolerance
        odd[k] = (x[k] != x[k]) | ((rise <= tolerance) & (rise > 0) & ~(abs(after[k] - x[k]) > 2 * tolerance))
        bits[k] |= RUN if rise <= tolerance else NONE
    near[n : n + 8] = 0
    odd[n : n + 8] = 0
    near_words, odd_words = near.view(np.uint64), odd.view(np.uint64)
    # With steps so short, no run that begins in this block lasts long enough.
    long = max(longest, 1) > suspect // (_most_in_a_row(near_words[: n // 8 + 1]) + 1)
    anchor, start, active = values[2], counts[3], counts[4] != 0
    plain, lasted = anchor == before[0], False
    k = 0
    while k < n:
        if plain:
            stop = _next(odd, odd_words, k, n)
            end = stop if long else _first_that_is_not(near, k, stop)
            lasted |= _lasts(near, near_words, now, (k, end), start, (suspect, fail), bits)
            last = stop - 1
            while last >= k and near[last]:
                last -= 1
            if last >= k:
                anchor, start = x[last], now[last]
            k, plain = stop, False
        elif active and (x[k] != x[k] or abs(x[k] - anchor) <= tolerance):
            bits[k] |= RUN
            if x[k] == x[k] and now[k] - start >= suspect:
                bits[k] |= LONG_STUCK if now[k] - start >= fail else STUCK
                lasted = True
            k += 1
        else:
            bits[k] &= ~RUN
            if x[k] == x[k]:
                anchor, start, active, plain = x[k], now[k], True, True
            k += 1
    values[2], counts[3], counts[4] = anchor, start, active
    return lasted


@of_views
def _most_in_a_row(words: Uint64s) -> int:
    """Return a bound of how many places in a row are marked: full words, and seven places at either end."""
    most = full = 0
    for word in words:
        full = full + 1 if word == FULL else 0
        most = max(most, full)
    return 8 * most + 14


@of_views
def _first_that_is_not(marks: Uint8s, first: int, stop: int) -> int:
    k = first
    while k < stop and marks[k]:
        k += 1
    return k


@of_views
def _lasts(
    near: Uint8s, near_words: Uint64s, now: Int64s, rows: tuple[int, int], start: int, limits: tuple[int, int], bits: Uint32s
) -> bool:
    """Mark the rows, of those from one to another, whose run has lasted too long, and say whether there is one."""
    suspect, fail = limits
    first, stop = rows
    lasted = False
    while first < stop:
        end = min(first // 8 * 8 + 8, stop)
        if near_words[first // 8] == 0:
            start = now[end - 1]
        else:
            goes_on, times, some = near[first:end], now[first:end], bits[first:end]
            for k in range(some.size):
                start = start if goes_on[k] else times[k]
                elapsed = times[k] - start
                late = (elapsed >= suspect) & (goes_on[k] != 0)
                some[k] |= (LONG_STUCK if elapsed >= fail else STUCK) if late else NONE
                lasted |= late
        first = end
    return lasted
