"""Readings with some of everything that tests of series look for, and limits for all of the tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.sensor import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN, INF = math.nan, math.inf
SECOND = 10**9
ALL = Limits(
    sentinels=(-9999.0, 65535.0),
    suspect_span=(-3.0, 3.0),
    fail_span=(-5.0, 5.0),
    spike=(2.0, 3.0),
    spike_differential=(1.0, 2.5),
    rate=(2.0, 4.0),
    flat_tolerance=0.01,
    flat=(3 * SECOND, 6 * SECOND),
    attenuated=0.3,
    attenuated_window=8 * SECOND,
    gap=3 * SECOND,
    ordered=True,
    rails=(-2.0, 2.0),
    period=SECOND,
    jitter=SECOND // 10,
    drift=SECOND // 4,
)


def series(rows: int, seed: int = 1) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return a series with some of everything that the tests look for."""
    random = np.random.default_rng(seed)
    value = np.round(np.sin(np.arange(rows) / 9) * 2 + random.normal(0, 0.3, rows), 2)
    for odd in (NAN, INF, -INF, -9999.0, 65535.0, 7.0, -0.0, 2.0):
        value[random.integers(0, rows, rows // 40)] = odd
    for start in random.integers(0, rows, rows // 40):
        value[start : start + 12] = value[start] + random.choice([0.0, 0.005])
    step = random.choice(
        [SECOND, SECOND + 1000, SECOND // 2, 0, -SECOND, 5 * SECOND, 40 * SECOND], rows, p=[0.8, 0.05, 0.05, 0.03, 0.03, 0.03, 0.01]
    )
    return np.cumsum(step) - 2**60, value, random.random(rows) > 0.05
