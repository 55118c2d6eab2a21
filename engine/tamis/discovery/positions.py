"""Swapped coordinates: rows whose latitude stands in the column of longitudes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from tamis.discovery.base import MAD, runs, suspicion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis.discovery.base import Signal, Suspicion

LATITUDE, LONGITUDE = re.compile(r"^(lat|latitude|.*[_ ]lat)$", re.I), re.compile(r"^(lon|lng|long|longitude|.*[_ ](lon|lng|long))$", re.I)
NEARER = 5.0


def coordinates(columns: Sequence[Signal]) -> tuple[Signal, Signal] | None:
    """Return the columns of latitude and longitude, by name."""
    found = [next((one for one in columns if name.match(one.column)), None) for name in (LATITUDE, LONGITUDE)]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def find_swapped(columns: Sequence[Signal]) -> list[Suspicion]:
    """Return the rows of a sensor whose coordinates lie where the others do once they are exchanged.

    The figure is how many times nearer to the median place a swapped row lies after the exchange, by the median of such rows, and must
    reach 5; distances are in spreads of the places, which must be apart from their mirror image. At most half of the rows are swapped.
    """
    pair = coordinates(columns)
    if pair is None:
        return []
    latitude, longitude = pair
    there = latitude.valid & longitude.valid
    if there.sum() < 10:
        return []
    places = np.stack([latitude.value, longitude.value])
    middle = np.median(places[:, there], axis=1, keepdims=True)
    spread = float(np.max(MAD * np.median(np.abs(places[:, there] - middle), axis=1))) + 1e-6
    as_told = np.hypot(*(places - middle))
    swapped = np.hypot(*(places[::-1] - middle))
    exchanged = there & (as_told > NEARER * np.maximum(swapped, 3 * spread))
    rows = np.flatnonzero(exchanged)
    if not len(rows) or len(rows) * 2 > there.sum():
        return []
    figure = float(np.median(as_told[rows] / np.maximum(swapped[rows], 3 * spread)))
    says = (
        f"{len(rows)} rows, such as {places[0, rows[0]]:.6g}, {places[1, rows[0]]:.6g}, lie where the others do ({middle[0, 0]:.6g}, "
        f"{middle[1, 0]:.6g}) once latitude and longitude are exchanged: {figure:.3g} times nearer"
    )
    spans = latitude.time[runs(exchanged)].tolist()
    remedy = {"action": "swap", "with": longitude.column, "spans": spans}
    return [suspicion("swapped", latitude, rows, figure, NEARER, says, remedy=remedy)]
