"""The bits of the tests, alone and with that of a failure, and what the passes agree on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PANES = 8

MISSING, SENTINEL, RANGE, SPIKE, RATE, FLAT, ATTENUATED, GAP, DUPLICATE, REVERSED, SATURATED, HAMPEL, JITTER, DRIFT = range(14)
RUN = np.uint32(1 << 15)
FAIL = 16
NEVER = np.int64(2**63 - 1)
NONE = np.uint32(0)
GONE = np.uint32(1 << MISSING | 1 << (MISSING + FAIL))
CODE = np.uint32(1 << SENTINEL | 1 << (SENTINEL + FAIL))
BEYOND, FAR_BEYOND = np.uint32(1 << RANGE), np.uint32(1 << RANGE | 1 << (RANGE + FAIL))
BENT, SHARPLY_BENT = np.uint32(1 << SPIKE), np.uint32(1 << SPIKE | 1 << (SPIKE + FAIL))
FAST, TOO_FAST = np.uint32(1 << RATE), np.uint32(1 << RATE | 1 << (RATE + FAIL))
STUCK, LONG_STUCK = np.uint32(1 << FLAT), np.uint32(1 << FLAT | 1 << (FLAT + FAIL))
WEAK, RAIL = np.uint32(1 << ATTENUATED), np.uint32(1 << SATURATED)
LATE, TWICE, BACK = np.uint32(1 << GAP), np.uint32(1 << DUPLICATE), np.uint32(1 << REVERSED)
UNEVEN, OFF_GRID = np.uint32(1 << JITTER), np.uint32(1 << DRIFT)
SUSPECT = np.uint32(0x7FFF)
OF_TIME = LATE | TWICE | BACK | UNEVEN
FULL = np.uint64(0x0101010101010101)
SLACK = 2.0**-50  # more than the roundings of a mean and two differences


class Rows(NamedTuple):
    """Rows of series, one after the other, as CUDA kernels are given them.

    Attributes
    ----------
    time
        int64[rows].
    value
        float32 or float64[rows].
    valid
        uint8[rows], or empty where all are.
    sentinels
        float64: what stands for a missing value.
    """

    time: NDArray[np.int64]
    value: NDArray[np.floating[Any]]
    valid: NDArray[np.uint8]
    sentinels: NDArray[np.float64]
