"""Numbers for the sensors of a table, and the latest time of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.errors import ColumnError
from tamis.series.roles import sensor_names
from tamis.sources.parsing import distinct
from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MOST_NAMES = 1 << 18  # sensors of a table; their names are held in memory
NEVER = np.int64(-(1 << 63))


class Sensors:
    """Numbers the sensors in the order in which they come up.

    Parameters
    ----------
    names
        Those that have numbers already.

    Attributes
    ----------
    names
        By number; None for rows that name no sensor.
    """

    def __init__(self, names: Sequence[str | None] = ()) -> None:
        self.names: list[str | None] = list(names)
        self._known: dict[str | None, int] = {name: number for number, name in enumerate(names)}
        self._latest = np.empty(0, np.int64)  # by sensor

    def number(self, name: str | None) -> int:
        """Return the number of a name."""
        if name not in self._known:
            self._known[name] = len(self.names)
            self.names.append(name)
        return self._known[name]

    def numbers(self, frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of each row's sensor, by the columns that name it.

        Raises
        ------
        ColumnError
            They have more than 262,144 values.
        """
        names, places = distinct(sensor_names(frame, columns))
        return np.asarray(self.add(names.to_list(), columns)[places])

    def add(self, names: Iterable[str | None], columns: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of names.

        Raises
        ------
        ColumnError
            There are more than 262,144 of the columns.
        """
        numbers = np.array([self.number(name) for name in names], np.int64)
        if len(self.names) > MOST_NAMES:
            message = (
                f"the columns {', '.join(columns)} have more than {MOST_NAMES} values, too many to name sensors: name the "
                "columns that do, or none for a table of one sensor"
            )
            raise ColumnError(message)
        return numbers

    def goes_back(self, numbers: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each row has an earlier time than a row of its sensor above it, since `begin`."""
        if len(self._latest) < len(self.names):
            self._latest = np.append(self._latest, np.full(len(self.names) - len(self._latest), NEVER))
        back = np.empty(len(time), np.bool_)
        _goes_back(numbers, time, self._latest, back)
        return back

    def begin(self) -> None:
        """Forget the times."""
        self._latest[:] = NEVER


@njit(cache=True, nogil=True)
def _goes_back(numbers: NDArray[np.int64], time: NDArray[np.int64], latest: NDArray[np.int64], back: NDArray[np.bool_]) -> None:
    for row in range(time.size):
        sensor = numbers[row]
        back[row] = time[row] < latest[sensor]
        latest[sensor] = max(latest[sensor], time[row])
