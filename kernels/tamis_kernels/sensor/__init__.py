"""Quality control of a time series: one pass over time, value and validity, with a bit per test and a QARTOD flag.

The tests are those of the QARTOD manuals of the US Integrated Ocean Observing System, with time in whole nanoseconds. All but `hampel`
are one fused pass, `Scan`, whose state is a small fixed array: chunks of any size give the same bits and flags. A spike needs the row
after it, so `feed` returns the rows that are settled, which lag by one row, and `finish` the last one.

| test | suspect, and with the second number fail, where |
|---|---|
| `missing` | the value is not valid or NaN: flag 9 |
| `sentinel` | the value equals a code: flag 9, and for all other tests the value is missing |
| `range` | outside a closed span; infinities always fail |
| `spike` | abs(x - (a + b) / 2) > limit, or x is above or below both neighbours a and b by more than a limit (differential) |
| `rate` | abs(x - a) / seconds > limit, if time moved forward |
| `flat` | a run of values within a tolerance of its first has lasted for some time |
| `attenuated` | the range over this pane and eight before it, each an eighth of the window, is below a limit; half of them have values |
| `gap` | time moved forward by more than a limit |
| `duplicate`, `reversed` | time stood still, or went back |
| `saturated` | a value and one beside it at or beyond a rail |
| `hampel` | far from the median of the window, by the median of the deviations |
| `jitter` | a step is no gap, and differs from the nominal period by more than a limit |
| `drift` | the time is farther than a limit from the grid of the nominal period that begins at the first row |

Neighbours are the rows before and after in the given order; where one is missing, what needs it is not evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array, check_offsets, read_only
from tamis_kernels.backend import implementation, resolve
from tamis_kernels.errors import ArgumentError
from tamis_kernels.sensor.layout import Rows, State

if TYPE_CHECKING:
    from types import ModuleType

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Float64s, Floats, Int64s, Uint8s, Uint32s


__all__ = ["FAIL", "RUN", "TESTS", "Limits", "Scan", "hampel", "quality", "quality_of_groups", "whole_runs"]

TESTS = (
    "missing", "sentinel", "range", "spike", "rate", "flat", "attenuated", "gap", "duplicate", "reversed", "saturated", "hampel",
    "jitter", "drift",
)  # fmt: skip
"""Bit t of a row is set where TESTS[t] is suspect or fails, bit FAIL + t where it fails."""
FAIL = 16
RUN = 1 << 15
"""Set where a row goes on with the run of like values of the row before it; see `whole_runs`."""
NEVER = (1 << 63) - 1
MAD = 1.4826  # the standard deviation of normal data by its median absolute deviation
WIDEST = 99

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Which tests are made, and their limits; None, or nothing, for a test that is not made.

    Pairs are (suspect, fail); `math.inf` for a grade that is never given. Durations are nanoseconds.

    Parameters
    ----------
    sentinels
        Codes for a missing value; compared as the type of the values.
    suspect_span, fail_span
        Least and largest value, both inside.
    spike, spike_differential
        Limits in the unit of the value: by the mean of both neighbours, and by the nearer of both where the value is above or below both.
    rate
        Limits in units of the value a second.
    flat_tolerance, flat
        How far from the first value a run may go, and after how long it is suspect and fails (None: never).
    attenuated, attenuated_window
        The least range of a living signal, and over how long.
    gap
        The longest step.
    ordered
        Whether duplicate and reversed times are told.
    rails
        The lowest and the highest value that the instrument can give; NaN where not known.
    period, jitter, drift
        The nominal step, by how much one step may differ from it, and how far time may be from the grid.
    """

    sentinels: tuple[float, ...] = ()
    suspect_span: Pair | None = None
    fail_span: Pair | None = None
    spike: Pair | None = None
    spike_differential: Pair | None = None
    rate: Pair | None = None
    flat_tolerance: float = 0.0
    flat: tuple[int, int | None] | None = None
    attenuated: float | None = None
    attenuated_window: int = 0
    gap: int | None = None
    ordered: bool = False
    rails: Pair | None = None
    period: int | None = None
    jitter: int | None = None
    drift: int | None = None

    @property
    def mask(self) -> int:
        """A bit per test that is made."""
        made = {
            "missing": True,
            "sentinel": bool(self.sentinels),
            "range": self.suspect_span is not None or self.fail_span is not None,
            "spike": self.spike is not None or self.spike_differential is not None,
            "rate": self.rate is not None,
            "flat": self.flat is not None,
            "attenuated": self.attenuated is not None,
            "gap": self.gap is not None,
            "duplicate": self.ordered,
            "reversed": self.ordered,
            "saturated": self.rails is not None,
            "jitter": self.jitter is not None,
            "drift": self.drift is not None,
        }
        return sum(1 << TESTS.index(test) for test, wanted in made.items() if wanted)

    def reals(self) -> Float64s:
        """Return the limits that are numbers of the value's unit, in the order of the kernels."""
        span, off = (-math.inf, math.inf), (math.inf, math.inf)
        pairs = [self.fail_span or span, self.suspect_span or span, self.spike or off, self.spike_differential or off, self.rate or off]
        least = -math.inf if self.attenuated is None else self.attenuated
        numbers = [*(one for pair in pairs for one in pair), self.flat_tolerance, least, *(self.rails or (math.nan, math.nan))]
        return np.array(numbers, np.float64)

    def wholes(self) -> Int64s:
        """Return the limits that are nanoseconds, and the mask, in the order of the kernels."""
        suspect, fail = self.flat or (NEVER, None)
        gap, jitter, drift = (NEVER if one is None else one for one in (self.gap, self.jitter, self.drift))
        last = NEVER if fail is None else fail
        return np.array([suspect, last, self.attenuated_window, gap, self.period or 0, jitter, drift, self.mask], np.int64)

    def check(self) -> None:
        """Raise ArgumentError for limits that cannot be."""
        reals = self.reals()
        if np.isnan(reals[:12]).any():
            message = f"limits must be numbers, not NaN; got {self}"
            raise ArgumentError(message)
        for name in ("suspect_span", "fail_span"):
            span = getattr(self, name)
            if span is not None and span[0] > span[1]:
                message = f"{name} must go from low to high, got {span}"
                raise ArgumentError(message)
        if (reals[4:11] < 0).any() or (self.wholes() < 0).any():
            message = f"limits of spike, rate, flat, gap, jitter and drift must not be negative; got {self}"
            raise ArgumentError(message)
        if (self.jitter is not None or self.drift is not None) and not self.period:
            message = "jitter and drift need the nominal period, in nanoseconds; got none"
            raise ArgumentError(message)
        if self.period is not None and self.period < 1000:
            message = f"period must be at least 1000 ns, got {self.period}"
            raise ArgumentError(message)
        if self.attenuated is not None and self.attenuated_window < 8:
            message = f"attenuated needs attenuated_window, at least 8 ns, got {self.attenuated_window}"
            raise ArgumentError(message)


class Scan:
    """The fused pass over one series, in chunks of any size.

    Parameters
    ----------
    limits
        The tests and their limits.
    backend
        Where to run.
    """

    def __init__(self, limits: Limits, backend: AnyBackend = "auto") -> None:
        limits.check()
        self._backend = resolve(backend)
        self._sentinels = np.array(limits.sentinels, np.float64)
        self._reals, self._wholes = limits.reals(), limits.wholes()
        self._values = np.full(21, math.inf)  # before, waiting, anchor, then least and largest of this pane and of eight before it
        self._values[[0, 1, 2]] = math.nan
        self._values[[4, *range(13, 21)]] = -math.inf
        self._counts = np.zeros(8, np.int64)  # rows seen up to 2, times before and waiting, run since, in a run, first time, pane

    def feed(self, time: Int64s, value: Floats, valid: Bools | None = None) -> tuple[Uint32s, Uint8s]:
        """Test some rows and return bits and flags of the rows that are settled: all but the last so far.

        Parameters
        ----------
        time
            ndarray of shape (n,), int64: nanoseconds, within -2^62 and 2^62 - 1 (1823 to 2116 since 1970), in any order.
        value
            ndarray of shape (n,), float32 or float64.
        valid
            ndarray of shape (n,), bool: False where a value is missing. None for all valid; NaN is missing in either case.

        Returns
        -------
        bits, uint32, and flags, uint8: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing

        Raises
        ------
        ArgumentError
            An argument has the wrong dtype or shape, or a time is out of range.
        """
        return self._scan(time, value, valid, final=False)

    def finish(self) -> tuple[Uint32s, Uint8s]:
        """Return bits and flag of the last row, if there was one; nothing may be fed afterwards."""
        return self._scan(np.empty(0, np.int64), np.empty(0), None, final=True)

    def _scan(self, time: Int64s, value: Floats, valid: Bools | None, *, final: bool) -> tuple[Uint32s, Uint8s]:
        given = self._given(time, value, valid)
        bits, flags = np.empty(time.size + 1, np.uint32), np.empty(time.size + 1, np.uint8)
        settled = self._kernel(time, value).scan(*given, final, bits, flags)
        if settled < 0:
            raise _out_of_range("", time)
        return bits[:settled], flags[:settled]

    def _kernel(self, time: Int64s, value: Floats) -> ModuleType:
        return implementation("sensor", self._backend, time.nbytes + value.nbytes)

    def _given(self, time: Int64s, value: Floats, valid: Bools | None) -> tuple[Rows, State]:
        """Check the rows and return what a kernel is given of them, of the limits and of the state."""
        _check(time, value, valid)
        there = np.empty(0, np.uint8) if valid is None else np.ascontiguousarray(valid).view(np.uint8)
        sentinels = self._sentinels.astype(value.dtype).astype(np.float64)
        rows = Rows(*map(read_only, (time, value, there, sentinels)))
        return rows, State(read_only(self._reals), read_only(self._wholes), self._values, self._counts)


def quality(
    time: Int64s, value: Floats, limits: Limits, valid: Bools | None = None, backend: AnyBackend = "auto"
) -> tuple[Uint32s, Uint8s]:
    """Test a whole series: bits and flags of all its rows; see `Scan.feed` for shapes, types and errors."""
    return Scan(limits, backend)._scan(time, value, valid, final=True)


def quality_of_groups(
    time: Int64s, value: Floats, offsets: Int64s, limits: Limits, valid: Bools | None = None, backend: AnyBackend = "auto"
) -> tuple[Uint32s, Uint8s]:
    """Test many series that lie one after the other, with the same limits: bits and flags as `quality` gives them for each alone.

    Parameters
    ----------
    time, value, valid
        As for `Scan.feed`.
    offsets
        int32 or int64 [series + 1], from 0 to n: series i is rows offsets[i] to offsets[i + 1] - 1, none or more.
    limits
        The tests and their limits.
    backend
        Where to run.

    Returns
    -------
    bits, uint32, and flags, uint8, of shape (n,)

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value, or a time is out of range.
    """
    scan = Scan(limits, backend)
    given = scan._given(time, value, valid)
    bounds = check_offsets("offsets", offsets, time.size)
    if bounds[0] != 0 or bounds[-1] != time.size:
        message = f"offsets must go from 0 to {time.size}, the number of rows; got {bounds[0]} … {bounds[-1]}"
        raise ArgumentError(message)
    bits, flags = np.empty(time.size, np.uint32), np.empty(time.size, np.uint8)
    wrong = scan._kernel(time, value).scan_groups(*given, bounds, bits, flags)
    if wrong >= 0:
        raise _out_of_range(f" of series {wrong}", time[bounds[wrong] : bounds[wrong + 1]])
    return bits, flags


def whole_runs(bits: Uint32s) -> Uint32s:
    """Give `flat` to all rows of a run that was found to be flat, not only to those after the time it took to tell; clear RUN.

    Parameters
    ----------
    bits
        ndarray of shape (n,), uint32: those of a whole series.

    Returns
    -------
    ndarray of shape (n,), uint32
        Missing rows within a run stay as they are.
    """
    flat, missing = TESTS.index("flat"), np.uint32(1)
    grades = np.uint32(1 << flat | 1 << (flat + FAIL))
    starts = np.flatnonzero((bits & np.uint32(RUN)) == 0)
    out = bits & ~np.uint32(RUN)
    if bits.size:
        if not starts.size or starts[0]:
            starts = np.concatenate(([0], starts))
        found = np.bitwise_or.reduceat(bits & grades, starts)
        out |= np.where(bits & missing, np.uint32(0), np.repeat(found, np.diff(starts, append=bits.size)))
    return out


def hampel(value: Floats, *, window: int = 21, sigmas: float = 3.0, floor: float = 0.0, backend: AnyBackend = "auto") -> Uint8s:
    """Return the flags of Hampel's identifier: values far from the median of the rows around them.

    A value is suspect if its distance from the median of the window around it is above `sigmas` · 1.4826 times the median distance of the
    window's values, and above `floor`. At the ends the window is cut. NaN and infinities are left out; a row without a finite value, or
    with not more than half of a window, is not evaluated. Rows at least `window // 2` from both ends of an array do not depend
    on what lies beyond it: that is the overlap for chunks.

    Parameters
    ----------
    value
        ndarray of shape (n,), float32 or float64.
    window
        Rows of the window, odd, 3 to 99.
    sigmas
        Standard deviations of normal data, not negative.
    floor
        Distance that is never suspect, not negative: the resolution, where many values are equal.
    backend
        Where to run.

    Returns
    -------
    ndarray of shape (n,), uint8
        1 good, 2 not evaluated, 3 suspect.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    if window % 2 == 0 or not 3 <= window <= WIDEST:
        message = f"window must be odd, 3 to {WIDEST}, got {window}"
        raise ArgumentError(message)
    if not (sigmas >= 0 and floor >= 0):
        message = f"sigmas and floor must not be negative, got {sigmas} and {floor}"
        raise ArgumentError(message)
    _check(np.empty(np.shape(value), np.int64), value, None)
    flags = np.empty(value.size, np.uint8)
    given = read_only(value.astype(np.float64, copy=False))
    implementation("sensor.hampel", backend, given.nbytes).hampel(given, window, float(sigmas * MAD), float(floor), flags)
    return flags


def _out_of_range(place: str, time: Int64s) -> ArgumentError:
    return ArgumentError(f"time{place} must lie within -2^62 and 2^62 - 1 ns, 1823 to 2116; got {time.min()} … {time.max()}")


def _check(time: Int64s, value: Floats, valid: Bools | None) -> None:
    check_array("value", value, FLOATS, ("n",))
    if time.dtype != np.int64 or time.shape != value.shape:
        message = f"time must be int64 nanoseconds of shape {value.shape}, got {time.dtype} of shape {time.shape}"
        raise ArgumentError(message)
    if valid is not None:
        check_array("valid", valid, np.bool_, value.shape)
