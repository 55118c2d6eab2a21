"""The tests of one series from disk, and what becomes of its readings: in a few passes, a chunk at a time."""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from tamis.qc.fill import Filling
from tamis.qc.learn import HELD, Readings, learn, period, readable
from tamis.qc.limits import HAMPEL
from tamis.series import CHUNK, Held
from tamis_kernels.sensor import FAIL, RUN, TESTS, Scan, hampel, whole_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tamis.qc.fill import Good, Method, Season
    from tamis.qc.limits import Row, Thresholds
    from tamis.series import Chunk, Series
    from tamis_kernels.sensor import Limits

Action = Literal["keep", "null", "impute", "reject"]
Grade = Literal["suspect", "fail"]

ACTIONS: tuple[Action, ...] = ("keep", "impute", "null", "reject")  # the last one wins where tests disagree
KEEP, IMPUTE, NULL, REJECT = range(4)
GOOD, UNKNOWN, SUSPECT, FAILED, MISSING = 1, 2, 3, 4, 9
BITS = {test: np.uint32(1 << place) for place, test in enumerate(TESTS)}
CLOCK_TESTS = ("gap", "duplicate", "reversed", "jitter", "drift")
"""Tests of the time alone, which say the same of every column of a sensor."""
GONE = BITS["missing"] | BITS["sentinel"]
_FLAT = BITS["flat"] | BITS["flat"] << np.uint32(FAIL)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is tested and what is done about it; see the recipe's section `quality_control`."""

    rows: tuple[Row, ...] = ()
    sentinels: tuple[float, ...] = ()
    learn: frozenset[str] = frozenset()
    sigmas: float = 6.0
    on_flag: Mapping[str, Action] = field(default_factory=dict)
    act_on: Grade = "suspect"
    fill: Method = "none"
    largest_gap: float = math.inf
    season: Season = "day"

    @property
    def acts(self) -> bool:
        """Whether any reading may change."""
        return any(action != "keep" for action in self.on_flag.values())

    def acting(self) -> list[tuple[int, np.uint32]]:
        """Return the bits that lead to each action, the strongest action last."""
        out = []
        for number, action in enumerate(ACTIONS[1:], 1):
            bits = np.uint32(0)
            for test in (test for test, chosen in self.on_flag.items() if chosen == action):
                bits |= BITS[test] << np.uint32(FAIL)
                if self.act_on == "suspect" or BITS[test] & GONE:
                    bits |= BITS[test]
            if bits:
                out.append((number, bits))
        return out


@dataclass(frozen=True, slots=True)
class Controlled:
    """Readings of a series, by time, with what the tests said of them.

    Attributes
    ----------
    chunk
        The readings.
    bits
        uint32 array: a bit per test, see `tamis_kernels.sensor.TESTS`.
    flag
        uint8 array: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing.
    action
        uint8 array: 0 keep, 1 impute, 2 null, 3 reject.
    filled
        float64 array: the value where one was imputed, else NaN.
    """

    chunk: Chunk
    bits: NDArray[np.uint32]
    flag: NDArray[np.uint8]
    action: NDArray[np.uint8]
    filled: NDArray[np.float64]


class Control:
    """The quality control of one series.

    Parameters
    ----------
    series
        On disk. It is read once, where it has no more than 2^18 readings; else four times, or seven where readings are imputed; where
        limits are learnt or medians imputed, some ten times more.
    policy
        What to do.
    stated
        The limits that were given for it.
    folder
        For a temporary file, where the series is long.
    chunk
        Readings at a time, at least 64; the answer is the same for any number. None: all of a short series.

    Attributes
    ----------
    thresholds
        The limits, with those that were learnt.

    Raises
    ------
    ArgumentError
        The limits contradict each other.
    """

    def __init__(self, series: Series, policy: Policy, stated: Thresholds, folder: Path, chunk: int | None = None) -> None:
        held = series.readings <= HELD
        self._series = Held(series.read()) if held else series
        self._policy, self._folder, self._chunk = policy, folder, chunk or (max(64, series.readings) if held else CHUNK)
        self._sentinels = np.array(sorted(policy.sentinels), np.float64)
        readings = Readings(self._series, policy.sentinels)
        self.thresholds = stated.with_learnt(learn(readings, policy.learn - stated.tests(), policy.sigmas))
        on_grid = bool({"jitter", "drift"} & set(self.thresholds.values)) and "period" not in self.thresholds.values
        step = period(readings) if on_grid else math.nan
        self.thresholds.check()
        self._limits: Limits = self.thresholds.limits(policy.sentinels, step if step > 0 else None)

    def readings(self) -> Iterator[Controlled]:
        """Yield all readings by time, with bits, flags and what is to be done."""
        with _Scratch(self._folder, self._series.readings) as scratch:
            self._scan(scratch)
            self._look_around(scratch)
            self._finish_runs(scratch)
            filling = Filling(self._policy.fill, self._policy.largest_gap, self._policy.season)
            if any(action == IMPUTE for action, _ in self._policy.acting()):
                filling.learn(lambda: map(self._good, self._settled(scratch)))
            for one in self._settled(scratch):
                if self._policy.acts:
                    one.filled[:] = filling.fill(*self._good(one), one.action == IMPUTE)
                yield one

    def _scan(self, scratch: _Scratch) -> None:
        """Make the fused pass."""
        rest = self.thresholds.rest(self._policy.sentinels)
        scan = _RestingScan(self._limits, *rest) if rest else Scan(self._limits)
        start = 0
        for chunk in self._series.chunks(self._chunk):
            bits, flag = scan.feed(chunk.time, chunk.value, chunk.valid)
            scratch.put(start, bits, flag)
            start += len(bits)
        scratch.put(start, *scan.finish())

    def _look_around(self, scratch: _Scratch) -> None:
        """Add what is told from the order of the rows in their file, and by Hampel's identifier."""
        sigmas = self.thresholds.values.get("hampel")
        start = 0
        for chunk, values, margin in self._with_margins():
            bits, flag = scratch.get(start, len(chunk))
            if chunk.back.any():
                bits |= np.where(chunk.back, BITS["reversed"], np.uint32(0))
            if sigmas is not None:
                floor = self.thresholds.values.get("hampel_floor", HAMPEL["hampel_floor"])
                found = hampel(values, window=self._window(), sigmas=sigmas, floor=floor)[margin : margin + len(chunk)]
                bits |= np.where(found == SUSPECT, BITS["hampel"], np.uint32(0))
                flag[(flag == UNKNOWN) & (found != UNKNOWN)] = GOOD
            scratch.put(start, bits, flag)
            start += len(chunk)

    def _window(self) -> int:
        return int(self.thresholds.values.get("hampel_window", HAMPEL["hampel_window"]))

    def _with_margins(self) -> Iterator[tuple[Chunk, NDArray[np.float64], int]]:
        """Yield chunks, their values with those of half a window around them, and how many of these come before."""
        half = self._window() // 2
        before, waiting = np.empty(0), None
        for chunk in self._series.chunks(self._chunk):
            values = readable(chunk, self._sentinels)
            if waiting is not None:
                around = np.concatenate((before, waiting[1], values[:half]))
                yield waiting[0], around, len(before)
                before = np.concatenate((before, waiting[1]))[-half:]
            waiting = chunk, values
        if waiting is not None:
            yield waiting[0], np.concatenate((before, waiting[1])), len(before)

    def _finish_runs(self, scratch: _Scratch) -> None:
        """Give `flat` to whole runs, from the end to the start, and set the flags."""
        later = np.uint32(0)  # what was found of the run that goes on in the chunk after
        for start in range((max(self._series.readings, 1) - 1) // self._chunk * self._chunk, -1, -self._chunk):
            bits, flag = scratch.get(start, self._chunk)
            if not (later or np.bitwise_or.reduce(bits) & _FLAT):
                bits &= ~np.uint32(RUN)
                self._grade(bits, flag)
                scratch.put(start, bits, flag)
                continue
            heads = np.flatnonzero((bits & np.uint32(RUN)) == 0)
            heads = heads[heads > 0]
            first = heads[0] if len(heads) else len(bits)
            goes_on = len(bits) > 0 and bool(bits[0] & np.uint32(RUN))
            found = np.bitwise_or.reduce(bits[:first] & _FLAT) | (later if first == len(bits) else np.uint32(0))
            bits = whole_runs(np.append(bits, np.uint32(RUN) | later))[:-1]
            later = found if goes_on else np.uint32(0)
            self._grade(bits, flag)
            scratch.put(start, bits, flag)

    def _grade(self, bits: NDArray[np.uint32], flag: NDArray[np.uint8]) -> None:
        """Set the flags of readings that a test told on."""
        told = np.flatnonzero(bits)
        told = told[flag[told] != MISSING]
        found = bits[told]
        flag[told] = np.where(found >> np.uint32(FAIL), FAILED, SUSPECT)

    def _settled(self, scratch: _Scratch) -> Iterator[Controlled]:
        start = 0
        acting = self._policy.acting()
        for chunk in self._series.chunks(self._chunk):
            bits, flag = scratch.get(start, len(chunk))
            start += len(chunk)
            action = np.zeros(len(chunk), np.uint8)
            for number, which in acting:
                action[(bits & which) != 0] = number
            yield Controlled(chunk, bits, flag, action, np.full(len(chunk), math.nan))

    def _good(self, one: Controlled) -> Good:
        return one.chunk.time, one.chunk.value, (one.action == KEEP) & (one.flag != MISSING) & np.isfinite(one.chunk.value)


class _RestingScan:
    """A scan that holds runs at the value at which the sensor rests, such as power at night, to a limit of their own."""

    def __init__(self, limits: Limits, rest: float, at_rest: Limits) -> None:
        self._scan, self._longer, self._rest = Scan(limits), Scan(at_rest), rest
        self._tolerance, self._waiting = limits.flat_tolerance, np.empty(0, bool)

    def feed(
        self, time: NDArray[np.int64], value: NDArray[np.float64], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """As the scan has it."""
        self._waiting = np.concatenate((self._waiting, np.abs(value - self._rest) <= self._tolerance))
        return self._settled(*self._scan.feed(time, value, valid), self._longer.feed(time, value, valid)[0])

    def finish(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """As the scan has it."""
        return self._settled(*self._scan.finish(), self._longer.finish()[0])

    def _settled(
        self, bits: NDArray[np.uint32], flag: NDArray[np.uint8], longer: NDArray[np.uint32]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return bits and flags of which those at rest tell `flat` by the other limit; `_grade` sees to what they still tell."""
        at_rest, self._waiting = self._waiting[: len(bits)], self._waiting[len(bits) :]
        bits = np.where(at_rest, bits & ~_FLAT | longer & _FLAT, bits)
        cleared = at_rest & (flag != MISSING) & (bits & ~np.uint32(RUN) == 0)
        return bits, np.where(cleared, np.uint8(GOOD), flag)


class _Scratch:
    """Bits and flags of a series: in memory, or in a file where it is long."""

    def __init__(self, folder: Path, readings: int) -> None:
        self._held = (np.empty(readings, np.uint32), np.empty(readings, np.uint8)) if readings <= HELD else None
        self._folder, self._flags = folder, 4 * readings  # where the flags begin

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        if self._held is None:
            self._file = self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder)).fileno()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, start: int, bits: NDArray[np.uint32], flag: NDArray[np.uint8]) -> None:
        if self._held is not None:
            self._held[0][start : start + len(bits)], self._held[1][start : start + len(bits)] = bits, flag
        else:
            os.pwrite(self._file, bits.tobytes(), 4 * start)
            os.pwrite(self._file, flag.tobytes(), self._flags + start)

    def get(self, start: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        if self._held is not None:
            return self._held[0][start : start + count].copy(), self._held[1][start : start + count].copy()
        count = min(count, self._flags // 4 - start)
        bits = np.frombuffer(os.pread(self._file, 4 * count, 4 * start), np.uint32)
        return bits.copy(), np.frombuffer(os.pread(self._file, count, self._flags + start), np.uint8).copy()
