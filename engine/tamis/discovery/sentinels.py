"""Sentinels: codes for a missing value that are told as numbers, found by what sets them apart.

A code is one value, exactly, and it stands alone: no reading comes near it. That it is told often is not enough (many sensors rest at 0),
nor that it is far (spikes are), nor that it is round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import suspicion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.discovery.base import Signal, Suspicion

KNOWN = (
    *(-float("9" * digits) for digits in range(2, 8)),
    *(float("9" * digits) for digits in range(3, 8)),
    -99.9, -999.9, -999.99, -9999.9, -99.99, 999.9, 9999.9, -99.0, -6999.0, 6999.0, 7999.0, -7999.0, -7777.0, -8888.0, 8888.0,
    127.0, -127.0, -128.0, 255.0, 1023.0, 4095.0, 16383.0, 32767.0, -32768.0, 32768.0, 65535.0, 65534.0, 2147483647.0, -2147483648.0,
    4294967295.0, 1e20, 1e30, 1e35, 1e36, 1e37, -1e20, -1e30, 9.969209968386869e36, 3.4028234663852886e38, -3.4028234663852886e38,
    -273.15, -273.1, -273.2, -273.0, -459.67, 85.0, 0.0, -1.0,
)  # fmt: skip
"""Codes of netCDF, loggers (Vaisala, Campbell), whole numbers of 8 to 32 bits, converters of 10 to 14 bits, absolute zero, and the 85 °C
with which a DS18B20 wakes. They need to stand less far away, and fewer times, than other numbers."""
STRONG = 900.0  # a known code beyond this is no reading of most sensors: one is enough
KNOWN_GAP, OTHER_GAP = 1.0, 3.0  # widths of the readings' range between a code and the nearest reading
LEAST = {"strong": 1, "known": 3, "other": 5}
SHARE = 0.8  # of the rows that codes may take: where more do, it is the others that are odd
CODES = 4  # codes that one series may have


def find_sentinels(series: Signal) -> list[Suspicion]:
    """Return the codes of a series, by number of rows.

    The readings' range is that of all values that are no candidates, from their 0.5th to their 99.5th percentile. The figure is how many
    such ranges lie between the code and the nearest reading; it must reach 1 for known codes and 3 for others.
    """
    value = series.value[series.valid]
    if len(value) < 20:
        return []
    distinct, counts = np.unique(value, return_counts=True)
    codes = _apart(distinct, counts)
    found = []
    kept = ~np.isin(distinct, codes)
    readings = distinct[kept]
    width = _width(readings, np.cumsum(counts[kept]), 0, len(readings))
    for code in codes:
        places = np.flatnonzero(series.valid & (series.value == code))
        known = _known(float(code))
        gap = float(np.abs(readings - code).min())
        nearest = float(readings[np.argmin(np.abs(readings - code))])
        limit = KNOWN_GAP if known else OTHER_GAP
        says = (
            f"{code:.8g} {'is a known code and ' if known else ''}stands {len(places)} times, {gap / width:.3g} times the width of "
            f"the readings' range from the nearest reading ({nearest:.6g}; readings {readings[0]:.6g} … {readings[-1]:.6g})"
        )
        remedy = {"action": "null", "value": float(code)}
        found.append(
            suspicion("sentinel", series, places, gap / width, limit, says, remedy=remedy, value=float(code), gap=gap, width=width)
        )
    return sorted(found, key=lambda one: -one.count)


def _apart(distinct: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the values that stand alone: peel them off both ends, the farthest first, until both ends are readings.

    Spikes, which are as far but told too seldom, are peeled off too, up to a hundredth of the rows, and not returned.
    """
    ends = np.cumsum(counts)
    low, high, total = 0, len(distinct), int(ends[-1])
    taken: list[float] = []
    codes = spikes = 0
    while high - low > 1 and len(taken) < CODES:
        candidates = []
        for at, beside, first, stop in ((low, low + 1, low + 1, high), (high - 1, high - 2, low, high - 1)):
            number, count = float(distinct[at]), int(counts[at])
            known = _known(number)
            strong = known and abs(number) >= STRONG
            gap = abs(number - distinct[beside]) / _width(distinct, ends, first, stop)
            is_code = count >= LEAST["strong" if strong else "known" if known else "other"]
            crowded = high - low - 1 < 5 and not strong  # a switch, or a series that hardly changes: any value is far from the others
            room = codes + count <= SHARE * total if is_code else spikes + count <= 0.01 * total
            if gap >= (KNOWN_GAP if known else OTHER_GAP) and room and not crowded:
                candidates.append((gap, at, is_code))
        if not candidates:
            break
        _, at, is_code = max(candidates)
        if is_code:
            taken.append(float(distinct[at]))
            codes += int(counts[at])
        else:
            spikes += int(counts[at])
        low, high = (low + 1, high) if at == low else (low, high - 1)
    return np.array(taken, np.float64)


def _width(distinct: NDArray[np.float64], ends: NDArray[np.int64], first: int, stop: int) -> float:
    """Return the range of the middle 99 % of some values, or what stands for it where they are all equal.

    Parameters
    ----------
    distinct, ends
        The values, which rise, and how many there are up to each.
    first, stop
        Which of them.
    """
    before = int(ends[first - 1]) if first else 0
    count = int(ends[stop - 1]) - before
    low, high = first + np.searchsorted(ends[first:stop], [before + 0.005 * count, before + 0.995 * count])
    width = float(distinct[min(high, stop - 1)] - distinct[low])
    return width or max(abs(float(distinct[low])) * 0.1, 1e-9)


def _known(value: float) -> bool:
    return any(abs(value - code) <= 1e-6 * abs(code) for code in KNOWN)
